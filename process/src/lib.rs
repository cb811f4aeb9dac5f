//! What every process of a Guardhouse application has, whether it is main or a renderer.
//!
//! - [`scope`] is what the process itself contributes to the scope of events, and the functions with
//!   which an application says it; [`probe`] reads what it has told `sentry` instead.
//! - [`doorway`] is the way from the application's threads, which never wait, to the one thread on
//!   which the SDK works.
//! - [`meeting`] is the place where processes find main, and [`link`] carries frames between them.
//! - [`attach`], [`feedback`] and [`receipt`] are what an application hands over besides what it captures
//!   with `sentry`, and how it hears what became of it.
//! - [`offline_file`] holds what main has not taken, and [`losses`] counts what nobody
//!   will take.
//! - [`regular_file`] opens the files of all these directories, and nothing that was planted there.
//! - [`fair_timeout`] gives peers the time in which this process was held up itself.
//! - [`helper_thread`] is for work that may take its time.
//! - [`running`] knows the one SDK that runs in a process, [`Clock`], [`Random`] and [`say`] are its
//!   time, its chance and its voice.
//!
//! An application does not use this crate: `guardhouse-main` and `guardhouse-renderer` are built on it,
//! and show of it what is meant for applications. What they say to each other is in
//! `guardhouse-protocol`.
#![forbid(unsafe_code)]

pub mod attach;
mod clock;
mod debug;
pub mod doorway;
pub mod fair_timeout;
pub mod feedback;
pub mod file_lock;
pub mod helper_thread;
mod hook;
pub mod link;
pub mod losses;
pub mod meeting;
pub mod offline_file;
pub mod probe;
mod random;
pub mod receipt;
pub mod regular_file;
pub mod running;
pub mod scope;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use clock::{Clock, timestamp};
pub use debug::{describe, say, set_name};
pub use hook::{call_about_breadcrumb, call_about_event};
pub use random::Random;

/// Locks. A panic of whoever held the lock before is no reason for another: what is behind our locks
/// is whole between any two statements.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
