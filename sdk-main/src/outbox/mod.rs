//! From a merged envelope to Sentry, losing nothing: on disk ([`spool`]), chosen ([`dispatcher`]),
//! sent ([`http`]).

pub mod dispatcher;
mod driver;
mod entry;
pub mod http;
pub mod spool;

pub(crate) use driver::{Outbox, Step, WhenSent};
pub use entry::{EntryId, Priority};
