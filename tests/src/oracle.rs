//! What must be true of any bytes at all. Each function panics where it is not.

pub mod envelope;
pub mod frame;
pub mod intake;
pub mod offline_file;
pub mod plain;
pub mod scope;
pub mod splice;
