//! JSON that stands on its own: what is put into other JSON.

use std::fmt;

use super::{JsonError, Object, Value, text};

/// A JSON value on its own, checked.
///
/// ```
/// use guardhouse_protocol::json::Json;
///
/// assert_eq!(Json::from("say \"hi\"").text(), r#""say \"hi\"""#);
/// assert_eq!(Json::parse(b" [1, 2] ")?.text(), "[1, 2]");
/// assert!(Json::parse(b"[1, 2").is_err());
/// # Ok::<(), guardhouse_protocol::json::JsonError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Json {
    text: Box<str>,
    depth: usize,
}

impl Json {
    /// Checks `bytes`, which have to be one JSON value and nothing but white space around it.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        Value::parse(bytes).map(Value::to_json)
    }

    /// A number. JSON has none for what is not finite, so that becomes `null`, as in JavaScript.
    pub fn number(number: f64) -> Self {
        if !number.is_finite() {
            return Self::null();
        }
        // This is the shortest form that reads back as the same number, and is JSON.
        Self::from_checked(format!("{number:?}").into(), 0)
    }

    /// `null`.
    pub fn null() -> Self {
        Self::from_checked("null".into(), 0)
    }

    /// The string with this canonical body.
    pub(crate) fn from_canonical_body(body: &str) -> Self {
        Self::from_checked(format!("\"{body}\"").into(), 0)
    }

    /// The caller has written `text` from checked parts.
    pub(super) fn from_written(text: String) -> Self {
        let depth = Value::new(&text).depth();
        Self::from_checked(text.into(), depth)
    }

    /// An array of values.
    ///
    /// ```
    /// use guardhouse_protocol::json::Json;
    ///
    /// assert_eq!(Json::array(["a", "b"]).text(), r#"["a","b"]"#);
    /// ```
    pub fn array<'v>(values: impl IntoIterator<Item: Into<Fragment<'v>>>) -> Self {
        let values: Vec<Fragment<'v>> = values.into_iter().map(Into::into).collect();
        // Exactly as long as it will be, so that it is not copied as it grows, nor at the end.
        let length: usize = values.iter().map(|value| value.text().len() + 1).sum();
        let mut text = String::with_capacity(length.max(1) + 1);
        let mut depth = 0;
        text.push('[');
        for value in &values {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(value.text());
            depth = depth.max(value.depth());
        }
        text.push(']');
        Self::from_checked(text.into(), depth + 1)
    }

    /// The caller has checked `text`.
    pub(super) const fn from_checked(text: Box<str>, depth: usize) -> Self {
        Self { text, depth }
    }

    /// The value as it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value for reading.
    pub fn as_value(&self) -> Value<'_> {
        Value::new(&self.text)
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<Object<'_>> {
        self.as_value().as_object()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        let mut out = String::new();
        text::encode(text, &mut out);
        Self::from_checked(out.into(), 0)
    }
}

impl From<bool> for Json {
    fn from(truth: bool) -> Self {
        Self::from_checked(if truth { "true" } else { "false" }.into(), 0)
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<f64> for Json {
    /// As [`Json::number`].
    fn from(number: f64) -> Self {
        Self::number(number)
    }
}

macro_rules! whole_numbers {
    ($($number:ty)+) => {
        $(impl From<$number> for Json {
            fn from(number: $number) -> Self {
                Self::from_checked(number.to_string().into(), 0)
            }
        })+
    };
}

whole_numbers!(i32 i64 u16 u32 u64 usize);

/// JSON that can be put into other JSON: borrowed where it exists already, made where it does not.
///
/// Functions take `impl Into<Fragment>`, so that a [`Json`], a [`Value`], a string, a number or a
/// truth value can be passed as it is.
#[derive(Clone)]
pub struct Fragment<'a>(Source<'a>);

#[derive(Clone)]
enum Source<'a> {
    Borrowed { text: &'a str, depth: usize },
    Owned(Json),
}

impl Fragment<'_> {
    /// The fragment as it is written.
    pub fn text(&self) -> &str {
        match &self.0 {
            Source::Borrowed { text, .. } => text,
            Source::Owned(json) => &json.text,
        }
    }

    /// The fragment for reading.
    pub fn as_value(&self) -> Value<'_> {
        Value::new(self.text())
    }

    pub(super) fn depth(&self) -> usize {
        match &self.0 {
            Source::Borrowed { depth, .. } => *depth,
            Source::Owned(json) => json.depth,
        }
    }
}

impl fmt::Debug for Fragment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl<'a> From<Value<'a>> for Fragment<'a> {
    fn from(value: Value<'a>) -> Self {
        Self(Source::Borrowed { text: value.text(), depth: value.depth() })
    }
}

impl<'a> From<&'a Json> for Fragment<'a> {
    fn from(json: &'a Json) -> Self {
        Self(Source::Borrowed { text: &json.text, depth: json.depth })
    }
}

impl From<Json> for Fragment<'_> {
    fn from(json: Json) -> Self {
        Self(Source::Owned(json))
    }
}

macro_rules! made_into_json {
    ($($source:ty)+) => {
        $(impl From<$source> for Fragment<'_> {
            fn from(source: $source) -> Self {
                Json::from(source).into()
            }
        })+
    };
}

made_into_json!(&str String bool f64 i32 i64 u16 u32 u64 usize);

/// Writes a JSON object member by member.
///
/// ```
/// use guardhouse_protocol::json::ObjectWriter;
///
/// let mut object = ObjectWriter::new();
/// object.member("name", "main").member("renderers", 2_u64);
/// assert_eq!(object.finish().text(), r#"{"name":"main","renderers":2}"#);
/// ```
#[derive(Clone, Debug)]
pub struct ObjectWriter {
    text: String,
    depth: usize,
}

impl ObjectWriter {
    /// An object without members.
    pub fn new() -> Self {
        Self { text: String::from("{"), depth: 0 }
    }

    /// Writes a member behind the others. Whether its key is there already is for the caller to know.
    pub fn member<'v>(&mut self, key: &str, value: impl Into<Fragment<'v>>) -> &mut Self {
        self.separate();
        text::encode(key, &mut self.text);
        self.value(&value.into());
        self
    }

    /// Writes a member whose key is the canonical body of a JSON string.
    pub(crate) fn member_with_canonical_key(&mut self, key: &str, value: &Fragment<'_>) {
        self.separate();
        self.text.push('"');
        self.text.push_str(key);
        self.text.push('"');
        self.value(value);
    }

    fn separate(&mut self) {
        if !self.is_empty() {
            self.text.push(',');
        }
    }

    fn value(&mut self, value: &Fragment<'_>) {
        self.text.push(':');
        self.text.push_str(value.text());
        self.depth = self.depth.max(value.depth());
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.text.len() == 1
    }

    /// The object.
    pub fn finish(mut self) -> Json {
        self.text.push('}');
        Json::from_checked(self.text.into(), self.depth + 1)
    }
}

impl Default for ObjectWriter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_made_as_json_writes_them() {
        assert_eq!(Json::from("a\n").text(), r#""a\n""#);
        assert_eq!(Json::from(true).text(), "true");
        assert_eq!(Json::from(u64::MAX).text(), "18446744073709551615");
        assert_eq!(Json::from(-1_i64).text(), "-1");
        for number in [0.0, -0.0, 0.5, 1e21, 1.5e-9, f64::MAX, f64::MIN_POSITIVE] {
            let json = Json::number(number);
            assert_eq!(Json::parse(json.text().as_bytes()).as_ref(), Ok(&json));
            assert_eq!(json.as_value().as_f64().unwrap().to_bits(), number.to_bits());
        }
        assert_eq!(Json::number(f64::NAN).text(), "null");
    }

    #[test]
    fn depth_is_known_however_a_value_came_to_be() {
        let parsed = Json::parse(b"[[{}]]").unwrap();
        let mut writer = ObjectWriter::new();
        writer.member("a", &parsed);
        let written = writer.finish();
        assert_eq!((parsed.depth, written.depth), (3, 4));
        assert_eq!(Fragment::from(written.as_value()).depth(), 4);
        assert_eq!(Json::array([&written, &parsed]).depth, 5);
        assert_eq!(Json::array([0; 0]).text(), "[]");
    }
}
