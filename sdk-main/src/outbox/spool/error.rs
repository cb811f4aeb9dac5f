//! Why there is no spool, or no envelope.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::outbox::EntryId;

/// Why the spool could not be opened. The application can go on; what it reports is not kept.
#[derive(Debug)]
pub struct SpoolError {
    fault: SpoolFault,
    path: PathBuf,
    source: io::Error,
}

/// What is wrong with the cache directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpoolFault {
    /// Something on the way is a file. The caller has to name another directory.
    NotADirectory,
    /// It belongs to another user, who could read and change what is kept there. The caller has to name
    /// another directory.
    Foreign,
    /// The user may not write there. The caller has to name another directory, or the user has to
    /// change the permissions.
    NotPermitted,
    /// It is on a file system that can only be read.
    ReadOnly,
    /// The disk, or the user's share of it, is full.
    Full,
    /// The process may not make files as large as are needed.
    FileSizeLimit,
    /// The process has too many files open.
    TooManyOpen,
    /// The file system knows no locks, which some network file systems do not.
    NoLocks,
    /// Anything else that the system says.
    Other,
}

impl SpoolError {
    pub(super) fn new(path: &Path, source: io::Error) -> Self {
        let fault = match source.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                SpoolFault::NotADirectory
            }
            io::ErrorKind::PermissionDenied => SpoolFault::NotPermitted,
            io::ErrorKind::ReadOnlyFilesystem => SpoolFault::ReadOnly,
            _ if is_full(&source) => SpoolFault::Full,
            io::ErrorKind::FileTooLarge => SpoolFault::FileSizeLimit,
            _ if is_out_of_files(&source) => SpoolFault::TooManyOpen,
            _ => SpoolFault::Other,
        };
        Self { fault, path: path.to_owned(), source }
    }

    /// The directory belongs to somebody else.
    #[cfg(unix)]
    pub(super) fn foreign(path: &Path, owner: u32, user: u32) -> Self {
        let source = io::Error::other(format!(
            "it belongs to the user with the number {owner}, and this is the one with the number {user}"
        ));
        Self { fault: SpoolFault::Foreign, path: path.to_owned(), source }
    }

    pub(super) fn no_locks(path: &Path, source: io::Error) -> Self {
        Self { fault: SpoolFault::NoLocks, path: path.to_owned(), source }
    }

    pub(super) fn into_source(self) -> io::Error {
        self.source
    }

    /// What is wrong.
    pub const fn fault(&self) -> SpoolFault {
        self.fault
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, path, source } = self;
        write!(f, "reports cannot be kept in {}: ", path.display())?;
        match fault {
            SpoolFault::NotADirectory => {
                f.write_str("it, or something above it, is a file; choose another cache directory")
            }
            SpoolFault::Foreign => write!(f, "{source}; choose a cache directory of this user's own"),
            SpoolFault::NotPermitted => f.write_str(
                "this user may not write there; change the permissions, or choose another cache \
                 directory",
            ),
            SpoolFault::ReadOnly => f.write_str(
                "the file system can only be read; choose a cache directory that can be written",
            ),
            SpoolFault::Full => f.write_str("the disk is full; make room on it"),
            SpoolFault::FileSizeLimit => f.write_str(
                "the process may not make files as large as this takes (see `ulimit -f`); raise the \
                 limit",
            ),
            SpoolFault::TooManyOpen => f.write_str(
                "too many files are open; close some earlier, or raise the limit of the process",
            ),
            SpoolFault::NoLocks => write!(
                f,
                "the file system cannot lock files ({source}); choose a cache directory on a local \
                 disk"
            ),
            SpoolFault::Other => write!(f, "{source}; choose another cache directory"),
        }
    }
}

impl std::error::Error for SpoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Why an envelope could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not there: it was deleted, lost or evicted before, or somebody else has deleted the
    /// file, which is counted now.
    Gone,
    /// The file was damaged, as by a power cut. It is no entry any more; what could be saved of it is
    /// another, and the rest is counted.
    Broken {
        /// The entry that holds what could be saved.
        salvaged: Option<EntryId>,
    },
    /// The system could not read it now. It stays an entry: try again later.
    Io(io::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the envelope is not in the spool any more"),
            Self::Broken { salvaged: None } => {
                f.write_str("the envelope's file was damaged, and nothing of it could be saved")
            }
            Self::Broken { salvaged: Some(_) } => {
                f.write_str("the envelope's file was damaged, and only a part of it could be saved")
            }
            Self::Io(error) => {
                write!(f, "the envelope cannot be read now ({error}); it can be tried again")
            }
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Gone | Self::Broken { .. } => None,
        }
    }
}

/// Whether room would help.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn is_out_of_files(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        let codes = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
        error.raw_os_error().is_some_and(|code| codes.iter().any(|c| c.raw_os_error() == code))
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}
