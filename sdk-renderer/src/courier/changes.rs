//! The changes of the scope among everything that waits. Each stays where it was made, so that whoever
//! hears all of it again lays over an event what held when it was captured.
//!
//! What main has heard belongs in front of everything that has no answer, once nothing of that is
//! older. Until then it is kept, since a new main needs it in its place.
//!
//! Too many changes become fewer: between two events only what has an effect is said. If what is left is
//! too much all the same, they become one statement of all of the scope, and the events behind the first
//! find more in main than was said before them.

use std::collections::VecDeque;

use guardhouse_process::scope::compact;
use guardhouse_protocol::limits::MIB;
use guardhouse_protocol::scope::{ScopeMessage, ScopeUpdate};

use super::{Channel, Courier, Item};

/// When so many messages of the scope wait, or so many bytes, they become fewer.
pub(super) const ITEMS: usize = 256;
const BYTES: usize = MIB;

/// So many bytes of them wait at most.
const MOST_BYTES: usize = 8 * MIB;

/// How many messages of the scope, and how many bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Amount {
    items: usize,
    bytes: usize,
}

impl Amount {
    fn of<'a>(items: impl Iterator<Item = &'a Item>) -> Self {
        items.fold(Self::default(), |sum, item| Self {
            items: sum.items + 1,
            bytes: sum.bytes + item.held_bytes(),
        })
    }

    #[cfg(test)]
    pub(super) fn bytes(self) -> usize {
        self.bytes
    }

    fn is_small(self) -> bool {
        self.items <= ITEMS && self.bytes <= BYTES
    }
}

impl Courier {
    /// How much waits that was never said.
    pub(super) fn unsaid_changes(&self) -> Amount {
        Amount::of(self.waiting.iter().filter(|item| item.is_unsaid_change()))
    }

    /// Sees to it that no more waits than should.
    pub(super) fn bound_changes(&mut self) {
        let amount = self.unsaid_changes();
        if amount.is_small() {
            self.least_changes = Amount::default();
            return;
        }
        // What has an effect is not looked at again before as much has been added.
        let least = self.least_changes;
        if amount.items <= ITEMS + 2 * least.items && amount.bytes <= BYTES + 2 * least.bytes {
            return;
        }
        self.compact_changes();
        if self.unsaid_changes().bytes > MOST_BYTES {
            self.state_all_at_once();
        }
        self.least_changes = self.unsaid_changes();
    }

    /// Leaves out what has no effect on any event.
    pub(super) fn compact_changes(&mut self) {
        let mut items = VecDeque::with_capacity(self.waiting.len());
        let mut run = Run::default();
        for item in std::mem::take(&mut self.waiting) {
            if item.is_unsaid_change() {
                self.is_file_behind |= item.is_filed;
                run.add(&item, items.len());
                continue;
            }
            if item.needs_scope() {
                std::mem::take(&mut run).end(&mut items, self.statement.max_breadcrumbs);
            }
            items.push_back(item);
        }
        run.end(&mut items, self.statement.max_breadcrumbs);
        self.waiting = items;
    }

    /// In place of the first change of the scope that was never said, says all of it.
    pub(super) fn state_all_at_once(&mut self) {
        let Some(place) = self.waiting.iter().position(Item::is_unsaid_change) else { return };
        let order = self.waiting[place].order;
        self.drop_waiting(Item::is_unsaid_change);
        self.is_file_behind = true;
        for (index, bytes) in (place..).zip(self.statement.take_whole_for_main()) {
            self.waiting.insert(index, Item::new(order, Channel::Scope, bytes));
        }
    }

    /// Main has heard this of the scope.
    pub(super) fn heard_change(&mut self, item: Item) {
        // What is said in front of everything is there already.
        if item.order > 0 {
            let place = self.heard.partition_point(|other| other.order < item.order);
            self.heard.insert(place, item);
            self.settle_changes();
        }
    }

    /// What main has heard and nothing is older than that has no answer, belongs in front.
    pub(super) fn settle_changes(&mut self) {
        if self.heard.is_empty() {
            return;
        }
        let is_it = |item: &&Item| item.needs_scope() || item.is_change();
        // What waits is in order.
        let waiting = self.waiting.iter().find(is_it);
        let first = self.said.iter().filter(is_it).chain(waiting).map(|item| item.order).min();
        let first = first.unwrap_or(u64::MAX);
        let mut amount = Amount::of(self.heard.iter());
        while let Some(item) = self.heard.front()
            && (item.order < first || !amount.is_small())
        {
            amount.items -= 1;
            amount.bytes -= item.held_bytes();
            if let Some(item) = self.heard.pop_front() {
                self.settle_change(&item);
            }
        }
    }

    fn settle_change(&mut self, item: &Item) {
        self.is_file_behind |= !item.is_filed;
        if let Some(bytes) = &item.bytes {
            self.statement.settle(bytes);
        }
    }

    /// Puts everything that has no answer from a new main into the order in which it was captured, and
    /// the scope in front of it.
    pub(super) fn begin_anew(&mut self) {
        self.drop_waiting(|item| item.order == 0);
        self.waiting.extend(self.heard.drain(..));
        self.waiting.make_contiguous().sort_by_key(|item| item.order);
        let mut is_first = true;
        for mut item in std::mem::take(&mut self.waiting) {
            is_first &= !item.needs_scope();
            if item.channel == Channel::Scope {
                if let Some(id) = item.id.take() {
                    self.outstanding.remove(&id);
                }
                if is_first {
                    self.settle_change(&item);
                    continue;
                }
            }
            self.waiting.push_back(item);
        }
        if is_first {
            self.statement.settle_all();
            self.is_file_behind = true;
        }
        let mut front: VecDeque<_> = ScopeMessage::write(&self.statement.before())
            .into_iter()
            .map(|bytes| Item::new(0, Channel::Scope, bytes))
            .collect();
        front.push_back(Item::new(0, Channel::Start, bytes::Bytes::new()));
        front.append(&mut self.waiting);
        self.waiting = front;
    }
}

/// Changes between two events.
#[derive(Default)]
struct Run {
    /// Where the first stands, and its place among everything that was captured.
    first: Option<(usize, u64)>,
    updates: Vec<ScopeUpdate>,
}

impl Run {
    fn add(&mut self, item: &Item, index: usize) {
        self.first.get_or_insert((index, item.order));
        self.updates.extend(updates(item));
    }

    fn end(mut self, items: &mut VecDeque<Item>, max_breadcrumbs: usize) {
        let Some((place, order)) = self.first else { return };
        compact(&mut self.updates, |update| update, max_breadcrumbs);
        for (index, bytes) in (place..).zip(ScopeMessage::write(&self.updates)) {
            items.insert(index, Item::new(order, Channel::Scope, bytes));
        }
    }
}

/// What a message of the scope changes.
pub(super) fn updates(item: &Item) -> Vec<ScopeUpdate> {
    match item.bytes.as_deref().map(ScopeMessage::parse) {
        Some(Ok(ScopeMessage::Changes(updates, _))) => updates,
        _ => Vec::new(),
    }
}
