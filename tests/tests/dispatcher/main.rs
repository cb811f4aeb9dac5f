//! The dispatcher against servers that do anything, and many of it against one server.

mod fleet;
mod properties;
mod server;
mod world;
