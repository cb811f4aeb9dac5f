//! The mock Sentry says what arrived, and notices what is wrong with it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use guardhouse_tests::sentry::{Sentry, a_client_report, a_session, an_event, status};

const SENT: &str = "{\"sent_at\":\"2026-11-20T18:54:36.5Z\",\"event_id\":\"1234\"}\n";
const EVENT: &str = "{\"type\":\"event\"}\n{\"message\":\"hello\",\"tags\":[[\"event.process\",\"renderer\"]],\
    \"breadcrumbs\":{\"values\":[{\"message\":\"clicked\"}]}}\n";
const REPORT: &str = "{\"type\":\"client_report\"}\n{\"discarded_events\":[\
    {\"category\":\"error\",\"reason\":\"before_send\",\"quantity\":2}]}\n";

/// Sends a request in the plainest way; what was answered.
fn post(sentry: &Sentry, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(sentry.address()).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         X-Sentry-Auth: Sentry sentry_key=public, sentry_version=7, sentry_client=test\r\n\
         Content-Type: application/x-sentry-envelope\r\nContent-Length: {length}\r\n\r\n{body}",
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn project(sentry: &Sentry, items: &str) -> String {
    post(sentry, "/api/42/envelope/", &format!("{SENT}{items}"))
}

/// What `verify` complains of.
fn complaint(sentry: &Sentry) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| sentry.verify())).unwrap_err();
    *panic.downcast::<String>().unwrap()
}

#[test]
fn what_is_expected_is_recognised() {
    let sentry = Sentry::start();
    sentry.expect(
        an_event().with_message("hello").from_process("renderer").with_breadcrumb("clicked").only(),
    );
    sentry.expect(a_client_report().of("error", "before_send", 2).times(1));
    assert!(project(&sentry, &format!("{EVENT}{REPORT}")).contains("{\"id\":\"1234\"}"));
    sentry.verify();
    assert_eq!(sentry.lost("error", "before_send"), 2);
    assert_eq!(sentry.lost("error", "sample_rate"), 0);
}

#[test]
fn a_failed_expectation_shows_what_did_arrive() {
    let sentry = Sentry::start();
    sentry.expect(an_event().with_message("hello").times(1));
    project(&sentry, EVENT);
    project(&sentry, EVENT);
    let complaint = complaint(&sentry);
    assert!(complaint.contains("an item of type event, with the message \"hello\", 1 times"));
    assert!(complaint.contains("2 arrived") && complaint.contains("clicked"), "{complaint}");
    assert_eq!(sentry.duplicates(), ["1234"]);
}

#[test]
fn others_of_the_same_type_are_noticed() {
    let sentry = Sentry::start();
    sentry.expect(a_session().with_status("exited").only());
    project(&sentry, "{\"type\":\"session\"}\n{\"status\":\"exited\"}\n");
    sentry.verify();
    project(&sentry, "{\"type\":\"session\"}\n{\"status\":\"ok\"}\n");
    assert!(complaint(&sentry).contains("1 others"));
}

#[test]
fn what_was_not_taken_is_not_there() {
    let sentry = Sentry::start();
    sentry.expect(an_event().times(1));
    sentry.next(status(500));
    project(&sentry, EVENT);
    project(&sentry, EVENT);
    sentry.verify();
    assert_eq!(sentry.duplicates().len(), 0);
}

#[test]
fn what_sentry_would_not_take_is_a_fault() {
    let cases = [
        ("/api/42/envelope/", "{}\n{\"type\":\"event\"}\n{}\n".to_owned(), "sent_at"),
        ("/api/42/envelope/", format!("{SENT}{{}}\n{{}}\n"), "no type"),
        ("/api/42/envelope/", format!("{SENT}{{\"length\":9}}\n{{}}\n"), "shorter"),
        ("/api/42/envelope/", format!("{SENT}{{\"length\":1}}\n{{}}\n"), "longer"),
        ("/api/42/envelope/", "[]\n".to_owned(), "no object"),
        ("/tunnel", SENT.to_owned(), "no dsn"),
    ];
    for (path, body, fault) in cases {
        let sentry = Sentry::start();
        assert!(post(&sentry, path, &body).starts_with("HTTP/1.1 400"), "{fault}");
        assert!(complaint(&sentry).contains(fault), "{fault}");
    }
}

#[test]
fn it_comes_back_at_the_same_port() {
    let sentry = Sentry::start();
    for round in 1..20 {
        sentry.refuse_connections();
        assert!(TcpStream::connect(sentry.address()).is_err());
        sentry.recover();
        project(&sentry, EVENT);
        assert_eq!(sentry.requests().len(), round);
    }
}
