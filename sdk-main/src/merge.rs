//! The scope of all processes, laid over an event without touching what it does not concern.
