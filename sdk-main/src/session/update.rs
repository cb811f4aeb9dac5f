//! What Sentry is told of a session.

use guardhouse_protocol::json::{Json, ObjectWriter};
use guardhouse_protocol::{EditError, Item};
use uuid::Uuid;

use super::state::{Session, Told};
use super::{About, Status};

/// An update of a session: an item that is to be spooled.
///
/// Its number is 0 if it is the first of its session, which is what Sentry makes of a first one, and
/// otherwise 1, since there is only one other.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    id: Uuid,
    is_init: bool,
    status: Status,
    json: Json,
}

impl Update {
    pub(super) fn new(session: &Session, is_init: bool) -> Self {
        let Session { id, about, status, .. } = session;
        let About { release, environment, distinct_id } = about;
        let mut attrs = ObjectWriter::new();
        attrs.member("release", &**release);
        if let Some(environment) = environment {
            attrs.member("environment", &**environment);
        }
        let mut json = ObjectWriter::new();
        json.member("sid", session.sid()).member("init", is_init);
        if let Some(distinct_id) = distinct_id {
            json.member("did", &**distinct_id);
        }
        json.member("seq", number(is_init))
            .member("started", session.started.to_string())
            .member("timestamp", session.updated.to_string())
            .member("status", status.name())
            .member("errors", session.errors);
        if status.is_final() {
            json.member("duration", session.duration.as_secs_f64());
        }
        json.member("attrs", attrs.finish());
        Self { id: *id, is_init, status: *status, json: json.finish() }
    }

    /// Which session it is about.
    pub fn session(&self) -> Uuid {
        self.id
    }

    /// How the session is.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether it is the first that is said of the session.
    pub fn is_init(&self) -> bool {
        self.is_init
    }

    /// What tells it from all other updates: the id of the session and the number. What is spooled under
    /// a name of it replaces what was spooled under it before.
    pub fn name(&self) -> String {
        format!("{}_{}", self.id.simple(), number(self.is_init))
    }

    /// The payload of the item.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// The item, to be put into an envelope. Only a release or environment of a megabyte makes none.
    pub fn item(&self) -> Result<Item, EditError> {
        Item::new("session", self.json.text().to_owned())
    }

    pub(super) fn told(&self) -> Told {
        if self.status.is_final() { Told::End } else { Told::Begin }
    }
}

const fn number(is_init: bool) -> u64 {
    if is_init { 0 } else { 1 }
}
