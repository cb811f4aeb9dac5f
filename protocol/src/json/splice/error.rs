//! Why a change to JSON cannot be made.

use std::fmt;

use crate::error::excerpt;
use crate::limits::{JSON_DEPTH, JSON_MEMBERS};

/// Why a change cannot be made. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpliceError {
    path: Box<[Box<str>]>,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The caller named no member.
    EmptyPath,
    /// The text has something else where the path needs an object.
    NotAnObject,
    /// The result would be nested deeper than anybody reads.
    TooDeep,
    /// The object would have more members than anybody reads.
    TooManyMembers,
    /// The caller's value was not read from the text that is changed.
    Foreign,
}

impl SpliceError {
    pub(super) fn empty_path() -> Self {
        Self::new(&[], Fault::EmptyPath)
    }

    pub(super) fn not_an_object(path: &[&str]) -> Self {
        Self::new(path, Fault::NotAnObject)
    }

    pub(super) fn too_deep(path: &[&str]) -> Self {
        Self::new(path, Fault::TooDeep)
    }

    pub(super) fn too_many_members(path: &[&str]) -> Self {
        Self::new(path, Fault::TooManyMembers)
    }

    pub(super) fn foreign() -> Self {
        Self::new(&[], Fault::Foreign)
    }

    fn new(path: &[&str], fault: Fault) -> Self {
        Self { path: path.iter().map(|key| Box::from(excerpt(key))).collect(), fault }
    }

    /// Whether the path leads through something that is not an object: the text is of another shape
    /// than the caller expects. Other changes to it can be made.
    pub fn is_not_an_object(&self) -> bool {
        self.fault == Fault::NotAnObject
    }
}

impl fmt::Display for SpliceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys may have dots in them.
        let path = self.path.join(" / ");
        match self.fault {
            Fault::EmptyPath => f.write_str("a change to JSON has to name a member"),
            Fault::NotAnObject => {
                write!(
                    f,
                    "cannot change what is inside `{path}`: it is not an object, or too large"
                )
            }
            Fault::TooManyMembers => write!(
                f,
                "cannot put anything at `{path}`: its object would have more than {JSON_MEMBERS} \
                 members"
            ),
            Fault::TooDeep => write!(
                f,
                "cannot put a value at `{path}`: it would be nested deeper than {JSON_DEPTH} levels"
            ),
            Fault::Foreign => {
                f.write_str("cannot replace a value that was not read from the text to be changed")
            }
        }
    }
}

impl std::error::Error for SpliceError {}
