//! How long things wait.

use std::time::Duration;

/// The times by which a [`Dispatcher`](super::Dispatcher) decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest wait after the first failure. It doubles with each one that follows.
    pub backoff_base: Duration,
    /// The longest wait of all.
    pub backoff_cap: Duration,
    /// Whether waits are random. Without that, clients that failed together come back together; it is
    /// there so that simulations can show it.
    pub has_jitter: bool,
    /// How long after a failure the server may be tried again because somebody is in a hurry.
    pub hurry_spacing: Duration,
    /// The time between envelopes that had to wait.
    pub spacing: Duration,
    /// How long counts wait for an envelope to go with before they go alone.
    pub report_interval: Duration,
}

impl Config {
    /// 1 second to 1 hour with jitter; 5 seconds in a hurry; 100 milliseconds between; 30 seconds
    /// until a report.
    pub const DEFAULT: Self = Self {
        backoff_base: Duration::from_secs(1),
        backoff_cap: Duration::from_secs(60 * 60),
        has_jitter: true,
        hurry_spacing: Duration::from_secs(5),
        spacing: Duration::from_millis(100),
        report_interval: Duration::from_secs(30),
    };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}
