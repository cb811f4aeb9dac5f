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
fn a_429_without_a_word_silences_everything_for_a_minute() {
    let mut story = Story::new();
    story.event(1);
    story.sent();
    assert_eq!(story.answer(429), Verdict::Discard);
    story.add(2, Priority::Crash, Category::Error);
    assert_eq!(story.waits(), Some(MINUTE));
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
