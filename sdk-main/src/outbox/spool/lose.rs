//! What leaves the spool without being delivered: counted, and counted once.
//!
//! The ledger is a file that is written in place, so it can be written on a full disk as well. One
//! write counts what is given up and names the files that are, and only then these are deleted. Whoever
//! finds a dead run's ledger deletes what it names: that is counted, and no envelope any more.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use bytes::Bytes;
use guardhouse_protocol::Envelope;
use guardhouse_protocol::json::Object;
use guardhouse_protocol::limits::HEADER_BYTES;

use super::name::{self, Kind, Mark, Name};
use super::read::is_whole;
use super::table::Victims;
use super::{Held, Place, Spool, Step, make_ledger};
use crate::losses::{Category, Losses, Reason};
use crate::outbox::EntryId;

/// How many entries are given up with one write: the ledger names their files, and has to fit its slot.
const AT_ONCE: usize = 16;

/// How much is kept for people to look at, of what was damaged.
const CORRUPT_FILES: usize = 10;
const CORRUPT_BYTES: u64 = 10_000_000;

impl Spool {
    /// Gives an entry up and counts what it holds. If that cannot be written down, the file stays, and
    /// the next start finds it again.
    pub fn lose(&mut self, id: EntryId, reason: Reason) {
        if self.give_up(&[id], reason).is_empty() {
            self.table.remove(id);
        }
        self.keep_ledger();
    }

    /// Counts what was lost elsewhere.
    pub fn count(&mut self, losses: &Losses) {
        self.ledger.losses.add(losses);
        self.is_ledger_new |= !losses.is_empty();
        self.keep_ledger();
    }

    /// What was lost and is not reported, by this run and those that it has adopted.
    pub const fn losses(&self) -> &Losses {
        &self.ledger.losses
    }

    /// Whether all of it is written down. What is counted in memory alone must not be acknowledged.
    pub const fn has_written_losses(&self) -> bool {
        !self.is_ledger_new
    }

    /// Takes out what Sentry was told of.
    pub fn reported(&mut self, losses: &Losses) {
        self.ledger.losses.subtract(losses);
        self.is_ledger_new |= !losses.is_empty();
        self.keep_ledger();
    }

    /// Gives entries up, and says which. What is on disk is counted there first; if that fails, it
    /// stays an entry, and so do all behind it. What only memory holds is counted for good once the
    /// ledger is [kept](Self::keep_ledger).
    pub(super) fn give_up(&mut self, ids: &[EntryId], reason: Reason) -> Vec<EntryId> {
        let mut given_up = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            let mut losses = Losses::new();
            let mut files = Vec::new();
            for Held { name, place, .. } in ids.iter().filter_map(|id| self.table.get(*id)) {
                match place {
                    Place::Memory { bytes, .. } => {
                        losses.add(&counted(name, bytes.clone(), reason));
                    }
                    Place::Disk { .. } => {
                        losses.add(&self.losses_of(name, reason));
                        files.push(name.envelope());
                    }
                }
            }
            if let Err(error) = self.give_up_files(&losses, files) {
                self.trouble = Some(error);
                break;
            }
            let is_there = |id: &&EntryId| self.table.remove(**id).is_some();
            given_up.extend(ids.iter().filter(is_there));
        }
        given_up
    }

    /// Counts losses, and deletes the files that they stand for when that is written down.
    fn give_up_files(&mut self, losses: &Losses, files: Vec<String>) -> io::Result<()> {
        let before = self.ledger.clone();
        self.ledger.losses.add(losses);
        if files.is_empty() {
            self.is_ledger_new |= !losses.is_empty();
            return Ok(());
        }
        self.ledger.included.extend(files);
        let written = self.own.steps().at(Step::Lose).and_then(|()| self.write_ledger());
        if written.is_err() {
            self.ledger = before;
            return written;
        }
        self.delete_included();
        Ok(())
    }

    /// Gives up what makes room for something else. Says whether all of it is gone.
    pub(super) fn give_up_victims(
        &mut self,
        victims: Victims,
        reason: Reason,
        evicted: &mut Vec<EntryId>,
    ) -> bool {
        for stream in &victims.streams {
            self.count_stream(*stream, reason);
        }
        let given_up = self.give_up(&victims.entries, reason);
        let is_all = given_up.len() == victims.entries.len();
        evicted.extend(given_up);
        is_all
    }

    /// What is lost with an envelope on disk.
    fn losses_of(&self, name: &Name, reason: Reason) -> Losses {
        let file = name.envelope();
        let losses = if name.is_only_attached() {
            // It may be hundreds of megabytes, and its headers say how many.
            self.own.open(&file).and_then(|file| attached(name, file, reason))
        } else {
            self.own.read(&file, name.length).map(|bytes| counted(name, bytes.into(), reason))
        };
        losses.unwrap_or_else(|_| assumed(name, reason))
    }

    /// Counts an envelope whose file somebody else has deleted.
    pub(super) fn count_missing(&mut self, name: &Name, reason: Reason) {
        self.ledger.losses.add(&assumed(name, reason));
        self.is_ledger_new = true;
    }

    /// Counts what a file stands for. Once the ledger is kept, the file goes.
    pub(super) fn include(&mut self, file: String, losses: &Losses) {
        self.ledger.losses.add(losses);
        self.ledger.included.push(file);
        self.is_ledger_new = true;
    }

    /// Brings the ledger to disk, if it has changed, and deletes the files that it now counts in.
    /// If that fails, they stay until it works.
    pub(super) fn keep_ledger(&mut self) {
        if !self.is_ledger_new {
            return;
        }
        match self.write_ledger() {
            Ok(()) => self.delete_included(),
            Err(error) => self.trouble = Some(error),
        }
    }

    pub(super) fn write_ledger(&mut self) -> io::Result<()> {
        self.own.steps().at(Step::Ledger)?;
        let json = self.ledger.to_json();
        let written = match &mut self.ledger_file {
            Some(file) => file.write(json.text().as_bytes()),
            None => make_ledger(&self.own, &self.ledger).map(|file| self.ledger_file = Some(file)),
        };
        match written {
            // Somebody has deleted the folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.renew()?;
                if self.ledger_file.is_none() {
                    return Err(error);
                }
            }
            written => written?,
        }
        self.is_ledger_new = false;
        self.is_ledger_synced = false;
        self.own.steps().past(Step::Counted);
        Ok(())
    }

    /// Deletes the files that are counted. Those that stay are named until they can be deleted.
    fn delete_included(&mut self) {
        let steps = self.own.steps();
        let is_forgotten = |file: &String| {
            steps
                .at(Step::Forget)
                .and_then(|()| self.own.forget(file))
                .inspect(|()| steps.past(Step::Forgotten))
                .is_ok()
        };
        let (done, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.ledger.included).into_iter().partition(is_forgotten);
        self.ledger.included = left;
        if done.iter().any(|file| matches!(name::kind(file), Kind::Broken(_))) {
            self.bound_corrupt();
        }
    }

    /// Counts what only memory holds, since the run ends. What has a name of its own within the run, such
    /// as how it ended, the next start finds out itself, and what a sender keeps is not lost.
    pub(super) fn lose_memory(&mut self) {
        let ids: Vec<EntryId> = self.table.in_memory().collect();
        for id in ids {
            if let Some(Held { name, place: Place::Memory { bytes, is_kept_by_sender }, .. }) =
                self.table.remove(id)
                && !is_kept_by_sender
                && matches!(name.mark, Mark::Number(_))
            {
                self.ledger.losses.add(&counted(&name, bytes, Reason::CacheOverflow));
                self.is_ledger_new = true;
            }
        }
        self.keep_ledger();
    }

    /// Deletes the oldest of what is set aside if there is too much of it.
    pub(super) fn bound_corrupt(&self) {
        let files = self.own.list().unwrap_or_default();
        let (mut count, mut bytes) = (0, 0);
        for file in files.iter().rev().filter(|file| name::kind(file) == Kind::Corrupt) {
            count += 1;
            bytes += self.own.path(file).metadata().map_or(0, |metadata| metadata.len());
            if count > CORRUPT_FILES || bytes > CORRUPT_BYTES {
                // If it stays, it is tried again with the next.
                let _ = self.own.remove(file);
            }
        }
    }
}

/// What an envelope counts as.
fn counted(name: &Name, bytes: Bytes, reason: Reason) -> Losses {
    if !is_whole(name, &bytes) {
        return assumed(name, reason);
    }
    let Ok(envelope) = Envelope::parse(bytes) else { return assumed(name, reason) };
    let mut losses = Losses::new();
    losses.count_envelope(&envelope, reason);
    losses
}

/// What an envelope of nothing but attachments counts as.
fn attached(name: &Name, file: File, reason: Reason) -> io::Result<Losses> {
    let mut file = BufReader::new(file);
    let mut losses = Losses::new();
    let mut line = Vec::new();
    let mut is_header = true;
    loop {
        line.clear();
        if (&mut file).take(HEADER_BYTES as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(losses);
        }
        if is_header || line == b"\n" {
            is_header &= line == b"\n";
            continue;
        }
        let length = Object::parse(&line).ok().and_then(|item| item.get("length")?.as_u64());
        let Some(length) = length.filter(|length| *length <= name.length) else {
            return Ok(assumed(name, reason));
        };
        losses.count(Category::Attachment, reason, length);
        file.seek_relative(i64::try_from(length).unwrap_or(i64::MAX))?;
    }
}

/// What an envelope counts as that cannot be read: at least one of all that its name says.
pub(super) fn assumed(name: &Name, reason: Reason) -> Losses {
    let mut losses = Losses::new();
    for category in &name.categories {
        losses.count(*category, reason, 1);
    }
    losses
}
