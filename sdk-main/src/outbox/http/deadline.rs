//! How long an exchange may take.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use guardhouse_process::fair_timeout;
use tokio::time::Instant;

use super::error::{SendError, Stage};

/// So much of a body is sent within the usual time; what is beyond earns time of its own.
const USUAL_BODY: u64 = 1024 * 1024;

/// How long things may take.
///
/// Getting a connection (asking for the name's address, the proxy's part and encryption included)
/// may take `connect`. A whole exchange may take `total`, and bodies above 1 MiB so much more as
/// they need at `slowest` bytes per second; but if nothing of a body moves for `total`, it ends. So
/// 200 MB over a slow line arrive, and a server that stops reading, or reads one byte now and then,
/// holds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For getting a connection: 10 s.
    pub connect: Duration,
    /// For an exchange, getting the connection included: 60 s.
    pub total: Duration,
    /// What a large body must move on average, in bytes per second: 8 KiB.
    pub slowest: u64,
}

impl Timeouts {
    /// The same, with nothing so long that no point in time could be named for its end.
    pub(super) fn bounded(self) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        Self { connect: self.connect.min(YEAR), total: self.total.min(YEAR), ..self }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), total: Duration::from_secs(60), slowest: 8 * 1024 }
    }
}

/// A point in time by which a stage must be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    /// How long that was from the beginning.
    after: Duration,
}

impl Deadline {
    pub(super) fn new(start: Instant, after: Duration) -> Self {
        Self { at: start + after, after }
    }

    /// Waits for `future`, but not longer.
    pub(super) async fn hold<F: Future>(
        &self,
        stage: Stage,
        peer: impl fmt::Display,
        future: F,
    ) -> Result<F::Output, SendError> {
        let outcome = fair_timeout::timeout_at(self.at, future).await;
        outcome.map_err(|_| SendError::timeout(stage, peer, self.after))
    }
}

/// How much of a body has been taken by the connection. The body tells, the exchange watches.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    bytes: AtomicU64,
    /// When the last piece was taken, in milliseconds after the start.
    last: AtomicU64,
    is_complete: AtomicBool,
}

impl Progress {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            bytes: AtomicU64::new(0),
            last: AtomicU64::new(0),
            is_complete: AtomicBool::new(false),
        }
    }

    /// A piece was taken.
    pub(super) fn taken(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let after = self.start.elapsed().as_millis();
        self.last.store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The last piece was taken.
    pub(super) fn complete(&self) {
        self.is_complete.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Relaxed)
    }

    /// Until when the exchange may go on, as far as can be said now.
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Instant {
        let beyond = self.bytes.load(Ordering::Relaxed).saturating_sub(USUAL_BODY);
        let earned = Duration::from_secs(beyond / timeouts.slowest.max(1));
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.start + timeouts.total + earned.min(last)
    }

    /// Waits for `future` as long as an exchange with this body may take.
    pub(super) async fn hold<F: Future>(
        &self,
        timeouts: &Timeouts,
        peer: impl fmt::Display,
        future: F,
    ) -> Result<F::Output, SendError> {
        let mut future = pin!(future);
        loop {
            let deadline = self.deadline(timeouts);
            if let Ok(output) = fair_timeout::timeout_at(deadline, future.as_mut()).await {
                return Ok(output);
            }
            if self.deadline(timeouts) <= deadline {
                let stage = if self.is_complete() { Stage::Answer } else { Stage::Send };
                return Err(SendError::timeout(stage, peer, timeouts.total));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        connect: Duration::from_secs(1),
        total: Duration::from_secs(10),
        slowest: 1024 * 1024,
    };

    /// Until when an exchange may go on of which so much was sent, the last piece then.
    fn allowed(mebibytes: u64, last: u64) -> Duration {
        let progress = Progress::new(Instant::now());
        progress.bytes.store(mebibytes * 1024 * 1024, Ordering::Relaxed);
        progress.last.store(last * 1000, Ordering::Relaxed);
        progress.deadline(&TIMEOUTS) - progress.start
    }

    #[test]
    fn a_small_body_has_the_usual_time_and_no_more() {
        assert_eq!(allowed(0, 0), Duration::from_secs(10));
        assert_eq!(allowed(1, 9), Duration::from_secs(10));
    }

    #[test]
    fn a_large_body_that_moves_has_the_time_it_needs() {
        assert_eq!(allowed(101, 200), Duration::from_secs(110));
        assert_eq!(allowed(101, 100), Duration::from_secs(110));
    }

    #[test]
    fn a_large_body_that_no_longer_moves_ends() {
        assert_eq!(allowed(101, 5), Duration::from_secs(15), "10 s after the last piece");
    }
}
