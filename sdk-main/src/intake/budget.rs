//! How much a renderer may still say on a channel.

use std::time::{Duration, Instant};

use guardhouse_protocol::contract;

/// A renderer's budget for a channel: for messages and for bytes, each of which flows back by time.
#[derive(Debug)]
pub(super) struct Budget {
    messages: Bucket,
    bytes: Bucket,
}

impl Budget {
    /// All that may be said at once.
    pub(super) fn new(terms: &contract::Budget, now: Instant) -> Self {
        Self {
            messages: Bucket::new(terms.burst.into(), terms.per_second.into(), now),
            bytes: Bucket::new(terms.burst_bytes, terms.bytes_per_second, now),
        }
    }

    /// When there is enough for a message of so many bytes, if there is not enough now.
    pub(super) fn lacks(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        self.messages.fill(now);
        self.bytes.fill(now);
        Some(self.enough_at(bytes)).filter(|at| *at > now)
    }

    /// When there is enough for a message of so many bytes if nothing is said before.
    pub(super) fn enough_at(&self, bytes: usize) -> Instant {
        self.messages.enough_at(1).max(self.bytes.enough_at(bytes as u64))
    }

    /// Takes a message of so many bytes out, as far as there is something.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.messages.spend(1);
        self.bytes.spend(bytes as u64);
    }
}

/// Counted in parts of which there are a thousand million in one, so that what flows back in a
/// nanosecond is a whole number of them and nothing is lost by rounding.
#[derive(Debug)]
struct Bucket {
    level: u128,
    capacity: u128,
    /// So many parts flow back in a nanosecond.
    per_nanosecond: u128,
    at: Instant,
}

const PARTS: u128 = 1_000_000_000;

impl Bucket {
    fn new(burst: u64, per_second: u64, now: Instant) -> Self {
        let capacity = u128::from(burst) * PARTS;
        Self { level: capacity, capacity, per_nanosecond: u128::from(per_second), at: now }
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_nanos();
        let gained = elapsed.saturating_mul(self.per_nanosecond);
        self.level = self.level.saturating_add(gained).min(self.capacity);
        self.at = self.at.max(now);
    }

    /// What is more than the bucket holds needs a full one.
    fn enough_at(&self, amount: u64) -> Instant {
        let wanted = (u128::from(amount) * PARTS).min(self.capacity);
        let lacking = wanted.saturating_sub(self.level);
        let nanoseconds = lacking.div_ceil(self.per_nanosecond.max(1));
        let wait = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        // A time that the clock cannot say is as good as never, and a day is never soon.
        self.at.checked_add(wait).unwrap_or_else(|| self.at + Duration::from_secs(86_400))
    }

    fn spend(&mut self, amount: u64) {
        self.level = self.level.saturating_sub(u128::from(amount) * PARTS);
    }
}

#[cfg(test)]
mod tests {
    use guardhouse_protocol::Channel;
    use guardhouse_protocol::contract::OverBudget;

    use super::*;

    const TERMS: contract::Budget = contract::Budget {
        burst: 3,
        per_second: 2,
        burst_bytes: 100,
        bytes_per_second: 10,
        over: OverBudget::Wait,
    };

    #[test]
    fn after_a_burst_it_goes_on_at_the_rate_and_no_faster() {
        let start = Instant::now();
        let mut budget = Budget::new(&TERMS, start);
        for _ in 0..3 {
            assert_eq!(budget.lacks(1, start), None);
            budget.spend(1);
        }
        let mut now = start;
        for number in 1..=10 {
            let until = budget.lacks(1, now).expect("nothing is left");
            assert_eq!(until, start + Duration::from_millis(500 * number));
            assert!(budget.lacks(1, until - Duration::from_nanos(1)).is_some());
            assert_eq!(budget.lacks(1, until), None);
            budget.spend(1);
            now = until;
        }
    }

    #[test]
    fn bytes_are_waited_for_too_and_a_rest_does_not_add_up() {
        let start = Instant::now();
        let mut budget = Budget::new(&TERMS, start);
        budget.spend(100);
        assert_eq!(budget.lacks(50, start), Some(start + Duration::from_secs(5)));
        // What is larger than a burst passes when all there can be is there.
        assert_eq!(budget.lacks(1000, start), Some(start + Duration::from_secs(10)));
        let later = start + Duration::from_secs(1_000_000);
        assert_eq!(budget.lacks(1000, later), None);
        budget.spend(1000);
        assert_eq!(budget.lacks(1, later), Some(later + Duration::from_millis(100)));
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut budget = Budget::new(&TERMS, start);
        budget.spend(100);
        let until = budget.lacks(10, start - Duration::from_secs(5));
        assert_eq!(until, Some(start + Duration::from_secs(1)));
    }

    #[test]
    fn the_largest_message_of_each_channel_fits_its_burst() {
        for channel in Channel::ALL {
            let declaration = channel.declaration();
            let Some(terms) = declaration.budget else { continue };
            assert!(declaration.max_opening_bytes() as u64 <= terms.burst_bytes, "{channel}");
            assert!(terms.per_second > 0 && terms.bytes_per_second > 0, "{channel}");
        }
    }
}
