//! A whole scope, as a page says it.

use std::collections::BTreeMap;

use super::attachments::Attachments;
use super::budget::Budget;
use super::former::{Former, Refused, hash};
use super::kind::Kind;
use super::{Attachment, Breadcrumb, Contribution, Field, Refusal, Refusals, ScopeUpdate, Trimmed};
use crate::json::{Object, Value};
use crate::limits::SCOPE_MESSAGE_BREADCRUMBS;

/// A whole scope at one moment, as Sentry's JavaScript SDK sends it.
///
/// Its fields are all there are. Which of them are taken, where there is not room for all, depends on
/// nothing but the snapshot: the single ones first, then tags, extra, contexts and attributes, each in
/// the order in which they are written.
///
/// Its breadcrumbs and attachments are additions: once they are sent, the page forgets those of the
/// scope that has changed (of its three: the global, the isolation and the current one), and says
/// those of the others again. So what is missing was not taken back, and what is there again is the
/// same: an attachment with the same [identity](Attachment::identity), or a breadcrumb of the former
/// message with the same time and text. Of two things that happened alike within one millisecond only
/// one is left by that; without it, a scope that the page never forgets would be told over and over.
///
/// What a scope holds beside that (`eventProcessors`, `sdkProcessingMetadata`) means nothing outside
/// of the page and is left out.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    fields: BTreeMap<Field, Trimmed>,
    budget: Budget,
    /// Each with a hash of how it was written.
    breadcrumbs: Vec<(Breadcrumb, u64)>,
    attachments: Attachments,
    refused: Refused,
}

const BREADCRUMBS: &str = "breadcrumbs";
const ATTACHMENTS: &str = "attachments";

impl Snapshot {
    pub(super) fn read(scope: &Object<'_>) -> Self {
        let mut snapshot = Self::default();
        let mut kinds = [None; Kind::ALL.len()];
        let mut breadcrumbs = None;
        let mut attachments = None;
        for member in scope.members() {
            // Of a key that stands twice, the last counts.
            let value = Some(member.value()).filter(|value| !value.is_null());
            match &*member.key() {
                BREADCRUMBS => breadcrumbs = value,
                ATTACHMENTS => attachments = value,
                name => {
                    if let Some(kind) = Kind::from_member(name) {
                        kinds[kind as usize] = value;
                    }
                }
            }
        }
        for (kind, value) in Kind::ALL.into_iter().zip(kinds) {
            match value {
                Some(value) if kind.has_keys() => snapshot.read_section(kind, value),
                Some(value) => snapshot.set(kind, None, value),
                None => {}
            }
        }
        if let Some(breadcrumbs) = breadcrumbs {
            snapshot.read_breadcrumbs(breadcrumbs);
        }
        if let Some(attachments) = attachments {
            snapshot.read_attachments(attachments);
        }
        snapshot
    }

    /// What was refused of it, also if it was refused of a former one.
    pub fn refusals(&self) -> Refusals {
        self.new_refusals(&Former::default())
    }

    /// What was refused of it that was not among what was refused of the former one.
    pub(super) fn new_refusals(&self, former: &Former) -> Refusals {
        self.refused.since(&former.refused)
    }

    /// The changes that make a contribution what the snapshot says, and what the next one may repeat.
    /// First is unset whatever has changed, so that there is room for the rest on the way.
    pub(super) fn into_updates(
        self,
        current: &Contribution,
        former: &Former,
    ) -> (Vec<ScopeUpdate>, Former) {
        let mut next = Former { refused: self.refused, ..Former::default() };
        let mut updates = Vec::new();
        for (field, entry) in current.fields() {
            if self.fields.get(field) != Some(entry.trimmed()) {
                updates.push(ScopeUpdate::Unset(field.clone()));
            }
        }
        for (field, value) in self.fields {
            if current.get(&field).is_none_or(|entry| *entry.trimmed() != value) {
                updates.push(ScopeUpdate::Set { field, value, at: None });
            }
        }
        for (breadcrumb, hash) in self.breadcrumbs {
            let is_timed = breadcrumb.timestamp().is_some();
            if is_timed {
                next.breadcrumbs.insert(hash);
            }
            if !is_timed || !former.breadcrumbs.contains(&hash) {
                updates.push(ScopeUpdate::AddBreadcrumb(breadcrumb));
            }
        }
        // All of them or none: so those that the page still says are the newest, and do not make room
        // for each other in turn.
        let attachments = self.attachments.as_slice();
        let is_attached = |attachment| current.attachments().contains(attachment);
        if !attachments.iter().all(is_attached) {
            updates.extend(attachments.iter().cloned().map(ScopeUpdate::AddAttachment));
        }
        (updates, next)
    }

    fn read_section(&mut self, kind: Kind, section: Value<'_>) {
        let Some(object) = section.as_object() else {
            let refusal = match section.kind() {
                // It has more members than are looked into.
                crate::json::Kind::Object => Refusal::TooManyKeys,
                _ => Refusal::WrongKind,
            };
            return self.refuse(kind.name(), section, refusal);
        };
        for member in object.members() {
            self.set(kind, Some(member.raw_key()), member.value());
        }
    }

    fn set(&mut self, kind: Kind, raw_key: Option<&str>, value: Value<'_>) {
        let result = kind.field(raw_key).and_then(|field| self.take(field, value));
        if let Err(refusal) = result {
            self.refused.note((kind.name(), raw_key, value.text()), refusal);
        }
    }

    fn take(&mut self, field: Field, value: Value<'_>) -> Result<(), Refusal> {
        // Of a key that stands twice, the last counts.
        if let Some(former) = self.fields.remove(&field) {
            self.budget.give_back(&field, &former);
        }
        if field.is_cleared_by(value) {
            return Ok(());
        }
        self.budget.has_room_for_key(&field)?;
        let value = field.fit(value)?;
        self.budget.take(&field, &value)?;
        self.fields.insert(field, value);
        Ok(())
    }

    /// The newest are the last.
    fn read_breadcrumbs(&mut self, breadcrumbs: Value<'_>) {
        let Some(elements) = breadcrumbs.elements() else {
            return self.refuse(BREADCRUMBS, breadcrumbs, Refusal::WrongKind);
        };
        let count = elements.clone().count();
        for breadcrumb in elements.skip(count.saturating_sub(SCOPE_MESSAGE_BREADCRUMBS)) {
            match Breadcrumb::new(breadcrumb) {
                Ok(read) => self.breadcrumbs.push((read, hash(breadcrumb.text()))),
                Err(refusal) => self.refuse(BREADCRUMBS, breadcrumb, refusal),
            }
        }
    }

    fn read_attachments(&mut self, attachments: Value<'_>) {
        let Some(elements) = attachments.elements() else {
            return self.refuse(ATTACHMENTS, attachments, Refusal::WrongKind);
        };
        for attachment in elements {
            match Attachment::parse(attachment) {
                Ok(attachment) => drop(self.attachments.add(attachment)),
                Err(refusal) => self.refuse(ATTACHMENTS, attachment, refusal),
            }
        }
    }

    fn refuse(&mut self, member: &str, value: Value<'_>, refusal: Refusal) {
        self.refused.note((member, value.text()), refusal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::limits::{SCOPE_ATTACHMENTS, SCOPE_KEYS};
    use crate::scope::ScopeMessage;

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
        hear(&mut page, r#"{"tags":{"a":"1","b":2},"breadcrumbs":[{"message":"x"}]}"#);
        hear(
            &mut page,
            r#"{"tags":{"z":"1"},"tags":{"b":1,"b":true,"c":null},"breadcrumbs":[{"message":"y"}]}"#,
        );
        assert_eq!(tag(&page, "a"), None);
        assert_eq!(tag(&page, "b").as_deref(), Some("true"));
        assert_eq!(tag(&page, "c"), None);
        assert_eq!(tag(&page, "z"), None);
        assert_eq!(page.breadcrumbs().len(), 2);
    }

    #[test]
    fn attachments_add_up_and_each_is_there_once() {
        let mut page = Contribution::new(100);
        let scope = |names: &[&str]| {
            let list: Vec<_> =
                names.iter().map(|name| format!(r#"{{"filename":"{name}","data":"x"}}"#)).collect();
            format!("{{\"attachments\":[{}]}}", list.join(","))
        };
        let names = |page: &Contribution| -> Vec<String> {
            let attachments = page.attachments().iter();
            attachments.map(|attachment| attachment.filename().into()).collect()
        };
        hear(&mut page, &scope(&["a", "b", "a"]));
        hear(&mut page, &scope(&["b", "c"]));
        hear(&mut page, &scope(&["b"]));
        hear(&mut page, &scope(&[]));
        assert_eq!(names(&page), ["a", "b", "c"]);

        // More than fit: the newest, and always the same ones.
        let many: Vec<_> = (0..SCOPE_ATTACHMENTS + 5).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        for _ in 0..3 {
            assert!(hear(&mut page, &scope(&many)).is_empty());
            assert_eq!(names(&page), many[5..]);
        }
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
        for text in [r#"{"attachments":"x"}"#, r#"{"breadcrumbs":{}}"#, r#"{"tags":1}"#] {
            assert_eq!(hear(&mut page, text).get(Refusal::WrongKind), 1, "{text}");
        }
    }

    #[test]
    fn what_is_refused_again_does_not_count_again() {
        let mut page = Contribution::new(100);
        let cut = r#"{"filename":"f","data":{"1":1}}"#;
        let scope = |tag: &str, more: &str| {
            format!(r#"{{"tags":{{"a":{tag}}},"extra":7,"attachments":[{cut}]{more}}}"#)
        };
        let mut count = |text: &str| {
            let refusals = hear(&mut page, text);
            (refusals.get(Refusal::WrongKind), refusals.get(Refusal::CutAttachment))
        };
        assert_eq!(count(&scope("{}", "")), (2, 1));
        assert_eq!(count(&scope("{}", "")), (0, 0));
        assert_eq!(count(&scope("[]", "")), (1, 0), "another value");
        let more = r#","breadcrumbs":[1,2]"#;
        assert_eq!(count(&scope("[]", more)), (2, 0));
        assert_eq!(count(&scope("[]", more)), (0, 0));
        assert_eq!(count("{}"), (0, 0));
        assert_eq!(count(&scope("[]", "")), (2, 1), "it was gone");
    }

    #[test]
    fn a_breadcrumb_that_is_said_again_is_the_same() {
        let mut page = Contribution::new(100);
        let (one, two) = (r#"{"timestamp":1,"a":1}"#, r#"{"timestamp":1,"a":2}"#);
        for (said, count) in [
            (vec![one], 1),
            (vec![one, two], 2),
            (vec![one, two], 2),
            (vec![], 2),
            (vec![one], 3),
            // Without a time, two that are equal are two.
            (vec!["{}"], 4),
            (vec!["{}"], 5),
        ] {
            hear(&mut page, &format!("{{\"breadcrumbs\":[{}]}}", said.join(",")));
            assert_eq!(page.breadcrumbs().len(), count);
        }
    }

    #[test]
    fn a_refused_value_does_not_leave_the_former_one() {
        let mut page = Contribution::new(100);
        hear(&mut page, r#"{"user":{"id":"alice"}}"#);
        hear(&mut page, r#"{"user":"bob"}"#);
        assert!(page.is_empty());
    }

    #[test]
    fn a_snapshot_has_one_result_whatever_was_there_before() {
        let scope = |a: usize, z: usize| {
            let extra = |name: &str, bytes: usize| format!(r#""{name}":"{}""#, "x".repeat(bytes));
            let mut extras = vec![extra("a", a)];
            extras.extend((0..31).map(|n| extra(&format!("m{n}"), 16_000)));
            extras.push(extra("z", z));
            format!("{{\"extra\":{{{}}}}}", extras.join(","))
        };
        let values = |page: &Contribution| -> Vec<_> {
            let fields = page.fields();
            fields.map(|(field, entry)| (field.clone(), entry.value().clone())).collect()
        };
        let (first, second) = (scope(4_000, 15_000), scope(15_000, 4_000));
        for (before, now) in [(&first, &second), (&second, &first), (&first, &first)] {
            let mut page = Contribution::new(100);
            hear(&mut page, before);
            hear(&mut page, now);
            let mut fresh = Contribution::new(100);
            hear(&mut fresh, now);
            assert_eq!(values(&page), values(&fresh));
            assert!(values(&page).len() >= 32);
        }
    }

    #[test]
    fn however_much_is_said_little_is_held() {
        let many = |element: &str, count: usize| vec![element; count].join(",");
        let mut page = Contribution::new(usize::MAX);
        hear(&mut page, &format!("{{\"breadcrumbs\":[{}]}}", many("{}", 100_000)));
        assert_eq!(page.breadcrumbs().len(), SCOPE_MESSAGE_BREADCRUMBS);
        let tags: Vec<_> = (0..600).map(|n| format!(r#""n{n}":null,"{n}":{n}"#)).collect();
        let refusals = hear(&mut page, &format!("{{\"tags\":{{{}}}}}", tags.join(",")));
        assert_eq!(refusals.get(Refusal::TooManyKeys), 100);
        assert_eq!(page.fields().count(), SCOPE_KEYS);
    }
}
