//! What can be wrong with an envelope.

use std::fmt;

use crate::json::{JsonError, SpliceError};
use crate::limits::{ENVELOPE_BYTES, ENVELOPE_ITEMS, HEADER_BYTES, HEADER_FIELDS, ITEM_TYPE_BYTES};

/// Why bytes are not an envelope. The fault is with whoever wrote them, or with the disk that kept
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeError {
    fault: EnvelopeFault,
    offset: usize,
    items: usize,
}

/// What is wrong with an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvelopeFault {
    /// The envelope is larger than Sentry takes.
    TooLarge,
    /// There is no header.
    NoHeader,
    /// A header line is longer than anybody needs.
    HeaderTooLong,
    /// A header has more fields than anybody needs.
    TooManyFields,
    /// A header is not a JSON object on a line of its own.
    Header(JsonError),
    /// There is white space between a header and its line's end, where some readers see it and some
    /// do not.
    HeaderSpace,
    /// The header's `event_id` is not an id.
    EventId,
    /// The header's `sent_at` is not a time.
    SentAt,
    /// An item header has no `type`, or one that is not a string.
    Type,
    /// The name of an item's type is longer than anybody needs.
    TypeTooLong,
    /// An item's `length` is not a whole number.
    Length,
    /// An item header says its `type` or `length` twice, so that readers may disagree.
    Ambiguous,
    /// An item's `length` goes past the end of the envelope.
    Truncated,
    /// A payload goes on where its `length` says it ends.
    MissingNewline,
    /// There are more items than anybody needs.
    TooManyItems,
    /// There are blank lines behind the last item.
    TrailingNewlines,
}

impl EnvelopeError {
    pub(super) const fn new(fault: EnvelopeFault, offset: usize, items: usize) -> Self {
        Self { fault, offset, items }
    }

    /// What is wrong.
    pub const fn fault(&self) -> EnvelopeFault {
        self.fault
    }

    /// Where, in bytes from the start of the envelope.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// How many good items are before the fault.
    pub const fn items(&self) -> usize {
        self.items
    }
}

impl fmt::Display for EnvelopeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the envelope is larger than {ENVELOPE_BYTES} bytes"),
            Self::NoHeader => f.write_str("the envelope has no header"),
            Self::HeaderTooLong => {
                write!(f, "a header of the envelope is longer than {HEADER_BYTES} bytes")
            }
            Self::TooManyFields => {
                write!(f, "a header of the envelope has more than {HEADER_FIELDS} fields")
            }
            Self::Header(error) => {
                write!(f, "a header of the envelope cannot be read ({error} of it)")
            }
            Self::HeaderSpace => {
                f.write_str("a header of the envelope has white space around it on its line")
            }
            Self::EventId => f.write_str("the envelope's `event_id` is not a UUID"),
            Self::SentAt => f.write_str("the envelope's `sent_at` is not an RFC 3339 time"),
            Self::Type => f.write_str("an item's header has no `type` that is a string"),
            Self::TypeTooLong => {
                write!(f, "an item's `type` is longer than {ITEM_TYPE_BYTES} bytes")
            }
            Self::Length => f.write_str("an item's `length` is not a whole number"),
            Self::Ambiguous => f.write_str("an item's header says its `type` or `length` twice"),
            Self::Truncated => f.write_str("an item's `length` goes past the end of the envelope"),
            Self::MissingNewline => {
                f.write_str("an item's payload goes on where its `length` says that it ends")
            }
            Self::TooManyItems => write!(f, "the envelope has more than {ENVELOPE_ITEMS} items"),
            Self::TrailingNewlines => {
                f.write_str("the envelope has blank lines behind its last item")
            }
        }
    }
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, offset, items } = self;
        let s = if *items == 1 { "" } else { "s" };
        write!(f, "{fault}, at byte {offset} after {items} good item{s}")
    }
}

impl std::error::Error for EnvelopeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            EnvelopeFault::Header(error) => Some(error),
            _ => None,
        }
    }
}

/// Why an envelope was not changed. It is as it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditError {
    /// The payload is not a JSON object, so there is nothing in it to edit. The fault is with
    /// whoever wrote the envelope; [`Envelope::assess`](super::Envelope::assess) says so before.
    Payload(JsonError),
    /// The payload or header is of another shape than the caller expects.
    Splice(SpliceError),
    /// `type` and `length` frame the item; a caller changes the payload, or makes a new item.
    Reserved,
    /// The caller's change would make an envelope that cannot be read again.
    Unreadable(EnvelopeFault),
    /// The payload would be larger than Sentry takes.
    TooLarge {
        /// The largest that it takes.
        max_bytes: usize,
    },
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload(error) => write!(f, "the payload cannot be edited: {error}"),
            Self::Splice(error) => write!(f, "the edit cannot be made: {error}"),
            Self::Reserved => f.write_str(
                "`type` and `length` cannot be set by hand: set the payload, or make a new item",
            ),
            Self::Unreadable(fault) => {
                write!(f, "the result could not be read again: {fault}")
            }
            Self::TooLarge { max_bytes } => {
                write!(
                    f,
                    "the payload would be larger than the {max_bytes} bytes that Sentry takes"
                )
            }
        }
    }
}

impl std::error::Error for EditError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Payload(error) => Some(error),
            Self::Splice(error) => Some(error),
            Self::Reserved | Self::Unreadable(_) | Self::TooLarge { .. } => None,
        }
    }
}

impl From<SpliceError> for EditError {
    fn from(error: SpliceError) -> Self {
        Self::Splice(error)
    }
}
