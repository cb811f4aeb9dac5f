//! One session.

use std::time::{Duration, Instant};

use guardhouse_protocol::Timestamp;
use uuid::Uuid;

use super::{About, Severity, Update};

/// A point in time, on both clocks: one for people, which may be set, and one that only goes on, by
/// which durations are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the clock that only goes on.
    pub instant: Instant,
    /// On the clock for people.
    pub time: Timestamp,
}

/// How a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It goes on.
    Ok,
    /// It ended as it should.
    Exited,
    /// It ended by an error that nobody handled.
    Crashed,
    /// It ended in another way: by a kill or a power cut.
    Abnormal,
}

impl Status {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Exited => "exited",
            Self::Crashed => "crashed",
            Self::Abnormal => "abnormal",
        }
    }

    /// The status with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ok, Self::Exited, Self::Crashed, Self::Abnormal]
            .into_iter()
            .find(|status| status.name() == name)
    }

    /// Whether nothing may follow it.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Ok)
    }
}

/// How much of a session was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    Nothing,
    /// That it began.
    Begin,
    /// How it ended.
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) about: About,
    pub(super) started: Timestamp,
    /// When it started, unless it is of a run that is over.
    pub(super) since: Option<Instant>,
    pub(super) status: Status,
    pub(super) errors: u64,
    /// When it was last known to live.
    pub(super) updated: Timestamp,
    /// How long it had lasted then, in whole milliseconds.
    pub(super) duration: Duration,
    /// What was handed out to be spooled.
    pub(super) handed: Told,
    /// What was spooled.
    pub(super) spooled: Told,
}

impl Session {
    pub(super) fn start(about: About, id: Uuid, at: Moment) -> Self {
        Self {
            id,
            about,
            started: at.time,
            since: Some(at.instant),
            status: Status::Ok,
            errors: 0,
            updated: at.time,
            duration: Duration::ZERO,
            handed: Told::Nothing,
            spooled: Told::Nothing,
        }
    }

    /// Counts an error, and ends the session if it is a crash. Says whether that changed anything.
    pub(super) fn hear(&mut self, severity: Severity, at: Moment) -> bool {
        if self.status.is_final() {
            return false;
        }
        self.errors = self.errors.saturating_add(1);
        if severity == Severity::Crash {
            self.end(Status::Crashed, at);
        } else {
            self.touch(at);
        }
        true
    }

    /// Ends the session, if it has not ended. Says whether it did.
    pub(super) fn end(&mut self, status: Status, at: Moment) -> bool {
        if self.status.is_final() {
            return false;
        }
        self.status = status;
        self.touch(at);
        true
    }

    fn touch(&mut self, at: Moment) {
        let since = self.since.unwrap_or(at.instant);
        let elapsed = at.instant.saturating_duration_since(since).as_millis();
        let elapsed = Duration::from_millis(u64::try_from(elapsed).unwrap_or(u64::MAX));
        self.duration = self.duration.max(elapsed);
        self.updated = at.time;
    }

    /// Says of which installation it is, or not any more, unless something was handed out already. Says
    /// whether that changed anything.
    pub(super) fn identify(&mut self, installation: Option<&str>) -> bool {
        let is_new = self.about.distinct_id.as_deref() != installation;
        if self.handed != Told::Nothing || !is_new {
            return false;
        }
        self.about.distinct_id = installation.map(Into::into);
        true
    }

    /// What is to be told next, if anything is. It counts as handed out.
    pub(super) fn update(&mut self) -> Option<Update> {
        let is_final = self.status.is_final();
        let next = if is_final { Told::End } else { Told::Begin };
        if self.handed >= next {
            return None;
        }
        let is_init = self.handed == Told::Nothing;
        self.handed = next;
        Some(Update::new(self, is_init))
    }

    /// That an update is on disk means that those before it are. Says whether that is new.
    pub(super) fn handle_spooled(&mut self, told: Told) -> bool {
        let is_new = told > self.spooled;
        self.spooled = self.spooled.max(told);
        self.handed = self.handed.max(told);
        is_new
    }

    /// Its id as it stands in updates.
    pub(super) fn sid(&self) -> String {
        self.id.simple().to_string()
    }

    /// Whether nothing more will ever be said of it.
    pub(super) fn is_settled(&self) -> bool {
        self.spooled == Told::End
    }
}
