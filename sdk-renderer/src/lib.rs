//! The Sentry SDK for the child processes of a desktop application that are written in Rust.
//!
//! [`init`] starts it and returns the [`Guard`] that keeps it running. From then on the `sentry` crate,
//! which is re-exported as [`sentry`], works as always. What it captures goes to the application's main
//! process; main lays the scope of all processes over it, keeps it on disk and sends it. Nothing here
//! sends anything to Sentry.
//!
//! ```no_run
//! use guardhouse_renderer::{Options, init, sentry};
//!
//! fn main() {
//!     let _guard = init(Options::new("settings"));
//!     guardhouse_renderer::set_tag("view", "accounts");
//!     sentry::capture_message("it works", sentry::Level::Info);
//! }
//! ```
//!
//! # What to expect of it
//!
//! - The application's threads never wait for it, apart from those that call [`Guard::flush`], wait for
//!   a [`Receipt`] or end the guard, and these no longer than they say; and one that panics, for two
//!   seconds at most.
//! - It works without main. What is captured waits for main, within bounds; if the process ends before
//!   main comes, it is left where main will find it.
//! - What main has taken is taken once, whatever happens to the connection.
//! - It never panics in the application, prints nothing unless [`Options::debug`] is on, and does
//!   nothing at all where [`init`] failed.
//!
//! # How it is made
//!
//! The application's threads put what they have into a doorway; the SDK thread takes it from there to
//! main, over a socket that main has handed over or that it is found by, or over HTTP on the loopback
//! interface. What both sides of that say to each other is in `guardhouse-protocol`.
#![forbid(unsafe_code)]

mod attachments;
mod checks;
mod courier;
mod error;
#[cfg(all(test, unix))]
mod fake_main;
mod guard;
mod heartbeat;
mod house;
mod init;
mod integration;
mod losses;
mod options;
mod thread;
mod transport;
mod ways;
mod wishes;

pub use guardhouse_process::attach::{AttachOptions, AttachmentAnswer};
pub use guardhouse_process::feedback::Feedback;
pub use guardhouse_process::receipt::Receipt;
pub use guardhouse_process::scope::{
    Scope, add_breadcrumb, clear_breadcrumbs, configure_scope, set_context, set_extra, set_tag,
    set_user,
};
pub use guardhouse_protocol::frame::Role;
pub use guardhouse_protocol::scope::Attachment;
pub use guardhouse_protocol::{FeedbackResult, IpcMode, Namespace};
pub use sentry;

pub use error::InitError;
pub use guard::Guard;
pub use heartbeat::Heartbeat;
pub use house::Way;
pub use init::init;
pub use options::Options;
