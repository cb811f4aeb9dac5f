//! How a process that a test drives answers: line by line, on standard output.

use std::io::Write;
use std::time::{Duration, Instant};

/// Says a line. If nobody listens any more, that is no reason to end differently.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// How many threads the process has; 0 where that cannot be told.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// How many threads there are once there are no more to end. One that was joined, or told to end, is
/// listed for a moment longer.
pub fn threads_left() -> usize {
    let start = Instant::now();
    while threads() > 1 && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(1));
    }
    threads()
}

/// Options of `sentry` with a rate of traces, which may be none that it would take itself.
pub fn with_traces(rate: f32) -> sentry::ClientOptions {
    let mut options = sentry::ClientOptions::new();
    options.traces_sampling_strategy = sentry::TracesSamplingStrategy::FixedRate(rate);
    options
}
