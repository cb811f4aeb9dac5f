//! How the application learns what became of something that it gave to main, without having to wait.

use std::time::Duration;

use guardhouse_process::doorway::{Promise, Promised, deadline_in, promise};

/// Tells what became of something that was handed to main, as soon as that is known. It may be dropped:
/// then nobody learns of it, and nothing else changes.
#[derive(Debug)]
pub struct Receipt<T> {
    promise: Promise<T>,
}

impl<T> Receipt<T> {
    pub(crate) fn new() -> (Promised<T>, Self) {
        let (promised, promise) = promise();
        (promised, Self { promise })
    }

    /// Waits for the answer, for `timeout` at most; without any time it only looks whether it is
    /// there. The answer is handed out once. Without one in time it is still coming, and may be waited
    /// for again.
    pub fn wait(&self, timeout: Duration) -> Option<T> {
        self.promise.wait_until(deadline_in(timeout))
    }
}
