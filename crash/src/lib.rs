//! What only the operating system can do for the processes of a Guardhouse application.
//!
//! All that differs between operating systems lives here behind interfaces that do not, and so does
//! all `unsafe` code of Guardhouse.
//!
//! - [`fork`] keeps connections from children that the application forks.
//! - `inherit` hands a connected socket to a child process (Unix).
//! - [`ending`] tells when and how another process ended, without being its parent.
//! - `directory_watch` tells when something is removed from a directory.
//! - [`process`] tells what else can be seen of another process.
//! - `signals` keeps writes from ending the process (Unix).
//! - `pipe` makes named pipes that only the current user can open (Windows).
//!
//! It decides nothing: what a process that ended means for a report, or whom to let in, is for its
//! callers to say. Black boxes, crash hook, monitor and minidumps belong here too, once they exist.
//!
//! Linux is where all of it runs and is tested. What is for Windows has been run under Wine only, and
//! what is for macOS has been compiled and read, but never run.

#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(feature = "tokio")]
pub mod directory_watch;
pub mod ending;
pub mod fork;
#[cfg(unix)]
pub mod inherit;
#[cfg(all(windows, feature = "tokio"))]
pub mod pipe;
pub mod process;
#[cfg(unix)]
pub mod signals;
