//! The session of a run: how it began, and its one outcome.
