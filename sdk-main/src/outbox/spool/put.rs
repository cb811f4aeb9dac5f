//! How an envelope comes in: to disk, or to memory while the disk fails.

use std::io;
use std::time::SystemTime;

use bytes::Bytes;
use guardhouse_protocol::{EditError, Envelope};

use super::error::{SpoolError, is_full};
use super::folder::Folder;
use super::name::{self, Key, Mark, Name};
use super::{Held, Place, Room, RunId, Spool, make_ledger};
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
        let mut evicted = Vec::new();
        let has_room = self.give_up_victims(victims, Reason::CacheOverflow, &mut evicted);
        let written_to_disk = if has_room {
            self.write_making_room(&written, &mut evicted).map(Some)
        } else {
            Ok(None)
        };
        let placed = match written_to_disk {
            Ok(Some(is_durable)) => {
                self.works_again();
                self.hold_on_disk(id, &written, is_durable);
                Placed::Disk(id)
            }
            failed => {
                if let Err(error) = failed {
                    self.trouble = Some(error);
                }
                let memory = self.memory();
                let Some(victims) = self.table.victims_for(priority, length, memory) else {
                    return self.refuse(envelope, Reason::QueueOverflow, evicted);
                };
                self.give_up_victims(victims, Reason::QueueOverflow, &mut evicted);
                let Some(bytes) = written.to_bytes() else {
                    return self.refuse(envelope, Reason::QueueOverflow, evicted);
                };
                self.hold(id, &written, Place::memory(bytes));
                Placed::Memory(id)
            }
        };
        self.keep_ledger();
        if self.trouble.is_none() && !self.table.is_all_on_disk() {
            self.try_again();
        }
        Put { placed, evicted }
    }

    /// The disk has taken something.
    fn works_again(&mut self) {
        self.trouble = None;
        self.is_room_taken = false;
    }

    /// Whether an envelope of about so many bytes can be taken of a sender that keeps it until it is on
    /// disk: either the disk takes it, or there is room in memory without anything having to go. While
    /// it cannot, the sender should wait. This looks whether the disk works again.
    pub fn can_take_of_sender(&mut self, length: u64) -> bool {
        if self.trouble.is_none() && self.has_written_losses() {
            return true;
        }
        self.try_again();
        self.has_written_losses()
            && (self.trouble.is_none() || self.table.has_room_beside(length, self.memory()))
    }

    /// The sender of an entry that only memory holds keeps it as well, until it is told that it is on
    /// disk. So it is not given up to make room in memory.
    pub fn set_kept_by_sender(&mut self, id: EntryId) {
        self.table.set_kept_by_sender(id);
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

    /// Writes an envelope. On a full disk, streams and what is less urgent make room for it, as much as
    /// it needs. What is as urgent does not: one would be lost for one that is kept.
    ///
    /// If the room that was made does not help, somebody else has taken it. Then nothing is given up
    /// any more until the disk has taken something again.
    fn write_making_room(
        &mut self,
        written: &Written,
        evicted: &mut Vec<EntryId>,
    ) -> io::Result<bool> {
        let error = match self.write(written) {
            Err(error) if is_full(&error) && !self.is_room_taken => error,
            done => return done,
        };
        let Name { priority, length, .. } = written.name;
        let Some(victims) = self.table.victims_on_disk(priority, length) else {
            return Err(error);
        };
        if !self.give_up_victims(victims, Reason::CacheOverflow, evicted) {
            return Err(error);
        }
        // The streams among them.
        self.keep_ledger();
        let written = self.write(written);
        self.is_room_taken = written.as_ref().is_err_and(is_full);
        written
    }

    /// Writes an envelope, and says whether it is durable already.
    fn write(&mut self, written: &Written) -> io::Result<bool> {
        match written.write_to(&self.own) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.renew()?;
                written.write_to(&self.own)
            }
            done => done,
        }
    }

    /// Makes the run's folder when somebody has deleted it under us, or there was no room for it.
    pub(super) fn renew(&mut self) -> io::Result<()> {
        if !self.own.is_locked() {
            let own = Folder::create(&self.runs, self.own.steps());
            self.own = own.map_err(SpoolError::into_source)?;
            // What this run is called has changed.
            self.has_record = false;
        }
        self.own.make()?;
        self.ledger_file = make_ledger(&self.own, &self.ledger).ok();
        self.is_ledger_new = self.ledger_file.is_none() && !self.ledger.is_empty();
        self.unsynced.clear();
        self.sides.clear();
        Ok(())
    }

    /// The room that there is on disk.
    pub(super) fn room(&self) -> Room {
        Room {
            max_count: self.limits.max_count,
            max_bytes: self.limits.max_bytes,
            is_in_memory: false,
        }
    }

    /// The room that there is in memory.
    fn memory(&self) -> Room {
        Room {
            max_count: self.limits.memory_count,
            max_bytes: self.limits.memory_bytes,
            is_in_memory: true,
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
            let Some(Held { name, place: Place::Memory { bytes, .. }, .. }) = self.table.get(id)
            else {
                continue;
            };
            let Ok(envelope) = Envelope::parse(bytes.clone()) else { continue };
            let written = Written { name: name.clone(), envelope };
            match self.write(&written) {
                Ok(is_durable) => {
                    self.works_again();
                    self.hold_on_disk(id, &written, is_durable);
                }
                Err(error) => {
                    self.trouble = Some(error);
                    return false;
                }
            }
        }
        if self.ledger_file.is_none() {
            // The room that it will need is taken before.
            let _ = self.write_ledger();
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

    /// All of it at once. Nothing if there is no memory for it.
    fn to_bytes(&self) -> Option<Bytes> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(self.name.length).ok()?).ok()?;
        self.envelope.for_each_piece(|piece| bytes.extend_from_slice(piece));
        Some(bytes.into())
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
