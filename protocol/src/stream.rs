//! What a stream of bytes is, and how far it has come.

use crate::json::{Json, ObjectWriter};
use crate::limits::FILENAME_BYTES;
use crate::members::Members;
use crate::{EventId, PayloadError};

/// What the bytes of a stream are: an attachment of an event.
///
/// ```
/// use guardhouse_protocol::StreamOpening;
///
/// let event = "9ec79c33ec9942ab8353589fcb2e04dc".parse()?;
/// let opening = StreamOpening::new("core.dmp", event)?;
/// assert_eq!(StreamOpening::parse(opening.to_json().text().as_bytes())?, opening);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamOpening {
    /// The name that the attachment gets in Sentry. It has no path in it, so nobody is led to write
    /// elsewhere.
    pub filename: Box<str>,
    /// The event that the attachment belongs to.
    pub event_id: EventId,
    /// The media type.
    pub content_type: Option<Box<str>>,
    /// What the attachment is to Sentry.
    pub attachment_type: Option<Box<str>>,
}

impl StreamOpening {
    /// A stream with this file name, of no special type.
    pub fn new(filename: &str, event_id: EventId) -> Result<Self, PayloadError> {
        let filename = text("filename", filename)?;
        if filename.is_empty() || filename.contains(['/', '\\']) {
            let why = "it is empty or has a path in it; give the name alone";
            return Err(PayloadError::invalid("filename", why));
        }
        Ok(Self {
            filename,
            event_id,
            content_type: None,
            attachment_type: None,
        })
    }

    /// Reads what opens a stream.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        let members = Members::read(body)?;
        let mut opening = Self::new(&members.text("filename")?, members.parsed("eventId")?)?;
        if let Some(content_type) = members.find_text("contentType")? {
            opening.content_type = Some(text("contentType", &content_type)?);
        }
        if let Some(attachment_type) = members.find_text("attachmentType")? {
            opening.attachment_type = Some(text("attachmentType", &attachment_type)?);
        }
        Ok(opening)
    }

    /// What opens a stream.
    pub fn to_json(&self) -> Json {
        let mut object = ObjectWriter::new();
        object.member("filename", &*self.filename);
        object.member("eventId", self.event_id.to_string().as_str());
        if let Some(content_type) = self.content_type.as_deref() {
            object.member("contentType", content_type);
        }
        if let Some(attachment_type) = self.attachment_type.as_deref() {
            object.member("attachmentType", attachment_type);
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
            (
                "{\"filename\":\"f\",\"eventId\":\"x\"}".into(),
                "\"eventId\" is invalid",
            ),
            (
                format!("{{{id},\"filename\":\"\"}}"),
                "\"filename\" is invalid",
            ),
            (
                format!("{{{id},\"filename\":\"../f\"}}"),
                "\"filename\" is invalid",
            ),
            (
                format!("{{{id},\"filename\":\"a\\\\b\"}}"),
                "\"filename\" is invalid",
            ),
            (
                format!("{{{id},\"filename\":\"a\\u0000\"}}"),
                "it has a control character",
            ),
            (
                format!("{{{id},\"filename\":\"{}\"}}", "x".repeat(256)),
                "longer than 255 bytes",
            ),
            (
                format!("{{{id},\"filename\":\"f\",\"contentType\":1}}"),
                "\"contentType\"",
            ),
        ] {
            let error = StreamOpening::parse(body.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{body}: {error}");
        }
    }

    #[test]
    fn writing_is_what_reading_undoes() {
        let event_id = "9ec79c33ec9942ab8353589fcb2e04dc".parse().unwrap();
        let mut opening = StreamOpening::new("é \"x\".bin", event_id).unwrap();
        opening.content_type = Some("text/plain".into());
        opening.attachment_type = Some("event.minidump".into());
        assert_eq!(
            StreamOpening::parse(opening.to_json().text().as_bytes()),
            Ok(opening)
        );
    }
}
