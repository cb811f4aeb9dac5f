//! A header of an envelope: one line that is a JSON object.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::error::{EditError, EnvelopeFault};
use crate::json::{Fragment, Object, Splice, SpliceError, Value};
use crate::limits::HEADER_BYTES;
use crate::{EventId, Timestamp};

/// The header of an envelope. Fields that nobody asks for are kept as they are written.
///
/// ```
/// use guardhouse_protocol::{EventId, Header};
///
/// let mut header = Header::new();
/// header.set("event_id", "9ec79c33ec9942ab8353589fcb2e04dc")?;
/// assert_eq!(header.event_id(), "9ec79c33ec9942ab8353589fcb2e04dc".parse().ok());
/// assert!(header.set("event_id", "not an id").is_err());
/// # Ok::<(), guardhouse_protocol::EditError>(())
/// ```
#[derive(Clone)]
pub struct Header {
    line: Line,
}

impl Header {
    /// A header without fields.
    pub fn new() -> Self {
        Self {
            line: Line(Bytes::from_static(b"{}")),
        }
    }

    /// Checks a line.
    pub(super) fn parse(line: Bytes) -> Result<Self, EnvelopeFault> {
        let object = Line::check(&line)?;
        check_event_id(object.get("event_id"))?;
        check_sent_at(object.get("sent_at"))?;
        Ok(Self { line: Line(line) })
    }

    /// The id of the event that the envelope is about.
    pub fn event_id(&self) -> Option<EventId> {
        self.get("event_id")?.as_str()?.parse().ok()
    }

    /// When the envelope was sent.
    pub fn sent_at(&self) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(&self.get("sent_at")?.as_str()?)
    }

    /// The DSN that the envelope was made for.
    pub fn dsn(&self) -> Option<Cow<'_, str>> {
        self.get("dsn")?.as_str()
    }

    /// The trace that the envelope belongs to: the dynamic sampling context. Sentry takes an envelope
    /// whose trace it cannot read, so this is not checked further.
    pub fn trace(&self) -> Option<Object<'_>> {
        self.get("trace")?.as_object()
    }

    /// Any field. Of a field that stands twice, the last counts.
    pub fn get(&self, field: &str) -> Option<Value<'_>> {
        self.line.object().get(field)
    }

    /// Sets a field, in place if it is there already. The id and the time have to be right.
    pub fn set<'v>(
        &mut self,
        field: &str,
        value: impl Into<Fragment<'v>>,
    ) -> Result<(), EditError> {
        let value = value.into();
        let mut splice = Splice::new(self.line.object());
        splice.set(&[field], value)?;
        let edited = splice.finish();
        self.replace(edited)
    }

    /// Removes a field. Says whether it was there.
    pub fn remove(&mut self, field: &str) -> Result<bool, EditError> {
        let mut splice = Splice::new(self.line.object());
        let was_there = splice.remove(&[field])?;
        let edited = splice.finish();
        self.replace(edited)?;
        Ok(was_there)
    }

    /// Changes several fields, or what is inside of some, such as `trace`. The id and the time have
    /// to be right afterwards.
    pub fn edit(
        &mut self,
        change: impl for<'s> FnOnce(&mut Splice<'s>) -> Result<(), SpliceError>,
    ) -> Result<(), EditError> {
        let mut splice = Splice::new(self.line.object());
        change(&mut splice)?;
        let edited = splice.finish();
        self.replace(edited)
    }

    fn replace(&mut self, edited: String) -> Result<(), EditError> {
        let line = Line::one_line(edited);
        // It is checked as if it came from outside: that is one rule, and it covers every edit.
        *self = Self::parse(line).map_err(EditError::Header)?;
        Ok(())
    }

    pub(super) fn line(&self) -> &[u8] {
        &self.line.0
    }
}

impl Default for Header {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.line.object())
    }
}

fn check_event_id(value: Option<Value<'_>>) -> Result<(), EnvelopeFault> {
    match value {
        Some(value) if !value.is_null() => value
            .as_str()
            .and_then(|id| id.parse::<EventId>().ok())
            .map(drop)
            .ok_or(EnvelopeFault::EventId),
        _ => Ok(()),
    }
}

fn check_sent_at(value: Option<Value<'_>>) -> Result<(), EnvelopeFault> {
    match value {
        Some(value) if !value.is_null() => value
            .as_str()
            .and_then(|time| Timestamp::parse_rfc3339(&time))
            .map(drop)
            .ok_or(EnvelopeFault::SentAt),
        _ => Ok(()),
    }
}

/// A line that was checked to be a JSON object from its first byte to its last.
#[derive(Clone)]
pub(super) struct Line(pub(super) Bytes);

impl Line {
    /// Checks a line and finds its members.
    pub(super) fn check(line: &[u8]) -> Result<Object<'_>, EnvelopeFault> {
        if line.len() > HEADER_BYTES {
            return Err(EnvelopeFault::HeaderTooLong);
        }
        let object = Object::parse(line).map_err(EnvelopeFault::Header)?;
        if object.as_value().text().len() < line.len() {
            return Err(EnvelopeFault::HeaderSpace);
        }
        Ok(object)
    }

    /// JSON as one line. A newline in it can only be white space, since in a string it is escaped.
    pub(super) fn one_line(mut json: String) -> Bytes {
        if json.contains('\n') {
            json = json.replace('\n', " ");
        }
        Bytes::from(json)
    }

    /// The members. The line was checked when it came in, so they are always found.
    pub(super) fn object(&self) -> Object<'_> {
        Object::parse(&self.0).unwrap_or(Object::EMPTY)
    }
}
