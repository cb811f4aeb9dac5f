//! How many connections each renderer has, so that one that opens them without end leaves some to others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use guardhouse_process::lock;
use uuid::Uuid;

/// So many connections a renderer has at most: one for each stream, for each channel on which main
/// speaks, and some for messages.
pub(super) const CONNECTIONS_EACH: usize = 16;

type Taken = Mutex<BTreeMap<Uuid, usize>>;

/// What each has. Who has none is not in it.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Arc<Taken>,
}

/// One of a renderer's connections, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    taken: Arc<Taken>,
    renderer: Uuid,
}

impl Seats {
    /// One more connection of a renderer, if it may have one.
    pub(super) fn take(&self, renderer: Uuid) -> Option<Seat> {
        let mut taken = lock(&self.taken);
        let count = taken.entry(renderer).or_default();
        if *count >= CONNECTIONS_EACH {
            return None;
        }
        *count += 1;
        Some(Seat { taken: self.taken.clone(), renderer })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&self.renderer) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.renderer);
            }
        }
    }
}
