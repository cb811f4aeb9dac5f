//! Which messages of a renderer main has got already.

use guardhouse_protocol::frame::MessageId;
use guardhouse_protocol::limits::MESSAGE_WINDOW;

const WORDS: usize = (MESSAGE_WINDOW / 64) as usize;

/// The ids that were seen, as far as the contract wants them remembered: a bit for each of the highest
/// [`MESSAGE_WINDOW`]. What is further below counts as seen.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    highest: Option<u64>,
    /// The bit of an id is at the id modulo the window.
    bits: Box<[u64; WORDS]>,
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { highest: None, bits: Box::new([0; WORDS]) }
    }

    /// Whether an id was taken note of, or is so far below that it counts as if it was.
    pub(crate) fn contains(&self, id: MessageId) -> bool {
        let id = id.number();
        match self.highest {
            Some(highest) if id <= highest => {
                let (word, bit) = place(id);
                highest - id >= MESSAGE_WINDOW || self.bits[word] & bit != 0
            }
            _ => false,
        }
    }

    /// Takes note of an id. Says whether it is new.
    pub(crate) fn insert(&mut self, id: MessageId) -> bool {
        let id = id.number();
        match self.highest {
            Some(highest) if id <= highest => {
                if highest - id >= MESSAGE_WINDOW {
                    return false;
                }
            }
            former => {
                let skipped = former.map_or(MESSAGE_WINDOW, |highest| id - highest);
                if skipped >= MESSAGE_WINDOW {
                    self.bits.fill(0);
                } else {
                    (id - skipped + 1..=id).for_each(|id| self.clear(id));
                }
                self.highest = Some(id);
            }
        }
        let (word, bit) = place(id);
        let is_new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        is_new
    }

    fn clear(&mut self, id: u64) {
        let (word, bit) = place(id);
        self.bits[word] &= !bit;
    }
}

fn place(id: u64) -> (usize, u64) {
    let at = id % MESSAGE_WINDOW;
    // Smaller than the window, so it fits.
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use guardhouse_process::Random;

    use super::*;

    #[test]
    fn what_is_below_the_window_was_seen() {
        let mut window = Window::new();
        assert!(window.insert(MessageId::new(MESSAGE_WINDOW + 9)));
        assert!(window.insert(MessageId::new(10)));
        assert!(!window.insert(MessageId::new(10)));
        assert!(!window.insert(MessageId::new(9)));
        assert!(window.insert(MessageId::new(u64::MAX)));
        assert!(!window.insert(MessageId::new(11)));
    }

    #[test]
    fn it_is_a_set_that_forgets_what_is_far_below() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut below = |bound: u64| (random.fraction() * bound as f64) as u64;
            let (mut window, mut seen) = (Window::new(), BTreeSet::new());
            let (mut base, mut highest) = (0, 0);
            for _ in 0..200 {
                base += below(20) * 300;
                let id = base + below(3 * MESSAGE_WINDOW);
                highest = highest.max(id);
                let expected = highest - id < MESSAGE_WINDOW && seen.insert(id);
                assert_eq!(window.contains(MessageId::new(id)), !expected, "seed {seed}, id {id}");
                assert_eq!(window.insert(MessageId::new(id)), expected, "seed {seed}, id {id}");
            }
        }
    }
}
