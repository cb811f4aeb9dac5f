//! JSON that is looked into and edited without being taken apart.
//!
//! What a browser sends is JSON text, but not always JSON that a typed reader takes: strings with
//! lone surrogates, numbers that no machine type holds, the same key twice, members that nobody has
//! heard of yet. So nothing here builds a tree. An [`Object`] is text that was checked once, from end
//! to end, together with where its members are; a [`Splice`] names changes to it and writes the text
//! out again with every other byte as it was.
//!
//! The check is strict: UTF-8, RFC 8259's grammar, and no deeper than [`JSON_DEPTH`]. It neither
//! recurses nor allocates for what is nested. Where a key stands twice the last one counts, as it
//! does for JavaScript and Python.
//!
//! ```
//! use guardhouse_protocol::json::{Object, Splice};
//!
//! let event = br#"{"message":"caf\u00e9 \ud83d", "tags": {"a":"1"},"x":1e400}"#;
//! let mut splice = Splice::new(Object::parse(event)?);
//! splice.set(&["release"], "app@1.0")?;
//! splice.set(&["tags", "event.process"], "renderer")?;
//! assert_eq!(
//!     splice.finish(),
//!     r#"{"message":"caf\u00e9 \ud83d", "tags": {"a":"1","event.process":"renderer"},"x":1e400,"release":"app@1.0"}"#
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`JSON_DEPTH`]: crate::limits::JSON_DEPTH

mod object;
mod owned;
mod scan;
mod splice;
mod surrogates;
pub(crate) mod text;
mod value;

pub use object::{Member, Members, Object};
pub use owned::{Fragment, Json, ObjectWriter};
pub use splice::{Precedence, Splice, SpliceError};
pub use surrogates::replace_lone_surrogates;
pub use value::{Elements, Kind, Value};

use std::fmt;

use crate::limits::{JSON_DEPTH, JSON_MEMBERS};

/// Why a text is not JSON that can be looked into, and where. The fault is with whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    fault: JsonFault,
    offset: usize,
}

/// What is wrong with a text that should be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonFault {
    /// The text ends inside a value.
    Truncated,
    /// There is something that does not belong here.
    Unexpected,
    /// A string holds a control character, which has to be escaped.
    ControlCharacter,
    /// A backslash begins no escape that JSON knows.
    Escape,
    /// A number is not written as JSON writes numbers.
    Number,
    /// The bytes are not UTF-8.
    Utf8,
    /// Arrays and objects are nested deeper than [`JSON_DEPTH`].
    TooDeep,
    /// The value is complete, but there is more behind it.
    Trailing,
    /// It is JSON, but not an object.
    NotAnObject,
    /// The object has more members than are indexed: [`JSON_MEMBERS`].
    TooManyMembers,
    /// The text is longer than it may be.
    TooLong,
}

impl JsonError {
    pub(crate) const fn new(fault: JsonFault, offset: usize) -> Self {
        Self { fault, offset }
    }

    /// What is wrong.
    pub const fn fault(&self) -> JsonFault {
        self.fault
    }

    /// Where, in bytes from the start of the text.
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            JsonFault::Truncated => f.write_str("the JSON ends inside a value"),
            JsonFault::Unexpected => f.write_str("this is not JSON"),
            JsonFault::ControlCharacter => f.write_str("a JSON string holds a control character"),
            JsonFault::Escape => f.write_str("a JSON string holds an unknown escape"),
            JsonFault::Number => f.write_str("a number is not written as JSON writes numbers"),
            JsonFault::Utf8 => f.write_str("the JSON is not UTF-8"),
            JsonFault::TooDeep => write!(f, "the JSON is nested deeper than {JSON_DEPTH} levels"),
            JsonFault::Trailing => f.write_str("there is more behind the JSON value"),
            JsonFault::NotAnObject => f.write_str("the JSON is not an object"),
            JsonFault::TooManyMembers => {
                write!(f, "a JSON object has more than {JSON_MEMBERS} members")
            }
            JsonFault::TooLong => f.write_str("the JSON is longer than it may be"),
        }?;
        write!(f, ", at byte {}", self.offset)
    }
}

impl std::error::Error for JsonError {}
