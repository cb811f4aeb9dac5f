//! Who reports through main: what kind of process, and what people call it.

use std::fmt;
use std::str::FromStr;

use crate::error::excerpt;
use crate::limits::RENDERER_NAME_BYTES;
use crate::members::PayloadError;

/// What kind of process reports through main.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It shows something to the user.
    Renderer,
    /// It works in the background.
    Utility,
    /// A kind that only a newer renderer knows. Treat it as a [`Utility`](Self::Utility).
    #[non_exhaustive]
    Other(String),
}

impl Role {
    /// The role as it is written.
    pub fn name(&self) -> &str {
        match self {
            Self::Renderer => "renderer",
            Self::Utility => "utility",
            Self::Other(name) => name,
        }
    }

    /// The role that is written so. An unknown one is kept.
    pub fn named(name: &str) -> Self {
        [Self::Renderer, Self::Utility]
            .into_iter()
            .find(|role| role.name() == name)
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

/// What people call a renderer: 1 to 200 bytes of UTF-8 without control characters. It becomes the
/// tag `event.process` of what the renderer reports.
///
/// ```
/// use guardhouse_protocol::frame::RendererName;
///
/// assert_eq!(RendererName::new("settings window")?.as_str(), "settings window");
/// assert!(RendererName::new("two\nlines").is_err());
/// # Ok::<(), guardhouse_protocol::PayloadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RendererName(Box<str>);

impl RendererName {
    /// Checks `text` and keeps it.
    pub fn new(text: &str) -> Result<Self, PayloadError> {
        let invalid = |why| PayloadError::invalid("name", why);
        if text.is_empty() || text.len() > RENDERER_NAME_BYTES {
            return Err(invalid(format!(
                "{:?} has {} bytes, but a name has 1 to {RENDERER_NAME_BYTES}",
                excerpt(text),
                text.len()
            )));
        }
        if let Some((index, character)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(invalid(format!(
                "{:?} has the control character {character:?} at byte {index}",
                excerpt(text)
            )));
        }
        Ok(Self(text.into()))
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RendererName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RendererName {
    type Err = PayloadError;

    fn from_str(text: &str) -> Result<Self, PayloadError> {
        Self::new(text)
    }
}
