//! Many clients, each with a real dispatcher, and one server that is down for an hour.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use guardhouse_main::losses::Category;
use guardhouse_main::outbox::dispatcher::{
    Answer, Categories, Config, Dispatcher, Outcome, Poll, Queued,
};
use guardhouse_main::outbox::{EntryId, Priority};

/// How long the server is down.
pub(crate) const OUTAGE: Duration = Duration::from_secs(60 * 60);

/// When the clients queue their one envelope.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrivals {
    /// In the first ten seconds, as when the outage itself is what they report.
    Together,
    /// At any time of the outage.
    Scattered,
}

/// What the server saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Requests in vain.
    pub(crate) failed: u64,
    /// Requests in each second after the recovery, all of them answered.
    pub(crate) per_second: Vec<u64>,
}

impl Seen {
    /// The most requests in one second.
    pub(crate) fn peak(&self) -> u64 {
        self.per_second.iter().copied().max().unwrap_or(0)
    }

    /// How many seconds after the recovery this part of all requests had come.
    pub(crate) fn seconds_until(&self, part: f64) -> usize {
        let all: u64 = self.per_second.iter().sum();
        let mut so_far = 0;
        let has_come = |count: &u64| {
            so_far += count;
            so_far as f64 >= all as f64 * part
        };
        self.per_second.iter().position(has_come).map_or(0, |second| second + 1)
    }
}

/// Lets so many clients live through the outage until each has delivered its envelope. Requests take
/// no time.
pub(crate) fn simulate(clients: usize, arrivals: Arrivals, has_jitter: bool) -> Seen {
    let start = Instant::now();
    let recovery = start + OUTAGE;
    let spread = match arrivals {
        Arrivals::Together => Duration::from_secs(10),
        Arrivals::Scattered => OUTAGE,
    };
    let config = Config { has_jitter, ..Config::DEFAULT };
    let mut fleet: Vec<_> =
        (0..clients).map(|seed| Dispatcher::new(config.clone(), seed as u64)).collect();
    let mut agenda: BinaryHeap<_> = (0..clients)
        .map(|client| Reverse((start + spread.mul_f64(client as f64 / clients as f64), client)))
        .collect();

    let mut seen = Seen::default();
    let mut has_queued = vec![false; clients];
    while let Some(Reverse((now, client))) = agenda.pop() {
        let dispatcher = &mut fleet[client];
        if !std::mem::replace(&mut has_queued[client], true) {
            dispatcher.add(now, envelope());
        }
        loop {
            match dispatcher.poll(now) {
                Poll::Wait(until) => {
                    agenda.extend(until.map(|until| Reverse((until, client))));
                    break;
                }
                Poll::Drop(id) => unreachable!("{id:?} is dropped without a limit"),
                Poll::Send { .. } | Poll::SendReport(_) if now < recovery => {
                    seen.failed += 1;
                    dispatcher.handle_outcome(now, Outcome::Failed);
                }
                Poll::Send { .. } | Poll::SendReport(_) => {
                    let second = (now - recovery).as_secs() as usize;
                    if seen.per_second.len() <= second {
                        seen.per_second.resize(second + 1, 0);
                    }
                    seen.per_second[second] += 1;
                    dispatcher.handle_outcome(now, Outcome::Answer(Answer::new(200)));
                }
            }
        }
    }
    assert!(fleet.iter().all(Dispatcher::is_empty), "every envelope was delivered");
    seen
}

fn envelope() -> Queued {
    Queued {
        id: EntryId::new(1),
        priority: Priority::Normal,
        primary: Category::Error.into(),
        secondary: Categories::NONE,
        stored: false,
    }
}
