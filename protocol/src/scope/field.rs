//! The parts of a scope that are set and cleared one by one.

use std::borrow::Cow;
use std::fmt;

use super::kind::Kind;
use super::{Refusal, Trimmed, trim};
use crate::json::{Json, Kind as JsonKind, Value, text};
use crate::limits::{
    ATTRIBUTE_BYTES, CONTEXT_BYTES, EXTRA_BYTES, FINGERPRINT_CHARS, FINGERPRINT_PARTS, LEVEL_CHARS,
    PROPAGATION_BYTES, TAG_VALUE_CHARS, TRANSACTION_CHARS, USER_BYTES,
};

/// A part of a scope that holds one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Field {
    /// The user: an object.
    User,
    /// The level of events that have none: a string.
    Level,
    /// The name of the transaction: a string.
    Transaction,
    /// How events are grouped: an array.
    Fingerprint,
    /// The trace that the process is in: an object.
    Propagation,
    /// A tag: a string, number or truth value.
    Tag(Key),
    /// An extra: any value.
    Extra(Key),
    /// A context: an object.
    Context(Key),
    /// An attribute of logs and metrics: any value.
    Attribute(Key),
}

impl Field {
    /// A tag. Sentry discards tags with longer keys than it allows, so they are refused here.
    pub fn tag(key: &str) -> Result<Self, Refusal> {
        Kind::Tag.keyed(key)
    }

    /// An extra.
    pub fn extra(key: &str) -> Result<Self, Refusal> {
        Kind::Extra.keyed(key)
    }

    /// A context.
    pub fn context(key: &str) -> Result<Self, Refusal> {
        Kind::Context.keyed(key)
    }

    /// An attribute.
    pub fn attribute(key: &str) -> Result<Self, Refusal> {
        Kind::Attribute.keyed(key)
    }

    /// The key, for those fields that have one.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Tag(key) | Self::Extra(key) | Self::Context(key) | Self::Attribute(key) => {
                Some(key)
            }
            Self::User
            | Self::Level
            | Self::Transaction
            | Self::Fingerprint
            | Self::Propagation => None,
        }
    }

    /// What the field is called in a change: `user`, `tag`, ….
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// The kind of the field; the number of keys of a kind is bounded.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::User => Kind::User,
            Self::Level => Kind::Level,
            Self::Transaction => Kind::Transaction,
            Self::Fingerprint => Kind::Fingerprint,
            Self::Propagation => Kind::Propagation,
            Self::Tag(_) => Kind::Tag,
            Self::Extra(_) => Kind::Extra,
            Self::Context(_) => Kind::Context,
            Self::Attribute(_) => Kind::Attribute,
        }
    }

    /// Whether setting the field to this value means to clear it: `null`, but for extras, which may
    /// be `null`; and an empty user or fingerprint, as the JavaScript SDK sends it after `clear()`.
    pub(super) fn is_cleared_by(&self, value: Value<'_>) -> bool {
        match self {
            Self::Extra(_) => false,
            Self::User => {
                value.is_null() || value.as_object().is_some_and(|object| object.is_empty())
            }
            Self::Fingerprint => {
                value.is_null()
                    || value.elements().is_some_and(|mut parts| parts.all(Value::is_null))
            }
            _ => value.is_null(),
        }
    }

    /// Makes a value fit the field, or refuses it.
    pub(super) fn fit(&self, value: Value<'_>) -> Result<Trimmed, Refusal> {
        let kind = value.kind();
        let is_of_kind = match self {
            Self::User | Self::Context(_) | Self::Propagation => kind == JsonKind::Object,
            Self::Level | Self::Transaction => kind == JsonKind::String,
            Self::Fingerprint => kind == JsonKind::Array,
            Self::Tag(_) => {
                matches!(kind, JsonKind::String | JsonKind::Number | JsonKind::Bool)
            }
            Self::Extra(_) | Self::Attribute(_) => true,
        };
        if !is_of_kind {
            return Err(Refusal::WrongKind);
        }
        trim::check(value)?;
        let trimmed = match self {
            Self::User => trim::value(value, USER_BYTES),
            Self::Context(_) => trim::value(value, CONTEXT_BYTES),
            Self::Extra(_) => trim::value(value, EXTRA_BYTES),
            Self::Attribute(_) => trim::value(value, ATTRIBUTE_BYTES),
            Self::Level => trim::string(value, LEVEL_CHARS).filter(is_whole),
            Self::Transaction => trim::string(value, TRANSACTION_CHARS),
            Self::Fingerprint => {
                // What is undefined in JavaScript is `null` here, and no reason to lose the others.
                let mut parts = value.elements().into_iter().flatten();
                let without_null = parts
                    .clone()
                    .any(Value::is_null)
                    .then(|| Json::array(parts.by_ref().filter(|part| !part.is_null())));
                let value = without_null.as_ref().map_or(value, Json::as_value);
                return trim::list(value, FINGERPRINT_PARTS, |part| match part.kind() {
                    JsonKind::String => trim::string(part, FINGERPRINT_CHARS),
                    JsonKind::Number | JsonKind::Bool => trim::value(part, FINGERPRINT_CHARS),
                    JsonKind::Null | JsonKind::Array | JsonKind::Object => None,
                })
                .ok_or(Refusal::WrongKind);
            }
            // Half a trace is none.
            Self::Propagation => trim::value(value, PROPAGATION_BYTES).filter(is_whole),
            Self::Tag(_) if kind == JsonKind::String => trim::string(value, TAG_VALUE_CHARS),
            Self::Tag(_) => trim::value(value, TAG_VALUE_CHARS),
        };
        trimmed
            // Nothing is left of it, and that would mean something else.
            .filter(|trimmed| !self.is_cleared_by(trimmed.value().as_value()))
            .ok_or(Refusal::TooLarge)
    }
}

fn is_whole(trimmed: &Trimmed) -> bool {
    trimmed.meta().is_none()
}

/// The key of a tag, an extra, a context or an attribute.
///
/// JavaScript's keys may hold half a surrogate pair, which a Rust string cannot. So a key keeps the
/// one JSON form that all ways to write it share.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<str>);

impl Key {
    /// The key that is written like this between its quotes.
    pub(super) fn from_raw(raw: &str, max_chars: usize) -> Result<Self, Refusal> {
        let body = text::canonical_body(raw);
        // Only a body with many bytes needs its characters counted.
        if body.len() > max_chars && text::decode(&body).chars().count() > max_chars {
            return Err(Refusal::KeyTooLong);
        }
        Ok(Self(body.into_owned().into()))
    }

    /// The key. Half a surrogate pair becomes U+FFFD.
    pub fn to_str(&self) -> Cow<'_, str> {
        text::decode(&self.0)
    }

    /// The key as it stands between the quotes of a JSON string.
    pub fn as_json_body(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    fn fit(field: &Field, text: &str) -> Result<String, Refusal> {
        let json = Json::parse(text.as_bytes()).unwrap();
        field.fit(json.as_value()).map(|trimmed| trimmed.value().text().to_owned())
    }

    #[test]
    fn each_field_takes_its_kinds_of_value() {
        let tag = Field::tag("a").unwrap();
        for text in ["\"x\"", "1.50", "true"] {
            assert_eq!(fit(&tag, text).as_deref(), Ok(text));
        }
        for (field, text) in [
            (&tag, "{}"),
            (&tag, "[]"),
            (&Field::User, "\"x\""),
            (&Field::Level, "1"),
            (&Field::Transaction, "null"),
            (&Field::Fingerprint, "\"x\""),
            (&Field::Fingerprint, "[[]]"),
            (&Field::Propagation, "[]"),
            (&Field::context("a").unwrap(), "1"),
        ] {
            assert_eq!(fit(field, text), Err(Refusal::WrongKind), "{field:?} {text}");
        }
        assert_eq!(fit(&Field::Fingerprint, r#"["a", 1]"#).as_deref(), Ok(r#"["a", 1]"#));
        assert_eq!(fit(&Field::Fingerprint, r#"["a", null]"#).as_deref(), Ok(r#"["a"]"#));
        assert_eq!(fit(&Field::extra("a").unwrap(), "null").as_deref(), Ok("null"));
    }

    #[test]
    fn what_can_be_cut_is_cut_and_what_cannot_is_refused() {
        let long = format!("\"{}\"", "x".repeat(100_000));
        let object = format!("{{\"a\":{long}}}");
        let cut = fit(&Field::tag("a").unwrap(), &long).unwrap();
        assert_eq!(cut.len(), TAG_VALUE_CHARS + 2);
        assert!(fit(&Field::extra("a").unwrap(), &long).unwrap().len() <= EXTRA_BYTES);
        assert!(fit(&Field::User, &object).unwrap().len() <= USER_BYTES);
        assert_eq!(fit(&Field::Level, &long), Err(Refusal::TooLarge));
        assert_eq!(fit(&Field::Propagation, &object), Err(Refusal::TooLarge));
        let number = "1".repeat(1000);
        assert_eq!(fit(&Field::tag("a").unwrap(), &number), Err(Refusal::TooLarge));
        let only = format!("{{\"a\":{}}}", "1".repeat(20_000));
        assert_eq!(fit(&Field::User, &only), Err(Refusal::TooLarge));
        let many = format!("[{}1]", "1,".repeat(100));
        assert_eq!(fit(&Field::Fingerprint, &many).unwrap().matches('1').count(), 32);
    }

    #[test]
    fn a_key_that_would_be_discarded_is_refused_and_not_cut() {
        assert!(Field::tag(&"é".repeat(200)).is_ok());
        assert_eq!(Field::tag(&"é".repeat(201)), Err(Refusal::KeyTooLong));
        assert_eq!(Field::tag("a\n").unwrap().key().unwrap().to_str(), "a\n");
    }
}
