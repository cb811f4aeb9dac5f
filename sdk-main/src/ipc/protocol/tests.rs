//! Real sockets, with a small stand-in for the SDK thread.

mod hostile;
mod main;
mod pushes;
mod talk;
mod times;
