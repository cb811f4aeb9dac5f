//! The folder of a run, and the lock beside it.
//!
//! Whoever holds a [`Folder`] holds its lock, and so is the only one who touches its files: the run
//! itself, or one that adopts it after its end. The system gives the lock back however a process
//! ends. The lock file is there before the folder and goes after it, so a folder without one was not
//! left by us, and may be adopted like one whose lock is free.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use guardhouse_process::file_lock::FileLock;
use guardhouse_process::regular_file;
use guardhouse_protocol::RunId;

use super::error::{SpoolError, is_full};
use super::name::{self, Kind};
use super::slots::SlotFile;
use super::step::{Step, Steps};

/// How the name of a lock file ends.
const LOCK: &str = ".lock";

/// How often a new run draws another number because somebody took its lock file for a dead run's.
const ATTEMPTS: usize = 16;

/// What is at most gathered, to be written at once.
const GATHERED_BYTES: usize = 256 * 1024;

/// The folder of a run whose lock is held.
#[derive(Debug)]
pub(super) struct Folder {
    run: RunId,
    runs: PathBuf,
    path: PathBuf,
    /// Unlocked last.
    lock: FileLock,
    /// The process that it belongs to. A forked child has a copy of what this is in.
    pid: u32,
    steps: Steps,
}

impl Folder {
    /// Makes the folder of a new run in `runs`, which is made as well if need be. On a full disk there
    /// is only the lock for now, and the folder is [made](Self::make) when there is room.
    pub(super) fn create(runs: &Path, steps: &Steps) -> Result<Self, SpoolError> {
        let error = |source| SpoolError::new(runs, source);
        // Nearly always it is there, so the attempt to lock is what finds out.
        let mut is_made = false;
        for _ in 0..ATTEMPTS {
            let run = RunId::new(uuid::Uuid::new_v4().as_u64_pair().0);
            let lock = runs.join(format!("{run}{LOCK}"));
            steps.at(Step::Lock).map_err(error)?;
            let held = match FileLock::open(&lock, private_file().create_new(true).write(true)) {
                Ok(held) => held,
                Err(source) if source.kind() == io::ErrorKind::NotFound && !is_made => {
                    private_folders(runs).map_err(error)?;
                    is_made = true;
                    continue;
                }
                Err(source) if source.kind() == io::ErrorKind::Unsupported => {
                    let _ = fs::remove_file(&lock);
                    return Err(SpoolError::no_locks(runs, source));
                }
                Err(source) => return Err(error(source)),
            };
            // Between the two calls somebody may have held it for a dead run's, which has nothing to adopt.
            let Some(held) = held.filter(|held| is_same(held.file(), &lock)) else { continue };
            let path = runs.join(run.to_string());
            let (pid, steps) = (std::process::id(), steps.clone());
            let made = Self { run, runs: runs.to_owned(), path, lock: held, pid, steps };
            return match made.make() {
                Err(source) if !is_full(&source) => {
                    let _ = fs::remove_file(&lock);
                    Err(error(source))
                }
                _ => Ok(made),
            };
        }
        Err(error(io::Error::other("other processes keep removing the lock file of this run")))
    }

    /// Makes the folder itself, if it is not there.
    pub(super) fn make(&self) -> io::Result<()> {
        self.steps.at(Step::Locked)?;
        match private_folder().create(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.path.is_dir() => {}
            made => made?,
        }
        self.steps.past(Step::Opened);
        Ok(())
    }

    /// Whether its lock has not been removed under us, so that nobody else takes it for a dead run's.
    pub(super) fn is_locked(&self) -> bool {
        is_same(self.lock.file(), &self.runs.join(format!("{}{LOCK}", self.run)))
    }

    /// Takes over the folder of a dead run. Nothing if the run is alive, or somebody else was faster.
    pub(super) fn adopt(runs: &Path, run: RunId, steps: &Steps) -> io::Result<Option<Self>> {
        let path = runs.join(run.to_string());
        let lock = runs.join(format!("{run}{LOCK}"));
        let held = match FileLock::open(&lock, OpenOptions::new().write(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => {
                FileLock::open(&lock, private_file().create(true).truncate(false).write(true))?
            }
            held => held?,
        };
        // Whoever was faster has removed the file, or done so and somebody made another one.
        let Some(held) = held.filter(|held| is_same(held.file(), &lock)) else { return Ok(None) };
        steps.at(Step::Adopt)?;
        let (runs, steps) = (runs.to_owned(), steps.clone());
        let pid = std::process::id();
        Ok(Some(Self { run, runs, path, lock: held, pid, steps }))
    }

    /// All runs that have a folder or a lock in `runs`, the dead and the living.
    pub(super) fn runs(runs: &Path) -> Vec<RunId> {
        let mut found: Vec<RunId> = fs::read_dir(runs)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                let name = name.to_str()?;
                name.strip_suffix(LOCK).unwrap_or(name).parse().ok()
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whose folder it is.
    pub(super) const fn run(&self) -> RunId {
        self.run
    }

    /// Whether it belongs to this process, and not to the one that has forked it.
    pub(super) fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    /// Leaves everything as it is, as a process does that is killed.
    #[cfg(test)]
    pub(super) fn leave(&mut self) {
        self.pid = 0;
    }

    /// Where a file of it is.
    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    pub(super) const fn steps(&self) -> &Steps {
        &self.steps
    }

    /// The names of all regular files, in order of name. There are none if there is no folder. What else
    /// may be there, such as a link or a pipe, none of us has made, and nobody touches it.
    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Writes a file that appears whole or not at all, and replaces what has its name. If its content
    /// is to be durable, it is when this returns; its name is after a [`sync`](Self::sync).
    pub(super) fn write(
        &self,
        temp: &str,
        name: &str,
        pieces: &[&[u8]],
        is_durable: bool,
    ) -> io::Result<()> {
        let temp = self.path(temp);
        let written = self.write_temp(&temp, pieces, is_durable).and_then(|()| {
            self.steps.at(Step::Rename)?;
            fs::rename(&temp, self.path(name))
        });
        if let Err(error) = written {
            // If this fails as well, the next run removes it.
            let _ = fs::remove_file(&temp);
            return Err(error);
        }
        self.steps.past(Step::Renamed);
        Ok(())
    }

    fn write_temp(&self, temp: &Path, pieces: &[&[u8]], is_durable: bool) -> io::Result<()> {
        self.steps.at(Step::Create)?;
        let mut file = create_anew(temp)?;
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        if length <= GATHERED_BYTES {
            let bytes = pieces.concat();
            let (mut half, mut rest) = (&[][..], &bytes[..]);
            if self.steps.are_watched() {
                (half, rest) = bytes.split_at(length / 2);
            }
            file.write_all(half)?;
            self.steps.at(Step::HalfWritten)?;
            file.write_all(rest)?;
        } else {
            for (index, piece) in pieces.iter().enumerate() {
                file.write_all(piece)?;
                if index == pieces.len() / 2 {
                    self.steps.at(Step::HalfWritten)?;
                }
            }
        }
        self.steps.at(Step::Written)?;
        if is_durable {
            self.steps.at(Step::SyncFile)?;
            file.sync_all()?;
        }
        Ok(())
    }

    /// Begins a file that grows. It has the name of one that is not whole.
    pub(super) fn begin(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write_temp(&self.path(name), &[bytes], false)
    }

    /// Writes into a file that was begun. It is not kept open meanwhile: an application may have as
    /// many files as the system lets it.
    pub(super) fn grow(&self, name: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = regular_file::open_with(&self.path(name), OpenOptions::new().write(true))?;
        file.seek(SeekFrom::Start(at))?;
        let mut rest = bytes;
        if self.steps.are_watched() {
            let (half, other) = bytes.split_at(bytes.len() / 2);
            file.write_all(half)?;
            self.steps.at(Step::HalfWritten)?;
            rest = other;
        }
        file.write_all(rest)?;
        self.steps.at(Step::Written)
    }

    /// Gives a file the name that it keeps.
    pub(super) fn complete(&self, from: &str, to: &str) -> io::Result<()> {
        self.steps.at(Step::Rename)?;
        self.rename(from, to)?;
        self.steps.past(Step::Renamed);
        Ok(())
    }

    /// Makes a small file that is written in place, or makes it anew.
    pub(super) fn slots(&self, name: &str, capacity: usize, bytes: &[u8]) -> io::Result<SlotFile> {
        self.steps.at(Step::Create)?;
        SlotFile::create(&self.path(name), capacity, bytes)
    }

    /// Reads such a file. Nothing if a power cut, or somebody else, has left nothing whole in it.
    pub(super) fn read_slots(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        SlotFile::read(&self.path(name))
    }

    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        regular_file::open(&self.path(name))
    }

    /// Reads a file that should not have more than `most` bytes.
    pub(super) fn read(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        regular_file::read_at_most(&self.path(name), most)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    /// Moves a file into another run's folder.
    pub(super) fn hand_over(&self, name: &str, to: &Self, new_name: &str) -> io::Result<()> {
        self.steps.at(Step::Move)?;
        fs::rename(self.path(name), to.path(new_name))?;
        self.steps.past(Step::Moved);
        Ok(())
    }

    /// Deletes a file. That it is not there is as good.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Deletes a file that is counted, or sets it aside if it is a broken envelope.
    pub(super) fn forget(&self, name: &str) -> io::Result<()> {
        let Kind::Broken(broken) = name::kind(name) else { return self.remove(name) };
        self.steps.at(Step::SetAside)?;
        match self.rename(name, &broken.corrupt()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed,
        }
    }

    /// Makes durable which files there are.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.steps.at(Step::SyncFolder)?;
        sync_folder(&self.path)?;
        sync_folder(&self.runs)?;
        self.steps.past(Step::SyncedFolder);
        Ok(())
    }

    /// Removes folder and lock, if the folder is empty. Otherwise the next start looks at it again.
    pub(super) fn remove_if_empty(&self) -> io::Result<()> {
        self.steps.at(Step::RemoveFolder)?;
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.steps.at(Step::RemoveLock)?;
        fs::remove_file(self.runs.join(format!("{}{LOCK}", self.run)))
    }
}

/// Makes durable which files a folder has.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and the file system keeps a journal of names itself.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Whether the path still leads to the file, which whoever held its lock before may have removed.
fn is_same(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (Ok(held), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
        (held.dev(), held.ino()) == (named.dev(), named.ino())
    }
    #[cfg(not(unix))]
    {
        // The system does not say which file it is; but a number is not drawn twice, so that there
        // is another one is left to people who make them by hand.
        let _ = file;
        path.exists()
    }
}

/// Makes a file of which nothing may be there but what a failed attempt has left, or somebody has
/// planted: that goes, and is not written into.
pub(super) fn create_anew(path: &Path) -> io::Result<File> {
    let mut options = private_file();
    let options = options.create_new(true).write(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            options.open(path)
        }
        opened => opened,
    }
}

/// Files are for their user alone.
pub(super) fn private_file() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "elsewhere they inherit who may read them"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn private_folder() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "elsewhere they inherit who may read them"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn private_folders(path: &Path) -> io::Result<()> {
    private_folder().recursive(true).create(path)
}
