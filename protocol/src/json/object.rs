//! A checked JSON object and where its members are.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::scan::{Findings, skip_colon, skip_space, skip_string, skip_value, unexpected};
use super::{JsonError, JsonFault, Value, text};
use crate::limits::JSON_MEMBERS;

/// A JSON object, checked from end to end, with an index of its members.
///
/// Members are found by what their key means, however it is escaped. Where a key stands twice, the
/// last one counts.
///
/// ```
/// use guardhouse_protocol::json::Object;
///
/// let object = Object::parse(br#"{"a":1,"b":{"c":[true]},"a":2}"#)?;
/// assert_eq!(object.get("a").unwrap().text(), "2");
/// assert_eq!(object.at(&["b", "c"]).unwrap().text(), "[true]");
/// assert!(Object::parse(b"[1]").is_err());
/// # Ok::<(), guardhouse_protocol::json::JsonError>(())
/// ```
#[derive(Clone)]
pub struct Object<'a> {
    text: &'a str,
    spans: Vec<Span>,
    findings: Findings,
}

/// Where a member is: its key with the quotes, and its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    key_start: u32,
    key_end: u32,
    value_start: u32,
    value_end: u32,
}

impl Span {
    pub(super) fn start(self) -> usize {
        self.key_start as usize
    }

    pub(super) fn end(self) -> usize {
        self.value_end as usize
    }

    fn key(self) -> Range<usize> {
        // Without the quotes.
        self.key_start as usize + 1..self.key_end as usize - 1
    }

    pub(super) fn value(self) -> Range<usize> {
        self.value_start as usize..self.value_end as usize
    }
}

impl<'a> Object<'a> {
    /// The object without members.
    pub const EMPTY: Object<'static> = Object {
        text: "{}",
        spans: Vec::new(),
        findings: Findings { depth: 1, overflow: false, lone_surrogate: false },
    };

    /// Checks `bytes`, which have to be one JSON object and nothing but white space around it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| JsonError::new(JsonFault::Utf8, error.valid_up_to()))?;
        Self::within(text)
    }

    /// Checks text, which is UTF-8 by its type.
    pub(super) fn within(text: &'a str) -> Result<Self, JsonError> {
        let bytes = text.as_bytes();
        if u32::try_from(bytes.len()).is_err() {
            return Err(JsonError::new(JsonFault::TooLong, u32::MAX as usize));
        }
        let mut findings = Findings { depth: 1, ..Findings::default() };
        let mut spans = Vec::new();

        let mut at = skip_space(bytes, 0);
        match bytes.get(at) {
            Some(b'{') => at = skip_space(bytes, at + 1),
            None => return Err(JsonError::new(JsonFault::Truncated, at)),
            Some(_) => return Err(not_an_object(bytes, at, findings)),
        }
        if bytes.get(at) == Some(&b'}') {
            at += 1;
        } else {
            spans.reserve(16);
            loop {
                let key_start = at;
                let key_end = match bytes.get(at) {
                    Some(b'"') => skip_string(bytes, at + 1, &mut findings)?,
                    other => return Err(unexpected(other, at)),
                };
                if spans.len() == JSON_MEMBERS {
                    return Err(JsonError::new(JsonFault::TooManyMembers, at));
                }
                let value_start = skip_colon(bytes, key_end)?;
                let value_end = skip_value(bytes, value_start, 1, &mut findings)?;
                // All of them are places in a text that is no longer than a u32 can say.
                spans.push(Span {
                    key_start: key_start as u32,
                    key_end: key_end as u32,
                    value_start: value_start as u32,
                    value_end: value_end as u32,
                });
                at = skip_space(bytes, value_end);
                match bytes.get(at) {
                    Some(b',') => at = skip_space(bytes, at + 1),
                    Some(b'}') => {
                        at += 1;
                        break;
                    }
                    other => return Err(unexpected(other, at)),
                }
            }
        }
        at = skip_space(bytes, at);
        if at < bytes.len() {
            return Err(JsonError::new(JsonFault::Trailing, at));
        }
        Ok(Self { text, spans, findings })
    }

    /// The object as it is written, with the white space around it.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The object as a value.
    pub fn as_value(&self) -> Value<'a> {
        Value::new(self.text.trim_matches([' ', '\n', '\r', '\t']))
    }

    /// How many members are written, keys that stand twice counted twice.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether somewhere in it is a number that overflows a double.
    pub fn has_overflowing_number(&self) -> bool {
        self.findings.overflow
    }

    /// Whether somewhere in it is half a surrogate pair, as JavaScript's strings may hold.
    pub fn has_lone_surrogate(&self) -> bool {
        self.findings.lone_surrogate
    }

    /// Whether readers that decode into types of their own, such as `serde_json::Value`, can take
    /// it. What they cannot is kept here like anything else. (Of numbers at the very edge of a
    /// double's range, a reader may still refuse one.)
    pub fn is_decodable(&self) -> bool {
        !self.has_overflowing_number() && !self.has_lone_surrogate()
    }

    /// How deep arrays and objects are nested, this object counted.
    pub fn depth(&self) -> usize {
        self.findings.depth
    }

    /// The value of the last member with this key.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.find(&text::body_of(key)).map(|index| self.value(index))
    }

    /// The value at the end of a path of keys. An empty path is the object itself.
    pub fn at(&self, path: &[&str]) -> Option<Value<'a>> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self.as_value());
        };
        rest.iter().try_fold(self.get(first)?, |value, key| value.as_object()?.get(key))
    }

    /// All members as they are written, in order.
    pub fn members(&self) -> Members<'_, 'a> {
        Members { object: self, indices: 0..self.spans.len() }
    }

    /// Which member has the key with this canonical body; the last of several.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        self.spans.iter().rposition(|span| text::is_same(&self.text[span.key()], key))
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub(super) fn value(&self, index: usize) -> Value<'a> {
        Value::new(&self.text[self.spans[index].value()])
    }

    /// Whether the member has the key with this canonical body.
    pub(super) fn is_key(&self, index: usize, key: &str) -> bool {
        text::is_same(&self.text[self.spans[index].key()], key)
    }
}

/// JSON of another kind and text that is no JSON are different faults.
fn not_an_object(bytes: &[u8], at: usize, mut findings: Findings) -> JsonError {
    match skip_value(bytes, at, 0, &mut findings) {
        Ok(_) => JsonError::new(JsonFault::NotAnObject, at),
        Err(error) => error,
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// The members of an [`Object`].
#[derive(Clone, Debug)]
pub struct Members<'o, 'a> {
    object: &'o Object<'a>,
    indices: Range<usize>,
}

impl<'a> Iterator for Members<'_, 'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let index = self.indices.next()?;
        let key = self.object.spans[index].key();
        Some(Member { raw_key: &self.object.text[key], value: self.object.value(index) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.indices.size_hint()
    }
}

impl ExactSizeIterator for Members<'_, '_> {}

/// One member of an [`Object`].
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    raw_key: &'a str,
    value: Value<'a>,
}

impl<'a> Member<'a> {
    /// The key. Half a surrogate pair in it becomes U+FFFD.
    pub fn key(&self) -> Cow<'a, str> {
        text::decode(self.raw_key)
    }

    /// The key as it is written between its quotes.
    pub fn raw_key(&self) -> &'a str {
        self.raw_key
    }

    /// The value.
    pub fn value(&self) -> Value<'a> {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_what_their_key_means() {
        let object = Object::parse(br#" { "a" : 1 , "\u0062":2, "\ud83d":3 } "#).unwrap();
        assert_eq!(object.get("a").unwrap().text(), "1");
        assert_eq!(object.get("b").unwrap().text(), "2");
        // Half a surrogate pair reads as the replacement character, but is not that character.
        assert!(object.get("\u{fffd}").is_none());
        let keys: Vec<_> = object.members().map(|member| member.key().into_owned()).collect();
        assert_eq!(keys, ["a", "b", "\u{fffd}"]);
        assert_eq!(object.as_value().text(), r#"{ "a" : 1 , "\u0062":2, "\ud83d":3 }"#);
    }

    #[test]
    fn the_last_of_several_counts() {
        let object = Object::parse(br#"{"a":1,"\u0061":{"b":1,"b":2}}"#).unwrap();
        assert_eq!(object.at(&["a", "b"]).unwrap().text(), "2");
        assert!(object.at(&["a", "b", "c"]).is_none());
        assert_eq!(object.at(&[]).unwrap().text(), object.text());
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for (text, fault, offset) in [
            (&b""[..], JsonFault::Truncated, 0),
            (b"  ", JsonFault::Truncated, 2),
            (b"null", JsonFault::NotAnObject, 0),
            (b" [1]", JsonFault::NotAnObject, 1),
            (b"nope", JsonFault::Unexpected, 0),
            (b"{} {}", JsonFault::Trailing, 3),
            (b"{\"a\":1}\0", JsonFault::Trailing, 7),
            (b"{\"a\":\"\xff\"}", JsonFault::Utf8, 6),
            (b"{\"a\":\"\xed\xa0\xbd\"}", JsonFault::Utf8, 6),
            (b"\xef\xbb\xbf{}", JsonFault::Unexpected, 0),
        ] {
            let error = Object::parse(text).unwrap_err();
            assert_eq!((error.fault(), error.offset()), (fault, offset), "{text:?}");
        }
    }

    #[test]
    fn what_typed_readers_cannot_take_is_noticed() {
        for (text, is_decodable) in [
            (r#"{"a":"\ud83e\udd80"}"#, true),
            (r#"{"a":"\ud83d"}"#, false),
            (r#"{"\udd80":1}"#, false),
            (r#"{"a":["\ud83d\ud83e\udd80"]}"#, false),
            (r#"{"a":"\ud83dx\udd80"}"#, false),
            (r#"{"a":1e308}"#, true),
            (r#"{"a":-1e309}"#, false),
        ] {
            let object = Object::parse(text.as_bytes()).unwrap();
            assert_eq!(object.is_decodable(), is_decodable, "{text}");
            let tree = serde_json::from_str::<serde_json::Value>(text);
            assert_eq!(tree.is_ok(), is_decodable, "{text}");
        }
    }

    #[test]
    fn the_index_is_bounded() {
        let members = |count: usize| format!("{{{}}}", vec!["\"\":0"; count].join(","));
        assert!(Object::parse(members(JSON_MEMBERS).as_bytes()).is_ok());
        let error = Object::parse(members(JSON_MEMBERS + 1).as_bytes()).unwrap_err();
        assert_eq!(error.fault(), JsonFault::TooManyMembers);
    }
}
