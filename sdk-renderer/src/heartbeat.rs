//! The threads whose hanging main is to notice.

use std::time::Instant;

use bytes::Bytes;

/// What the SDK thread has to look after.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats {}

impl Heartbeats {
    /// What there is to say to main now: messages of the status channel.
    pub(crate) fn poll(&mut self, _now: Instant) -> Vec<Bytes> {
        Vec::new()
    }

    /// When to look again; nothing if no thread is watched.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        None
    }
}
