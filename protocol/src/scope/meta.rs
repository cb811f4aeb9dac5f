//! What an event's `_meta` says about what was cut.
//!
//! Sentry shows a person what was cut if `_meta` has, at the path of the value and under the key `""`,
//! a remark and the original length. Here such metadata is made, put together where a value was cut
//! twice, and bounded, also where it came from another process: it counts as part of what it is about.

use super::parts::nesting;
use crate::json::{Json, Kind, Object, ObjectWriter, Value, text};
use crate::limits::{JSON_DEPTH, SCOPE_DEPTH, SCOPE_META_BYTES};

/// How much deeper than a value that which is said about it can be: `{"":{"rem":[[…]]}}`.
const REMARK_DEPTH: usize = 4;

/// Around a value stand at most: an update and its object, and the message; in an event,
/// `{"_meta":{"breadcrumbs":{"values":{"0":…}}}}`.
const AROUND: usize = 4;

const _: () = assert!(SCOPE_DEPTH + REMARK_DEPTH + AROUND <= JSON_DEPTH);

/// About a string of which `from` bytes and three dots are left of `chars` characters.
pub(super) fn cut_string(from: usize, to: usize, chars: usize) -> Json {
    let remark =
        [Json::from("!limit"), Json::from("s"), Json::from(from as u64), Json::from(to as u64)];
    let remarks = Json::array([Json::array(&remark)]);
    let mut about = ObjectWriter::new();
    about.member("rem", remarks).member("len", chars as u64);
    let mut meta = ObjectWriter::new();
    meta.member("", about.finish());
    meta.finish()
}

/// About an object or an array that had `count` members or elements.
pub(super) fn cut_container(count: usize) -> Json {
    let mut meta = ObjectWriter::new();
    add_length(&mut meta, count);
    meta.finish()
}

/// Adds how many members or elements there were to what is said about those that are left.
pub(super) fn add_length(meta: &mut ObjectWriter, count: usize) {
    let mut about = ObjectWriter::new();
    about.member("len", count as u64);
    meta.member("", about.finish());
}

/// Whether it is little enough to be kept.
pub(super) fn fits(meta: &Json) -> bool {
    meta.text().len() <= SCOPE_META_BYTES
        && nesting(meta.text(), SCOPE_DEPTH + REMARK_DEPTH) <= SCOPE_DEPTH + REMARK_DEPTH
}

/// What another process says about a value. What is no such thing, or too much, says nothing.
pub(super) fn read(value: Option<Value<'_>>) -> Option<Json> {
    value
        .filter(|value| value.kind() == Kind::Object && value.text().len() <= SCOPE_META_BYTES)
        .map(Value::to_json)
        .filter(fits)
}

/// What there is to say about a value that was cut twice. Where both cut the same, the later remark
/// says what is left, and the earlier one how much there was.
pub(super) fn both(earlier: &Object<'_>, later: &Object<'_>) -> Json {
    let mut merged = ObjectWriter::new();
    let key_of = |raw| text::canonical_body(raw);
    for member in earlier.members() {
        let value = match later.get(&member.key()) {
            None => member.value().to_json(),
            Some(later) => match (member.value().as_object(), later.as_object()) {
                (Some(earlier), Some(later)) if member.raw_key().is_empty() => {
                    about_both(&earlier, &later)
                }
                (Some(earlier), Some(later)) => both(&earlier, &later),
                _ => later.to_json(),
            },
        };
        merged.member_with_canonical_key(&key_of(member.raw_key()), &value.into());
    }
    for member in later.members() {
        if earlier.get(&member.key()).is_none() {
            let key = key_of(member.raw_key());
            merged.member_with_canonical_key(&key, &member.value().into());
        }
    }
    merged.finish()
}

fn about_both(earlier: &Object<'_>, later: &Object<'_>) -> Json {
    let mut about = ObjectWriter::new();
    if let Some(remarks) = later.get("rem").or_else(|| earlier.get("rem")) {
        about.member("rem", remarks);
    }
    if let Some(length) = earlier.get("len").or_else(|| later.get("len")) {
        about.member("len", length);
    }
    about.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn of_two_cuts_the_later_says_what_is_left_and_the_earlier_how_much_there_was() {
        let earlier =
            json(r#"{"a":{"":{"rem":[["!limit","s",5,8]],"len":99}},"b":{"":{"len":7}}}"#);
        let later = json(r#"{"a":{"":{"rem":[["!limit","s",2,5]],"len":8}},"":{"len":3}}"#);
        let merged = both(&earlier.as_object().unwrap(), &later.as_object().unwrap());
        assert_eq!(
            merged.text(),
            r#"{"a":{"":{"rem":[["!limit","s",2,5]],"len":99}},"b":{"":{"len":7}},"":{"len":3}}"#
        );
    }

    #[test]
    fn too_much_of_it_says_nothing() {
        let deep = |depth: usize| json(&("{\"a\":".repeat(depth) + "1" + &"}".repeat(depth)));
        let long = |bytes: usize| json(&format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8)));
        let read = |json: &Json| super::read(Some(json.as_value()));
        for good in [deep(36), long(SCOPE_META_BYTES)] {
            assert_eq!(read(&good).as_ref(), Some(&good));
        }
        for bad in [deep(37), long(SCOPE_META_BYTES + 1), json("[]")] {
            assert_eq!(read(&bad), None);
        }
    }
}
