//! `before_send`, event processors and sampling: they see, change and drop the events of all
//! processes, and what they drop is counted once.

use std::sync::{Arc, Mutex};

use guardhouse_main::sentry::{self, Level};
use guardhouse_main::session::SessionMode;
use guardhouse_main::{Channel, MessageAnswer, Options, app, init};
use guardhouse_tests::desk::Scratch;
use guardhouse_tests::sentry::{Sentry, a_transaction, an_event};

use crate::{PATIENCE, Running, start, turn};

/// Sends one event of main and one of a renderer, both with this message.
fn report(running: &Running, message: &str) {
    sentry::capture_message(message, Level::Info);
    running.event(1, &format!(r#"{{"message":"{message}","new":1.0}}"#));
}

#[test]
fn hooks_see_and_change_the_events_of_all_processes_once_each_in_their_order() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let see = |who: &'static str| {
        let seen = seen.clone();
        move |mut event: sentry::protocol::Event<'static>| {
            let tag = event.tags.get("hooks").cloned().unwrap_or_default();
            seen.lock().unwrap().push((who, tag.clone()));
            event.tags.insert("hooks".into(), format!("{tag}{who}"));
            Some(event)
        }
    };
    let mut running = start(|options| {
        options.before_send(see("3")).add_event_processor(see("1")).add_event_processor(see("2"))
    });
    report(&running, "hello");
    running
        .sentry
        .expect(an_event().with_message("hello").with_tag("hooks", "123").times(2).only());
    running.sentry.expect(
        an_event().from_process("page-1").with("/new", 1.0).with_tag("hooks", "123").times(1),
    );
    running.finish();
    let each = [("1", String::new()), ("2", "1".into()), ("3", "12".into())];
    assert_eq!(*seen.lock().unwrap(), [each.clone(), each].concat());
}

/// All that client reports count.
fn counted(sentry: &Sentry) -> Vec<(String, String, u64)> {
    let mut counts = Vec::new();
    for request in sentry.requests() {
        for item in &request.envelope.as_ref().unwrap().items {
            let json = item.json();
            for count in json["discarded_events"].as_array().into_iter().flatten() {
                let text = |member: &str| count[member].as_str().unwrap_or_default().to_owned();
                let quantity = count["quantity"].as_u64().unwrap_or_default();
                counts.push((text("category"), text("reason"), quantity));
            }
        }
    }
    counts
}

/// What hooks and sampling have nothing to do with.
const TRANSACTION: &str = r#"{"transaction":"t","start_timestamp":1,"timestamp":2,"contexts":{"trace":{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef"}}}"#;

/// Both events are dropped, and that is counted for this reason, once each, and nothing else is.
#[track_caller]
fn both_are_dropped(reason: &str, configure: impl FnOnce(Options) -> Options) {
    let mut running = start(configure);
    report(&running, "dropped");
    // Counts go with what comes next, and those of `sentry` are asked for when somebody flushes.
    assert!(running.guard().flush(PATIENCE));
    let transaction = format!("{{}}\n{{\"type\":\"transaction\"}}\n{TRANSACTION}\n");
    assert_eq!(running.post(1, Channel::Envelope, &transaction), MessageAnswer::Taken);
    running.sentry.expect(a_transaction().times(1));
    running.sentry.expect(an_event().times(0));
    running.finish();
    assert_eq!(counted(&running.sentry), [("error".to_owned(), reason.to_owned(), 2)]);
}

#[test]
fn what_before_send_drops_is_counted_once() {
    both_are_dropped("before_send", |options| options.before_send(|_| None));
}

#[test]
fn what_a_processor_drops_is_counted_once() {
    both_are_dropped("event_processor", |options| options.add_event_processor(|_| None));
}

#[test]
fn what_is_not_chosen_is_counted_once() {
    both_are_dropped("sample_rate", |options| options.sample_rate(0.0));
}

#[test]
fn what_was_dropped_and_not_told_is_told_by_the_next_run() {
    let _turn = turn();
    let (sentry, cache) = (Sentry::start(), Scratch::new());
    let options = || {
        Options::new(app!())
            .dsn(sentry.dsn())
            .cache_dir(cache.path())
            .session_mode(SessionMode::Off)
    };
    let first = init(options().before_send(|_| None)).unwrap();
    sentry::capture_message("dropped", Level::Info);
    assert!(first.close(PATIENCE), "there is nothing that waits to be sent");
    assert_eq!(counted(&sentry), []);

    let second = init(options()).unwrap();
    // Once it has found what the first has left.
    assert!(second.flush(PATIENCE));
    sentry::capture_message("sent", Level::Info);
    assert!(second.close(PATIENCE));
    assert_eq!(counted(&sentry), [("error".to_owned(), "before_send".to_owned(), 1)]);
    assert!(cache.files().is_empty());
}

#[test]
fn a_hook_that_panics_costs_a_renderer_nothing() {
    let mut running = start(|options| {
        options.before_send(|event| match event.message.as_deref() {
            Some("panic") => panic!("a bug of the application"),
            _ => Some(event),
        })
    });
    running.event(1, r#"{"message":"panic"}"#);
    running.event(1, r#"{"message":"fine"}"#);
    for message in ["panic", "fine"] {
        running.sentry.expect(an_event().with_message(message).from_process("page-1").times(1));
    }
    running.finish();
}
