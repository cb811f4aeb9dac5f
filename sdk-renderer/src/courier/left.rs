//! What is left behind for the next main.

use std::collections::BTreeSet;

use guardhouse_process::losses::Losses;
use guardhouse_protocol::Channel;
use guardhouse_protocol::frame::{Frame, MessageId};

use super::{Courier, take_id};

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
        self.said.iter().chain(&self.waiting).filter(|item| item.is_shelved).count()
    }

    /// What belongs on the shelf and is not there yet, from now on counted as being there.
    pub(crate) fn poll_shelf(&mut self) -> Vec<Frame> {
        if !self.has_unshelved() {
            return Vec::new();
        }
        let message = |id, channel, payload| Frame::Message { id, channel, payload };
        let mut frames = Vec::new();
        for bytes in self.statement.take_for_shelf() {
            frames.push(message(take_id(&mut self.next_id), Channel::Scope, bytes));
        }
        for item in self.said.iter_mut().chain(&mut self.waiting) {
            if item.is_captured() && !item.is_shelved {
                item.is_shelved = true;
                let id = *item.id.get_or_insert_with(|| take_id(&mut self.next_id));
                self.outstanding.insert(id);
                frames.push(message(id, item.channel, item.bytes.clone()));
            }
        }
        frames
    }

    /// These could not be put on the shelf.
    pub(crate) fn unshelve(&mut self, frames: &[Frame]) {
        let ids = frames.iter().filter_map(|frame| match frame {
            Frame::Message { id, .. } => Some(*id),
            _ => None,
        });
        let ids: BTreeSet<MessageId> = ids.collect();
        self.statement.clear_shelf();
        for item in self.said.iter_mut().chain(&mut self.waiting) {
            item.is_shelved &= !item.id.is_some_and(|id| ids.contains(&id));
        }
    }

    /// There is no shelf any more.
    pub(crate) fn clear_shelf(&mut self) {
        self.statement.clear_shelf();
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
    }

    /// How many were given up since the last time for want of room, by channel.
    pub(crate) fn take_losses(&mut self) -> Losses {
        self.losses.take()
    }
}
