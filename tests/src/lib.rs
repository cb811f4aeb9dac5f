//! What the tests of Guardhouse are judged by.
//!
//! [`corpus`] is what real SDKs sent, and edge cases with the outcome that each must have.
//! [`oracle`] holds what must be true of any bytes at all; property tests and fuzz targets share it,
//! so that what one finds the other keeps.
//! [`desk`] is a real main process that does what it is told, [`wire`] a renderer made by hand.
//! [`sentry`] is a Sentry on this computer that says what arrived, and behaves as badly as it is told.

pub mod corpus;
pub mod desk;
pub mod oracle;
pub mod sentry;
#[cfg(unix)]
pub mod wire;
