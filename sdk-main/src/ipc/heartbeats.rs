//! Notices the threads of renderers that no longer respond.
//!
//! A thread is watched from its first heartbeat on, and is silent when none came for the time that the
//! renderer chose. [`Heartbeats`] says so once for each hang. It accuses nobody while it may be main
//! that did not listen, and its memory and the number of events are bounded whatever a renderer says.
//!
//! It owns no clock and no timer. Which renderers are stopped, or have said what main has not read yet,
//! whoever calls knows and says. No stack goes with the event: it takes the operating system to get
//! one of another process's thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use guardhouse_protocol::json::{Json, ObjectWriter};
use guardhouse_protocol::limits::STATUS_MILLIS;
use guardhouse_protocol::{EditError, Envelope, EventId, RendererState, Status, Timestamp};
use uuid::Uuid;

use super::report::report;

/// So many threads of one renderer are watched.
const THREADS_OF_A_RENDERER: usize = 32;
/// So many threads are watched in all.
const THREADS: usize = 1024;
/// So many hangs of one renderer are told in [`HANGS_WITHIN`]. Main writes an event for each, which
/// counts against no budget of the renderer.
const HANGS: u32 = 10;
const HANGS_WITHIN: Duration = Duration::from_secs(10 * 60);
/// No silence is shorter: Electron does not look more often either, and a scheduler may take as long.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(STATUS_MILLIS);
/// From when a silence is noticed until it is told. A heartbeat that is waiting to be read at that
/// moment, since main was busy or stopped for a little while, is read before.
const SECOND_LOOK: Duration = Duration::from_millis(100);
/// Main is away if it comes so much later than it should.
const AWAY: Duration = Duration::from_secs(1);

/// The name of a thread, if it is not the only one.
type Name = Option<Arc<str>>;

/// The watch over the threads of renderers.
///
/// - **`handle`**: at each turn of the loop [`woke`](Self::woke), before anything is read; then
///   [`hear`](Self::hear) for each status.
/// - **Mutators**: [`excuse`](Self::excuse), [`excuse_all`](Self::excuse_all),
///   [`take_back`](Self::take_back), [`forget`](Self::forget).
/// - **`poll`**: when all that is there was read, [`poll`](Self::poll) until it says nothing more;
///   [`poll_timeout`](Self::poll_timeout) says when there is something again, unless a heartbeat comes
///   before. While nobody is watched, that is never.
///
/// A page that is hidden is not watched before it says that it is visible: its heartbeats go on, but
/// browsers slow them down. A thread with a name is one of a native renderer, which nobody slows down:
/// the next heartbeat after it was hidden is enough.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats {
    renderers: BTreeMap<Uuid, Renderer>,
    /// How many threads all renderers have here.
    threads: usize,
    /// When to look at which thread.
    due: BTreeSet<(Instant, Uuid, Name)>,
    not_watched: u64,
    not_told: u64,
}

#[derive(Debug, Default)]
struct Renderer {
    threads: BTreeMap<Name, Thread>,
    /// How many hangs were told, and since when that is counted.
    told: Option<(u32, Instant)>,
}

#[derive(Debug)]
struct Thread {
    /// When it was heard last, or excused.
    since: Instant,
    threshold: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A heartbeat should come before then.
    Awaited(Instant),
    /// None came. If there is none until the second look either, the thread hangs.
    Doubted(Instant),
    /// It hangs, and that was told.
    Told,
    /// Its page cannot be seen.
    Hidden,
}

impl State {
    fn due(self) -> Option<Instant> {
        match self {
            Self::Awaited(due) | Self::Doubted(due) => Some(due),
            Self::Told | Self::Hidden => None,
        }
    }
}

/// A thread that does not respond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    /// Whose thread it is.
    pub(crate) renderer: Uuid,
    /// What it is called, if the renderer says.
    pub(crate) thread: Option<String>,
    /// When it was heard last, or excused.
    pub(crate) since: Instant,
    /// For how long at least it has been silent since.
    pub(crate) threshold: Duration,
}

impl Heartbeats {
    /// Nobody is watched.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Takes in what a renderer says of one of its threads.
    pub(crate) fn hear(&mut self, renderer: Uuid, status: &Status, now: Instant) {
        let name: Name = status.thread().map(Into::into);
        let there = self.renderers.get(&renderer).and_then(|it| it.threads.get(&name));
        let is_page = name.is_none();
        let state = match status.state {
            RendererState::Hidden if is_page => State::Hidden,
            RendererState::Hidden => return self.remove(renderer, &name),
            RendererState::Alive if there.is_some_and(|it| it.state == State::Hidden) => return,
            RendererState::Alive | RendererState::Visible => {
                State::Awaited(now + threshold(status))
            }
        };
        if there.is_none() && !self.has_room_for_one_of(renderer) {
            self.not_watched += 1;
            return;
        }
        let thread = Thread { since: now, threshold: threshold(status), state };
        self.put(renderer, name, thread);
    }

    /// A renderer is gone.
    pub(crate) fn forget(&mut self, renderer: Uuid) {
        for (name, thread) in
            self.renderers.remove(&renderer).into_iter().flat_map(|gone| gone.threads)
        {
            self.threads -= 1;
            if let Some(due) = thread.state.due() {
                self.due.remove(&(due, renderer, name));
            }
        }
    }

    /// The renderer could not be heard so far: main has not read what it said, or its process is
    /// stopped. All its threads have the full time again. What was told stays told.
    pub(crate) fn excuse(&mut self, renderer: Uuid, now: Instant) {
        let Some(excused) = self.renderers.get_mut(&renderer) else { return };
        for (name, thread) in &mut excused.threads {
            let Some(due) = thread.state.due() else { continue };
            self.due.remove(&(due, renderer, name.clone()));
            let due = now + thread.threshold;
            (thread.since, thread.state) = (now, State::Awaited(due));
            self.due.insert((due, renderer, name.clone()));
        }
    }

    /// Nobody could be heard so far, as [`excuse`](Self::excuse) says it of one.
    pub(crate) fn excuse_all(&mut self, now: Instant) {
        let all: Vec<Uuid> = self.renderers.keys().copied().collect();
        for renderer in all {
            self.excuse(renderer, now);
        }
    }

    /// A silence that was just told turns out to have an excuse. It counts as not told, and the thread
    /// has the full time again.
    pub(crate) fn take_back(&mut self, silence: &Silence, now: Instant) {
        let Some(renderer) = self.renderers.get_mut(&silence.renderer) else { return };
        if let Some((told, _)) = &mut renderer.told {
            *told = told.saturating_sub(1);
        }
        let name: Name = silence.thread.as_deref().map(Into::into);
        let Some(thread) = renderer.threads.get(&name) else { return };
        if thread.state == State::Told {
            let threshold = thread.threshold;
            let state = State::Awaited(now + threshold);
            self.put(silence.renderer, name, Thread { since: now, threshold, state });
        }
    }

    /// Main looks around again. If it comes late for what it wanted to do, it was away itself: stopped,
    /// starved, or asleep with the machine. Then nobody could be heard.
    pub(crate) fn woke(&mut self, now: Instant) {
        let is_late = |due: Instant| now.saturating_duration_since(due) > AWAY;
        if self.poll_timeout().is_some_and(is_late) {
            self.excuse_all(now);
        }
    }

    /// When to [`poll`](Self::poll) at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(due, ..)| *due)
    }

    /// The next thread that hangs. Of each hang it is said once; the thread can hang anew when it was
    /// heard again.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Silence> {
        while self.poll_timeout().is_some_and(|due| due <= now) {
            let (_, id, name) = self.due.pop_first()?;
            let Some(renderer) = self.renderers.get_mut(&id) else { continue };
            let Some(thread) = renderer.threads.get_mut(&name) else { continue };
            if let State::Awaited(_) = thread.state {
                let again = now + SECOND_LOOK;
                thread.state = State::Doubted(again);
                self.due.insert((again, id, name));
                continue;
            }
            thread.state = State::Told;
            let (since, threshold) = (thread.since, thread.threshold);
            if renderer.has_told_enough(now) {
                self.not_told += 1;
                continue;
            }
            let thread = name.as_deref().map(str::to_owned);
            return Some(Silence { renderer: id, thread, since, threshold });
        }
        None
    }

    /// How many heartbeats were of threads beyond what is watched.
    pub(crate) fn not_watched(&self) -> u64 {
        self.not_watched
    }

    /// How many hangs were not told, since there were too many of the same renderer.
    pub(crate) fn not_told(&self) -> u64 {
        self.not_told
    }

    fn has_room_for_one_of(&self, renderer: Uuid) -> bool {
        let own = self.renderers.get(&renderer).map_or(0, |it| it.threads.len());
        own < THREADS_OF_A_RENDERER && self.threads < THREADS
    }

    fn put(&mut self, renderer: Uuid, name: Name, thread: Thread) {
        if let Some(due) = thread.state.due() {
            self.due.insert((due, renderer, name.clone()));
        }
        let due = thread.state.due();
        let threads = &mut self.renderers.entry(renderer).or_default().threads;
        match threads.insert(name.clone(), thread).map(|former| former.state.due()) {
            None => self.threads += 1,
            Some(Some(former)) if Some(former) != due => {
                self.due.remove(&(former, renderer, name));
            }
            Some(_) => {}
        }
    }

    fn remove(&mut self, id: Uuid, name: &Name) {
        let Some(renderer) = self.renderers.get_mut(&id) else { return };
        if let Some(thread) = renderer.threads.remove(name) {
            self.threads -= 1;
            if let Some(due) = thread.state.due() {
                self.due.remove(&(due, id, name.clone()));
            }
        }
        // What was told is kept until the renderer is gone, or it would be told without end.
        if renderer.threads.is_empty() && renderer.told.is_none() {
            self.renderers.remove(&id);
        }
    }
}

impl Renderer {
    /// Counts a hang, unless it is one too many.
    fn has_told_enough(&mut self, now: Instant) -> bool {
        let (told, since) = self.told.get_or_insert((0, now));
        if now.saturating_duration_since(*since) >= HANGS_WITHIN {
            (*told, *since) = (0, now);
        }
        let is_enough = *told >= HANGS;
        *told += u32::from(!is_enough);
        is_enough
    }
}

/// After which silence a thread hangs. One that beats less often than it should be heard would hang
/// between any two beats, so it may miss one.
fn threshold(status: &Status) -> Duration {
    let shortest = status.poll_interval.saturating_mul(2).max(SHORTEST);
    status.anr_threshold.max(shortest).min(LONGEST)
}

/// What Sentry gets to know of it, as `@sentry/electron` says it. `name` is what the renderer is called.
pub(crate) fn event(
    silence: &Silence,
    name: &str,
    at: Timestamp,
    id: EventId,
) -> Result<Envelope, EditError> {
    // Sentry drops a tag with a line break.
    let thread =
        silence.thread.as_ref().map(|thread| thread.replace(|c: char| c.is_control(), " "));
    let tags: Vec<(&str, &str)> =
        thread.iter().map(|thread| ("thread.name", thread.as_str())).collect();
    report(id, at, "error", name, &tags, |event| {
        let mut mechanism = ObjectWriter::new();
        mechanism.member("type", "ANR");
        let millis = silence.threshold.as_millis();
        let mut exception = ObjectWriter::new();
        exception
            .member("type", "ApplicationNotResponding")
            .member("value", format!("Application Not Responding for at least {millis} ms"))
            .member("mechanism", mechanism.finish());
        let mut values = ObjectWriter::new();
        values.member("values", Json::array([exception.finish()]));
        event.member("exception", values.finish());
    })
}

#[cfg(test)]
mod tests;
