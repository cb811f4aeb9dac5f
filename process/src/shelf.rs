//! Where a process leaves what main has not taken: a file in main's spool directory.
//!
//! A renderer writes it while there is no main, and removes it when a main has taken everything. If it
//! ends before that, the next main finds the file, and takes what is in it as if it had come over a
//! socket: it holds frames of the protocol, a hello first, then messages. As long as the writer lives the
//! file is locked, and nobody else reads it.
//!
//! What was written is there whatever happens to the process. It is not made durable against a loss of
//! power: the disk is main's business. The end of a file may be torn; what is whole before it counts.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use guardhouse_protocol::frame::{
    Decoder, Frame, FrameError, Hello, Proof, Resume, Side, Version, VersionRange, Welcome,
};
use guardhouse_protocol::limits::MIB;
use uuid::Uuid;

use crate::link::PIECE_BYTES;

/// The largest file that is written or read.
pub const SHELF_BYTES: usize = 64 * MIB;

const SHELF: &str = "shelf";

/// The file of a process that lives, for its writer.
#[derive(Debug)]
pub struct Shelf {
    path: PathBuf,
    file: File,
    hello: Hello,
    length: usize,
}

impl Shelf {
    /// Begins a file in main's spool directory, which is made if it is not there. The hello says who
    /// writes; its proof is not written down.
    pub fn begin(spool: &Path, mut hello: Hello) -> io::Result<Self> {
        make(spool)?;
        let name = format!("{}-{}", hello.pid, Uuid::new_v4().simple());
        let temporary = spool.join(format!("{name}.tmp"));
        let path = spool.join(format!("{name}.{SHELF}"));
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&temporary)?;
        hello.proof = Proof::new([0; 32]);
        let mut shelf = Self { path: path.clone(), file, hello, length: 0 };
        // Nobody may find it before it is locked and says whose it is.
        let begun = shelf
            .file
            .lock()
            .and_then(|()| shelf.write_hello())
            .and_then(|()| std::fs::rename(&temporary, &path));
        if let Err(error) = begun {
            let _ = std::fs::remove_file(&temporary);
            return Err(error);
        }
        Ok(shelf)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says who the process is to main now, so that a main that has taken part of it can tell.
    pub fn sign(&mut self, resume: Resume) -> io::Result<()> {
        self.hello.resume = Some(resume);
        self.file.seek(SeekFrom::Start(0))?;
        self.write_hello()
    }

    /// Adds frames. When that would make the file too large, or one of them is none that a renderer may
    /// send, it is an error and nothing is added.
    pub fn append(&mut self, frames: &[Frame]) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        for frame in frames {
            frame.encode(Side::Renderer, &mut bytes).map_err(invalid)?;
        }
        if self.length + bytes.len() > SHELF_BYTES {
            let why = "so much was left for the next main already that no more fits";
            return Err(io::Error::new(io::ErrorKind::StorageFull, why));
        }
        self.file.seek(SeekFrom::Start(self.length as u64))?;
        if let Err(error) = self.file.write_all(&bytes) {
            // What was written of it would tear what comes behind.
            let _ = self.file.set_len(self.length as u64);
            return Err(error);
        }
        self.length += bytes.len();
        Ok(())
    }

    /// Takes the file away: main has everything.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// The hello always takes up the same room, so that it can be written anew.
    fn write_hello(&mut self) -> io::Result<()> {
        let nobody = || Welcome::new(Version::ONE, Uuid::nil(), Proof::new([0; 32])).resume();
        let mut hello = self.hello.clone();
        hello.resume.get_or_insert_with(nobody);
        let mut bytes = BytesMut::new();
        Frame::Hello(hello).encode(Side::Renderer, &mut bytes).map_err(invalid)?;
        self.length = self.length.max(bytes.len());
        self.file.write_all(&bytes)
    }
}

/// What a process has left, for the main that takes it. Until it is dropped, nobody else takes it.
#[derive(Debug)]
pub struct Left {
    path: PathBuf,
    hello: Hello,
    frames: Vec<Frame>,
    _lock: File,
}

impl Left {
    /// Reads what a process has left; nothing if it lives, or if somebody else takes it.
    ///
    /// What is no file of this kind is an error ([`io::ErrorKind::InvalidData`]).
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let lock = File::open(path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if !path.exists() {
            // Somebody has taken it between the opening and the lock.
            return Ok(None);
        }
        let (hello, frames) = read(&lock)?;
        Ok(Some(Self { path: path.to_owned(), hello, frames, _lock: lock }))
    }

    /// Who it was.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// What it has left, in order.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Takes the file away: everything is taken.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

/// All files that processes have left in a spool directory, or are writing.
pub fn find(spool: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(spool).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|it| it == SHELF)).collect()
}

fn read(file: &File) -> io::Result<(Hello, Vec<Frame>)> {
    let mut file = file.take(SHELF_BYTES as u64);
    let mut decoder = Decoder::new(Side::Main);
    let mut piece = vec![0; PIECE_BYTES];
    let mut hello = None;
    let mut frames = Vec::new();
    loop {
        let length = file.read(&mut piece)?;
        decoder.push(&piece[..length]);
        loop {
            match decoder.poll() {
                Ok(None) => break,
                Ok(Some(Frame::Hello(read))) => {
                    let version = VersionRange::negotiate(VersionRange::OURS, read.versions);
                    decoder.agree(version.map_err(invalid)?);
                    hello = Some(read);
                }
                Ok(Some(frame)) => frames.push(frame),
                // What is whole before it counts, if it is known whose it is.
                Err(error) => return told(hello, frames, Some(error)),
            }
        }
        if length == 0 {
            return told(hello, frames, None);
        }
    }
}

fn told(
    hello: Option<Hello>,
    frames: Vec<Frame>,
    error: Option<FrameError>,
) -> io::Result<(Hello, Vec<Frame>)> {
    let Some(mut hello) = hello else {
        let why = error.map_or_else(|| "it does not say whose it is".into(), |it| it.to_string());
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    };
    hello.resume = hello.resume.filter(|resume| !resume.renderer_id.is_nil());
    Ok((hello, frames))
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Makes the directory and those above it, for this user alone.
fn make(spool: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(spool)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use guardhouse_protocol::frame::{MessageId, RendererName, Role};
    use guardhouse_protocol::{Channel, Namespace};

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("guardhouse-test-{}", Uuid::new_v4().simple());
            Self(std::env::temp_dir().join(name).join("spool"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = self.0.parent().map(std::fs::remove_dir_all);
        }
    }

    fn hello() -> Hello {
        let name = RendererName::new("settings").unwrap();
        Hello::new(Namespace::DEFAULT, Role::Renderer, name, 7, Proof::new([7; 32]))
    }

    fn message(id: u64) -> Frame {
        let payload = Bytes::from(vec![b'x'; 100]);
        Frame::Message { id: MessageId::new(id), channel: Channel::Envelope, payload }
    }

    #[test]
    fn what_was_left_is_read_once_its_writer_is_gone() {
        let folder = Folder::new();
        let mut shelf = Shelf::begin(&folder.0, hello()).unwrap();
        shelf.append(&[message(1), message(2)]).unwrap();
        let path = shelf.path().to_owned();
        assert_eq!(find(&folder.0), std::slice::from_ref(&path));
        assert!(Left::read(&path).unwrap().is_none(), "its writer lives");
        let resume = Welcome::new(Version::ONE, Uuid::max(), Proof::new([9; 32])).resume();
        shelf.sign(resume.clone()).unwrap();
        shelf.append(&[message(3)]).unwrap();
        drop(shelf);
        let left = Left::read(&path).unwrap().unwrap();
        assert!(Left::read(&path).unwrap().is_none(), "one main takes it");
        assert_eq!(left.frames(), [message(1), message(2), message(3)]);
        assert_eq!(left.hello().resume, Some(resume));
        assert_eq!(left.hello().proof, Proof::new([0; 32]));
        left.remove().unwrap();
        assert!(find(&folder.0).is_empty());
    }

    #[test]
    fn a_torn_end_costs_what_was_torn() {
        let folder = Folder::new();
        let mut shelf = Shelf::begin(&folder.0, hello()).unwrap();
        shelf.append(&[message(1), message(2)]).unwrap();
        let path = shelf.path().to_owned();
        drop(shelf);
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..whole.len() {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            match Left::read(&path) {
                Ok(left) => {
                    let left = left.unwrap();
                    let frames = left.frames();
                    assert_eq!(left.hello().resume, None);
                    assert!(frames.len() < 2 && *frames == [message(1)][..frames.len()]);
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidData),
            }
        }
        let mut strange = whole.clone();
        strange.extend_from_slice(b"something else altogether");
        std::fs::write(&path, strange).unwrap();
        assert_eq!(Left::read(&path).unwrap().unwrap().frames().len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::MetadataExt;
        let folder = Folder::new();
        let shelf = Shelf::begin(&folder.0, hello()).unwrap();
        assert_eq!(std::fs::metadata(shelf.path()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&folder.0).unwrap().mode() & 0o777, 0o700);
        shelf.remove().unwrap();
        assert!(find(&folder.0).is_empty());
    }
}
