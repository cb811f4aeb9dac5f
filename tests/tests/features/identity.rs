//! Who says it: release, environment, build; and where it goes.

use guardhouse_main::sentry::{self, ClientOptions};
use guardhouse_main::{MessageAnswer, Options};
use guardhouse_tests::sentry::{Expectation, Sentry, an_event};

use crate::start;

/// Captures one event in main and one in a renderer, of which both have to be so.
#[track_caller]
fn both(configure: impl FnOnce(Options) -> Options, so: impl Fn(Expectation) -> Expectation) {
    let mut running = start(configure);
    sentry::capture_message("of main", sentry::Level::Info);
    running.event(1, r#"{"message":"of a page","dist":"3","release":"page@1"}"#);
    for message in ["of main", "of a page"] {
        running.sentry.expect(so(an_event().with_message(message)).times(1));
    }
    running.finish();
}

#[test]
fn the_release_is_that_of_the_crate_and_the_environment_that_of_the_build() {
    let release = concat!(env!("CARGO_PKG_NAME"), "@", env!("CARGO_PKG_VERSION"));
    let environment = if cfg!(debug_assertions) { "development" } else { "production" };
    both(
        |options| options,
        |event| {
            event
                .with("/release", release)
                .with("/environment", environment)
                .with("/sdk/name", "sentry.rust.guardhouse")
                .that("without a dist", |_, item| item.json().get("dist").is_none())
        },
    );
}

#[test]
fn what_is_set_wins_also_in_the_options_of_sentry() {
    both(
        |options| options.release("app@2").environment("beta").dist("77"),
        |event| event.with("/release", "app@2").with("/environment", "beta").with("/dist", "77"),
    );
    both(
        |options| options.sentry(ClientOptions::new().release("app@3").environment("gamma")),
        |event| event.with("/release", "app@3").with("/environment", "gamma"),
    );
}

#[test]
fn through_a_tunnel_the_envelope_says_where_it_belongs() {
    let tunnel = Sentry::start();
    let mut running =
        start(|options| options.tunnel(format!("http://{}/tunnel?a=b", tunnel.address())));
    sentry::capture_message("of main", sentry::Level::Info);
    running.event(1, r#"{"message":"of a page"}"#);
    for message in ["of main", "of a page"] {
        let dsn = running.sentry.dsn();
        tunnel.expect(an_event().with_message(message).with_header("/dsn", dsn).times(1));
    }
    running.finish();
    tunnel.verify();
    assert!(tunnel.requests().iter().all(|request| request.target == "/tunnel?a=b"));
    assert_eq!(running.sentry.requests().len(), 0);
}

#[test]
fn a_renderer_is_called_what_the_application_says() {
    let mut running = start(|options| {
        options.get_renderer_name(|renderer| match renderer.id.as_u128() {
            1 => Some("settings".to_owned()),
            2 => panic!("it knows no second"),
            _ => None,
        })
    });
    for renderer in 1..=3 {
        running.event(renderer, &format!(r#"{{"message":"{renderer}"}}"#));
    }
    for (message, name) in [("1", "settings"), ("2", "page-2"), ("3", "page-3")] {
        running.sentry.expect(an_event().with_message(message).from_process(name).times(1));
    }
    running.finish();
}

#[test]
fn the_application_is_known_in_every_event() {
    both(
        |options| options,
        |event| {
            event
                .with("/contexts/app/app_name", env!("CARGO_PKG_NAME"))
                .with("/contexts/app/app_version", env!("CARGO_PKG_VERSION"))
                .with("/contexts/guardhouse/ipc_namespace", "sentry-ipc")
                .that("with a machine", |_, item| {
                    let contexts = &item.json()["contexts"];
                    ["os", "device", "app", "culture", "runtime"]
                        .iter()
                        .all(|name| contexts.get(name).is_some() || *name == "culture")
                })
        },
    );
    // A message is answered, too.
    let running = start(|options| options);
    let answer = running.post(1, guardhouse_main::Channel::Start, "{}");
    assert!(matches!(answer, MessageAnswer::Taken | MessageAnswer::Refused { .. }), "{answer:?}");
}
