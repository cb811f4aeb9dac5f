//! Starting: `init` until it returns, with everything that an application has to wait for.
//!
//! The peer is `sentry::init` alone, with the same integrations and a transport that does nothing, so
//! that what is left is what we add: the run's directory with its lock and session, and a thread.
//! What is hoped for is an amount, 2 ms at most, and not a ratio; the ratio of the sum to the bound is
//! what stands in the table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guardhouse_main::{Options, app, sentry};

use super::{Silent, scratch};
use crate::measure::{Measure, Settings, Subject};

/// What `init` may take longer than its peer.
const MAY_ADD: Duration = Duration::from_millis(2);

/// Measures the row.
pub(crate) fn run(settings: &Settings) -> Vec<Measure> {
    let directory = scratch("init");
    let (ours, peer) = settings.alternate(
        || {
            let options = Options::new(app!())
                .dsn("http://key@127.0.0.1:9/1")
                .cache_dir(&directory)
                .shutdown_timeout(Duration::ZERO);
            let start = Instant::now();
            let guard = guardhouse_main::init(options).expect("the directory is ours");
            let time = start.elapsed();
            drop(guard);
            time.as_secs_f64()
        },
        || {
            let mut options = sentry::ClientOptions::new().dsn("http://key@127.0.0.1:9/1");
            options.transport = Some(Arc::new(Arc::new(Silent)));
            let start = Instant::now();
            let guard = sentry::init(options);
            let time = start.elapsed();
            drop(guard);
            time.as_secs_f64()
        },
    );
    let bound = peer.iter().map(|seconds| seconds + MAY_ADD.as_secs_f64()).collect();
    let subject =
        Subject { name: "init: until it returns", peer: "sentry::init + 2 ms", goal: 1.0 };
    let measure = Measure::time(subject, ours, bound);
    let _ = std::fs::remove_dir_all(directory);
    vec![measure]
}
