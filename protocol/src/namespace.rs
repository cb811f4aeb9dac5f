//! The name that keeps one application's messages apart from everybody else's.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::error::excerpt;
use crate::limits::NAMESPACE_CHARS;

/// A checked namespace: the prefix of every channel key and the scheme of every channel URL.
///
/// It consists of `a`–`z`, `0`–`9` and `-`, begins with a letter (a URL scheme must), and is 1 to 64
/// characters long. Main, renderer and preload have to use the same one; two applications, or two
/// parts of one, that must not hear each other use different ones.
///
/// ```
/// use guardhouse_protocol::Namespace;
///
/// let namespace: Namespace = "some-app".parse()?;
/// assert_eq!(namespace.as_str(), "some-app");
/// assert_eq!(Namespace::default().as_str(), "sentry-ipc");
///
/// let error = "Some app".parse::<Namespace>().unwrap_err();
/// assert!(error.to_string().contains("'S'"));
/// # Ok::<(), guardhouse_protocol::NamespaceError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(Cow<'static, str>);

impl Namespace {
    /// What all of Sentry's desktop SDKs use when nobody says otherwise: `sentry-ipc`.
    pub const DEFAULT: Namespace = Namespace(Cow::Borrowed("sentry-ipc"));

    /// Checks `text` and keeps it.
    pub fn new(text: &str) -> Result<Self, NamespaceError> {
        check(text)?;
        Ok(Self(Cow::Owned(text.to_owned())))
    }

    /// The namespace as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str) -> Result<(), NamespaceError> {
    let error = |fault| NamespaceError { given: excerpt(text).into(), fault };

    if text.is_empty() {
        return Err(error(Fault::Empty));
    }
    for (index, character) in text.char_indices() {
        match character {
            'a'..='z' => {}
            '0'..='9' | '-' if index > 0 => {}
            '0'..='9' | '-' => return Err(error(Fault::First { character })),
            _ => return Err(error(Fault::Character { character, index })),
        }
    }
    // Every character is one byte by now.
    if text.len() > NAMESPACE_CHARS {
        return Err(error(Fault::TooLong { chars: text.len() }));
    }
    Ok(())
}

impl Default for Namespace {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", self.0)
    }
}

impl AsRef<str> for Namespace {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Namespace {
    type Error = NamespaceError;

    fn try_from(text: &str) -> Result<Self, NamespaceError> {
        Self::new(text)
    }
}

/// Why a text is not a [`Namespace`]. The fault is with whoever wrote it into the options of `init`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceError {
    given: Box<str>,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Empty,
    First { character: char },
    Character { character: char, index: usize },
    TooLong { chars: usize },
}

impl NamespaceError {
    /// The character that does not belong, and its place in bytes from the start.
    pub fn offending(&self) -> Option<(char, usize)> {
        match self.fault {
            Fault::First { character } => Some((character, 0)),
            Fault::Character { character, index } => Some((character, index)),
            Fault::Empty | Fault::TooLong { .. } => None,
        }
    }
}

impl fmt::Display for NamespaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = &self.given;
        match self.fault {
            Fault::Empty => f.write_str("the IPC namespace is empty")?,
            Fault::First { character } => {
                write!(f, "the IPC namespace {given:?} begins with {character:?}, not a letter")?;
            }
            Fault::Character { character, index } => write!(
                f,
                "the IPC namespace {given:?} has {character:?} at byte {index}, which is not allowed"
            )?,
            Fault::TooLong { chars } => {
                write!(f, "the IPC namespace {given:?} is {chars} characters long")?;
            }
        }
        write!(
            f,
            "; use 1 to {NAMESPACE_CHARS} characters of a-z, 0-9 and '-', beginning with a letter"
        )
    }
}

impl std::error::Error for NamespaceError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_rule_allows_is_kept() {
        for text in ["a", "sentry-ipc", "some-app", "a1", "a-", "x--y", &"a".repeat(64)] {
            assert_eq!(Namespace::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn the_error_shows_the_character_and_the_rule() {
        let rule = "use 1 to 64 characters of a-z, 0-9 and '-', beginning with a letter";
        for (text, offending, start) in [
            ("", None, "the IPC namespace is empty"),
            ("1app", Some(('1', 0)), "the IPC namespace \"1app\" begins with '1', not a letter"),
            ("-app", Some(('-', 0)), "the IPC namespace \"-app\" begins with '-', not a letter"),
            ("my_app", Some(('_', 2)), "the IPC namespace \"my_app\" has '_' at byte 2"),
            ("myApp", Some(('A', 2)), "the IPC namespace \"myApp\" has 'A' at byte 2"),
            ("büro", Some(('ü', 1)), "the IPC namespace \"büro\" has 'ü' at byte 1"),
            ("a b", Some((' ', 1)), "the IPC namespace \"a b\" has ' ' at byte 1"),
            ("a\n", Some(('\n', 1)), "the IPC namespace \"a\\n\" has '\\n' at byte 1"),
            ("a.b", Some(('.', 1)), "the IPC namespace \"a.b\" has '.' at byte 1"),
        ] {
            let error = Namespace::new(text).unwrap_err();
            assert_eq!(error.offending(), offending, "{text:?}");
            let message = error.to_string();
            assert!(message.starts_with(start), "{message}");
            assert!(message.ends_with(rule), "{message}");
        }
    }

    #[test]
    fn a_long_one_is_refused_and_only_its_start_is_repeated() {
        let message = Namespace::new(&"a".repeat(65)).unwrap_err().to_string();
        assert!(message.contains("is 65 characters long"), "{message}");
        let message = Namespace::new(&"é".repeat(1_000_000)).unwrap_err().to_string();
        assert!(message.len() < 400, "{}", message.len());
    }
}
