//! What the errors of this crate have in common.

use std::borrow::Cow;

/// As much of `text` as fits `max_bytes`, with an ellipsis in place of what does not. Borrowed if all
/// of it does.
pub(crate) fn cut(text: &str, max_bytes: usize) -> Cow<'_, str> {
    const ELLIPSIS: &str = "…";
    if text.len() <= max_bytes {
        return text.into();
    }
    let mut end = max_bytes.saturating_sub(ELLIPSIS.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ELLIPSIS}", &text[..end]).into()
}

/// The start of `text`, short enough to stand in an error that a person reads. What is repeated in
/// an error may come from a hostile peer, and be megabytes.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    const CHARS: usize = 64;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("ääää", 8), "ääää");
        assert_eq!(cut("ääää", 7), "ää…");
        assert_eq!(cut("ääää", 6), "ä…");
        assert_eq!(cut("abcdef", 3), "…");
    }
}
