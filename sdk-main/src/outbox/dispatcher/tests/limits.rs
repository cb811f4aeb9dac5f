//! What Sentry asked to be spared of.

use super::*;

#[test]
fn a_limited_envelope_stays_and_others_pass_it() {
    let mut story = Story::new();
    story.event(1);
    story.event(2);
    story.add(3, Priority::Normal, Category::Feedback);
    assert_eq!(story.sent(), 1);
    assert_eq!(story.answer_limiting(200, "60:error:organization"), Verdict::Delivered);
    assert_eq!(story.sent(), 3);
    story.answer(200);
    assert_eq!(story.waits(), Some(MINUTE));
    story.event(4);
    assert_eq!(story.waits(), Some(MINUTE));
    let sent = story.drive_bounded(ok);
    let spaced = MINUTE + Duration::from_millis(100);
    assert_eq!(sent, [(2, MINUTE), (4, spaced)], "what was held back is sent with space between");
}

#[test]
fn the_longest_limit_holds() {
    let mut story = Story::new();
    for number in 1..=3 {
        story.event(number);
        assert_eq!(story.sent(), number);
        // Later and shorter, or longer: the end that is later holds.
        story.answer_limiting(200, "0.5:error:key");
        story.pass(Duration::from_millis(500));
    }
    story.event(4);
    assert_eq!(story.sent(), 4);
    story.answer_limiting(429, "100:error:key, 10::key, 20:error:key");
    story.event(5);
    assert_eq!(story.waits(), Some(Duration::from_secs(100)));
    story.add(6, Priority::Normal, Category::Feedback);
    assert_eq!(story.waits(), Some(Duration::from_secs(10)));
}

#[test]
fn limits_are_read_on_any_answer_even_one_that_keeps_the_envelope() {
    let mut story = Story::new();
    story.event(1);
    story.sent();
    let answer = Answer { retry_after: Some("120"), ..Answer::new(503) };
    let verdict = story.dispatcher.handle_outcome(story.now, Outcome::Answer(answer));
    assert_eq!(verdict, Verdict::Keep);
    assert_eq!(story.waits(), Some(2 * MINUTE));
    story.pass(MINUTE);
    story.dispatcher.hurry(story.now);
    assert_eq!(story.waits(), Some(MINUTE), "no hurry ends a limit");
}

#[test]
fn a_429_of_a_proxy_keeps_the_envelope_and_silences_everything_for_a_minute() {
    let mut story = Story::new();
    story.event(1);
    story.sent();
    assert_eq!(story.answer(429), Verdict::Keep);
    story.add(2, Priority::Crash, Category::Error);
    assert_eq!(story.waits(), Some(MINUTE));
    let sent = story.drive_bounded(ok);
    assert_eq!(numbers(&sent), [2, 1]);
    assert_eq!(sent[0].1, MINUTE);
}

#[test]
fn a_429_of_a_proxy_waits_as_long_as_it_says() {
    let mut story = Story::new();
    story.event(1);
    story.sent();
    let answer = Answer { retry_after: Some("7"), ..Answer::new(429) };
    let verdict = story.dispatcher.handle_outcome(story.now, Outcome::Answer(answer));
    assert_eq!(verdict, Verdict::Keep);
    assert_eq!(story.drive_bounded(ok), [(1, Duration::from_secs(7))]);
}

#[test]
fn a_429_of_sentry_takes_what_got_it_and_nothing_that_waits_behind() {
    let mut story = Story::new();
    story.event(1);
    story.event(2);
    story.sent();
    assert_eq!(story.answer_limiting(429, "60:error:organization"), Verdict::Discard);
    assert_eq!(story.drive_bounded(ok), [(2, MINUTE)]);
}

#[test]
fn crashes_and_sessions_that_got_a_429_of_sentry_go_when_the_limit_is_over() {
    for (priority, category) in
        [(Priority::Crash, Category::Error), (Priority::Session, Category::Session)]
    {
        let mut story = Story::new();
        story.add(1, priority, category);
        story.add(2, Priority::Normal, Category::Feedback);
        story.sent();
        let limits = format!("60:{}:key", category.name());
        assert_eq!(story.answer_limiting(429, &limits), Verdict::Keep);
        assert!(!story.dispatcher.is_backing_off(), "Sentry was reached");
        assert_eq!(story.drive_bounded(ok), [(2, Duration::ZERO), (1, MINUTE)]);
    }
}

#[test]
fn a_429_of_sentry_that_limits_something_else_is_not_answered_by_a_crash_at_once_for_ever() {
    for limits in ["60:transaction:key", "0:error:key", "0.001::key", "60:something_new"] {
        let mut story = Story::new();
        story.add(1, Priority::Crash, Category::Error);
        let mut refused = 0;
        let sent = story.drive_bounded(|_, passed| {
            let rate_limits = Some(limits).filter(|_| passed < 24 * HOUR);
            refused += u32::from(rate_limits.is_some());
            let status = if rate_limits.is_some() { 429 } else { 200 };
            Outcome::Answer(Answer { rate_limits, ..Answer::new(status) })
        });
        assert!(refused < 50, "{limits}: {refused}");
        assert!(sent.last().is_some_and(|(_, at)| *at < 26 * HOUR), "{limits}");
    }
}

#[test]
fn bulk_that_sentry_limits_is_dropped_and_all_else_waits() {
    for &category in Category::ALL {
        let mut story = Story::new();
        story.event(1);
        story.sent();
        story.answer_limiting(200, "86400::organization:quota");
        story.add(2, Priority::Normal, category);
        let poll = story.dispatcher.poll(story.now);
        let held = story.dispatcher.held_until(story.now, EntryId::new(2));
        if Categories::BULK.contains(category) {
            assert_eq!(poll, Poll::Drop(EntryId::new(2)), "{category}");
            assert_eq!(held, None, "it is gone");
            assert_eq!(story.waits(), None, "{category}");
        } else {
            assert_eq!(poll, Poll::Wait(Some(story.now + 24 * HOUR)), "{category}");
            assert_eq!(held, Some(story.now + 24 * HOUR), "{category}");
        }
    }
}

#[test]
fn bulk_is_not_dropped_for_what_may_be_a_proxy() {
    for answer in [Answer::new(429), Answer { retry_after: Some("60"), ..Answer::new(503) }] {
        let mut story = Story::new();
        story.add(1, Priority::Normal, Category::Transaction);
        story.sent();
        let verdict = story.dispatcher.handle_outcome(story.now, Outcome::Answer(answer));
        assert_eq!(verdict, Verdict::Keep);
        story.add(2, Priority::Normal, Category::LogItem);
        assert_eq!(story.waits(), Some(MINUTE));
        assert_eq!(story.dispatcher.held_until(story.now, EntryId::new(2)), None);
        assert_eq!(numbers(&story.drive_bounded(ok)), [1, 2]);
    }
}

#[test]
fn bulk_that_is_limited_is_left_out_of_what_holds_something_else() {
    use Category::{Error, LogByte, LogItem, Profile, Session, TraceMetric, Transaction};
    let set = |categories: &[Category]| categories.iter().copied().collect::<Categories>();
    let metrics = [TraceMetric, Category::TraceMetricByte];
    // Primary, secondary, and what is left out: nothing if all of it is dropped.
    type Row<'a> = (&'a [Category], &'a [Category], Option<&'a [Category]>);
    let table: &[Row<'_>] = &[
        (&[Transaction], &[Session], Some(&[Transaction])),
        (&[Transaction, Error], &[], Some(&[Transaction])),
        (&[Transaction], &[Profile], None),
        (&[LogItem, LogByte], &[], None),
        (&[LogItem, LogByte, metrics[0], metrics[1]], &[], Some(&[LogItem, LogByte])),
        (&[Error], &[Category::Attachment], Some(&[])),
    ];
    for (primary, secondary, left_out) in table {
        let mut story = Story::new();
        story.event(1);
        story.sent();
        story.answer_limiting(200, "60:transaction;log_byte:key");
        let (primary, secondary) = (set(primary), set(secondary));
        story.add_queued(Queued { primary, secondary, ..queued(2, Priority::Normal, Error) });
        match left_out {
            Some(left_out) => assert_eq!(story.sent_with().0, set(left_out), "{primary:?}"),
            None => assert_eq!(story.dispatcher.poll(story.now), Poll::Drop(EntryId::new(2))),
        }
    }
}

#[test]
fn a_limit_that_is_over_drops_nothing() {
    let mut story = Story::new();
    story.event(1);
    story.sent();
    story.answer_limiting(200, "60:transaction:key");
    story.dispatcher.pause();
    story.add(2, Priority::Normal, Category::Transaction);
    assert_eq!(story.waits(), None, "nothing is given up before the user has agreed");
    story.pass(MINUTE);
    story.dispatcher.resume();
    assert_eq!(numbers(&story.drive_bounded(ok)), [2]);
}

#[test]
fn limited_attachments_are_left_behind() {
    let mut story = Story::new();
    let secondary: Categories = [Category::Attachment, Category::Session].into_iter().collect();
    story.event(1);
    story.sent();
    story.answer_limiting(200, "60:attachment;profile:key");
    story.add_queued(Queued { secondary, ..queued(2, Priority::Crash, Category::Error) });
    let (without, _) = story.sent_with();
    assert_eq!(without, Category::Attachment.into());
    story.fail();
    story.pass(MINUTE);
    assert_eq!(story.sent_with().0, Categories::NONE, "by now they may go");
}
