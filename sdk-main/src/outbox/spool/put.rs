//! How an envelope comes in: to disk, or to memory while the disk fails.

use std::io;
use std::time::SystemTime;

use bytes::Bytes;
use guardhouse_protocol::limits::MIB;
use guardhouse_protocol::{EditError, Envelope};

use super::error::is_full;
use super::folder::Folder;
use super::name::{self, Key, Mark, Name};
use super::stream::Growing;
use super::{Held, Place, Room, RunId, Spool};
use crate::losses::Reason;
use crate::outbox::{EntryId, Priority};

/// What became of an envelope that was put, and of others because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the sender has to know of the entry, and forget those that are gone"]
pub struct Put {
    /// Where it is now.
    pub placed: Placed,
    /// Entries that had to go, and are counted.
    pub evicted: Vec<EntryId>,
}

/// Where an envelope is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// On disk. Only this may be acknowledged as kept.
    Disk(EntryId),
    /// In memory, since the disk fails.
    Memory(EntryId),
    /// Nowhere: there is no room. It is counted.
    Refused,
}

impl Placed {
    /// The entry, unless it was refused.
    pub const fn id(self) -> Option<EntryId> {
        match self {
            Self::Disk(id) | Self::Memory(id) => Some(id),
            Self::Refused => None,
        }
    }
}

impl Spool {
    /// Takes an envelope. `created` is the time by which it ages.
    pub fn put(&mut self, priority: Priority, envelope: &Envelope, created: SystemTime) -> Put {
        let id = self.next_id();
        self.place(id, Mark::Number(id.number()), priority, envelope, created)
    }

    /// Takes an envelope of which there is one in a run, such as how the run ended. If one with this
    /// key is there, it stays as it is.
    ///
    /// A [`side`](Self::write_side) tells the next start to conclude the run; if it finds one with the
    /// key of an [`Outcome`](super::Outcome), it makes no other. So a run that concludes itself puts
    /// this first and removes the side then.
    pub fn put_as(
        &mut self,
        key: &Key,
        priority: Priority,
        envelope: &Envelope,
        created: SystemTime,
    ) -> Put {
        let run = self.run();
        let mark = Mark::Key(key.clone());
        let is_it = |name: &Name| name.run == run && name.mark == mark;
        let known = self.table.iter().find(|(_, held)| is_it(&held.name)).map(|(id, _)| id);
        if let Some(id) = known {
            let placed = if self.is_durable(id) { Placed::Disk(id) } else { Placed::Memory(id) };
            return Put { placed, evicted: Vec::new() };
        }
        let id = self.next_id();
        self.place(id, mark, priority, envelope, created)
    }

    fn place(
        &mut self,
        id: EntryId,
        mark: Mark,
        priority: Priority,
        envelope: &Envelope,
        created: SystemTime,
    ) -> Put {
        let written = Written::new(envelope, self.run(), mark, priority, created);
        let room = self.room();
        let length = written.name.length;
        let victims = (length <= self.limits.largest)
            .then(|| self.table.victims_for(priority, length, room))
            .flatten();
        let Some(victims) = victims else {
            return self.refuse(envelope, Reason::CacheOverflow, Vec::new());
        };
        self.lose_victims(&victims, Reason::CacheOverflow);
        let mut evicted = victims.entries;
        let placed = match self.write_making_room(&written, &mut evicted) {
            Ok(is_durable) => {
                self.trouble = None;
                self.hold_on_disk(id, &written, is_durable);
                Placed::Disk(id)
            }
            Err(error) => {
                self.trouble = Some(error);
                let room = Room {
                    max_count: self.limits.memory_count,
                    max_bytes: self.limits.memory_bytes,
                    is_in_memory: true,
                };
                let Some(victims) = self.table.victims_for(priority, length, room) else {
                    return self.refuse(envelope, Reason::QueueOverflow, evicted);
                };
                self.lose_victims(&victims, Reason::QueueOverflow);
                evicted.extend(victims.entries);
                self.hold(id, &written, Place::Memory(written.envelope.to_bytes()));
                Placed::Memory(id)
            }
        };
        self.keep_ledger();
        if self.trouble.is_none() {
            self.keep_reserve();
            if !self.table.is_all_on_disk() {
                self.try_again();
            }
        }
        Put { placed, evicted }
    }

    pub(super) fn hold_on_disk(&mut self, id: EntryId, written: &Written, is_durable: bool) {
        self.hold(id, written, Place::Disk { is_verified: true });
        if !is_durable {
            self.unsynced.push(written.name.envelope());
        }
    }

    pub(super) fn hold(&mut self, id: EntryId, written: &Written, place: Place) {
        let name = written.name.clone();
        self.table.insert(id, Held { since: name.created, name, place });
    }

    fn refuse(&mut self, envelope: &Envelope, reason: Reason, evicted: Vec<EntryId>) -> Put {
        self.ledger.losses.count_envelope(envelope, reason);
        self.is_ledger_new = true;
        self.keep_ledger();
        Put { placed: Placed::Refused, evicted }
    }

    /// Writes an envelope. On a full disk, older and no more urgent ones of ours make room; if that
    /// does not help soon, it is not ours to free.
    fn write_making_room(
        &mut self,
        written: &Written,
        evicted: &mut Vec<EntryId>,
    ) -> io::Result<bool> {
        let mut freed = 0;
        loop {
            let error = match self.write(written) {
                Ok(is_durable) => return Ok(is_durable),
                Err(error) => error,
            };
            if is_full(&error)
                && let Some(stream) = self.table.last_stream()
            {
                freed += self.table.stream(stream).map_or(0, Growing::length);
                self.lose_stream(stream, Reason::CacheOverflow);
                continue;
            }
            let victim = self.table.first_on_disk(written.name.priority);
            let (true, Some(victim)) = (is_full(&error), victim) else { return Err(error) };
            if freed > 2 * written.name.length + MIB as u64 {
                return Err(error);
            }
            // Even a small file takes a block.
            freed += self.table.get(victim).map_or(0, |held| held.name.length.max(4096));
            self.lose_all(&[victim], Reason::CacheOverflow);
            self.keep_ledger();
            evicted.push(victim);
            if self.is_ledger_new {
                // What is not counted is not deleted, and so makes no room.
                return Err(error);
            }
        }
    }

    /// Writes an envelope, and says whether it is durable already.
    fn write(&mut self, written: &Written) -> io::Result<bool> {
        match written.write_to(&self.own) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.renew() => {
                written.write_to(&self.own)
            }
            done => done,
        }
    }

    /// Makes the run another folder when somebody has deleted it under us.
    pub(super) fn renew(&mut self) -> bool {
        let Ok(own) = Folder::create(&self.runs, self.own.steps()) else { return false };
        self.own = own;
        self.unsynced.clear();
        self.sides.clear();
        self.has_reserve = false;
        self.is_ledger_new |= !self.ledger.is_empty();
        true
    }

    /// The room that there is on disk.
    pub(super) fn room(&self) -> Room {
        Room {
            max_count: self.limits.max_count,
            max_bytes: self.limits.max_bytes,
            is_in_memory: false,
        }
    }

    /// Moves to disk what is kept in memory, and deletes what could not be deleted, if the disk works
    /// again. Says whether nothing is left to be done. [`put`](Self::put) does so as well.
    pub fn try_again(&mut self) -> bool {
        // A disk that takes no record takes nothing else either, of which it is told below.
        let _ = self.keep_record();
        let undeleted = std::mem::take(&mut self.undeleted);
        self.undeleted = undeleted.into_iter().filter(|f| self.own.remove(f).is_err()).collect();
        let waiting: Vec<EntryId> = self.table.in_memory().collect();
        for id in waiting {
            let Some(Held { name, place: Place::Memory(bytes), .. }) = self.table.get(id) else {
                continue;
            };
            let Ok(envelope) = Envelope::parse(bytes.clone()) else { continue };
            let written = Written { name: name.clone(), envelope };
            match self.write(&written) {
                Ok(is_durable) => {
                    self.trouble = None;
                    self.hold_on_disk(id, &written, is_durable);
                }
                Err(error) => {
                    self.trouble = Some(error);
                    return false;
                }
            }
        }
        self.keep_ledger();
        self.undeleted.is_empty() && !self.is_ledger_new
    }
}

/// An envelope as it is written, and its name.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) name: Name,
    pub(super) envelope: Envelope,
}

impl Written {
    pub(super) fn new(
        envelope: &Envelope,
        run: RunId,
        mark: Mark,
        priority: Priority,
        created: SystemTime,
    ) -> Self {
        let mut envelope = envelope.clone();
        if envelope.items().iter().any(|item| item.length().is_none()) {
            // An item that is too large for an edit is written as it is.
            let _ = add_lengths(&mut envelope);
        }
        // A report may be sent behind it, and nobody can see from the bytes alone whether the newline
        // of a payload that ends with one is its own.
        envelope.end_line();
        let mut checksum = crc32fast::Hasher::new();
        let mut length = 0;
        envelope.for_each_piece(|piece| {
            checksum.update(piece);
            length += piece.len() as u64;
        });
        let name = Name {
            created: name::millis(created),
            run,
            mark,
            priority,
            length,
            checksum: checksum.finalize(),
            categories: name::categories(&envelope),
        };
        Self { name, envelope }
    }

    /// Writes the file. Says whether it is durable already, as it should be after a crash.
    pub(super) fn write_to(&self, folder: &Folder) -> io::Result<bool> {
        let mut pieces = Vec::with_capacity(8);
        self.envelope.for_each_piece(|piece| pieces.push(piece));
        let temp = Name::temp(self.name.run, &self.name.mark);
        let is_crash = self.name.priority == Priority::Crash;
        folder.write(&temp, &self.name.envelope(), &pieces, is_crash)?;
        // From here on the file is there, and stays if its name cannot be made durable.
        Ok(is_crash && folder.sync().is_ok())
    }
}

/// Gives every item a length, without which nobody sees where a file was cut.
fn add_lengths(envelope: &mut Envelope) -> Result<(), EditError> {
    for item in envelope.items_mut() {
        if item.length().is_none() {
            let payload = item.payload().clone();
            // A payload with a newline needs a length, and a length once there stays right.
            item.set_payload(Bytes::from_static(b"\n"))?;
            item.set_payload(payload)?;
        }
    }
    Ok(())
}
