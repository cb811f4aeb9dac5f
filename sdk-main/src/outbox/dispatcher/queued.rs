//! What the dispatcher knows of an envelope.

use guardhouse_protocol::Item;

use super::Categories;
use crate::losses::Category;
use crate::outbox::{EntryId, Priority};

/// An envelope that waits to be sent, as far as the dispatcher needs to know it.
///
/// ```
/// use guardhouse_main::losses::Category;
/// use guardhouse_main::outbox::dispatcher::Queued;
/// use guardhouse_main::outbox::{EntryId, Priority};
/// use guardhouse_protocol::Envelope;
///
/// let envelope = Envelope::parse(
///     "{}\n{\"type\":\"attachment\",\"length\":2}\nhi\n{\"type\":\"event\",\"length\":2}\n{}\n",
/// )?;
/// let queued = Queued::new(EntryId::new(1), Priority::Normal, envelope.items());
/// assert_eq!(queued.primary, Category::Error.into());
/// assert_eq!(queued.secondary, Category::Attachment.into());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Which one it is.
    pub id: EntryId,
    /// How urgent it is.
    pub priority: Priority,
    /// The categories of what the envelope is about. While one of them is limited it waits, unless it
    /// is [bulk](Categories::BULK), which is given up.
    pub primary: Categories,
    /// The categories of what only goes with it. While they are limited, it goes without.
    pub secondary: Categories,
    /// Whether it was stored before this run began.
    pub stored: bool,
}

impl Queued {
    /// An envelope with these items, stored by this run.
    ///
    /// What it is about are its events, transactions, feedback, logs and the like. If it has none of
    /// them, it is about its sessions; else about whatever is there.
    pub fn new(id: EntryId, priority: Priority, items: &[Item]) -> Self {
        Self::of(id, priority, || items.iter().map(Categories::of))
    }

    /// An envelope that is not at hand, and of whose items only the categories are known.
    pub fn of_categories(id: EntryId, priority: Priority, categories: &[Category]) -> Self {
        Self::of(id, priority, || categories.iter().copied().map(Categories::of_category))
    }

    /// The categories that it waits for if they are limited.
    pub(super) fn awaited(&self) -> Categories {
        self.primary.without(Categories::BULK)
    }

    /// What is left out of it if it goes while these are limited; nothing if nothing would be left
    /// that is worth sending.
    pub(super) fn without(&self, limited: Categories) -> Option<Categories> {
        let all = self.primary.union(self.secondary);
        let without = all.intersection(limited.with_both_sizes());
        let is_worth_it = self.primary.union(all.without(Categories::BULK));
        (without.is_empty() || all.without(without).intersects(is_worth_it)).then_some(without)
    }

    /// Whether it tells of something that happens once in the life of a process, so that no later
    /// envelope makes up for it.
    pub(super) fn happens_once(&self) -> bool {
        self.priority != Priority::Normal
    }

    fn of<I: Iterator<Item = Categories>>(
        id: EntryId,
        priority: Priority,
        all: impl Fn() -> I,
    ) -> Self {
        let first = all().map(rank).min();
        let primary = all()
            .filter(|categories| Some(rank(*categories)) == first)
            .fold(Categories::NONE, Categories::union);
        let secondary = all().fold(Categories::NONE, Categories::union).without(primary);
        Self { id, priority, primary, secondary, stored: false }
    }

    /// The same, but stored by an earlier run.
    pub const fn of_earlier_run(self) -> Self {
        Self { stored: true, ..self }
    }
}

/// The lower, the more an envelope is about it.
fn rank(categories: Categories) -> u8 {
    let companions =
        [Category::Attachment, Category::Profile, Category::Internal, Category::Default];
    if categories.contains(Category::Session) {
        1
    } else if companions.into_iter().any(|category| categories.contains(category)) {
        2
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(types: &[&str]) -> (Categories, Categories) {
        let items: Vec<_> = types.iter().map(|name| Item::new(name, "{}").unwrap()).collect();
        let queued = Queued::new(EntryId::new(0), Priority::Normal, &items);
        (queued.primary, queued.secondary)
    }

    fn set(categories: &[Category]) -> Categories {
        categories.iter().copied().collect()
    }

    #[test]
    fn what_an_envelope_is_about_comes_before_what_goes_with_it() {
        use Category::{Attachment, Default, Error, Internal, Profile, Session, Transaction};
        let table: &[(&[&str], &[Category], &[Category])] = &[
            (&["attachment", "event", "session"], &[Error], &[Attachment, Session]),
            (&["profile", "transaction"], &[Transaction], &[Profile]),
            (&["event", "something_new"], &[Error], &[Default]),
            (&["something_new"], &[Default], &[]),
            (&["client_report", "session"], &[Session], &[Internal]),
            (&["client_report"], &[Internal], &[]),
            (&["attachment"], &[Attachment], &[]),
            (&[], &[], &[]),
        ];
        for (types, primary, secondary) in table {
            assert_eq!(of(types), (set(primary), set(secondary)), "{types:?}");
        }
    }
}
