//! The outbox at work: it puts what the dispatcher decides into practice, with the spool and HTTP.
//!
//! [`Outbox`] lives on the SDK thread. It decides nothing that can be decided without I/O; what it
//! promises is the order of things: on disk before it is acknowledged, sent before it is deleted,
//! deleted before anybody hears of it, and every loss counted where the spool counts.

mod debug;
mod leftovers;
mod limits;
mod streams;
mod uploads;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use guardhouse_process::{describe, helper_thread};
use guardhouse_protocol::Envelope;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::dispatcher::{self, Dispatcher, Outcome, Poll, Queued, Verdict};
use super::http::{Answer, Http, HttpError, HttpOptions, SendError};
use super::spool::{Entry, Placed, Put, Spool};
use super::{EntryId, Priority};
use crate::house::House;
use crate::losses::Losses;
use debug::Names;
use limits::LeftOut;
use uploads::Unready;

/// So long after it was written an envelope is made durable against power cuts, together with all
/// others that were written meanwhile.
const SYNC_AFTER: Duration = Duration::from_secs(1);
/// How often what is too old is looked for, and what only memory holds is tried to be written.
const TIDY_EVERY: Duration = Duration::from_secs(10 * 60);
/// So soon what only memory holds is tried to be written again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// So many files of dead runs are taken over before others have their turn.
const ADOPT_AT_ONCE: usize = 32;

/// What the driver needs.
pub(crate) struct Outbox {
    house: Arc<House>,
    spool: Spool,
    dispatcher: Dispatcher,
    options: HttpOptions,
    /// The DSN, where a tunnel has to be told.
    dsn: Option<String>,
    /// Kept for its connection, while it is not in use.
    http: Option<Http>,
    in_flight: Option<InFlight>,
    /// Those that have neither been sent nor given up, and who wants to know when they are.
    pending: BTreeMap<EntryId, Option<WhenSent>>,
    /// What they are called in what is said.
    names: Names,
    /// What of the spool's losses the dispatcher knows.
    told: Losses,
    is_adopting: bool,
    /// What earlier runs left. It is sent once all of it is known, and what of their sessions is still
    /// to be said: before, there is no telling what should go first.
    held: Option<Vec<Entry>>,
    sync_at: Option<Instant>,
    /// The thread that makes something durable, until it has.
    syncing: Option<oneshot::Receiver<()>>,
    tidy_at: Instant,
}

/// Who wants to know what came of an envelope: the answer, or nothing if there is none yet.
pub(crate) type WhenSent = Box<dyn FnOnce(Option<&Answer>) + Send>;

type Exchange = Pin<Box<dyn Future<Output = (Http, Result<Answer, SendError>)> + Send>>;

/// What is being sent.
struct InFlight {
    id: Option<EntryId>,
    report: Losses,
    /// What was left out, since Sentry wants none of it now.
    left_out: LeftOut,
    exchange: Exchange,
}

impl Outbox {
    pub(crate) fn new(
        house: Arc<House>,
        spool: Spool,
        options: HttpOptions,
        dsn: Option<String>,
        seed: u64,
    ) -> Self {
        Self {
            house,
            spool,
            dispatcher: Dispatcher::new(dispatcher::Config::DEFAULT, seed),
            options,
            dsn,
            http: None,
            in_flight: None,
            pending: BTreeMap::new(),
            names: Names::default(),
            told: Losses::new(),
            is_adopting: true,
            held: Some(Vec::new()),
            sync_at: None,
            syncing: None,
            tidy_at: Instant::now() + TIDY_EVERY,
        }
    }

    /// Takes an envelope. Says where it is now.
    pub(crate) fn put(
        &mut self,
        priority: Priority,
        envelope: &Envelope,
        when_sent: Option<WhenSent>,
    ) -> Placed {
        let put = self.spool.put(priority, envelope, SystemTime::now());
        let queued = |id| Queued::new(id, priority, envelope.items());
        self.took(put, queued, when_sent, || describe(envelope))
    }

    /// Takes what there is once in a run.
    pub(crate) fn put_as(
        &mut self,
        key: &super::spool::Key,
        priority: Priority,
        envelope: &Envelope,
    ) -> Placed {
        let put = self.spool.put_as(key, priority, envelope, SystemTime::now());
        let queued = |id| Queued::new(id, priority, envelope.items());
        self.took(put, queued, None, || describe(envelope))
    }

    fn took(
        &mut self,
        put: Put,
        queued: impl FnOnce(EntryId) -> Queued,
        when_sent: Option<WhenSent>,
        what: impl FnOnce() -> String,
    ) -> Placed {
        let now = Instant::now();
        self.forget(&put.evicted);
        match put.placed.id() {
            Some(id) => {
                self.dispatcher.add(now, queued(id));
                let can_go = self.dispatcher.can_go_now(now, id);
                self.pending.insert(id, when_sent);
                self.say_taken(id, put.placed, what);
                if !can_go && let Some(when_sent) = self.pending.get_mut(&id) {
                    // It may take days. Whoever asks should hear that it is not known.
                    answer(when_sent.take(), None);
                }
                self.say_held(id);
                self.sync_at.get_or_insert(now + SYNC_AFTER);
            }
            None => {
                if self.house.debug {
                    self.house.say(format_args!("{} was dropped: there is no room for it", what()));
                }
                answer(when_sent, None);
            }
        }
        if let (Placed::Memory(_), Some(trouble)) = (put.placed, self.spool.trouble()) {
            self.house.say(format_args!(
                "the disk cannot be written ({trouble}); what is captured is kept in memory"
            ));
            self.tidy_at = self.tidy_at.min(now + TRY_AGAIN_AFTER);
        }
        self.tell_losses(now);
        put.placed
    }

    /// Counts what was lost before it came here.
    pub(crate) fn count(&mut self, losses: &Losses) {
        if !losses.is_empty() {
            self.spool.count(losses);
            self.tell_losses(Instant::now());
        }
    }

    /// Whether the spool is filled to so many eighths, and will soon be less so: Sentry takes what there
    /// is.
    pub(crate) fn is_crowded(&self, eighths: u64) -> bool {
        self.spool.is_filled_to(eighths) && self.dispatcher.is_delivering(Instant::now())
    }

    /// Whether an envelope waits that only memory holds.
    pub(crate) fn is_in_memory(&self, id: EntryId) -> bool {
        self.spool.entry(id).is_some() && !self.spool.is_durable(id)
    }

    /// Whether all that was lost is counted on disk.
    pub(crate) fn has_written_losses(&self) -> bool {
        self.spool.has_written_losses()
    }

    /// What main keeps beside the envelopes.
    pub(crate) fn spool(&mut self) -> &mut Spool {
        &mut self.spool
    }

    /// The newest envelope that waits.
    pub(crate) fn newest(&self) -> Option<EntryId> {
        self.pending.keys().next_back().copied()
    }

    /// Lets nothing go any more, also not what is on its way, or lets everything go again.
    pub(crate) fn set_paused(&mut self, is_paused: bool) {
        if is_paused {
            self.dispatcher.pause();
            self.abandon();
            self.answer_all(None);
        } else {
            self.dispatcher.resume();
        }
    }

    /// Somebody waits: what stands back because the network was down is tried now.
    pub(crate) fn hurry(&mut self) {
        self.dispatcher.hurry(Instant::now());
    }

    /// Does what there is to do now, sending only if it may. Says when there is something to do again, if
    /// nothing happens before.
    pub(crate) fn step(&mut self, may_send: bool) -> Step {
        let now = Instant::now();
        if self.is_adopting {
            self.adopt();
        }
        if self.tidy_at <= now {
            self.tidy(now);
        }
        if self.sync_at.is_some_and(|at| at <= now) {
            self.sync_at = None;
            self.sync(now);
        }
        // As long as it is not known what earlier runs left, something more urgent may be among it.
        let may_send = may_send && self.has_concluded();
        let next_send = if may_send { self.send(now) } else { Some(now) };
        let wake = [next_send, self.sync_at, self.next_tidy()].into_iter().flatten().min();
        Step { wake, next_send, is_sending: self.in_flight.is_some() }
    }

    /// Ends when what is being sent has come to an end, and draws the consequences. Without anything
    /// being sent it never ends. May be dropped and called anew.
    pub(crate) async fn sent(&mut self) {
        let Some(in_flight) = &mut self.in_flight else { return std::future::pending().await };
        let (http, result) = in_flight.exchange.as_mut().await;
        self.http = Some(http);
        let Some(InFlight { id, report, left_out, .. }) = self.in_flight.take() else { return };
        self.spool.set_busy(None);
        if let Err(error) = &result {
            let what = self.names.of(id);
            self.house.say(format_args!("{what} could not be sent, and waits: {error}"));
        }
        let outcome = match &result {
            Ok(answer) => Outcome::Answer(dispatcher::Answer {
                status: answer.status,
                rate_limits: answer.rate_limits.as_deref(),
                retry_after: answer.retry_after.as_deref(),
                date: answer.date.as_deref(),
            }),
            // Also if it was the file that could not be read, as when there are too many open: the
            // dispatcher tells one envelope's fault from the network's.
            Err(_) => Outcome::Failed,
        };
        let now = Instant::now();
        let limited = self.limited();
        let verdict = self.dispatcher.handle_outcome(now, outcome);
        self.say_limits(&limited);
        let answer = result.as_ref().ok();
        self.conclude_left_out(verdict, left_out);
        self.conclude(id, verdict, answer);
        if self.dispatcher.has_reported(verdict, id) {
            self.spool.reported(&report);
            self.told.subtract(&report);
        }
        self.tell_losses(now);
    }

    /// Everything that is left to do when there is no more time: what was on its way is left, and
    /// everything made durable.
    pub(crate) fn close(mut self) {
        self.abandon();
        if let Some(unsynced) = self.spool.take_unsynced() {
            let _ = unsynced.sync();
        }
    }

    fn conclude(&mut self, id: Option<EntryId>, verdict: Verdict, answered: Option<&Answer>) {
        self.say_concluded(id, verdict, answered);
        let Some(id) = id else { return };
        match verdict {
            // Before anything else, so that nothing can come between that lets it be sent again.
            Verdict::Delivered | Verdict::Discard => self.spool.delete(id),
            Verdict::Lose(reason) => self.spool.lose(id, reason),
            Verdict::Keep => {
                // Whoever waits for an answer should not wait for the network, nor for a limit.
                if self.dispatcher.is_backing_off() {
                    self.answer_all(answered);
                } else if let Some(when_sent) = self.pending.get_mut(&id) {
                    answer(when_sent.take(), answered);
                }
                return;
            }
        }
        if let Some(when_sent) = self.pending.remove(&id) {
            answer(when_sent, answered);
        }
    }

    /// Answers all who wait to hear what became of something.
    fn answer_all(&mut self, answered: Option<&Answer>) {
        for when_sent in self.pending.values_mut() {
            answer(when_sent.take(), answered);
        }
    }

    /// Sends if the dispatcher says so. Says when it wants to be asked again.
    fn send(&mut self, now: Instant) -> Option<Instant> {
        loop {
            let (id, report, prepared) = match self.dispatcher.poll(now) {
                Poll::Wait(until) => return until,
                Poll::Drop(id) => {
                    self.drop_limited(id);
                    self.tell_losses(now);
                    continue;
                }
                Poll::Send { id, without, report } => {
                    let report = report.unwrap_or_default();
                    let prepared = self.prepare(id, without, &report);
                    (Some(id), report, prepared)
                }
                Poll::SendReport(report) => {
                    let prepared = self.report_alone(&report);
                    (None, report, prepared.map_err(|_| Unready::Gone))
                }
            };
            match prepared.and_then(|ready| Ok((ready, self.http().map_err(|_| Unready::Gone)?))) {
                Ok(((upload, left_out), mut http)) => {
                    let exchange = Box::pin(async move {
                        let result = http.send(upload).await;
                        (http, result)
                    });
                    self.spool.set_busy(id);
                    self.in_flight = Some(InFlight { id, report, left_out, exchange });
                    return None;
                }
                Err(Unready::NotNow) => {
                    self.dispatcher.handle_outcome(now, Outcome::Failed);
                }
                Err(unready) => {
                    self.dispatcher.handle_outcome(now, Outcome::Abandoned);
                    if let Some(id) = id {
                        self.forget(&[id]);
                    }
                    if let Unready::Salvaged(entry) = unready {
                        self.found(now, &entry);
                    }
                    self.tell_losses(now);
                }
            }
        }
    }

    fn http(&mut self) -> Result<Http, HttpError> {
        match self.http.take() {
            Some(http) => Ok(http),
            None => Http::new(self.options.clone()),
        }
    }

    /// Leaves what is on its way. Whether it arrived is not known, so it is sent again later.
    pub(crate) fn abandon(&mut self) {
        if self.in_flight.take().is_some() {
            self.spool.set_busy(None);
            self.dispatcher.handle_outcome(Instant::now(), Outcome::Abandoned);
        }
        self.http = None;
    }

    /// Those are gone, and nobody needs to wait for them.
    fn forget(&mut self, ids: &[EntryId]) {
        for id in ids {
            self.dispatcher.remove(*id);
            if let Some(when_sent) = self.pending.remove(id) {
                answer(when_sent, None);
            }
        }
    }

    fn tell_losses(&mut self, now: Instant) {
        let mut new = self.spool.losses().clone();
        new.subtract(&self.told);
        if !new.is_empty() {
            self.dispatcher.lose(now, &new);
            self.told.add(&new);
        }
    }

    fn tidy(&mut self, now: Instant) {
        self.tidy_at = now + TIDY_EVERY;
        let expired = self.spool.expire(SystemTime::now());
        self.forget(&expired);
        if !self.spool.try_again() {
            self.tidy_at = now + TRY_AGAIN_AFTER;
        }
        self.tell_losses(now);
    }

    /// When there is something to tidy, if there is anything at all: an idle outbox needs no waking.
    fn next_tidy(&self) -> Option<Instant> {
        let is_idle = self.pending.is_empty() && self.spool.trouble().is_none();
        (!is_idle).then_some(self.tidy_at)
    }

    /// Has a thread make durable what was written, since a disk can take its time. There is one such
    /// thread at a time: where the disk hangs, more of them would hang too. Where there can be none, it is
    /// made durable here.
    fn sync(&mut self, now: Instant) {
        if self.syncing.as_mut().is_some_and(|it| it.try_recv() == Err(TryRecvError::Empty)) {
            self.sync_at = Some(now + SYNC_AFTER);
            return;
        }
        self.syncing = self.spool.take_unsynced().and_then(|unsynced| {
            let house = self.house.clone();
            let sync = move || {
                if let Err(error) = unsynced.sync() {
                    house.say(format_args!("what was stored may not survive a power cut: {error}"));
                }
            };
            helper_thread::run(sync).map_err(|(_, sync)| sync()).ok()
        });
    }
}

/// What a step of the outbox came to.
pub(crate) struct Step {
    /// When there is something to do again.
    pub(crate) wake: Option<Instant>,
    /// When something may be sent, if nothing is being sent; nothing if there is nothing to send, or
    /// it may not be.
    next_send: Option<Instant>,
    /// Whether something is being sent.
    is_sending: bool,
}

impl Step {
    /// Whether nothing will be sent before then, unless something happens.
    pub(crate) fn cannot_send_before(&self, deadline: Instant) -> bool {
        !self.is_sending && self.next_send.is_none_or(|next| next >= deadline)
    }
}

fn answer(when_sent: Option<WhenSent>, answer: Option<&Answer>) {
    if let Some(when_sent) = when_sent {
        when_sent(answer);
    }
}
