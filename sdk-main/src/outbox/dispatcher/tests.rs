//! Stories of a dispatcher, a clock that goes on when it should, and a server that does as it is told.

use std::time::Duration;

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::limits::CLIENT_REPORT_BYTES;

use super::*;
use crate::losses::Reason;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A dispatcher and its clock.
struct Story {
    dispatcher: Dispatcher,
    start: Instant,
    now: Instant,
}

impl Story {
    fn new() -> Self {
        Self::with(Config { has_jitter: false, ..Config::DEFAULT })
    }

    fn with(config: Config) -> Self {
        let start = Instant::now();
        Self { dispatcher: Dispatcher::new(config, 1), start, now: start }
    }

    /// Puts an envelope about one category into the queue.
    fn add(&mut self, number: u64, priority: Priority, category: Category) {
        self.add_queued(queued(number, priority, category));
    }

    fn add_queued(&mut self, queued: Queued) {
        self.dispatcher.add(self.now, queued);
    }

    fn event(&mut self, number: u64) {
        self.add(number, Priority::Normal, Category::Error);
    }

    fn stored_event(&mut self, number: u64) {
        self.add_queued(queued(number, Priority::Normal, Category::Error).from_earlier_run());
    }

    fn lose(&mut self, category: Category, quantity: u64) {
        let mut losses = Losses::new();
        losses.count(category, Reason::BeforeSend, quantity);
        self.dispatcher.lose(self.now, &losses);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn passed(&self) -> Duration {
        self.now - self.start
    }

    /// What is sent now.
    #[track_caller]
    fn sent(&mut self) -> u64 {
        match self.dispatcher.poll(self.now) {
            Poll::Send { id, .. } => id.number(),
            other => panic!("an envelope is sent, and not {other:?}"),
        }
    }

    /// What is left out of what is sent now, and the report that goes with it.
    #[track_caller]
    fn sent_with(&mut self) -> (Categories, Option<Losses>) {
        match self.dispatcher.poll(self.now) {
            Poll::Send { without, report, .. } => (without, report),
            other => panic!("an envelope is sent, and not {other:?}"),
        }
    }

    /// How long nothing is to be done.
    #[track_caller]
    fn waits(&mut self) -> Option<Duration> {
        match self.dispatcher.poll(self.now) {
            Poll::Wait(until) => until.map(|until| until - self.now),
            other => panic!("nothing is sent, and not {other:?}"),
        }
    }

    fn answer(&mut self, status: u16) -> Verdict {
        self.dispatcher.handle_outcome(self.now, Outcome::Answer(Answer::new(status)))
    }

    fn answer_limiting(&mut self, status: u16, limits: &str) -> Verdict {
        let answer = Answer { rate_limits: Some(limits), ..Answer::new(status) };
        self.dispatcher.handle_outcome(self.now, Outcome::Answer(answer))
    }

    fn fail(&mut self) {
        let verdict = self.dispatcher.handle_outcome(self.now, Outcome::Failed);
        assert_eq!(verdict, Verdict::Keep);
    }

    /// Lets time pass and the server do as it is told until nothing is left to do, and says what was
    /// sent when.
    fn drive_bounded(
        &mut self,
        mut server: impl FnMut(&Poll, Duration) -> Outcome<'static>,
    ) -> Vec<(u64, Duration)> {
        let mut sent = Vec::new();
        for _ in 0..1000 {
            let poll = self.dispatcher.poll(self.now);
            match poll {
                Poll::Wait(None) => return sent,
                Poll::Wait(Some(until)) => {
                    assert!(until > self.now, "it is no wait");
                    self.now = until;
                    continue;
                }
                Poll::Send { id, .. } => sent.push((id.number(), self.passed())),
                Poll::SendReport(_) => {}
            }
            let outcome = server(&poll, self.passed());
            self.dispatcher.handle_outcome(self.now, outcome);
        }
        panic!("it never comes to rest");
    }
}

fn queued(number: u64, priority: Priority, category: Category) -> Queued {
    Queued {
        id: EntryId::new(number),
        priority,
        primary: category.into(),
        secondary: Categories::NONE,
        stored: false,
    }
}

fn ok(_: &Poll, _: Duration) -> Outcome<'static> {
    Outcome::Answer(Answer::new(200))
}

fn numbers(sent: &[(u64, Duration)]) -> Vec<u64> {
    sent.iter().map(|(number, _)| *number).collect()
}

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

#[test]
fn counts_go_with_the_next_envelope_and_are_taken_back_until_it_is_answered() {
    for (status, is_answered) in [(200, true), (429, true), (413, true), (500, true), (503, false)]
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
        assert_eq!(rest, if is_answered { 1 } else { 3 }, "{status}");
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
