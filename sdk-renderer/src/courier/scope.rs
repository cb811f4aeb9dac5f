//! What the process itself contributes to the scope, and how much of that has been said where.

use bytes::Bytes;
use guardhouse_protocol::Timestamp;
use guardhouse_protocol::scope::{Contribution, Refusal, ScopeMessage, ScopeUpdate};

/// When so many changes wait to be said, all of the scope is said instead.
const CHANGES: usize = 1000;

/// The contribution, and who has still to hear of what in it.
#[derive(Debug)]
pub(super) struct Statement {
    own: Contribution,
    to_main: Unsaid,
    to_shelf: Unsaid,
}

/// What has not been said yet.
#[derive(Debug)]
enum Unsaid {
    Changes(Vec<ScopeUpdate>),
    All,
}

impl Statement {
    pub(super) fn new(max_breadcrumbs: usize) -> Self {
        let own = Contribution::new(max_breadcrumbs);
        Self { own, to_main: Unsaid::Changes(Vec::new()), to_shelf: Unsaid::All }
    }

    pub(super) fn change(&mut self, update: ScopeUpdate, at: Timestamp) -> Result<(), Refusal> {
        let made = self.own.apply(update.clone(), at);
        // What could not be set has no value any more, and main has to hear that too.
        if made != Ok(false) {
            let update = match update {
                ScopeUpdate::Set { at: None, .. } => update.since(at),
                other => other,
            };
            self.to_main.add(&update);
            self.to_shelf.add(&update);
        }
        made.map(drop)
    }

    /// What main has to hear, from now on counted as said.
    pub(super) fn take_for_main(&mut self) -> Vec<Bytes> {
        self.to_main.take(&self.own)
    }

    /// All of it, for a main that knows nothing of it or something old.
    pub(super) fn take_whole_for_main(&mut self) -> Vec<Bytes> {
        self.to_main = Unsaid::All;
        self.to_main.take(&self.own)
    }

    /// What whoever reads the shelf has to hear, from now on counted as said.
    pub(super) fn take_for_shelf(&mut self) -> Vec<Bytes> {
        self.to_shelf.take(&self.own)
    }

    /// The shelf begins anew.
    pub(super) fn clear_shelf(&mut self) {
        self.to_shelf = Unsaid::All;
    }
}

impl Unsaid {
    fn add(&mut self, update: &ScopeUpdate) {
        if let Self::Changes(changes) = self {
            changes.push(update.clone());
            if changes.len() > CHANGES {
                *self = Self::All;
            }
        }
    }

    fn take(&mut self, own: &Contribution) -> Vec<Bytes> {
        match std::mem::replace(self, Self::Changes(Vec::new())) {
            Self::Changes(changes) => ScopeMessage::write(&changes),
            Self::All => {
                let mut all = vec![ScopeUpdate::Clear];
                all.extend(own.to_updates());
                ScopeMessage::write(&all)
            }
        }
    }
}
