//! The names under which a main leaves files: one stem for all of them, and a lock that says whether
//! it lives.
//!
//! The lock is there and held before anything else is, and goes last. So whatever has no held lock
//! beside it is of a dead main, at whatever point it died, and the [next one](tidy) removes it.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use guardhouse_protocol::Namespace;
use uuid::Uuid;

use super::{AFTER, Meeting, parse};
use crate::file_lock::FileLock;
use crate::regular_file;

pub(super) const NOTE: &str = "main";
const LOCK: &str = "lock";
const TEMPORARY: &str = "tmp";
const SOCKET: &str = "sock";

/// So long the note of a dead main stays for the next one of its own namespace, which has to say that
/// it comes after it.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How often other names are drawn because somebody took the lock for a dead main's.
const ATTEMPTS: usize = 16;

/// Names that are this main's. Dropping it gives them up.
#[derive(Debug)]
pub struct Place {
    stem: PathBuf,
    lock: FileLock,
    /// The process whose names they are. A forked child has a copy of this.
    pid: u32,
}

impl Place {
    /// Takes names in a [`directory`](super::directory) that nobody has.
    pub fn claim(directory: &Path) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            // Short, since the path of a socket has hardly more than a hundred bytes.
            let name = Uuid::new_v4().simple().to_string();
            let stem = directory.join(&name[..16]);
            if let Some(lock) = lock(&stem)? {
                return Ok(Self { stem, lock, pid: std::process::id() });
            }
        }
        Err(taken_again_and_again())
    }

    /// Takes the same names again, if somebody has removed the lock.
    pub(super) fn claim_again(&mut self) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            if self.is_held() {
                return Ok(());
            }
            // Whatever lies there is no lock of a main: nobody else has these names.
            let _ = std::fs::remove_file(self.stem.with_extension(LOCK));
            if let Some(lock) = lock(&self.stem)? {
                self.lock = lock;
            }
        }
        Err(taken_again_and_again())
    }

    /// Whether the lock that is held is the one that others find.
    pub(super) fn is_held(&self) -> bool {
        is_at(self.lock.file(), &self.stem.with_extension(LOCK))
    }

    /// Where its socket may lie.
    pub fn socket(&self) -> PathBuf {
        self.stem.with_extension(SOCKET)
    }

    pub(super) fn note(&self) -> PathBuf {
        self.stem.with_extension(NOTE)
    }

    /// Where something is written that is renamed when it is complete.
    pub(super) fn temporary(&self) -> PathBuf {
        self.stem.with_extension(TEMPORARY)
    }

    /// Whether the names are this process's, and not those of the one that has forked it.
    pub(super) fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    /// Leaves what is there, as a main does that is killed.
    #[cfg(test)]
    pub(super) fn die(&mut self) {
        self.pid = 0;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The lock goes last: a note without one is that of a dead main.
        if self.is_ours() {
            let _ = std::fs::remove_file(self.stem.with_extension(LOCK));
        }
    }
}

/// A new lock that is held. Nothing if somebody who tidied up has found it before that, and removes it.
fn lock(stem: &Path) -> io::Result<Option<FileLock>> {
    let path = stem.with_extension(LOCK);
    match FileLock::open(&path, &mut for_a_new_file()) {
        Ok(lock) => Ok(lock.filter(|lock| is_at(lock.file(), &path))),
        Err(error) => {
            if error.kind() == io::ErrorKind::Unsupported {
                let _ = std::fs::remove_file(&path);
            }
            Err(error)
        }
    }
}

fn taken_again_and_again() -> io::Error {
    io::Error::other("other processes keep removing the lock of this one")
}

/// Whether it is this file that has a path.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (Ok(held), Ok(found)) = (file.metadata(), std::fs::symlink_metadata(path)) else {
            return false;
        };
        (held.dev(), held.ino()) == (found.dev(), found.ino())
    }
    #[cfg(not(unix))]
    {
        // A file that is open cannot be replaced there.
        let _ = file;
        path.exists()
    }
}

/// Removes what mains have left that are dead, their sockets included. Says which notes of this
/// namespace were among it, the latest first, each followed by what it came after itself.
pub fn tidy(directory: &Path, namespace: &Namespace) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let is_known = |path: &PathBuf| {
        let extension = path.extension().and_then(|it| it.to_str());
        matches!(extension, Some(NOTE | LOCK | TEMPORARY | SOCKET))
    };
    let paths = entries.map(|entry| entry.path()).filter(is_known);
    let stems: BTreeSet<PathBuf> = paths.map(|path| path.with_extension("")).collect();
    let mut dead: Vec<Meeting> = stems.iter().filter_map(|stem| bury(stem, namespace)).collect();
    dead.sort_by_key(|main| std::cmp::Reverse(main.since));
    let mut after: Vec<String> = dead.into_iter().flat_map(|main| main.after).collect();
    after.truncate(AFTER);
    after
}

/// Removes what a main has left under a stem, if it is dead. If it was of this namespace, says its note,
/// the name of which is the first that it names.
fn bury(stem: &Path, namespace: &Namespace) -> Option<Meeting> {
    let lock_path = stem.with_extension(LOCK);
    // Held until all is gone, so that who has just made it and waits for it sees what has happened.
    let lock = match FileLock::open(&lock_path, File::options().write(true)) {
        Ok(Some(lock)) => Some(lock),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Ok(None) | Err(_) => return None,
    };
    for extension in [TEMPORARY, SOCKET] {
        let _ = std::fs::remove_file(stem.with_extension(extension));
    }
    let path = stem.with_extension(NOTE);
    let mut main = parse(&path).ok().flatten();
    if main.as_ref().is_some_and(|main| main.namespace != *namespace) {
        main = None;
        if is_recent(&path, lock.is_some()) {
            let _ = std::fs::remove_file(&lock_path);
            return None;
        }
    }
    let _ = std::fs::remove_file(&path);
    let _ = std::fs::remove_file(&lock_path);
    if let (Some(main), Some(name)) = (&mut main, name_of(&path)) {
        main.after.insert(0, name);
    }
    main
}

/// Whether a note of a dead main was not there for long since its end was first seen, which is when it
/// had its lock still.
fn is_recent(path: &Path, has_lock: bool) -> bool {
    let now = SystemTime::now();
    if has_lock {
        let note = regular_file::open_with(path, File::options().write(true));
        return note.and_then(|note| note.set_modified(now)).is_ok();
    }
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age < KEPT))
}

/// What a note is called in those of later mains.
pub(super) fn name_of(note: &Path) -> Option<String> {
    Some(note.file_name()?.to_str()?.to_owned())
}

/// Whether the main of a note lives: somebody holds its lock.
pub(super) fn is_alive(note: &Path) -> io::Result<bool> {
    match FileLock::is_held(&note.with_extension(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        is_held => is_held,
    }
}

/// A new file that only its user can read.
pub(super) fn create(path: &Path) -> io::Result<File> {
    regular_file::open_with(path, &mut for_a_new_file())
}

fn for_a_new_file() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
