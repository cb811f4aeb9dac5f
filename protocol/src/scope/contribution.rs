//! What one process contributes to the scope of events.

use std::collections::{BTreeMap, VecDeque};

use super::attachments::Attachments;
use super::budget::Budget;
use super::former::Former;
use super::{Attachment, Breadcrumb, Field, Refusal, Refusals, ScopeMessage, ScopeUpdate, Trimmed};
use crate::Timestamp;
use crate::json::Json;
use crate::limits::BREADCRUMBS_BYTES;

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
#[derive(Clone, Debug)]
pub struct Contribution {
    fields: BTreeMap<Field, Entry>,
    budget: Budget,
    breadcrumbs: VecDeque<Breadcrumb>,
    breadcrumb_bytes: usize,
    max_breadcrumbs: usize,
    attachments: Attachments,
    /// What the last whole scope said that the next one may repeat.
    former: Former,
    /// The latest time at which something was said.
    latest: Option<Timestamp>,
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
        self.trimmed.value()
    }

    /// What the event's `_meta` has to say about the value, if it was cut.
    pub fn meta(&self) -> Option<&Json> {
        self.trimmed.meta()
    }

    /// When it was set.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    pub(super) fn trimmed(&self) -> &Trimmed {
        &self.trimmed
    }
}

impl Contribution {
    /// Nothing yet. Of the breadcrumbs, the newest `max_breadcrumbs` will be kept.
    pub fn new(max_breadcrumbs: usize) -> Self {
        Self {
            fields: BTreeMap::new(),
            budget: Budget::default(),
            breadcrumbs: VecDeque::new(),
            breadcrumb_bytes: 0,
            max_breadcrumbs,
            attachments: Attachments::default(),
            former: Former::default(),
            latest: None,
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

    /// The attachments, each once, in the order in which they were last attached.
    pub fn attachments(&self) -> &[Attachment] {
        self.attachments.as_slice()
    }

    /// Whether nothing is contributed.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.breadcrumbs.is_empty() && self.attachments().is_empty()
    }

    /// How many bytes of memory the contribution holds, about. It is bounded.
    pub fn size(&self) -> usize {
        self.budget.bytes() + self.breadcrumb_bytes + self.attachments.bytes()
    }

    /// Takes what a process said at the time `at`. Hands back what was refused; the rest is taken.
    /// What was refused of a whole scope is not counted again when the next one says the same.
    ///
    /// The time is main's, by a clock that does not go back. One that goes back all the same counts as
    /// standing still, so that a later change never looks like an earlier one.
    pub fn hear(&mut self, message: ScopeMessage, at: Timestamp) -> Refusals {
        let (updates, mut refusals) = self.interpret(message);
        for update in updates {
            refusals.note(self.apply(update, at));
        }
        refusals
    }

    /// The changes that a message means, for whoever has to know of each whether it
    /// [changed](Self::apply) anything, and what was refused. They have to be made, in order.
    pub fn interpret(&mut self, message: ScopeMessage) -> (Vec<ScopeUpdate>, Refusals) {
        match message {
            ScopeMessage::Whole(snapshot) => {
                let refusals = snapshot.new_refusals(&self.former);
                let (updates, said) = snapshot.into_updates(self, &self.former);
                self.former = said;
                (updates, refusals)
            }
            ScopeMessage::Changes(updates, refusals) => (updates, refusals),
        }
    }

    /// Makes one change, at the time `at`, and says whether anything is different now. A field that
    /// could not be set, because there is no room for it, has no value any more, so an error is a
    /// change too.
    pub fn apply(&mut self, update: ScopeUpdate, at: Timestamp) -> Result<bool, Refusal> {
        let at = self.latest.map_or(at, |latest| latest.max(at));
        self.latest = Some(at);
        Ok(match update {
            ScopeUpdate::Set { field, value, at: since } => {
                // Nobody wins by claiming that it will be said later.
                let at = since.map_or(at, |since| since.min(at));
                self.set(field, Entry { trimmed: value, at })?
            }
            ScopeUpdate::Unset(field) => self.unset(&field).is_some(),
            ScopeUpdate::AddBreadcrumb(breadcrumb) => self.add_breadcrumb(breadcrumb, at),
            ScopeUpdate::ClearBreadcrumbs => {
                self.breadcrumb_bytes = 0;
                !std::mem::take(&mut self.breadcrumbs).is_empty()
            }
            ScopeUpdate::AddAttachment(attachment) => self.attachments.add(attachment),
            ScopeUpdate::ClearAttachments => self.attachments.clear(),
            ScopeUpdate::Clear => {
                let was_empty = self.is_empty();
                *self = Self { latest: self.latest, ..Self::new(self.max_breadcrumbs) };
                !was_empty
            }
        })
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
        let breadcrumbs = self.breadcrumbs.iter().cloned().map(ScopeUpdate::AddBreadcrumb);
        let attachments = self.attachments().iter();
        let attachments = attachments.cloned().map(ScopeUpdate::AddAttachment);
        sets.chain(breadcrumbs).chain(attachments).collect()
    }

    fn set(&mut self, field: Field, entry: Entry) -> Result<bool, Refusal> {
        if self.get(&field).is_some_and(|present| present.at > entry.at) {
            // It comes late, and something newer was set meanwhile.
            return Ok(false);
        }
        let former = self.unset(&field);
        self.budget.take(&field, &entry.trimmed)?;
        let is_change = former.as_ref() != Some(&entry);
        self.fields.insert(field, entry);
        Ok(is_change)
    }

    fn unset(&mut self, field: &Field) -> Option<Entry> {
        let entry = self.fields.remove(field)?;
        self.budget.give_back(field, &entry.trimmed);
        Some(entry)
    }

    /// The older ones make room. Only where there is no room at all, nothing is different.
    fn add_breadcrumb(&mut self, mut breadcrumb: Breadcrumb, at: Timestamp) -> bool {
        if self.max_breadcrumbs == 0 {
            return false;
        }
        breadcrumb.arrived(at);
        self.breadcrumb_bytes += breadcrumb.size();
        self.breadcrumbs.push_back(breadcrumb);
        while self.breadcrumbs.len() > self.max_breadcrumbs
            || self.breadcrumb_bytes > BREADCRUMBS_BYTES
        {
            let Some(oldest) = self.breadcrumbs.pop_front() else {
                break;
            };
            self.breadcrumb_bytes -= oldest.size();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::ObjectWriter;
    use crate::limits::{
        CONTRIBUTION_BYTES, SCOPE_ATTACHMENTS, SCOPE_ATTACHMENTS_BYTES, SCOPE_KEYS,
        SCOPE_MESSAGE_BYTES,
    };

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
            let update = ScopeUpdate::set(tag.clone(), since).unwrap().since(at(since));
            process.apply(update, at(heard)).unwrap();
            assert_eq!(process.get(&tag).unwrap().at(), at(expected));
        }
        let late = ScopeUpdate::set(tag.clone(), "old").unwrap().since(at(6));
        assert_eq!(process.apply(late, at(11)), Ok(false));
        assert_eq!(process.get(&tag).unwrap().at(), at(10));
    }

    #[test]
    fn a_clock_that_goes_back_stands_still() {
        let mut process = Contribution::new(100);
        for (key, heard) in [("a", 10), ("b", 3), ("c", 11)] {
            let text = format!(r#"[["set","tag","{key}","x"],["breadcrumb",{{}}],["clear-x"]]"#);
            hear(&mut process, heard, &text);
        }
        let times: Vec<_> = process.fields().map(|(_, entry)| entry.at()).collect();
        assert_eq!(times, [at(10), at(10), at(11)]);
        let times: Vec<_> = process.breadcrumbs().map(|b| b.timestamp().unwrap()).collect();
        assert_eq!(times, [at(10), at(10), at(11)]);
        process.apply(ScopeUpdate::Clear, at(12)).unwrap();
        hear(&mut process, 1, r#"[["set","tag","a","x"]]"#);
        assert_eq!(process.fields().next().unwrap().1.at(), at(12));
    }

    #[test]
    fn each_change_says_whether_anything_is_different() {
        let mut process = Contribution::new(100);
        let tag = Field::tag("a").unwrap();
        let set = || ScopeUpdate::set(tag.clone(), "x").unwrap();
        let breadcrumb = || ScopeUpdate::add_breadcrumb(Json::parse(b"{}").unwrap().as_value());
        let attachment = || ScopeUpdate::AddAttachment(Attachment::new("f", &b""[..]).unwrap());
        for (update, time, is_change) in [
            (set(), 1, true),
            (set(), 1, false),
            // It would win over what another process has set in between.
            (set(), 2, true),
            (ScopeUpdate::Unset(tag.clone()), 2, true),
            (ScopeUpdate::Unset(tag.clone()), 2, false),
            (breadcrumb().unwrap(), 2, true),
            (ScopeUpdate::ClearBreadcrumbs, 2, true),
            (ScopeUpdate::ClearBreadcrumbs, 2, false),
            (attachment(), 2, true),
            (attachment(), 2, false),
            (ScopeUpdate::ClearAttachments, 2, true),
            (ScopeUpdate::ClearAttachments, 2, false),
            (set(), 3, true),
            (ScopeUpdate::Clear, 3, true),
            (ScopeUpdate::Clear, 3, false),
        ] {
            assert_eq!(process.apply(update.clone(), at(time)), Ok(is_change), "{update:?}");
        }
        let mut none = Contribution::new(0);
        assert_eq!(none.apply(breadcrumb().unwrap(), at(1)), Ok(false));
    }

    #[test]
    fn the_newest_breadcrumbs_are_kept() {
        let mut page = Contribution::new(3);
        for n in 0..5 {
            hear(&mut page, n, &format!(r#"{{"breadcrumbs":[{{"message":"{n}"}}]}}"#));
        }
        let times: Vec<_> = page.breadcrumbs().map(|b| b.timestamp().unwrap()).collect();
        assert_eq!(times, [at(2), at(3), at(4)]);

        let mut page = Contribution::new(1000);
        let large = format!(r#"["breadcrumb",{{"data":{{"x":"{}"}}}}]"#, "x".repeat(10_000));
        for n in 0..100 {
            hear(&mut page, n, &format!("[{large}]"));
        }
        assert!(page.breadcrumbs().len() > 10);
        assert!(page.size() <= BREADCRUMBS_BYTES);
        assert_eq!(hear(&mut Contribution::new(0), 0, &format!("[{large}]")), Refusals::default());
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
        assert_eq!(page.apply(set(SCOPE_KEYS, "x"), at(0)), Err(Refusal::TooManyKeys));
        page.apply(set(0, "y"), at(1)).unwrap();
        page.apply(ScopeUpdate::Unset(Field::tag("1").unwrap()), at(1)).unwrap();
        page.apply(set(SCOPE_KEYS, "x"), at(1)).unwrap();

        let mut page = Contribution::new(100);
        let large = "x".repeat(16_000);
        let extra = |key: usize| {
            ScopeUpdate::set(Field::extra(&key.to_string()).unwrap(), large.as_str()).unwrap()
        };
        let taken = (0..100).take_while(|key| page.apply(extra(*key), at(0)).is_ok()).count();
        assert!((20..40).contains(&taken), "{taken}");
        assert_eq!(page.apply(extra(99), at(0)), Err(Refusal::Full));
        // In place of another there is room.
        page.apply(extra(0), at(1)).unwrap();
        // What does not fit does not leave the former value either.
        let small = ScopeUpdate::set(Field::extra("small").unwrap(), 7_u64).unwrap();
        page.apply(small, at(1)).unwrap();
        let large = ScopeUpdate::set(Field::extra("small").unwrap(), large.as_str()).unwrap();
        assert_eq!(page.apply(large, at(1)), Err(Refusal::Full));
        assert!(page.get(&Field::extra("small").unwrap()).is_none());
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
        assert_eq!(copy_of(&page).to_updates(), page.to_updates());
    }

    /// What another process has that is told all of it.
    fn copy_of(contribution: &Contribution) -> Contribution {
        let mut copy = Contribution::new(contribution.max_breadcrumbs);
        for bytes in ScopeMessage::write(&contribution.to_updates()) {
            assert!(bytes.len() <= SCOPE_MESSAGE_BYTES);
            let message = ScopeMessage::parse(&bytes).unwrap();
            assert!(copy.hear(message, at(2_000_000_000)).is_empty());
        }
        copy
    }

    #[test]
    fn the_fullest_contribution_can_be_told_to_another_process() {
        let mut full = Contribution::new(1000);
        let quotes = Json::parse(format!("\"{}\"", "\\\"".repeat(8_000)).as_bytes()).unwrap();
        let fill = |full: &mut Contribution, update: &dyn Fn(u64) -> ScopeUpdate| {
            (0..10_000)
                .take_while(|n| {
                    full.apply(update(*n), Timestamp::from_unix(7, 123_456_789)).is_ok()
                })
                .count()
        };
        fill(&mut full, &|n| {
            let field = Field::extra(&n.to_string()).unwrap();
            ScopeUpdate::set(field, &quotes).unwrap()
        });
        fill(&mut full, &|n| ScopeUpdate::set(Field::tag(&n.to_string()).unwrap(), n).unwrap());
        for n in 0..40_u8 {
            let mut breadcrumb = ObjectWriter::new();
            breadcrumb.member("data", &quotes).member("message", u64::from(n));
            let update = ScopeUpdate::add_breadcrumb(breadcrumb.finish().as_value());
            full.apply(update.unwrap(), at(7)).unwrap();
            let bytes = vec![n; SCOPE_ATTACHMENTS_BYTES / SCOPE_ATTACHMENTS - 500];
            let name = format!("{n}{}", "\u{1}".repeat(250));
            let attachment = Attachment::new(&name, bytes).unwrap();
            full.apply(ScopeUpdate::AddAttachment(attachment), at(7)).unwrap();
        }
        let bound = CONTRIBUTION_BYTES + BREADCRUMBS_BYTES + SCOPE_ATTACHMENTS_BYTES;
        assert!((bound * 9 / 10..=bound).contains(&full.size()), "{}", full.size());
        assert_eq!(full.attachments().len(), SCOPE_ATTACHMENTS);
        assert!(ScopeMessage::write(&full.to_updates()).len() > 1);
        assert_eq!(copy_of(&full).to_updates(), full.to_updates());
    }
}
