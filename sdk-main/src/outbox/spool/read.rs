//! Reading entries, and what is done with those that are damaged.
//!
//! A power cut may leave a file cut off, or with zeroes in it, so what an earlier run has written is
//! compared with the length and checksum in its name before it is used. What can be saved of a damaged
//! envelope becomes an entry of its own. The file is set aside, and the rest is counted.
//!
//! The file is first renamed to broken, and only set aside when everything else is done. Whoever finds
//! a broken file of a dead run goes on where that was: what was saved has the same run and mark.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use bytes::Bytes;
use guardhouse_protocol::limits::{ENVELOPE_BYTES, HEADER_BYTES};
use guardhouse_protocol::{Envelope, Header, Verdict};

use super::lose::assumed;
use super::name::{self, Name};
use super::{Held, Place, ReadError, Spool, Step, Written};
use crate::losses::{Losses, Reason};
use crate::outbox::EntryId;

/// An envelope to be sent without holding all of it in memory.
#[derive(Debug)]
pub struct Sending {
    /// The header, to be changed and written as the first line.
    pub header: Header,
    /// What comes after the first line and its newline.
    pub rest: Rest,
    /// How many bytes that are.
    pub rest_length: u64,
}

/// What comes after the first line of an envelope.
#[derive(Debug)]
pub enum Rest {
    /// It is in memory.
    Memory(Bytes),
    /// It is in the file, from where the file stands.
    File(File),
}

/// Nothing is saved of a damaged file that is longer: nothing longer than an envelope was written.
const LONGEST_BROKEN: u64 = 2 * ENVELOPE_BYTES as u64;

impl Spool {
    /// Opens an entry to be sent. It stays an entry until it is [deleted](Self::delete).
    pub fn open_entry(&mut self, id: EntryId) -> Result<Sending, ReadError> {
        let name = match self.table.get(id) {
            None => return Err(ReadError::Gone),
            Some(Held { place: Place::Memory { bytes, .. }, .. }) => {
                let bytes = bytes.clone();
                let (header, at) = first_line(&bytes[..])
                    .map_err(ReadError::Io)?
                    .ok_or(ReadError::Broken { salvaged: None })?;
                let rest = bytes.slice(at.min(bytes.len())..);
                let rest_length = rest.len() as u64;
                return Ok(Sending { header, rest: Rest::Memory(rest), rest_length });
            }
            Some(held) => held.name.clone(),
        };
        let mut file = self.open_whole(id, &name)?;
        let Some((header, at)) = first_line(BufReader::new(&file)).map_err(ReadError::Io)? else {
            return Err(self.broken(id));
        };
        let at = (at as u64).min(name.length);
        file.seek(SeekFrom::Start(at)).map_err(ReadError::Io)?;
        Ok(Sending { header, rest: Rest::File(file), rest_length: name.length - at })
    }

    /// Reads an entry into memory, to take it apart.
    pub fn read(&mut self, id: EntryId) -> Result<Envelope, ReadError> {
        let bytes = match self.table.get(id) {
            None => return Err(ReadError::Gone),
            Some(Held { place: Place::Memory { bytes, .. }, .. }) => bytes.clone(),
            Some(held) => {
                let name = held.name.clone();
                let mut bytes = Vec::new();
                let mut file = self.open_whole(id, &name)?;
                let length = usize::try_from(name.length).unwrap_or(usize::MAX);
                bytes.try_reserve_exact(length).map_err(|error| ReadError::Io(error.into()))?;
                (&mut file).take(name.length).read_to_end(&mut bytes).map_err(ReadError::Io)?;
                Bytes::from(bytes)
            }
        };
        Envelope::parse(bytes).map_err(|_| self.broken(id))
    }

    /// Opens the file of an entry, which is what was written.
    fn open_whole(&mut self, id: EntryId, name: &Name) -> Result<File, ReadError> {
        let mut file = match self.own.open(&name.envelope()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.table.remove(id);
                self.count_missing(name, Reason::InternalSdkError);
                self.keep_ledger();
                return Err(ReadError::Gone);
            }
            // Somebody has put something else there, which nobody touches; what was there is gone.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.table.remove(id);
                self.count_missing(name, Reason::InternalSdkError);
                self.keep_ledger();
                return Err(ReadError::Gone);
            }
            Err(error) => return Err(ReadError::Io(error)),
        };
        let is_long = file.metadata().map_err(ReadError::Io)?.len() == name.length;
        let Some(Place::Disk { is_verified }) = self.table.get_mut(id) else {
            return Err(ReadError::Gone);
        };
        if !is_long || !*is_verified && checksum(&mut file).map_err(ReadError::Io)? != name.checksum
        {
            return Err(self.broken(id));
        }
        *is_verified = true;
        file.rewind().map_err(ReadError::Io)?;
        Ok(file)
    }

    fn broken(&mut self, id: EntryId) -> ReadError {
        let Some(Held { name, .. }) = self.table.remove(id) else { return ReadError::Gone };
        let broken = self
            .own
            .steps()
            .at(Step::Break)
            .and_then(|()| self.own.rename(&name.envelope(), &name.broken()));
        let salvaged = match broken {
            Ok(()) => self.mend(&name),
            // It stays for the next start.
            Err(error) => {
                self.trouble = Some(error);
                None
            }
        };
        self.keep_ledger();
        ReadError::Broken { salvaged }
    }

    /// Spools what can be saved of a broken envelope, and counts the rest.
    pub(super) fn mend(&mut self, name: &Name) -> Option<EntryId> {
        let file = name.broken();
        let (saved, lost) = if name.is_only_attached() {
            // There is no JSON in it that could be sound, and it may be hundreds of megabytes.
            (None, assumed(name, Reason::InternalSdkError))
        } else {
            match self.own.read(&file, LONGEST_BROKEN) {
                Ok(bytes) => salvage(name, Bytes::from(bytes)),
                // None of ours is so long, nor anything but a file.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidData
                    ) =>
                {
                    (None, assumed(name, Reason::InternalSdkError))
                }
                Err(_) => return None,
            }
        };
        let known = self.table.iter().find(|(_, held)| held.name.is_same_as(name));
        let id = match (known.map(|(id, _)| id), saved) {
            (None, Some(envelope)) => {
                let Name { run, mark, priority, created, .. } = name.clone();
                let written = Written::new(&envelope, run, mark, priority, name::time(created));
                let is_durable = match written.write_to(&self.own) {
                    Ok(is_durable) => is_durable,
                    // The broken file stays, and the next start tries again.
                    Err(error) => {
                        self.trouble = Some(error);
                        return None;
                    }
                };
                let id = self.next_id();
                self.hold_on_disk(id, &written, is_durable);
                Some(id)
            }
            (known, _) => known,
        };
        self.own.steps().past(Step::Salvaged);
        self.include(file, &lost);
        id
    }
}

/// Whether these are the bytes that were written under this name.
pub(super) fn is_whole(name: &Name, bytes: &[u8]) -> bool {
    bytes.len() as u64 == name.length && crc32fast::hash(bytes) == name.checksum
}

fn checksum(file: &mut File) -> io::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// The header of an envelope and where the next line begins. Nothing if there is no header.
fn first_line(reader: impl BufRead) -> io::Result<Option<(Header, usize)>> {
    let mut reader = reader.take(2 * HEADER_BYTES as u64);
    let mut at = 0;
    let mut line = Vec::new();
    while line.is_empty() {
        match reader.read_until(b'\n', &mut line)? {
            0 => return Ok(None),
            length => at += length,
        }
        line.pop_if(|byte| *byte == b'\n');
    }
    Ok(Envelope::parse(line).ok().map(|envelope| (envelope.into_parts().0, at)))
}

/// What can be saved of a damaged envelope, and what cannot. Nobody knows where the damage is, so
/// only JSON that is sound is good: in other payloads it would not be seen.
fn salvage(name: &Name, bytes: Bytes) -> (Option<Envelope>, Losses) {
    let all = assumed(name, Reason::InternalSdkError);
    let Ok((mut envelope, _)) = Envelope::salvage(bytes) else { return (None, all) };
    let mut verdicts = envelope.assess().into_iter();
    let removed = envelope.retain(|item| {
        verdicts.next().is_some_and(Verdict::is_sound) && item.item_type().is_json()
    });
    if envelope.items().is_empty() {
        return (None, all);
    }
    let mut lost = Losses::new();
    for item in &removed {
        lost.count_item(item, Reason::InternalSdkError);
    }
    let saved = name::categories(&envelope);
    for category in name.categories.iter().filter(|category| !saved.contains(category)) {
        // What was cut off is not among the items that were removed.
        if lost.get(*category, Reason::InternalSdkError) == 0 {
            lost.count(*category, Reason::InternalSdkError, 1);
        }
    }
    (Some(envelope), lost)
}
