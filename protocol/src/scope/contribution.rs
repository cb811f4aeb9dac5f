//! What one process contributes to the scope of events.

use std::collections::{BTreeMap, VecDeque};

use super::{Attachment, Breadcrumb, Field, Refusal, Refusals, ScopeMessage, ScopeUpdate, Trimmed};
use crate::Timestamp;
use crate::json::Json;
use crate::limits::{
    BREADCRUMBS_BYTES, CONTRIBUTION_BYTES, SCOPE_ATTACHMENTS, SCOPE_ATTACHMENTS_BYTES, SCOPE_KEYS,
};

/// What one process contributes to the scope of events, bounded whatever it says.
///
/// Each field knows when it was set, so that whoever merges contributions can let the most recent
/// one win. A field that was cleared is gone: what another process has set shows again.
///
/// ```
/// use guardhouse_protocol::Timestamp;
/// use guardhouse_protocol::scope::{Contribution, Field, ScopeMessage};
///
/// let mut page = Contribution::new(100);
/// let now = Timestamp::from_unix(1_795_193_675, 0);
/// page.hear(ScopeMessage::parse(br#"{"tags":{"channel":"beta"},"user":{"id":7}}"#)?, now);
/// assert_eq!(page.get(&Field::tag("channel")?).unwrap().value().text(), "\"beta\"");
///
/// // The next whole scope has no tag any more, and a user that was cleared.
/// page.hear(ScopeMessage::parse(br#"{"tags":{},"user":{}}"#)?, now);
/// assert_eq!(page.fields().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    fields: BTreeMap<Field, Entry>,
    /// How many fields of each kind there are.
    counts: [usize; Field::KINDS],
    field_bytes: usize,
    breadcrumbs: VecDeque<Breadcrumb>,
    breadcrumb_bytes: usize,
    max_breadcrumbs: usize,
    attachments: Vec<Attachment>,
    attachment_bytes: usize,
}

/// The value of a [`Field`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    trimmed: Trimmed,
    at: Timestamp,
}

impl Entry {
    /// The value.
    pub fn value(&self) -> &Json {
        &self.trimmed.value
    }

    /// What the event's `_meta` has to say about the value, if it was cut.
    pub fn meta(&self) -> Option<&Json> {
        self.trimmed.meta.as_ref()
    }

    /// When it was set.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

impl Contribution {
    /// Nothing yet. Of the breadcrumbs, the newest `max_breadcrumbs` will be kept.
    pub fn new(max_breadcrumbs: usize) -> Self {
        Self {
            fields: BTreeMap::new(),
            counts: [0; Field::KINDS],
            field_bytes: 0,
            breadcrumbs: VecDeque::new(),
            breadcrumb_bytes: 0,
            max_breadcrumbs,
            attachments: Vec::new(),
            attachment_bytes: 0,
        }
    }

    /// The value of a field.
    pub fn get(&self, field: &Field) -> Option<&Entry> {
        self.fields.get(field)
    }

    /// All fields that have a value, those of a kind together.
    pub fn fields(&self) -> impl Iterator<Item = (&Field, &Entry)> {
        self.fields.iter()
    }

    /// The breadcrumbs, in the order in which they came.
    pub fn breadcrumbs(&self) -> impl ExactSizeIterator<Item = &Breadcrumb> {
        self.breadcrumbs.iter()
    }

    /// The attachments.
    pub fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }

    /// Whether nothing is contributed.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.breadcrumbs.is_empty() && self.attachments.is_empty()
    }

    /// How many bytes of memory the contribution holds, about. It is bounded.
    pub fn size(&self) -> usize {
        self.field_bytes + self.breadcrumb_bytes + self.attachment_bytes
    }

    /// Takes what a process said at the time `at`. Hands back what was refused; the rest is taken.
    pub fn hear(&mut self, message: ScopeMessage, at: Timestamp) -> Refusals {
        let (updates, mut refusals) = message.into_updates(self);
        for update in updates {
            refusals.note(self.apply(update, at));
        }
        refusals
    }

    /// Makes one change, at the time `at`. If it is refused, nothing is changed.
    pub fn apply(&mut self, update: ScopeUpdate, at: Timestamp) -> Result<(), Refusal> {
        match update {
            ScopeUpdate::Set {
                field,
                value,
                at: since,
            } => {
                // Nobody wins by claiming that it will be said later.
                let at = since.map_or(at, |since| since.min(at));
                return self.set(field, Entry { trimmed: value, at });
            }
            ScopeUpdate::Unset(field) => self.unset(&field),
            ScopeUpdate::AddBreadcrumb(breadcrumb) => self.add_breadcrumb(breadcrumb, at),
            ScopeUpdate::ClearBreadcrumbs => {
                self.breadcrumbs.clear();
                self.breadcrumb_bytes = 0;
            }
            ScopeUpdate::AddAttachment(attachment) => return self.add_attachment(attachment),
            ScopeUpdate::ClearAttachments => {
                self.attachments.clear();
                self.attachment_bytes = 0;
            }
            ScopeUpdate::Clear => *self = Self::new(self.max_breadcrumbs),
        }
        Ok(())
    }

    /// The changes that make a new contribution this one, as another process needs them that hears
    /// of it for the first time.
    pub fn to_updates(&self) -> Vec<ScopeUpdate> {
        let fields = self.fields.iter();
        let sets = fields.map(|(field, entry)| ScopeUpdate::Set {
            field: field.clone(),
            value: entry.trimmed.clone(),
            at: Some(entry.at),
        });
        let breadcrumbs = self
            .breadcrumbs
            .iter()
            .cloned()
            .map(ScopeUpdate::AddBreadcrumb);
        let attachments = self
            .attachments
            .iter()
            .cloned()
            .map(ScopeUpdate::AddAttachment);
        sets.chain(breadcrumbs).chain(attachments).collect()
    }

    /// Whether setting the field to this would change nothing.
    pub(super) fn has(&self, field: &Field, trimmed: &Trimmed) -> bool {
        self.get(field)
            .is_some_and(|entry| entry.trimmed == *trimmed)
    }

    fn set(&mut self, field: Field, entry: Entry) -> Result<(), Refusal> {
        let old_size = self.get(&field).map(|old| size(&field, old));
        let kind = field.kind();
        if old_size.is_none() && self.counts[kind] == SCOPE_KEYS {
            return Err(Refusal::TooManyKeys);
        }
        let bytes = self.field_bytes - old_size.unwrap_or(0) + size(&field, &entry);
        if bytes > CONTRIBUTION_BYTES {
            return Err(Refusal::Full);
        }
        self.field_bytes = bytes;
        self.counts[kind] += usize::from(old_size.is_none());
        self.fields.insert(field, entry);
        Ok(())
    }

    fn unset(&mut self, field: &Field) {
        if let Some(entry) = self.fields.remove(field) {
            self.field_bytes -= size(field, &entry);
            self.counts[field.kind()] -= 1;
        }
    }

    /// The older ones make room.
    fn add_breadcrumb(&mut self, mut breadcrumb: Breadcrumb, at: Timestamp) {
        breadcrumb.arrived(at);
        self.breadcrumb_bytes += breadcrumb.size();
        self.breadcrumbs.push_back(breadcrumb);
        while self.breadcrumbs.len() > self.max_breadcrumbs
            || self.breadcrumb_bytes > BREADCRUMBS_BYTES
        {
            let Some(oldest) = self.breadcrumbs.pop_front() else {
                return;
            };
            self.breadcrumb_bytes -= oldest.size();
        }
    }

    fn add_attachment(&mut self, attachment: Attachment) -> Result<(), Refusal> {
        let bytes = self.attachment_bytes + attachment.size();
        if self.attachments.len() == SCOPE_ATTACHMENTS || bytes > SCOPE_ATTACHMENTS_BYTES {
            return Err(Refusal::TooManyAttachments);
        }
        self.attachment_bytes = bytes;
        self.attachments.push(attachment);
        Ok(())
    }
}

fn size(field: &Field, entry: &Entry) -> usize {
    let key = field.key().map_or(0, |key| key.as_json_body().len());
    let meta = entry.meta().map_or(0, |meta| meta.text().len());
    size_of::<(Field, Entry)>() + key + entry.value().text().len() + meta
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds, 0)
    }

    fn hear(contribution: &mut Contribution, seconds: i64, text: &str) -> Refusals {
        contribution.hear(ScopeMessage::parse(text.as_bytes()).unwrap(), at(seconds))
    }

    #[test]
    fn an_unchanged_field_keeps_the_time_at_which_it_was_set() {
        let mut page = Contribution::new(100);
        hear(&mut page, 1, r#"{"tags":{"a":"1","b":"1"}}"#);
        hear(&mut page, 2, r#"{"tags":{"a":"1","b":"2"}}"#);
        let time = |key: &str| page.get(&Field::tag(key).unwrap()).unwrap().at();
        assert_eq!((time("a"), time("b")), (at(1), at(2)));
    }

    #[test]
    fn what_comes_late_says_since_when_but_not_from_the_future() {
        let mut process = Contribution::new(100);
        let tag = Field::tag("a").unwrap();
        for (since, heard, expected) in [(5, 9, 5), (99, 10, 10)] {
            let update = ScopeUpdate::set(tag.clone(), since)
                .unwrap()
                .since(at(since));
            process.apply(update, at(heard)).unwrap();
            assert_eq!(process.get(&tag).unwrap().at(), at(expected));
        }
    }

    #[test]
    fn the_newest_breadcrumbs_are_kept() {
        let mut page = Contribution::new(3);
        for n in 0..5 {
            hear(
                &mut page,
                n,
                &format!(r#"{{"breadcrumbs":[{{"message":"{n}"}}]}}"#),
            );
        }
        let times: Vec<_> = page.breadcrumbs().map(|b| b.timestamp().unwrap()).collect();
        assert_eq!(times, [at(2), at(3), at(4)]);

        let mut page = Contribution::new(1000);
        let large = format!(
            r#"["breadcrumb",{{"data":{{"x":"{}"}}}}]"#,
            "x".repeat(10_000)
        );
        for n in 0..100 {
            hear(&mut page, n, &format!("[{large}]"));
        }
        assert!(page.breadcrumbs().len() > 10);
        assert!(page.size() <= BREADCRUMBS_BYTES);
        assert_eq!(
            hear(&mut Contribution::new(0), 0, &format!("[{large}]")),
            Refusals::default()
        );
    }

    #[test]
    fn keys_and_bytes_are_bounded_and_clearing_makes_room() {
        let mut page = Contribution::new(100);
        let set = |key: usize, value: &str| {
            ScopeUpdate::set(Field::tag(&key.to_string()).unwrap(), value).unwrap()
        };
        for key in 0..SCOPE_KEYS {
            page.apply(set(key, "x"), at(0)).unwrap();
        }
        assert_eq!(
            page.apply(set(SCOPE_KEYS, "x"), at(0)),
            Err(Refusal::TooManyKeys)
        );
        page.apply(set(0, "y"), at(1)).unwrap();
        page.apply(ScopeUpdate::Unset(Field::tag("1").unwrap()), at(1))
            .unwrap();
        page.apply(set(SCOPE_KEYS, "x"), at(1)).unwrap();

        let mut page = Contribution::new(100);
        let large = "x".repeat(16_000);
        let extra = |key: usize| {
            ScopeUpdate::set(Field::extra(&key.to_string()).unwrap(), large.as_str()).unwrap()
        };
        let taken = (0..100)
            .take_while(|key| page.apply(extra(*key), at(0)).is_ok())
            .count();
        assert!((20..40).contains(&taken), "{taken}");
        assert_eq!(page.apply(extra(99), at(0)), Err(Refusal::Full));
        // In place of another there is room.
        page.apply(extra(0), at(1)).unwrap();
        page.apply(ScopeUpdate::Clear, at(1)).unwrap();
        assert!(page.is_empty() && page.size() == 0);
    }

    #[test]
    fn a_contribution_can_be_told_to_another_process() {
        let mut page = Contribution::new(100);
        hear(
            &mut page,
            1,
            r#"{"tags":{"a":"1"},"user":{"id":7},"level":"info","fingerprint":["x"],
               "extra":{"\ud83d":null},"contexts":{"c":{"d":1.0}},"transactionName":"t",
               "breadcrumbs":[{"message":"m","timestamp":1}],
               "attachments":[{"filename":"f","data":"x"}]}"#,
        );
        assert_eq!((page.fields().count(), page.attachments().len()), (7, 1));
        let mut copy = Contribution::new(100);
        let text = ScopeMessage::write(&page.to_updates());
        let message = ScopeMessage::parse(&text).unwrap();
        assert!(copy.hear(message, at(100)).is_empty());
        assert_eq!(copy, page);
    }
}
