//! A driver and everything around it, with a clock that goes on when it should, and rules that are
//! checked at every step.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use guardhouse_main::losses::{Category, Losses, Reason};
use guardhouse_main::outbox::dispatcher::{
    Answer, Categories, Config, Dispatcher, Outcome, Poll, Queued, Verdict,
};
use guardhouse_main::outbox::{EntryId, Priority};

use crate::server::{Fate, Given, Reply};

const ALL: Categories = Categories::ALL;

/// What is given up while Sentry limits it.
const BULK: [Category; 10] = [
    Category::Transaction,
    Category::Span,
    Category::LogItem,
    Category::LogByte,
    Category::TraceMetric,
    Category::TraceMetricByte,
    Category::Profile,
    Category::ProfileChunk,
    Category::Replay,
    Category::Attachment,
];

/// What an envelope with these waits for.
fn awaited(categories: Categories) -> Categories {
    categories.iter().filter(|category| !BULK.contains(category)).collect()
}

/// What is held back while these are limited: logs and metrics are limited by number and by size.
fn held_back(limited: Categories) -> Categories {
    let is_held = |category: &Category| {
        let twin = match category {
            Category::LogItem => Category::LogByte,
            Category::LogByte => Category::LogItem,
            Category::TraceMetric => Category::TraceMetricByte,
            Category::TraceMetricByte => Category::TraceMetric,
            other => *other,
        };
        limited.contains(*category) || limited.contains(twin)
    };
    ALL.iter().filter(is_held).collect()
}

/// Something that happens by itself.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Arrival(Arrival),
    Loss(Category, Reason, u64),
    /// The spool evicts the newest envelope, unless it is on its way.
    Eviction,
    Pause,
    Resume,
    Hurry,
}

/// An envelope that comes into the queue.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) priority: Priority,
    pub(crate) primary: Categories,
    pub(crate) secondary: Categories,
    pub(crate) is_stored: bool,
    /// Too large for the line: it fails until the very end.
    pub(crate) is_heavy: bool,
}

/// How the server behaves for a while.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) lasts: Duration,
    /// One after the other.
    pub(crate) replies: Vec<Reply>,
}

struct Envelope {
    arrival: Arrival,
    failures: u32,
}

pub(crate) struct World {
    dispatcher: Dispatcher,
    now: Instant,
    start: Instant,
    events: Vec<(Duration, Event)>,
    phases: Vec<Phase>,
    is_paused: bool,
    arrived: u64,
    /// What is in the spool.
    spool: BTreeMap<EntryId, Envelope>,
    given: Given,
    last_outcome: Option<Instant>,
    /// How often the server was not reached since it last was, when that began, and how often
    /// somebody was in a hurry meanwhile.
    outage: Option<(u32, Instant, u32)>,
    polls: u64,
    sent: u64,
    dropped: u64,
    happened: u64,
    /// All that was ever lost, and all that was told in answered requests.
    lost: Losses,
    reported: Losses,
}

impl World {
    pub(crate) fn new(seed: u64, mut events: Vec<(Duration, Event)>, phases: Vec<Phase>) -> Self {
        events.sort_by_key(|(at, _)| *at);
        let last = events.last().map_or(Duration::ZERO, |(at, _)| *at);
        events.push((last, Event::Resume));
        events.reverse();
        let now = Instant::now();
        Self {
            dispatcher: Dispatcher::new(Config::default(), seed),
            now,
            start: now,
            events,
            phases,
            is_paused: false,
            arrived: 0,
            spool: BTreeMap::new(),
            given: Given::default(),
            last_outcome: None,
            outage: None,
            polls: 0,
            sent: 0,
            dropped: 0,
            happened: 0,
            lost: Losses::new(),
            reported: Losses::new(),
        }
    }

    /// Runs until there is nothing left to do, and checks that all is well then.
    pub(crate) fn run(mut self, durations: &[Duration]) {
        let mut durations = durations.iter().cycle();
        loop {
            self.happen();
            self.polls += 1;
            let wakes = self.happened + self.sent + self.dropped;
            assert!(self.polls <= 3 * wakes + 3, "{} polls for {wakes} reasons", self.polls);
            let poll = self.dispatcher.poll(self.now);
            let (id, without, report) = match poll {
                Poll::Wait(until) => {
                    assert!(until.is_none_or(|until| until > self.now), "it is no wait");
                    let event = self.events.last().map(|(at, _)| self.start + *at);
                    let Some(next) = until.into_iter().chain(event).min() else { break };
                    self.now = self.now.max(next);
                    continue;
                }
                Poll::Drop(id) => {
                    self.drop_envelope(id);
                    continue;
                }
                Poll::Send { id, without, report } => {
                    self.check_envelope(id, without);
                    (Some(id), without, report)
                }
                Poll::SendReport(report) => (None, Categories::NONE, Some(report)),
            };
            self.check_request(report.as_ref());
            self.sent += 1;
            assert!(self.sent < 10_000, "it never comes to rest");
            let answered = self.now + *durations.next().expect("they go round");
            while self.events.last().is_some_and(|(at, _)| self.start + *at <= answered) {
                self.now = self.now.max(self.start + self.events[self.events.len() - 1].0);
                self.happen();
                assert_eq!(self.dispatcher.poll(self.now), Poll::Wait(None), "one at a time");
            }
            self.now = answered;
            self.answer(id, without, report);
        }
        assert!(self.spool.is_empty(), "everything left when the server was well again");
        assert!(self.dispatcher.is_empty());
        assert!(self.dispatcher.unreported().is_empty());
        assert_eq!(self.reported, self.lost, "every loss is in exactly one report that was taken");
    }

    /// Lets happen what should have by now.
    fn happen(&mut self) {
        while let Some((_, event)) = self.events.pop_if(|(at, _)| self.start + *at <= self.now) {
            self.happened += 1;
            match event {
                Event::Arrival(arrival) => self.arrive(arrival),
                Event::Loss(category, reason, quantity) => self.lose(category, reason, quantity),
                Event::Eviction => {
                    let newest = self.spool.keys().next_back().copied();
                    if let Some(id) = newest.filter(|id| self.dispatcher.in_flight() != Some(*id)) {
                        self.spool.remove(&id);
                        self.dispatcher.remove(id);
                        self.lose(Category::Error, Reason::CacheOverflow, 1);
                    }
                }
                Event::Pause => {
                    self.is_paused = true;
                    self.dispatcher.pause();
                }
                Event::Resume => {
                    self.is_paused = false;
                    self.dispatcher.resume();
                }
                Event::Hurry => {
                    self.count_hurry();
                    self.dispatcher.hurry(self.now);
                }
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        self.arrived += 1;
        let id = EntryId::new(self.arrived);
        if arrival.priority == Priority::Crash {
            self.count_hurry();
        }
        let Arrival { priority, primary, secondary, is_stored: stored, .. } = arrival;
        self.dispatcher.add(self.now, Queued { id, priority, primary, secondary, stored });
        self.spool.insert(id, Envelope { arrival, failures: 0 });
    }

    fn count_hurry(&mut self) {
        if let Some((_, _, hurries)) = &mut self.outage {
            *hurries += 1;
        }
    }

    fn lose(&mut self, category: Category, reason: Reason, quantity: u64) {
        let mut losses = Losses::new();
        losses.count(category, reason, quantity);
        self.lost.add(&losses);
        self.dispatcher.lose(self.now, &losses);
    }

    fn drop_envelope(&mut self, id: EntryId) {
        assert!(!self.is_paused, "nothing is given up while paused");
        let Arrival { primary, secondary, .. } = self.spool[&id].arrival;
        assert!(self.given.limited_by_sentry(self.now, awaited(primary)).is_empty(), "it waits");
        let all = primary.union(secondary);
        let rest = all.without(held_back(self.given.limited_by_sentry(self.now, ALL)));
        let is_left = |category| rest.contains(category);
        assert_ne!(rest, all, "nothing of it is limited");
        assert!(!primary.iter().any(is_left), "what it is about may go");
        assert!(!awaited(all).iter().any(is_left), "something goes with it that is not bulk");
        self.dropped += 1;
        self.spool.remove(&id);
        for category in all.iter() {
            self.lose(category, Reason::RatelimitBackoff, 1);
        }
    }

    fn check_request(&self, report: Option<&Losses>) {
        assert!(!self.is_paused, "nothing goes while paused");
        if let Some(report) = report {
            assert!(!report.is_empty(), "nothing is reported only if there is something");
            assert!(!self.given.is_limited(self.now, Category::Internal), "reports are limited");
        }
        if self.outage.is_some() {
            let since = self.last_outcome.map(|last| self.now - last);
            assert!(since >= Some(Duration::from_millis(100)), "the server is left alone");
        }
    }

    fn check_envelope(&self, id: EntryId, without: Categories) {
        let sent = &self.spool[&id];
        let limited = |of| self.given.limited(self.now, of);
        let Arrival { primary, secondary, .. } = sent.arrival;
        let all = primary.union(secondary);
        assert!(limited(awaited(primary)).is_empty(), "its kind is limited");
        assert_eq!(without, all.intersection(held_back(limited(ALL))));
        let is_worth_it = |category| primary.contains(category) || !BULK.contains(&category);
        assert!(all.without(without).iter().any(is_worth_it), "nothing of it is worth sending");

        let is_spaced =
            self.last_outcome.is_some_and(|last| self.now < last + Duration::from_millis(100));
        let turn = |id: &EntryId, envelope: &Envelope| (envelope.arrival.priority, *id);
        for (other, waiting) in &self.spool {
            let could_go = waiting.failures == 0
                && limited(awaited(waiting.arrival.primary)).is_empty()
                && !is_spaced;
            let is_earlier = turn(other, waiting) < turn(&id, sent);
            assert!(!(could_go && is_earlier), "{other:?} goes before {id:?}");
        }
    }

    fn reply(&mut self, id: Option<EntryId>) -> Reply {
        let mut passed = self.now - self.start;
        let phase = self.phases.iter_mut().find(|phase| {
            let is_now = passed < phase.lasts;
            passed = passed.saturating_sub(phase.lasts);
            is_now
        });
        let Some(phase) = phase else { return Reply::OK };
        let is_heavy = id.and_then(|id| self.spool.get(&id)).is_some_and(|it| it.arrival.is_heavy);
        if is_heavy {
            return Reply::Failure;
        }
        phase.replies.rotate_left(1);
        phase.replies[0].clone()
    }

    fn answer(&mut self, id: Option<EntryId>, without: Categories, report: Option<Losses>) {
        let reply = self.reply(id);
        let limits = reply.limits_header();
        let seconds;
        let outcome = match &reply {
            Reply::Answer { status, retry_after, .. } => {
                seconds = retry_after.map(|seconds| seconds.to_string());
                Outcome::Answer(Answer {
                    status: *status,
                    rate_limits: limits.as_deref(),
                    retry_after: seconds.as_deref(),
                    date: None,
                })
            }
            Reply::Failure => Outcome::Failed,
            Reply::Abandonment => Outcome::Abandoned,
        };
        self.given.note(self.now, &reply);
        self.last_outcome = Some(self.now);
        let verdict = self.dispatcher.handle_outcome(self.now, outcome);
        let fate = match verdict {
            Verdict::Delivered => Fate::Taken,
            Verdict::Discard => Fate::Discarded,
            Verdict::Lose(Reason::SendError) => Fate::Refused,
            Verdict::Keep => Fate::Kept,
            other => panic!("nobody said {other:?}"),
        };
        let priority = id.and_then(|id| self.spool.get(&id)).map(|it| it.arrival.priority);
        let expected = reply.fate(priority);
        let is_kept = matches!(expected, Fate::Kept | Fate::Postponed);
        assert_eq!(fate, if is_kept { Fate::Kept } else { expected });
        let fate = expected;

        if !matches!(reply, Reply::Abandonment) {
            self.note_reached(fate);
        }
        // With an envelope that is refused its report is refused, too, and told again.
        let is_alone = id.is_none();
        if fate == Fate::Taken || (is_alone && fate != Fate::Kept) {
            self.reported.add(&report.unwrap_or_default());
        }
        let Some(id) = id else { return };
        if is_kept {
            if let Some(envelope) = self.spool.get_mut(&id) {
                envelope.failures += 1;
            }
            return;
        }
        let envelope = self.spool.remove(&id).expect("what is on its way is not evicted");
        for category in without.iter() {
            self.lose(category, Reason::RatelimitBackoff, 1);
        }
        if fate == Fate::Refused {
            // What was left out is counted for its own reason.
            let sent = envelope.arrival.primary.union(envelope.arrival.secondary);
            for category in sent.without(without).iter() {
                self.lose(category, Reason::SendError, 1);
            }
        }
    }

    /// Checks that the server is not tried too often while it cannot be reached.
    fn note_reached(&mut self, fate: Fate) {
        if fate != Fate::Kept {
            self.outage = None;
            return;
        }
        let (failures, since, hurries) = self.outage.get_or_insert((0, self.now, 0));
        *failures += 1;
        let lasts = (self.now - *since).as_secs();
        // Ten or so until the waits are long, and then every half an hour on average.
        let most = 40 + u64::from(*hurries) + lasts / 600;
        assert!(u64::from(*failures) <= most, "{failures} tries in {lasts} s");
    }
}
