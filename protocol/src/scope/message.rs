//! What crosses between processes about the scope.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Attachment, Breadcrumb, Contribution, Field, Refusal, Refusals, ScopeUpdate, Trimmed};
use crate::json::{Fragment, Json, JsonError, Object, Value, array};
use crate::limits::{
    SCOPE_ATTACHMENTS, SCOPE_KEYS, SCOPE_MESSAGE_BREADCRUMBS, SCOPE_MESSAGE_CHANGES,
};

/// A message of the `scope` channel: an object is a whole scope, an array is changes.
///
/// ```
/// use guardhouse_protocol::scope::{Field, ScopeMessage, ScopeUpdate};
///
/// let update = ScopeUpdate::set(Field::tag("channel")?, "beta")?;
/// let bytes = ScopeMessage::write(&[update]);
/// assert_eq!(bytes, r#"[["set","tag","channel","beta"]]"#);
/// assert!(matches!(ScopeMessage::parse(&bytes)?, ScopeMessage::Changes(..)));
/// assert!(matches!(ScopeMessage::parse(b"{}")?, ScopeMessage::Whole(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub enum ScopeMessage {
    /// The whole scope, as Sentry's JavaScript SDK sends it each time.
    Whole(Snapshot),
    /// Changes in order, and what of them was refused.
    Changes(Vec<ScopeUpdate>, Refusals),
}

impl ScopeMessage {
    /// Reads a message. An error means that it is not JSON, or none of the two kinds, and that
    /// nothing of it counts; a part that is no good is a refusal, and the rest counts.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        if let Some(elements) = Value::parse(bytes)?.elements() {
            let mut refusals = Refusals::default();
            let mut updates = Vec::new();
            for (index, element) in elements.enumerate() {
                if index < SCOPE_MESSAGE_CHANGES {
                    updates.extend(refusals.note(ScopeUpdate::parse(element)));
                } else {
                    refusals.count(Refusal::Full);
                }
            }
            return Ok(Self::Changes(updates, refusals));
        }
        Ok(Self::Whole(Snapshot::read(&Object::parse(bytes)?)))
    }

    /// Writes changes as a message.
    pub fn write(updates: &[ScopeUpdate]) -> Bytes {
        let updates: Vec<Json> = updates.iter().map(ScopeUpdate::to_json).collect();
        Bytes::from(array(updates.iter().map(Fragment::from)).text().to_owned())
    }

    /// The changes that the message means for a contribution, and what was refused.
    pub(super) fn into_updates(self, current: &Contribution) -> (Vec<ScopeUpdate>, Refusals) {
        match self {
            Self::Whole(snapshot) => {
                let refusals = snapshot.refusals;
                (snapshot.into_updates(current), refusals)
            }
            Self::Changes(updates, refusals) => (updates, refusals),
        }
    }
}

/// A whole scope at one moment, as Sentry's JavaScript SDK sends it.
///
/// Its breadcrumbs are those since the last message, because the page forgets them once they are
/// sent; everything else is all there is. What a scope holds beside that (`eventProcessors`,
/// `sdkProcessingMetadata`) means nothing outside of the page and is left out.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    fields: BTreeMap<Field, Trimmed>,
    breadcrumbs: Vec<Breadcrumb>,
    attachments: Vec<Attachment>,
    refusals: Refusals,
}

impl Snapshot {
    fn read(scope: &Object<'_>) -> Self {
        let mut snapshot = Self::default();
        let single = [
            ("user", Field::User),
            ("level", Field::Level),
            ("transactionName", Field::Transaction),
            ("fingerprint", Field::Fingerprint),
            ("propagationContext", Field::Propagation),
        ];
        for (name, field) in single {
            if let Some(value) = scope.get(name) {
                snapshot.set(Ok(field), value);
            }
        }
        for (name, kind) in [
            ("tags", "tag"),
            ("extra", "extra"),
            ("contexts", "context"),
            ("attributes", "attribute"),
        ] {
            snapshot.read_section(scope.get(name), kind);
        }
        snapshot.read_breadcrumbs(scope.get("breadcrumbs"));
        snapshot.read_attachments(scope.get("attachments"));
        snapshot
    }

    /// What was refused of it.
    pub fn refusals(&self) -> Refusals {
        self.refusals
    }

    /// The changes that make a contribution what the snapshot says.
    pub fn into_updates(self, current: &Contribution) -> Vec<ScopeUpdate> {
        let mut updates = Vec::new();
        for (field, _) in current
            .fields()
            .filter(|(field, _)| !self.fields.contains_key(field))
        {
            updates.push(ScopeUpdate::Unset(field.clone()));
        }
        for (field, trimmed) in self.fields {
            if !current.has(&field, &trimmed) {
                updates.push(ScopeUpdate::Set {
                    field,
                    value: trimmed,
                    at: None,
                });
            }
        }
        updates.extend(self.breadcrumbs.into_iter().map(ScopeUpdate::AddBreadcrumb));
        if self.attachments != current.attachments() {
            updates.push(ScopeUpdate::ClearAttachments);
            updates.extend(self.attachments.into_iter().map(ScopeUpdate::AddAttachment));
        }
        updates
    }

    fn set(&mut self, field: Result<Field, Refusal>, value: Value<'_>) {
        let update = field.and_then(|field| ScopeUpdate::set(field, value));
        match self.refusals.note(update) {
            Some(ScopeUpdate::Set { field, value, .. }) => drop(self.fields.insert(field, value)),
            // Of a key that stands twice, the last counts.
            Some(ScopeUpdate::Unset(field)) => drop(self.fields.remove(&field)),
            _ => {}
        }
    }

    fn read_section(&mut self, section: Option<Value<'_>>, kind: &str) {
        let Some(section) = section.filter(|section| !section.is_null()) else {
            return;
        };
        let Some(section) = section.as_object() else {
            return self.refusals.count(Refusal::WrongKind);
        };
        for (index, member) in section.members().enumerate() {
            if index < SCOPE_KEYS {
                self.set(
                    Field::from_name(kind, Some(member.raw_key())),
                    member.value(),
                );
            } else {
                self.refusals.count(Refusal::TooManyKeys);
            }
        }
    }

    /// The newest are the last.
    fn read_breadcrumbs(&mut self, breadcrumbs: Option<Value<'_>>) {
        let Some(breadcrumbs) = breadcrumbs.filter(|breadcrumbs| !breadcrumbs.is_null()) else {
            return;
        };
        let Some(elements) = breadcrumbs.elements() else {
            return self.refusals.count(Refusal::WrongKind);
        };
        let too_many = elements
            .clone()
            .count()
            .saturating_sub(SCOPE_MESSAGE_BREADCRUMBS);
        for breadcrumb in elements.skip(too_many) {
            self.breadcrumbs
                .extend(self.refusals.note(Breadcrumb::new(breadcrumb)));
        }
    }

    fn read_attachments(&mut self, attachments: Option<Value<'_>>) {
        let elements = attachments.and_then(Value::elements);
        for (index, attachment) in elements.into_iter().flatten().enumerate() {
            if index < SCOPE_ATTACHMENTS {
                self.attachments
                    .extend(self.refusals.note(Attachment::parse(attachment)));
            } else {
                self.refusals.count(Refusal::TooManyAttachments);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn hear(contribution: &mut Contribution, text: &str) -> Refusals {
        let message = ScopeMessage::parse(text.as_bytes()).unwrap();
        contribution.hear(message, Timestamp::EPOCH)
    }

    fn tag(contribution: &Contribution, key: &str) -> Option<String> {
        let entry = contribution.get(&Field::tag(key).unwrap())?;
        Some(entry.value().text().to_owned())
    }

    #[test]
    fn a_whole_scope_replaces_and_breadcrumbs_add_up() {
        let mut page = Contribution::new(100);
        hear(
            &mut page,
            r#"{"tags":{"a":"1","b":2},"breadcrumbs":[{"message":"x"}]}"#,
        );
        hear(
            &mut page,
            r#"{"tags":{"b":true,"c":null},"breadcrumbs":[{"message":"y"}]}"#,
        );
        assert_eq!(tag(&page, "a"), None);
        assert_eq!(tag(&page, "b").as_deref(), Some("true"));
        assert_eq!(tag(&page, "c"), None);
        assert_eq!(page.breadcrumbs().len(), 2);
    }

    #[test]
    fn a_part_that_is_no_good_is_counted_and_the_rest_counts() {
        let mut page = Contribution::new(100);
        let refusals = hear(
            &mut page,
            r#"{"tags":{"a":{},"b":"1"},"extra":[1],"user":"x","level":"info","breadcrumbs":[1,{}],
               "attachments":[{"filename":"f","data":{"0":1,"1":"[MaxProperties ~]"}}]}"#,
        );
        assert_eq!(refusals.get(Refusal::WrongKind), 4);
        assert_eq!(refusals.get(Refusal::CutAttachment), 1);
        assert_eq!(refusals.iter().count(), 2);
        assert_eq!((page.fields().count(), page.breadcrumbs().len()), (2, 1));
    }

    #[test]
    fn changes_are_made_in_their_order() {
        let mut page = Contribution::new(100);
        let refusals = hear(
            &mut page,
            r#"[["set","tag","a","1"],["unset","tag","a"],["set","tag","b","1"],["dance"]]"#,
        );
        assert_eq!(tag(&page, "a"), None);
        assert_eq!(tag(&page, "b").as_deref(), Some("\"1\""));
        assert_eq!(refusals.get(Refusal::Unknown), 1);
        hear(&mut page, r#"[["clear"]]"#);
        assert!(page.is_empty());
    }

    #[test]
    fn what_is_neither_is_an_error() {
        for text in ["", "1", "null", "\"x\"", "{", "[1", "{}{}"] {
            assert!(ScopeMessage::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn however_much_is_said_little_is_held() {
        let many = |element: &str, count: usize| vec![element; count].join(",");
        let mut page = Contribution::new(usize::MAX);
        hear(
            &mut page,
            &format!("{{\"breadcrumbs\":[{}]}}", many("{}", 100_000)),
        );
        assert_eq!(page.breadcrumbs().len(), SCOPE_MESSAGE_BREADCRUMBS);
        let refusals = hear(&mut page, &format!("[{}]", many("[\"clear\"]", 20_000)));
        assert_eq!(
            refusals.get(Refusal::Full) as usize,
            20_000 - SCOPE_MESSAGE_CHANGES
        );
        let attachment = r#"{"filename":"f","data":""}"#;
        let text = format!("{{\"attachments\":[{}]}}", many(attachment, 100));
        assert_eq!(hear(&mut page, &text).get(Refusal::TooManyAttachments), 70);
    }
}
