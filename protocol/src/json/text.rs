//! JSON strings: from what stands between the quotes to what is meant, and back.
//!
//! JavaScript strings may hold half of a surrogate pair, which no Rust string can. Reading one for a
//! person replaces it; keeping one as a key or a value keeps its escape.

use std::borrow::Cow;
use std::ops::Deref;

/// What a string with the body `raw` (checked, without its quotes) means. Half a surrogate pair
/// becomes U+FFFD.
pub(crate) fn decode(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    for piece in pieces(raw) {
        match piece {
            Piece::Plain(plain) => text.push_str(plain),
            Piece::Char(character) => text.push(character),
            Piece::LoneSurrogate(_) => text.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Cow::Owned(text)
}

/// The one body that all bodies of the same meaning as `raw` share. Keys are compared by it: unlike
/// the meaning, it can be had of every string that JSON can write.
pub(crate) fn canonical_body(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    for piece in pieces(raw) {
        match piece {
            // It was checked, so it holds nothing that has to be escaped.
            Piece::Plain(plain) => out.push_str(plain),
            Piece::Char(character) => out.push_str(&Escaped::of(character)),
            Piece::LoneSurrogate(unit) => out.push_str(&Escaped::unit(unit)),
        }
    }
    Cow::Owned(out)
}

/// The canonical body of a string that means `text`.
pub(crate) fn body_of(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    encode_body(text, &mut out);
    Cow::Owned(out)
}

/// Whether the body `raw` is another way, or the same, to write the canonical body. It costs no
/// memory: it is asked of every key of objects that may be hostile.
pub(crate) fn is_same(raw: &str, canonical_body: &str) -> bool {
    // No other way to write it is shorter, or does without an escape.
    if raw.len() < canonical_body.len() || raw == canonical_body {
        return raw == canonical_body;
    }
    // Most keys differ in their first character.
    let first = raw.as_bytes().first();
    if first != Some(&b'\\') && first != canonical_body.as_bytes().first() {
        return false;
    }
    let mut rest = canonical_body;
    for piece in pieces(raw) {
        let stripped = match piece {
            Piece::Plain(plain) => rest.strip_prefix(plain),
            Piece::Char(character) => rest.strip_prefix(&*Escaped::of(character)),
            Piece::LoneSurrogate(unit) => rest.strip_prefix(&*Escaped::unit(unit)),
        };
        match stripped {
            Some(stripped) => rest = stripped,
            None => return false,
        }
    }
    rest.is_empty()
}

/// How much of a string may be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Characters of its meaning.
    pub(crate) chars: usize,
    /// Bytes of its canonical body.
    pub(crate) bytes: usize,
}

/// Writes the canonical body of `raw` as far as there is room, whole characters only. Returns how
/// many characters there are in all.
pub(crate) fn write_bounded(raw: &str, room: Room, out: &mut String) -> usize {
    let start = out.len();
    let mut chars = 0;
    let mut is_full = false;
    let mut put = |body: &str, out: &mut String| {
        is_full |= chars == room.chars || out.len() - start + body.len() > room.bytes;
        if !is_full {
            out.push_str(body);
        }
        chars += 1;
    };
    for piece in pieces(raw) {
        match piece {
            Piece::Plain(plain) => {
                for character in plain.chars() {
                    put(character.encode_utf8(&mut [0; 4]), out);
                }
            }
            Piece::Char(character) => put(&Escaped::of(character), out),
            Piece::LoneSurrogate(unit) => put(&Escaped::unit(unit), out),
        }
    }
    chars
}

/// Writes `text` as a JSON string, with its quotes.
pub(crate) fn encode(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    encode_body(text, out);
    out.push('"');
}

fn encode_body(text: &str, out: &mut String) {
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        if matches!(byte, 0..0x20 | b'"' | b'\\') {
            out.push_str(&text[written..at]);
            out.push_str(&Escaped::of(char::from(byte)));
            written = at + 1;
        }
    }
    out.push_str(&text[written..]);
}

/// One character as it stands in a canonical body.
struct Escaped {
    bytes: [u8; 6],
    length: usize,
}

impl Escaped {
    fn of(character: char) -> Self {
        let short = match character {
            '"' => b'"',
            '\\' => b'\\',
            '\n' => b'n',
            '\r' => b'r',
            '\t' => b't',
            '\u{8}' => b'b',
            '\u{c}' => b'f',
            '\0'..'\x20' => return Self::unit(character as u16),
            _ => {
                let mut bytes = [0; 6];
                let length = character.encode_utf8(&mut bytes).len();
                return Self { bytes, length };
            }
        };
        Self { bytes: [b'\\', short, 0, 0, 0, 0], length: 2 }
    }

    fn unit(unit: u16) -> Self {
        let digit = |shift: u16| b"0123456789abcdef"[usize::from(unit >> shift & 0xf)];
        Self { bytes: [b'\\', b'u', digit(12), digit(8), digit(4), digit(0)], length: 6 }
    }
}

impl Deref for Escaped {
    type Target = str;

    fn deref(&self) -> &str {
        // It was put together from whole characters.
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

enum Piece<'a> {
    Plain(&'a str),
    Char(char),
    LoneSurrogate(u16),
}

/// The body of a checked string, cut at its escapes. A body that was not checked ends at the first
/// escape that is none.
fn pieces(raw: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let plain = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        if plain > 0 {
            let (piece, behind) = rest.split_at(plain);
            rest = behind;
            return Some(Piece::Plain(piece));
        }
        let simple = match rest.as_bytes().get(1)? {
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => return unicode_escape(&mut rest),
            &other => char::from(other),
        };
        rest = rest.get(2..)?;
        Some(Piece::Char(simple))
    })
}

/// Takes one `\uXXXX`, or two that are a surrogate pair.
fn unicode_escape<'a>(rest: &mut &'a str) -> Option<Piece<'a>> {
    let unit_at = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit_at(0)?;
    let units = [first, unit_at(6).unwrap_or(0)];
    let decoded = match char::decode_utf16(units).next()? {
        Ok(character) => Piece::Char(character),
        Err(_) => Piece::LoneSurrogate(first),
    };
    let is_pair = matches!(decoded, Piece::Char(character) if character.len_utf16() == 2);
    *rest = rest.get(if is_pair { 12 } else { 6 }..)?;
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_what_json_says() {
        for (raw, text) in [
            ("", ""),
            ("plain ☃", "plain ☃"),
            (r#"a\"b\\c\/d"#, "a\"b\\c/d"),
            (r"\b\f\n\r\t", "\u{8}\u{c}\n\r\t"),
            (r"\u00e9\u2603x", "é☃x"),
            (r"\ud83e\udd80!", "🦀!"),
        ] {
            assert_eq!(decode(raw), text);
            assert!(is_same(raw, &body_of(text)), "{raw}");
            assert!(!is_same(raw, &body_of(&format!("{text}x"))), "{raw}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced_for_reading_and_equals_nothing() {
        for (raw, text) in [
            (r"x\ud83d", "x\u{fffd}"),
            (r"\udd80y", "\u{fffd}y"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\ud83d\ud83e\udd80", "\u{fffd}🦀"),
        ] {
            assert_eq!(decode(raw), text);
            assert!(!is_same(raw, &body_of(text)), "{raw}");
        }
    }

    #[test]
    fn one_meaning_has_one_canonical_body() {
        for (bodies, canonical) in [
            (&["abc", r"\u0061bc"][..], "abc"),
            (&[r"\n", r"\u000a", r"\u000A"], r"\n"),
            (&[r"\/", "/"], "/"),
            (&[r"\uD83D", r"\ud83d"], r"\ud83d"),
            (&[r"\u0001"], r"\u0001"),
        ] {
            for body in bodies {
                assert_eq!(super::canonical_body(body), canonical);
                assert!(is_same(body, canonical));
            }
        }
    }

    #[test]
    fn canonical_bodies_can_be_cut_at_a_character() {
        let raw = r"é\ud83e\udd80\ud83dx\u000ay";
        for (chars, bytes, kept) in [
            (9, 99, r"é🦀\ud83dx\ny"),
            (3, 99, r"é🦀\ud83d"),
            (9, 13, r"é🦀\ud83dx"),
            (9, 14, r"é🦀\ud83dx"),
            (9, 11, r"é🦀"),
            (0, 99, ""),
        ] {
            let mut out = String::new();
            assert_eq!(write_bounded(raw, Room { chars, bytes }, &mut out), 6);
            assert_eq!(out, kept);
        }
    }

    #[test]
    fn encoding_is_what_decoding_undoes() {
        for text in ["", "\"\\/", "\u{0}\u{1f}\u{7f}", "☃🦀\n", "</script>"] {
            let mut out = String::new();
            encode(text, &mut out);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
            assert_eq!(decode(&out[1..out.len() - 1]), text);
        }
    }
}
