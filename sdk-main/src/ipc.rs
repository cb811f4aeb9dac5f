//! How native renderers reach main: the sockets, and who is at their other ends.
//!
//! A renderer arrives at one of three entrances: a socket that it has inherited from main, the socket
//! that main's note names, or HTTP on the loopback interface. Each is thin: it turns bytes into what
//! the [`Service`] takes, and what comes of it back into bytes. Who somebody is, the
//! [`Renderers`](renderers::Renderers) decide, once, at its hello. What it says goes through the
//! doorway to the SDK thread, where the intake judges it; answers come back the same way.
//!
//! Everything here is bounded before it is set aside: connections, those among them that have not shown
//! who they are, messages of each that have no answer, large messages of all together. Whoever has
//! used up its share is not read from until there is some again, which holds up nobody else.

pub(crate) mod classic;
mod command;
pub(crate) mod ends;
pub(crate) mod heartbeats;
mod listeners;
pub(crate) mod protocol;
pub(crate) mod pushes;
pub(crate) mod renderers;
pub(crate) mod report;
pub(crate) mod room;
pub(crate) mod service;
pub(crate) mod trace;
pub(crate) mod window;

pub use command::CommandExt;
pub use ends::ExitReason;
pub(crate) use listeners::Listeners;
#[cfg(unix)]
pub(crate) use listeners::serve_inherited;
pub use renderers::{Renderer, Way};
pub(crate) use service::Service;
