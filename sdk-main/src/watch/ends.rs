//! What is told of renderers that are gone, and of their threads that do not respond.
//!
//! What it means, [`ends`] and [`heartbeats`] decide. Here it is put together with what the renderer
//! contributed to the scope, while that is still there.

use std::time::Instant;

use guardhouse_crash::ending::Status;
use guardhouse_crash::process::is_stopped;
use guardhouse_protocol::frame::Role;
use guardhouse_protocol::{EditError, Envelope, EventId};
use uuid::Uuid;

use super::Watch;
use crate::ipc::Renderer;
use crate::ipc::ends::{self, Ended, ExitReason, OomKills};
use crate::ipc::heartbeats;
use crate::merge::Process;
use crate::options::RendererInfo;

/// How a Rust program ends whose main thread has panicked.
const PANICKED: Status = Status::Code(101);

/// Which ends of renderers are told, and whether their threads are watched.
pub(super) struct Concern {
    pub(super) breadcrumbs: Vec<ExitReason>,
    pub(super) events: Vec<ExitReason>,
    pub(super) watches: bool,
    /// How many heartbeats and hangs were too many, as it was said last.
    pub(super) said: (u64, u64),
}

impl Watch {
    /// Tells of the end of a renderer. It is still known, and so is its scope.
    pub(super) fn tell_of_end(
        &mut self,
        renderer: &Renderer,
        said_goodbye: bool,
        status: Status,
        (oom_kills_before, has_panicked): (Option<u64>, bool),
    ) {
        let oom_kills = OomKills { before: oom_kills_before, after: ends::oom_kills() };
        let ended = Ended {
            name: self.sender(renderer.id).name().to_owned(),
            role: Role::named(&renderer.role),
            pid: Some(renderer.pid),
            end: status,
            reason: ends::judge(said_goodbye, status, oom_kills),
        };
        self.house.say(format_args!("renderer {} is gone: {}", renderer.id, ended.reason));
        self.tell(renderer.id, &ended, has_panicked && status == PANICKED);
    }

    /// Tells of a renderer that never came to be.
    pub(super) fn tell_of_failed_launch(&mut self, name: String) {
        let info = RendererInfo::new(Uuid::new_v4()).with_name(name);
        let ended = Ended {
            name: self.sender_of(&info).name().to_owned(),
            role: Role::Renderer,
            pid: None,
            end: Status::Unknown,
            reason: ExitReason::LaunchFailed,
        };
        self.heard(&info, Instant::now());
        self.tell(info.id, &ended, false);
        self.forget(info.id);
    }

    /// Tells of an end. If the renderer has reported its reason itself, there is no second event of it.
    fn tell(&mut self, renderer: Uuid, ended: &Ended, is_reported: bool) {
        if self.concern.events.contains(&ended.reason) && !is_reported {
            let at = self.house.own_scope.now();
            let event = ends::event(ended, at, EventId::from_uuid(Uuid::new_v4()));
            self.report(renderer, event);
        }
        if self.concern.breadcrumbs.contains(&ended.reason) {
            let at = self.house.own_scope.now();
            if let Ok(update) = ends::breadcrumb(ended, at) {
                let _ = self.house.with_scopes(|scopes| scopes.apply(Process::Main, update, at));
            }
        }
    }

    /// Tells of the threads that do not respond.
    pub(super) fn look_after_threads(&mut self, now: Instant) {
        while let Some(silence) = self.heartbeats.poll(now) {
            let renderer = silence.renderer;
            let pid = self.renderers.get(&renderer).and_then(|known| known.info.pid);
            let is_held_up = self.natives.holds_up(renderer) || self.house.room.holds_up(renderer);
            if is_held_up || pid.is_some_and(is_stopped) {
                // It is main that does not read, or a debugger that has stopped it.
                self.heartbeats.take_back(&silence, now);
                continue;
            }
            let name = self.sender(renderer).name().to_owned();
            self.house.say(format_args!("renderer {renderer} ({name}) does not respond"));
            let at = self.house.own_scope.now();
            let event = heartbeats::event(&silence, &name, at, EventId::from_uuid(Uuid::new_v4()));
            self.report(renderer, event);
        }
        let (unwatched, untold) = (self.heartbeats.not_watched(), self.heartbeats.not_told());
        if self.concern.said != (unwatched, untold) {
            self.concern.said = (unwatched, untold);
            self.house.say(format_args!(
                "{unwatched} heartbeats were of more threads than are watched, {untold} hangs more than \
                 are told"
            ));
        }
    }

    /// Reports something about a renderer as if it had reported it itself.
    fn report(&mut self, renderer: Uuid, event: Result<Envelope, EditError>) {
        if let Ok(event) = event {
            self.merge_and_store(renderer, event, None);
        }
    }
}
