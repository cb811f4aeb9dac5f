//! What the errors of this crate have in common.

use std::borrow::Cow;

/// The start of `text`, short enough to stand in an error that a person reads. What is repeated in
/// an error may come from a hostile peer, and be megabytes.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    const CHARS: usize = 64;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
