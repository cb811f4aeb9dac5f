//! What is left behind for the next main.

use std::collections::BTreeSet;

use guardhouse_process::losses::Losses;
use guardhouse_protocol::Channel;
use guardhouse_protocol::frame::{Frame, MessageId};
use guardhouse_protocol::scope::ScopeMessage;

use super::{Courier, Item, changes, take_id};

impl Courier {
    /// Whether main has all that was captured.
    pub(crate) fn has_nothing(&self) -> bool {
        self.held == 0 && self.streams.is_empty()
    }

    /// Whether something captured is not on the shelf.
    pub(crate) fn has_unshelved(&self) -> bool {
        self.held > self.shelved()
    }

    /// How much of what is on the shelf main has not acknowledged.
    pub(crate) fn shelved(&self) -> usize {
        let held = self.said.iter().chain(&self.waiting);
        held.filter(|item| item.is_captured() && item.is_shelved).count()
    }

    /// What belongs on the shelf and is not there yet, from now on counted as being there.
    pub(crate) fn poll_shelf(&mut self) -> Vec<Frame> {
        if !self.has_unshelved() {
            return Vec::new();
        }
        let mut frames = Vec::new();
        let mut updates = Vec::new();
        if std::mem::take(&mut self.is_shelf_behind) {
            updates = self.statement.before();
            for item in self.changes() {
                item.is_shelved = false;
            }
        }
        let mut items: Vec<_> =
            self.heard.iter_mut().chain(&mut self.said).chain(&mut self.waiting).collect();
        items.sort_by_key(|item| item.order);
        let is_missing = |item: &&mut Item| item.is_captured() && !item.is_shelved;
        let end = items.iter().rposition(is_missing).map_or(0, |last| last + 1);
        for item in &mut items[..end] {
            if item.is_shelved || item.order == 0 {
                continue;
            }
            if item.is_change() {
                item.is_shelved = true;
                updates.extend(changes::updates(item));
            } else if item.is_captured() {
                item.is_shelved = true;
                for bytes in ScopeMessage::write(&std::mem::take(&mut updates)) {
                    let id = take_id(&mut self.next_id);
                    frames.push(Frame::Message { id, channel: Channel::Scope, payload: bytes });
                }
                let id = *item.id.get_or_insert_with(|| take_id(&mut self.next_id));
                self.outstanding.insert(id);
                let (channel, payload) = (item.channel, item.bytes.clone());
                frames.push(Frame::Message { id, channel, payload });
            }
        }
        frames
    }

    fn changes(&mut self) -> impl Iterator<Item = &mut Item> {
        let held = self.heard.iter_mut().chain(&mut self.said).chain(&mut self.waiting);
        held.filter(|item| item.is_change())
    }

    /// These could not be put on the shelf.
    pub(crate) fn unshelve(&mut self, frames: &[Frame]) {
        let ids = frames.iter().filter_map(|frame| match frame {
            Frame::Message { id, .. } => Some(*id),
            _ => None,
        });
        let ids: BTreeSet<MessageId> = ids.collect();
        self.is_shelf_behind = true;
        for item in self.said.iter_mut().chain(&mut self.waiting) {
            item.is_shelved &= !item.id.is_some_and(|id| ids.contains(&id));
        }
    }

    /// Whether the shelf has something that is held no more, and that main never acknowledged.
    pub(crate) fn is_only_on_shelf(&self) -> bool {
        self.is_only_on_shelf
    }

    /// There is no shelf any more.
    pub(crate) fn clear_shelf(&mut self) {
        self.is_only_on_shelf = false;
        self.is_shelf_behind = true;
        for item in self.said.iter_mut().chain(&mut self.waiting) {
            item.is_shelved = false;
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
