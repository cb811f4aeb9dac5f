//! What a stream of bytes is, and how far it has come.

use crate::json::{Json, ObjectWriter};
use crate::limits::{FILENAME_BYTES, STREAM_BYTES};
use crate::members::Members;
use crate::{EventId, PayloadError};

/// Whether Sentry makes an event of an attachment of this type, or fills one with it: a minidump,
/// another kind of crash report, or an event in pieces. A renderer may attach none of these, since it
/// could forge a crash with them; of its crashes main learns from the operating system.
///
/// ```
/// use guardhouse_protocol::creates_event;
///
/// assert!(creates_event("event.minidump"));
/// assert!(!creates_event("event.attachment"));
/// ```
pub fn creates_event(attachment_type: &str) -> bool {
    /// Those that Sentry's Relay names.
    const TYPES: [&str; 4] =
        ["event.minidump", "event.applecrashreport", "event.payload", "event.breadcrumbs"];
    /// The crash formats of consoles and game engines. Their number grows.
    const FAMILIES: [&str; 3] = ["nswitch.", "playstation.", "unreal."];
    let given = attachment_type.trim().to_ascii_lowercase();
    TYPES.contains(&&*given) || FAMILIES.iter().any(|family| given.starts_with(family))
}

/// What the bytes of a stream are: an attachment of an event.
///
/// ```
/// use guardhouse_protocol::StreamOpening;
///
/// let event = "9ec79c33ec9942ab8353589fcb2e04dc".parse()?;
/// let opening = StreamOpening::new("screen.webm", event)?
///     .with_content_type("video/webm")?
///     .with_size(40 << 20)?;
/// assert_eq!(StreamOpening::parse(opening.to_json().text().as_bytes())?, opening);
///
/// assert!(opening.with_attachment_type("event.minidump").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOpening {
    filename: Box<str>,
    event_id: EventId,
    content_type: Option<Box<str>>,
    attachment_type: Option<Box<str>>,
    size: Option<u64>,
}

impl StreamOpening {
    /// A stream with this file name, of no special type. The name has 1 to
    /// [`FILENAME_BYTES`] bytes, and neither a path nor control characters in it.
    pub fn new(filename: &str, event_id: EventId) -> Result<Self, PayloadError> {
        let filename = text("filename", filename)?;
        if filename.is_empty() || filename.contains(['/', '\\']) {
            let why = "it is empty or has a path in it; give the name alone";
            return Err(PayloadError::invalid("filename", why));
        }
        Ok(Self { filename, event_id, content_type: None, attachment_type: None, size: None })
    }

    /// The same stream with this media type.
    pub fn with_content_type(self, content_type: &str) -> Result<Self, PayloadError> {
        Ok(Self { content_type: Some(text("contentType", content_type)?), ..self })
    }

    /// The same stream of this type. One that [creates an event](creates_event) is an error.
    pub fn with_attachment_type(self, attachment_type: &str) -> Result<Self, PayloadError> {
        if creates_event(attachment_type) {
            let why = "Sentry would make an event of it, so it cannot be attached";
            return Err(PayloadError::invalid("attachmentType", why));
        }
        Ok(Self { attachment_type: Some(text("attachmentType", attachment_type)?), ..self })
    }

    /// The same stream with this many bytes in all, of which there are at most [`STREAM_BYTES`].
    pub fn with_size(self, size: u64) -> Result<Self, PayloadError> {
        if size > STREAM_BYTES {
            let why = format!("a stream has at most {STREAM_BYTES} bytes");
            return Err(PayloadError::invalid("size", why));
        }
        Ok(Self { size: Some(size), ..self })
    }

    /// The name that the attachment gets in Sentry. It has no path in it, so nobody is led to write
    /// elsewhere.
    pub fn filename(&self) -> &str {
        &self.filename
    }

    /// The event that the attachment belongs to.
    pub fn event_id(&self) -> EventId {
        self.event_id
    }

    /// The media type.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// What the attachment is to Sentry.
    pub fn attachment_type(&self) -> Option<&str> {
        self.attachment_type.as_deref()
    }

    /// How many bytes there are in all, if the sender knows. Main can say at once that it has no
    /// room for them; a stream that turns out longer or shorter is declined.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Reads what opens a stream.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        let members = Members::read(body)?;
        let mut opening = Self::new(&members.text("filename")?, members.parsed("eventId")?)?;
        if let Some(content_type) = members.find_text("contentType")? {
            opening = opening.with_content_type(&content_type)?;
        }
        if let Some(attachment_type) = members.find_text("attachmentType")? {
            opening = opening.with_attachment_type(&attachment_type)?;
        }
        if members.find("size").is_some() {
            opening = opening.with_size(members.number("size")?)?;
        }
        Ok(opening)
    }

    /// What opens a stream.
    pub fn to_json(&self) -> Json {
        let mut object = ObjectWriter::new();
        object.member("filename", self.filename());
        object.member("eventId", self.event_id.to_string().as_str());
        if let Some(content_type) = self.content_type() {
            object.member("contentType", content_type);
        }
        if let Some(attachment_type) = self.attachment_type() {
            object.member("attachmentType", attachment_type);
        }
        if let Some(size) = self.size {
            object.member("size", size);
        }
        object.finish()
    }
}

fn text(member: &'static str, text: &str) -> Result<Box<str>, PayloadError> {
    if text.len() > FILENAME_BYTES {
        let why = format!("it is longer than {FILENAME_BYTES} bytes");
        return Err(PayloadError::invalid(member, why));
    }
    if text.chars().any(char::is_control) {
        return Err(PayloadError::invalid(member, "it has a control character"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let id = "\"eventId\":\"9ec79c33ec9942ab8353589fcb2e04dc\"";
        for (body, message) in [
            (format!("{{{id}}}"), "\"filename\" is missing"),
            ("{\"filename\":\"f\"}".into(), "\"eventId\" is missing"),
            ("{\"filename\":\"f\",\"eventId\":\"x\"}".into(), "\"eventId\" is invalid"),
            (format!("{{{id},\"filename\":\"\"}}"), "\"filename\" is invalid"),
            (format!("{{{id},\"filename\":\"../f\"}}"), "\"filename\" is invalid"),
            (format!("{{{id},\"filename\":\"a\\\\b\"}}"), "\"filename\" is invalid"),
            (format!("{{{id},\"filename\":\"a\\u0000\"}}"), "it has a control character"),
            (format!("{{{id},\"filename\":\"{}\"}}", "x".repeat(256)), "longer than 255 bytes"),
            (format!("{{{id},\"filename\":\"f\",\"contentType\":1}}"), "\"contentType\""),
            (
                format!("{{{id},\"filename\":\"f\",\"attachmentType\":\"event.minidump\"}}"),
                "\"attachmentType\" is invalid: Sentry would make an event of it",
            ),
            (format!("{{{id},\"filename\":\"f\",\"size\":-1}}"), "\"size\" is invalid"),
            (
                format!("{{{id},\"filename\":\"f\",\"size\":209715201}}"),
                "\"size\" is invalid: a stream has at most 209715200 bytes",
            ),
        ] {
            let error = StreamOpening::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(message), "{body}: {error}");
        }
    }

    #[test]
    fn writing_is_what_reading_undoes() {
        let event_id = "9ec79c33ec9942ab8353589fcb2e04dc".parse().unwrap();
        let opening = StreamOpening::new("é \"x\".bin", event_id)
            .and_then(|opening| opening.with_content_type("text/plain"))
            .and_then(|opening| opening.with_attachment_type("event.view_hierarchy"))
            .and_then(|opening| opening.with_size(STREAM_BYTES))
            .unwrap();
        assert_eq!(StreamOpening::parse(opening.to_json().text().as_bytes()), Ok(opening));
    }

    #[test]
    fn nothing_that_sentry_makes_an_event_of_is_an_attachment_to_a_renderer() {
        for forged in [
            "event.minidump",
            "Event.Minidump",
            " event.minidump\n",
            "event.applecrashreport",
            "event.payload",
            "event.breadcrumbs",
            "playstation.prosperodump",
            "nswitch.dying_message",
            "unreal.context",
            "unreal.logs",
        ] {
            assert!(creates_event(forged), "{forged}");
        }
        for harmless in ["", "event.attachment", "event.view_hierarchy", "minidump"] {
            assert!(!creates_event(harmless), "{harmless}");
        }
    }
}
