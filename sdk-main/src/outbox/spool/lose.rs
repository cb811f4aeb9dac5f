//! What leaves the spool without being delivered: counted, and counted once.
//!
//! First an envelope's file is renamed to lost: from then on it is, whatever happens. Then it is
//! counted in the ledger, which also names it. Then it is deleted. Whoever finds the file of a dead
//! run sees by the ledger which of these steps were done.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use bytes::Bytes;
use guardhouse_protocol::Envelope;
use guardhouse_protocol::json::Object;
use guardhouse_protocol::limits::HEADER_BYTES;

use super::error::is_full;
use super::name::{self, Kind, LEDGER, Name, RESERVE};
use super::read::is_whole;
use super::table::Victims;
use super::{Place, Spool, Step};
use crate::losses::{Category, Losses, Reason};
use crate::outbox::EntryId;

/// How many bytes are kept free for the ledger.
const RESERVE_BYTES: usize = 4096;

/// How much is kept for people to look at, of what was damaged.
const CORRUPT_FILES: usize = 10;
const CORRUPT_BYTES: u64 = 10_000_000;

impl Spool {
    /// Gives an entry up and counts what it holds.
    pub fn lose(&mut self, id: EntryId, reason: Reason) {
        self.lose_all(&[id], reason);
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

    /// Takes out what Sentry was told of.
    pub fn reported(&mut self, losses: &Losses) {
        self.ledger.losses.subtract(losses);
        self.is_ledger_new |= !losses.is_empty();
        self.keep_ledger();
    }

    /// Gives entries up. They are counted for good once the ledger is [kept](Self::keep_ledger).
    pub(super) fn lose_all(&mut self, ids: &[EntryId], reason: Reason) {
        for id in ids {
            let Some(held) = self.table.remove(*id) else { continue };
            let name = held.name;
            if let Place::Memory(bytes) = held.place {
                self.ledger.losses.add(&counted(&name, bytes, reason));
                self.is_ledger_new = true;
                continue;
            }
            let lost = name.lost(reason);
            let steps = self.own.steps();
            let renamed =
                steps.at(Step::Lose).and_then(|()| self.own.rename(&name.envelope(), &lost));
            match renamed {
                Ok(()) => {
                    steps.past(Step::Lost);
                    self.count_lost(lost, &name, reason);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.count_missing(&name, reason);
                }
                // It stays where it is, for the next start to decide; so it is not lost.
                Err(error) => self.trouble = Some(error),
            }
        }
    }

    /// Gives up what makes room for something else.
    pub(super) fn lose_victims(&mut self, victims: &Victims, reason: Reason) {
        for stream in &victims.streams {
            self.count_stream(*stream, reason);
        }
        self.lose_all(&victims.entries, reason);
    }

    /// Counts a file that is named as lost.
    pub(super) fn count_lost(&mut self, file: String, name: &Name, reason: Reason) {
        let losses = if name.is_only_attached() {
            // It may be hundreds of megabytes, and its headers say how many.
            self.own.open(&file).and_then(|file| attached(name, file, reason)).ok()
        } else {
            self.own.read(&file).ok().map(|bytes| counted(name, Bytes::from(bytes), reason))
        };
        self.include(file, &losses.unwrap_or_else(|| assumed(name, reason)));
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
        if let Err(error) = self.write_ledger() {
            self.trouble = Some(error);
            return;
        }
        self.is_ledger_new = false;
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
        if self.ledger.is_empty() {
            // Counts of nothing, if it stays.
            let _ = self.own.remove(LEDGER);
        }
        if done.iter().any(|file| matches!(name::kind(file), Kind::Broken(_))) {
            self.bound_corrupt();
        }
    }

    fn write_ledger(&mut self) -> io::Result<()> {
        if self.ledger.is_empty() {
            return self.own.remove(LEDGER);
        }
        self.own.steps().at(Step::Ledger)?;
        let json = self.ledger.to_json();
        let bytes = json.text().as_bytes();
        let mut written = self.own.replace(LEDGER, bytes);
        if written.as_ref().is_err_and(is_full) && self.own.remove(RESERVE).is_ok() {
            self.has_reserve = false;
            written = self.own.replace(LEDGER, bytes);
        }
        written?;
        self.own.steps().past(Step::Counted);
        Ok(())
    }

    /// Sees to it that the ledger can be written also when the disk is full: without, no room could
    /// be made.
    pub(super) fn keep_reserve(&mut self) {
        if !self.has_reserve {
            let zeroes = [0; RESERVE_BYTES];
            self.has_reserve = self.own.replace(RESERVE, &zeroes).is_ok();
        }
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
