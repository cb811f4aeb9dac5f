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
    /// As Sentry itself has said.
    of_sentry: [Option<Instant>; Category::ALL.len()],
    /// Until when everything waits since somebody asked for it who may not be Sentry. Nothing is given
    /// up for that.
    pause_until: Option<Instant>,
}

impl Limits {
    /// Takes in what an answer asks for, whatever its status. Of two limits the one that ends later
    /// holds.
    pub(super) fn learn(&mut self, now: Instant, answer: &Answer<'_>) {
        if !is_sentrys(answer) {
            let until = header::pause(answer).map(|wait| now + wait);
            self.pause_until = self.pause_until.max(until);
            return;
        }
        for limit in header::of_sentry(answer) {
            let until = now + limit.wait;
            for category in limit.categories.iter() {
                let place = &mut self.of_sentry[category as usize];
                *place = (*place).max(Some(until));
            }
        }
    }

    /// When none of these is limited any more; nothing if none ever was.
    pub(super) fn until(&self, categories: Categories) -> Option<Instant> {
        self.pause_until.max(self.of_sentry_until(categories))
    }

    /// When Sentry itself limits none of these any more; nothing if it never did.
    pub(super) fn of_sentry_until(&self, categories: Categories) -> Option<Instant> {
        categories.iter().filter_map(|category| self.of_sentry[category as usize]).max()
    }

    /// Those of these that are limited.
    pub(super) fn limited(&self, now: Instant, of: Categories) -> Categories {
        if self.is_paused(now) { of } else { self.limited_by_sentry(now, of) }
    }

    /// Those of these that Sentry itself limits.
    pub(super) fn limited_by_sentry(&self, now: Instant, of: Categories) -> Categories {
        of.iter()
            .filter(|category| self.of_sentry[*category as usize].is_some_and(|until| until > now))
            .collect()
    }

    /// Whether everything waits.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.pause_until.is_some_and(|until| until > now)
    }
}

/// Whether an answer carries limits as only Sentry gives them.
pub(super) fn is_sentrys(answer: &Answer<'_>) -> bool {
    header::of_sentry(answer).next().is_some()
}
