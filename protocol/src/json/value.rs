//! A value inside checked JSON.

use std::borrow::Cow;
use std::fmt;

use super::scan::{Findings, skip_space, skip_value};
use super::{Json, JsonError, JsonFault, Object, text};

/// A value inside JSON that was checked: its text, without white space around it.
///
/// Reading it as a type is an offer, not a demand: what is not of the type is `None`.
///
/// ```
/// use guardhouse_protocol::json::{Kind, Object};
///
/// let object = Object::parse(br#"{"level":"error","timestamp":1795193675.01}"#)?;
/// let level = object.get("level").unwrap();
/// assert_eq!(level.kind(), Kind::String);
/// assert_eq!(level.as_str().as_deref(), Some("error"));
/// assert_eq!(object.get("timestamp").unwrap().text(), "1795193675.01");
/// # Ok::<(), guardhouse_protocol::json::JsonError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    text: &'a str,
}

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number, of any size.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl<'a> Value<'a> {
    /// Checks `bytes`, which have to be one JSON value and nothing but white space around it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| JsonError::new(JsonFault::Utf8, error.valid_up_to()))?;
        let start = skip_space(bytes, 0);
        let end = skip_value(bytes, start, 0, &mut Findings::default())?;
        let behind = skip_space(bytes, end);
        if behind < bytes.len() {
            return Err(JsonError::new(JsonFault::Trailing, behind));
        }
        Ok(Self::new(&text[start..end]))
    }

    /// The caller has checked `text`.
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// The value as it is written.
    pub const fn text(self) -> &'a str {
        self.text
    }

    /// What it is.
    pub const fn kind(self) -> Kind {
        match self.text.as_bytes().first() {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The truth value, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        match self.kind() {
            Kind::Bool => Some(self.text == "true"),
            _ => None,
        }
    }

    /// The number, if it is a whole one that fits and is written without fraction or exponent.
    pub fn as_u64(self) -> Option<u64> {
        match self.kind() {
            Kind::Number => self.text.parse().ok(),
            _ => None,
        }
    }

    /// The number as the nearest double, if it is a number that a double can hold.
    pub fn as_f64(self) -> Option<f64> {
        match self.kind() {
            Kind::Number => self.text.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// The string, if it is one. Half a surrogate pair, which no Rust string can hold, becomes U+FFFD.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        self.string_body().map(text::decode)
    }

    /// Whether it is a string that means exactly `text`, however it is escaped.
    pub fn is_str(self, text: &str) -> bool {
        self.string_body().is_some_and(|body| text::is_same(body, &text::body_of(text)))
    }

    /// What stands between the quotes, if it is a string.
    pub(crate) fn string_body(self) -> Option<&'a str> {
        self.text.strip_prefix('"')?.strip_suffix('"')
    }

    /// The object with its members found, if it is one and has no more than
    /// [`JSON_MEMBERS`](crate::limits::JSON_MEMBERS).
    pub fn as_object(self) -> Option<Object<'a>> {
        match self.kind() {
            Kind::Object => Object::within(self.text).ok(),
            _ => None,
        }
    }

    /// The values of the array, if it is one.
    pub fn elements(self) -> Option<Elements<'a>> {
        match self.kind() {
            Kind::Array => {
                Some(Elements { text: self.text, at: skip_space(self.text.as_bytes(), 1) })
            }
            _ => None,
        }
    }

    /// The value on its own.
    pub fn to_json(self) -> Json {
        Json::from_checked(self.text.into(), self.depth())
    }

    /// How deep the arrays and objects of the value are nested.
    pub(super) fn depth(self) -> usize {
        let mut findings = Findings::default();
        if matches!(self.kind(), Kind::Array | Kind::Object) {
            // The text was checked, so it is a value; only how deep it is, is asked.
            let _ = skip_value(self.text.as_bytes(), 0, 0, &mut findings);
        }
        findings.depth
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// The values of an array, in order.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let bytes = self.text.as_bytes();
        // At the closing bracket there is no value, and never again.
        let end = skip_value(bytes, self.at, 1, &mut Findings::default()).ok()?;
        let value = Value::new(self.text.get(self.at..end)?);
        let behind = skip_space(bytes, end);
        self.at = match bytes.get(behind) {
            Some(b',') => skip_space(bytes, behind + 1),
            _ => behind,
        };
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value<'_> {
        Value::new(text)
    }

    #[test]
    fn each_kind_is_read_as_its_type_and_no_other() {
        assert!(value("null").is_null());
        assert_eq!(value("true").as_bool(), Some(true));
        assert_eq!(value("false").as_bool(), Some(false));
        assert_eq!(value("12").as_u64(), Some(12));
        assert_eq!(value("12.0").as_u64(), None);
        assert_eq!(value("-1").as_u64(), None);
        assert_eq!(value("99999999999999999999").as_u64(), None);
        assert_eq!(value("1.5e1").as_f64(), Some(15.0));
        assert_eq!(value("1e400").as_f64(), None);
        assert_eq!(value("\"1\"").as_u64(), None);
        assert_eq!(value("1").as_str(), None);
        assert!(value(r#""\u0061""#).is_str("a"));
        assert!(value("[]").as_object().is_none());
        assert!(value("{}").elements().is_none());
    }

    #[test]
    fn the_elements_of_an_array_come_in_order() {
        let elements: Vec<_> =
            value(r#"[ 1 , "a,]" ,[2, 3],{"b":[]} ]"#).elements().unwrap().collect();
        assert_eq!(elements, ["1", "\"a,]\"", "[2, 3]", "{\"b\":[]}"].map(value));
        for empty in ["[]", "[ ]"] {
            let mut elements = value(empty).elements().unwrap();
            assert_eq!((elements.next(), elements.next()), (None, None));
        }
    }
}
