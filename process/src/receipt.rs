//! How the application learns what became of something that it gave to the SDK, without having to wait.

use std::time::Duration;

use crate::doorway::{Promise, Promised, deadline_in, promise};

/// Tells what became of something that was handed over, as soon as that is known. It may be dropped:
/// then nobody learns of it, and nothing else changes.
#[derive(Debug)]
pub struct Receipt<T> {
    promise: Promise<T>,
}

/// A receipt, and what tells it.
pub fn receipt<T>() -> (Promised<T>, Receipt<T>) {
    let (promised, promise) = promise();
    (promised, Receipt { promise })
}

impl<T> Receipt<T> {
    /// Waits for the answer, for `timeout` at most; without any time it only looks whether it is
    /// there. The answer is handed out once. Without one in time it is still coming, and may be waited
    /// for again.
    pub fn wait(&self, timeout: Duration) -> Option<T> {
        self.promise.wait_until(deadline_in(timeout))
    }
}
