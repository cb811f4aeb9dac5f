//! The Sentry SDK for the main process of a desktop application.
//!
//! [`init`] starts it and returns the [`Guard`] that keeps it running. From then on the `sentry` crate,
//! which is re-exported as [`sentry`], works as always: what it captures in main goes through here.
//! Renderers report to main, too; main lays the scope of all processes over what any of them reports,
//! keeps it on disk, and sends it.
//!
//! ```no_run
//! use guardhouse_main::{Options, app, init, sentry};
//!
//! fn main() {
//!     let _guard = init(
//!         Options::new(app!())
//!             .dsn("https://key@o1.ingest.sentry.io/2")
//!             .ipc_namespace("my-app"),
//!     );
//!     guardhouse_main::set_tag("channel", "beta");
//!     sentry::capture_message("it works", sentry::Level::Info);
//! }
//! ```
//!
//! # What to expect of it
//!
//! - The application's threads never wait for it, apart from those that call [`Guard::flush`] or end
//!   the guard, and these no longer than they say.
//! - What main has acknowledged to a renderer is on disk; only logs and metrics wait in memory for
//!   others to go with them, for five seconds at most. It leaves the disk when Sentry has taken it,
//!   or when it is refused, too old or too much, and then it is counted in a client report.
//! - It never panics in the application, prints nothing unless [`Options::debug`] is on, and does
//!   nothing at all where [`init`] failed.
//!
//! # How it is made
//!
//! A message goes through the modules `intake`, `merge` and `outbox`, in that order. They decide and do
//! no I/O of their own, apart from `outbox::spool` and `outbox::http`. With the feature `internals` they
//! are public, for the tests, benchmarks and fuzzing of this workspace: they change without notice in any
//! version, and an application has no use for them.
#![forbid(unsafe_code)]
// What only those call who look inside is no dead code: with the feature it is public.
#![cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub, unused_imports))]

mod cache_dir;
mod checks;
#[cfg(feature = "internals")]
pub mod contexts;
#[cfg(not(feature = "internals"))]
mod contexts;
mod error;
mod guard;
mod house;
mod init;
mod installation;
#[cfg(feature = "internals")]
pub mod intake;
#[cfg(not(feature = "internals"))]
mod intake;
mod integration;
mod ipc;
#[cfg(feature = "internals")]
pub mod merge;
#[cfg(not(feature = "internals"))]
mod merge;
mod options;
#[cfg(feature = "internals")]
pub mod outbox;
#[cfg(not(feature = "internals"))]
mod outbox;
#[cfg(feature = "internals")]
pub mod session;
#[cfg(not(feature = "internals"))]
mod session;
#[cfg(feature = "internals")]
pub mod streams;
#[cfg(not(feature = "internals"))]
mod streams;
mod transport;
mod watch;

pub use guardhouse_process::attach::{AttachOptions, AttachmentAnswer};
pub use guardhouse_process::feedback::Feedback;
pub use guardhouse_process::receipt::Receipt;
pub use guardhouse_process::scope::{
    Scope, add_breadcrumb, clear_breadcrumbs, configure_scope, set_context, set_extra, set_tag,
    set_user,
};
pub use guardhouse_protocol::scope::Attachment;
pub use guardhouse_protocol::{Channel, Config, FeedbackResult, IpcMode, LogLevel, Namespace};
pub use sentry;
pub use uuid::Uuid;

#[cfg(feature = "internals")]
pub use guardhouse_process::losses;
#[cfg(not(feature = "internals"))]
use guardhouse_process::losses;

pub use contexts::Screen;
pub use error::{InitError, Invalid};
pub use guard::Guard;
pub use house::MessageAnswer;
pub use init::init;
pub use ipc::{CommandExt, ExitReason, Renderer, Way};
pub use options::{App, EventProcessor, Options, PageSession, RendererInfo, SPOTLIGHT_URL};
pub use session::SessionMode;
