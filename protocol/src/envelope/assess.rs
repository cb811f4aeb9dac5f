//! Whether the payloads of an envelope are what their types say.
//!
//! Framing says where an item is, not that it is any good. An item that is not is never decoded into
//! types; whether it is refused or passed on as it is, is for the caller to decide, and so each item
//! gets a [`Verdict`].

use super::{Envelope, Item, ItemType};
use crate::json::{JsonError, Kind, Value, text};

/// What can be done with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The payload is what the type says: it may be read and edited. Whether readers with types of
    /// their own can decode it as well, [`Object::is_decodable`](crate::json::Object::is_decodable)
    /// says.
    Sound,
    /// It may be passed on as it is, or edited as text, but its meaning is not known.
    Opaque(Concern),
    /// Sentry would refuse it.
    Unfit(Concern),
}

impl Verdict {
    /// Whether there is no concern.
    pub const fn is_sound(self) -> bool {
        matches!(self, Self::Sound)
    }
}

/// Why an item is not sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concern {
    /// The type is not known to this version.
    UnknownType,
    /// The payload holds a number that no double can.
    OverflowingNumber,
    /// The payload should be a JSON object and cannot be read as one.
    NotAnObject(JsonError),
    /// The header says a field twice, or one that Sentry knows is of another kind, or something in it
    /// cannot be decoded.
    Header,
    /// The payload is larger than Sentry takes.
    TooLarge {
        /// The largest that it takes.
        max_bytes: usize,
    },
    /// The envelope holds another item that leaves no room for this one: a second event or
    /// transaction, or a second container of the same type.
    Duplicate,
    /// The container holds another number of items than its header says.
    CountMismatch,
}

impl Envelope {
    /// Judges every item, in order.
    ///
    /// This looks at every byte of the JSON payloads, which [`parse`](Self::parse) does not.
    pub fn assess(&self) -> Vec<Verdict> {
        let mut taken = Taken::default();
        self.items().iter().map(|item| assess(item, &mut taken)).collect()
    }
}

/// Of what there may be only one, what is there already.
#[derive(Default)]
struct Taken {
    event: bool,
    containers: Vec<ItemType>,
}

fn assess(item: &Item, taken: &mut Taken) -> Verdict {
    let item_type = item.item_type();
    let verdict = judge(item);
    if matches!(verdict, Verdict::Unfit(_)) {
        return verdict;
    }
    // What is no good takes nothing away from what is.
    if item_type.creates_event() && std::mem::replace(&mut taken.event, true) {
        return Verdict::Unfit(Concern::Duplicate);
    }
    if item.is_container() {
        if taken.containers.contains(&item_type) {
            return Verdict::Unfit(Concern::Duplicate);
        }
        taken.containers.push(item_type);
    }
    verdict
}

/// Judges an item by itself.
fn judge(item: &Item) -> Verdict {
    let item_type = item.item_type();
    if !has_sound_header(item) {
        return Verdict::Unfit(Concern::Header);
    }
    let max_bytes = item_type.max_bytes();
    if item.payload().len() > max_bytes {
        return Verdict::Unfit(Concern::TooLarge { max_bytes });
    }
    if item_type == ItemType::Other {
        return Verdict::Opaque(Concern::UnknownType);
    }
    if !item_type.is_json() {
        return Verdict::Sound;
    }
    let object = match item.json() {
        Ok(object) => object,
        Err(error) => return Verdict::Unfit(Concern::NotAnObject(error)),
    };
    if item.is_container() {
        let found = object.get("items").and_then(|items| Some(items.elements()?.count() as u64));
        if found.is_none() || found != item.item_count() {
            return Verdict::Unfit(Concern::CountMismatch);
        }
    }
    if object.has_overflowing_number() {
        return Verdict::Opaque(Concern::OverflowingNumber);
    }
    Verdict::Sound
}

/// Sentry reads these fields with their kinds, and refuses the envelope if they have another.
fn has_sound_header(item: &Item) -> bool {
    let header = item.header();
    let mut names: Vec<_> =
        header.members().map(|member| text::canonical_body(member.raw_key())).collect();
    names.sort_unstable();
    let is_unique = names.windows(2).all(|pair| pair[0] != pair[1]);
    let is = |field: &str, is_right: fn(Value<'_>) -> bool| {
        header.get(field).is_none_or(|value| value.is_null() || is_right(value))
    };
    is_unique
        && header.is_decodable()
        && ["filename", "attachment_type", "content_type", "platform"]
            .into_iter()
            .all(|field| is(field, |value| value.kind() == Kind::String))
        && is("item_count", |value| {
            value.as_u64().is_some_and(|count| u32::try_from(count).is_ok())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonFault;
    use crate::limits::EVENT_BYTES;

    fn verdicts(items: &[(&str, &str)]) -> Vec<Verdict> {
        let mut text = String::from("{}\n");
        for (header, payload) in items {
            text.push_str(&format!("{{\"type\":{header}}}\n{payload}\n"));
        }
        Envelope::parse(text.into_bytes()).unwrap().assess()
    }

    #[test]
    fn payloads_are_what_their_types_say_or_not() {
        assert_eq!(verdicts(&[("\"event\"", "{}"), ("\"attachment\"", "")]), [Verdict::Sound; 2]);
        let [Verdict::Unfit(Concern::NotAnObject(error))] = verdicts(&[("\"event\"", "[]")])[..]
        else {
            panic!("an array is no event");
        };
        assert_eq!(error.fault(), JsonFault::NotAnObject);
        assert_eq!(
            verdicts(&[("\"x_new\"", "\u{1}"), ("\"event\"", "{\"a\":-1e999}")]),
            [Concern::UnknownType, Concern::OverflowingNumber].map(Verdict::Opaque)
        );
        let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(EVENT_BYTES));
        assert_eq!(
            verdicts(&[("\"event\"", &huge)]),
            [Verdict::Unfit(Concern::TooLarge { max_bytes: EVENT_BYTES })]
        );
    }

    #[test]
    fn there_is_one_event_and_one_container_of_a_kind() {
        let log = ("\"log\",\"item_count\":1", "{\"items\":[{}]}");
        let metric = ("\"trace_metric\",\"item_count\":1", "{\"items\":[{}]}");
        let duplicate = Verdict::Unfit(Concern::Duplicate);
        assert_eq!(
            verdicts(&[log, metric, ("\"event\"", "{}"), ("\"transaction\"", "{}"), log]),
            [Verdict::Sound, Verdict::Sound, Verdict::Sound, duplicate, duplicate]
        );
        let feedback = ("\"feedback\"", "{}");
        assert_eq!(verdicts(&[feedback, ("\"event\"", "{}")]), [Verdict::Sound, duplicate]);
        // What is no good takes nothing away from what is.
        let [Verdict::Unfit(Concern::NotAnObject(_)), Verdict::Sound] =
            verdicts(&[("\"event\"", "nope"), ("\"event\"", "{}")])[..]
        else {
            panic!("the second event is the only one");
        };
        // A native crash is an event with its dump.
        let dump = ("\"attachment\",\"attachment_type\":\"event.minidump\"", "MDMP");
        assert_eq!(verdicts(&[("\"event\"", "{}"), dump]), [Verdict::Sound; 2]);
        // Spans on their own are no container, and there may be many.
        assert_eq!(verdicts(&[("\"span\"", "{}"), ("\"span\"", "{}")]), [Verdict::Sound; 2]);
        let mismatch = Verdict::Unfit(Concern::CountMismatch);
        for payload in ["{\"items\":[]}", "{\"items\":1}", "{}"] {
            assert_eq!(verdicts(&[(log.0, payload)]), [mismatch]);
        }
        let uncounted = "\"log\",\"content_type\":\"application/vnd.sentry.items.log+json\"";
        assert_eq!(verdicts(&[(uncounted, log.1)]), [mismatch]);
    }

    #[test]
    fn a_header_that_sentry_cannot_read_makes_an_item_unfit() {
        for header in [
            "\"attachment\",\"filename\":1",
            "\"attachment\",\"x\":1,\"\\u0078\":1",
            "\"log\",\"item_count\":-1",
            "\"log\",\"item_count\":4294967296",
            "\"x_new\",\"content_type\":[]",
            "\"attachment\",\"filename\":\"\\ud83d\"",
            "\"attachment\",\"x\":1e400",
        ] {
            assert_eq!(verdicts(&[(header, "{}")]), [Verdict::Unfit(Concern::Header)], "{header}");
        }
        assert_eq!(verdicts(&[("\"attachment\",\"filename\":null", "")]), [Verdict::Sound]);
    }
}
