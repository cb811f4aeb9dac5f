//! How much of what was accepted is held in memory: by each renderer, and by all together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use guardhouse_protocol::limits::{ENVELOPE_MESSAGE_BYTES, KIB, MIB};

/// What a message costs beside its bytes, so that a flood of empty ones has a bound too. What is made
/// of a small message takes about this much.
const MESSAGE_BYTES: usize = KIB;

/// A renderer has at most this part of the room.
const SHARES: usize = 4;

#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    held: Arc<AtomicUsize>,
}

/// A message's share of the memory, given back when this is dropped.
#[derive(Debug)]
pub struct Hold {
    bytes: usize,
    of_renderer: Arc<AtomicUsize>,
    of_all: Arc<AtomicUsize>,
}

impl Hold {
    /// How many bytes are held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.of_renderer.fetch_sub(self.bytes, Ordering::Relaxed);
        self.of_all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Room {
    /// Four renderers can have as much as two of the largest messages each.
    pub(super) const DEFAULT_BYTES: usize = 256 * MIB;

    pub(super) fn new(bytes: usize) -> Self {
        let largest = ENVELOPE_MESSAGE_BYTES + MESSAGE_BYTES;
        Self { bytes: bytes.max(SHARES * largest), held: Arc::default() }
    }

    /// Room for a message of a renderer that holds `of_renderer`, if there is some. Only whoever has
    /// the room takes of it, so what was free a moment ago is free still.
    pub(super) fn hold(&self, of_renderer: &Arc<AtomicUsize>, payload: usize) -> Option<Hold> {
        let bytes = payload.saturating_add(MESSAGE_BYTES);
        let fits = |held: &AtomicUsize, bound: usize| {
            held.load(Ordering::Relaxed).saturating_add(bytes) <= bound
        };
        if !fits(of_renderer, self.bytes / SHARES) || !fits(&self.held, self.bytes) {
            return None;
        }
        of_renderer.fetch_add(bytes, Ordering::Relaxed);
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Some(Hold { bytes, of_renderer: Arc::clone(of_renderer), of_all: Arc::clone(&self.held) })
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}
