//! How long to leave the server alone after it could not be reached.

use std::time::{Duration, Instant};

use guardhouse_process::Random;

use super::Config;

/// Exponential backoff with full jitter: after each failure twice as long as before at most, and a
/// random time up to that, so that clients that failed together do not come back together.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    base: Duration,
    cap: Duration,
    hurry_spacing: Duration,
    has_jitter: bool,
    random: Random,
    outage: Option<Outage>,
}

/// The time since the server was last reached.
#[derive(Clone, Debug)]
struct Outage {
    failures: u32,
    failed_at: Instant,
    retry_at: Instant,
    /// Whether the next attempt is one that somebody asked for.
    is_hurried: bool,
    /// Whether a crash has asked for an attempt already.
    is_cut: bool,
}

impl Backoff {
    pub(super) const fn new(config: &Config, seed: u64) -> Self {
        Self {
            base: config.backoff_base,
            cap: config.backoff_cap,
            hurry_spacing: config.hurry_spacing,
            has_jitter: config.has_jitter,
            random: Random::new(seed),
            outage: None,
        }
    }

    /// Whether the last attempt failed.
    pub(super) const fn is_active(&self) -> bool {
        self.outage.is_some()
    }

    /// When the next attempt may be made, if not at once.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.outage.as_ref().map(|outage| outage.retry_at)
    }

    /// The server could not be reached.
    pub(super) fn fail(&mut self, now: Instant) {
        let (failures, is_cut) = match &self.outage {
            // An attempt that was asked for does not make the regular ones rarer.
            Some(outage) if outage.is_hurried => (outage.failures, outage.is_cut),
            Some(outage) => (outage.failures.saturating_add(1), outage.is_cut),
            None => (1, false),
        };
        let retry_at = now + self.delay(failures);
        self.outage =
            Some(Outage { failures, failed_at: now, retry_at, is_hurried: false, is_cut });
    }

    /// The server was reached.
    pub(super) fn succeed(&mut self) {
        self.outage = None;
    }

    /// Allows one attempt now, or soon if the last one was only just made.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Some(outage) = &mut self.outage {
            outage.hurry(now, self.hurry_spacing);
        }
    }

    /// Allows one attempt now for a crash, once in an outage.
    pub(super) fn cut(&mut self, now: Instant) {
        if let Some(outage) = &mut self.outage
            && !outage.is_cut
        {
            outage.is_cut = outage.hurry(now, self.hurry_spacing);
        }
    }

    /// How long to wait after so many failures in a row.
    pub(super) fn delay(&mut self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let longest = self.base.saturating_mul(1 << doublings).min(self.cap);
        if !self.has_jitter {
            return longest;
        }
        // Full jitter may draw nothing again and again. A tenth of the shortest wait keeps what is
        // drawn from ever being a busy loop, and is too little to gather clients.
        let floor = (self.base / 10).min(longest);
        floor + (longest - floor).mul_f64(self.random.fraction())
    }
}

impl Outage {
    /// Whether that changed anything.
    fn hurry(&mut self, now: Instant, spacing: Duration) -> bool {
        let earliest = now.max(self.failed_at + spacing);
        let is_sooner = earliest < self.retry_at;
        if is_sooner {
            self.retry_at = earliest;
            self.is_hurried = true;
        }
        is_sooner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn backoff(config: &Config) -> Backoff {
        Backoff::new(config, 7)
    }

    #[test]
    fn without_jitter_each_wait_is_twice_the_one_before_up_to_an_hour() {
        let mut backoff = backoff(&Config { has_jitter: false, ..Config::DEFAULT });
        let waits: Vec<_> = (1..=14).map(|failures| backoff.delay(failures).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
        assert_eq!(backoff.delay(u32::MAX).as_secs(), 3600);
    }

    #[test]
    fn with_jitter_a_wait_is_anything_from_the_floor_to_what_it_would_be_without() {
        let mut backoff = backoff(&Config::DEFAULT);
        for failures in [1_i32, 5, 12, 40] {
            let longest = 2_f64.powi(failures - 1).min(3600.0);
            let waits: Vec<_> =
                (0..2000).map(|_| backoff.delay(failures.unsigned_abs()).as_secs_f64()).collect();
            assert!(waits.iter().all(|wait| (0.1..=longest).contains(wait)));
            let mean = waits.iter().sum::<f64>() / waits.len() as f64;
            let expected = (0.1 + longest) / 2.0;
            assert!((mean / expected - 1.0).abs() < 0.1, "{mean} is about {expected}");
        }
    }

    #[test]
    fn whoever_hurries_gets_one_attempt_and_never_two_at_once() {
        let start = Instant::now();
        let mut backoff = backoff(&Config { has_jitter: false, ..Config::DEFAULT });
        backoff.hurry(start);
        assert_eq!(backoff.retry_at(), None, "there is nothing to hurry");

        let mut now = start;
        for _ in 0..10 {
            backoff.fail(now);
            now = backoff.retry_at().expect("it failed");
        }
        backoff.fail(now);
        assert_eq!(backoff.retry_at(), Some(now + Duration::from_secs(1024)));
        backoff.hurry(now);
        assert_eq!(backoff.retry_at(), Some(now + Config::DEFAULT.hurry_spacing));
        now += Config::DEFAULT.hurry_spacing;
        backoff.fail(now);
        assert_eq!(backoff.retry_at(), Some(now + Duration::from_secs(1024)), "as rare as before");
        now += Duration::from_secs(100);
        backoff.hurry(now);
        assert_eq!(backoff.retry_at(), Some(now), "or at once after a while");
    }

    #[test]
    fn crashes_cut_an_outage_once() {
        let start = Instant::now();
        let mut backoff = backoff(&Config { has_jitter: false, ..Config::DEFAULT });
        for _ in 0..12 {
            backoff.fail(start);
        }
        let later = start + Duration::from_secs(60);
        backoff.cut(later);
        assert_eq!(backoff.retry_at(), Some(later));
        backoff.fail(later);
        backoff.cut(later + Duration::from_secs(60));
        assert_eq!(backoff.retry_at(), Some(later + Duration::from_secs(2048)));

        backoff.succeed();
        backoff.fail(later);
        backoff.cut(later);
        assert_eq!(backoff.retry_at(), Some(later + Duration::from_secs(1)), "that is soon enough");
        for _ in 0..12 {
            backoff.fail(later);
        }
        backoff.cut(later);
        assert_eq!(backoff.retry_at(), Some(later + Duration::from_secs(5)), "another outage");
    }
}
