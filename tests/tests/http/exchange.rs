//! Requests, answers, and the connection between them.

use std::time::Duration;

use guardhouse_main::outbox::http::{
    HttpOptions, Proxies, SendErrorKind, Target, Timeouts, Upload,
};
use guardhouse_tests::sentry::{
    Behaviour, Sentry, Stage, an_event, bad_json, hang, rate_limit, redirect, reset, retry_after,
    status,
};

use super::{Client, noise, options, short, upload};

#[test]
fn an_envelope_arrives_as_sentry_wants_it() {
    let sentry = Sentry::start();
    sentry.expect(an_event().with_message("hello").times(1).only());
    assert_eq!(Client::of(&sentry).status(), 200);
    sentry.verify();
    let request = &sentry.requests()[0];
    assert_eq!(request.target, "/api/42/envelope/");
    let agent = request.header("User-Agent").unwrap();
    assert_eq!(agent, concat!("guardhouse/", env!("CARGO_PKG_VERSION")));
    let sent: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(sent, ["host", "user-agent", "content-type", "x-sentry-auth", "content-length"]);
}

#[test]
fn a_tunnel_gets_the_envelope_and_no_key() {
    let sentry = Sentry::start();
    let target = Target::tunnel(&format!("http://{}/tunnel?a=b", sentry.address())).unwrap();
    let mut client = Client::new(HttpOptions::new(target).proxies(Proxies::none()));
    let header =
        "{\"sent_at\":\"2026-11-20T18:54:36Z\",\"dsn\":\"https://public@example.com/42\"}\n";
    let upload = Upload::new(header).then("{\"type\":\"event\"}\n{}\n");
    assert_eq!(client.send(upload).unwrap().status, 200);
    sentry.verify();
    let request = &sentry.requests()[0];
    assert_eq!(request.target, "/tunnel?a=b");
    assert_eq!(request.header("X-Sentry-Auth"), None);
}

#[test]
fn a_connection_is_used_for_all_envelopes() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    for _ in 0..3 {
        assert_eq!(client.status(), 200);
    }
    assert_eq!(sentry.connections(), 1);
    client.http.disconnect();
    sentry.wait_until_unconnected();
    assert_eq!(client.status(), 200);
    assert_eq!(sentry.connections(), 2);
    assert_eq!(sentry.duplicates().len(), 1, "the mock notices that it was the same event");
}

#[test]
fn a_connection_that_the_server_closed_is_made_anew() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    for _ in 0..3 {
        assert_eq!(client.status(), 200);
        sentry.close_connections();
    }
    assert_eq!(sentry.connections(), 3);
    assert_eq!(sentry.requests().len(), 3);
}

#[test]
fn an_envelope_that_the_server_may_have_taken_is_not_sent_again_by_itself() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    assert_eq!(client.status(), 200);
    for behaviour in [Behaviour::ResetAtOnce, reset()] {
        sentry.next(behaviour);
        assert_eq!(client.failure(), SendErrorKind::BrokenOff);
    }
    assert_eq!(sentry.requests().len(), 2, "the one that was read before the reset counts");
    assert_eq!(client.status(), 200, "it goes on");
}

#[test]
fn what_the_server_says_is_handed_on() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    sentry.next(rate_limit("60:error:organization").with_header("X-Sentry-Rate-Limits", "2.5::x"));
    let answer = client.send(upload("limited")).unwrap();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.rate_limits.as_deref(), Some("60:error:organization, 2.5::x"));
    assert_eq!(answer.retry_after, None);

    sentry.next(retry_after("2"));
    let answer = client.send(upload("later")).unwrap();
    assert_eq!((answer.status, answer.retry_after.as_deref()), (429, Some("2")));

    for number in [413, 500, 503, 400, 204] {
        sentry.next(status(number));
        assert_eq!(client.status(), number);
    }
    sentry.next(bad_json());
    assert_eq!(client.status(), 200, "what stands in the body is nobody's business");
    assert_eq!(sentry.connections(), 1);
}

#[test]
fn a_redirect_is_an_answer_and_not_followed() {
    let (sentry, other) = (Sentry::start(), Sentry::start());
    sentry.next(redirect(&format!("http://{}/api/42/envelope/", other.address())));
    assert_eq!(Client::of(&sentry).status(), 307);
    assert_eq!(other.connections(), 0);
}

#[test]
fn a_server_that_is_not_there_is_found_when_it_is_back() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    assert_eq!(client.status(), 200);
    sentry.refuse_connections();
    for _ in 0..2 {
        let error = client.send(upload("nobody")).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Connect);
        assert!(error.is_network() && error.to_string().contains("check the network"), "{error}");
    }
    sentry.recover();
    assert_eq!(client.status(), 200);
}

#[test]
fn a_host_that_does_not_exist_is_said_to_have_no_address() {
    let error = Client::new(options("http://public@sentry.invalid/42")).failure();
    assert_eq!(error, SendErrorKind::Resolve);
}

#[test]
fn what_is_no_server_of_sentry_is_not_listened_to_for_long() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    for behaviour in [Behaviour::HugeHead, Behaviour::Garbage] {
        sentry.next(behaviour);
        assert_eq!(client.failure(), SendErrorKind::NotHttp);
    }
    assert_eq!(client.status(), 200);
}

#[test]
fn an_answer_counts_though_its_body_does_not_end() {
    let sentry = Sentry::start();
    let mut client = Client::new(options(&sentry.dsn()).timeouts(short()));
    for behaviour in [Behaviour::EndlessAnswer, hang(Stage::AnswerBody)] {
        sentry.next(behaviour);
        assert_eq!(client.status(), 200);
        sentry.wait_until_unconnected();
    }
}

#[test]
fn a_refusal_counts_before_everything_was_sent_and_a_success_does_not() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    let large = noise(2 << 20);
    sentry.next(status(413).early());
    assert_eq!(client.send(upload(&large)).unwrap().status, 413);
    sentry.next(status(200).early());
    let error = client.send(upload(&large)).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::BrokenOff, "{error}");
    sentry.wait_until_unconnected();
}

#[test]
fn neither_errors_nor_debug_output_hold_the_key() {
    let sentry = Sentry::start();
    let dsn = sentry.dsn().replace("public", "thekey:thesecret");
    sentry.refuse_connections();
    let mut client = Client::new(options(&dsn));
    let error = client.send(upload("x")).unwrap_err();
    let shown = format!("{error} {error:?} {:?} {:?}", client.http, options(&dsn));
    assert!(!shown.contains("thekey") && !shown.contains("thesecret"), "{shown}");
}

#[test]
fn times_without_end_are_no_reason_to_panic() {
    let sentry = Sentry::start();
    let forever = Timeouts { connect: Duration::MAX, total: Duration::MAX, slowest: 0 };
    assert_eq!(Client::new(options(&sentry.dsn()).timeouts(forever)).status(), 200);
}

/// Whoever drives it may do so as a task of any runtime.
#[test]
fn an_exchange_can_be_moved_between_threads() {
    fn is_send(_: &impl Send) {}
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    is_send(&client.http);
    is_send(&client.http.send(upload("x")));
}
