//! When to try again.

use std::time::Duration;

use guardhouse_process::Random;

/// Each time twice as long as before, up to a bound, and of that a random part, but at least half: so
/// that renderers that lost their main together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    random: Random,
}

impl Backoff {
    pub(crate) fn new(base: Duration, cap: Duration, seed: u64) -> Self {
        Self { base, cap, failures: 0, random: Random::new(seed) }
    }

    /// How long to wait after one more failure.
    pub(crate) fn fail(&mut self) -> Duration {
        let longest = self.base.saturating_mul(1 << self.failures.min(20)).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        longest.mul_f64(0.5 + self.random.fraction() / 2.0)
    }

    /// It has gone well.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_longer_each_time_and_never_too_long() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 60 * second, 7);
        let mut longest = second;
        for _ in 0..100 {
            let delay = backoff.fail();
            assert!(delay >= longest / 2 && delay <= longest, "{delay:?} of {longest:?}");
            longest = (2 * longest).min(60 * second);
        }
        backoff.reset();
        assert!(backoff.fail() <= second);
    }
}
