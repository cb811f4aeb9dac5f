//! What to send when. It decides and does nothing: no socket, no file, no clock.
//!
//! The [`Dispatcher`] promises that nothing goes while Sentry has asked to be spared of it, that a
//! server which cannot be reached is left alone for longer and longer, that crashes go first, and that
//! each loss is told in one report that Sentry takes. It leaves the envelopes themselves to the spool, the
//! requests to the HTTP client, and both to the driver, which asks it what to do and tells it what
//! came of it.

mod answer;
mod backoff;
mod categories;
mod config;
mod limits;
mod queued;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

pub use answer::{Answer, Outcome, Verdict};
pub use categories::Categories;
pub use config::Config;
pub use queued::Queued;

use self::backoff::Backoff;
use self::limits::Limits;
use super::{EntryId, Priority};
use crate::losses::{Category, Losses};

/// How often an envelope is tried in an outage before others have their turn, too.
///
/// It may be the envelope that is at fault and not the server, as one that is too large for a slow
/// line and always times out. It must not stand in the way of the others for good.
const TRIES_IN_A_ROW: u32 = 3;

/// As many different counts as surely fit into one client report, which Sentry takes up to 4 KiB of.
const COUNTS_IN_A_REPORT: usize = 40;

/// Decides which envelope is sent when.
///
/// Its methods come in four kinds:
///
/// - getters: [`is_empty`](Self::is_empty), [`len`](Self::len), [`in_flight`](Self::in_flight),
///   [`is_backing_off`](Self::is_backing_off), [`limited`](Self::limited),
///   [`limited_by_sentry`](Self::limited_by_sentry), [`held_until`](Self::held_until),
///   [`unreported`](Self::unreported);
/// - mutators, which say what changed: [`add`](Self::add), [`remove`](Self::remove),
///   [`lose`](Self::lose), [`pause`](Self::pause), [`resume`](Self::resume), [`hurry`](Self::hurry);
/// - [`poll`](Self::poll), which says what to do;
/// - [`handle_outcome`](Self::handle_outcome), which takes in what came of it.
///
/// The driver calls `poll` after each of the others, and when the time comes that `poll` named. What
/// `poll` says to send must be sent, and its outcome handed in: until then, there is nothing else to
/// do. Time never goes back from one call to the next; if it does, things happen later.
///
/// Every call takes time in proportion to the number of envelopes at most.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use guardhouse_main::outbox::dispatcher::{
///     Answer, Config, Dispatcher, Outcome, Poll, Queued, Verdict,
/// };
/// use guardhouse_main::outbox::{EntryId, Priority};
/// use guardhouse_protocol::Item;
///
/// let now = Instant::now();
/// let mut dispatcher = Dispatcher::new(Config::default(), 42);
/// let items = [Item::new("event", "{}")?];
/// dispatcher.add(now, Queued::new(EntryId::new(1), Priority::Normal, &items));
///
/// let Poll::Send { id, .. } = dispatcher.poll(now) else { panic!("it goes at once") };
/// assert_eq!(id, EntryId::new(1));
/// let verdict = dispatcher.handle_outcome(now, Outcome::Failed);
/// assert_eq!(verdict, Verdict::Keep);
///
/// let Poll::Wait(Some(later)) = dispatcher.poll(now) else { panic!("it is tried again") };
/// assert!(later <= now + Duration::from_secs(1));
/// assert!(matches!(dispatcher.poll(later), Poll::Send { .. }));
/// let verdict = dispatcher.handle_outcome(later, Outcome::Answer(Answer::new(200)));
/// assert_eq!(verdict, Verdict::Delivered);
/// assert_eq!(dispatcher.poll(later), Poll::Wait(None));
/// # Ok::<(), guardhouse_protocol::EditError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dispatcher {
    config: Config,
    queue: BTreeMap<EntryId, Waiting>,
    /// The queue in the order in which it goes, so that the next is found without a look at all.
    order: BTreeSet<Turn>,
    in_flight: Option<InFlight>,
    is_paused: bool,
    limits: Limits,
    backoff: Backoff,
    /// When the next of the backlog may go, if not at once.
    spaced_until: Option<Instant>,
    unreported: Losses,
    /// When a report goes alone if nothing else goes before. There is one while there are counts.
    report_at: Option<Instant>,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Send this envelope.
    Send {
        /// Which one.
        id: EntryId,
        /// Leave out the items that [are held back](Categories::of) by one of these. If the
        /// [verdict](Verdict) is another than to keep it, count them as lost for
        /// [`Reason::RatelimitBackoff`](crate::losses::Reason::RatelimitBackoff).
        without: Categories,
        /// Put these counts into the envelope as a [client report](Losses::to_item).
        /// [`has_reported`](Dispatcher::has_reported) says whether they are told then.
        report: Option<Losses>,
    },
    /// Give this envelope up, and count all of it as lost for
    /// [`Reason::RatelimitBackoff`](crate::losses::Reason::RatelimitBackoff): it is
    /// [bulk](Categories::BULK) of which Sentry wants none now. It is not in the queue any more.
    Drop(EntryId),
    /// Send an envelope with nothing but a [client report](Losses::to_item) of these counts.
    SendReport(Losses),
    /// Do nothing before this time, or before something changes.
    Wait(Option<Instant>),
}

/// An envelope in the queue.
#[derive(Clone, Debug)]
struct Waiting {
    queued: Queued,
    /// Whether it had to wait for more than its turn. It goes with some space between.
    is_backlog: bool,
    /// How often it was tried in vain.
    tries: u32,
    /// How often it failed right after the server had been reached: the more, the more likely it is
    /// the envelope that is at fault.
    strikes: u32,
    /// When it may be tried again for its own sake, if not at once.
    retry_at: Option<Instant>,
}

/// What was sent and has no outcome yet.
#[derive(Clone, Debug)]
struct InFlight {
    /// Nothing if it is a report alone.
    id: Option<EntryId>,
    /// Whether there must be some space behind it.
    is_backlog: bool,
    report: Losses,
}

impl Dispatcher {
    /// One that knows of no envelopes. The seed should differ from that of other clients, since it is
    /// what keeps them apart.
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            backoff: Backoff::new(&config, seed),
            config,
            queue: BTreeMap::new(),
            order: BTreeSet::new(),
            in_flight: None,
            is_paused: false,
            limits: Limits::default(),
            spaced_until: None,
            unreported: Losses::new(),
            report_at: None,
        }
    }

    /// Whether no envelope waits, and none is on its way.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many envelopes wait or are on their way.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// The envelope that is on its way. It should not be evicted now.
    pub fn in_flight(&self) -> Option<EntryId> {
        self.in_flight.as_ref()?.id
    }

    /// Whether the server could not be reached when it was last tried.
    pub const fn is_backing_off(&self) -> bool {
        self.backoff.is_active()
    }

    /// Whether events go to Sentry, one after the other, as far as is known.
    pub fn is_delivering(&self, now: Instant) -> bool {
        let is_limited = self.limited(now).contains(Category::Error);
        !self.is_paused && !self.is_backing_off() && !is_limited
    }

    /// The categories that Sentry wants nothing of now.
    pub fn limited(&self, now: Instant) -> Categories {
        self.limits.limited(now, Categories::ALL)
    }

    /// Until when Sentry itself limits each category that it limits now.
    pub fn limited_by_sentry(&self, now: Instant) -> impl Iterator<Item = (Category, Instant)> {
        Categories::ALL.iter().filter_map(move |category| {
            let until = self.limits.of_sentry_until(category.into())?;
            (until > now).then_some((category, until))
        })
    }

    /// Until when a limit of Sentry's holds an envelope back, if one does. Before, it may not be sent.
    pub fn held_until(&self, now: Instant, id: EntryId) -> Option<Instant> {
        let queued = self.queue.get(&id)?.queued;
        self.limits.of_sentry_until(queued.awaited()).filter(|until| *until > now)
    }

    /// Whether an envelope may go now, or as soon as those before it have gone.
    pub fn can_go_now(&self, now: Instant, id: EntryId) -> bool {
        !self.is_paused
            && !self.backoff.is_active()
            && self.queue.get(&id).is_some_and(|waiting| !self.must_wait(now, &waiting.queued))
    }

    /// The counts that no report has taken with it. After an abandoned report they are whole again, so
    /// that they can be kept for the next run.
    pub const fn unreported(&self) -> &Losses {
        &self.unreported
    }

    /// An envelope is in the spool. A crash does not wait for the end of a backoff, once.
    pub fn add(&mut self, now: Instant, queued: Queued) {
        let must_wait = self.is_paused || self.backoff.is_active() || self.must_wait(now, &queued);
        if queued.priority == Priority::Crash {
            self.backoff.cut(now);
        }
        let waiting = Waiting {
            queued,
            is_backlog: queued.stored || must_wait,
            tries: 0,
            strikes: 0,
            retry_at: None,
        };
        self.order.insert(waiting.turn());
        if let Some(former) = self.queue.insert(queued.id, waiting)
            && former.turn() != self.queue[&queued.id].turn()
        {
            self.order.remove(&former.turn());
        }
    }

    /// An envelope is gone from the spool, as it expired or was evicted.
    pub fn remove(&mut self, id: EntryId) {
        if let Some(waiting) = self.queue.remove(&id) {
            self.order.remove(&waiting.turn());
        }
    }

    /// Something was lost and counted elsewhere. It goes with the next envelope, or alone after a
    /// while.
    pub fn lose(&mut self, now: Instant, losses: &Losses) {
        self.unreported.add(losses);
        self.schedule_report(now);
    }

    /// Whether nothing may go for now.
    pub const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Nothing may go for now, as consent was withheld or the system is offline. What is on its way is
    /// the driver's to finish or to abandon.
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// What was paused goes on.
    pub fn resume(&mut self) {
        if self.is_paused {
            self.is_paused = false;
            self.make_backlog(|_| true);
        }
    }

    /// An attempt is worth it now, as the network is back or somebody waits for a flush. It ends a
    /// backoff, at most once in a [while](Config::hurry_spacing); a limit it does not end.
    pub fn hurry(&mut self, now: Instant) {
        self.backoff.hurry(now);
    }

    /// Says what to do. There is at most one request at a time.
    pub fn poll(&mut self, now: Instant) -> Poll {
        if self.is_paused || self.in_flight.is_some() {
            return Poll::Wait(None);
        }
        if let Some(id) = self.next_to_drop(now) {
            self.remove(id);
            return Poll::Drop(id);
        }
        let is_due = |at: Option<Instant>| at.is_none_or(|at| at <= now);
        // While nothing may go, it would be a look at all of them each time.
        let can_any = is_due(self.backoff.retry_at());
        let in_order = self.order.iter().filter_map(|(_, _, id)| self.queue.get(id));
        let mut ready = in_order.filter(|waiting| is_due(self.ready_at(waiting)));
        let next = if can_any { ready.next() } else { None };
        if let Some(next) = next {
            let Waiting { queued, is_backlog, .. } = *next;
            let id = queued.id;
            // There is something worth sending, or it would have been dropped.
            let without = queued.without(self.limited(now)).unwrap_or(Categories::NONE);
            let report = self.take_report(now);
            self.in_flight = Some(InFlight { id: Some(id), is_backlog, report: report.clone() });
            return Poll::Send { id, without, report: Some(report).filter(|it| !it.is_empty()) };
        }

        let report_at = self.report_at.map(|at| {
            let limited_until = self.limits.until(Category::Internal.into());
            at.max(limited_until.unwrap_or(at)).max(self.backoff.retry_at().unwrap_or(at))
        });
        if report_at.is_some_and(|at| at <= now) {
            let report = self.take_report(now);
            let in_flight = InFlight { id: None, is_backlog: false, report: report.clone() };
            self.in_flight = Some(in_flight);
            return Poll::SendReport(report);
        }

        if !can_any && !self.queue.is_empty() && self.limited(now).is_empty() {
            // Not before that; what each of them waits for is looked at then.
            return Poll::Wait(self.backoff.retry_at().into_iter().chain(report_at).min());
        }
        let envelopes = self.queue.values().filter_map(|waiting| self.ready_at(waiting));
        Poll::Wait(envelopes.chain(report_at).min())
    }

    /// Whether the report that went with a request is told, once its envelope has this verdict. If the
    /// envelope was refused, so was the report in it, and goes with another. One that went alone is not
    /// tried again: it would be refused again.
    pub fn has_reported(&self, verdict: Verdict, id: Option<EntryId>) -> bool {
        match verdict {
            Verdict::Delivered => true,
            Verdict::Discard | Verdict::Lose(_) => id.is_none(),
            Verdict::Keep => false,
        }
    }

    /// Takes in what came of what [`poll`](Self::poll) had said to send, and says what becomes of the
    /// envelope. Without anything on its way, it changes nothing.
    pub fn handle_outcome(&mut self, now: Instant, outcome: Outcome<'_>) -> Verdict {
        let Some(InFlight { id, is_backlog, report }) = self.in_flight.take() else {
            return Verdict::Keep;
        };
        let verdict = match outcome {
            Outcome::Answer(answer) => {
                self.limits.learn(now, &answer);
                answer.verdict()
            }
            Outcome::Failed | Outcome::Abandoned => Verdict::Keep,
        };
        let is_abandoned = outcome == Outcome::Abandoned;
        let once = id.filter(|id| {
            verdict == Verdict::Discard
                && self.queue.get(id).is_some_and(|waiting| waiting.queued.happens_once())
        });
        let verdict = if once.is_some() { Verdict::Keep } else { verdict };
        if !self.has_reported(verdict, id) {
            self.unreported.add(&report);
        }
        if let Some(id) = once {
            self.succeed();
            self.postpone(now, id);
        } else if verdict != Verdict::Keep {
            if let Some(id) = id {
                self.remove(id);
            }
            self.succeed();
        } else if !is_abandoned {
            self.fail(now, id);
        }
        let (is_held, limited) = (is_abandoned || self.is_backing_off(), self.limited(now));
        if is_held || !limited.is_empty() {
            self.make_backlog(|queued| is_held || queued.awaited().intersects(limited));
        }
        if is_backlog || is_abandoned {
            self.spaced_until = Some(now + self.config.spacing);
        }
        self.schedule_report(now);
        verdict
    }

    /// The server was reached.
    fn succeed(&mut self) {
        if self.backoff.is_active() {
            self.backoff.succeed();
            for waiting in self.queue.values_mut() {
                // Whatever was tried in vain while another got through is tried once more, and then
                // it is the others' turn.
                waiting.tries = waiting.tries.min(TRIES_IN_A_ROW - 1);
            }
            self.order = self.queue.values().map(Waiting::turn).collect();
        }
    }

    /// The server was not reached.
    fn fail(&mut self, now: Instant, id: Option<EntryId>) {
        if let Some(waiting) = id.and_then(|id| self.queue.get_mut(&id)) {
            self.order.remove(&waiting.turn());
            waiting.tries = waiting.tries.saturating_add(1);
            self.order.insert(waiting.turn());
            if !self.backoff.is_active() {
                waiting.strikes = waiting.strikes.saturating_add(1);
                // The first time may well be the beginning of an outage.
                waiting.retry_at =
                    (waiting.strikes > 1).then(|| now + self.backoff.delay(waiting.strikes));
            }
        }
        self.backoff.fail(now);
    }

    /// Sentry was reached and wants an envelope later that is kept all the same. Its limits say when; if
    /// they say nothing of it, or next to nothing, it still is not sent again at once for ever.
    fn postpone(&mut self, now: Instant, id: EntryId) {
        let Some(waiting) = self.queue.get_mut(&id) else { return };
        let soon = now + self.config.backoff_base;
        let is_limited = self.limits.until(waiting.queued.awaited()).is_some_and(|it| it >= soon);
        waiting.strikes = if is_limited { 0 } else { waiting.strikes.saturating_add(1) };
        waiting.retry_at = (!is_limited).then(|| now + self.backoff.delay(waiting.strikes));
    }

    /// What is held from now on will have waited for more than its turn.
    fn make_backlog(&mut self, is_held: impl Fn(&Queued) -> bool) {
        for waiting in self.queue.values_mut() {
            waiting.is_backlog |= is_held(&waiting.queued);
        }
    }

    /// Whether a limit keeps an envelope from being sent now.
    fn must_wait(&self, now: Instant, queued: &Queued) -> bool {
        self.limits.until(queued.awaited()).is_some_and(|until| until > now)
    }

    /// The first envelope of nothing but what Sentry wants none of now, and what is worth nothing
    /// without.
    fn next_to_drop(&self, now: Instant) -> Option<EntryId> {
        let limited = self.limits.limited_by_sentry(now, Categories::ALL);
        if !limited.intersects(Categories::BULK) {
            return None;
        }
        let is_dropped = |queued: &Queued| {
            !queued.awaited().intersects(limited) && queued.without(limited).is_none()
        };
        self.queue.values().map(|waiting| waiting.queued).find(is_dropped).map(|queued| queued.id)
    }

    /// When an envelope may go, if not at once.
    fn ready_at(&self, waiting: &Waiting) -> Option<Instant> {
        let spaced_until = self.spaced_until.filter(|_| waiting.is_backlog);
        let limited_until = self.limits.until(waiting.queued.awaited());
        [self.backoff.retry_at(), spaced_until, limited_until, waiting.retry_at]
            .into_iter()
            .max()?
    }

    fn take_report(&mut self, now: Instant) -> Losses {
        if self.limited(now).contains(Category::Internal) {
            return Losses::new();
        }
        let mut report = Losses::new();
        for (category, reason, quantity) in self.unreported.iter().take(COUNTS_IN_A_REPORT) {
            report.count(category, reason, quantity);
        }
        self.unreported.subtract(&report);
        self.report_at = None;
        report
    }

    fn schedule_report(&mut self, now: Instant) {
        if !self.unreported.is_empty() {
            self.report_at.get_or_insert(now + self.config.report_interval);
        }
    }
}

/// The lower, the earlier it goes.
type Turn = (u32, Priority, EntryId);

impl Waiting {
    fn turn(&self) -> Turn {
        (self.tries / TRIES_IN_A_ROW, self.queued.priority, self.queued.id)
    }
}
