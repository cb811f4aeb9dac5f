//! What Sentry asked to be spared of, and for how long.

mod header;

use std::time::{Duration, Instant};

use super::{Answer, Categories};
use crate::losses::Category;

/// How long everything waits if an answer asks for less and does not say for how long.
const UNSAID: Duration = Duration::from_secs(60);

/// For how long an answer is believed at most. A server cannot silence a client for good.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Until when each category is limited.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    until: [Option<Instant>; Category::ALL.len()],
}

impl Limits {
    /// Takes in what an answer asks for, whatever its status. Of two limits the one that ends later
    /// holds.
    pub(super) fn learn(&mut self, now: Instant, answer: &Answer<'_>) {
        for limit in header::read(answer) {
            let until = now + limit.wait;
            for category in limit.categories.iter() {
                let place = &mut self.until[category as usize];
                *place = (*place).max(Some(until));
            }
        }
    }

    /// When none of these is limited any more; nothing if none ever was.
    pub(super) fn until(&self, categories: Categories) -> Option<Instant> {
        categories.iter().filter_map(|category| self.until[category as usize]).max()
    }

    /// Those of these that are limited.
    pub(super) fn limited(&self, now: Instant, of: Categories) -> Categories {
        of.iter()
            .filter(|category| self.until[*category as usize].is_some_and(|until| until > now))
            .collect()
    }
}
