//! The subjects, one file each.

pub(crate) mod envelope;
pub(crate) mod merge;
pub(crate) mod splice;

/// The release that events are given.
const RELEASE: &str = "desk@5.1.0";
/// The tag that they get.
const TAG: (&str, &str) = ("event.process", "renderer");
