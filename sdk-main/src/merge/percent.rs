//! Percent-encoding, as far as it has to be undone to recognise a name or a path.

use std::borrow::Cow;

/// Characters that mean something else in a URL once they are decoded.
const RESERVED: &str = ";/?:@&=+$,#";

/// The character at the start of `text` and how many bytes it takes there. What is not the encoding
/// of a character, or of one that is reserved, is taken as it is written.
pub(super) fn first(text: &str) -> Option<(char, usize)> {
    let plain = text.chars().next()?;
    let encoded = || {
        let byte = |at: usize| {
            let digits = text.get(at..at + 3)?.strip_prefix('%')?;
            // `from_str_radix` takes a sign as well.
            let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
        };
        let length = match byte(0)? {
            0..0x80 => 1,
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0.. => 4,
            _ => return None,
        };
        let bytes: Vec<u8> = (0..length).map_while(|index| byte(3 * index)).collect();
        let character = std::str::from_utf8(&bytes).ok()?.chars().next()?;
        Some((character, 3 * length))
    };
    match encoded() {
        Some((character, length)) if plain == '%' && !RESERVED.contains(character) => {
            Some((character, length))
        }
        _ => Some((plain, plain.len_utf8())),
    }
}

/// All of a text with its percent-encoding undone.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((character, length)) = first(rest) {
        out.push(character);
        rest = &rest[length..];
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_unless_it_is_reserved_or_broken() {
        for (encoded, decoded) in [
            ("a%20b", "a b"),
            ("%C3%a9%E2%98%83%F0%9F%A6%80", "é☃🦀"),
            ("%2Fa%3Fb", "%2Fa%3Fb"),
            ("%", "%"),
            ("%4", "%4"),
            ("%+41", "%+41"),
            ("%C3%28", "%C3("),
            ("%80", "%80"),
            ("100%é", "100%é"),
        ] {
            assert_eq!(decode(encoded), decoded, "{encoded}");
        }
    }
}
