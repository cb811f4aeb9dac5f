//! Locks on files that last exactly as long as the process that took them.
//!
//! The locks of [`File::try_lock`](std::fs::File::try_lock) belong to the open file, which a forked child
//! shares: an application that forks, to become a daemon or to have helpers, would leave them held after
//! its end. On Unix these are record locks (`fcntl`), which no child inherits. They have a trap of their
//! own: a process that closes the file, wherever it has opened it, gives up its lock. So nobody but this
//! module opens a lock file, and it opens none that this process holds.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use crate::regular_file;

/// A lock that is held, until this is dropped or the process ends.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    /// Goes after the file is closed, which would give up a lock that somebody else here takes before.
    #[cfg(unix)]
    _held: unix::Held,
}

impl FileLock {
    /// Opens a lock file as `options` say, which have to allow writing, and locks it. Nothing if somebody
    /// holds it, be it this process.
    ///
    /// A link, a pipe or a device in its place is an error, as [`regular_file::open`] says. A file system
    /// that knows no locks is one of the kind [`Unsupported`](io::ErrorKind::Unsupported).
    pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<Option<Self>> {
        #[cfg(unix)]
        {
            unix::open(path, options)
        }
        #[cfg(not(unix))]
        {
            use std::fs::TryLockError;
            let file = regular_file::open_with(path, options)?;
            match file.try_lock() {
                Ok(()) => Ok(Some(Self { file })),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(unsupported(error)),
            }
        }
    }

    /// Whether somebody holds the lock, be it this process. It is not taken for that, so nobody who wants
    /// to take it is in anybody's way.
    pub fn is_held(path: &Path) -> io::Result<bool> {
        #[cfg(unix)]
        {
            unix::is_held(path)
        }
        #[cfg(not(unix))]
        {
            use std::fs::TryLockError;
            match regular_file::open(path)?.try_lock_shared() {
                Ok(()) => Ok(false),
                Err(TryLockError::WouldBlock) => Ok(true),
                Err(TryLockError::Error(error)) => Err(unsupported(error)),
            }
        }
    }

    /// The file.
    pub const fn file(&self) -> &File {
        &self.file
    }
}

#[cfg(not(unix))]
impl Drop for FileLock {
    fn drop(&mut self) {
        // Also if a process that was started meanwhile has a copy of the open file.
        let _ = self.file.unlock();
    }
}

fn unsupported(error: impl Into<io::Error>) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, error.into())
}

#[cfg(unix)]
mod unix {
    use std::collections::BTreeMap;
    use std::os::unix::fs::MetadataExt;
    use std::sync::Mutex;

    use rustix::fs::{FlockOperation, fcntl_lock};
    use rustix::io::Errno;
    use rustix::process::{Flock, FlockType, fcntl_getlk};

    use super::{File, FileLock, OpenOptions, Path, io, regular_file, unsupported};
    use crate::lock;

    /// The files that this process holds, and how often: a file that is removed and closed gives its
    /// number to the next that somebody makes, a moment before it goes from here.
    static HELD: Mutex<BTreeMap<Key, usize>> = Mutex::new(BTreeMap::new());

    /// A file, by device and number, and the process that holds it: a forked child has a copy of the
    /// list, and holds none of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Key {
        pid: u32,
        device: u64,
        number: u64,
    }

    impl Key {
        fn of(metadata: &std::fs::Metadata) -> Self {
            Self { pid: std::process::id(), device: metadata.dev(), number: metadata.ino() }
        }
    }

    /// Keeps a file in the list.
    #[derive(Debug)]
    pub(super) struct Held(Key);

    impl Drop for Held {
        fn drop(&mut self) {
            let mut all = lock(&HELD);
            if let Some(count) = all.get_mut(&self.0) {
                *count -= 1;
                if *count == 0 {
                    all.remove(&self.0);
                }
            }
        }
    }

    /// Whether this process holds what is at a path, which it must not open then.
    fn is_among(all: &BTreeMap<Key, usize>, path: &Path) -> bool {
        path.symlink_metadata().is_ok_and(|metadata| all.contains_key(&Key::of(&metadata)))
    }

    pub(super) fn is_held(path: &Path) -> io::Result<bool> {
        let all = lock(&HELD);
        if is_among(&all, path) {
            return Ok(true);
        }
        let file = regular_file::open(path)?;
        let asked = Flock::from(FlockType::WriteLock);
        Ok(fcntl_getlk(&file, &asked).map_err(unsupported)?.is_some())
    }

    pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<Option<FileLock>> {
        let mut all = lock(&HELD);
        if is_among(&all, path) {
            return Ok(None);
        }
        let file: File = regular_file::open_with(path, options)?;
        let key = Key::of(&file.metadata()?);
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                *all.entry(key).or_default() += 1;
                Ok(Some(FileLock { file, _held: Held(key) }))
            }
            Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
            Err(error) => Err(unsupported(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use uuid::Uuid;

    use super::*;

    struct Temp(PathBuf);

    impl Temp {
        fn new() -> Self {
            let name = format!("guardhouse-test-{}", Uuid::new_v4().simple());
            Self(std::env::temp_dir().join(name))
        }

        fn lock(&self) -> Option<FileLock> {
            let mut options = OpenOptions::new();
            FileLock::open(&self.0, options.create(true).truncate(false).write(true)).unwrap()
        }
    }

    impl Drop for Temp {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    const PATH: &str = "GUARDHOUSE_TEST_LOCK";

    /// Says by its status whether somebody else holds the lock.
    #[test]
    fn asking_worker() {
        let Some(path) = std::env::var_os(PATH) else { return };
        let is_held = FileLock::is_held(Path::new(&path)).unwrap();
        let lock = FileLock::open(Path::new(&path), OpenOptions::new().write(true)).unwrap();
        assert_eq!(is_held, lock.is_none());
        std::process::exit(if lock.is_some() { 10 } else { 11 });
    }

    fn is_held_for_others(temp: &Temp) -> bool {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "file_lock::tests::asking_worker"])
            .env(PATH, &temp.0)
            .stdout(std::process::Stdio::null())
            .status();
        match status.unwrap().code() {
            Some(10) => false,
            Some(11) => true,
            code => panic!("{code:?}"),
        }
    }

    #[test]
    fn one_holds_it_within_a_process_and_among_processes() {
        let temp = Temp::new();
        let held = temp.lock().unwrap();
        assert!(temp.lock().is_none());
        assert!(FileLock::is_held(&temp.0).unwrap());
        assert!(is_held_for_others(&temp), "asking in the same process did not give it up");
        drop(held);
        assert!(!is_held_for_others(&temp));
        assert!(temp.lock().is_some());
    }
}
