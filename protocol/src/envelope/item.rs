//! An item of an envelope.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::error::{EditError, EnvelopeFault};
use super::header::Line;
use super::item_type::ItemType;
use crate::json::{
    Fragment, JsonError, JsonFault, Object, ObjectWriter, Splice, SpliceError, Value,
};
use crate::limits::ITEM_TYPE_BYTES;

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
    blank_lines: Bytes,
    header: Line,
    item_type: ItemType,
    /// What the header says; `payload` has the same length.
    length: Option<usize>,
    payload: Bytes,
}

impl Item {
    /// An item with a header that says its type and length.
    pub fn new(item_type: &str, payload: impl Into<Bytes>) -> Result<Self, EditError> {
        let payload = payload.into();
        let mut header = ObjectWriter::new();
        header.member("type", item_type).member("length", payload.len());
        let line = Bytes::from(header.finish().text().to_owned());
        let item = Self::parse_header(line, Bytes::new()).map_err(EditError::Unreadable)?;
        item.check_size(&payload)?;
        Ok(item.with_payload(payload))
    }

    /// Checks a header line. The payload is still to come.
    pub(super) fn parse_header(line: Bytes, blank_lines: Bytes) -> Result<Self, EnvelopeFault> {
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
        Ok(Self { blank_lines, header: Line(line), item_type, length, payload: Bytes::new() })
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

    /// Whether Sentry makes an event of it: it is one, or an attachment that is a crash report.
    pub fn creates_event(&self) -> bool {
        match self.item_type {
            ItemType::Attachment => {
                self.attachment_type().is_some_and(|name| crate::creates_event(&name))
            }
            item_type => item_type.creates_event(),
        }
    }

    /// Whether the payload holds many of its kind as `items`.
    pub fn is_container(&self) -> bool {
        self.item_type.is_containable()
            && (self.get("item_count").is_some()
                || self.content_type().is_some_and(|name| name.starts_with(CONTAINER)))
    }

    /// Any field of the header. Of a field that stands twice, the last counts.
    pub fn get(&self, field: &str) -> Option<Value<'_>> {
        self.header.object().get(field)
    }

    /// All fields of the header.
    pub fn header(&self) -> Object<'_> {
        self.header.object()
    }

    /// Sets a field of the header, in place if it is there already. `type` and `length` frame the
    /// item and are not set by hand.
    pub fn set_header<'v>(
        &mut self,
        field: &str,
        value: impl Into<Fragment<'v>>,
    ) -> Result<(), EditError> {
        let value = value.into();
        self.edit_header(|header| header.set(&[field], value))
    }

    /// Removes a field of the header. Says whether it was there.
    pub fn remove_header(&mut self, field: &str) -> Result<bool, EditError> {
        let was_there = self.get(field).is_some();
        self.edit_header(|header| header.remove(&[field]).map(drop))?;
        Ok(was_there)
    }

    /// Changes several fields of the header. `type` and `length` have to be what they were. Of fields
    /// that stand twice, only the last stays, as in [`Header::edit`](super::Header::edit).
    pub fn edit_header<'v>(
        &mut self,
        change: impl for<'t> FnOnce(&mut Splice<'t, 'v>) -> Result<(), SpliceError>,
    ) -> Result<(), EditError> {
        let edited = self.header.edited(change)?;
        let edited = match Self::parse_header(edited, self.blank_lines.clone()) {
            Ok(edited) => edited,
            Err(EnvelopeFault::Type | EnvelopeFault::Length) => return Err(EditError::Reserved),
            Err(fault) => return Err(EditError::Unreadable(fault)),
        };
        let frames = |item: &Self| (item.item_type_name().into_owned(), item.length);
        if frames(&edited) != frames(self) {
            return Err(EditError::Reserved);
        }
        *self = edited.with_payload(std::mem::take(&mut self.payload));
        Ok(())
    }

    /// The payload.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Puts another payload in place. The header's length follows; an item without a length gets one
    /// only if the payload needs it, which is if it holds a newline.
    pub fn set_payload(&mut self, payload: impl Into<Bytes>) -> Result<(), EditError> {
        let payload = payload.into();
        self.check_size(&payload)?;
        let needs_length = match self.length {
            Some(length) => length != payload.len(),
            None => memchr::memchr(b'\n', &payload).is_some(),
        };
        if needs_length {
            let length = payload.len();
            let line = self.header.edited(|header| header.set(&["length"], length))?;
            *self = Self::parse_header(line, self.blank_lines.clone())
                .map_err(EditError::Unreadable)?;
        }
        self.payload = payload;
        Ok(())
    }

    /// The payload as a JSON object, if it is one and no larger than Sentry takes.
    pub fn json(&self) -> Result<Object<'_>, JsonError> {
        let max_bytes = self.item_type.max_bytes();
        if self.payload.len() > max_bytes {
            return Err(JsonError::new(JsonFault::TooLong, max_bytes));
        }
        Object::parse(&self.payload)
    }

    /// Changes the payload, which has to be a JSON object.
    ///
    /// A change that cannot be made because the payload is of another shape, such as `tags` that are
    /// an array, is an error of that change alone: hand it on to make none of them, or look at it
    /// and go on with the others.
    pub fn edit<'v>(
        &mut self,
        change: impl for<'t> FnOnce(&mut Splice<'t, 'v>) -> Result<(), SpliceError>,
    ) -> Result<(), EditError> {
        let mut splice = Splice::new(self.json().map_err(EditError::Payload)?);
        change(&mut splice)?;
        if !splice.is_changed() {
            return Ok(());
        }
        let edited = splice.finish();
        self.set_payload(edited)
    }

    pub(super) fn blank_lines(&self) -> &[u8] {
        &self.blank_lines
    }

    pub(super) fn header_line(&self) -> &[u8] {
        &self.header.0
    }

    fn check_size(&self, payload: &[u8]) -> Result<(), EditError> {
        let max_bytes = self.item_type.max_bytes();
        if payload.len() > max_bytes {
            return Err(EditError::TooLarge { max_bytes });
        }
        Ok(())
    }
}

/// How the media types of containers begin.
const CONTAINER: &str = "application/vnd.sentry.items.";

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
        write!(f, "{:?} with {} bytes", self.header.object(), self.payload.len())
    }
}
