//! Servers that hang, are slow, and callers that do not wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guardhouse_main::outbox::http::{SendErrorKind, Stage as At, Timeouts};
use guardhouse_tests::sentry::{Authority, Sentry, Stage, hang, slowly};

use super::{Client, noise, options, short, upload};

/// Every place where a server can hang, and where we are then.
const STAGES: [(Stage, At); 5] = [
    (Stage::Connection, At::Answer),
    (Stage::Request, At::Answer),
    (Stage::Body, At::Answer),
    (Stage::Answer, At::Answer),
    (Stage::Head, At::Answer),
];

#[test]
fn a_server_that_hangs_at_any_stage_holds_nobody() {
    let sentry = Sentry::start();
    let mut client = Client::new(options(&sentry.dsn()).timeouts(short()));
    for (stage, at) in STAGES {
        sentry.next(hang(stage));
        assert_eq!(client.failure(), SendErrorKind::Timeout(at), "{stage:?}");
        sentry.wait_until_unconnected();
    }
    assert_eq!(client.status(), 200, "it goes on");
}

#[test]
fn a_secure_server_that_hangs_at_any_stage_holds_nobody() {
    let authority = Authority::new();
    let sentry = Sentry::start_tls(&authority);
    let options = options(&sentry.dsn()).authorities(authority.pem().as_bytes()).unwrap();
    let mut client = Client::new(options.timeouts(short()));
    for (stage, at) in STAGES {
        let at = if stage == Stage::Connection { At::Tls } else { at };
        sentry.next(hang(stage));
        assert_eq!(client.failure(), SendErrorKind::Timeout(at), "{stage:?}");
        sentry.wait_until_unconnected();
    }
}

#[test]
fn a_large_body_that_does_not_move_ends() {
    let sentry = Sentry::start();
    let mut client = Client::new(options(&sentry.dsn()).timeouts(short()));
    sentry.next(hang(Stage::Body));
    let error = client.send(upload(&noise(2 << 20))).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Timeout(At::Send), "{error}");
    sentry.wait_until_unconnected();
}

#[test]
fn a_large_body_that_moves_slowly_arrives() {
    let sentry = Sentry::start();
    // All of it takes longer than an exchange may that does not move. It is the pauses that take the
    // time, so that it is no different on a busy machine, and not what the server does with the body.
    let times = Timeouts { total: Duration::from_secs(4), ..short() };
    let mut client = Client::new(options(&sentry.dsn()).timeouts(times));
    sentry.next(slowly(Duration::from_millis(40)));
    let begun = Instant::now();
    assert_eq!(client.send(upload(&noise(4 << 20))).unwrap().status, 200);
    assert!(begun.elapsed() > times.total, "it was not slow: this shows nothing");
}

#[test]
fn an_exchange_that_is_dropped_leaves_no_connection() {
    let sentry = Arc::new(Sentry::start());
    let mut client = Client::of(&sentry);
    for (seen, stage) in (1..).zip([Stage::Answer, Stage::Answer]) {
        sentry.next(hang(stage));
        let arrival = sentry.clone();
        let arrival = guardhouse_process::helper_thread::run(move || drop(arrival.wait_for(seen)));
        let Ok(arrival) = arrival else { panic!("there is no thread") };
        let Client { http, runtime } = &mut client;
        runtime.block_on(async {
            tokio::select! {
                answer = http.send(upload("dropped")) => panic!("{answer:?}"),
                arrived = arrival => arrived.unwrap(),
            }
        });
        // The runtime does nothing here: whatever is left would stay.
        sentry.wait_until_unconnected();
    }
    assert_eq!(client.status(), 200, "it goes on");
}

#[test]
fn an_exchange_that_is_dropped_in_the_middle_of_its_body_leaves_no_connection() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    sentry.next(hang(Stage::Body));
    let large = upload(&noise(2 << 20));
    let Client { http, runtime } = &mut client;
    runtime.block_on(async {
        // The connection stands still long before the body's end.
        let dropped = tokio::time::timeout(Duration::from_millis(300), http.send(large)).await;
        assert!(dropped.is_err());
    });
    sentry.wait_until_unconnected();
    assert_eq!(client.status(), 200, "it goes on");
}

#[test]
fn what_hung_is_closed_when_the_server_recovers() {
    let sentry = Arc::new(Sentry::start());
    let mut client = Client::of(&sentry);
    sentry.from_now_on(hang(Stage::Answer));
    let recovery = {
        let sentry = sentry.clone();
        std::thread::spawn(move || {
            sentry.wait_for(1);
            sentry.recover();
        })
    };
    assert_eq!(client.failure(), SendErrorKind::BrokenOff);
    recovery.join().unwrap();
    assert_eq!(client.status(), 200);
}
