//! What `sentry` itself sends of main tells nothing of the machine either: transactions, logs,
//! metrics, panics, errors with their stacks.

use std::path::Path;

use guardhouse_main::sentry::{self, ClientOptions, Level};
use guardhouse_tests::sentry::{Request, an_event, an_item};

use crate::start;

/// What must not be found in anything.
fn secrets() -> Vec<String> {
    let mut secrets = vec!["/home/".to_owned(), "/Users/".to_owned(), "{{auto}}".to_owned()];
    #[cfg(unix)]
    if let Ok(name) = rustix::system::uname().nodename().to_str()
        && name.len() > 3
        && name != "localhost"
    {
        secrets.push(name.to_owned());
    }
    secrets.extend(
        std::env::home_dir()
            .filter(|home| home.components().count() > 1)
            .map(|home| format!("{}/", home.display())),
    );
    // Short ones are found anywhere; how the user writes is told, and where the executable is, if
    // that is neither below the application's directory nor in a home.
    let executable = std::env::current_exe().unwrap_or_default();
    let is_told = |name: &str, value: &str| {
        ["LANG", "LANGUAGE"].contains(&name)
            || name.starts_with("LC_")
            || name.starts_with("CARGO_PKG")
            || executable.starts_with(value)
    };
    let variables =
        std::env::vars().filter(|(name, value)| value.len() > 12 && !is_told(name, value));
    secrets.extend(variables.map(|(_, value)| value));
    secrets
}

fn text(request: &Request) -> String {
    format!("{:?}\n{}", request.headers, String::from_utf8_lossy(&request.content))
}

#[test]
fn promise_10_what_sentry_sends_of_main_tells_nothing_of_the_machine() {
    let mut running = start(|options| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let sentry = ClientOptions::new().traces_sample_rate(1.0).attach_stacktrace(true);
        options.app_root(root).sentry(sentry)
    });
    sentry::capture_message("message", Level::Info);
    sentry::capture_error(&std::io::Error::other("error"));
    sentry::logger_info!("log");
    sentry::metrics::counter("metric", 1).capture();
    let transaction = sentry::start_transaction(sentry::TransactionContext::new("work", "task"));
    transaction.start_child("db", "write").finish();
    transaction.finish();
    let _ = std::thread::spawn(|| panic!("panic")).join();
    running.event(1, r#"{"message":"page"}"#);
    for kind in ["transaction", "log", "trace_metric"] {
        running.sentry.expect(an_item(kind));
    }
    running.sentry.expect(
        an_event().with_message("panic").that(
            "with frames of the application below its root",
            |_, item| {
                String::from_utf8_lossy(&item.payload).contains("\"app:///tests/tests/features")
            },
        ),
    );
    running.finish();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().display().to_string();
    for request in running.sentry.requests() {
        let text = text(&request);
        for secret in secrets().iter().chain([&root]) {
            let around = text.find(secret.as_str()).map(|at| {
                text.chars()
                    .skip(text[..at].chars().count().saturating_sub(80))
                    .take(200)
                    .collect::<String>()
            });
            assert_eq!(around, None, "{secret:?} leaves the machine");
        }
    }
}

#[test]
fn promise_10_what_main_says_of_requests_is_without_secrets_too() {
    let mut running = start(|options| options.sentry(ClientOptions::new().traces_sample_rate(1.0)));
    let mut breadcrumb = sentry::Breadcrumb { ty: "http".into(), ..sentry::Breadcrumb::default() };
    let url = "https://example.com/?page=1&token=canary";
    breadcrumb.data.insert("url".into(), url.into());
    breadcrumb.data.insert("http.request.header.authorization".into(), "canary".into());
    sentry::add_breadcrumb(breadcrumb.clone());
    guardhouse_main::add_breadcrumb(breadcrumb);
    let request = sentry::protocol::Request {
        url: url.parse().ok(),
        query_string: Some("password=canary&page=1".into()),
        cookies: Some("sid=canary".into()),
        headers: [("Authorization".into(), "canary".into())].into(),
        ..sentry::protocol::Request::default()
    };
    let event = sentry::protocol::Event {
        message: Some("of main".into()),
        request: Some(request),
        ..sentry::protocol::Event::default()
    };
    sentry::capture_event(event);
    let transaction = sentry::start_transaction(sentry::TransactionContext::new("work", "task"));
    transaction.set_data("http.query", "token=canary".into());
    let span = transaction.start_child("http", "GET");
    span.set_data("url", url.into());
    span.finish();
    transaction.finish();
    running.event(1, r#"{"message":"of a page"}"#);
    for message in ["of main", "of a page"] {
        let event = an_event().with_message(message);
        let shown = event.that("with the breadcrumb", |_, item| {
            String::from_utf8_lossy(&item.payload).contains("?page=1&token=[Filtered]")
        });
        running.sentry.expect(shown.times(1));
    }
    running.sentry.expect(an_item("transaction").times(1));
    running.finish();
    for request in running.sentry.requests() {
        let text = text(&request);
        assert!(!text.contains("canary"), "{text}");
    }
}
