//! The subjects, one file each.

use std::path::PathBuf;

pub(crate) mod breadcrumb;
pub(crate) mod envelope;
pub(crate) mod flush;
#[cfg(target_os = "linux")]
pub(crate) mod idle;
pub(crate) mod init;
#[cfg(unix)]
pub(crate) mod ipc;
pub(crate) mod merge;
pub(crate) mod outbox;
#[cfg(unix)]
pub(crate) mod scope_sync;
pub(crate) mod splice;

/// What a child does with its arguments.
#[cfg(unix)]
type Run = fn(&[String]);

/// What a [child](crate::child) can be, by name.
#[cfg(unix)]
pub(crate) const CHILDREN: &[(&str, Run)] = &[
    ("renderer", ipc::renderer::speak),
    ("renderer by hand", ipc::by_hand::speak),
    ("socket", ipc::socket::speak),
    ("breadcrumbs", scope_sync::speak),
    ("minidumper", scope_sync::minidumper::speak),
    #[cfg(target_os = "linux")]
    ("idle main", idle::main),
    #[cfg(target_os = "linux")]
    ("idle renderer", idle::renderer),
    #[cfg(target_os = "linux")]
    ("idle server", idle::server),
    #[cfg(target_os = "linux")]
    ("idle client", idle::client),
];

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
