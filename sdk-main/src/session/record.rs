//! Sessions as the run that they are of keeps them on disk.

use std::time::Duration;

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::json::{Json, Object, ObjectWriter, Value};
use uuid::Uuid;

use super::state::{Session, Told};
use super::{About, Status};

/// The record of a run: all its sessions of which something is still to be said.
pub(super) fn write<'s>(sessions: impl Iterator<Item = &'s Session>) -> Json {
    let sessions: Vec<_> = sessions.map(write_session).collect();
    let mut record = ObjectWriter::new();
    record.member("sessions", Json::array(&sessions));
    record.finish()
}

/// Reads a record. What cannot be read in it is left out: of a file that somebody else has written,
/// nothing can be said to Sentry.
pub(super) fn read(record: &[u8]) -> Vec<Session> {
    let Ok(record) = Object::parse(record) else { return Vec::new() };
    let sessions = record.get("sessions").and_then(Value::elements);
    let sessions = sessions.into_iter().flatten().filter_map(Value::as_object);
    sessions.filter_map(|session| read_session(&session)).collect()
}

fn write_session(session: &Session) -> Json {
    let About { release, environment, distinct_id } = &session.about;
    let mut record = ObjectWriter::new();
    record.member("id", session.id.simple().to_string()).member("release", &**release);
    if let Some(environment) = environment {
        record.member("environment", &**environment);
    }
    if let Some(distinct_id) = distinct_id {
        record.member("distinct_id", &**distinct_id);
    }
    record
        .member("started", format!("{:#}", session.started))
        .member("updated", format!("{:#}", session.updated))
        .member("duration_ms", millis(session.duration))
        .member("status", session.status.name())
        .member("errors", session.errors)
        .member("spooled", session.spooled.name());
    record.finish()
}

fn read_session(record: &Object<'_>) -> Option<Session> {
    let text = |member| record.get(member).and_then(Value::as_str);
    let time = |member| Timestamp::parse_rfc3339(&text(member)?);
    let mut about = About::new(&text("release")?).ok()?;
    about.environment = text("environment").map(Into::into);
    about.distinct_id = text("distinct_id").map(Into::into);
    let spooled = Told::from_name(&text("spooled")?)?;
    let duration = Duration::from_millis(record.get("duration_ms")?.as_u64()?);
    Some(Session {
        id: Uuid::try_parse(&text("id")?).ok()?,
        about,
        started: time("started")?,
        since: None,
        status: Status::from_name(&text("status")?)?,
        errors: record.get("errors")?.as_u64()?,
        updated: time("updated")?,
        duration,
        handed: spooled,
        spooled,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Told {
    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Begin => "begin",
            Self::End => "end",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Nothing, Self::Begin, Self::End].into_iter().find(|told| told.name() == name)
    }
}
