//! What must be true of any bytes that are read as a scope message.
//!
//! Fuzzers make small inputs, and most bounds of the scope are far away from those. So an input may
//! say that something stands in it many times: `~20000:x~` is twenty thousand times `x`, and in
//! `~600:"k#":1,~"z":0` each `#` is the number of the repetition. What is no such thing stands for
//! itself. [`expand`] writes it out.

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::json::Json;
use guardhouse_protocol::limits::{
    BREADCRUMBS_BYTES, CONTRIBUTION_BYTES, SCOPE_ATTACHMENTS, SCOPE_ATTACHMENTS_BYTES, SCOPE_KEYS,
    SCOPE_MESSAGE_BYTES, SCOPE_META_BYTES,
};
use guardhouse_protocol::scope::{
    Breadcrumb, Contribution, Entry, Field, Key, ScopeMessage, ScopeUpdate,
};

const MAX_BREADCRUMBS: usize = 20;

/// The most that repetitions are written out to: five of the largest attachments are too many.
const EXPANDED_BYTES: usize = 5 << 20;

/// Reads each line of `data`, [written out](expand), as a scope message that one process sends after
/// the other.
pub fn scope(data: &[u8]) {
    let mut contribution = Contribution::new(MAX_BREADCRUMBS);
    for (second, line) in expand(data).split(|byte| *byte == b'\n').enumerate() {
        // A time that no double holds.
        let at = Timestamp::from_unix(1_795_193_675 + second as i64, 123_456_789);
        let Ok(message) = ScopeMessage::parse(line) else {
            continue;
        };
        contribution.hear(message.clone(), at);
        is_bounded(&contribution, at);
        can_be_told_on(&contribution);
        if matches!(message, ScopeMessage::Whole(_)) {
            has_one_result(&contribution, &message);
            means_nothing_new_again(&contribution, &message);
        }
    }
}

/// Writes out the repetitions in an input, as long as there is room for them.
pub fn expand(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some((&byte, behind)) = rest.split_first() {
        let room = EXPANDED_BYTES.saturating_sub(out.len());
        rest = match repetition(rest, room) {
            Some((count, text, behind)) => {
                repeat(count, text, &mut out);
                behind
            }
            None => {
                out.push(byte);
                behind
            }
        };
    }
    out
}

fn repeat(count: usize, text: &[u8], out: &mut Vec<u8>) {
    for number in 0..count {
        for &byte in text {
            match byte {
                b'#' => out.extend(number.to_string().bytes()),
                other => out.push(other),
            }
        }
    }
}

/// How often what is repeated at the start of `data`, and what stands behind it; if there is room.
fn repetition(data: &[u8], room: usize) -> Option<(usize, &[u8], &[u8])> {
    let data = data.strip_prefix(b"~")?;
    let colon = data.iter().take(8).position(|byte| *byte == b':')?;
    let count: usize = str::from_utf8(&data[..colon]).ok()?.parse().ok()?;
    let data = &data[colon + 1..];
    let end = data.iter().position(|byte| *byte == b'~')?;
    let (text, behind) = (&data[..end], &data[end + 1..]);
    // A number takes the place of its `#`, and has no more digits than could be counted to.
    let numbers = text.iter().filter(|byte| **byte == b'#').count();
    (count.checked_mul(text.len() + 7 * numbers)? <= room).then_some((count, text, behind))
}

/// A field, its value, what was cut of it, and since when it holds.
type Said = (Field, Json, Option<Json>, Timestamp);

fn fields(contribution: &Contribution) -> Vec<Said> {
    let said = |(field, entry): (&Field, &Entry)| {
        let meta = entry.meta().cloned();
        (field.clone(), entry.value().clone(), meta, entry.at())
    };
    contribution.fields().map(said).collect()
}

fn later() -> Timestamp {
    Timestamp::from_unix(4_000_000_000, 1)
}

fn breadcrumbs(contribution: &Contribution) -> Vec<Breadcrumb> {
    contribution.breadcrumbs().cloned().collect()
}

fn is_bounded(contribution: &Contribution, at: Timestamp) {
    assert!(contribution.breadcrumbs().len() <= MAX_BREADCRUMBS);
    assert!(contribution.attachments().len() <= SCOPE_ATTACHMENTS);
    let bound = CONTRIBUTION_BYTES + BREADCRUMBS_BYTES + SCOPE_ATTACHMENTS_BYTES;
    assert!(contribution.size() <= bound);
    for kind in ["tag", "extra", "context", "attribute"] {
        let keys = contribution.fields().filter(|(field, _)| field.name() == kind).count();
        assert!(keys <= SCOPE_KEYS);
    }
    let is_meta = |meta: &Json| {
        meta.text().len() <= SCOPE_META_BYTES && Json::parse(meta.text().as_bytes()).is_ok()
    };
    for (field, entry) in contribution.fields() {
        assert!(Json::parse(entry.value().text().as_bytes()).is_ok());
        assert!(entry.meta().is_none_or(is_meta));
        let _ = (field.key().map(Key::to_str), format!("{field:?}"));
    }
    for breadcrumb in contribution.breadcrumbs() {
        let json = breadcrumb.json();
        assert!(Json::parse(json.text().as_bytes()).is_ok_and(|json| json.as_object().is_some()));
        assert!(breadcrumb.meta().is_none_or(is_meta));
        assert!(breadcrumb.timestamp().is_some_and(|time| time <= at));
    }
    for (index, attachment) in contribution.attachments().iter().enumerate() {
        let others = &contribution.attachments()[..index];
        assert!(others.iter().all(|other| other.identity() != attachment.identity()));
    }
}

/// A whole scope means the same whatever was there before, times and what adds up apart.
fn has_one_result(contribution: &Contribution, message: &ScopeMessage) {
    let mut fresh = Contribution::new(MAX_BREADCRUMBS);
    fresh.hear(message.clone(), Timestamp::EPOCH);
    let values = |contribution| -> Vec<_> {
        let said: Vec<Said> = fields(contribution);
        said.into_iter().map(|(field, value, meta, _)| (field, value, meta)).collect()
    };
    assert_eq!(values(&fresh), values(contribution));
    let is_attached = |attachment| contribution.attachments().contains(attachment);
    assert!(fresh.attachments().iter().all(is_attached));
}

/// A scope that has not changed sets nothing anew, and what is refused of it was refused before.
fn means_nothing_new_again(contribution: &Contribution, message: &ScopeMessage) {
    let mut again = contribution.clone();
    assert!(again.hear(message.clone(), later()).is_empty());
    assert_eq!(fields(&again), fields(contribution));
    assert_eq!(again.attachments(), contribution.attachments());
    // Breadcrumbs that say when they happened are not said twice; the others are stamped as they come.
    let is_new = |breadcrumb: &Breadcrumb| breadcrumb.timestamp() == Some(later());
    let kept = breadcrumbs(&again).into_iter().filter(|breadcrumb| !is_new(breadcrumb));
    assert!(breadcrumbs(contribution).ends_with(&kept.collect::<Vec<_>>()));
}

/// What is written for another process is read there as the same.
fn can_be_told_on(contribution: &Contribution) {
    for update in &contribution.to_updates() {
        let json = update.to_json();
        assert!(Json::parse(json.text().as_bytes()).is_ok());
        assert_eq!(ScopeUpdate::parse(json.as_value()).as_ref(), Ok(update));
    }
    let copy = copy_of(contribution);
    assert_eq!(fields(&copy), fields(contribution));
    assert_eq!(copy.attachments(), contribution.attachments());
    assert_eq!(breadcrumbs(&copy), breadcrumbs(contribution));
}

fn copy_of(contribution: &Contribution) -> Contribution {
    let mut copy = Contribution::new(MAX_BREADCRUMBS);
    for bytes in ScopeMessage::write(&contribution.to_updates()) {
        assert!(bytes.len() <= SCOPE_MESSAGE_BYTES);
        let message = ScopeMessage::parse(&bytes).unwrap();
        assert!(copy.hear(message, later()).is_empty());
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_is_written_out_and_the_rest_stands_for_itself() {
        for (data, expanded) in [
            ("a~3:x~b", "axxxb"),
            (r#"{~2:"k#":1,~"z":0}"#, r#"{"k0":1,"k1":1,"z":0}"#),
            ("~0:x~", ""),
            ("~x:y~ ~3:z ~", "~x:y~ z z z "),
            ("~99999999:x~", "~99999999:x~"),
        ] {
            assert_eq!(expand(data.as_bytes()), expanded.as_bytes(), "{data}");
        }
        let many = b"~99999:0123456789~".repeat(99);
        assert!(expand(&many).len() < EXPANDED_BYTES + many.len());
    }
}
