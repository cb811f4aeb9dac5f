//! What crosses between processes about the scope.

use bytes::Bytes;

use super::{Refusal, Refusals, ScopeUpdate, Snapshot};
use crate::json::{JsonError, Object, Value};
use crate::limits::{
    ATTRIBUTE_BYTES, BREADCRUMB_BYTES, CONTEXT_BYTES, EXTRA_BYTES, FILENAME_BYTES,
    FINGERPRINT_CHARS, FINGERPRINT_PARTS, KIB, SCOPE_ATTACHMENT_BYTES, SCOPE_KEY_CHARS,
    SCOPE_MESSAGE_BYTES, SCOPE_MESSAGE_CHANGES, SCOPE_META_BYTES, TAG_KEY_CHARS, USER_BYTES,
};

/// A message of the `scope` channel: an object is a whole scope, an array is changes.
///
/// ```
/// use guardhouse_protocol::scope::{Field, ScopeMessage, ScopeUpdate};
///
/// let update = ScopeUpdate::set(Field::tag("channel")?, "beta")?;
/// let messages = ScopeMessage::write(&[update]);
/// assert_eq!(messages, [r#"[["set","tag","channel","beta"]]"#]);
/// assert!(matches!(ScopeMessage::parse(&messages[0])?, ScopeMessage::Changes(..)));
/// assert!(matches!(ScopeMessage::parse(b"{}")?, ScopeMessage::Whole(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub enum ScopeMessage {
    /// The whole scope, as Sentry's JavaScript SDK sends it each time.
    Whole(Snapshot),
    /// Changes in order, and what of them was refused. In place of a refused set, its field is unset.
    Changes(Vec<ScopeUpdate>, Refusals),
}

impl ScopeMessage {
    /// Reads a message. An error means that it is not JSON, or none of the two kinds, and that
    /// nothing of it counts; a part that is no good is a refusal, and the rest counts.
    ///
    /// Of more than [`SCOPE_MESSAGE_CHANGES`] changes none is made, and each counts as refused:
    /// without some of them the others may not mean what was meant.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        if bytes.trim_ascii_start().first() != Some(&b'[') {
            return Ok(Self::Whole(Snapshot::read(&Object::parse(bytes)?)));
        }
        let message = Value::parse(bytes)?;
        let mut refusals = Refusals::default();
        let mut updates = Vec::new();
        let changes = || message.elements().into_iter().flatten();
        if changes().nth(SCOPE_MESSAGE_CHANGES).is_some() {
            changes().for_each(|_| refusals.count(Refusal::TooManyChanges));
            return Ok(Self::Changes(updates, refusals));
        }
        for change in changes() {
            match ScopeUpdate::read(change) {
                Ok(update) => updates.push(update),
                Err(refused) => {
                    refusals.count(refused.why);
                    updates.extend(refused.field.map(ScopeUpdate::Unset));
                }
            }
        }
        Ok(Self::Changes(updates, refusals))
    }

    /// Writes changes as messages, to be sent in this order: as few as hold them, none of which is
    /// larger than may be. Without changes there is no message.
    pub fn write(updates: &[ScopeUpdate]) -> Vec<Bytes> {
        let mut messages = Vec::new();
        let mut message = String::new();
        let mut changes = 0;
        for update in updates {
            let update = update.to_json();
            let length = message.len() + update.text().len() + BRACKETS;
            if changes == SCOPE_MESSAGE_CHANGES || (changes > 0 && length > SCOPE_MESSAGE_BYTES) {
                message.push(']');
                messages.push(std::mem::take(&mut message).into());
                changes = 0;
            }
            message.push(if changes == 0 { '[' } else { ',' });
            message.push_str(update.text());
            changes += 1;
        }
        if changes > 0 {
            message.push(']');
            messages.push(message.into());
        }
        messages
    }
}

const BRACKETS: usize = 2;

/// A character of a JSON string has so many bytes at the most: two escapes are one character.
const CHAR_BYTES: usize = 12;
/// Base64 of the largest attachment, padding included.
const BASE64_BYTES: usize = SCOPE_ATTACHMENT_BYTES.div_ceil(3) * 4;
/// The names of the parts of a change, brackets, quotes, commas, and a time or two.
const AROUND_BYTES: usize = KIB;
/// What is said about a value, a key, and the most that a value can have.
const LARGEST_SET: usize = SCOPE_META_BYTES
    + max(SCOPE_KEY_CHARS, TAG_KEY_CHARS) * CHAR_BYTES
    + max(
        max(max(USER_BYTES, EXTRA_BYTES), max(CONTEXT_BYTES, ATTRIBUTE_BYTES)),
        FINGERPRINT_PARTS * (FINGERPRINT_CHARS * CHAR_BYTES + 3),
    );
const LARGEST_BREADCRUMB: usize = SCOPE_META_BYTES + BREADCRUMB_BYTES;
/// A name and two types; a byte that is escaped takes six.
const LARGEST_ATTACHMENT: usize = BASE64_BYTES + 3 * 6 * FILENAME_BYTES;

// So one message holds any change.
const _: () = assert!(
    BRACKETS + AROUND_BYTES + max(LARGEST_ATTACHMENT, max(LARGEST_SET, LARGEST_BREADCRUMB))
        <= SCOPE_MESSAGE_BYTES
);

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::scope::{Contribution, Field};

    fn hear(contribution: &mut Contribution, text: &str) -> Refusals {
        let message = ScopeMessage::parse(text.as_bytes()).unwrap();
        contribution.hear(message, Timestamp::EPOCH)
    }

    #[test]
    fn changes_are_made_in_their_order() {
        let mut process = Contribution::new(100);
        let refusals = hear(
            &mut process,
            r#" [["set","tag","a","1"],["unset","tag","a"],["set","tag","b","1"],["dance"]]"#,
        );
        let tag = |key: &str| process.get(&Field::tag(key).unwrap());
        assert!(tag("a").is_none());
        assert_eq!(tag("b").unwrap().value().text(), "\"1\"");
        assert_eq!(refusals.get(Refusal::Unknown), 1);
        hear(&mut process, r#"[["clear"]]"#);
        assert!(process.is_empty());
    }

    #[test]
    fn a_refused_change_does_not_leave_the_former_value() {
        for refused in ["7", "\"x\"", "[]"] {
            let mut process = Contribution::new(100);
            hear(&mut process, r#"[["set","user",null,{"id":"alice"}],["set","tag","a","1"]]"#);
            let text = format!(r#"[["set","user",null,{refused}],["set","tag","a",{{}}]]"#);
            let refusals = hear(&mut process, &text);
            assert_eq!(refusals.get(Refusal::WrongKind), 2);
            assert!(process.is_empty());
        }
    }

    #[test]
    fn what_is_neither_is_an_error() {
        for text in ["", "1", "null", "\"x\"", "{", "[1", "{}{}", "[]]", "\u{c}[]"] {
            assert!(ScopeMessage::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn of_too_many_changes_none_is_made() {
        let mut process = Contribution::new(100);
        hear(&mut process, r#"[["set","tag","a","1"]]"#);
        let message = |count: usize| format!("[{}]", vec!["[\"clear\"]"; count].join(","));
        let count = SCOPE_MESSAGE_CHANGES + 1;
        let refusals = hear(&mut process, &message(count));
        assert_eq!(refusals.get(Refusal::TooManyChanges) as usize, count);
        assert_eq!(process.fields().count(), 1);
        assert!(hear(&mut process, &message(count - 1)).is_empty());
        assert!(process.is_empty());
    }

    #[test]
    fn what_is_too_much_for_one_message_is_several() {
        assert!(ScopeMessage::write(&[]).is_empty());
        let updates = vec![ScopeUpdate::Clear; SCOPE_MESSAGE_CHANGES + 1];
        let messages = ScopeMessage::write(&updates);
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[1], r#"[["clear"]]"#);
    }
}
