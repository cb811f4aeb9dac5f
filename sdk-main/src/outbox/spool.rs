//! Envelopes on disk, one file each.
