//! What becomes of the processes that report to main.
//!
//! [`ends`] judges how a renderer ended. It decides only; it is told what the operating system and the
//! renderer say.
// Nothing calls them until main listens to native renderers.
#![allow(dead_code)]

mod ends;
mod report;

pub use ends::ExitReason;
