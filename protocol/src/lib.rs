//! The contract between the processes of a Guardhouse application.
//!
//! Everything that decides and needs no operating system lives here: who may say what to whom
//! ([`contract`]), how it is written, and how it is read without trusting who wrote it.
//! This crate does no I/O, knows no clock, starts no thread and has no `unsafe` code.
#![forbid(unsafe_code)]

pub mod channel;
pub mod contract;
mod envelope;
mod error;
mod event_id;
pub mod frame;
pub mod json;
pub mod limits;
mod mode;
mod namespace;
pub mod scope;
mod timestamp;

pub use channel::{Channel, ChannelError, UrlForm};
pub use envelope::{
    Concern, EditError, Envelope, EnvelopeError, EnvelopeFault, Header, Item, ItemType, Verdict,
};
pub use event_id::{EventId, EventIdError};
pub use mode::{IpcMode, IpcModeError};
pub use namespace::{Namespace, NamespaceError};
pub use timestamp::Timestamp;
