//! What the parts of the outbox call an envelope among themselves.

/// An envelope in the outbox. Numbers ascend in the order in which envelopes came into this run's
/// hands, and are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(u64);

impl EntryId {
    /// The entry with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What is sent first and given up last. The order of the variants is the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A process died of it. Made durable at once, evicted last.
    Crash,
    /// How a run ended, or goes.
    Session,
    /// Everything else.
    Normal,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Crash, Self::Session, Self::Normal];
}
