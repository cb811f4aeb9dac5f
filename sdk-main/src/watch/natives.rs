//! The native renderers that are there: how they come, how they go, and whose turn it is.
//!
//! What they say is taken in [`taking`](super::taking).

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use guardhouse_crash::ending::{Status, Watched};
use guardhouse_process::lock;
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::taking::{Asked, Said, Undurable};
use super::{RENDERERS, Watch};
use crate::house::Visit;
use crate::intake::Patience;
use crate::ipc::ends::oom_kills;
use crate::ipc::service::Call;
use crate::ipc::window::Window;
use crate::options::RendererInfo;

/// So many messages of those that wait are taken before others have their turn.
const ALONE_AT_ONCE: usize = 16;

/// So long main waits for the last connection of a process that has ended, and for another one of a
/// renderer whose end it cannot see.
const LAST_WORDS: Duration = Duration::from_secs(5);
const COME_BACK: Duration = Duration::from_secs(30);

/// The native renderers that are there, as the SDK thread knows them.
#[derive(Default)]
pub(super) struct Natives {
    pub(super) known: BTreeMap<Uuid, Native>,
    /// What only memory holds, and who wants to know when it is on disk.
    pub(super) undurable: Vec<Undurable>,
    /// What Sentry has not answered.
    pub(super) asked: Vec<Asked>,
    /// Who was the last to go on beyond its budget.
    last_alone: Uuid,
}

pub(super) struct Native {
    /// What was taken of it.
    pub(super) seen: Window,
    pub(super) waiting: VecDeque<Said>,
    /// When the first that waits may have budget.
    pub(super) retry_at: Option<Instant>,
    /// Whether it waits for the disk instead.
    pub(super) waits_for_disk: bool,
    /// How many processes the system had killed for want of memory when it came.
    oom_kills_before: Option<u64>,
    /// Whether it has reported a panic, or another exception that nobody handled.
    pub(super) has_panicked: bool,
    /// How its process ended, once it has.
    ended: Option<Status>,
    /// When it is given up, if no connection of it is left.
    give_up_at: Option<Instant>,
    /// What waits for the end of its process; nothing if the system did not let us.
    watching: Option<AbortHandle>,
}

impl Native {
    fn waits_for_budget(&self) -> bool {
        !self.waiting.is_empty() && !self.waits_for_disk
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        if let Some(watching) = &self.watching {
            watching.abort();
        }
    }
}

impl Natives {
    /// Whether a message waits for budget.
    pub(super) fn is_anyone_waiting(&self) -> bool {
        self.known.values().any(Native::waits_for_budget)
    }

    /// Whether something of it waits here, so that main does not read on from it.
    pub(super) fn holds_up(&self, renderer: Uuid) -> bool {
        self.known.get(&renderer).is_some_and(|native| !native.waiting.is_empty())
    }

    /// Remembers of a renderer that it has reported an exception that nobody handled.
    pub(super) fn has_panicked(&mut self, renderer: Uuid) {
        if let Some(native) = self.known.get_mut(&renderer) {
            native.has_panicked = true;
        }
    }

    /// Whether it is a native renderer that is there.
    pub(super) fn knows(&self, renderer: Uuid) -> bool {
        self.known.contains_key(&renderer)
    }

    /// When there is something to do.
    pub(super) fn timeout(&self) -> Option<Instant> {
        let times = self.known.values().flat_map(|native| [native.retry_at, native.give_up_at]);
        times.flatten().min()
    }
}

impl Watch {
    /// Does what a native renderer asks for.
    pub(super) fn native(&mut self, call: Call) {
        match call {
            Call::Arrived { renderer, former, replaced } => {
                for ghost in replaced {
                    self.vanish(ghost);
                }
                self.arrived(renderer, former);
            }
            Call::Said { renderer, id, channel, payload, answer } => {
                self.said(renderer, id, channel, payload, answer);
            }
            Call::Opened { renderer, id, opening, answer } => {
                self.take_in_turn(renderer, Said::Opening { id, opening, answer });
            }
            Call::Chunk { renderer, id, offset, is_last, data, answer } => {
                let piece = Said::Piece { id, place: (offset, is_last), data, answer };
                self.take_in_turn(renderer, piece);
            }
            Call::Left { renderer } => self.conclude(renderer, true),
            Call::Unlinked { renderer } => self.unlinked(renderer),
            Call::Ended { renderer, status } => {
                if let Some(native) = self.natives.known.get_mut(&renderer) {
                    native.ended = Some(status);
                    native.give_up_at = Some(Instant::now() + LAST_WORDS);
                }
                self.unlinked(renderer);
            }
        }
    }

    /// A renderer is there. If it was there before and main has let go of it, main still knows what it
    /// took.
    fn arrived(&mut self, renderer: Uuid, former: Option<Uuid>) {
        let Some(known) = lock(&self.house.renderers).get(renderer) else { return };
        self.house.say(format_args!(
            "renderer {renderer} ({:?}, process {}) is there",
            known.name, known.pid
        ));
        let watching = match Watched::open(known.pid) {
            Ok(watched) => {
                let house = self.house.clone();
                let watching = tokio::spawn(async move {
                    let status = watched.ended().await.unwrap_or(Status::Unknown);
                    house.ask(Visit::Native(Call::Ended { renderer, status }));
                });
                Some(watching.abort_handle())
            }
            Err(error) => {
                self.house.say(format_args!(
                    "the end of renderer {renderer} will be seen by its connection only: {error}"
                ));
                None
            }
        };
        let info = RendererInfo::new(renderer).with_name(known.name).with_pid(known.pid);
        let native = Native {
            seen: former.and_then(|former| self.offline_files.taken_of(former)).unwrap_or_default(),
            waiting: VecDeque::new(),
            retry_at: None,
            waits_for_disk: false,
            oom_kills_before: oom_kills(),
            has_panicked: false,
            ended: None,
            give_up_at: None,
            watching,
        };
        self.natives.known.insert(renderer, native);
        self.heard(&info, Instant::now());
    }

    /// Nobody within its budget wants anything, so one who is beyond it goes on: each in turn.
    pub(super) fn go_on_alone(&mut self) {
        let waits = |(id, native): (&Uuid, &Native)| native.waits_for_budget().then_some(*id);
        let last = self.natives.last_alone;
        let known = &self.natives.known;
        let next = known
            .range((std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded))
            .find_map(waits)
            .or_else(|| known.iter().find_map(waits));
        if let Some(next) = next {
            self.natives.last_alone = next;
            self.go_on(next, Patience::Alone, ALONE_AT_ONCE, false);
        }
    }

    /// Does what is to be done by now.
    pub(super) fn look_after_natives(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let known = &self.natives.known;
        let ready: Vec<Uuid> =
            known.iter().filter(|(_, native)| due(native.retry_at)).map(|(id, _)| *id).collect();
        let given_up: Vec<Uuid> =
            known.iter().filter(|(_, native)| due(native.give_up_at)).map(|(id, _)| *id).collect();
        for renderer in ready {
            self.go_on(renderer, Patience::Waits, ALONE_AT_ONCE, false);
        }
        for renderer in given_up {
            self.give_up(renderer);
        }
        self.settle_undurable();
    }

    /// The time is over that a renderer had.
    fn give_up(&mut self, renderer: Uuid) {
        let is_linked = lock(&self.house.renderers).is_linked(renderer);
        let Some(native) = self.natives.known.get_mut(&renderer) else { return };
        if !is_linked {
            return self.conclude(renderer, false);
        }
        native.give_up_at = None;
        if native.ended.take().is_some() {
            // Somebody still speaks, so it was another process that has ended: a process in a sandbox
            // knows itself by another number. From now on its connections say whether it is there.
            native.watching = None;
        }
    }

    /// Takes all that waits, since main ends.
    pub(super) fn take_last_words(&mut self) {
        let renderers: Vec<Uuid> = self.natives.known.keys().copied().collect();
        for renderer in renderers {
            // One that is still there keeps what is not taken, and leaves it for the next start.
            let is_linked = lock(&self.house.renderers).is_linked(renderer);
            self.go_on(renderer, Patience::Alone, usize::MAX, !is_linked);
        }
    }

    /// A connection of it is closed. If its process has ended and this was the last, it is gone.
    fn unlinked(&mut self, renderer: Uuid) {
        let is_linked = lock(&self.house.renderers).is_linked(renderer);
        let Some(native) = self.natives.known.get_mut(&renderer) else { return };
        if is_linked {
            // It goes on over another.
        } else if native.ended.is_some() {
            self.conclude(renderer, false);
        } else if native.watching.is_none() {
            native.give_up_at = Some(Instant::now() + COME_BACK);
        }
    }

    /// A renderer is gone.
    fn conclude(&mut self, renderer: Uuid, said_goodbye: bool) {
        self.go_on(renderer, Patience::Alone, usize::MAX, true);
        let Some(native) = self.natives.known.remove(&renderer) else { return };
        let known = lock(&self.house.renderers).get(renderer);
        if let Some(known) = known {
            let status = native.ended.unwrap_or(Status::Unknown);
            // A process that has said hello twice ends once.
            let others = lock(&self.house.renderers).all();
            let is_last = !others.iter().any(|other| {
                other.id != known.id && other.pid == known.pid && other.since >= known.since
            });
            if is_last || said_goodbye {
                let before = (native.oom_kills_before, native.has_panicked);
                self.tell_of_end(&known, said_goodbye, status, before);
            }
        }
        self.natives.undurable.retain(|held| held.renderer != renderer);
        self.offline_files.look_for(renderer, native.seen.clone());
        self.gone(renderer);
        // Last, so that whoever sees it gone sees nothing of it any more.
        lock(&self.house.renderers).forget(renderer);
    }

    /// A renderer has made place for another. Nobody knows of an end of it.
    fn vanish(&mut self, renderer: Uuid) {
        if let Some(native) = self.natives.known.remove(&renderer) {
            self.house.say(format_args!("renderer {renderer} has not come back, and is forgotten"));
            self.offline_files.look_for(renderer, native.seen.clone());
            self.gone(renderer);
        }
    }

    /// Remembers that a renderer is gone, and nothing else of it.
    pub(super) fn gone(&mut self, renderer: Uuid) {
        self.gone.push_back(renderer);
        if self.gone.len() > RENDERERS {
            self.gone.pop_front();
        }
        self.forget(renderer);
    }
}
