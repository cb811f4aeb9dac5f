//! What all threads of the process share: the scope, the doorway to the SDK thread, and the counts of
//! what was lost on the way to main.
//!
//! No method here waits, but for those that say so by taking a deadline; and those never wait beyond
//! it, nor on the SDK thread itself, where waiting for that thread would never end.

use std::fmt;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::thread::ThreadId;
use std::time::Instant;

use bytes::Bytes;
use guardhouse_process::doorway::{Breaker, Doorway, Promised, Visitor, promise};
use guardhouse_process::losses::{Losses, Reason};
use guardhouse_process::scope::OwnScope;
use guardhouse_process::{describe, lock, say};
use guardhouse_protocol::limits::KIB;
use guardhouse_protocol::scope::{Refusals, ScopeUpdate};
use guardhouse_protocol::{Channel, Envelope, StreamOpening, Timestamp};
use sentry::BeforeCallback;
use sentry::protocol::Breadcrumb;
use uuid::Uuid;

use crate::heartbeat::Heartbeats;
use crate::losses::message;

/// What all threads share.
pub(crate) struct House {
    pub(crate) own_scope: Arc<OwnScope>,
    debug: bool,
    doorway: Doorway<Visit>,
    heartbeats: Mutex<Heartbeats>,
    /// Whether the SDK thread has been told that the scope has changed, and has not looked yet.
    /// How much waits that was captured. Held while something is.
    captured: Mutex<usize>,
    is_scope_announced: AtomicBool,
    /// The same of the heartbeats.
    are_heartbeats_announced: AtomicBool,
    /// The way on which main is reached, if it is.
    way: Mutex<Option<Way>>,
    is_closing: AtomicBool,
    /// Who waits for main to have everything.
    flushes: Mutex<Vec<Breaker<bool>>>,
    thread: OnceLock<ThreadId>,
    /// What was lost and is not reported yet.
    losses: Mutex<Losses>,
    /// Whether something captured was lost since the last flush.
    has_lost: AtomicBool,
    /// Whether the last thread that panicked has waited in vain.
    is_main_silent: AtomicBool,
}

/// How main is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Over a socket, or on Windows a pipe.
    Classic,
    /// Over HTTP on the loopback interface.
    Protocol,
}

impl Way {
    /// The name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Protocol => "protocol",
        }
    }
}

/// What the SDK thread is asked for.
pub(crate) enum Visit {
    /// Something for main. Before an envelope the thread states what is new in the scope.
    Message { channel: Channel, bytes: Bytes, answer: Option<Answering> },
    /// The process's own scope has changed. It is said once until the thread takes that over.
    Scope,
    /// What has changed in it before what comes next was captured.
    ScopeBefore { changes: Vec<(ScopeUpdate, Timestamp)>, refusals: Refusals },
    /// There is a heartbeat more or less than before. It is said once until the thread looks at them.
    Heartbeats,
    /// A large attachment, read piece by piece.
    Stream { opening: StreamOpening, source: Box<dyn Read + Send>, answer: Answering },
    /// Somebody waits until main has made all of what came before durable.
    Flush { deadline: Instant, done: Promised<bool> },
    /// The application ends: in good order, or because a thread of it panics.
    Close { deadline: Instant, is_panicking: bool, done: Promised<bool> },
}

/// Who wants to know what became of something. Whatever happens to it, it is told once, on the SDK
/// thread or where it is dropped.
pub(crate) struct Answering {
    tell: Option<Box<dyn FnOnce(Told) + Send>>,
}

/// What became of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Main has done with it what the contract promises for its channel.
    Taken,
    /// Main has answered: feedback, a stream.
    Reply(Bytes),
    /// Main will never take it, and said why.
    Declined(String),
    /// Main did not say: it was left in the spool directory, or given up.
    Lost,
}

impl Answering {
    pub(crate) fn new(tell: impl FnOnce(Told) + Send + 'static) -> Self {
        Self { tell: Some(Box::new(tell)) }
    }

    pub(crate) fn tell(mut self, told: Told) {
        self.put(told);
    }

    fn put(&mut self, told: Told) {
        if let Some(tell) = self.tell.take() {
            // It is the application's, and its panic should cost nothing of ours.
            let _ = catch_unwind(AssertUnwindSafe(|| tell(told)));
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.put(Told::Lost);
    }
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering")
    }
}

impl Visitor for Visit {
    fn weight(&self) -> usize {
        match self {
            Self::Message { bytes, .. } => bytes.len() + KIB,
            Self::Stream { .. } => KIB,
            _ => 0,
        }
    }

    fn comes_from(&self) -> Option<Uuid> {
        None
    }
}

impl House {
    pub(crate) fn new(
        debug: bool,
        max_breadcrumbs: usize,
        before_breadcrumb: Option<BeforeCallback<Breadcrumb>>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|house: &Weak<Self>| Self {
            own_scope: Arc::new(OwnScope::new(max_breadcrumbs, before_breadcrumb, {
                let house = house.clone();
                move |_| {
                    if let Some(house) = house.upgrade() {
                        house.announce_scope();
                    }
                }
            })),
            debug,
            doorway: Doorway::new(),
            heartbeats: Mutex::default(),
            captured: Mutex::new(0),
            is_scope_announced: AtomicBool::new(false),
            are_heartbeats_announced: AtomicBool::new(false),
            way: Mutex::new(None),
            is_closing: AtomicBool::new(false),
            flushes: Mutex::default(),
            thread: OnceLock::new(),
            losses: Mutex::default(),
            has_lost: AtomicBool::new(false),
            is_main_silent: AtomicBool::new(false),
        })
    }

    /// Has something said to main. Without room for it, it is counted and whoever waits is told.
    pub(crate) fn send(&self, channel: Channel, bytes: Bytes, answer: Option<Answering>) {
        if !matches!(channel, Channel::Envelope | Channel::Feedback) {
            return self.enter_or_lose(Visit::Message { channel, bytes, answer });
        }
        let answer = if self.debug { Some(self.follow(&bytes, answer)) } else { answer };
        let message = Visit::Message { channel, bytes, answer };
        // In one step, so that what is said of the scope now does not get in front of it.
        let mut captured = lock(&self.captured);
        let (changes, refusals) = self.own_scope.take();
        if !changes.is_empty() || !refusals.is_empty() {
            let _ = self.doorway.enter(Visit::ScopeBefore { changes, refusals });
        }
        let lost = self.doorway.enter(message).err();
        *captured += usize::from(lost.is_none());
        drop(captured);
        if let Some(lost) = lost {
            self.give_up(lost);
        }
    }

    /// Says that an envelope was taken, and later what became of it.
    fn follow(&self, bytes: &Bytes, answer: Option<Answering>) -> Answering {
        let envelope = Envelope::parse(bytes.clone());
        let what = envelope.map_or_else(|_| "envelope".to_owned(), |it| describe(&it));
        let waits = if self.way().is_some() { "" } else { "; it waits for main" };
        self.say(format_args!("took {what}{waits}"));
        let debug = self.debug;
        Answering::new(move |told| {
            match &told {
                Told::Taken | Told::Reply(_) => say(debug, format_args!("main has {what}")),
                Told::Declined(why) => say(debug, format_args!("main refused {what}: {why}")),
                Told::Lost => say(
                    debug,
                    format_args!(
                        "{what} is left for a later main, unless it was said to be dropped"
                    ),
                ),
            }
            if let Some(answer) = answer {
                answer.tell(told);
            }
        })
    }

    /// Something captured was taken over by the SDK thread.
    pub(crate) fn took_over(&self) {
        let mut captured = lock(&self.captured);
        *captured = captured.saturating_sub(1);
    }

    /// What has changed in the own scope, unless something waits that was captured before: with that
    /// comes what belongs before it.
    pub(crate) fn take_own_scope(&self) -> (Vec<(ScopeUpdate, Timestamp)>, Refusals) {
        let captured = lock(&self.captured);
        if *captured > 0 { Default::default() } else { self.own_scope.take() }
    }

    /// Has a large attachment handed to main.
    pub(crate) fn stream(
        &self,
        opening: StreamOpening,
        source: Box<dyn Read + Send>,
        answer: Answering,
    ) {
        self.enter_or_lose(Visit::Stream { opening, source, answer });
    }

    fn enter_or_lose(&self, visit: Visit) {
        if let Err(visit) = self.doorway.enter(visit) {
            self.give_up(visit);
        }
    }

    /// Counts what did not get into the doorway, and tells who waits for it, outside of any lock.
    fn give_up(&self, visit: Visit) {
        // What is lost of a stream counts who has opened it.
        if let Visit::Message { channel, bytes, .. } = &visit {
            self.lose(&message(*channel, bytes, Reason::QueueOverflow));
        }
        self.say(format_args!(
            "something for main was dropped: too much waits for the SDK thread already, or the guard \
             is gone"
        ));
    }

    fn announce_scope(&self) {
        if !self.is_scope_announced.swap(true, Ordering::AcqRel) {
            let _ = self.doorway.enter(Visit::Scope);
        }
    }

    /// Counts what is lost, for the next report. The next flush says that not all is on disk.
    pub(crate) fn lose(&self, losses: &Losses) {
        if !losses.is_empty() {
            self.has_lost.store(true, Ordering::Release);
            self.count(losses);
        }
    }

    /// Something captured was not taken, which somebody else counts.
    pub(crate) fn lose_uncounted(&self) {
        self.has_lost.store(true, Ordering::Release);
    }

    /// Counts what the application did not want, or what was counted before and could not be reported.
    pub(crate) fn count(&self, losses: &Losses) {
        lock(&self.losses).add(losses);
    }

    /// What was lost since the last time.
    pub(crate) fn take_losses(&self) -> Losses {
        lock(&self.losses).take()
    }

    /// Waits until main has made all that came before durable. Says whether it has, and whether nothing
    /// of it was lost since the last time; at once if it cannot be by then.
    pub(crate) fn flush(&self, deadline: Instant) -> bool {
        if self.is_own_thread() {
            return false;
        }
        let (done, promise) = promise();
        lock(&self.flushes).push(promise.breaker());
        // Looked at after the breaker is there, so that whoever closes finds one or the other.
        let may_wait = !self.is_closing.load(Ordering::Acquire);
        let is_durable = may_wait
            && self.doorway.enter(Visit::Flush { deadline, done }).is_ok()
            && promise.wait_until(deadline) == Some(true);
        lock(&self.flushes).retain(|breaker| !breaker.is_of(&promise));
        let has_lost = self.has_lost.swap(false, Ordering::AcqRel);
        is_durable && !has_lost
    }

    /// A thread that panics has waited for main, which has everything or not.
    pub(crate) fn waited_in_panic(&self, is_durable: bool) {
        self.is_main_silent.store(!is_durable, Ordering::Release);
    }

    /// Whether a panic has waited for main in vain. If it ends the process, it does not wait once more.
    pub(crate) fn is_main_silent(&self) -> bool {
        self.is_main_silent.load(Ordering::Acquire)
    }

    /// Waits until the SDK thread has done its last work, which is to say goodbye only if this thread
    /// does not panic: then main has to see for itself how the process ends. Says whether main has everything, or
    /// nothing if it has not come so far.
    pub(crate) fn close(&self, deadline: Instant) -> Option<bool> {
        let (done, promise) = promise();
        let is_panicking = std::thread::panicking();
        self.doorway.enter(Visit::Close { deadline, is_panicking, done }).ok()?;
        // An answer may have held the last guard; then the thread ends when it is done with that.
        if self.is_own_thread() { None } else { promise.wait_until(deadline) }
    }

    /// Lets nobody wait for main any more. Whoever does holds a lock of the client.
    pub(crate) fn begin_closing(&self) {
        self.is_closing.store(true, Ordering::Release);
        for breaker in &*lock(&self.flushes) {
            breaker.end();
        }
    }

    /// The threads whose hanging main is to notice. The SDK thread looks when it is told
    /// ([`stir_heartbeats`](Self::stir_heartbeats)) and at the time they say.
    pub(crate) fn heartbeats(&self) -> MutexGuard<'_, Heartbeats> {
        lock(&self.heartbeats)
    }

    /// Has the SDK thread look at the heartbeats.
    pub(crate) fn stir_heartbeats(&self) {
        if !self.are_heartbeats_announced.swap(true, Ordering::AcqRel) {
            let _ = self.doorway.enter(Visit::Heartbeats);
        }
    }

    /// On which way main is reached, if it is.
    pub(crate) fn way(&self) -> Option<Way> {
        *lock(&self.way)
    }

    fn is_own_thread(&self) -> bool {
        self.thread.get() == Some(&std::thread::current().id())
    }

    /// Says something if the application wants to hear it.
    pub(crate) fn say(&self, words: fmt::Arguments<'_>) {
        say(self.debug, words);
    }
}

/// What only the SDK thread does.
impl House {
    /// Says that this thread is the SDK thread.
    pub(crate) fn enter(&self) {
        let _ = self.thread.set(std::thread::current().id());
    }

    pub(crate) fn doorway(&self) -> &Doorway<Visit> {
        &self.doorway
    }

    /// From now on a heartbeat more or less is worth a visit again.
    pub(crate) fn hear_heartbeats(&self) {
        // What was announced before this is seen by whoever looks after it.
        self.are_heartbeats_announced.swap(false, Ordering::AcqRel);
    }

    /// From now on a change of the scope is worth a visit again.
    pub(crate) fn hear_scope(&self) {
        self.is_scope_announced.store(false, Ordering::Release);
    }

    pub(crate) fn set_way(&self, way: Option<Way>) {
        *lock(&self.way) = way;
    }
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").field("doorway", &"…").finish_non_exhaustive()
    }
}
