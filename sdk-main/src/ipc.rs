//! What becomes of the processes that report to main.
//!
//! [`ends`] judges how a renderer ended, [`heartbeats`] notices that one no longer responds. Both
//! decide only; they are told what the operating system and the renderers say, and when.
// Nothing calls them until main listens to native renderers.
#![allow(dead_code)]

mod ends;
mod heartbeats;
mod report;

pub use ends::ExitReason;
