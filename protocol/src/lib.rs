//! The contract between the processes of a Guardhouse application.
//!
//! A desktop application is a main process and renderers that report through it: web pages in
//! webviews and Rust child processes. This crate says who may say what to whom, how it is written,
//! and how it is read without trusting who wrote it. Everything else is built on it.
//!
//! - [`contract`] is the table of all channels; [`Channel`] writes and reads their keys and URLs for
//!   a [`Namespace`], [`IpcMode`] says which ways there are, [`limits`] holds every bound.
//! - [`Message`] is what the bytes of a channel mean: an [`Envelope`], a
//!   [`ScopeMessage`](scope::ScopeMessage), a [`Log`], ….
//! - [`Envelope`] and [`json`] read and change what is on its way to Sentry, and lose nothing of it.
//! - [`scope`] keeps what each process contributes to events.
//! - [`frame`] is how native processes write messages to each other's sockets, [`http`] how requests
//!   carry them.
//!
//! Nothing here does I/O, knows a clock or starts a thread: bytes and times are arguments, what to do
//! is the result. Nothing panics on what a peer sent, and nothing sets memory aside for a length that
//! was only claimed. Sockets, files and policy are left to the crates of main and renderers.

#![forbid(unsafe_code)]

#[macro_use]
mod listed;

pub mod channel;
pub mod contract;
mod control;
mod envelope;
mod error;
mod event_id;
pub mod frame;
pub mod http;
pub mod json;
pub mod limits;
mod members;
mod message;
mod mode;
mod namespace;
mod reply;
mod run_id;
pub mod scope;
mod status;
mod stream;
mod telemetry;
mod timestamp;

pub use channel::{Channel, ChannelError, UrlForm};
pub use control::{Config, LogLevel, Trace};
pub use envelope::{
    Concern, EditError, Envelope, EnvelopeError, EnvelopeFault, Header, Item, ItemType, Verdict,
};
pub use event_id::{EventId, EventIdError};
pub use members::PayloadError;
pub use message::{Message, MessageError};
pub use mode::{IpcMode, IpcModeError};
pub use namespace::{Namespace, NamespaceError};
pub use reply::{FeedbackResult, FlushResult, StreamResult};
pub use run_id::{RunId, RunIdError};
pub use status::{RendererState, Status};
pub use stream::{StreamOpening, creates_event};
pub use telemetry::{Attribute, Attributes, Log, Metric};
pub use timestamp::Timestamp;
