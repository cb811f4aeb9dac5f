//! What the tests of Guardhouse are judged by.
//!
//! [`corpus`] is what real SDKs sent, and edge cases with the outcome that each must have.
//! [`oracle`] holds what must be true of any bytes at all; property tests and fuzz targets share it,
//! so that what one finds the other keeps.

pub mod corpus;
pub mod oracle;
