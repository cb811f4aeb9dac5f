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
mod put;
mod read;
mod run_record;
mod side;
mod slots;
mod step;
mod stream;
mod sync;
mod table;
#[cfg(test)]
mod tests;
mod unmerged;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use guardhouse_protocol::limits::{ENVELOPE_BYTES, MIB};

use super::{EntryId, Priority};
use crate::losses::{Category, Reason};
use adopt::Adoption;
pub use adopt::{Adopted, DeadRun, Outcome, Side};
use error::is_full;
pub use error::{ReadError, SpoolError, SpoolFault};
use folder::Folder;
pub use guardhouse_protocol::RunId;
use ledger::Ledger;
pub use name::Key;
use put::Written;
pub use put::{Placed, Put};
pub use read::{Rest, Sending};
pub use run_record::RunFacts;
use side::Sides;
use slots::SlotFile;
use step::Steps;
#[doc(hidden)]
pub use step::{Hook, Step};
pub use stream::{StreamError, StreamId};
pub use sync::Unsynced;
use table::{Held, Place, Room, Table};
use unmerged::UnmergedFiles;
pub use unmerged::{Unmerged, UnmergedBatch, UnmergedKind};

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
/// - A [stream](Self::begin_stream) is nothing before it is [finished](Self::finish_stream), and then
///   like what is put with [`Priority::Normal`].
/// - A deletion survives the death of the process. After a power cut an envelope may be there again,
///   and is sent again; Sentry knows it by its event id.
///
/// # What goes when there is no room
///
/// The oldest of the least urgent: normal ones before sessions, crashes last, and of each of these
/// first what is only attached to something. A newcomer pushes out nothing that is more urgent than
/// itself; it is refused and counted instead.
///
/// That holds for the [`Limits`]. A full disk is another matter: who fills it may take whatever room is
/// made. There an entry is given up only for something more urgent than itself, only if that gets
/// enough room by it, and not again before the disk has taken something. Everything else is kept in
/// memory. The counts of what is lost have their room on disk from the start, so they can be written
/// down always, and nothing is deleted before they are.
///
/// A stream that [grows](Self::begin_stream) pushes out nothing at all, and makes room for whatever
/// else comes: a renderer that sends much takes nothing from others.
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
    /// What is true of this run, once it is known.
    facts: Option<RunFacts>,
    /// Whether the facts are on disk.
    has_record: bool,
    limits: Limits,
    table: Table,
    /// The number of the next entry.
    next: u64,
    ledger: Ledger,
    /// Whether the ledger holds something that its file does not.
    is_ledger_new: bool,
    /// Nothing as long as there was no room to make it. Then no loss can be written down, so nothing
    /// is given up that is on disk.
    ledger_file: Option<SlotFile>,
    /// Whether a power cut leaves the ledger as it is.
    is_ledger_synced: bool,
    /// Whether room that was made on a full disk did not help, and nothing was written since.
    is_room_taken: bool,
    /// Files that a power cut may still take.
    unsynced: Vec<String>,
    /// What other parts of main keep here.
    sides: Sides,
    /// Files of delivered envelopes that could not be deleted.
    undeleted: Vec<String>,
    adoption: Adoption,
    /// What this run and earlier ones could not merge.
    unmerged: UnmergedFiles,
    trouble: Option<io::Error>,
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
        check_owner(cache_dir)?;
        check_owner(&runs)?;
        let own = Folder::create(&runs, &steps)?;
        let made = own.make().and_then(|()| make_ledger(&own, &Ledger::default()));
        let (ledger_file, trouble) = match made {
            Ok(file) => (Some(file), None),
            // What is captured is kept in memory until there is room, and what is sent needs none.
            Err(error) if is_full(&error) || error.kind() == io::ErrorKind::FileTooLarge => {
                (None, Some(error))
            }
            Err(error) => {
                let _ = own.remove_if_empty();
                return Err(SpoolError::new(&own.path(""), error));
            }
        };
        Ok(Self {
            runs,
            own,
            facts: None,
            has_record: false,
            limits,
            table: Table::default(),
            next: 1,
            ledger: Ledger::default(),
            is_ledger_new: false,
            ledger_file,
            is_ledger_synced: true,
            is_room_taken: false,
            unsynced: Vec::new(),
            sides: Sides::new(),
            undeleted: Vec::new(),
            adoption: Adoption::default(),
            unmerged: UnmergedFiles::default(),
            trouble,
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

    /// An entry is being sent, or none is any more. As long as it is, it is not given up: it may have
    /// arrived, and must not be counted as lost then.
    pub fn set_busy(&mut self, id: Option<EntryId>) {
        self.table.set_busy(id);
    }

    /// Whether an entry is on disk.
    pub fn is_durable(&self, id: EntryId) -> bool {
        self.table.get(id).is_some_and(|held| matches!(held.place, Place::Disk { .. }))
    }

    /// Whether envelopes take up at least so many eighths of the room that there is for them.
    pub fn is_filled_to(&self, eighths: u64) -> bool {
        let (count, bytes) = self.table.amount();
        let is_filled =
            |amount: u64, most: u64| amount.saturating_mul(8) >= most.saturating_mul(eighths);
        is_filled(count as u64, self.limits.max_count as u64)
            || is_filled(bytes, self.limits.max_bytes)
    }

    /// Why the disk does not work, from the first failure until the next success.
    pub const fn trouble(&self) -> Option<&io::Error> {
        self.trouble.as_ref()
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
        let given_up = self.give_up(&old, Reason::CacheOverflow);
        self.keep_ledger();
        given_up
    }

    fn next_id(&mut self) -> EntryId {
        let id = EntryId::new(self.next);
        self.next += 1;
        id
    }
}

/// Refuses a directory of another user: whoever owns it may replace what is in it. One that is not there
/// is made, and then it is ours.
#[cfg(unix)]
fn check_owner(path: &Path) -> Result<(), SpoolError> {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid().as_raw();
    match path.metadata() {
        Ok(metadata) if metadata.uid() != user => {
            Err(SpoolError::foreign(path, metadata.uid(), user))
        }
        // What else is wrong with it shows when it is used.
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_owner(_: &Path) -> Result<(), SpoolError> {
    Ok(())
}

/// Makes the file of a ledger, whose room is taken now, so that what is lost on a full disk can be
/// written down.
fn make_ledger(own: &Folder, ledger: &Ledger) -> io::Result<SlotFile> {
    own.slots(name::LEDGER, ledger::CAPACITY, ledger.to_json().text().as_bytes())
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.own.is_ours() {
            return;
        }
        self.try_again();
        // Nobody was told that they are kept, so they are sent to the next run again.
        self.drop_streams();
        self.lose_memory();
        if self.ledger.is_empty() {
            let _ = self.own.remove(name::LEDGER);
        }
        // If something is left, it is for the next start.
        let _ = self.own.remove_if_empty();
    }
}
