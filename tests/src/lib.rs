//! What the tests of Guardhouse are judged by.
//!
//! [`corpus`] is what real SDKs sent, and edge cases with the outcome that each must have.
//! [`oracle`] holds what must be true of any bytes at all; property tests and fuzz targets share it,
//! so that what one finds the other keeps.
//! [`disk`] is one that hangs.
//! [`children`] are the processes that a desk starts.
//! [`handed`] is what both kinds of processes hand over besides what they capture.
//! [`sentry`] is a Sentry on this computer that says what arrived, and behaves as badly as it is told.
//! [`desk`] is a main process that does what it is told, [`helm`] a child process that does; [`talk`] is
//! how they answer, and `wire` a renderer made by hand.

#[cfg(unix)]
pub mod children;
pub mod corpus;
pub mod desk;
#[cfg(unix)]
pub mod disk;
pub mod handed;
pub mod helm;
pub mod oracle;
pub mod sentry;
pub mod talk;
#[cfg(unix)]
pub mod wire;
