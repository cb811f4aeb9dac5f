//! The Sentry SDK for the child processes of a desktop application that are written in Rust.
//!
//! What it captures goes to the application's main process, over a socket that main handed over or
//! that it is found by, or over HTTP on the loopback interface; main lays the scope of all processes
//! over it, keeps it on disk and sends it. Nothing here sends anything to Sentry.
#![forbid(unsafe_code)]
#![allow(dead_code)] // Until the surface uses all of it.

mod courier;
#[cfg(all(test, unix))]
mod fake_main;
mod heartbeat;
mod house;
mod thread;
mod ways;

pub use house::Way;
