//! Surviving power cuts: many files made durable at once, on another thread.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;

use guardhouse_process::regular_file;

use super::Spool;
use super::folder::sync_folder;
use super::name::LEDGER;

/// Files that a power cut may still take.
#[derive(Debug)]
#[must_use = "nothing is durable until it is synced"]
pub struct Unsynced {
    pub(super) files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Unsynced {
    /// Makes them durable: the files, and then once the folders. It blocks while the disk is at it.
    /// What fails does not keep the others from it; the first error is told.
    pub fn sync(self) -> io::Result<()> {
        let files = self.files.iter().map(|file| {
            match regular_file::open_with(file, OpenOptions::new().write(true)) {
                // It was sent meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                opened => opened?.sync_all(),
            }
        });
        // Lazily, so that the folders come after the files.
        let folders = self.folders.iter().map(|folder| sync_folder(folder));
        files.chain(folders).fold(Ok(()), Result::and)
    }
}

impl Spool {
    /// What has to be synced to survive a power cut. The driver takes it at most once a second, and
    /// has a thread sync it that may block.
    pub fn take_unsynced(&mut self) -> Option<Unsynced> {
        let mut files = std::mem::take(&mut self.unsynced);
        if !self.is_ledger_synced {
            self.is_ledger_synced = true;
            files.push(LEDGER.to_owned());
        }
        for (file, side) in self.sides.iter_mut().filter(|(_, side)| !side.is_synced) {
            side.is_synced = true;
            files.push(file.clone());
        }
        (!files.is_empty()).then(|| Unsynced {
            files: files.iter().map(|file| self.own.path(file)).collect(),
            folders: vec![self.own.path(""), self.runs.clone()],
        })
    }
}
