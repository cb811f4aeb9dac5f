//! What goes first, and what goes at all.

use super::*;

#[test]
fn crashes_go_first_then_sessions_then_the_oldest() {
    let mut story = Story::new();
    story.event(1);
    story.event(2);
    story.add(3, Priority::Session, Category::Session);
    story.add(4, Priority::Crash, Category::Error);
    story.add(5, Priority::Crash, Category::Error);
    assert_eq!(numbers(&story.drive_bounded(ok)), [4, 5, 3, 1, 2]);
    assert_eq!(story.passed(), Duration::ZERO, "a fresh event does not wait");
    assert!(story.dispatcher.is_empty());
}

#[test]
fn there_is_one_request_at_a_time() {
    let mut story = Story::new();
    story.event(1);
    story.event(2);
    assert_eq!(story.sent(), 1);
    assert_eq!(story.waits(), None);
    assert_eq!(story.dispatcher.in_flight(), Some(EntryId::new(1)));
    assert_eq!(story.answer(200), Verdict::Delivered);
    assert_eq!(story.sent(), 2);
}

#[test]
fn what_earlier_runs_stored_goes_with_space_between_and_lets_fresh_events_pass() {
    let mut story = Story::new();
    story.stored_event(1);
    story.stored_event(2);
    assert_eq!(story.sent(), 1);
    story.event(3);
    story.answer(200);
    assert_eq!(story.sent(), 3);
    story.answer(200);
    assert_eq!(story.waits(), Some(Duration::from_millis(100)));
    story.pass(Duration::from_millis(100));
    story.event(4);
    assert_eq!(story.sent(), 2, "a stream of fresh events does not hold up the old ones");
}

#[test]
fn nothing_goes_while_paused_and_all_of_it_afterwards() {
    let mut story = Story::new();
    story.dispatcher.pause();
    story.event(1);
    story.add(2, Priority::Crash, Category::Error);
    story.lose(Category::Span, 1);
    assert_eq!(story.waits(), None);
    story.pass(HOUR);
    story.dispatcher.hurry(story.now);
    assert_eq!(story.waits(), None);
    story.dispatcher.resume();
    let sent = story.drive_bounded(ok);
    assert_eq!(sent, [(2, HOUR), (1, HOUR + Duration::from_millis(100))]);
}

#[test]
fn what_is_abandoned_is_sent_again_but_never_without_a_pause() {
    let mut story = Story::new();
    story.event(1);
    story.lose(Category::Error, 1);
    for _ in 0..3 {
        assert!(story.sent_with().1.is_some());
        let verdict = story.dispatcher.handle_outcome(story.now, Outcome::Abandoned);
        assert_eq!(verdict, Verdict::Keep);
        assert_eq!(story.dispatcher.unreported().get(Category::Error, Reason::BeforeSend), 1);
        assert!(!story.dispatcher.is_backing_off());
        assert_eq!(story.waits(), Some(Duration::from_millis(100)));
        story.pass(Duration::from_millis(100));
    }
}

#[test]
fn what_is_removed_is_not_sent() {
    let mut story = Story::new();
    story.event(1);
    story.event(2);
    story.dispatcher.remove(EntryId::new(1));
    assert_eq!(story.sent(), 2);
    story.dispatcher.remove(EntryId::new(2));
    story.fail();
    assert!(story.dispatcher.is_empty());
}

#[test]
fn an_outcome_of_nothing_changes_nothing() {
    let mut story = Story::new();
    story.fail();
    story.event(1);
    assert_eq!(story.sent(), 1);
}
