//! What works without Sentry: hooks, scope, and a Spotlight sidecar.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use guardhouse_main::sentry;
use guardhouse_tests::sentry::{Sentry, an_event, message_of};

use crate::{PATIENCE, start};

#[test]
fn without_a_dsn_nothing_is_kept_or_sent_but_everything_else_works() {
    let spotlight = Sentry::start();
    let seen = Arc::new(AtomicUsize::new(0));
    let hook = seen.clone();
    let mut running = start(|options| {
        options.dsn("").spotlight(format!("http://{}/stream", spotlight.address())).before_send(
            move |event| {
                hook.fetch_add(1, Ordering::Relaxed);
                Some(event)
            },
        )
    });
    guardhouse_main::set_tag("colour", "red");
    sentry::capture_message("of main", sentry::Level::Info);
    running.event(1, r#"{"message":"of a page"}"#);
    for message in ["of main", "of a page"] {
        spotlight.wait_until(|requests| {
            requests.iter().any(|request| {
                let items = request.envelope.as_ref().map_or(&[][..], |envelope| &envelope.items);
                items.iter().any(|item| {
                    let event = item.json();
                    message_of(&event) == Some(message) && event["tags"]["colour"] == "red"
                })
            })
        });
    }
    assert_eq!(seen.load(Ordering::Relaxed), 2, "the hook has seen each once");
    assert!(running.guard().flush(PATIENCE), "there is nothing to wait for");
    running.finish();
    assert_eq!(running.sentry.requests().len(), 0);
}

#[test]
fn spotlight_gets_what_sentry_gets() {
    let spotlight = Sentry::start();
    let mut running =
        start(|options| options.spotlight(format!("http://{}/stream", spotlight.address())));
    sentry::capture_message("of main", sentry::Level::Info);
    running.event(1, r#"{"message":"of a page"}"#);
    spotlight.wait_for(2);
    for message in ["of main", "of a page"] {
        running.sentry.expect(an_event().with_message(message).times(1));
    }
    running.finish();
}

#[test]
fn a_sidecar_that_is_not_there_is_nobodys_problem() {
    let gone = Sentry::start();
    gone.refuse_connections();
    let mut running =
        start(|options| options.spotlight(format!("http://{}/stream", gone.address())));
    sentry::capture_message("of main", sentry::Level::Info);
    running.sentry.expect(an_event().with_message("of main").times(1));
    running.finish();
}
