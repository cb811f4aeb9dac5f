//! Stories of a dispatcher, a clock that goes on when it should, and a server that does as it is told.

mod limits;
mod order;
mod outages;
mod reports;

use std::time::Duration;

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
        self.add_queued(queued(number, Priority::Normal, Category::Error).of_earlier_run());
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
                Poll::Drop(id) => panic!("{id:?} is not to be dropped"),
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
