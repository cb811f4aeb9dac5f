//! Cutting what is too large, and saying so.
//!
//! Sentry shows a person what was cut if the event's `_meta` says it: beside each value that was
//! changed, under the key `""`, a remark and the original length. A string that was cut ends in three
//! dots, and its remark `["!limit","s",from,to]` says where they are, in bytes; its `len` is in
//! characters. Where members or elements were left out, `len` is how many there were.

use crate::json::text::{self, Room};
use crate::json::{Fragment, Json, Kind, ObjectWriter, Value, array};

/// A value that fits, and what the event's `_meta` has to say about how it was made to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// The value.
    pub value: Json,
    /// What was cut, if something was; it belongs in `_meta` at the path of the value.
    pub meta: Option<Json>,
}

const DOTS: &str = "...";

/// A string that is cut to `max_chars`. Nothing if the value is no string.
pub(super) fn string(value: Value<'_>, max_chars: usize) -> Option<Trimmed> {
    let body = value.string_body()?;
    // A body has at least as many bytes as its meaning has characters.
    if body.len() <= max_chars {
        return Some(whole(value));
    }
    let chars = text::canonicalise(body, Room { chars: 0, bytes: 0 }, &mut String::new());
    if chars <= max_chars {
        return Some(whole(value));
    }
    Some(cut(
        body,
        Room {
            chars: max_chars.saturating_sub(DOTS.len()),
            bytes: usize::MAX,
        },
    ))
}

/// A value of any kind that is cut to `max_bytes` of JSON.
pub(super) fn value(value: Value<'_>, max_bytes: usize) -> Option<Trimmed> {
    if value.text().len() <= max_bytes {
        return Some(whole(value));
    }
    match value.kind() {
        Kind::String => {
            let room = max_bytes.checked_sub(2 + DOTS.len())?;
            Some(cut(
                value.string_body()?,
                Room {
                    chars: usize::MAX,
                    bytes: room,
                },
            ))
        }
        Kind::Object => object(value, max_bytes),
        Kind::Array => elements(value, max_bytes),
        Kind::Null | Kind::Bool | Kind::Number => None,
    }
}

fn whole(value: Value<'_>) -> Trimmed {
    Trimmed {
        value: value.to_json(),
        meta: None,
    }
}

fn cut(body: &str, room: Room) -> Trimmed {
    let mut kept = String::new();
    let chars = text::canonicalise(body, room, &mut kept);
    let from = text::decode(&kept).len();
    let remark = [
        Json::from("!limit"),
        Json::from("s"),
        Json::from(from as u64),
        Json::from((from + DOTS.len()) as u64),
    ];
    let remarks = array([Fragment::from(array(remark.iter().map(Fragment::from)))]);
    let mut about = ObjectWriter::new();
    about.member("rem", remarks).member("len", chars as u64);
    let mut meta = ObjectWriter::new();
    meta.member("", about.finish());
    kept.push_str(DOTS);
    Trimmed {
        value: Json::from_canonical_body(&kept),
        meta: Some(meta.finish()),
    }
}

/// The members that fit, in order; the first that does not is cut, and those behind it go.
fn object(value: Value<'_>, max_bytes: usize) -> Option<Trimmed> {
    let object = value.as_object()?;
    let mut left = max_bytes.checked_sub(2)?;
    let mut kept = ObjectWriter::new();
    let mut meta = ObjectWriter::new();
    let mut count = 0;
    for member in object.members() {
        let key = text::canonical(member.raw_key());
        // The quotes, the colon, and a comma that the first one does not need.
        let Some(room) = left.checked_sub(key.len() + 4) else {
            break;
        };
        let Some(trimmed) = self::value(member.value(), room) else {
            break;
        };
        left = room - trimmed.value.text().len();
        kept.member_with_canonical_key(&key, &(&trimmed.value).into());
        count += 1;
        if let Some(about) = trimmed.meta {
            meta.member_with_canonical_key(&key, &about.into());
            break;
        }
    }
    Some(with_length(kept.finish(), meta, count, object.len()))
}

fn elements(value: Value<'_>, max_bytes: usize) -> Option<Trimmed> {
    let mut left = max_bytes.checked_sub(2)?;
    let mut kept = Vec::new();
    let mut meta = ObjectWriter::new();
    for element in value.elements()? {
        let Some(room) = left.checked_sub(1) else {
            break;
        };
        let Some(trimmed) = self::value(element, room) else {
            break;
        };
        left = room - trimmed.value.text().len();
        kept.push(trimmed.value);
        if let Some(about) = trimmed.meta {
            meta.member(&(kept.len() - 1).to_string(), about);
            break;
        }
    }
    let count = value.elements()?.count();
    let kept_count = kept.len();
    Some(with_length(
        array(kept.iter().map(Fragment::from)),
        meta,
        kept_count,
        count,
    ))
}

/// Says how many there were, if some are missing.
fn with_length(value: Json, mut meta: ObjectWriter, kept: usize, count: usize) -> Trimmed {
    if kept < count {
        let mut about = ObjectWriter::new();
        about.member("len", count as u64);
        meta.member("", about.finish());
    }
    Trimmed {
        value,
        meta: (!meta.is_empty()).then(|| meta.finish()),
    }
}

/// An array that is cut to `max` elements, each of which `fit` makes fit.
pub(super) fn list(
    value: Value<'_>,
    max: usize,
    fit: impl Fn(Value<'_>) -> Option<Trimmed>,
) -> Option<Trimmed> {
    let count = value.elements()?.count();
    let mut kept = Vec::new();
    let mut meta = ObjectWriter::new();
    for (index, element) in value.elements()?.take(max).enumerate() {
        let trimmed = fit(element)?;
        kept.push(trimmed.value);
        if let Some(about) = trimmed.meta {
            meta.member(&index.to_string(), about);
        }
    }
    if kept.len() == count && meta.is_empty() {
        return Some(whole(value));
    }
    let kept_count = kept.len();
    Some(with_length(
        array(kept.iter().map(Fragment::from)),
        meta,
        kept_count,
        count,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_string_is_cut_and_marked_as_sentry_marks_it() {
        // The example of Sentry's own tests.
        let long = json("\"This is my long string I want to have trimmed!\"");
        let trimmed = string(long.as_value(), 20).unwrap();
        assert_eq!(trimmed.value.text(), "\"This is my long s...\"");
        assert_eq!(
            trimmed.meta.unwrap().text(),
            r#"{"":{"rem":[["!limit","s",17,20]],"len":46}}"#
        );
    }

    #[test]
    fn places_are_bytes_and_lengths_are_characters() {
        let trimmed = string(json(r#""é\ud83e\udd80abc""#).as_value(), 4).unwrap();
        assert_eq!(trimmed.value.text(), "\"é...\"");
        assert_eq!(
            trimmed.meta.unwrap().text(),
            r#"{"":{"rem":[["!limit","s",2,5]],"len":5}}"#
        );
    }

    #[test]
    fn what_fits_stays_as_it_is_written() {
        for text in [r#""\u0061\ud83d""#, "1.50", "{ \"a\": [1 ,2] }"] {
            let value = json(text);
            let trimmed = self::value(value.as_value(), text.len()).unwrap();
            assert_eq!((trimmed.value, trimmed.meta), (value, None));
        }
        assert_eq!(string(json(r#""\n\n""#).as_value(), 2).unwrap().meta, None);
        assert!(string(json("1").as_value(), 2).is_none());
    }

    #[test]
    fn containers_keep_what_fits_and_say_how_much_there_was() {
        let value = json(r#"{"a":"0123456789","b":[1,2,3],"c":{"d":"0123456789"},"e":1}"#);
        for (max, kept, meta) in [
            (
                52,
                r#"{"a":"0123456789","b":[1,2,3],"c":{"d":"0123..."}}"#,
                r#"{"c":{"d":{"":{"rem":[["!limit","s",4,7]],"len":10}}},"":{"len":4}}"#,
            ),
            (
                45,
                r#"{"a":"0123456789","b":[1,2,3],"c":{}}"#,
                r#"{"c":{"":{"len":1}},"":{"len":4}}"#,
            ),
            (
                28,
                r#"{"a":"0123456789","b":[1]}"#,
                r#"{"b":{"":{"len":3}},"":{"len":4}}"#,
            ),
            (
                14,
                r#"{"a":"01..."}"#,
                r#"{"a":{"":{"rem":[["!limit","s",2,5]],"len":10}},"":{"len":4}}"#,
            ),
            (2, "{}", r#"{"":{"len":4}}"#),
        ] {
            let trimmed = self::value(value.as_value(), max).unwrap();
            assert_eq!(trimmed.value.text(), kept);
            assert_eq!(trimmed.meta.unwrap().text(), meta);
            assert!(kept.len() <= max);
        }
        assert!(self::value(value.as_value(), 1).is_none());
    }
}
