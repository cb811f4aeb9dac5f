//! Where a process can die, or a disk fail, while the spool works: for tests alone.

use std::fmt;
use std::io;
use std::sync::Arc;

macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident,)+) => {
        /// A moment in the work of the spool.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Step { $($(#[$doc])* $step,)+ }

        impl Step {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$step,)+];
        }
    };
}

steps! {
    /// The run's lock file is about to be made.
    Lock,
    /// The lock is held, the run's folder is not made yet.
    Locked,
    /// The run's folder is made.
    Opened,
    /// A temporary file is about to be made.
    Create,
    /// Half of it is written, or of a piece that is added to it.
    HalfWritten,
    /// It is written, or such a piece is.
    Written,
    /// It is about to be made durable.
    SyncFile,
    /// It is about to get its name.
    Rename,
    /// It has its name.
    Renamed,
    /// A file is about to be written in place, or to be made for that.
    InPlace,
    /// It is written.
    InPlaceWritten,
    /// The folder is about to be made durable.
    SyncFolder,
    /// The folder is durable.
    SyncedFolder,
    /// A delivered envelope is about to be deleted.
    Delete,
    /// It is deleted.
    Deleted,
    /// Envelopes are about to be given up.
    Lose,
    /// The ledger is about to be written.
    Ledger,
    /// The ledger is written.
    Counted,
    /// A file that the ledger counts in is about to be deleted.
    Forget,
    /// It is deleted.
    Forgotten,
    /// A damaged envelope is about to be renamed to broken.
    Break,
    /// What could be saved of it is spooled, the rest not counted yet.
    Salvaged,
    /// It is about to be set aside.
    SetAside,
    /// The lock of a dead run is held.
    Adopt,
    /// A file of a dead run is about to be moved here.
    Move,
    /// It is moved.
    Moved,
    /// The outcome of a dead run is spooled, and what it was made from still there.
    Settle,
    /// What it was made from is deleted.
    Settled,
    /// The folder of a dead run is about to be removed.
    RemoveFolder,
    /// It is removed, its lock not yet.
    RemoveLock,
}

/// What is called at each step. If it returns an error before something is done, that fails with it.
pub type Hook = Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>;

/// A hook, perhaps.
#[derive(Clone, Default)]
pub(super) struct Steps(pub(super) Option<Hook>);

impl Steps {
    #[inline]
    pub(super) fn at(&self, step: Step) -> io::Result<()> {
        match &self.0 {
            None => Ok(()),
            Some(hook) => hook(step),
        }
    }

    /// Passes a step behind which there is no way back, so that an error changes nothing.
    #[inline]
    pub(super) fn past(&self, step: Step) {
        let _ = self.at(step);
    }

    pub(super) const fn are_watched(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.are_watched() { "watched" } else { "unwatched" })
    }
}
