//! The contract between the processes of a Guardhouse application.
//!
//! Everything that decides and needs no operating system lives here: who may say what to whom
//! ([`contract`]), how it is written, and how it is read without trusting who wrote it.
//! This crate does no I/O, knows no clock, starts no thread and has no `unsafe` code.
#![forbid(unsafe_code)]

pub mod channel;
pub mod contract;
mod error;
pub mod frame;
pub mod limits;
mod mode;
mod namespace;

pub use channel::{Channel, ChannelError, UrlForm};
pub use mode::{IpcMode, IpcModeError};
pub use namespace::{Namespace, NamespaceError};
