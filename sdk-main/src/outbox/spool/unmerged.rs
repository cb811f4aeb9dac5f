//! What a run has captured and could not merge before it ended.
//!
//! It is appended to one file, since there is no time for a file each, and no time to merge it either. A
//! later run takes the file over, reads it record by record, merges each and puts it like everything
//! else. How far it has come is written into the file, so that a run that is killed meanwhile leaves only
//! the record at hand to be merged twice.
//!
//! A record is a letter for what it is, its length, a checksum, and the bytes. Before all others stand those
//! with main's scope, which holds for all of them.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::time::SystemTime;

use guardhouse_process::regular_file;
use guardhouse_protocol::RunId;
use guardhouse_protocol::limits::ENVELOPE_BYTES;

use super::folder::private_file;
use super::{Spool, Step, name};

/// What the file begins with. The last digit is the version of the format.
const MAGIC: [u8; 8] = *b"GHunmrg1";
/// Magic, when it was made in milliseconds since 1970, and where the next record is.
const HEADER_BYTES: u64 = 24;
/// Where the place of the next record stands.
const PLACE_AT: u64 = 16;
/// Kind, length, checksum.
const RECORD_HEADER_BYTES: usize = 9;
/// No record is longer: what claims to be is none of ours.
const LARGEST: u64 = 2 * ENVELOPE_BYTES as u64;
/// More files than these are not left waiting, however full the spool is.
const MOST_FILES: usize = 8;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmergedKind {
    /// A message with changes that make main's scope.
    Scope,
    /// An envelope as `sentry` has made it.
    Captured,
}

impl UnmergedKind {
    const fn letter(self) -> u8 {
        match self {
            Self::Scope => b'S',
            Self::Captured => b'C',
        }
    }

    fn from_letter(letter: u8) -> Option<Self> {
        [Self::Scope, Self::Captured].into_iter().find(|kind| kind.letter() == letter)
    }
}

/// Records that are appended together.
#[derive(Debug, Default)]
pub struct UnmergedBatch {
    bytes: Vec<u8>,
}

impl UnmergedBatch {
    /// Puts a record behind the others.
    pub fn push(&mut self, kind: UnmergedKind, record: &[u8]) {
        // What is longer was refused long before.
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
        self.bytes.push(kind.letter());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&crc32fast::hash(record).to_le_bytes());
        self.bytes.extend_from_slice(record);
    }

    /// How many bytes they have.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// What is next in what earlier runs could not merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmerged {
    /// A record of a run, which is older than what is kept, or not.
    Record {
        /// The run that has left it.
        run: RunId,
        /// What it is.
        kind: UnmergedKind,
        /// The bytes of it.
        bytes: Vec<u8>,
        /// Whether it is older than [`Limits::max_age`](super::Limits).
        is_expired: bool,
    },
    /// A record that is damaged, or of a kind that this version does not know.
    Damaged,
    /// That was all of this run, whose file is removed.
    End(RunId),
}

/// The files, this run's own and those of earlier ones.
#[derive(Debug, Default)]
pub(super) struct UnmergedFiles {
    own: Option<File>,
    left: Vec<RunId>,
    reading: Option<Reading>,
}

/// A file while it is merged.
#[derive(Debug)]
struct Reading {
    run: RunId,
    file: BufReader<File>,
    created: u64,
    /// Where the next record is.
    at: u64,
    /// Where it ends that was handed out last.
    end: u64,
    /// Up to where captured ones are merged already.
    merged: u64,
    length: u64,
}

impl Spool {
    /// Appends records to this run's own file: all of them, or none on an error.
    pub fn append_unmerged(&mut self, batch: &UnmergedBatch) -> io::Result<()> {
        let name = name::unmerged(self.run());
        let mut file = match self.unmerged.own.take() {
            Some(file) => file,
            None => {
                self.own.steps().at(Step::Create)?;
                let mut header = MAGIC.to_vec();
                header.extend(name::millis(SystemTime::now()).to_le_bytes());
                header.extend(HEADER_BYTES.to_le_bytes());
                let mut file =
                    private_file().create_new(true).write(true).open(self.own.path(&name))?;
                if let Err(error) = file.write_all(&header) {
                    let _ = self.own.remove(&name);
                    return Err(error);
                }
                self.unsynced.push(name);
                file
            }
        };
        let before = file.stream_position()?;
        let (half, rest) = batch.bytes.split_at(batch.bytes.len() / 2);
        let steps = self.own.steps();
        let written = file
            .write_all(half)
            .and_then(|()| steps.at(Step::HalfWritten))
            .and_then(|()| file.write_all(rest))
            .and_then(|()| steps.at(Step::Written));
        if written.is_err() {
            // If this fails as well, whoever reads it finds a record that is not whole and stops there.
            let _ = file.set_len(before);
            let _ = file.seek(SeekFrom::Start(before));
        }
        self.unmerged.own = Some(file);
        written
    }

    /// Whether earlier runs have left something that is to be merged.
    pub fn has_unmerged(&self) -> bool {
        self.unmerged.reading.is_some() || !self.unmerged.left.is_empty()
    }

    /// Whether there is room for what is unmerged, so that nothing else has to go for it. If there are many
    /// files of it, there is.
    pub fn has_room_for_unmerged(&self) -> bool {
        let (count, bytes) = self
            .table
            .iter()
            .fold((0, 0), |(count, bytes), (_, held)| (count + 1, bytes + held.name.length));
        let is_half_empty =
            count < self.limits.max_count.div_ceil(2) && bytes < self.limits.max_bytes / 2;
        is_half_empty || self.unmerged.left.len() > MOST_FILES
    }

    /// The next that is to be merged. Each time it is the same until it is [done](Self::unmerged_done),
    /// but for those of the scope. A file that cannot be read is left to the next start.
    pub fn next_unmerged(&mut self, now: SystemTime) -> io::Result<Option<Unmerged>> {
        if self.unmerged.reading.is_none() {
            let Some(run) = self.unmerged.left.pop() else { return Ok(None) };
            let mut options = OpenOptions::new();
            options.read(true).write(true);
            let path = self.own.path(&name::unmerged(run));
            let file = regular_file::open_with(&path, &mut options)?;
            self.unmerged.reading = Reading::begin(run, file)?;
            if self.unmerged.reading.is_none() {
                self.own.remove(&name::unmerged(run))?;
                return Ok(Some(Unmerged::End(run)));
            }
        }
        let max_age = u64::try_from(self.limits.max_age.as_millis()).unwrap_or(u64::MAX);
        let oldest = name::millis(now).saturating_sub(max_age);
        let Some(reading) = &mut self.unmerged.reading else { return Ok(None) };
        let run = reading.run;
        match reading.next() {
            Ok(Some((Some(kind), bytes))) => {
                let is_expired = reading.created < oldest;
                Ok(Some(Unmerged::Record { run, kind, bytes, is_expired }))
            }
            Ok(Some((None, _))) => Ok(Some(Unmerged::Damaged)),
            Ok(None) => {
                self.unmerged.reading = None;
                self.own.remove(&name::unmerged(run))?;
                Ok(Some(Unmerged::End(run)))
            }
            Err(error) => {
                self.unmerged.reading = None;
                Err(error)
            }
        }
    }

    /// What was handed out last is durable elsewhere, counted, or of no more use.
    pub fn unmerged_done(&mut self) -> io::Result<()> {
        match &mut self.unmerged.reading {
            Some(reading) => reading.done(),
            None => Ok(()),
        }
    }

    /// A file of an earlier run is in this run's folder now.
    pub(super) fn found_unmerged(&mut self, run: RunId) {
        self.unmerged.left.push(run);
    }
}

impl Reading {
    /// Nothing if there is nothing in it, or nothing of ours.
    fn begin(run: RunId, file: File) -> io::Result<Option<Self>> {
        let length = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let mut header = [0; HEADER_BYTES as usize];
        if length < HEADER_BYTES {
            return Ok(None);
        }
        file.read_exact(&mut header)?;
        let number = |at: usize| {
            let bytes = header[at..at + 8].try_into().unwrap_or_default();
            u64::from_le_bytes(bytes)
        };
        let (created, merged) = (number(8), number(PLACE_AT as usize));
        let (at, end) = (HEADER_BYTES, HEADER_BYTES);
        let is_ours = header[..8] == MAGIC;
        Ok(is_ours.then_some(Self { run, file, created, at, end, merged, length }))
    }

    /// The next record that is not merged, with its kind if it is whole and known. Nothing at the end, or
    /// where a kill or a full disk has cut it off.
    fn next(&mut self) -> io::Result<Option<(Option<UnmergedKind>, Vec<u8>)>> {
        loop {
            self.file.seek(SeekFrom::Start(self.at))?;
            let left = self.length.saturating_sub(self.at);
            if left < RECORD_HEADER_BYTES as u64 {
                return Ok(None);
            }
            let mut header = [0; RECORD_HEADER_BYTES];
            self.file.read_exact(&mut header)?;
            let [letter, l0, l1, l2, l3, c0, c1, c2, c3] = header;
            let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
            if length > (left - RECORD_HEADER_BYTES as u64).min(LARGEST) {
                return Ok(None);
            }
            let end = self.at + RECORD_HEADER_BYTES as u64 + length;
            let kind = UnmergedKind::from_letter(letter);
            if kind != Some(UnmergedKind::Scope) && end <= self.merged {
                self.at = end;
                continue;
            }
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(length as usize)?;
            self.file.by_ref().take(length).read_to_end(&mut bytes)?;
            self.end = end;
            let is_whole = crc32fast::hash(&bytes) == u32::from_le_bytes([c0, c1, c2, c3]);
            return Ok(Some((kind.filter(|_| is_whole), bytes)));
        }
    }

    fn done(&mut self) -> io::Result<()> {
        self.at = self.end;
        if self.end <= self.merged {
            return Ok(());
        }
        self.merged = self.end;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(PLACE_AT))?;
        file.write_all(&self.merged.to_le_bytes())
    }
}
