//! The members of a small JSON object, each taken as what it should be.
//!
//! The bodies of the handshake and of the channels that carry a few fields are read with this.
//! Members that are not asked for are ignored, so that a newer peer can say more.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::json::{JsonError, Object, Value};

/// Why a body cannot be understood. The fault is with whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadError {
    /// It is not a JSON object.
    NotAnObject(JsonError),
    /// A member that is needed is not there.
    Missing {
        /// Its name.
        member: &'static str,
    },
    /// A member is there, but not what it should be.
    Invalid {
        /// Its name.
        member: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The body is larger than its channel allows.
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        max_bytes: usize,
    },
}

impl PayloadError {
    pub(crate) fn invalid(member: &'static str, why: impl fmt::Display) -> Self {
        Self::Invalid { member, why: why.to_string() }
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject(error) => write!(f, "it cannot be read: {error}"),
            Self::Missing { member } => write!(f, "{member:?} is missing"),
            Self::Invalid { member, why } => write!(f, "{member:?} is invalid: {why}"),
            Self::TooLarge { bytes, max_bytes } => {
                write!(f, "it has {bytes} bytes, but at most {max_bytes} are allowed")
            }
        }
    }
}

impl std::error::Error for PayloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotAnObject(error) => Some(error),
            _ => None,
        }
    }
}

/// The members of a body.
pub(crate) struct Members<'a>(Object<'a>);

impl<'a> Members<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, PayloadError> {
        Object::parse(body).map(Self).map_err(PayloadError::NotAnObject)
    }

    /// A member that may be missing. Many writers have no way to leave one out, and say `null`.
    pub(crate) fn find(&self, member: &'static str) -> Option<Value<'a>> {
        self.0.get(member).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, member: &'static str) -> Result<Cow<'a, str>, PayloadError> {
        self.get(member)?
            .as_str()
            .ok_or_else(|| PayloadError::invalid(member, "it is not a string"))
    }

    pub(crate) fn find_text(
        &self,
        member: &'static str,
    ) -> Result<Option<Cow<'a, str>>, PayloadError> {
        self.find(member).map(|_| self.text(member)).transpose()
    }

    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(
        &self,
        member: &'static str,
    ) -> Result<T, PayloadError> {
        let text = self.text(member)?;
        text.parse().map_err(|error| PayloadError::invalid(member, error))
    }

    pub(crate) fn number<T: TryFrom<u64>>(&self, member: &'static str) -> Result<T, PayloadError> {
        self.get(member)?
            .as_u64()
            .and_then(|number| number.try_into().ok())
            .ok_or_else(|| PayloadError::invalid(member, "it is not a whole number in its range"))
    }

    pub(crate) fn flag(&self, member: &'static str) -> Result<bool, PayloadError> {
        self.get(member)?
            .as_bool()
            .ok_or_else(|| PayloadError::invalid(member, "it is neither true nor false"))
    }

    pub(crate) fn object(&self, member: &'static str) -> Result<Self, PayloadError> {
        match self.get(member)?.as_object() {
            Some(object) => Ok(Self(object)),
            None => Err(PayloadError::invalid(member, "it is not an object")),
        }
    }

    fn get(&self, member: &'static str) -> Result<Value<'a>, PayloadError> {
        self.find(member).ok_or(PayloadError::Missing { member })
    }
}
