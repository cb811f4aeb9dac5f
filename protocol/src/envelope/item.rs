//! An item of an envelope.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::error::{EditError, EnvelopeFault};
use super::header::Line;
use crate::json::{Fragment, JsonError, Object, ObjectWriter, Splice, SpliceError, Value};
use crate::limits::{
    ATTACHMENT_BYTES, CHECK_IN_BYTES, CLIENT_REPORT_BYTES, EVENT_BYTES, ITEM_TYPE_BYTES,
    PROFILE_BYTES, REPLAY_BYTES, TELEMETRY_ITEM_BYTES,
};

/// An item: a header that says what it is, and a payload.
///
/// ```
/// use bytes::Bytes;
/// use guardhouse_protocol::{Item, ItemType};
///
/// let mut item = Item::new("attachment", Bytes::from_static(b"one\ntwo"))?;
/// item.set_header("filename", "lines.txt")?;
/// assert_eq!(item.item_type(), ItemType::Attachment);
/// assert_eq!(item.filename().as_deref(), Some("lines.txt"));
/// assert_eq!(item.length(), Some(7));
/// # Ok::<(), guardhouse_protocol::EditError>(())
/// ```
#[derive(Clone)]
pub struct Item {
    /// Blank lines before the header.
    blank_lines: usize,
    header: Line,
    item_type: ItemType,
    /// What the header says; `payload` has the same length.
    length: Option<usize>,
    payload: Bytes,
}

/// An item header's line, so that the envelope can write it.
pub(super) struct HeaderLine<'a>(&'a Line);

impl<'a> HeaderLine<'a> {
    pub(super) fn line(&self) -> &'a [u8] {
        &self.0.0
    }
}

impl Item {
    /// An item with a header that says its type and length.
    pub fn new(item_type: &str, payload: impl Into<Bytes>) -> Result<Self, EditError> {
        let payload = payload.into();
        let mut header = ObjectWriter::new();
        header
            .member("type", item_type)
            .member("length", payload.len() as u64);
        let line = Line::one_line(header.finish().text().to_owned());
        let mut item = Self::parse_header(line, 0).map_err(EditError::Header)?;
        item.payload = payload;
        Ok(item)
    }

    /// Checks a header line. The payload is still to come.
    pub(super) fn parse_header(line: Bytes, blank_lines: usize) -> Result<Self, EnvelopeFault> {
        let object = Line::check(&line)?;
        let mut item_type = None;
        let mut length = None;
        for member in object.members() {
            match &*member.key() {
                "type" => {
                    let name = member.value().as_str().ok_or(EnvelopeFault::Type)?;
                    if name.len() > ITEM_TYPE_BYTES {
                        return Err(EnvelopeFault::TypeTooLong);
                    }
                    let before = item_type.replace(ItemType::from_name(&name));
                    if before.is_some() {
                        return Err(EnvelopeFault::Ambiguous);
                    }
                }
                "length" => {
                    let before = length.replace(read_length(member.value())?);
                    if before.is_some() {
                        return Err(EnvelopeFault::Ambiguous);
                    }
                }
                _ => {}
            }
        }
        let item_type = item_type.ok_or(EnvelopeFault::Type)?;
        let length = length.flatten();
        Ok(Self {
            blank_lines,
            header: Line(line),
            item_type,
            length,
            payload: Bytes::new(),
        })
    }

    /// The caller has found the payload as the header's length, or the lack of it, says.
    pub(super) fn with_payload(mut self, payload: Bytes) -> Self {
        self.payload = payload;
        self
    }

    /// What the item is.
    pub fn item_type(&self) -> ItemType {
        self.item_type
    }

    /// The name of its type, which also unknown types have.
    pub fn item_type_name(&self) -> Cow<'_, str> {
        match self.item_type.name() {
            Some(name) => Cow::Borrowed(name),
            None => self.get("type").and_then(Value::as_str).unwrap_or_default(),
        }
    }

    /// The length that the header says, if it says one.
    pub fn length(&self) -> Option<usize> {
        self.length
    }

    /// The file name of an attachment.
    pub fn filename(&self) -> Option<Cow<'_, str>> {
        self.get("filename")?.as_str()
    }

    /// What an attachment is to Sentry, such as `event.minidump`.
    pub fn attachment_type(&self) -> Option<Cow<'_, str>> {
        self.get("attachment_type")?.as_str()
    }

    /// The media type of the payload.
    pub fn content_type(&self) -> Option<Cow<'_, str>> {
        self.get("content_type")?.as_str()
    }

    /// How many logs, metrics or spans the payload holds, as the header says.
    pub fn item_count(&self) -> Option<u64> {
        self.get("item_count")?.as_u64()
    }

    /// Any field of the header. Of a field that stands twice, the last counts.
    pub fn get(&self, field: &str) -> Option<Value<'_>> {
        self.header.object().get(field)
    }

    /// Sets a field of the header, in place if it is there already. `type` and `length` frame the
    /// item and are not set by hand.
    pub fn set_header<'v>(
        &mut self,
        field: &str,
        value: impl Into<Fragment<'v>>,
    ) -> Result<(), EditError> {
        refuse_reserved(field)?;
        let value = value.into();
        let mut splice = Splice::new(self.header.object());
        splice.set(&[field], value)?;
        let edited = splice.finish();
        self.replace_header(edited)
    }

    /// Removes a field of the header. Says whether it was there.
    pub fn remove_header(&mut self, field: &str) -> Result<bool, EditError> {
        refuse_reserved(field)?;
        let mut splice = Splice::new(self.header.object());
        let was_there = splice.remove(&[field])?;
        let edited = splice.finish();
        self.replace_header(edited)?;
        Ok(was_there)
    }

    /// The payload.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Puts another payload in place. The header's length follows; an item without a length gets one
    /// only if the payload needs it, which is if it holds a newline.
    pub fn set_payload(&mut self, payload: impl Into<Bytes>) -> Result<(), EditError> {
        let payload = payload.into();
        let needs_length = match self.length {
            Some(length) => length != payload.len(),
            None => memchr::memchr(b'\n', &payload).is_some(),
        };
        if needs_length {
            let mut splice = Splice::new(self.header.object());
            splice.set(&["length"], payload.len() as u64)?;
            let edited = splice.finish();
            self.replace_header(edited)?;
        }
        self.payload = payload;
        Ok(())
    }

    /// The payload as a JSON object, if it is one.
    pub fn json(&self) -> Result<Object<'_>, JsonError> {
        Object::parse(&self.payload)
    }

    /// Changes the payload, which has to be a JSON object.
    ///
    /// What is put in has to be owned, or made on the spot. To put in what is borrowed, splice
    /// [`json`](Self::json) and hand the result to [`set_payload`](Self::set_payload).
    pub fn edit(
        &mut self,
        change: impl for<'s> FnOnce(&mut Splice<'s>) -> Result<(), SpliceError>,
    ) -> Result<(), EditError> {
        let mut splice = Splice::new(self.json().map_err(EditError::Payload)?);
        change(&mut splice)?;
        if !splice.is_changed() {
            return Ok(());
        }
        let edited = splice.finish();
        self.set_payload(edited)
    }

    pub(super) fn blank_lines(&self) -> usize {
        self.blank_lines
    }

    pub(super) fn header(&self) -> HeaderLine<'_> {
        HeaderLine(&self.header)
    }

    fn replace_header(&mut self, edited: String) -> Result<(), EditError> {
        let line = Line::one_line(edited);
        // It is checked as if it came from outside: that is one rule, and it covers every edit.
        let checked = Self::parse_header(line, self.blank_lines).map_err(EditError::Header)?;
        *self = checked.with_payload(std::mem::take(&mut self.payload));
        Ok(())
    }
}

fn refuse_reserved(field: &str) -> Result<(), EditError> {
    match field {
        "type" | "length" => Err(EditError::Reserved),
        _ => Ok(()),
    }
}

/// `null` is the same as no length.
fn read_length(value: Value<'_>) -> Result<Option<usize>, EnvelopeFault> {
    if value.is_null() {
        return Ok(None);
    }
    let length = value.as_u64().ok_or(EnvelopeFault::Length)?;
    // More than the address space is more than there can be.
    Ok(Some(usize::try_from(length).unwrap_or(usize::MAX)))
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} with {} bytes",
            self.header.object(),
            self.payload.len()
        )
    }
}

macro_rules! item_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What an item is. The types that Sentry knows, and one for all others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ItemType {
            $($(#[$doc])* $variant,)+
            /// A type that this version does not know. It is passed on as it is.
            Other,
        }

        impl ItemType {
            /// The types that this version knows.
            pub const KNOWN: &'static [ItemType] = &[$(Self::$variant,)+];

            /// The type with this name.
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)+
                    _ => Self::Other,
                }
            }

            /// The name, unless it is a type that this version does not know.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($name),)+
                    Self::Other => None,
                }
            }
        }
    };
}

item_types! {
    /// An error or message.
    Event = "event",
    /// A transaction with its spans.
    Transaction = "transaction",
    /// An update of one session.
    Session = "session",
    /// Counts of sessions.
    Sessions = "sessions",
    /// A file that belongs to an event.
    Attachment = "attachment",
    /// User feedback.
    Feedback = "feedback",
    /// User feedback as SDKs sent it before there was `feedback`.
    UserReport = "user_report",
    /// Counts of what an SDK dropped.
    ClientReport = "client_report",
    /// A sign of life of a scheduled job.
    CheckIn = "check_in",
    /// The profile of a transaction.
    Profile = "profile",
    /// A piece of a continuous profile.
    ProfileChunk = "profile_chunk",
    /// What a replay recording is about.
    ReplayEvent = "replay_event",
    /// A piece of a replay.
    ReplayRecording = "replay_recording",
    /// A piece of a replay as a film.
    ReplayVideo = "replay_video",
    /// A span, or a container of spans.
    Span = "span",
    /// A container of logs.
    Log = "log",
    /// A container of metrics.
    TraceMetric = "trace_metric",
    /// Metrics in the form that was retired.
    Statsd = "statsd",
    /// A report of a browser about a violated policy.
    RawSecurity = "raw_security",
    /// Fields of a form that came with a minidump.
    FormData = "form_data",
}

impl ItemType {
    /// Whether the payload is a JSON object, as far as Sentry reads it.
    pub const fn is_json(self) -> bool {
        match self {
            Self::Event
            | Self::Transaction
            | Self::Session
            | Self::Sessions
            | Self::Feedback
            | Self::UserReport
            | Self::ClientReport
            | Self::CheckIn
            | Self::Profile
            | Self::ProfileChunk
            | Self::ReplayEvent
            | Self::Span
            | Self::Log
            | Self::TraceMetric => true,
            Self::Attachment
            | Self::ReplayRecording
            | Self::ReplayVideo
            | Self::Statsd
            | Self::RawSecurity
            | Self::FormData
            | Self::Other => false,
        }
    }

    /// Whether the payload holds many of its kind as `items`, counted by the header's `item_count`.
    pub const fn is_container(self) -> bool {
        matches!(self, Self::Span | Self::Log | Self::TraceMetric)
    }

    /// Largest payload that Sentry takes.
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Event | Self::Transaction | Self::Feedback | Self::UserReport => EVENT_BYTES,
            Self::Session | Self::Sessions => EVENT_BYTES,
            Self::Span | Self::Log | Self::TraceMetric | Self::Statsd => TELEMETRY_ITEM_BYTES,
            Self::RawSecurity | Self::FormData => EVENT_BYTES,
            Self::ClientReport => CLIENT_REPORT_BYTES,
            Self::CheckIn => CHECK_IN_BYTES,
            Self::Profile | Self::ProfileChunk => PROFILE_BYTES,
            Self::ReplayEvent | Self::ReplayRecording | Self::ReplayVideo => REPLAY_BYTES,
            Self::Attachment | Self::Other => ATTACHMENT_BYTES,
        }
    }
}
