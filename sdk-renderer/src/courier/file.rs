//! What goes to the offline file, and what of it is read again.
//!
//! Messages go there in the order in which they were captured, each behind what was said of the scope
//! before it. So what is in the file is always the beginning of all that waits, but for what was not
//! said in time; what is captured later may be in memory only.

use std::collections::BTreeSet;

use bytes::Bytes;
use guardhouse_process::losses::Losses;
use guardhouse_process::offline_file::{Entry, Place};
use guardhouse_protocol::Channel;
use guardhouse_protocol::frame::MessageId;
use guardhouse_protocol::scope::ScopeMessage;

use super::{Courier, Item, changes, take_first};

impl Courier {
    /// Whether main has all that was captured.
    pub(crate) fn has_nothing(&self) -> bool {
        self.captured == 0 && self.streams.is_empty()
    }

    /// Whether something captured is not in the file.
    pub(crate) fn has_unfiled(&self) -> bool {
        self.captured > self.filed
    }

    /// How much of what is in the file main has not acknowledged.
    pub(crate) fn filed(&self) -> usize {
        self.filed
    }

    /// What belongs into the file and is not there yet, from now on counted as being there.
    /// [`filed_at`](Self::filed_at) or [`unfile`](Self::unfile) has to follow.
    pub(crate) fn poll_file(&mut self) -> Vec<Entry> {
        if !self.has_unfiled() {
            return Vec::new();
        }
        let mut updates = Vec::new();
        if std::mem::take(&mut self.is_file_behind) {
            updates = self.statement.before();
            for item in self.changes() {
                item.is_filed = false;
            }
        }
        let items = self.heard.iter_mut().chain(&mut self.said).chain(&mut self.waiting);
        let is_missing = |item: &&mut Item| {
            !item.is_filed && item.order > 0 && (item.is_change() || item.is_captured())
        };
        let mut items: Vec<_> = items.filter(is_missing).collect();
        items.sort_by_key(|item| item.order);
        let end = items.iter().rposition(|item| item.is_captured()).map_or(0, |last| last + 1);
        let (mut entries, mut sent) = (Vec::new(), Vec::new());
        for item in &mut items[..end] {
            item.is_filed = true;
            if item.is_change() {
                updates.extend(changes::updates(item));
                continue;
            }
            for payload in ScopeMessage::write(&std::mem::take(&mut updates)) {
                entries.push(Entry::Message { order: 0, channel: Channel::Scope, payload });
            }
            let run = item.run.or(self.run);
            if let Some(run) = run.filter(|run| self.file_run.replace(*run) != Some(*run)) {
                entries.push(Entry::Run(run));
            }
            let payload = item.bytes.clone().unwrap_or_default();
            entries.push(Entry::Message { order: item.order, channel: item.channel, payload });
            sent.extend(item.id.map(|id| (item.order, id)));
            self.filed += 1;
        }
        if !sent.is_empty() {
            entries.push(Entry::Sent(sent));
        }
        entries
    }

    fn changes(&mut self) -> impl Iterator<Item = &mut Item> {
        let held = self.heard.iter_mut().chain(&mut self.said).chain(&mut self.waiting);
        held.filter(|item| item.is_change())
    }

    /// These are in the file, at these places.
    pub(crate) fn filed_at(&mut self, entries: &[Entry], places: Vec<Place>) {
        let messages = entries.iter().filter_map(|entry| match entry {
            Entry::Message { order, .. } => Some(*order),
            _ => None,
        });
        // Both are in order, apart from the scope, which has none.
        let mut places = messages.zip(places).filter(|(order, _)| *order > 0).peekable();
        let mut items: Vec<_> = self.said.iter_mut().chain(&mut self.waiting).collect();
        items.sort_by_key(|item| item.order);
        for item in items {
            if let Some((_, place)) = places.next_if(|(order, _)| *order == item.order) {
                item.place = Some(place);
            }
        }
    }

    /// These could not be put into the file.
    pub(crate) fn unfile(&mut self, entries: &[Entry]) {
        let orders = entries.iter().filter_map(|entry| match entry {
            Entry::Message { order, .. } => Some(*order),
            _ => None,
        });
        let orders: BTreeSet<u64> = orders.collect();
        self.is_file_behind = true;
        self.file_run = None;
        for item in self.said.iter_mut().chain(&mut self.waiting) {
            if item.is_captured() && item.is_filed && orders.contains(&item.order) {
                item.is_filed = false;
                self.filed -= 1;
            }
        }
    }

    /// Lets what is in the file go from memory, the newest first, which is needed last, until half of
    /// the room is free.
    pub(crate) fn release(&mut self) {
        let (items, bytes) = (self.bounds.items / 2, self.bounds.bytes / 2);
        for item in self.waiting.iter_mut().rev().chain(&mut self.said) {
            if self.held <= items && self.held_bytes <= bytes {
                return;
            }
            if item.place.is_some()
                && let Some(released) = item.bytes.take()
            {
                self.held -= 1;
                self.held_bytes -= released.len();
            }
        }
    }

    /// What is to be said next and has to be read from the file before.
    pub(crate) fn poll_load(&self) -> Option<(u64, Place)> {
        let item = &self.waiting[self.next_index()?];
        let place = item.place.filter(|_| item.bytes.is_none())?;
        Some((item.order, place))
    }

    /// It was read, or could not be, and is lost then.
    pub(crate) fn handle_loaded(&mut self, order: u64, bytes: Option<Bytes>) {
        let is_it = |item: &Item| item.order == order && item.bytes.is_none();
        if let Some(bytes) = bytes {
            if let Some(item) = self.waiting.iter_mut().find(|item| is_it(item)) {
                self.held += 1;
                self.held_bytes += bytes.len();
                item.bytes = Some(bytes);
            }
        } else if let Some(lost) = take_first(&mut self.waiting, is_it) {
            self.lose(lost);
        }
    }

    /// Under which ids main knows what is in the file.
    pub(crate) fn sent(&self) -> Vec<(u64, MessageId)> {
        let held = self.said.iter().chain(&self.waiting);
        let filed = held.filter(|item| item.is_captured() && item.is_filed);
        filed.filter_map(|item| Some((item.order, item.id?))).collect()
    }

    /// What main has acknowledged since the last time, of what is in the file.
    pub(crate) fn take_taken(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.taken)
    }

    /// There is no file any more. Everything in it was acknowledged.
    pub(crate) fn clear_file(&mut self) {
        self.is_file_behind = true;
        self.file_run = None;
        self.taken.clear();
        for item in self.changes() {
            item.is_filed = false;
        }
    }

    /// Ends it. Whoever waits for an answer is told that there will be none.
    pub(crate) fn give_up(&mut self) {
        self.fail_flushes();
        self.streams.give_up();
        self.said.clear();
        self.waiting.clear();
        self.heard.clear();
    }

    /// How many were given up since the last time for want of room, by channel.
    pub(crate) fn take_losses(&mut self) -> Losses {
        self.losses.take()
    }
}
