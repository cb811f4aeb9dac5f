//! The id of an event.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::error::excerpt;

/// The id of an event: a UUID, written as 32 hexadecimal digits.
///
/// It is read with or without dashes and in upper or lower case, since SDKs write all of these; the
/// bytes of an envelope keep the way it was written.
///
/// ```
/// use guardhouse_protocol::EventId;
///
/// let id: EventId = "9EC79C33-EC99-42AB-8353-589FCB2E04DC".parse()?;
/// assert_eq!(id.to_string(), "9ec79c33ec9942ab8353589fcb2e04dc");
/// # Ok::<(), guardhouse_protocol::EventIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Uuid);

impl EventId {
    /// The event with this UUID.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        // The parser of `uuid` also knows braces and URNs, which are no event ids.
        let has_right_length = matches!(text.len(), 32 | 36);
        match Uuid::try_parse(text) {
            Ok(uuid) if has_right_length => Ok(Self(uuid)),
            _ => Err(EventIdError { given: excerpt(text).into() }),
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

/// Not an [`EventId`]. The fault is with whoever wrote the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventIdError {
    given: Box<str>,
}

impl fmt::Display for EventIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an event id; it has to be a UUID of 32 digits", &*self.given)
    }
}

impl std::error::Error for EventIdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_all_the_ways_that_sdks_write_them() {
        let id: EventId = "9ec79c33ec9942ab8353589fcb2e04dc".parse().unwrap();
        for text in ["9EC79C33EC9942AB8353589FCB2E04DC", "9ec79c33-ec99-42ab-8353-589fcb2e04dc"] {
            assert_eq!(text.parse(), Ok(id));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "nope",
            "9ec79c33ec9942ab8353589fcb2e04d",
            "9ec79c33ec9942ab8353589fcb2e04dg",
            "{9ec79c33-ec99-42ab-8353-589fcb2e04dc}",
            "urn:uuid:9ec79c33-ec99-42ab-8353-589fcb2e04dc",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }
}
