//! A header of an envelope: one line that is a JSON object.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::error::{EditError, EnvelopeFault};
use crate::json::{Fragment, Object, Splice, SpliceError, Value};
use crate::limits::{HEADER_BYTES, HEADER_FIELDS};
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
        Self { line: Line(Bytes::from_static(b"{}")) }
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

    /// All fields.
    pub fn as_object(&self) -> Object<'_> {
        self.line.object()
    }

    /// Sets a field, in place if it is there already; if it stands twice, only once from then on.
    /// The id and the time have to be right.
    pub fn set<'v>(
        &mut self,
        field: &str,
        value: impl Into<Fragment<'v>>,
    ) -> Result<(), EditError> {
        let value = value.into();
        self.edit(|header| header.set(&[field], value))
    }

    /// Removes a field. Says whether it was there.
    pub fn remove(&mut self, field: &str) -> Result<bool, EditError> {
        let was_there = self.get(field).is_some();
        self.edit(|header| header.remove(&[field]).map(drop))?;
        Ok(was_there)
    }

    /// Changes several fields, or what is inside of some, such as `trace`. The id and the time have
    /// to be right afterwards.
    ///
    /// Of fields that stand twice, only the last stays: Sentry refuses a header that has them, and
    /// another reader might take the one that was not changed.
    pub fn edit<'v>(
        &mut self,
        change: impl for<'t> FnOnce(&mut Splice<'t, 'v>) -> Result<(), SpliceError>,
    ) -> Result<(), EditError> {
        let edited = self.line.edited(change)?;
        // It is checked as if it came from outside: that is one rule, and it covers every edit.
        *self = Self::parse(edited).map_err(EditError::Unreadable)?;
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
        if object.len() > HEADER_FIELDS {
            return Err(EnvelopeFault::TooManyFields);
        }
        Ok(object)
    }

    /// The members.
    pub(super) fn object(&self) -> Object<'_> {
        let object = Object::parse(&self.0);
        debug_assert!(object.is_ok(), "the line was checked when it came in");
        object.unwrap_or(Object::EMPTY)
    }

    /// The line with changes, and without the former ones of fields that stand twice.
    pub(super) fn edited<'v>(
        &self,
        change: impl for<'t> FnOnce(&mut Splice<'t, 'v>) -> Result<(), SpliceError>,
    ) -> Result<Bytes, EditError> {
        let mut splice = Splice::new(self.object());
        change(&mut splice)?;
        splice.drop_duplicates();
        let mut edited = splice.finish();
        // A newline in JSON can only be white space, since in a string it is escaped; and a header
        // is one line.
        if edited.contains('\n') {
            edited = edited.replace('\n', " ");
        }
        Ok(Bytes::from(edited))
    }
}
