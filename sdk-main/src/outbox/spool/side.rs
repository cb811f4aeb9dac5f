//! Small files that other parts of main keep beside the envelopes, for the next start to conclude.

use std::io;

use super::Spool;
use super::name::{self, Key};

impl Spool {
    /// Keeps something small for another part of main, and replaces what it has kept there before:
    /// as a whole or not at all. It survives a power cut like an envelope that is not of
    /// a crash. If the run dies, it is [handed out](Self::dead_runs) at the next start.
    pub fn write_side(&mut self, name: &Key, bytes: &[u8]) -> io::Result<()> {
        let file = name::side(name.as_str());
        self.own.replace(&file, bytes)?;
        if !self.unsynced.contains(&file) {
            self.unsynced.push(file);
        }
        Ok(())
    }

    /// What is kept under a name, if there is something.
    pub fn read_side(&self, name: &Key) -> io::Result<Option<Vec<u8>>> {
        match self.own.read(&name::side(name.as_str())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => bytes.map(Some),
        }
    }

    /// Removes it, so that nothing remains to be concluded.
    pub fn remove_side(&mut self, name: &Key) -> io::Result<()> {
        self.own.remove(&name::side(name.as_str()))
    }
}
