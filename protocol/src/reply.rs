//! What main answers.

use crate::PayloadError;
use crate::json::{Json, ObjectWriter};
use crate::limits::SMALL_MESSAGE_BYTES;
use crate::members::Members;

/// What became of user feedback: what Sentry's JavaScript SDK calls the result of its transport.
/// Empty if nothing was sent yet. Feedback beyond its budget is answered by main itself, with status
/// 429 as Sentry would.
///
/// ```
/// use guardhouse_protocol::FeedbackResult;
///
/// let sent = FeedbackResult { status_code: Some(200), ..FeedbackResult::default() };
/// assert_eq!(sent.to_json().text(), r#"{"statusCode":200}"#);
/// assert_eq!(FeedbackResult::parse(b"{}")?, FeedbackResult::default());
/// # Ok::<(), guardhouse_protocol::PayloadError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedbackResult {
    /// The status with which Sentry answered.
    pub status_code: Option<u16>,
    /// What it is limited to from now on: the header `X-Sentry-Rate-Limits`.
    pub rate_limits: Option<String>,
    /// When it may be tried again: the header `Retry-After`.
    pub retry_after: Option<String>,
}

const RATE_LIMITS: &str = "x-sentry-rate-limits";
const RETRY_AFTER: &str = "retry-after";

impl FeedbackResult {
    /// Reads the reply of the `feedback` channel. What is odd in it counts as missing.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        let members = Members::read(body)?;
        let headers = members.object("headers").ok();
        let header = |name: &'static str| {
            let value = headers.as_ref()?.find_text(name).ok()??;
            Some(value.into_owned())
        };
        Ok(Self {
            status_code: members.number("statusCode").ok(),
            rate_limits: header(RATE_LIMITS),
            retry_after: header(RETRY_AFTER),
        })
    }

    /// The reply of the `feedback` channel. Where there are headers, each is there, as the SDK in a
    /// page expects: `null` if Sentry did not send it, or one that is longer than any sense.
    pub fn to_json(&self) -> Json {
        let sensible = |value: &Option<String>| {
            value.as_deref().filter(|value| value.len() <= SMALL_MESSAGE_BYTES / 4).map(Json::from)
        };
        let rate_limits = sensible(&self.rate_limits);
        let retry_after = sensible(&self.retry_after);
        let mut object = ObjectWriter::new();
        if let Some(status) = self.status_code {
            object.member("statusCode", u64::from(status));
        }
        if rate_limits.is_some() || retry_after.is_some() {
            let mut headers = ObjectWriter::new();
            headers
                .member(RATE_LIMITS, rate_limits.unwrap_or_else(Json::null))
                .member(RETRY_AFTER, retry_after.unwrap_or_else(Json::null));
            object.member("headers", headers.finish());
        }
        object.finish()
    }
}

/// Whether everything that main had got of a renderer before its `flush` is durable. It is not if it
/// could not be written, for want of room or permission: then main holds it in memory, as long as it
/// lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushResult {
    /// Whether it is.
    pub durable: bool,
}

impl FlushResult {
    /// Reads the reply of the `flush` channel.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        Ok(Self { durable: Members::read(body)?.flag("durable")? })
    }

    /// The reply of the `flush` channel.
    pub fn to_json(&self) -> Json {
        let mut object = ObjectWriter::new();
        object.member("durable", self.durable);
        object.finish()
    }
}

/// How much of a stream has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamResult {
    /// Bytes from the start that are durable.
    pub received: u64,
    /// Whether that is all of it.
    pub complete: bool,
}

impl StreamResult {
    /// Reads the reply of the `attachment` channel.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        let members = Members::read(body)?;
        Ok(Self { received: members.number("received")?, complete: members.flag("complete")? })
    }

    /// The reply of the `attachment` channel.
    pub fn to_json(&self) -> Json {
        let mut object = ObjectWriter::new();
        object.member("received", self.received).member("complete", self.complete);
        object.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_is_what_reading_undoes() {
        let feedback = FeedbackResult {
            status_code: Some(429),
            rate_limits: Some("60:error:key".into()),
            retry_after: Some("60".into()),
        };
        let json = feedback.to_json();
        assert_eq!(
            json.text(),
            r#"{"statusCode":429,"headers":{"x-sentry-rate-limits":"60:error:key","retry-after":"60"}}"#
        );
        assert_eq!(FeedbackResult::parse(json.text().as_bytes()), Ok(feedback));

        let later = FeedbackResult { retry_after: Some("60".into()), ..FeedbackResult::default() };
        let json = later.to_json();
        assert_eq!(json.text(), r#"{"headers":{"x-sentry-rate-limits":null,"retry-after":"60"}}"#);
        assert_eq!(FeedbackResult::parse(json.text().as_bytes()), Ok(later));

        let flush = FlushResult { durable: true };
        assert_eq!(FlushResult::parse(flush.to_json().text().as_bytes()), Ok(flush));
        let stream = StreamResult { received: u64::MAX, complete: false };
        assert_eq!(StreamResult::parse(stream.to_json().text().as_bytes()), Ok(stream));
    }

    #[test]
    fn a_reply_always_fits_its_bound() {
        let feedback = FeedbackResult {
            status_code: Some(200),
            rate_limits: Some("\u{1}".repeat(1000)),
            retry_after: Some("x".repeat(1_000_000)),
        };
        assert!(feedback.to_json().text().len() <= crate::limits::FEEDBACK_REPLY_BYTES);
    }
}
