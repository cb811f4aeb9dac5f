//! The clock that a process stamps its scope with.

use std::ops::Range;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use guardhouse_protocol::Timestamp;

/// Wall-clock time that never goes back, so that what is said later also wins later when somebody
/// sets the clock back.
#[derive(Debug, Default)]
pub struct Clock {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The latest time that was told.
    latest: Option<Timestamp>,
    /// From the earliest time to which the system's clock was set back, to the latest from which.
    twice: Option<Range<Timestamp>>,
}

impl Clock {
    /// A clock that has told no time yet.
    pub const fn new() -> Self {
        Self { state: Mutex::new(State { latest: None, twice: None }) }
    }

    /// Now, or the latest time that was told if that is later.
    pub fn now(&self) -> Timestamp {
        let mut state = crate::lock(&self.state);
        // Read behind the lock, so that what is earlier is so because the clock was set back.
        state.look(timestamp(SystemTime::now()))
    }

    /// The times that there have been twice because the system's clock was set back, if it was. Of two
    /// of these it cannot be said which was first.
    pub fn times_twice(&self) -> Option<Range<Timestamp>> {
        crate::lock(&self.state).twice.clone()
    }
}

impl State {
    fn look(&mut self, now: Timestamp) -> Timestamp {
        let latest = self.latest.map_or(now, |latest| latest.max(now));
        self.latest = Some(latest);
        if now < latest {
            let start = self.twice.as_ref().map_or(now, |twice| twice.start.min(now));
            self.twice = Some(start..latest);
        }
        latest
    }
}

/// A time of the system as protocol messages say it.
pub fn timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => {
            let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            Timestamp::from_unix(seconds, since.subsec_nanos())
        }
        Err(_) => Timestamp::EPOCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds, 0)
    }

    #[test]
    fn time_does_not_go_back_and_which_times_there_were_twice_is_known() {
        let mut state = State::default();
        let told: Vec<_> = [10, 20, 15, 16, 21].map(|now| state.look(at(now))).into();
        assert_eq!(told, [at(10), at(20), at(20), at(20), at(21)]);
        assert_eq!(state.twice, Some(at(15)..at(20)));
        assert_eq!(state.look(at(18)), at(21));
        assert_eq!(state.twice, Some(at(15)..at(21)));
    }

    #[test]
    fn a_clock_that_only_goes_on_tells_no_time_twice() {
        let clock = Clock::new();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert_eq!(clock.times_twice(), None);
    }
}
