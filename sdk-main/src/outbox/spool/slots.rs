//! A small file that is written in place, so that writing it costs one system call and needs no room.
//!
//! The file has two slots, each with a sequence number, a length and a checksum. A write goes into the
//! older slot, so whatever ends it half-way leaves the newer one whole, and a reader takes the newest
//! slot that is whole. All blocks are allocated when the file is made: on a full disk it can still be
//! written.
//!
//! What [`write`](SlotFile::write) has written survives the death of the process. After a power cut it
//! may be an older content, unless it was [synced](SlotFile::sync).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use guardhouse_process::regular_file;

use super::folder::create_anew;

/// What a slot begins with. The last digit is the version of the format.
const MAGIC: [u8; 8] = *b"GHslots1";
/// Magic, sequence number, length, checksum.
const HEADER_BYTES: usize = 24;
/// Slots begin at multiples of it, so that no two of them share a sector or a page.
const ALIGNMENT: usize = 4096;
/// A slot is not made larger than this, and a larger file is none of ours.
const LARGEST_SLOT: usize = 1024 * 1024;

/// A file with two slots, open to be written.
#[derive(Debug)]
pub(super) struct SlotFile {
    path: PathBuf,
    file: File,
    slot_bytes: usize,
    /// The number of the newest content. The slot with an even number is the first one.
    sequence: u64,
    /// Where a slot is put together, to be written at once.
    buffer: Vec<u8>,
}

impl SlotFile {
    /// Makes the file, or replaces one that has its name, with a first content and room for contents
    /// of `capacity` bytes. Under its name it is there as a whole or not at all.
    pub(super) fn create(path: &Path, capacity: usize, bytes: &[u8]) -> io::Result<Self> {
        Self::create_at(path, capacity.max(bytes.len()), 0, bytes)
    }

    fn create_at(path: &Path, capacity: usize, sequence: u64, bytes: &[u8]) -> io::Result<Self> {
        let slot_bytes = (HEADER_BYTES + capacity).next_multiple_of(ALIGNMENT);
        if slot_bytes > LARGEST_SLOT {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{capacity} bytes are more than a file written in place has room for"),
            ));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(super::name::TEMP);
        let temp = path.with_file_name(name);
        let made = Self::make(&temp, slot_bytes, sequence, bytes).and_then(|made| {
            fs::rename(&temp, path)?;
            Ok(Self { path: path.to_owned(), ..made })
        });
        if made.is_err() {
            // If this fails as well, the next run removes it.
            let _ = fs::remove_file(&temp);
        }
        made
    }

    fn make(temp: &Path, slot_bytes: usize, sequence: u64, bytes: &[u8]) -> io::Result<Self> {
        let mut file = create_anew(temp)?;
        // Zeroes are written, since a hole would need room later, and so may a reservation.
        file.write_all(&vec![0; 2 * slot_bytes])?;
        let path = temp.to_owned();
        let mut made = Self { path, file, slot_bytes, sequence, buffer: Vec::new() };
        made.write_slot(bytes)?;
        Ok(made)
    }

    /// Replaces the content. On an error the one before is still there.
    ///
    /// That the file was deleted under us is an error of the kind [`NotFound`](io::ErrorKind).
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if HEADER_BYTES + bytes.len() > self.slot_bytes {
            *self = Self::create_at(&self.path, 2 * bytes.len(), self.sequence, bytes)?;
            return Ok(());
        }
        if is_deleted(&self.file, &self.path)? {
            return Err(io::Error::new(io::ErrorKind::NotFound, "somebody has deleted the file"));
        }
        self.write_slot(bytes)
    }

    fn write_slot(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sequence = self.sequence + 1;
        // As many bytes as a slot has fit into 32 bits.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.buffer.clear();
        self.buffer.extend_from_slice(&MAGIC);
        self.buffer.extend_from_slice(&sequence.to_le_bytes());
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(&checksum(sequence, bytes).to_le_bytes());
        self.buffer.extend_from_slice(bytes);
        let slot = if sequence.is_multiple_of(2) { 0 } else { self.slot_bytes };
        write_at(&self.file, &self.buffer, slot as u64)?;
        self.sequence = sequence;
        Ok(())
    }

    /// Makes durable what is written.
    #[cfg(test)]
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Reads the newest content of a file of somebody else, such as a dead run. Nothing if no slot is
    /// whole.
    pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
        let bytes = regular_file::read_at_most(path, 2 * LARGEST_SLOT as u64)?;
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let newest = [first, second].into_iter().filter_map(content).max_by_key(|(n, _)| *n);
        Ok(newest.map(|(_, content)| content.to_vec()))
    }
}

/// The sequence number of a slot and what is in it, if it is whole.
fn content(slot: &[u8]) -> Option<(u64, &[u8])> {
    let (magic, rest) = slot.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let sequence = u64::from_le_bytes(*sequence);
    let content = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let is_whole = *magic == MAGIC && checksum(sequence, content) == u32::from_le_bytes(*sum);
    is_whole.then_some((sequence, content))
}

fn checksum(sequence: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
    }
    #[cfg(windows)]
    {
        let (mut rest, mut at) = (bytes, offset);
        while !rest.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(file, rest, at)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = &rest[written..];
            at += written as u64;
        }
        Ok(())
    }
}

/// Whether the file has no name any more, so that nobody would find what is written into it.
fn is_deleted(file: &File, path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        let _ = path;
        Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) == 0)
    }
    #[cfg(not(unix))]
    {
        // An open file keeps its name there unless somebody moves it.
        let _ = file;
        Ok(!path.exists())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    /// A path that goes with the test.
    struct Temp(PathBuf);

    impl Temp {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("guardhouse-slots-{}", uuid::Uuid::new_v4())))
        }

        fn read(&self) -> Option<String> {
            SlotFile::read(&self.0).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
        }
    }

    impl Drop for Temp {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn slot(sequence: u64, bytes: &[u8]) -> Vec<u8> {
        let mut slot = MAGIC.to_vec();
        slot.extend(sequence.to_le_bytes());
        slot.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        slot.extend(checksum(sequence, bytes).to_le_bytes());
        slot.extend(bytes);
        slot
    }

    #[test]
    fn what_is_written_last_is_read() {
        let temp = Temp::new();
        let mut file = SlotFile::create(&temp.0, 100, b"first").unwrap();
        assert_eq!(temp.read().unwrap(), "first");
        for number in 0..10 {
            file.write(format!("{number}").as_bytes()).unwrap();
            assert_eq!(temp.read().unwrap(), format!("{number}"));
        }
        file.sync().unwrap();
        assert_eq!(fs::metadata(&temp.0).unwrap().len(), 2 * ALIGNMENT as u64);
    }

    #[test]
    fn what_does_not_fit_gets_a_larger_file() {
        let temp = Temp::new();
        let mut file = SlotFile::create(&temp.0, 100, b"first").unwrap();
        for length in [5000, 10, 100_000, 0] {
            let content = "x".repeat(length);
            file.write(content.as_bytes()).unwrap();
            assert_eq!(temp.read().unwrap(), content);
        }
        let error = file.write(&vec![0; LARGEST_SLOT]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(temp.read().unwrap(), "");
    }

    #[test]
    fn a_write_that_is_cut_at_any_byte_leaves_the_content_before() {
        let temp = Temp::new();
        let mut file = SlotFile::create(&temp.0, 100, b"older").unwrap();
        file.write(b"newer").unwrap();
        let before = fs::read(&temp.0).unwrap();
        file.write(b"newest").unwrap();
        let after = fs::read(&temp.0).unwrap();
        let written = ALIGNMENT..ALIGNMENT + HEADER_BYTES + "newest".len();
        for cut in written.clone() {
            let mut torn = before.clone();
            torn[written.start..cut].copy_from_slice(&after[written.start..cut]);
            fs::write(&temp.0, &torn).unwrap();
            assert_eq!(temp.read().unwrap(), "newer", "cut at {cut}");
        }
        fs::write(&temp.0, &after).unwrap();
        assert_eq!(temp.read().unwrap(), "newest");
    }

    #[test]
    fn a_flipped_bit_anywhere_leaves_the_content_before() {
        let temp = Temp::new();
        let mut file = SlotFile::create(&temp.0, 100, b"older").unwrap();
        file.write(b"newer").unwrap();
        let sound = fs::read(&temp.0).unwrap();
        for at in 0..HEADER_BYTES + "newer".len() {
            let mut flipped = sound.clone();
            flipped[at] ^= 1;
            fs::write(&temp.0, &flipped).unwrap();
            assert_eq!(temp.read().unwrap(), "older", "byte {at}");
        }
    }

    #[test]
    fn of_two_whole_slots_the_newer_counts_wherever_it_is() {
        for (first, second) in [(4, 3), (4, 5)] {
            let temp = Temp::new();
            let mut bytes = vec![0; 2 * ALIGNMENT];
            for (at, sequence) in [(0, first), (ALIGNMENT, second)] {
                let slot = slot(sequence, sequence.to_string().as_bytes());
                bytes[at..at + slot.len()].copy_from_slice(&slot);
            }
            fs::write(&temp.0, bytes).unwrap();
            assert_eq!(temp.read().unwrap(), first.max(second).to_string());
        }
    }

    #[test]
    fn what_is_no_whole_slot_says_nothing() {
        let temp = Temp::new();
        let mut too_long = slot(1, b"x");
        too_long[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        for bytes in [vec![], b"{}".to_vec(), vec![0; 2 * ALIGNMENT], too_long] {
            fs::write(&temp.0, bytes).unwrap();
            assert_eq!(temp.read(), None);
        }
        File::create(&temp.0).unwrap().set_len(1 << 40).unwrap();
        assert!(SlotFile::read(&temp.0).is_err());
    }

    #[test]
    fn a_file_that_somebody_has_deleted_is_missed() {
        let temp = Temp::new();
        let mut file = SlotFile::create(&temp.0, 100, b"first").unwrap();
        fs::remove_file(&temp.0).unwrap();
        assert_eq!(file.write(b"second").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    const PATH: &str = "GUARDHOUSE_TEST_SLOTS";

    /// Counts up in the file, and says each number that is written.
    #[test]
    #[expect(clippy::print_stdout, reason = "this is how the other process is told")]
    fn counting_worker() {
        let Some(path) = std::env::var_os(PATH) else { return };
        let mut file = SlotFile::create(Path::new(&path), 100, b"0").unwrap();
        for number in 1_u64.. {
            // Longer and shorter ones, so that something of the former is left behind.
            let padding = usize::try_from(number % 90).unwrap();
            file.write(format!("{number}{:padding$}", "").as_bytes()).unwrap();
            println!("\n{number}");
        }
    }

    #[test]
    fn a_killed_process_leaves_at_least_what_it_said_to_have_written() {
        for round in 0..20 {
            let temp = Temp::new();
            let mut worker = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "outbox::spool::slots::tests::counting_worker", "--nocapture"])
                .env(PATH, &temp.0)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
            let numbers = |line: io::Result<String>| line.unwrap().parse::<u64>().ok();
            let mut said = lines.by_ref().filter_map(numbers);
            let mut last = said.nth(round * 37).unwrap();
            worker.kill().unwrap();
            last = said.last().unwrap_or(last);
            worker.wait().unwrap();
            let read: u64 = temp.read().unwrap().trim_end().parse().unwrap();
            assert!(read == last || read == last + 1, "{read} after {last}");
        }
    }
}
