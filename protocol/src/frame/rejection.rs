//! Why main does not let a renderer in, for programs and for people.

use std::fmt;

use super::FrameError;
use crate::error::cut;
use crate::json::{Json, ObjectWriter};
use crate::limits::{REJECTION_MESSAGE_BYTES, REJECTION_REASON_BYTES};
use crate::members::{Members, PayloadError};

/// Main does not let a renderer in. It is an error in the eyes of the renderer, and the last frame
/// of the connection.
///
/// It always fits its frame: a sentence that is too long loses its end, which an ellipsis shows.
///
/// ```
/// use guardhouse_protocol::frame::{Rejection, RejectionReason};
///
/// let rejection = Rejection::new(RejectionReason::Busy, "there are 50 renderers already");
/// assert_eq!(
///     rejection.to_json().text(),
///     r#"{"reason":"busy","message":"there are 50 renderers already"}"#
/// );
/// let long = Rejection::new(RejectionReason::Busy, &"x".repeat(10_000));
/// assert!(long.message().ends_with('…'));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    reason: RejectionReason,
    message: Box<str>,
}

impl Rejection {
    /// A rejection with a sentence that says what to do.
    pub fn new(reason: RejectionReason, message: &str) -> Self {
        Self {
            reason: match reason {
                RejectionReason::Other(name) => {
                    RejectionReason::Other(cut(&name, REJECTION_REASON_BYTES).into_owned())
                }
                known => known,
            },
            message: cut(message, REJECTION_MESSAGE_BYTES).into(),
        }
    }

    /// What main answers to bytes that are no hello.
    pub fn malformed(error: &FrameError) -> Self {
        Self::new(RejectionReason::Malformed, &error.to_string())
    }

    /// Why, for a program.
    pub fn reason(&self) -> &RejectionReason {
        &self.reason
    }

    /// Why, and what to do, for a person.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Reads the payload of the frame, or the body of the answer over the protocol.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        let members = Members::read(body)?;
        Ok(Self::new(RejectionReason::named(&members.text("reason")?), &members.text("message")?))
    }

    /// The payload of the frame, or the body of the answer over the protocol.
    pub fn to_json(&self) -> Json {
        let mut body = ObjectWriter::new();
        body.member("reason", self.reason.name()).member("message", self.message());
        body.finish()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, message } = self;
        write!(f, "main refused this renderer ({}): {message}", reason.name())
    }
}

impl std::error::Error for Rejection {}

/// Why main does not let a renderer in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectionReason {
    /// The renderer belongs to another namespace. The fault is with the options of one of the two.
    Namespace,
    /// The proof is wrong. The fault is with whoever started the renderer.
    Proof,
    /// There is no version in common. One of the two has to be updated.
    Version,
    /// Main has as many renderers as it takes. It is worth trying again later.
    Busy,
    /// What the renderer sent is no hello. The fault is with the renderer's SDK.
    Malformed,
    /// A reason that only a newer main knows.
    #[non_exhaustive]
    Other(String),
}

impl RejectionReason {
    /// The reason as it is written.
    pub fn name(&self) -> &str {
        match self {
            Self::Namespace => "namespace",
            Self::Proof => "proof",
            Self::Version => "version",
            Self::Busy => "busy",
            Self::Malformed => "malformed",
            Self::Other(name) => name,
        }
    }

    /// The reason that is written so. An unknown one is kept.
    pub fn named(name: &str) -> Self {
        [Self::Namespace, Self::Proof, Self::Version, Self::Busy, Self::Malformed]
            .into_iter()
            .find(|reason| reason.name() == name)
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HELLO_BYTES;

    #[test]
    fn a_reason_that_only_a_newer_main_knows_stays_readable() {
        let body = br#"{"reason":"full moon","message":"wait until Tuesday","x":1}"#;
        let rejection = Rejection::parse(body).unwrap();
        assert_eq!(rejection.reason(), &RejectionReason::named("full moon"));
        assert_eq!(
            rejection.to_string(),
            "main refused this renderer (full moon): wait until Tuesday"
        );
        assert_eq!(Rejection::parse(rejection.to_json().text().as_bytes()), Ok(rejection));
    }

    #[test]
    fn every_reason_is_read_back() {
        for name in ["namespace", "proof", "version", "busy", "malformed"] {
            let reason = RejectionReason::named(name);
            assert!(!matches!(reason, RejectionReason::Other(_)), "{name}");
            assert_eq!(reason.name(), name);
        }
    }

    #[test]
    fn however_much_there_is_to_say_it_fits_its_frame() {
        for character in ["x", "\u{1}", "\"", "ä", "🦀"] {
            let endless = character.repeat(100_000);
            let rejection = Rejection::new(RejectionReason::named(&endless), &endless);
            let json = rejection.to_json();
            assert!(json.text().len() <= HELLO_BYTES, "{}", json.text().len());
            assert_eq!(Rejection::parse(json.text().as_bytes()), Ok(rejection));
        }
    }
}
