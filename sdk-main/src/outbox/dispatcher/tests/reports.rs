//! How losses are told.

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::limits::CLIENT_REPORT_BYTES;

use super::*;

#[test]
fn counts_go_with_the_next_envelope_and_are_taken_back_until_one_is_taken() {
    for (status, is_taken) in [(200, true), (429, false), (413, false), (500, false), (503, false)]
    {
        let mut story = Story::new();
        story.lose(Category::Error, 2);
        story.event(1);
        let (_, report) = story.sent_with();
        assert_eq!(report.map(|it| it.get(Category::Error, Reason::BeforeSend)), Some(2));
        assert!(story.dispatcher.unreported().is_empty());
        story.lose(Category::Error, 1);
        story.answer(status);
        let rest = story.dispatcher.unreported().get(Category::Error, Reason::BeforeSend);
        assert_eq!(rest, if is_taken { 1 } else { 3 }, "{status}");
    }
}

#[test]
fn counts_go_alone_after_a_while() {
    let mut story = Story::new();
    story.lose(Category::Error, 1);
    story.pass(Duration::from_secs(20));
    story.lose(Category::Error, 1);
    assert_eq!(story.waits(), Some(Duration::from_secs(10)));
    story.pass(Duration::from_secs(10));
    let Poll::SendReport(report) = story.dispatcher.poll(story.now) else { panic!("it is time") };
    assert_eq!(report.get(Category::Error, Reason::BeforeSend), 2);
    assert_eq!(story.answer(400), Verdict::Lose(Reason::SendError));
    assert_eq!(story.waits(), None, "a refused report is no loss");
}

#[test]
fn a_report_that_fails_backs_off_like_everything() {
    let mut story = Story::new();
    story.lose(Category::Error, 1);
    let mut tries = 0;
    story.drive_bounded(|_, passed| {
        tries += 1;
        if passed < 24 * HOUR { Outcome::Failed } else { Outcome::Answer(Answer::new(200)) }
    });
    assert!(tries < 50, "{tries}");
    assert!(story.dispatcher.unreported().is_empty());
}

#[test]
fn no_report_goes_while_reports_are_limited() {
    let mut story = Story::new();
    story.event(1);
    story.sent();
    story.answer_limiting(200, "600:internal:key");
    story.lose(Category::Error, 1);
    story.event(2);
    assert_eq!(story.sent_with().1, None);
    story.answer(200);
    assert_eq!(story.waits(), Some(10 * MINUTE));
    story.pass(10 * MINUTE);
    assert!(matches!(story.dispatcher.poll(story.now), Poll::SendReport(_)));
}

#[test]
fn no_report_is_larger_than_sentry_takes() {
    let mut story = Story::new();
    let mut losses = Losses::new();
    for &category in Category::ALL {
        for &reason in Reason::ALL {
            losses.count(category, reason, u64::MAX);
        }
    }
    story.dispatcher.lose(story.now, &losses);
    let mut reported = Losses::new();
    story.drive_bounded(|poll, _| {
        let Poll::SendReport(report) = poll else { panic!("there is nothing else") };
        let json = report.to_json(Timestamp::from_unix(1_700_000_000, 123_456_789));
        assert!(json.text().len() <= CLIENT_REPORT_BYTES, "{}", json.text().len());
        reported.add(report);
        Outcome::Answer(Answer::new(200))
    });
    assert_eq!(reported, losses);
}
