//! A file that goes with the events of a process.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::Refusal;
use crate::creates_event;
use crate::json::{Json, Kind, ObjectWriter, Value};
use crate::limits::{FILENAME_BYTES, SCOPE_ATTACHMENT_BYTES};

/// A small attachment in the scope of a process. Larger ones are streamed. Two that are equal are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attachment {
    filename: Box<str>,
    content_type: Option<Box<str>>,
    attachment_type: Option<Box<str>>,
    bytes: Bytes,
}

/// What makes an attachment that attachment, and no other: its name, its types and its bytes.
///
/// A page attaches what its scope holds to its events itself. Whoever lays its contribution over an
/// event skips those that are in the event's envelope already.
///
/// ```
/// use guardhouse_protocol::scope::{Attachment, AttachmentIdentity};
/// use guardhouse_protocol::Envelope;
///
/// let envelope = Envelope::parse("{}\n{\"type\":\"attachment\",\"filename\":\"f\"}\nhi\n")?;
/// let item = &envelope.items()[0];
/// let attachment = Attachment::new("f", &b"hi"[..])?.with_attachment_type("event.attachment")?;
/// assert_eq!(
///     attachment.identity(),
///     AttachmentIdentity::new(
///         &item.filename().unwrap_or_default(),
///         item.content_type().as_deref(),
///         item.attachment_type().as_deref(),
///         item.payload(),
///     )
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttachmentIdentity<'a> {
    filename: &'a str,
    content_type: Option<&'a str>,
    attachment_type: Option<&'a str>,
    bytes: &'a [u8],
}

impl<'a> AttachmentIdentity<'a> {
    /// The identity of an attachment wherever it stands. To leave the attachment type out means the
    /// same as `event.attachment`.
    pub fn new(
        filename: &'a str,
        content_type: Option<&'a str>,
        attachment_type: Option<&'a str>,
        bytes: &'a [u8],
    ) -> Self {
        Self {
            filename,
            content_type,
            attachment_type: attachment_type.filter(|name| *name != PLAIN),
            bytes,
        }
    }
}

/// The type that Sentry takes an attachment to be of that says none.
const PLAIN: &str = "event.attachment";

impl Attachment {
    /// An attachment of these bytes.
    pub fn new(filename: &str, bytes: impl Into<Bytes>) -> Result<Self, Refusal> {
        let bytes = bytes.into();
        if bytes.len() > SCOPE_ATTACHMENT_BYTES {
            return Err(Refusal::TooLarge);
        }
        Ok(Self { filename: short(filename)?, content_type: None, attachment_type: None, bytes })
    }

    /// Says what media type it is of.
    pub fn with_content_type(mut self, content_type: &str) -> Result<Self, Refusal> {
        self.content_type = Some(short(content_type)?);
        Ok(self)
    }

    /// Says what it is to Sentry. A type that [creates an event](creates_event), such as
    /// `event.minidump`, is [forbidden](Refusal::ForbiddenAttachment).
    pub fn with_attachment_type(mut self, attachment_type: &str) -> Result<Self, Refusal> {
        let name = attachment_type.trim();
        if creates_event(name) {
            return Err(Refusal::ForbiddenAttachment);
        }
        self.attachment_type = match name {
            PLAIN => None,
            _ => Some(short(name)?),
        };
        Ok(self)
    }

    /// What makes it this one and no other.
    pub fn identity(&self) -> AttachmentIdentity<'_> {
        AttachmentIdentity::new(
            &self.filename,
            self.content_type(),
            self.attachment_type(),
            &self.bytes,
        )
    }

    /// The file name.
    pub fn filename(&self) -> &str {
        &self.filename
    }

    /// The media type, if it is known.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// What it is to Sentry, if that is not just an attachment.
    pub fn attachment_type(&self) -> Option<&str> {
        self.attachment_type.as_deref()
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Reads an attachment as the JavaScript SDK writes it, whose bytes are an object with numeric
    /// keys, or as [`to_json`](Self::to_json) does.
    pub(super) fn parse(value: Value<'_>) -> Result<Self, Refusal> {
        let object = value.as_object().ok_or(Refusal::WrongKind)?;
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let filename = text("filename").ok_or(Refusal::WrongKind)?;
        let bytes = match (text("base64"), object.get("data")) {
            (Some(base64), _) => from_base64(&base64)?,
            (None, Some(data)) => from_javascript(data)?,
            (None, None) => return Err(Refusal::WrongKind),
        };
        let mut attachment = Self::new(&filename, bytes)?;
        if let Some(content_type) = text("contentType") {
            attachment = attachment.with_content_type(&content_type)?;
        }
        if let Some(attachment_type) = text("attachmentType") {
            attachment = attachment.with_attachment_type(&attachment_type)?;
        }
        Ok(attachment)
    }

    pub(super) fn to_json(&self) -> Json {
        let mut object = ObjectWriter::new();
        object.member("filename", &*self.filename);
        if let Some(content_type) = self.content_type() {
            object.member("contentType", content_type);
        }
        if let Some(attachment_type) = self.attachment_type() {
            object.member("attachmentType", attachment_type);
        }
        object.member("base64", STANDARD.encode(&self.bytes).as_str());
        object.finish()
    }

    pub(super) fn size(&self) -> usize {
        let types = [&self.content_type, &self.attachment_type];
        let types: usize = types.into_iter().flatten().map(|name| name.len()).sum();
        size_of::<Self>() + self.filename.len() + types + self.bytes.len()
    }
}

fn short(text: &str) -> Result<Box<str>, Refusal> {
    if text.len() > FILENAME_BYTES { Err(Refusal::TooLarge) } else { Ok(text.into()) }
}

fn from_base64(base64: &str) -> Result<Bytes, Refusal> {
    // Four characters are three bytes.
    if base64.len() / 4 * 3 > SCOPE_ATTACHMENT_BYTES + 3 {
        return Err(Refusal::TooLarge);
    }
    STANDARD.decode(base64).map(Bytes::from).map_err(|_| Refusal::WrongKind)
}

/// A string is text. Bytes are `{"0":1,"1":2,…}`, since that is what a typed array becomes in JSON;
/// the SDK cuts it at 2,000 entries and writes a note in place of the next, so then it is not what
/// was attached any more.
fn from_javascript(data: Value<'_>) -> Result<Bytes, Refusal> {
    let byte = |value: Value<'_>| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
    match data.kind() {
        Kind::String => {
            let text = data.as_str().unwrap_or_default();
            Ok(Bytes::from(text.into_owned()))
        }
        Kind::Array => {
            let bytes: Option<Vec<u8>> = data.elements().into_iter().flatten().map(byte).collect();
            bytes.map(Bytes::from).ok_or(Refusal::CutAttachment)
        }
        Kind::Object => {
            // It has more members than are looked into; the SDK cuts it far below that.
            let object = data.as_object().ok_or(Refusal::TooLarge)?;
            let mut bytes = Vec::with_capacity(object.len());
            for (index, member) in object.members().enumerate() {
                // JavaScript writes numeric keys in their order.
                let is_next = *member.raw_key() == *index.to_string();
                let next = byte(member.value()).filter(|_| is_next);
                bytes.push(next.ok_or(Refusal::CutAttachment)?);
            }
            Ok(bytes.into())
        }
        Kind::Null | Kind::Bool | Kind::Number => Err(Refusal::WrongKind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Attachment, Refusal> {
        Attachment::parse(Json::parse(text.as_bytes()).unwrap().as_value())
    }

    #[test]
    fn bytes_are_read_in_all_the_ways_that_they_are_written() {
        for data in [
            r#""data":{"0":104,"1":105}"#,
            r#""data":[104,105]"#,
            r#""data":"hi""#,
            r#""base64":"aGk=""#,
        ] {
            let attachment = parse(&format!("{{\"filename\":\"f\",{data}}}")).unwrap();
            assert_eq!((attachment.filename(), &attachment.bytes()[..]), ("f", &b"hi"[..]));
        }
    }

    #[test]
    fn what_was_cut_on_the_way_is_not_taken_for_the_whole() {
        for data in [
            r#"{"0":1,"1":"[MaxProperties ~]"}"#,
            r#"{"0":1,"2":2}"#,
            r#"{"0":256}"#,
            r#"{"a":1}"#,
            "[1,null]",
        ] {
            let result = parse(&format!("{{\"filename\":\"f\",\"data\":{data}}}"));
            assert_eq!(result, Err(Refusal::CutAttachment), "{data}");
        }
        assert_eq!(parse(r#"{"filename":"f"}"#), Err(Refusal::WrongKind));
        assert_eq!(parse(r#"{"data":"x"}"#), Err(Refusal::WrongKind));
    }

    #[test]
    fn writing_is_what_reading_undoes() {
        let attachment = Attachment::new("trace \"ü\".bin", vec![0, 255, 10])
            .and_then(|attachment| attachment.with_content_type("application/octet-stream"))
            .and_then(|attachment| attachment.with_attachment_type("event.view_hierarchy"))
            .unwrap();
        assert_eq!(Attachment::parse(attachment.to_json().as_value()), Ok(attachment));
    }

    #[test]
    fn one_of_which_sentry_makes_an_event_is_forbidden() {
        for name in ["event.minidump", "Event.Minidump", " event.minidump", "unreal.logs"] {
            let text = format!(r#"{{"filename":"f","data":"","attachmentType":"{name}"}}"#);
            assert_eq!(parse(&text), Err(Refusal::ForbiddenAttachment), "{name}");
        }
        let text = r#"{"filename":"f","data":"","attachmentType":"event.view_hierarchy"}"#;
        let attachment = parse(text).unwrap();
        assert_eq!(attachment.attachment_type(), Some("event.view_hierarchy"));
    }

    #[test]
    fn large_ones_are_refused() {
        let large = vec![0; SCOPE_ATTACHMENT_BYTES + 1];
        assert_eq!(Attachment::new("f", large.clone()), Err(Refusal::TooLarge));
        let base64 = STANDARD.encode(large);
        assert_eq!(
            parse(&format!(r#"{{"filename":"f","base64":"{base64}"}}"#)),
            Err(Refusal::TooLarge)
        );
        assert_eq!(Attachment::new(&"f".repeat(256), vec![]), Err(Refusal::TooLarge));
    }
}
