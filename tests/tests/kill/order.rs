//! What waited on disk is sent at the next start, the urgent first.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{World, book};

/// More than is taken over from a dead run at once.
const EVENTS: u64 = 40;

#[test]
fn what_waited_is_sent_at_the_next_start_crashes_and_sessions_before_the_rest() {
    let world = World::new();
    world.sentry.refuse_connections();
    let mut life = world.start(&["--shutdown", "20000"]);
    for number in 0..EVENTS {
        let id = format!("{number:032x}");
        life.report(1, &id);
        assert!(life.hear_of(&id), "it died");
    }
    life.panic("crash");
    assert!(life.hear_of("crash"), "it died");
    life.kill();

    let restarted = seconds();
    world.sentry.recover();
    let mut next = world.start(&[]);
    next.tell("close 50000");
    assert!(next.hear_until("closed true"), "not everything was sent");
    next.end();

    let requests = world.sentry.requests();
    book::check_form(&requests, "the next start");
    let kinds: Vec<&str> = requests.iter().map(|request| kind(&book::marks(request))).collect();
    let is_normal = |kind: &&str| *kind == "normal";
    let first_normal = kinds.iter().position(is_normal).expect("the events were sent");
    assert_eq!(kinds[0], "crash", "{kinds:?}");
    assert!(kinds[1..first_normal].iter().all(|kind| *kind == "session"), "{kinds:?}");
    // Only the end of the new run may come later.
    let later = kinds[first_normal..].iter().filter(|kind| !is_normal(kind)).count();
    assert!(later <= 1, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| is_normal(kind)).count() as u64, EVENTS, "{kinds:?}");

    for request in &requests {
        let envelope = request.envelope.as_ref().expect("it has the right form");
        let sent = envelope.header["sent_at"].as_str().expect("it has the right form");
        let sent = unix(sent);
        assert!(sent >= restarted - 1.0 && sent <= seconds() + 1.0, "it is the time of sending");
    }
    assert!(world.left_behind().is_empty(), "{:?}", world.left_behind());
}

/// What decides when it is sent.
fn kind(marks: &[String]) -> &'static str {
    if marks.iter().any(|mark| mark == "crash") {
        "crash"
    } else if marks.iter().any(|mark| mark.starts_with("session")) {
        "session"
    } else {
        "normal"
    }
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs_f64()
}

/// A time as seconds since 1970.
fn unix(text: &str) -> f64 {
    guardhouse_protocol::Timestamp::parse_rfc3339(text).expect("it is a time").as_seconds()
}
