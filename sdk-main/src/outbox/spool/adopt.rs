//! What dead runs have left: moved into this run's folder, and concluded.
//!
//! A run is dead if its lock is free. Whoever takes the lock adopts its files one by one, each by a
//! rename, so every file is at any time in the hands of one run, or of none and found again.
//!
//! Files that other parts of main keep beside the envelopes stay where they are until what they were
//! kept for is concluded. The [`Outcome`]s are spooled in the dead run's own folder, before these
//! files are deleted, so that whoever comes after a kill in between finds both, and makes none again.

use std::io;
use std::time::SystemTime;

use guardhouse_protocol::Envelope;

use super::folder::Folder;
use super::ledger::Ledger;
use super::name::{self, ADOPTED_LEDGER, CORRUPT, Kind, LEDGER, Mark, Millis, Name};
use super::{Entry, Held, Key, Place, Reason, Room, RunId, Spool, Step, Written};
use crate::outbox::{EntryId, Priority};

/// What one step of adopting has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the sender has to know of the entries, and forget those that are gone"]
pub struct Adopted {
    /// Entries that are new.
    pub found: Vec<Entry>,
    /// Entries that had to go because there are too many now, and are counted.
    pub evicted: Vec<EntryId>,
    /// Whether there may be more to adopt.
    pub is_more: bool,
}

/// A dead run that is to be concluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRun {
    /// Which.
    pub run: RunId,
    /// What other parts of main have kept there.
    pub sides: Vec<Side>,
}

/// What another part of main has kept in a dead run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The name that it gave.
    pub name: String,
    /// What it kept. Nothing if none of it is whole, as it may be after a power cut.
    pub bytes: Vec<u8>,
}

/// What is concluded of a dead run. If the run has put one with this key itself, that one counts.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// What it is, among the outcomes of a run.
    pub key: &'a Key,
    /// How urgent it is.
    pub priority: Priority,
    /// What to tell Sentry.
    pub envelope: &'a Envelope,
}

/// How far adopting has come.
#[derive(Debug, Default)]
pub(super) struct Adoption {
    /// Runs that were not looked at. Nothing if nobody has listed them.
    runs: Option<Vec<RunId>>,
    current: Option<Dying>,
    dead: Vec<(Folder, DeadRun)>,
}

/// A dead run whose files are being moved.
#[derive(Debug)]
struct Dying {
    folder: Folder,
    /// The files, the last first.
    files: Vec<(String, Kind)>,
    sides: Vec<String>,
}

impl Spool {
    /// Adopts about `max` files of dead runs. Call it again while there [is more](Adopted::is_more);
    /// afterwards there are [dead runs](Self::dead_runs) to be concluded.
    pub fn adopt_some(&mut self, max: usize, now: SystemTime) -> Adopted {
        let now = name::millis(now);
        let mut found = Vec::new();
        if let Err(error) = self.own.make() {
            // Without a folder there is nowhere to take anything over to. It stays for the next start.
            self.trouble = Some(error);
            return Adopted { found: Vec::new(), evicted: Vec::new(), is_more: false };
        }
        for _ in 0..max.max(1) {
            match self.adoption.current.take() {
                Some(mut dying) => match dying.files.pop() {
                    Some((file, kind)) => {
                        // What cannot be moved now is left, with all behind it, to the next start.
                        if let Ok(new) = self.adopt_file(&dying, &file, kind, now) {
                            found.extend(new);
                            self.adoption.current = Some(dying);
                        }
                    }
                    None => self.finish(dying),
                },
                None => {
                    let (runs, own) = (&self.runs, self.own.run());
                    let waiting = self.adoption.runs.get_or_insert_with(|| {
                        Folder::runs(runs).into_iter().filter(|run| *run != own).rev().collect()
                    });
                    let Some(run) = waiting.pop() else { break };
                    self.adoption.current = self.begin(run).unwrap_or_default();
                }
            }
        }
        let is_listed = self.adoption.runs.as_ref().is_some_and(Vec::is_empty);
        let is_more = self.adoption.current.is_some() || !is_listed;
        let evicted = self.evict_excess();
        self.keep_ledger();
        if !is_more {
            self.bound_corrupt();
            self.bound_records(name::time(now));
        }
        found.retain(|id| !evicted.contains(id));
        let found = found.into_iter().filter_map(|id| self.entry(id)).collect();
        Adopted { found, evicted, is_more }
    }

    /// The dead runs that are to be concluded, once everything else of them is adopted. Each has to be
    /// [settled](Self::settle), without outcomes if there is nothing to tell.
    pub fn dead_runs(&self) -> impl Iterator<Item = &DeadRun> + '_ {
        self.adoption.dead.iter().map(|(_, dead)| dead)
    }

    /// The outcomes that a dead run has put itself and that were not sent, which only its own folder
    /// knows of until it is concluded. One that cannot be read is left out.
    pub fn outcomes_of(&self, run: RunId) -> Vec<Envelope> {
        let dead = self.adoption.dead.iter().find(|(_, dead)| dead.run == run);
        let Some((folder, _)) = dead else { return Vec::new() };
        let names = own_keyed(folder).unwrap_or_default();
        let read =
            |name: &Name| Envelope::parse(folder.read(&name.envelope(), name.length).ok()?).ok();
        names.iter().filter_map(read).collect()
    }

    /// Concludes a dead run: spools the outcomes, each of which it has once and durable, and then
    /// deletes what they were made from. On an error it can be tried again, now or at the next start.
    pub fn settle(
        &mut self,
        run: RunId,
        outcomes: &[Outcome<'_>],
        now: SystemTime,
    ) -> io::Result<Adopted> {
        let Some(index) = self.adoption.dead.iter().position(|(_, dead)| dead.run == run) else {
            return Ok(Adopted { found: Vec::new(), evicted: Vec::new(), is_more: false });
        };
        let (folder, dead) = &self.adoption.dead[index];
        let present = own_keyed(folder)?;
        for outcome in outcomes {
            let mark = Mark::Key(outcome.key.clone());
            if present.iter().any(|name| name.mark == mark) {
                continue;
            }
            let written = Written::new(outcome.envelope, run, mark, outcome.priority, now);
            let temp = Name::temp(run, &written.name.mark);
            let bytes = written.envelope.to_bytes();
            folder.write(&temp, &written.name.envelope(), &[&bytes], true)?;
        }
        folder.sync()?;
        self.own.steps().at(Step::Settle)?;
        for side in &dead.sides {
            folder.remove(&name::side(&side.name))?;
        }
        self.own.steps().past(Step::Settled);

        let (folder, _) = self.adoption.dead.swap_remove(index);
        let mut found = Vec::new();
        for name in own_keyed(&folder)? {
            let file = name.envelope();
            found.extend(self.adopt_envelope(&folder, &file, name, name::millis(now))?);
        }
        // If something else is in there, the next start looks at it.
        let _ = folder.remove_if_empty();
        let evicted = self.evict_excess();
        self.keep_ledger();
        let found = found.into_iter().filter_map(|id| self.entry(id)).collect();
        Ok(Adopted { found, evicted, is_more: false })
    }

    /// Takes a run's lock and sees what it has left. Nothing if it lives.
    fn begin(&mut self, run: RunId) -> io::Result<Option<Dying>> {
        let Some(folder) = Folder::adopt(&self.runs, run, self.own.steps())? else {
            return Ok(None);
        };
        self.adopt_ledger(&folder)?;
        let with_kind = |file: String| {
            let kind = name::kind(&file);
            (file, kind)
        };
        let mut files: Vec<_> = folder.list()?.into_iter().map(with_kind).collect();
        let sides: Vec<String> = files
            .iter()
            .filter_map(|(_, kind)| match kind {
                Kind::Side(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        // Broken ones last, when what was saved of them is known.
        files.sort_by_key(|(_, kind)| matches!(kind, Kind::Broken(_)));
        files.reverse();
        Ok(Some(Dying { folder, files, sides }))
    }

    /// Counts a dead run's ledger in. Files that it names are counted by it, and go first.
    fn adopt_ledger(&mut self, folder: &Folder) -> io::Result<()> {
        let run = folder.run();
        let bytes = match folder.read_slots(LEDGER) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // Nobody of us has put that there, so nothing is counted in it.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => None,
            bytes => bytes?,
        };
        let Some(ledger) = bytes.and_then(|bytes| Ledger::parse(&bytes)) else {
            let aside = format!("{run}{ADOPTED_LEDGER}{CORRUPT}");
            return folder.hand_over(LEDGER, &self.own, &aside);
        };
        // Nothing but what a ledger counts in, whatever somebody has written into it.
        let is_counted = |file: &&String| {
            !file.contains(['/', '\\'])
                && matches!(name::kind(file), Kind::Envelope(_) | Kind::Broken(_) | Kind::Ledger)
        };
        for file in ledger.included.iter().filter(is_counted) {
            folder.forget(file)?;
        }
        if ledger.losses.is_empty() {
            return folder.remove(LEDGER);
        }
        let file = format!("{run}{ADOPTED_LEDGER}");
        folder.hand_over(LEDGER, &self.own, &file)?;
        self.include(file, &ledger.losses);
        Ok(())
    }

    fn adopt_file(
        &mut self,
        dying: &Dying,
        file: &str,
        kind: Kind,
        now: Millis,
    ) -> io::Result<Option<EntryId>> {
        let folder = &dying.folder;
        match kind {
            // Of a stream that was not complete, whoever sends it was not told that it is kept.
            Kind::Temp | Kind::Stream => folder.remove(file)?,
            Kind::Side(_) | Kind::Unknown => {}
            // The outcomes of a run stay until it is concluded, so that none is made twice.
            Kind::Envelope(name) if !dying.sides.is_empty() && is_own_keyed(folder, &name) => {}
            Kind::Envelope(name) => return self.adopt_envelope(folder, file, name, now),
            Kind::Broken(name) => {
                if self.hand_over(folder, file, file)? {
                    return Ok(self.mend(&name));
                }
            }
            Kind::Ledger => {
                if self.hand_over(folder, file, file)? {
                    let ledger = self.own.read_slots(file).ok().flatten();
                    let ledger = ledger.and_then(|bytes| Ledger::parse(&bytes));
                    self.include(file.to_owned(), &ledger.unwrap_or_default().losses);
                }
            }
            Kind::Corrupt => drop(self.hand_over(folder, file, file)?),
            Kind::Unmerged(run) => {
                if self.hand_over(folder, file, file)? {
                    self.found_unmerged(run);
                }
            }
        }
        Ok(None)
    }

    fn adopt_envelope(
        &mut self,
        folder: &Folder,
        file: &str,
        name: Name,
        now: Millis,
    ) -> io::Result<Option<EntryId>> {
        // What is from the future is from now: it would not age.
        let new = Name { created: name.created.min(now), ..name.clone() };
        // By the name that it has: a later version may have said more in it than this one would.
        if !self.hand_over(folder, file, &new.envelope())? {
            return Ok(None);
        }
        let id = self.next_id();
        let place = Place::Disk { is_verified: false };
        self.table.insert(id, Held { since: new.created, name: new, place });
        Ok(Some(id))
    }

    /// Moves a file here. Says whether it was there.
    fn hand_over(&self, from: &Folder, file: &str, new_name: &str) -> io::Result<bool> {
        match from.hand_over(file, &self.own, new_name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All files of a dead run are here, but those that are to be concluded.
    fn finish(&mut self, dying: Dying) {
        let Dying { folder, sides, .. } = dying;
        if sides.is_empty() {
            // If something is in there that is not ours, the next start looks at it again.
            let _ = folder.remove_if_empty();
            return;
        }
        let read = |name: String| {
            let file = name::side(&name);
            let bytes = match folder.read_slots(&file) {
                // None of ours has that size, so there is nothing in it to be concluded.
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => None,
                bytes => bytes?,
            };
            Ok(Side { bytes: bytes.unwrap_or_default(), name })
        };
        let sides: io::Result<Vec<Side>> = sides.into_iter().map(read).collect();
        if let Ok(sides) = sides {
            let run = folder.run();
            self.adoption.dead.push((folder, DeadRun { run, sides }));
        }
    }

    /// Gives up what is too much after others came.
    fn evict_excess(&mut self) -> Vec<EntryId> {
        let room = Room {
            max_count: self.limits.max_count + 1,
            max_bytes: self.limits.max_bytes,
            is_in_memory: false,
        };
        let excess = self.table.victims_for(Priority::Crash, 0, room).unwrap_or_default();
        let mut evicted = Vec::new();
        self.give_up_victims(excess, Reason::CacheOverflow, &mut evicted);
        evicted
    }
}

/// The outcomes that are spooled in the folder of the run that they are about.
fn own_keyed(folder: &Folder) -> io::Result<Vec<Name>> {
    let names = folder.list()?.into_iter().filter_map(|file| match name::kind(&file) {
        Kind::Envelope(name) if is_own_keyed(folder, &name) => Some(name),
        _ => None,
    });
    Ok(names.collect())
}

fn is_own_keyed(folder: &Folder, name: &Name) -> bool {
    name.run == folder.run() && matches!(name.mark, Mark::Key(_))
}
