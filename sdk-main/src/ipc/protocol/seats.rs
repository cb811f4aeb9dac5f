//! How many connections each renderer has, and each process, so that one that opens them without end
//! leaves some to others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use guardhouse_process::lock;
use uuid::Uuid;

use crate::ipc::room::CONNECTIONS;

/// So many connections a renderer has at most: one for each stream, for each channel on which main
/// speaks, and some for messages.
pub(super) const CONNECTIONS_EACH: usize = 16;
/// So many a process has, whatever number of renderers it says it is.
const OF_A_PROCESS: usize = 64;
/// So many all have together of which it is not known whose they are.
pub(super) const OF_UNKNOWN: usize = CONNECTIONS - OF_A_PROCESS;

/// What each has. Who has none is not in it.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    renderers: BTreeMap<Uuid, usize>,
    processes: BTreeMap<Option<u32>, usize>,
}

/// One of a renderer's connections, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    taken: Arc<Mutex<Taken>>,
    renderer: Uuid,
    process: Option<u32>,
}

impl Seats {
    /// One more connection of a renderer, in its process if that is known, if they may have one.
    pub(super) fn take(&self, renderer: Uuid, process: Option<u32>) -> Option<Seat> {
        let most = if process.is_some() { OF_A_PROCESS } else { OF_UNKNOWN };
        let mut taken = lock(&self.taken);
        let is_full = taken.renderers.get(&renderer).is_some_and(|it| *it >= CONNECTIONS_EACH)
            || taken.processes.get(&process).is_some_and(|it| *it >= most);
        if is_full {
            return None;
        }
        *taken.renderers.entry(renderer).or_default() += 1;
        *taken.processes.entry(process).or_default() += 1;
        Some(Seat { taken: self.taken.clone(), renderer, process })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        give_back(&mut taken.renderers, &self.renderer);
        give_back(&mut taken.processes, &self.process);
    }
}

fn give_back<K: Ord>(taken: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = taken.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            taken.remove(key);
        }
    }
}
