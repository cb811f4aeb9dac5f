//! The rows, a file each.

pub(crate) mod channel;
