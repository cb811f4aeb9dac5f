//! The subjects, one file each.

use std::path::PathBuf;

pub(crate) mod breadcrumb;
pub(crate) mod envelope;
pub(crate) mod flush;
pub(crate) mod init;
pub(crate) mod merge;
pub(crate) mod outbox;
pub(crate) mod splice;

/// The release that events are given.
const RELEASE: &str = "desk@5.1.0";
/// The tag that they get.
const TAG: (&str, &str) = ("event.process", "renderer");

/// A directory for a row, that nobody else has.
fn scratch(row: &str) -> PathBuf {
    std::env::temp_dir().join(format!("guardhouse-bench-{row}-{}", std::process::id()))
}

/// A transport of `sentry` that does nothing.
struct Silent;

impl sentry::Transport for Silent {
    fn send_envelope(&self, _envelope: sentry::Envelope) {}
}
