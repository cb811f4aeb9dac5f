//! The Sentry SDK for the main process of a desktop application.
//!
//! Renderers report to main; main lays the scope of all processes over what they report, keeps it on
//! disk and sends it. An event goes through [`intake`], [`merge`] and [`outbox`], in that order.
#![forbid(unsafe_code)]

pub mod contexts;
pub mod intake;
pub mod losses;
pub mod merge;
pub mod outbox;
pub mod session;
