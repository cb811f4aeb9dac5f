//! From the bytes of a channel to what they mean.
//!
//! This is the one place where bytes that a peer sent become types. Whoever has a [`Message`] has
//! something well-formed of bounded size; whether the sender may say it, and how often, is for
//! main's intake to decide.

use std::fmt;

use bytes::Bytes;

use crate::envelope::{Envelope, EnvelopeError};
use crate::json::JsonError;
use crate::scope::ScopeMessage;
use crate::{Channel, Config, Log, Metric, PayloadError, Status, StreamOpening, Trace};

/// What is said on a channel.
///
/// ```
/// use bytes::Bytes;
/// use guardhouse_protocol::{Channel, Message};
///
/// let body = Bytes::from_static(br#"{"status":"alive"}"#);
/// assert!(matches!(Message::parse(Channel::Status, body)?, Message::Status(_)));
///
/// let error = Message::parse(Channel::Metric, Bytes::from_static(b"[]")).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "a message of the channel metric is malformed: the JSON is not an object, at byte 0"
/// );
/// # Ok::<(), guardhouse_protocol::MessageError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Message {
    /// The renderer's SDK has started.
    Start,
    /// The scope of the renderer has changed.
    Scope(ScopeMessage),
    /// An envelope for Sentry.
    Envelope(Envelope),
    /// An envelope with user feedback.
    Feedback(Envelope),
    /// The renderer's heartbeat.
    Status(Status),
    /// A log.
    Log(Log),
    /// A metric.
    Metric(Metric),
    /// Is all that was sent durable?
    Flush,
    /// A stream begins.
    Attachment(StreamOpening),
    /// How to behave.
    Config(Config),
    /// Which trace to continue.
    Trace(Trace),
}

impl Message {
    /// Reads what was said on a channel. What is larger than the contract allows is not looked at,
    /// nor is what is said where there is nothing to say.
    pub fn parse(channel: Channel, payload: Bytes) -> Result<Self, MessageError> {
        let error = |fault| MessageError { channel, fault };
        let max_bytes = channel.declaration().max_opening_bytes();
        let bytes = payload.len();
        if bytes > max_bytes {
            return Err(error(Fault::Payload(PayloadError::TooLarge { bytes, max_bytes })));
        }
        Ok(match channel {
            Channel::Start => Self::Start,
            Channel::Scope => {
                Self::Scope(ScopeMessage::parse(&payload).map_err(|e| error(Fault::Json(e)))?)
            }
            Channel::Envelope => {
                Self::Envelope(Envelope::parse(payload).map_err(|e| error(Fault::Envelope(e)))?)
            }
            Channel::Feedback => {
                Self::Feedback(Envelope::parse(payload).map_err(|e| error(Fault::Envelope(e)))?)
            }
            Channel::Status => {
                Self::Status(Status::parse(&payload).map_err(|e| error(Fault::Payload(e)))?)
            }
            Channel::StructuredLog => {
                Self::Log(Log::parse(&payload).map_err(|e| error(Fault::Json(e)))?)
            }
            Channel::Metric => {
                Self::Metric(Metric::parse(&payload).map_err(|e| error(Fault::Json(e)))?)
            }
            Channel::Flush => Self::Flush,
            Channel::Attachment => Self::Attachment(
                StreamOpening::parse(&payload).map_err(|e| error(Fault::Payload(e)))?,
            ),
            Channel::Config => {
                Self::Config(Config::parse(&payload).map_err(|e| error(Fault::Payload(e)))?)
            }
            Channel::Trace => {
                Self::Trace(Trace::parse(&payload).map_err(|e| error(Fault::Payload(e)))?)
            }
        })
    }

    /// The channel on which it is said.
    pub fn channel(&self) -> Channel {
        match self {
            Self::Start => Channel::Start,
            Self::Scope(_) => Channel::Scope,
            Self::Envelope(_) => Channel::Envelope,
            Self::Feedback(_) => Channel::Feedback,
            Self::Status(_) => Channel::Status,
            Self::Log(_) => Channel::StructuredLog,
            Self::Metric(_) => Channel::Metric,
            Self::Flush => Channel::Flush,
            Self::Attachment(_) => Channel::Attachment,
            Self::Config(_) => Channel::Config,
            Self::Trace(_) => Channel::Trace,
        }
    }
}

/// Why what was said on a channel means nothing. The fault is with whoever said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageError {
    channel: Channel,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Payload(PayloadError),
    Json(JsonError),
    Envelope(EnvelopeError),
}

impl MessageError {
    /// The channel on which it was said.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// Whether it was only too large.
    pub fn is_too_large(&self) -> bool {
        matches!(self.fault, Fault::Payload(PayloadError::TooLarge { .. }))
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message of the channel {} is malformed: ", self.channel)?;
        match &self.fault {
            Fault::Payload(error) => error.fmt(f),
            Fault::Json(error) => error.fmt(f),
            Fault::Envelope(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MessageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match &self.fault {
            Fault::Payload(error) => error,
            Fault::Json(error) => error,
            Fault::Envelope(error) => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_its_message() {
        for (channel, payload) in [
            (Channel::Start, ""),
            (Channel::Start, "{}"),
            (Channel::Scope, "{}"),
            (Channel::Scope, "[]"),
            (Channel::Envelope, "{}\n"),
            (Channel::Feedback, "{}\n"),
            (Channel::Status, r#"{"status":"alive"}"#),
            (Channel::StructuredLog, "{}"),
            (Channel::Metric, "{}"),
            (Channel::Flush, ""),
            (Channel::Flush, r#"{"new_in_2030":1}"#),
            (
                Channel::Attachment,
                r#"{"filename":"f","eventId":"9ec79c33ec9942ab8353589fcb2e04dc"}"#,
            ),
            (Channel::Config, "{}"),
            (
                Channel::Trace,
                r#"{"sentryTrace":"771a43a4192642f0b136d5159a501700-91595369230a4ca6"}"#,
            ),
        ] {
            let message = Message::parse(channel, Bytes::from_static(payload.as_bytes())).unwrap();
            assert_eq!(message.channel(), channel);
        }
    }

    #[test]
    fn what_is_larger_than_the_contract_allows_is_not_looked_at() {
        for channel in Channel::ALL {
            let max_bytes = channel.declaration().max_opening_bytes();
            let error = Message::parse(channel, vec![b'x'; max_bytes + 1].into()).unwrap_err();
            assert!(error.is_too_large(), "{error}");
            assert_eq!(error.channel(), channel);
        }
    }

    #[test]
    fn an_error_says_the_channel_and_what_is_wrong() {
        let error = Message::parse(Channel::Envelope, Bytes::from_static(b"{}\n{}")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a message of the channel envelope is malformed: an item's header has no `type` that \
             is a string, at byte 3 after 0 good items"
        );
    }
}
