//! Promise 6: one bad renderer (malformed, forged, flooding, huge) changes nothing for the others and
//! costs bounded memory.
//!
//! Each test is a main process, two good renderers that report all the time, and bad ones beside them
//! on the real socket. Then every event of the good ones has arrived once, with their own scope; main
//! answers and lets new ones in; it has said nothing on standard error; and its memory has grown by no
//! more than is stated. `CAMPAIGN` says how many bad things happen of each kind, `SEED` which.
//! What is shown of latencies is for people: `--nocapture` prints it.
#![allow(clippy::print_stdout, reason = "what was measured is shown to people")]

mod crowds;
mod floods;
mod forged;
mod large;
mod malformed;
mod street;

/// How many bad things happen of each kind.
fn campaign() -> u64 {
    setting("CAMPAIGN", 200)
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Chance, from the seed that `SEED` names.
struct Dice(guardhouse_process::Random);

impl Dice {
    fn new(test: u64) -> Self {
        let seed = setting("SEED", 6);
        println!("SEED={seed}");
        Self(guardhouse_process::Random::new(seed ^ (test << 32)))
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.0.fraction() * bound as f64) as usize
    }

    fn bytes(&mut self, longest: usize) -> Vec<u8> {
        let length = self.below(longest + 1);
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}
