//! Why main does not let a renderer in, for programs and for people.

use std::fmt;

use super::FrameError;
use crate::json::{Json, ObjectWriter};
use crate::members::{Members, PayloadError};

/// Main does not let a renderer in. It is an error in the eyes of the renderer, and the last frame
/// of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Why, for a program.
    pub reason: RefusalReason,
    /// Why, and what to do, for a person.
    pub message: String,
}

impl Refusal {
    /// A refusal with a sentence that says what to do.
    pub fn new(reason: RefusalReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// What main answers to bytes that are no hello.
    pub fn malformed(error: &FrameError) -> Self {
        Self::new(RefusalReason::Malformed, error.to_string())
    }

    pub(super) fn to_body(&self) -> Json {
        let mut body = ObjectWriter::new();
        body.member("reason", self.reason.name())
            .member("message", self.message.as_str());
        body.finish()
    }

    pub(super) fn from_body(body: &[u8]) -> Result<Self, PayloadError> {
        let members = Members::read(body)?;
        Ok(Self {
            reason: RefusalReason::named(&members.text("reason")?),
            message: members.text("message")?.into_owned(),
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, message } = self;
        write!(
            f,
            "main refused this renderer ({}): {message}",
            reason.name()
        )
    }
}

impl std::error::Error for Refusal {}

/// Why main does not let a renderer in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
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
    Other(String),
}

impl RefusalReason {
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
        [
            Self::Namespace,
            Self::Proof,
            Self::Version,
            Self::Busy,
            Self::Malformed,
        ]
        .into_iter()
        .find(|reason| reason.name() == name)
        .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_only_a_newer_main_knows_stays_readable() {
        let body = br#"{"reason":"full moon","message":"wait until Tuesday","x":1}"#;
        let refusal = Refusal::from_body(body).unwrap();
        assert_eq!(refusal.reason, RefusalReason::named("full moon"));
        assert_eq!(
            refusal.to_string(),
            "main refused this renderer (full moon): wait until Tuesday"
        );
        assert_eq!(
            Refusal::from_body(refusal.to_body().text().as_bytes()),
            Ok(refusal)
        );
    }

    #[test]
    fn every_reason_is_read_back() {
        for name in ["namespace", "proof", "version", "busy", "malformed"] {
            let reason = RefusalReason::named(name);
            assert!(!matches!(reason, RefusalReason::Other(_)), "{name}");
            assert_eq!(reason.name(), name);
        }
    }
}
