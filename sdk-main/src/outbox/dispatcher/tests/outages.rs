//! When the server cannot be reached.

use super::*;

#[test]
fn after_an_outage_one_envelope_tries_and_the_others_follow_with_space_between() {
    let mut story = Story::new();
    for number in 1..=3 {
        story.event(number);
    }
    let server = |_: &Poll, passed| {
        if passed < MINUTE { Outcome::Failed } else { Outcome::Answer(Answer::new(200)) }
    };
    let sent = story.drive_bounded(server);
    let seconds: Vec<_> = sent.iter().map(|(_, at)| at.as_secs_f64()).collect();
    assert_eq!(seconds, [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 63.1, 63.2]);
    assert_eq!(numbers(&sent), [1, 1, 1, 2, 2, 2, 3, 1, 2]);
}

#[test]
fn a_crash_cuts_a_long_backoff_short_once() {
    let mut story = Story::new();
    story.event(1);
    for _ in 0..11 {
        story.sent();
        story.fail();
        let wait = story.waits().expect("it is tried again");
        story.pass(wait);
    }
    story.sent();
    story.fail();
    story.pass(MINUTE);
    story.add(2, Priority::Crash, Category::Error);
    assert_eq!(story.sent(), 2);
    story.fail();
    story.pass(MINUTE);
    story.add(3, Priority::Crash, Category::Error);
    assert!(story.waits().is_some_and(|wait| wait > 30 * MINUTE));
}

#[test]
fn a_hurry_is_one_attempt_now() {
    let mut story = Story::new();
    story.event(1);
    for _ in 0..12 {
        story.sent();
        story.fail();
        let wait = story.waits().expect("it is tried again");
        story.pass(wait);
    }
    story.sent();
    story.fail();
    for _ in 0..100 {
        story.dispatcher.hurry(story.now);
    }
    assert_eq!(story.waits(), Some(Duration::from_secs(5)));
    story.pass(MINUTE);
    story.dispatcher.hurry(story.now);
    assert_eq!(story.sent(), 1);
}

#[test]
fn an_envelope_that_never_gets_through_does_not_stand_in_the_way() {
    let mut story = Story::new();
    story.add(1, Priority::Crash, Category::Error);
    story.add(2, Priority::Crash, Category::Error);
    for number in 3..=20 {
        story.event(number);
    }
    let mut delivered = Vec::new();
    let mut tries = 0;
    let server = |poll: &Poll, passed: Duration| match poll {
        Poll::Send { id, .. } if id.number() <= 2 && passed < 24 * HOUR => {
            tries += 1;
            Outcome::Failed
        }
        Poll::Send { id, .. } => {
            delivered.push((id.number(), passed));
            Outcome::Answer(Answer::new(200))
        }
        _ => Outcome::Answer(Answer::new(200)),
    };
    story.drive_bounded(server);
    let (others, large) = delivered.split_at(18);
    assert_eq!(numbers(others), (3..=20).collect::<Vec<_>>());
    assert!(others.iter().all(|(_, at)| *at < 5 * MINUTE), "{others:?}");
    assert_eq!(large.len(), 2, "and it is not given up either");
    assert!(tries < 150, "{tries} is once an hour in the end");
}
