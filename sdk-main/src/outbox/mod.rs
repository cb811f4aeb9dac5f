//! From a merged envelope to Sentry, losing nothing: on disk ([`spool`]), chosen ([`dispatcher`]),
//! sent ([`http`]).

pub mod dispatcher;
mod entry;
pub mod http;
pub mod spool;

pub use entry::{EntryId, Priority};
