//! Envelopes on disk, one file each, until Sentry has them.
//!
//! What [`Spool::put`] has taken survives the process. A file is written under a temporary name and
//! then gets its own, which says all there is to know about it, so there is no index that could be
//! wrong: to find out what there is, a run lists its folder. A file's state is the end of its name.
//!
//! A run's folder is its own as long as it lives, kept by a lock. Folders of dead runs are adopted, by
//! one of those who start, however many do so at once. What a dead run has left to be concluded, such
//! as how it ended, is handed out, and concluded exactly once.
//!
//! The queue is bounded by [`Limits`]. What leaves it without being delivered is counted in a ledger,
//! once, also if the process is killed in between; whoever reports the counts takes them out of it.
//!
//! When the disk fails, envelopes are kept in memory, bounded as well, until it works again.
//!
//! Everything here blocks. It is meant for one thread, which also decides when to send what; that and
//! the clock are left to it.

mod adopt;
mod error;
mod folder;
mod ledger;
mod lose;
mod name;
mod read;
mod step;
mod table;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use guardhouse_protocol::limits::{ENVELOPE_BYTES, MIB};
use guardhouse_protocol::{EditError, Envelope};

use super::{EntryId, Priority};
use crate::losses::{Category, Reason};
use adopt::Adoption;
pub use adopt::{Adopted, DeadRun, Outcome, Side};
use error::is_full;
pub use error::{ReadError, SpoolError, SpoolFault};
use folder::{Folder, sync_folder};
use ledger::Ledger;
pub use name::RunId;
use name::{Mark, Name};
pub use read::{Rest, Sending};
use step::Steps;
#[doc(hidden)]
pub use step::{Hook, Step};
use table::{Held, Place, Room, Table};

/// How much the spool keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How old an envelope gets.
    pub max_age: Duration,
    /// How many envelopes there are.
    pub max_count: usize,
    /// How many bytes they have together.
    pub max_bytes: u64,
    /// How many bytes an envelope has.
    pub largest: u64,
    /// How many envelopes are kept in memory when the disk fails.
    pub memory_count: usize,
    /// How many bytes these have together.
    pub memory_bytes: u64,
}

impl Default for Limits {
    /// 30 days, as `@sentry/electron` has it; 1000 envelopes, since also what is sent a moment later
    /// goes through here, and a burst should fit; 256 MiB, so that the largest that Sentry takes
    /// does. In memory 100 envelopes and 20 MiB.
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            max_count: 1000,
            max_bytes: 256 * MIB as u64,
            largest: ENVELOPE_BYTES as u64,
            memory_count: 100,
            memory_bytes: 20 * MIB as u64,
        }
    }
}

/// Envelopes on disk.
///
/// ```
/// use std::time::SystemTime;
///
/// use guardhouse_main::outbox::Priority;
/// use guardhouse_main::outbox::spool::{Limits, Spool};
/// use guardhouse_protocol::Envelope;
///
/// # let cache_dir = std::env::temp_dir().join(format!("guardhouse-doc-{}", std::process::id()));
/// let mut spool = Spool::open(&cache_dir, Limits::default())?;
/// let envelope = Envelope::parse(&b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n"[..])?;
/// let put = spool.put(Priority::Normal, &envelope, SystemTime::now());
///
/// let id = put.placed.id().expect("there is room");
/// assert_eq!(spool.read(id)?.to_bytes(), envelope.to_bytes());
/// spool.delete(id);
/// # drop(spool);
/// # std::fs::remove_dir(cache_dir.join("runs"))?;
/// # std::fs::remove_dir(cache_dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is durable when
///
/// - When [`put`](Self::put) returns [`Placed::Disk`], the envelope survives the death of the process.
/// - Of [`Priority::Crash`], it then survives a power cut as well, if the disk can do that at all.
/// - Of other priorities, it does once the [`Unsynced`] of a later [`take_unsynced`] is synced.
/// - [`Placed::Memory`] survives nothing; [`is_durable`] says when it has come to disk.
/// - A deletion survives the death of the process. After a power cut an envelope may be there again,
///   and is sent again; Sentry knows it by its event id.
///
/// # What goes when there is no room
///
/// The oldest of the least urgent: normal ones before sessions, crashes last. A newcomer pushes out
/// nothing that is more urgent than itself; it is refused and counted instead.
///
/// # At the end
///
/// Dropping the spool removes its folder if nothing is left in it. What is left is for the next start.
///
/// [`take_unsynced`]: Self::take_unsynced
/// [`is_durable`]: Self::is_durable
#[derive(Debug)]
pub struct Spool {
    runs: PathBuf,
    own: Folder,
    limits: Limits,
    table: Table,
    /// The number of the next entry.
    next: u64,
    ledger: Ledger,
    /// Whether the ledger holds something that its file does not.
    is_ledger_new: bool,
    has_reserve: bool,
    /// Files that a power cut may still take.
    unsynced: Vec<String>,
    /// Files of delivered envelopes that could not be deleted.
    undeleted: Vec<String>,
    adoption: Adoption,
    trouble: Option<io::Error>,
}

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

/// An envelope in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub id: EntryId,
    /// How urgent it is.
    pub priority: Priority,
    /// When it was created.
    pub created: SystemTime,
    /// How many bytes it has.
    pub size: u64,
    /// What it counts as: what makes an event of it first. Of many, the first six.
    pub categories: Vec<Category>,
    /// Whether an earlier run has left it.
    pub is_from_earlier_run: bool,
}

impl Spool {
    /// Makes the folder of a new run in `cache_dir` and locks it. Nothing else: what dead runs have
    /// left is adopted [later](Self::adopt_some).
    pub fn open(cache_dir: impl AsRef<Path>, limits: Limits) -> Result<Self, SpoolError> {
        Self::open_with(cache_dir.as_ref(), limits, Steps::default())
    }

    /// [Opens](Self::open) a spool that calls `hook` at each of its steps.
    #[doc(hidden)]
    pub fn open_with_hook(
        cache_dir: impl AsRef<Path>,
        limits: Limits,
        hook: Hook,
    ) -> Result<Self, SpoolError> {
        Self::open_with(cache_dir.as_ref(), limits, Steps(Some(hook)))
    }

    fn open_with(cache_dir: &Path, limits: Limits, steps: Steps) -> Result<Self, SpoolError> {
        let runs = cache_dir.join("runs");
        let own = Folder::create(&runs, &steps)?;
        Ok(Self {
            runs,
            own,
            limits,
            table: Table::default(),
            next: 1,
            ledger: Ledger::default(),
            is_ledger_new: false,
            has_reserve: false,
            unsynced: Vec::new(),
            undeleted: Vec::new(),
            adoption: Adoption::default(),
            trouble: None,
        })
    }

    /// Which run this is.
    pub const fn run(&self) -> RunId {
        self.own.run()
    }

    /// What there is to send, in the order in which it came.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.table.iter().map(|(id, held)| self.entry_of(id, held))
    }

    /// One of them.
    pub fn entry(&self, id: EntryId) -> Option<Entry> {
        self.table.get(id).map(|held| self.entry_of(id, held))
    }

    fn entry_of(&self, id: EntryId, held: &Held) -> Entry {
        Entry {
            id,
            priority: held.name.priority,
            created: name::time(held.name.created),
            size: held.name.length,
            categories: held.name.categories.clone(),
            is_from_earlier_run: held.name.run != self.run(),
        }
    }

    /// Whether an entry is on disk.
    pub fn is_durable(&self, id: EntryId) -> bool {
        self.table.get(id).is_some_and(|held| matches!(held.place, Place::Disk { .. }))
    }

    /// Why the disk does not work, from the first failure until the next success.
    pub const fn trouble(&self) -> Option<&io::Error> {
        self.trouble.as_ref()
    }

    /// Takes an envelope. `created` is the time by which it ages.
    pub fn put(&mut self, priority: Priority, envelope: &Envelope, created: SystemTime) -> Put {
        let id = self.next_id();
        self.place(id, Mark::Number(id.number()), priority, envelope, created)
    }

    /// Takes an envelope of which there is only one in a run. If one with this key is there, it
    /// stays as it is; whether one was there before and was delivered, the caller knows.
    ///
    /// [`Outcome`]s of a run whose keys it has used itself are not made again, so this is for what is
    /// concluded at the end of a run, or else at the next start.
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
        let room = Room {
            max_count: self.limits.max_count,
            max_bytes: self.limits.max_bytes,
            is_in_memory: false,
        };
        let length = written.name.length;
        let victims = (length <= self.limits.largest)
            .then(|| self.table.victims_for(priority, length, room))
            .flatten();
        let Some(mut evicted) = victims else {
            return self.refuse(envelope, Reason::CacheOverflow, Vec::new());
        };
        self.lose_all(&evicted, Reason::CacheOverflow);
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
                self.lose_all(&victims, Reason::QueueOverflow);
                evicted.extend(victims);
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

    fn hold_on_disk(&mut self, id: EntryId, written: &Written, is_durable: bool) {
        self.hold(id, written, Place::Disk { is_verified: true });
        if !is_durable {
            self.unsynced.push(written.name.envelope());
        }
    }

    fn hold(&mut self, id: EntryId, written: &Written, place: Place) {
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
            // Somebody has deleted the folder under us.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Ok(own) = Folder::create(&self.runs, self.own.steps()) else {
                    return Err(error);
                };
                self.own = own;
                self.unsynced.clear();
                self.has_reserve = false;
                self.is_ledger_new |= !self.ledger.is_empty();
                written.write_to(&self.own)
            }
            done => done,
        }
    }

    /// Moves to disk what is kept in memory, and deletes what could not be deleted, if the disk works
    /// again. Says whether nothing is left to be done. [`put`](Self::put) does so as well.
    pub fn try_again(&mut self) -> bool {
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

    /// Deletes what Sentry took, or what it said not to keep. If the file cannot be deleted, it is
    /// not an entry any more all the same.
    pub fn delete(&mut self, id: EntryId) {
        let Some(Held { name, place: Place::Disk { .. }, .. }) = self.table.remove(id) else {
            return;
        };
        let file = name.envelope();
        let steps = self.own.steps();
        match steps.at(Step::Delete).and_then(|()| self.own.remove(&file)) {
            Ok(()) => steps.past(Step::Deleted),
            Err(error) => {
                self.trouble = Some(error);
                self.undeleted.push(file);
            }
        }
    }

    /// Gives up what is older than [`Limits::max_age`], and says what.
    ///
    /// If the clock was set back, what is from the future counts as created now; from then on it
    /// ages, so it is not kept for ever.
    pub fn expire(&mut self, now: SystemTime) -> Vec<EntryId> {
        let now = name::millis(now);
        self.table.bring_back(now);
        let max_age = u64::try_from(self.limits.max_age.as_millis()).unwrap_or(u64::MAX);
        let old = self.table.older_than(now.saturating_sub(max_age));
        self.lose_all(&old, Reason::CacheOverflow);
        self.keep_ledger();
        old
    }

    /// What has to be synced to survive a power cut. The driver takes it at most once a second, and
    /// has a thread sync it that may block.
    pub fn take_unsynced(&mut self) -> Option<Unsynced> {
        let files = std::mem::take(&mut self.unsynced);
        (!files.is_empty()).then(|| Unsynced {
            files: files.iter().map(|file| self.own.path(file)).collect(),
            folders: vec![self.own.path(""), self.runs.clone()],
        })
    }

    /// Keeps something small for another part of main, and replaces what it has kept there before:
    /// as a whole or not at all. It survives a power cut like an envelope that is not of
    /// a crash. If the run dies, it is [handed out](Self::dead_runs) at the next start.
    pub fn write_side(&mut self, name: &Key, bytes: &[u8]) -> io::Result<()> {
        let file = name::side(name.as_str());
        self.own.replace(&file, bytes)?;
        if !self.unsynced.contains(&file) {
            self.unsynced.push(file);
        }
        Ok(())
    }

    /// What is kept under a name, if there is something.
    pub fn read_side(&self, name: &Key) -> io::Result<Option<Vec<u8>>> {
        match self.own.read(&name::side(name.as_str())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => bytes.map(Some),
        }
    }

    /// Removes it, so that nothing remains to be concluded.
    pub fn remove_side(&mut self, name: &Key) -> io::Result<()> {
        self.own.remove(&name::side(name.as_str()))
    }

    fn next_id(&mut self) -> EntryId {
        let id = EntryId::new(self.next);
        self.next += 1;
        id
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.try_again();
        let _ = self.own.remove(name::RESERVE);
        // If something is left, it is for the next start.
        let _ = self.own.remove_if_empty();
    }
}

/// A name for what there is once in a run: lower-case letters, digits and underscores, at most 32.
///
/// ```
/// use guardhouse_main::outbox::spool::Key;
///
/// assert_eq!(Key::new("session").unwrap().as_str(), "session");
/// assert_eq!(Key::new("../session"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// Checks a name.
    pub fn new(key: &str) -> Option<Self> {
        let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        ((1..=32).contains(&key.len()) && key.bytes().all(is_good)).then(|| Self(key.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Files that a power cut may still take.
#[derive(Debug)]
#[must_use = "nothing is durable until it is synced"]
pub struct Unsynced {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Unsynced {
    /// Makes them durable: the files, and then once the folders. It blocks while the disk is at it.
    pub fn sync(self) -> io::Result<()> {
        for file in &self.files {
            match std::fs::OpenOptions::new().write(true).open(file) {
                // It was sent meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => opened?.sync_all()?,
            }
        }
        self.folders.iter().try_for_each(|folder| sync_folder(folder))
    }
}

/// An envelope as it is written, and its name.
#[derive(Debug)]
struct Written {
    name: Name,
    envelope: Envelope,
}

impl Written {
    fn new(
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
    fn write_to(&self, folder: &Folder) -> io::Result<bool> {
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
