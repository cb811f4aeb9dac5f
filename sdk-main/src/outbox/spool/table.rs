//! What the spool knows of its entries, and in which order they go when room is needed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::name::{Millis, Name};
use super::stream::{Growing, StreamId};
use crate::outbox::{EntryId, Priority};

/// An entry.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) name: Name,
    /// Since when it is kept: when it was created, or when it was found to be from the future.
    pub(super) since: Millis,
    pub(super) place: Place,
}

/// Where an entry is.
#[derive(Debug)]
pub(super) enum Place {
    Disk {
        /// Whether its content is known to be what was written. What this process wrote is.
        is_verified: bool,
    },
    Memory {
        bytes: Bytes,
        /// Whether its sender keeps it as well, until it is told that it is on disk. Then it is not
        /// given up here: it is nobody's to lose.
        is_kept_by_sender: bool,
    },
}

impl Place {
    pub(super) const fn memory(bytes: Bytes) -> Self {
        Self::Memory { bytes, is_kept_by_sender: false }
    }
}

/// The place of an entry in the order of giving up: the least urgent first, of these what is only
/// attached to something, then the oldest.
type Turn = (Reverse<Priority>, Worth, Millis, EntryId);

/// What is worth less goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Attached,
    Itself,
}

/// All entries.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<EntryId, Held>,
    order: BTreeSet<Turn>,
    bytes: u64,
    in_memory: BTreeSet<EntryId>,
    /// What of these may be given up.
    ours: Usage,
    /// What of them their senders keep as well.
    senders: Usage,
    /// Streams that are not entries yet.
    growing: BTreeMap<StreamId, Growing>,
    /// One that is not given up now.
    busy: Option<EntryId>,
}

/// How many there are, and how many bytes they have.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    count: usize,
    bytes: u64,
}

impl Usage {
    fn add(&mut self, length: u64) {
        self.count += 1;
        self.bytes += length;
    }

    fn subtract(&mut self, length: u64) {
        self.count -= 1;
        self.bytes -= length;
    }

    fn has_room(self, length: u64, max_count: usize, max_bytes: u64) -> bool {
        self.count < max_count && self.bytes.saturating_add(length) <= max_bytes
    }
}

/// Room that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) max_count: usize,
    pub(super) max_bytes: u64,
    /// Only entries in memory count, and only they are given up.
    pub(super) is_in_memory: bool,
}

/// What has to go to make room.
#[derive(Debug, Default)]
pub(super) struct Victims {
    pub(super) streams: Vec<StreamId>,
    pub(super) entries: Vec<EntryId>,
}

impl Table {
    pub(super) fn insert(&mut self, id: EntryId, held: Held) {
        self.remove(id);
        self.bytes += held.name.length;
        if let Place::Memory { is_kept_by_sender, .. } = held.place {
            self.in_memory.insert(id);
            self.usage_of(is_kept_by_sender).add(held.name.length);
        }
        self.order.insert(turn(id, &held));
        self.entries.insert(id, held);
    }

    pub(super) fn remove(&mut self, id: EntryId) -> Option<Held> {
        let held = self.entries.remove(&id)?;
        self.bytes -= held.name.length;
        if let Place::Memory { is_kept_by_sender, .. } = held.place {
            self.in_memory.remove(&id);
            self.usage_of(is_kept_by_sender).subtract(held.name.length);
        }
        self.order.remove(&turn(id, &held));
        Some(held)
    }

    fn usage_of(&mut self, is_kept_by_sender: bool) -> &mut Usage {
        if is_kept_by_sender { &mut self.senders } else { &mut self.ours }
    }

    /// The sender of an entry that only memory holds keeps it as well.
    pub(super) fn set_kept_by_sender(&mut self, id: EntryId) {
        if let Some(Held { place: Place::Memory { bytes, .. }, name, since }) = self.remove(id) {
            let place = Place::Memory { bytes, is_kept_by_sender: true };
            self.insert(id, Held { name, since, place });
        }
    }

    /// Whether memory takes an entry of so many bytes which its sender keeps as well, without that
    /// anything has to go: half as much as of others.
    pub(super) fn has_room_beside(&self, length: u64, room: Room) -> bool {
        let Room { max_count, max_bytes, .. } = room;
        self.ours.has_room(length, max_count, max_bytes)
            && self.senders.has_room(length, max_count / 2, max_bytes / 2)
    }

    pub(super) fn insert_stream(&mut self, id: StreamId, growing: Growing) {
        self.growing.insert(id, growing);
    }

    pub(super) fn remove_stream(&mut self, id: StreamId) -> Option<Growing> {
        self.growing.remove(&id)
    }

    pub(super) fn stream(&self, id: StreamId) -> Option<&Growing> {
        self.growing.get(&id)
    }

    pub(super) fn stream_mut(&mut self, id: StreamId) -> Option<&mut Growing> {
        self.growing.get_mut(&id)
    }

    /// The stream that goes first: the one that began last.
    pub(super) fn last_stream(&self) -> Option<StreamId> {
        self.growing.keys().next_back().copied()
    }

    fn growing_bytes(&self) -> u64 {
        self.growing.values().map(Growing::length).sum()
    }

    /// Whether so many more entries and bytes fit without anything having to go.
    pub(super) fn has_room(&self, entries: usize, bytes: u64, room: Room) -> bool {
        let count = self.entries.len() + self.growing.len() + entries;
        let bytes = (self.bytes + self.growing_bytes()).saturating_add(bytes);
        count <= room.max_count && bytes <= room.max_bytes
    }

    /// How many entries and streams there are, and how many bytes they have.
    pub(super) fn amount(&self) -> (usize, u64) {
        (self.entries.len() + self.growing.len(), self.bytes + self.growing_bytes())
    }

    pub(super) fn set_busy(&mut self, id: Option<EntryId>) {
        self.busy = id;
    }

    pub(super) fn get(&self, id: EntryId) -> Option<&Held> {
        self.entries.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: EntryId) -> Option<&mut Place> {
        self.entries.get_mut(&id).map(|held| &mut held.place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (EntryId, &Held)> + '_ {
        self.entries.iter().map(|(id, held)| (*id, held))
    }

    pub(super) fn in_memory(&self) -> impl Iterator<Item = EntryId> + '_ {
        self.in_memory.iter().copied()
    }

    pub(super) fn is_all_on_disk(&self) -> bool {
        self.in_memory.is_empty()
    }

    /// What to give up so that an entry of `length` bytes fits. Nothing if it cannot, since what would
    /// have to go is more urgent than it: then it is better refused. Streams go before all entries.
    pub(super) fn victims_for(
        &self,
        priority: Priority,
        length: u64,
        room: Room,
    ) -> Option<Victims> {
        let (mut count, mut bytes) = if room.is_in_memory {
            (self.ours.count, self.ours.bytes)
        } else {
            let count = self.entries.len() + self.growing.len();
            (count, self.bytes + self.growing_bytes())
        };
        let mut victims = Victims::default();
        let mut streams = self.growing.iter().rev().filter(|_| !room.is_in_memory);
        let mut candidates = self
            .order
            .iter()
            .take_while(|(Reverse(other), ..)| *other >= priority)
            .filter(|(.., id)| !self.is_kept_by_sender(*id))
            .filter(|(.., id)| !room.is_in_memory || self.in_memory.contains(id))
            .filter(|(.., id)| self.busy != Some(*id));
        while count + 1 > room.max_count || bytes.saturating_add(length) > room.max_bytes {
            if let Some((id, growing)) = streams.next() {
                bytes -= growing.length();
                count -= 1;
                victims.streams.push(*id);
                continue;
            }
            let id = candidates.next()?.3;
            bytes -= self.entries.get(&id)?.name.length;
            count -= 1;
            victims.entries.push(id);
        }
        Some(victims)
    }

    fn is_kept_by_sender(&self, id: EntryId) -> bool {
        let place = self.entries.get(&id).map(|held| &held.place);
        matches!(place, Some(Place::Memory { is_kept_by_sender: true, .. }))
    }

    /// What has to go from a full disk so that an entry of `length` bytes gets its room: streams, and
    /// what is less urgent than it. Nothing if all of that together does not suffice.
    pub(super) fn victims_on_disk(&self, priority: Priority, length: u64) -> Option<Victims> {
        let needed = on_disk(length);
        let mut freed = 0;
        let mut victims = Victims::default();
        let mut streams = self.growing.iter().rev();
        let mut candidates = self
            .order
            .iter()
            .take_while(|(Reverse(other), ..)| *other > priority)
            .filter(|(.., id)| !self.in_memory.contains(id) && self.busy != Some(*id));
        while freed < needed {
            if let Some((id, growing)) = streams.next() {
                freed += on_disk(growing.length());
                victims.streams.push(*id);
                continue;
            }
            let id = candidates.next()?.3;
            freed += on_disk(self.entries.get(&id)?.name.length);
            victims.entries.push(id);
        }
        Some(victims)
    }

    /// The entries that are kept since before `limit`.
    pub(super) fn older_than(&self, limit: Millis) -> Vec<EntryId> {
        let mut old = Vec::new();
        for (priority, worth) in
            Priority::ALL.into_iter().flat_map(|p| [(p, Worth::Attached), (p, Worth::Itself)])
        {
            let first = (Reverse(priority), worth, 0, EntryId::new(0));
            let limit = (Reverse(priority), worth, limit, EntryId::new(0));
            let ids = self.order.range(first..limit).map(|turn| turn.3);
            old.extend(ids.filter(|id| self.busy != Some(*id)));
        }
        old
    }

    /// Has what is kept since a time in the future kept since `now`.
    pub(super) fn bring_back(&mut self, now: Millis) {
        let early: Vec<EntryId> =
            self.order.iter().filter(|turn| turn.2 > now).map(|turn| turn.3).collect();
        for id in early {
            if let Some(held) = self.remove(id) {
                self.insert(id, Held { since: now, ..held });
            }
        }
    }
}

/// What a file of so many bytes takes up, as most file systems count it.
fn on_disk(length: u64) -> u64 {
    length.max(1).next_multiple_of(4096)
}

fn turn(id: EntryId, held: &Held) -> Turn {
    let worth = if held.name.is_only_attached() { Worth::Attached } else { Worth::Itself };
    (Reverse(held.name.priority), worth, held.since, id)
}
