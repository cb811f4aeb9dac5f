//! The clock that a process stamps its scope with.

use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use guardhouse_protocol::Timestamp;

/// Wall-clock time that never goes back, so that what is said later also wins later when somebody
/// sets the clock back.
#[derive(Debug, Default)]
pub struct Clock {
    latest: Mutex<Option<Timestamp>>,
}

impl Clock {
    /// A clock that has told no time yet.
    pub const fn new() -> Self {
        Self { latest: Mutex::new(None) }
    }

    /// Now, or the latest time that was told if that is later.
    pub fn now(&self) -> Timestamp {
        let now = timestamp(SystemTime::now());
        let mut latest = crate::lock(&self.latest);
        let now = latest.map_or(now, |latest| latest.max(now));
        *latest = Some(now);
        now
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

    #[test]
    fn time_does_not_go_back() {
        let clock = Clock::new();
        let future = Timestamp::from_unix(4_000_000_000, 0);
        *crate::lock(&clock.latest) = Some(future);
        assert_eq!(clock.now(), future);
    }
}
