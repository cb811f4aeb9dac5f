//! The id of a run of main.

use std::fmt;
use std::str::FromStr;

/// The id of a run: from one start of main to its end.
///
/// It is drawn at random when main starts, and written as 16 hexadecimal digits. What a renderer leaves
/// behind names the run in which it happened by it, so that a later main can look up which release of
/// the application that was.
///
/// ```
/// use guardhouse_protocol::RunId;
///
/// let run: RunId = "00c0ffee00c0ffee".parse()?;
/// assert_eq!(run.to_string(), "00c0ffee00c0ffee");
/// # Ok::<(), guardhouse_protocol::RunIdError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(u64);

impl RunId {
    /// The run with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or(RunIdError(()))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text is not the id of a run. Whoever wrote it is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunIdError(());

impl fmt::Display for RunIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of a run has 16 hexadecimal digits")
    }
}

impl std::error::Error for RunIdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sixteen_digits_are_an_id() {
        for text in ["", "12", "00c0ffee00c0ffeg", "00c0ffee00c0ffee0", "+0c0ffee00c0ffee"] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
