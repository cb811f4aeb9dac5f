//! How renderers talk to main.

use std::fmt;
use std::str::FromStr;

listed! {
    /// The ways by which a renderer may report, as `ipc_mode` in the options of main.
    ///
    /// The numbers are those of `@sentry/electron`. With [`Both`](IpcMode::Both) a renderer takes the
    /// classic way if it finds it, else the protocol.
    ///
    /// ```
    /// use guardhouse_protocol::IpcMode;
    ///
    /// assert_eq!(IpcMode::default(), IpcMode::Both);
    /// assert_eq!(IpcMode::try_from(2), Ok(IpcMode::Protocol));
    /// assert_eq!("classic".parse(), Ok(IpcMode::Classic));
    /// assert!(!IpcMode::Protocol.has_classic());
    /// ```
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(u8)]
    pub enum IpcMode {
        /// The webview library's own message channel, or a local socket between native processes.
        Classic = 1,
        /// A custom URL scheme in webviews, or HTTP on the loopback interface between native processes.
        Protocol = 2,
        /// Both of them.
        #[default]
        Both = 3,
    }
}

impl IpcMode {
    /// Whether main listens on the classic way.
    pub const fn has_classic(self) -> bool {
        matches!(self, Self::Classic | Self::Both)
    }

    /// Whether main listens on the protocol.
    pub const fn has_protocol(self) -> bool {
        matches!(self, Self::Protocol | Self::Both)
    }

    /// The number that `@sentry/electron` uses.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Protocol => "protocol",
            Self::Both => "both",
        }
    }
}

impl fmt::Display for IpcMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for IpcMode {
    type Err = IpcModeError;

    /// Reads a name; upper and lower case are the same, as configuration files write `Both` or `both`.
    fn from_str(text: &str) -> Result<Self, IpcModeError> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| IpcModeError { given: format!("{:?}", crate::error::excerpt(text)) })
    }
}

impl TryFrom<u8> for IpcMode {
    type Error = IpcModeError;

    fn try_from(number: u8) -> Result<Self, IpcModeError> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.number() == number)
            .ok_or_else(|| IpcModeError { given: number.to_string() })
    }
}

/// Not one of the [modes](IpcMode). The fault is with whoever wrote it into the options of `init`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpcModeError {
    given: String,
}

impl fmt::Display for IpcModeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not an IPC mode; use classic (1), protocol (2) or both (3)", self.given)
    }
}

impl std::error::Error for IpcModeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_go_both_ways() {
        for mode in IpcMode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
            assert_eq!(IpcMode::try_from(mode.number()), Ok(mode));
        }
        assert_eq!(IpcMode::ALL.map(IpcMode::number), [1, 2, 3]);
        assert_eq!("Both".parse(), Ok(IpcMode::Both));
    }

    #[test]
    fn each_mode_has_the_ways_that_its_name_says() {
        let ways = IpcMode::ALL.map(|mode| (mode.has_classic(), mode.has_protocol()));
        assert_eq!(ways, [(true, false), (false, true), (true, true)]);
    }

    #[test]
    fn anything_else_is_an_error_that_names_it() {
        assert!(IpcMode::try_from(0).unwrap_err().to_string().starts_with("0 is not an IPC mode"));
        assert!(IpcMode::try_from(4).is_err());
        let error = "ipc".parse::<IpcMode>().unwrap_err();
        assert!(error.to_string().starts_with("\"ipc\" is not an IPC mode; use classic (1)"));
    }
}
