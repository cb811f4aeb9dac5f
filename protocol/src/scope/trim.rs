//! Cutting what is too large, and saying so.
//!
//! A string that is cut ends in three dots, and its remark `["!limit","s",from,to]` says where they
//! are, in bytes; its `len` is in characters. Of an object the small members are kept whole, and what
//! room is left goes to the large ones, so that one of them does not push the others out. Of an array
//! the first elements are kept, because they are told apart by their place. Where members or elements
//! were left out, `len` is how many there were.
//!
//! Each byte of a value is looked at a few times, however deep it is nested.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Refusal;
use super::meta;
use super::parts::{Part, Parts, nesting};
use crate::json::text::{self, Room};
use crate::json::{Json, Kind, ObjectWriter, Value};
use crate::limits::{SCOPE_DEPTH, SCOPE_META_BYTES, TRIMMABLE_BYTES};

/// A value that fits, and what the event's `_meta` has to say about how it was made to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trimmed {
    value: Json,
    meta: Option<Json>,
}

impl Trimmed {
    /// The value.
    pub fn value(&self) -> &Json {
        &self.value
    }

    /// What was cut, if something was; it belongs in `_meta` at the path of the value.
    pub fn meta(&self) -> Option<&Json> {
        self.meta.as_ref()
    }

    /// Adds what was cut before, by another process or in another step.
    pub(super) fn cut_before(mut self, earlier: Option<Json>) -> Self {
        let Some(earlier) = earlier.filter(meta::fits) else {
            return self;
        };
        self.meta = match (&self.meta, earlier.as_object()) {
            (Some(later), Some(object)) => {
                let both = later.as_object().map(|later| meta::both(&object, &later));
                both.filter(meta::fits).or(self.meta)
            }
            _ => Some(earlier),
        };
        self
    }

    /// Takes another value that fits, of which the same was cut.
    pub(super) fn replace(&mut self, value: Json) {
        self.value = value;
    }

    /// How many bytes of JSON it is, all together.
    pub(super) fn size(&self) -> usize {
        self.value.text().len() + self.meta().map_or(0, |meta| meta.text().len())
    }

    fn whole(value: Value<'_>) -> Self {
        Self { value: value.to_json(), meta: None }
    }
}

const DOTS: &str = "...";

/// The least room that is given to a member that has to be cut, if there is that much: crumbs of many
/// members say less than a piece of a few.
const PIECE_BYTES: usize = 64;

/// Refuses what is too deep, or too large to be cut. Strings are cut however large they are, because
/// that takes one pass.
pub(super) fn check(value: Value<'_>) -> Result<(), Refusal> {
    if !matches!(value.kind(), Kind::Array | Kind::Object) {
        return Ok(());
    }
    if value.text().len() > TRIMMABLE_BYTES {
        return Err(Refusal::TooLarge);
    }
    if nesting(value.text(), SCOPE_DEPTH) > SCOPE_DEPTH {
        return Err(Refusal::TooDeep);
    }
    Ok(())
}

/// A string that is cut to `max_chars`. Nothing if the value is no string.
pub(super) fn string(value: Value<'_>, max_chars: usize) -> Option<Trimmed> {
    let body = value.string_body()?;
    // A body has at least as many bytes as its meaning has characters.
    if body.len() <= max_chars {
        return Some(Trimmed::whole(value));
    }
    let room = Room { chars: max_chars.saturating_sub(DOTS.len()), bytes: usize::MAX };
    let cut = cut(body, room);
    if cut.chars <= max_chars {
        return Some(Trimmed::whole(value));
    }
    Some(Trimmed { meta: Some(cut.meta()), value: Json::from_canonical_body(&cut.body) })
}

/// A value of any kind that is cut to `max_bytes` of JSON. It was [checked](check).
pub(super) fn value(value: Value<'_>, max_bytes: usize) -> Option<Trimmed> {
    if value.text().len() <= max_bytes {
        return Some(Trimmed::whole(value));
    }
    if matches!(value.kind(), Kind::Null | Kind::Bool | Kind::Number) {
        return None;
    }
    let parts = Parts::of(value.text());
    let mut out = String::with_capacity(max_bytes);
    let about = write(&parts, Part::WHOLE, max_bytes, &mut out)?;
    Some(Trimmed {
        value: Json::parse(out.as_bytes()).ok()?,
        meta: about.map(|about| {
            if about.text().len() <= SCOPE_META_BYTES {
                about
            } else {
                // It was cut in so many places that only this is said.
                meta::cut_container(parts.inside(Part::WHOLE).count())
            }
        }),
    })
}

/// An array that is cut to `max` elements, each of which `fit` makes fit.
pub(super) fn list(
    value: Value<'_>,
    max: usize,
    fit: impl Fn(Value<'_>) -> Option<Trimmed>,
) -> Option<Trimmed> {
    let count = value.elements()?.count();
    let mut kept = Vec::new();
    let mut about = ObjectWriter::new();
    for (index, element) in value.elements()?.take(max).enumerate() {
        let trimmed = fit(element)?;
        kept.push(trimmed.value);
        if let Some(meta) = trimmed.meta {
            about.member(&index.to_string(), meta);
        }
    }
    if kept.len() == count && about.is_empty() {
        return Some(Trimmed::whole(value));
    }
    if kept.len() < count {
        meta::add_length(&mut about, count);
    }
    Some(Trimmed { value: Json::array(&kept), meta: Some(about.finish()) })
}

struct Cut {
    body: String,
    /// How many characters there were.
    chars: usize,
    /// How many bytes of the meaning are left before the dots.
    from: usize,
}

impl Cut {
    fn meta(&self) -> Json {
        meta::cut_string(self.from, self.from + DOTS.len(), self.chars)
    }
}

fn cut(body: &str, room: Room) -> Cut {
    let mut kept = String::new();
    let chars = text::write_bounded(body, room, &mut kept);
    let from = text::decode(&kept).len();
    kept.push_str(DOTS);
    Cut { body: kept, chars, from }
}

/// Writes what there is room for of a part. Hands back what there is to say about it if it was cut;
/// nothing, and nothing is written, if it can neither be written nor cut.
fn write(parts: &Parts<'_>, part: Part, room: usize, out: &mut String) -> Option<Option<Json>> {
    let text = parts.text(part);
    if text.len() <= room {
        out.push_str(text);
        return Some(None);
    }
    match text.as_bytes().first() {
        Some(b'"') => {
            let room = Room { chars: usize::MAX, bytes: room.checked_sub(2 + DOTS.len())? };
            let cut = cut(&text[1..text.len() - 1], room);
            out.push('"');
            out.push_str(&cut.body);
            out.push('"');
            Some(Some(cut.meta()))
        }
        // The brackets, less the comma that the first inside does not need.
        Some(b'{') if room >= 2 => Some(Some(write_object(parts, part, room - 1, out))),
        Some(b'[') if room >= 2 => Some(Some(write_array(parts, part, room - 1, out))),
        _ => None,
    }
}

struct Member<'a> {
    key: Cow<'a, str>,
    part: Part,
    /// With the quotes, the colon and a comma.
    bytes: usize,
    is_kept: bool,
}

/// The members that an object means: of a key that stands twice, the last counts.
fn members<'a>(parts: &Parts<'a>, object: Part) -> Vec<Member<'a>> {
    let mut members: Vec<Option<Member<'a>>> = Vec::new();
    let mut places = HashMap::new();
    for part in parts.inside(object) {
        let key = text::canonical_body(parts.raw_key(part));
        if let Some(former) = places.insert(key.clone(), members.len()) {
            members[former] = None;
        }
        members.push(Some(Member {
            bytes: around(&key) + parts.text(part).len(),
            key,
            part,
            is_kept: false,
        }));
    }
    members.into_iter().flatten().collect()
}

/// The quotes and the colon that a key needs, and a comma.
fn around(key: &str) -> usize {
    key.len() + 4
}

fn write_object(parts: &Parts<'_>, object: Part, mut left: usize, out: &mut String) -> Json {
    let mut members = members(parts, object);
    let mut by_size: Vec<_> = members.iter_mut().collect();
    by_size.sort_by_key(|member| member.bytes);
    let mut large = 0;
    for member in by_size {
        if member.bytes <= left {
            left -= member.bytes;
            member.is_kept = true;
        } else if parts.text(member.part).starts_with(['"', '{', '[']) {
            large += 1;
        }
    }
    let mut pieces = if large == 0 { 0 } else { (left / PIECE_BYTES).clamp(1, large) };

    let mut about = ObjectWriter::new();
    let mut kept = 0;
    out.push('{');
    for member in &members {
        let room = match (member.is_kept, pieces) {
            (true, _) => member.bytes,
            (false, 0) => continue,
            (false, _) => left / pieces,
        };
        let Some(room) = room.checked_sub(around(&member.key)) else {
            continue;
        };
        let before = out.len();
        if kept > 0 {
            out.push(',');
        }
        out.push('"');
        out.push_str(&member.key);
        out.push_str("\":");
        let value_at = out.len();
        let Some(meta) = write(parts, member.part, room, out) else {
            out.truncate(before);
            continue;
        };
        kept += 1;
        if !member.is_kept {
            left -= around(&member.key) + out.len() - value_at;
            pieces -= 1;
        }
        if let Some(meta) = meta {
            about.member_with_canonical_key(&member.key, &meta.into());
        }
    }
    out.push('}');
    if kept < members.len() {
        meta::add_length(&mut about, members.len());
    }
    about.finish()
}

fn write_array(parts: &Parts<'_>, array: Part, mut left: usize, out: &mut String) -> Json {
    let mut about = ObjectWriter::new();
    let mut kept = 0;
    out.push('[');
    for part in parts.inside(array) {
        let Some(room) = left.checked_sub(1) else {
            break;
        };
        let before = out.len();
        if kept > 0 {
            out.push(',');
        }
        let value_at = out.len();
        let Some(meta) = write(parts, part, room, out) else {
            out.truncate(before);
            break;
        };
        left = room - (out.len() - value_at);
        kept += 1;
        if let Some(meta) = meta {
            about.member(&(kept - 1).to_string(), meta);
            break;
        }
    }
    out.push(']');
    let count = parts.inside(array).count();
    if kept < count {
        meta::add_length(&mut about, count);
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
    fn a_string_is_cut_and_marked_as_sentry_marks_it() {
        let long = json("\"Saving the third draft took longer than a walk\"");
        let trimmed = string(long.as_value(), 20).unwrap();
        assert_eq!(trimmed.value.text(), "\"Saving the third ...\"");
        assert_eq!(trimmed.meta.unwrap().text(), r#"{"":{"rem":[["!limit","s",17,20]],"len":46}}"#);
    }

    #[test]
    fn places_are_bytes_and_lengths_are_characters() {
        let trimmed = string(json(r#""é\ud83e\udd80abc""#).as_value(), 4).unwrap();
        assert_eq!(trimmed.value.text(), "\"é...\"");
        assert_eq!(trimmed.meta.unwrap().text(), r#"{"":{"rem":[["!limit","s",2,5]],"len":5}}"#);
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

    /// Each line: how much room, what is left, what is said about it.
    fn is_cut(value: &str, lines: &[(usize, &str, &str)]) {
        let value = json(value);
        for (max, kept, meta) in lines {
            let trimmed = self::value(value.as_value(), *max).unwrap();
            assert_eq!(trimmed.value.text(), *kept, "{max}");
            assert_eq!(trimmed.meta.unwrap().text(), *meta, "{max}");
            assert!(kept.len() <= *max);
        }
    }

    #[test]
    fn of_an_object_the_small_members_stay_and_the_large_ones_are_cut() {
        is_cut(
            r#"{"bio":"01234567890123456789","id":7,"list":["abcdefghijklm",2,3],"n":null}"#,
            &[
                (
                    60,
                    r#"{"bio":"01234567890123456789","id":7,"list":[],"n":null}"#,
                    r#"{"list":{"":{"len":3}}}"#,
                ),
                (
                    30,
                    r#"{"bio":"0...","id":7,"n":null}"#,
                    r#"{"bio":{"":{"rem":[["!limit","s",1,4]],"len":20}},"":{"len":4}}"#,
                ),
                (17, r#"{"id":7,"n":null}"#, r#"{"":{"len":4}}"#),
                (16, r#"{"id":7}"#, r#"{"":{"len":4}}"#),
                (2, "{}", r#"{"":{"len":4}}"#),
            ],
        );
        assert!(value(json(r#"{"a":1}"#).as_value(), 1).is_none());
    }

    #[test]
    fn one_large_member_does_not_push_the_others_out() {
        let bio = "b".repeat(20_000);
        let user = json(&format!(r#"{{"bio":"{bio}","id":"7","email":"a@b"}}"#));
        let trimmed = value(user.as_value(), 16_384).unwrap();
        assert_eq!(trimmed.value.text().len(), 16_384);
        let object = trimmed.value.as_object().unwrap();
        assert!(
            object.get("id").unwrap().is_str("7") && object.get("email").unwrap().is_str("a@b")
        );

        // A number cannot be cut.
        let number = "1".repeat(17_000);
        let state = json(&format!(r#"{{"n":{number},"type":"redux"}}"#));
        let trimmed = value(state.as_value(), 16_384).unwrap();
        assert_eq!(trimmed.value.text(), r#"{"type":"redux"}"#);
        assert_eq!(trimmed.meta.unwrap().text(), r#"{"":{"len":2}}"#);
    }

    #[test]
    fn large_members_share_what_room_there_is() {
        let long = "x".repeat(1000);
        let value = json(&format!(r#"{{"a":"{long}","b":"{long}","c":["{long}"]}}"#));
        let trimmed = self::value(value.as_value(), 331).unwrap();
        let object = trimmed.value.as_object().unwrap();
        let length = |key| object.get(key).unwrap().text().len();
        assert_eq!([length("a"), length("b"), length("c")], [105, 105, 105]);
        // Many get a piece that says something, or nothing.
        let many: Vec<_> = (0..100).map(|n| format!(r#""{n}":"{long}""#)).collect();
        let value = json(&format!("{{{}}}", many.join(",")));
        let trimmed = self::value(value.as_value(), 1000).unwrap();
        assert_eq!(trimmed.value.as_object().unwrap().len(), 999 / PIECE_BYTES);
    }

    #[test]
    fn of_an_array_the_first_elements_stay() {
        is_cut(
            r#"[1,"0123456789",3]"#,
            &[
                (
                    12,
                    r#"[1,"012..."]"#,
                    r#"{"1":{"":{"rem":[["!limit","s",3,6]],"len":10}},"":{"len":3}}"#,
                ),
                (7, "[1]", r#"{"":{"len":3}}"#),
                (2, "[]", r#"{"":{"len":3}}"#),
            ],
        );
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_is_kept() {
        is_cut(
            r#"{"a":"0123456789","b":1,"\u0061":"abcdefghij"}"#,
            &[(
                21,
                r#"{"b":1,"a":"abcd..."}"#,
                r#"{"a":{"":{"rem":[["!limit","s",4,7]],"len":10}}}"#,
            )],
        );
    }

    #[test]
    fn what_is_cut_in_too_many_places_says_only_that_it_was() {
        // There is room for one of the members, or for a piece of each.
        let members: Vec<_> =
            (0..63).map(|n| format!(r#""{n:0>30}":"{}""#, "x".repeat(4_100))).collect();
        let value = json(&format!("{{{}}}", members.join(",")));
        let trimmed = self::value(value.as_value(), 4_100).unwrap();
        assert!(trimmed.value.as_object().unwrap().len() > 60);
        assert_eq!(trimmed.meta.unwrap().text(), r#"{"":{"len":63}}"#);
    }

    #[test]
    fn what_is_too_deep_or_too_large_is_not_even_looked_at() {
        let nested =
            |depth: usize, inner: &str| json(&("[".repeat(depth) + inner + &"]".repeat(depth)));
        let large = format!("\"{}\"", "x".repeat(TRIMMABLE_BYTES));
        assert_eq!(check(nested(SCOPE_DEPTH, "1").as_value()), Ok(()));
        let refusal = check(nested(SCOPE_DEPTH + 1, "1").as_value());
        assert_eq!(refusal, Err(Refusal::TooDeep));
        assert_eq!(check(nested(1, &large).as_value()), Err(Refusal::TooLarge));
        assert_eq!(check(nested(100, &large).as_value()), Err(Refusal::TooLarge));
        assert_eq!(check(json(&large).as_value()), Ok(()));
    }
}
