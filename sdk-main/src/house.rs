//! What all threads of the process share: the scope, the doorway to the SDK thread, and what was lost
//! before it got there.
//!
//! No method here waits, but for those that say so by taking a deadline; and those never wait beyond
//! it, nor on the SDK thread itself, where waiting for that thread would never end.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread::ThreadId;
use std::time::Instant;

use bytes::Bytes;
use guardhouse_process::doorway::{Breaker, Doorway, Promised, Visitor, promise};
use guardhouse_process::scope::{Heard, OwnScope};
use guardhouse_process::{lock, say};
use guardhouse_protocol::frame::Proof;
use guardhouse_protocol::http::Answer;
use guardhouse_protocol::json::Json;
use guardhouse_protocol::limits::KIB;
use guardhouse_protocol::scope::Field;
use guardhouse_protocol::{Channel, Config, FeedbackResult, Namespace};
use sentry::protocol::{Breadcrumb, EnvelopeItem, ItemContainer};
use sentry::{BeforeCallback, Envelope};
use uuid::Uuid;

use crate::contexts::Screen;
use crate::error::InitError;
use crate::ipc::pushes::Pushes;
use crate::ipc::renderers::Renderers;
use crate::ipc::room::{OwnShares, Room, Shares};
use crate::ipc::service::Call;
use crate::losses::{Category, Losses, Reason};
use crate::merge::{MergedScope, Process, Scopes};
use crate::options::{EventProcessor, RendererInfo};
use crate::session::Severity;
use crate::watch::Attach;

/// What all threads share.
pub(crate) struct House {
    pub(crate) own_scope: Arc<OwnScope>,
    pub(crate) processors: Vec<EventProcessor>,
    pub(crate) debug: bool,
    /// What all processes contribute. It is held for microseconds, never while an event is merged.
    scopes: Mutex<Scopes>,
    /// What is known of the application and the machine, once it is.
    contexts: Mutex<Option<Arc<Json>>>,
    doorway: Doorway<Visit>,
    /// The native renderers that are there.
    pub(crate) renderers: Mutex<Renderers>,
    /// What main tells them.
    pub(crate) pushes: Pushes,
    /// How they are to behave.
    pub(crate) config: Mutex<Config>,
    /// How much of main they may take up.
    pub(crate) room: Room,
    /// What did not get into the doorway.
    losses: Mutex<Losses>,
    /// Where the note lies that leads renderers here, once there is one.
    note: OnceLock<PathBuf>,
    /// Why nothing is reported, if `init` could not tell.
    startup_error: Mutex<Option<Arc<InitError>>>,
    is_bound: AtomicBool,
    is_closing: AtomicBool,
    /// When the application will not wait for its end any longer.
    last_moment: OnceLock<Instant>,
    /// Who waits for everything to be sent.
    flushes: Mutex<Vec<Breaker<bool>>>,
    thread: OnceLock<ThreadId>,
}

/// What the SDK thread is asked for.
pub(crate) enum Visit {
    /// Main itself has captured something, which means this for the session.
    Captured(Box<Envelope>, Option<Severity>),
    /// A user says something of the application in main.
    Feedback { envelope: Bytes, answer: Promised<FeedbackResult> },
    /// Main has a large attachment.
    Attach(Box<Attach>),
    /// A renderer says something.
    Message { from: RendererInfo, channel: Channel, bytes: Bytes, answer: Answering },
    /// A native renderer asks for something.
    Native(Call),
    /// Main has handed a socket to a process that it starts.
    #[cfg(unix)]
    Inherited(std::os::unix::net::UnixStream),
    /// A renderer could not be started.
    LaunchFailed(String),
    /// A renderer is gone.
    Gone(Uuid),
    /// Somebody waits until all of what came before has been sent.
    Flush { deadline: Instant, sent: Promised<bool> },
    /// Somebody waits until all of what came before is on disk.
    Settle(Promised<bool>),
    /// The user has agreed, or does not any more.
    Consent(bool),
    /// A window of the application got or lost the focus.
    Focus { window: u64, is_focused: bool },
    /// A host knows the screen.
    Screen(Screen),
    /// The application ends.
    Close { deadline: Instant, done: Promised<bool> },
}

/// Who wants to know what became of a message. Whatever happens to it, it is told once.
pub(crate) struct Answering {
    tell: Option<Tell>,
    /// What it takes up of its renderer's room.
    shares: Option<Shares>,
    /// What it means that main takes nothing any more.
    closed: fn() -> MessageAnswer,
}

type Tell = Box<dyn FnOnce(MessageAnswer, Option<OwnShares>) + Send>;

impl Answering {
    pub(crate) fn new(channel: Channel, tell: impl FnOnce(MessageAnswer) + Send + 'static) -> Self {
        let closed = match channel {
            Channel::Feedback => || MessageAnswer::Feedback(FeedbackResult::default()),
            _ => MessageAnswer::closed,
        };
        let tell: Tell = Box::new(|answer, _| tell(answer));
        Self { tell: Some(tell), shares: None, closed }
    }

    /// A native renderer, which keeps what main does not take any more, feedback too.
    pub(crate) fn native(
        shares: Shares,
        tell: impl FnOnce(MessageAnswer, Option<OwnShares>) + Send + 'static,
    ) -> Self {
        let tell: Tell = Box::new(tell);
        Self { tell: Some(tell), shares: Some(shares), closed: MessageAnswer::closed }
    }

    pub(crate) fn tell(mut self, answer: MessageAnswer) {
        self.put(answer);
    }

    /// Who asks again is told instead: it is the same renderer, over the connection that counts now.
    pub(crate) fn replace(&mut self, other: Self) {
        self.tell = None;
        *self = other;
    }

    /// The message is out of memory; only its answer is not known yet.
    pub(crate) fn give_back(&mut self) {
        self.shares = None;
    }

    fn put(&mut self, answer: MessageAnswer) {
        if let Some(tell) = self.tell.take() {
            let shares = self.shares.take().map(Shares::answered);
            // It is the application's, and its panic should cost nothing of ours.
            let _ = catch_unwind(AssertUnwindSafe(|| tell(answer, shares)));
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.put((self.closed)());
    }
}

/// What became of a message of a renderer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageAnswer {
    /// It was taken, and as far as the contract's table demands it is on disk.
    Taken,
    /// It was taken and will be kept in memory only, since the disk cannot be written.
    NotDurable,
    /// What became of user feedback.
    Feedback(FeedbackResult),
    /// It was refused.
    #[non_exhaustive]
    Refused {
        /// The status with which a host answers a request of a page.
        status: u16,
        /// Why, for a person.
        why: String,
    },
}

impl MessageAnswer {
    pub(crate) fn refused(status: Answer, why: impl Into<String>) -> Self {
        Self::Refused { status: status.status(), why: why.into() }
    }

    /// Whether it is the last word, so that the message must not come again.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                Answer::from_status(*status).is_some_and(Answer::is_final)
            }
            _ => true,
        }
    }

    /// Main takes nothing any more. Whoever can keep what it said should.
    pub(crate) fn closed() -> Self {
        Self::refused(Answer::Busy, "main takes nothing any more")
    }
}

impl Visitor for Visit {
    fn weight(&self) -> usize {
        match self {
            Self::Captured(envelope, _) => envelope.items().map(weight).sum(),
            Self::Message { bytes, .. } => bytes.len() + KIB,
            Self::Feedback { envelope, .. } => envelope.len() + KIB,
            Self::Attach(_) => KIB,
            _ => 0,
        }
    }

    fn comes_from(&self) -> Option<Uuid> {
        match self {
            Self::Message { from, .. } => Some(from.id),
            _ => None,
        }
    }
}

/// About how many bytes an item takes up. To know it exactly it would have to be written.
fn weight(item: &EnvelopeItem) -> usize {
    match item {
        EnvelopeItem::Attachment(attachment) => attachment.buffer.len() + KIB,
        EnvelopeItem::Transaction(transaction) => KIB * (1 + transaction.spans.len()),
        EnvelopeItem::ItemContainer(ItemContainer::Logs(logs)) => KIB * (1 + logs.len()),
        EnvelopeItem::ItemContainer(ItemContainer::Metrics(metrics)) => KIB * (1 + metrics.len()),
        EnvelopeItem::Event(event) => {
            let texts =
                event.extra.values().chain(event.breadcrumbs.iter().flat_map(|b| b.data.values()));
            let message = event.message.as_ref().map_or(0, String::len);
            8 * KIB + message + texts.map(size).sum::<usize>()
        }
        _ => 8 * KIB,
    }
}

/// About how many bytes a value takes up.
fn size(value: &sentry::protocol::Value) -> usize {
    use sentry::protocol::Value;
    32 + match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(size).sum(),
        Value::Object(members) => members.iter().map(|(key, value)| key.len() + size(value)).sum(),
        _ => 0,
    }
}

impl House {
    pub(crate) fn new(
        debug: bool,
        max_breadcrumbs: usize,
        before_breadcrumb: Option<BeforeCallback<Breadcrumb>>,
        processors: Vec<EventProcessor>,
        (namespace, proof): (&Namespace, Proof),
    ) -> Arc<Self> {
        Arc::new_cyclic(|house: &Weak<Self>| Self {
            own_scope: Arc::new(OwnScope::new(max_breadcrumbs, before_breadcrumb, {
                let house = house.clone();
                move |heard| {
                    if heard == Heard::TooMuch
                        && let Some(house) = house.upgrade()
                    {
                        house.take_over_main();
                    }
                }
            })),
            processors,
            debug,
            scopes: Mutex::new(Scopes::new(max_breadcrumbs)),
            contexts: Mutex::default(),
            doorway: Doorway::new(),
            renderers: Mutex::new(Renderers::new(namespace, proof)),
            pushes: Pushes::new(),
            config: Mutex::default(),
            room: Room::new(),
            losses: Mutex::default(),
            note: OnceLock::new(),
            startup_error: Mutex::default(),
            is_bound: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            last_moment: OnceLock::new(),
            flushes: Mutex::default(),
            thread: OnceLock::new(),
        })
    }

    /// Takes what main has captured.
    pub(crate) fn capture(&self, envelope: Envelope) {
        let severity = envelope.event().and_then(Severity::of_captured);
        let visit = Visit::Captured(Box::new(envelope), severity);
        if let Err(Visit::Captured(envelope, _)) = self.doorway.enter(visit) {
            self.say(format_args!(
                "an envelope was dropped: too much waits for the SDK thread already, or the guard is \
                 gone"
            ));
            self.count_typed(&envelope, Reason::QueueOverflow);
        }
    }

    /// Takes what a user says in main.
    pub(crate) fn feedback(&self, envelope: Bytes, answer: Promised<FeedbackResult>) {
        if let Err(Visit::Feedback { answer, .. }) =
            self.doorway.enter(Visit::Feedback { envelope, answer })
        {
            self.say(format_args!("feedback was dropped: too much waits already"));
            lock(&self.losses).count(Category::Feedback, Reason::QueueOverflow, 1);
            answer.keep(FeedbackResult::default());
        }
    }

    /// Takes a large attachment of main.
    pub(crate) fn attach(&self, attach: Attach) {
        let (size, attach) = (attach.opening.size(), Box::new(attach));
        if self.doorway.enter(Visit::Attach(attach)).is_err() {
            self.say(format_args!("an attachment was dropped: too much waits already"));
            self.count_attachment(size, Reason::QueueOverflow);
        }
    }

    /// Counts an attachment that is lost, as far as its size is known.
    pub(crate) fn count_attachment(&self, size: Option<u64>, reason: Reason) {
        lock(&self.losses).count(Category::Attachment, reason, size.unwrap_or(0));
    }

    /// Takes what a renderer says; `answer` is called once, on the SDK thread or right here.
    pub(crate) fn hear(
        &self,
        from: RendererInfo,
        channel: Channel,
        bytes: Bytes,
        answer: Answering,
    ) {
        let visit = Visit::Message { from, channel, bytes, answer };
        if let Err(Visit::Message { answer, channel, .. }) = self.doorway.enter(visit) {
            if matches!(channel, Channel::Envelope | Channel::Feedback) {
                // It was not looked into, so what it held cannot be told.
                self.count_lost(Reason::QueueOverflow);
            }
            answer.tell(MessageAnswer::refused(Answer::Busy, "main takes nothing at the moment"));
        }
    }

    /// Asks for something that is not answered.
    pub(crate) fn ask(&self, visit: Visit) {
        // Nobody is there to do it only after the guard is gone, and then it is not needed.
        let _ = self.doorway.enter(visit);
    }

    /// Waits until all that came before has been sent. Says whether it was; at once if it cannot be
    /// by then.
    pub(crate) fn flush(&self, deadline: Instant) -> bool {
        if self.is_own_thread() {
            return false;
        }
        let (sent, promise) = promise();
        lock(&self.flushes).push(promise.breaker());
        // Looked at after the breaker is there, so that whoever closes finds one or the other.
        let may_wait = !self.is_closing.load(Ordering::Acquire);
        let is_sent = may_wait
            && self.doorway.enter(Visit::Flush { deadline, sent }).is_ok()
            && promise.wait_until(deadline) == Some(true);
        lock(&self.flushes).retain(|breaker| !breaker.is_of(&promise));
        is_sent
    }

    /// Waits until all that came before is on disk. Says whether it is.
    pub(crate) fn settle(&self, deadline: Instant) -> bool {
        let (settled, promise) = promise();
        !self.is_own_thread()
            && self.doorway.enter(Visit::Settle(settled)).is_ok()
            && promise.wait_until(deadline) == Some(true)
    }

    /// Waits until the SDK thread has done its last work. Says whether everything was sent, or
    /// nothing if it has not come so far.
    pub(crate) fn close(&self, deadline: Instant) -> Option<bool> {
        let (done, promise) = promise();
        // In front of what waits: how the run ended has to be known in time, whatever comes of the rest.
        self.doorway.enter_first(Visit::Close { deadline, done }).ok()?;
        // An answer may have held the last guard; then the thread ends when it is done with that.
        if self.is_own_thread() { None } else { promise.wait_until(deadline) }
    }

    /// From now on what `sentry` shows is what the application has captured.
    pub(crate) fn bind(&self) {
        self.is_bound.store(true, Ordering::Release);
    }

    pub(crate) fn is_bound(&self) -> bool {
        self.is_bound.load(Ordering::Acquire)
    }

    /// Lets nobody wait for anything to be sent any more. Whoever does holds a lock of the client.
    pub(crate) fn begin_closing(&self, last_moment: Instant) {
        let _ = self.last_moment.set(last_moment);
        self.is_closing.store(true, Ordering::Release);
        for breaker in &*lock(&self.flushes) {
            breaker.end();
        }
    }

    /// Where the note lies that leads renderers here, if there is one yet.
    pub(crate) fn note(&self) -> Option<&Path> {
        self.note.get().map(PathBuf::as_path)
    }

    /// Why nothing is reported, if `init` could not tell.
    pub(crate) fn startup_error(&self) -> Option<Arc<InitError>> {
        lock(&self.startup_error).clone()
    }

    /// Says why nothing is reported, or that it goes on.
    pub(crate) fn set_startup_error(&self, error: Option<InitError>) {
        *lock(&self.startup_error) = error.map(Arc::new);
    }

    fn is_own_thread(&self) -> bool {
        self.thread.get() == Some(&std::thread::current().id())
    }

    /// What all processes contribute, for an event of main, and the level that main has set for all
    /// of its own.
    pub(crate) fn scope_of_main(&self) -> (MergedScope, Option<Json>) {
        self.with_scopes(|scopes| {
            let level = scopes.get(Process::Main).and_then(|main| main.get(&Field::Level));
            let level = level.map(|entry| entry.value().clone());
            (scopes.merged(Process::Main), level)
        })
    }

    /// Lets somebody look at what all processes contribute, or change it, once what main's threads
    /// have said is taken over.
    pub(crate) fn with_scopes<R>(&self, look: impl FnOnce(&mut Scopes) -> R) -> R {
        let mut scopes = lock(&self.scopes);
        let (changes, mut refusals) = self.own_scope.take();
        for (change, at) in changes {
            if let Err(refusal) = scopes.apply(Process::Main, change, at) {
                refusals.count(refusal);
            }
        }
        scopes.set_times_twice(self.own_scope.times_twice());
        let result = look(&mut scopes);
        drop(scopes);
        for (refusal, count) in refusals.iter() {
            self.say(format_args!("{count} of what main said of its scope was refused: {refusal}"));
        }
        result
    }

    /// What is known of the application and the machine, if that is known yet.
    pub(crate) fn contexts(&self) -> Option<Arc<Json>> {
        lock(&self.contexts).clone()
    }

    /// Takes over what main's threads have said.
    pub(crate) fn take_over_main(&self) {
        self.with_scopes(|_| {});
    }

    /// Says something if the application wants to hear it.
    pub(crate) fn say(&self, words: fmt::Arguments<'_>) {
        say(self.debug, words);
    }

    /// Counts what an envelope stands for without writing it: whoever is refused should not pay.
    pub(crate) fn count_typed(&self, envelope: &Envelope, reason: Reason) {
        let mut losses = lock(&self.losses);
        for item in envelope.items() {
            let (category, quantity) = match item {
                EnvelopeItem::Event(_) => (Category::Error, 1),
                EnvelopeItem::Transaction(transaction) => {
                    losses.count(Category::Span, reason, transaction.spans.len() as u64 + 1);
                    (Category::Transaction, 1)
                }
                EnvelopeItem::SessionUpdate(_) | EnvelopeItem::SessionAggregates(_) => {
                    (Category::Session, 1)
                }
                EnvelopeItem::Attachment(attachment) => {
                    (Category::Attachment, attachment.buffer.len() as u64)
                }
                EnvelopeItem::MonitorCheckIn(_) => (Category::Monitor, 1),
                EnvelopeItem::ItemContainer(ItemContainer::Logs(logs)) => {
                    (Category::LogItem, logs.len() as u64)
                }
                EnvelopeItem::ItemContainer(ItemContainer::Metrics(metrics)) => {
                    (Category::TraceMetric, metrics.len() as u64)
                }
                _ => (Category::Default, 1),
            };
            losses.count(category, reason, quantity);
        }
    }
}

/// What only the SDK thread does.
impl House {
    /// Says that this thread is the SDK thread.
    pub(crate) fn enter(&self) {
        let _ = self.thread.set(std::thread::current().id());
    }

    /// Says where the note lies. It stays there as long as main lives.
    pub(crate) fn set_note(&self, note: PathBuf) {
        let _ = self.note.set(note);
    }

    pub(crate) fn doorway(&self) -> &Doorway<Visit> {
        &self.doorway
    }

    pub(crate) fn take_losses(&self) -> Losses {
        lock(&self.losses).take()
    }

    /// Whether the application waits no longer for its end.
    pub(crate) fn is_too_late(&self) -> bool {
        self.last_moment.get().is_some_and(|last| Instant::now() >= *last)
    }

    /// Counts something of which is not known what it held.
    pub(crate) fn count_lost(&self, reason: Reason) {
        lock(&self.losses).count(Category::Default, reason, 1);
    }

    /// Says what is known of the application and the machine.
    pub(crate) fn set_contexts(&self, contexts: Json) {
        *lock(&self.contexts) = Some(Arc::new(contexts));
    }
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").field("doorway", &"…").finish_non_exhaustive()
    }
}
