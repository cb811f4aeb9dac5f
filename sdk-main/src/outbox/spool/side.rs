//! Small files that other parts of main keep beside the envelopes, for the next start to conclude.

use std::collections::BTreeMap;
use std::io;

use super::name::{self, Key};
use super::slots::SlotFile;
use super::{Spool, Step};

/// Room for what is kept, beyond which a file is made anew. With it, a slot is one page.
const CAPACITY: usize = 4000;

/// The files of this kind that the run has, by their names.
pub(super) type Sides = BTreeMap<String, Side>;

#[derive(Debug)]
pub(super) struct Side {
    slots: SlotFile,
    pub(super) is_synced: bool,
}

impl Spool {
    /// Keeps something small for another part of main, and replaces what it has kept there before:
    /// as a whole or not at all. It survives a power cut like an envelope that is not of
    /// a crash. If the run dies, it is [handed out](Self::dead_runs) at the next start.
    ///
    /// The file is written in place, which costs about a microsecond, and which works on a full disk
    /// as well unless it is the first time.
    pub fn write_side(&mut self, name: &Key, bytes: &[u8]) -> io::Result<()> {
        let file = name::side(name.as_str());
        self.own.steps().at(Step::InPlace)?;
        if let Some(side) = self.sides.get_mut(&file) {
            match side.slots.write(bytes) {
                // Somebody has deleted it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                written => {
                    written?;
                    side.is_synced = false;
                    self.own.steps().past(Step::InPlaceWritten);
                    return Ok(());
                }
            }
        }
        let slots = match self.own.slots(&file, CAPACITY, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.renew()?;
                self.own.slots(&file, CAPACITY, bytes)?
            }
            made => made?,
        };
        self.sides.insert(file, Side { slots, is_synced: false });
        self.own.steps().past(Step::InPlaceWritten);
        Ok(())
    }

    /// What is kept under a name, if there is something.
    pub fn read_side(&self, name: &Key) -> io::Result<Option<Vec<u8>>> {
        match self.own.read_slots(&name::side(name.as_str())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => bytes,
        }
    }

    /// Removes it, so that nothing remains to be concluded.
    pub fn remove_side(&mut self, name: &Key) -> io::Result<()> {
        let file = name::side(name.as_str());
        self.own.remove(&file)?;
        self.sides.remove(&file);
        Ok(())
    }
}
