//! The file that holds what main has not taken, in a directory that main has named.
//!
//! A renderer writes it when main is gone, and when more waits than it keeps in memory; it removes the
//! file when main has acknowledged everything in it. If the renderer ends before that, main finds the
//! file and takes what is in it as if it had come over a connection. As long as its writer lives the
//! file is locked, and nobody else reads it.
//!
//! The file only grows. It begins with a magic number and the version of the format, and goes on with
//! [records](Entry), each with its length and a checksum: who writes, in which run of main something was
//! captured, the messages themselves, under which id which of them was said to main, and which main has
//! acknowledged. So whatever moment the writer is killed at, main knows what it has not taken, and a torn
//! end costs only what was torn.
//!
//! What was written is there whatever happens to the process. It is not made durable against a loss of
//! power: the disk is main's business.

mod left;
mod record;

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use guardhouse_protocol::limits::MIB;
use uuid::Uuid;

pub use left::{Left, LeftFile, find};
pub use record::{Entry, Writer};

use crate::file_lock::FileLock;
use record::{Body, RECORD_BYTES, header};

/// Maximum length of a file, apart from what it says of its messages once they are in it.
pub const OFFLINE_BYTES: u64 = 64 * MIB as u64;

/// How much longer a file may become by what it says of its messages. Without that, a full file could
/// not say any more what main has taken.
const MARKS_BYTES: u64 = 4 * MIB as u64;

/// How the name of a file ends.
const OFFLINE: &str = "offline";

/// How much is written at once.
const PIECE_BYTES: usize = MIB;

/// Where a message is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    at: u64,
    length: u32,
}

/// The file of a process that lives, for its writer.
#[derive(Debug)]
pub struct OfflineFile {
    path: PathBuf,
    file: LockedFile,
    length: u64,
}

impl OfflineFile {
    /// Begins a file in the directory, which is made if it is not there.
    pub fn begin(directory: &Path, writer: &Writer) -> io::Result<Self> {
        make(directory)?;
        let name = format!("{}-{}", writer.pid, Uuid::new_v4().simple());
        let temporary = directory.join(format!("{name}.tmp"));
        let path = directory.join(format!("{name}.{OFFLINE}"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // Nobody has drawn the same name, so nobody holds the lock.
        let file =
            LockedFile::open(&temporary, &mut options)?.ok_or(io::ErrorKind::AlreadyExists)?;
        let mut offline = Self { path: path.clone(), file, length: 0 };
        let mut begin = header().to_vec();
        Body::Writer(writer).write(&mut begin);
        // Nobody may find it before it says whose it is.
        let begun = offline.write(&begin).and_then(|()| std::fs::rename(&temporary, &path));
        if let Err(error) = begun {
            let _ = std::fs::remove_file(&temporary);
            return Err(error);
        }
        Ok(offline)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds entries, and says where the messages among them are, in their order. When they would make
    /// the file too long ([`io::ErrorKind::StorageFull`]) or the disk fails, nothing is added.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<Vec<Place>> {
        let body = |entry: &Entry| (RECORD_BYTES + Body::Entry(entry).length()) as u64;
        let added: u64 = entries.iter().map(body).sum();
        let has_messages = entries.iter().any(|entry| matches!(entry, Entry::Message { .. }));
        let most = if has_messages { OFFLINE_BYTES } else { OFFLINE_BYTES + MARKS_BYTES };
        if self.length + added > most {
            let why = "so much is in the offline file already that no more fits";
            return Err(io::Error::new(io::ErrorKind::StorageFull, why));
        }
        let begin = self.length;
        let mut places = Vec::new();
        let mut piece = Vec::new();
        let mut at = begin;
        let written = entries.iter().try_for_each(|entry| {
            if let Entry::Message { payload, .. } = entry {
                // A message has at most a few MiB, so its length fits.
                places.push(Place { at, length: payload.len() as u32 });
            }
            at += body(entry);
            Body::Entry(entry).write(&mut piece);
            if piece.len() < PIECE_BYTES {
                return Ok(());
            }
            self.write(&std::mem::take(&mut piece))
        });
        if let Err(error) = written.and_then(|()| self.write(&piece)) {
            // What was written of it would tear what comes behind.
            let _ = self.file.0.file().set_len(begin);
            self.length = begin;
            return Err(error);
        }
        Ok(places)
    }

    /// Reads a message again.
    pub fn read(&mut self, place: Place) -> io::Result<Bytes> {
        self.file.seek(SeekFrom::Start(place.at))?;
        let mut head = [0; RECORD_BYTES];
        self.file.read_exact(&mut head)?;
        let body = record::read_body(&mut self.file, &head)?;
        match record::parse(body)? {
            Some(Entry::Message { payload, .. }) if payload.len() == place.length as usize => {
                Ok(payload)
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "somebody has changed the file")),
        }
    }

    /// Takes the file away: main has everything.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// A file that is locked as long as it is open. There may be no second descriptor of it in the process:
/// closing that would give up the lock.
#[derive(Debug)]
struct LockedFile(FileLock);

impl LockedFile {
    /// Nothing if somebody else holds the lock.
    fn open(path: &Path, options: &mut OpenOptions) -> io::Result<Option<Self>> {
        Ok(FileLock::open(path, options)?.map(Self))
    }
}

impl Read for LockedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.file().read(buffer)
    }
}

impl Write for LockedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for LockedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.file().seek(to)
    }
}

/// Makes the directory and those above it, for this user alone.
fn make(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

#[cfg(test)]
mod tests {
    use guardhouse_protocol::frame::MessageId;
    use guardhouse_protocol::{Channel, RunId};

    use super::record::HEADER_BYTES;
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("guardhouse-test-{}", Uuid::new_v4().simple());
            Self(std::env::temp_dir().join(name).join("renderers"))
        }

        fn begin(&self) -> OfflineFile {
            let writer = Writer { name: "settings".to_owned(), pid: 7 };
            OfflineFile::begin(&self.0, &writer).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = self.0.parent().map(std::fs::remove_dir_all);
        }
    }

    fn message(order: u64) -> Entry {
        let payload = Bytes::from(vec![b'x'; 100 + order as usize]);
        Entry::Message { order, channel: Channel::Envelope, payload }
    }

    fn open(path: &Path) -> LeftFile {
        LeftFile::open(path).unwrap().unwrap()
    }

    /// The orders of what main has to take, with the runs, and the ids under which it may know it.
    fn left(file: &mut LeftFile) -> Vec<(u64, Option<RunId>, Option<u64>)> {
        let mut all = Vec::new();
        while let Some(left) = file.next_message().unwrap() {
            assert_eq!(left.payload, vec![b'x'; 100 + left.order as usize]);
            all.push((left.order, left.run, left.id.map(MessageId::number)));
        }
        all
    }

    #[test]
    fn what_was_left_is_read_once_its_writer_is_gone() {
        let folder = Folder::new();
        let mut offline = folder.begin();
        let (first, second) = (RunId::new(1), RunId::new(2));
        let places =
            offline.append(&[Entry::Run(first), message(1), message(2), Entry::Run(second)]);
        let places = places.unwrap();
        offline.append(&[message(3), message(4)]).unwrap();
        assert_eq!(offline.read(places[1]).unwrap().len(), 102);
        let path = offline.path().to_owned();
        assert_eq!(find(&folder.0), std::slice::from_ref(&path));
        assert!(LeftFile::open(&path).unwrap().is_none(), "its writer lives");
        // Said to one main, acknowledged in part, and said to another one.
        let id = MessageId::new;
        offline.append(&[Entry::Renderer(Uuid::nil())]).unwrap();
        offline.append(&[Entry::Sent(vec![(1, id(5)), (2, id(6))])]).unwrap();
        offline.append(&[Entry::Taken(vec![1]), Entry::Renderer(Uuid::max())]).unwrap();
        offline.append(&[Entry::Sent(vec![(3, id(1))])]).unwrap();
        drop(offline);
        let mut file = open(&path);
        assert!(LeftFile::open(&path).unwrap().is_none(), "one main takes it");
        assert_eq!((file.name(), file.pid()), ("settings", 7));
        assert_eq!(file.renderer(), Some(Uuid::max()));
        let expected =
            [(2, Some(first), None), (3, Some(second), Some(1)), (4, Some(second), None)];
        assert_eq!(left(&mut file), expected);
        file.remove().unwrap();
        assert!(find(&folder.0).is_empty());
    }

    #[test]
    fn a_torn_end_costs_only_what_was_torn() {
        let folder = Folder::new();
        let mut offline = folder.begin();
        let begin = offline.length as usize;
        let places = offline.append(&[message(1), message(2)]).unwrap();
        let path = offline.path().to_owned();
        drop(offline);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            match LeftFile::open(&path) {
                Ok(file) => {
                    let mut file = file.unwrap();
                    let orders: Vec<u64> = left(&mut file).iter().map(|left| left.0).collect();
                    let has_first = cut >= places[1].at as usize;
                    assert!(cut >= begin);
                    assert_eq!(orders, [1][..usize::from(has_first)], "cut at {cut}");
                    assert_eq!(file.is_damaged(), cut != begin && cut != places[1].at as usize);
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                    assert!(cut < begin);
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_costs_the_record_that_has_it() {
        let folder = Folder::new();
        let mut offline = folder.begin();
        let places = offline.append(&[message(1), message(2), message(3)]).unwrap();
        let path = offline.path().to_owned();
        drop(offline);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[places[1].at as usize + 40] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let mut file = open(&path);
        let orders: Vec<u64> = left(&mut file).iter().map(|left| left.0).collect();
        assert_eq!(orders, [1, 3]);
        assert!(file.is_damaged());
    }

    #[test]
    fn what_is_no_file_of_this_version_is_an_error() {
        let folder = Folder::new();
        let path = folder.begin().path().to_owned();
        let whole = std::fs::read(&path).unwrap();
        let mut other = whole.clone();
        other[8] = 2;
        let endless = [&whole[..HEADER_BYTES], &[0xff; 64]].concat();
        for bytes in [Vec::new(), vec![0; 4096], other, endless] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(LeftFile::open(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn more_than_the_file_may_hold_is_refused_and_what_main_took_can_still_be_said() {
        let folder = Folder::new();
        let mut offline = folder.begin();
        let payload = Bytes::from(vec![b'x'; 20 * MIB]);
        let large =
            |order| Entry::Message { order, channel: Channel::Envelope, payload: payload.clone() };
        offline.append(&[large(1), large(2), large(3)]).unwrap();
        let error = offline.append(&[large(4)]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        offline.append(&[message(5)]).unwrap();
        offline.append(&[Entry::Taken((0..200_000).collect())]).unwrap();
        let path = offline.path().to_owned();
        drop(offline);
        assert!(open(&path).next_message().unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it_and_nothing_else_is_read_in_its_place() {
        use std::os::unix::fs::MetadataExt;
        let folder = Folder::new();
        let offline = folder.begin();
        assert_eq!(std::fs::metadata(offline.path()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&folder.0).unwrap().mode() & 0o777, 0o700);
        offline.remove().unwrap();
        assert!(find(&folder.0).is_empty());
        let planted = folder.0.join("planted.offline");
        std::os::unix::fs::symlink("/dev/zero", &planted).unwrap();
        assert_eq!(LeftFile::open(&planted).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
