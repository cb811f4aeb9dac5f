//! A real main process, from event to Sentry.

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::sentry::Sentry;

mod backlog;
mod debug;
mod failing;
mod handed;
#[cfg(unix)]
mod hung_disk;
#[cfg(unix)]
mod low_limits;
mod outages;
mod panics;
mod promise_10;
mod promise_5;
mod promise_9;
mod reports;
mod settled;

/// Starts the application of these tests.
#[track_caller]
fn desk(cache: &Scratch, sentry: &Sentry, options: &[&str]) -> Desk {
    Desk::start(env!("CARGO_BIN_EXE_desk"), cache.path(), &sentry.dsn(), options)
}

/// The id of the n-th event that a test makes up.
fn id(number: u32) -> String {
    format!("{number:032x}")
}
