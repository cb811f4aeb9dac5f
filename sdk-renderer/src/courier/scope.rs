//! What the process itself contributes to the scope, and how much of that main was told.

use bytes::Bytes;
use guardhouse_protocol::Timestamp;
use guardhouse_protocol::scope::{Contribution, Refusal, ScopeMessage, ScopeUpdate};

/// When so many changes wait to be said, all of the scope is said instead.
const CHANGES: usize = 1000;

/// The contribution, now and as it was in front of everything that has no answer.
#[derive(Debug)]
pub(super) struct Statement {
    own: Contribution,
    /// What main knew before it heard any message that is still held.
    before: Contribution,
    to_main: Unsaid,
    latest: Timestamp,
    pub(super) max_breadcrumbs: usize,
}

/// What has not been said yet.
#[derive(Debug)]
enum Unsaid {
    Changes(Vec<ScopeUpdate>),
    All,
}

impl Statement {
    pub(super) fn new(max_breadcrumbs: usize) -> Self {
        Self {
            own: Contribution::new(max_breadcrumbs),
            before: Contribution::new(max_breadcrumbs),
            to_main: Unsaid::Changes(Vec::new()),
            latest: Timestamp::EPOCH,
            max_breadcrumbs,
        }
    }

    pub(super) fn change(&mut self, update: ScopeUpdate, at: Timestamp) -> Result<(), Refusal> {
        self.latest = self.latest.max(at);
        let made = self.own.apply(update.clone(), at);
        if made != Ok(false) {
            self.to_main.add(match update {
                // What could not be set has no value any more, and main has to hear that too.
                ScopeUpdate::Set { field, .. } if made.is_err() => ScopeUpdate::Unset(field),
                ScopeUpdate::Set { at: None, .. } => update.since(at),
                other => other,
            });
        }
        made.map(drop)
    }

    /// What main has to hear, from now on counted as said.
    pub(super) fn take_for_main(&mut self) -> Vec<Bytes> {
        match std::mem::replace(&mut self.to_main, Unsaid::Changes(Vec::new())) {
            Unsaid::Changes(changes) => ScopeMessage::write(&changes),
            Unsaid::All => ScopeMessage::write(&whole(&self.own)),
        }
    }

    /// All of it as it is now, from now on counted as said.
    pub(super) fn take_whole_for_main(&mut self) -> Vec<Bytes> {
        self.to_main = Unsaid::All;
        self.take_for_main()
    }

    /// All of it as it was in front of everything that has no answer.
    pub(super) fn before(&self) -> Vec<ScopeUpdate> {
        whole(&self.before)
    }

    #[cfg(test)]
    pub(super) fn now(&self) -> Vec<ScopeUpdate> {
        whole(&self.own)
    }

    /// This message belongs in front of everything that has no answer.
    pub(super) fn settle(&mut self, message: &[u8]) {
        if let Ok(message) = ScopeMessage::parse(message) {
            self.before.hear(message, self.latest);
        }
    }

    /// So does all of it.
    pub(super) fn settle_all(&mut self) {
        self.before = self.own.clone();
        self.to_main = Unsaid::Changes(Vec::new());
    }
}

fn whole(contribution: &Contribution) -> Vec<ScopeUpdate> {
    let mut all = vec![ScopeUpdate::Clear];
    all.extend(contribution.to_updates());
    all
}

impl Unsaid {
    fn add(&mut self, update: ScopeUpdate) {
        if let Self::Changes(changes) = self {
            changes.push(update);
            if changes.len() > CHANGES {
                *self = Self::All;
            }
        }
    }
}
