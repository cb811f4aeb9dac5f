//! Which versions of the frame format a process speaks, and which one two processes have in common.
//!
//! Main and its renderers may be built apart and updated apart. Each side names the versions it
//! speaks; the highest that both know is used. What is older than that is never guessed at: without
//! a common version the error says which side to update.

use std::fmt;

/// A version of the frame format. The first is 1.
///
/// The head, the opening frames and the way to negotiate are the same in every version, so that
/// processes of any age can at least tell each other why they do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(u16);

impl Version {
    /// The first version, and so far the only one.
    pub const ONE: Version = Version(1);

    /// The version with this number; 0 is none.
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            0 => None,
            number => Some(Self(number)),
        }
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// All versions from an oldest to a newest, which is never older than the oldest.
///
/// ```
/// use guardhouse_protocol::frame::{Version, VersionRange};
///
/// let range = |min, max| {
///     VersionRange::new(Version::new(min).unwrap(), Version::new(max).unwrap()).unwrap()
/// };
/// let main = range(2, 4);
/// assert_eq!(VersionRange::negotiate(main, range(1, 3)).unwrap().number(), 3);
///
/// let error = VersionRange::negotiate(main, range(1, 1)).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "main speaks versions 2 to 4 of the frame format, this renderer version 1: update the renderer"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionRange {
    min: Version,
    max: Version,
}

impl VersionRange {
    /// What this crate speaks.
    pub const OURS: VersionRange = VersionRange { min: Version::ONE, max: Version::ONE };

    /// The versions from `min` to `max`; nothing if `max` is the older one.
    pub const fn new(min: Version, max: Version) -> Option<Self> {
        if min.0 <= max.0 { Some(Self { min, max }) } else { None }
    }

    /// The oldest.
    pub const fn min(self) -> Version {
        self.min
    }

    /// The newest.
    pub const fn max(self) -> Version {
        self.max
    }

    /// Whether `version` is one of them.
    pub const fn contains(self, version: Version) -> bool {
        self.min.0 <= version.0 && version.0 <= self.max.0
    }

    /// The highest version that main and a renderer have in common.
    pub fn negotiate(main: Self, renderer: Self) -> Result<Version, VersionMismatch> {
        let newest = main.max.min(renderer.max);
        if main.contains(newest) && renderer.contains(newest) {
            Ok(newest)
        } else {
            Err(VersionMismatch { main, renderer })
        }
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "version {}", self.min)
        } else {
            write!(f, "versions {} to {}", self.min, self.max)
        }
    }
}

/// Main and a renderer have no version in common. The fault is with whoever did not update the
/// older one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionMismatch {
    main: VersionRange,
    renderer: VersionRange,
}

impl VersionMismatch {
    /// Whether it is the renderer that has to be updated; else it is main.
    pub fn renderer_is_older(&self) -> bool {
        self.renderer.max < self.main.max
    }
}

impl fmt::Display for VersionMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { main, renderer } = self;
        let older = if self.renderer_is_older() { "the renderer" } else { "main" };
        write!(
            f,
            "main speaks {main} of the frame format, this renderer {renderer}: update {older}"
        )
    }
}

impl std::error::Error for VersionMismatch {}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: u16, max: u16) -> VersionRange {
        VersionRange::new(Version::new(min).unwrap(), Version::new(max).unwrap()).unwrap()
    }

    #[test]
    fn every_pair_of_ranges_agrees_on_the_highest_common_version() {
        let ranges = || (1..=5).flat_map(|min| (min..=5).map(move |max| range(min, max)));
        for main in ranges() {
            for renderer in ranges() {
                let common = (1..=5)
                    .map(|number| Version::new(number).unwrap())
                    .rfind(|&version| main.contains(version) && renderer.contains(version));
                assert_eq!(VersionRange::negotiate(main, renderer).ok(), common);
            }
        }
    }

    #[test]
    fn without_a_common_version_the_older_side_is_named() {
        let error = VersionRange::negotiate(range(3, 4), range(1, 2)).unwrap_err();
        assert!(error.renderer_is_older());
        assert_eq!(
            error.to_string(),
            "main speaks versions 3 to 4 of the frame format, this renderer versions 1 to 2: \
             update the renderer"
        );
        let error = VersionRange::negotiate(range(1, 1), range(2, 9)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "main speaks version 1 of the frame format, this renderer versions 2 to 9: update main"
        );
    }

    #[test]
    fn a_range_is_never_upside_down_and_no_version_is_zero() {
        assert_eq!(VersionRange::new(Version::new(2).unwrap(), Version::ONE), None);
        assert_eq!(Version::new(0), None);
    }
}
