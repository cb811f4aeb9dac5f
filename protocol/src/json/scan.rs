//! The one pass over JSON text that everything else here builds on.
//!
//! It checks the grammar and finds where values end. It keeps no tree and does not recurse: what is
//! open is one bit a level. Whether the bytes are UTF-8 is checked by the caller, over the whole text
//! at once, which is faster than looking at each string.

use super::{JsonError, JsonFault};
use crate::limits::JSON_DEPTH;

/// One bit for each open array or object has to fit the word that holds them.
const _: () = assert!(JSON_DEPTH <= u128::BITS as usize);

/// What one pass learns beside where things are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Findings {
    /// The deepest nesting seen.
    pub(super) depth: usize,
    /// Whether a number was seen that overflows a double, so that no typed reader can take it.
    pub(super) overflow: bool,
    /// Whether half a surrogate pair was seen, which no Rust string can hold.
    pub(super) lone_surrogate: bool,
}

/// Where the white space that begins at `at` ends.
#[inline(always)]
pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Where the value that begins at `at` ends. `open` arrays and objects are around it already.
pub(super) fn skip_value(
    bytes: &[u8],
    mut at: usize,
    open: usize,
    findings: &mut Findings,
) -> Result<usize, JsonError> {
    // A set bit is an object, the lowest is the innermost.
    let mut kinds: u128 = 0;
    let mut depth = 0;
    'value: loop {
        match bytes.get(at) {
            Some(b'"') => at = skip_string(bytes, at + 1, findings)?,
            Some(&bracket @ (b'{' | b'[')) => {
                depth += 1;
                if open + depth > JSON_DEPTH {
                    return Err(JsonError::new(JsonFault::TooDeep, at));
                }
                findings.depth = findings.depth.max(open + depth);
                let is_object = bracket == b'{';
                kinds = kinds << 1 | u128::from(is_object);
                at = skip_space(bytes, at + 1);
                let is_empty = bytes.get(at) == Some(if is_object { &b'}' } else { &b']' });
                if !is_empty {
                    if is_object {
                        at = skip_key(bytes, at, findings)?;
                    }
                    continue 'value;
                }
                at += 1;
                depth -= 1;
                kinds >>= 1;
            }
            Some(b'-' | b'0'..=b'9') => at = skip_number(bytes, at, findings)?,
            Some(b't') => at = skip_literal(bytes, at, b"true")?,
            Some(b'f') => at = skip_literal(bytes, at, b"false")?,
            Some(b'n') => at = skip_literal(bytes, at, b"null")?,
            other => return Err(unexpected(other, at)),
        }
        // A value has ended; so may the ones around it.
        loop {
            if depth == 0 {
                return Ok(at);
            }
            at = skip_space(bytes, at);
            let in_object = kinds & 1 == 1;
            match bytes.get(at) {
                Some(b',') => {
                    at = skip_space(bytes, at + 1);
                    if in_object {
                        at = skip_key(bytes, at, findings)?;
                    }
                    continue 'value;
                }
                Some(b'}') if in_object => {}
                Some(b']') if !in_object => {}
                other => return Err(unexpected(other, at)),
            }
            at += 1;
            depth -= 1;
            kinds >>= 1;
        }
    }
}

/// Where the value of the member begins whose key begins at `at`.
#[inline(always)]
fn skip_key(bytes: &[u8], at: usize, findings: &mut Findings) -> Result<usize, JsonError> {
    match bytes.get(at) {
        Some(b'"') => skip_colon(bytes, skip_string(bytes, at + 1, findings)?),
        other => Err(unexpected(other, at)),
    }
}

/// Where the value begins whose key ended at `at`.
#[inline(always)]
pub(super) fn skip_colon(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let at = skip_space(bytes, at);
    match bytes.get(at) {
        Some(b':') => Ok(skip_space(bytes, at + 1)),
        other => Err(unexpected(other, at)),
    }
}

/// Where the string ends whose first character is at `at`, the closing quote included.
#[inline(always)]
pub(super) fn skip_string(
    bytes: &[u8],
    mut at: usize,
    findings: &mut Findings,
) -> Result<usize, JsonError> {
    loop {
        // Eight bytes at a time up to the next one that means something.
        while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let special = special_bytes(u64::from_le_bytes(*word));
            if special != 0 {
                at += special.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = skip_escape(bytes, at, findings)?,
            Some(0x20..) => at += 1,
            Some(_) => return Err(JsonError::new(JsonFault::ControlCharacter, at)),
            None => return Err(JsonError::new(JsonFault::Truncated, at)),
        }
    }
}

/// Sets the highest bit of each byte that is a quote, a backslash or a control character. Bytes above
/// the first such one may be set by mistake, so only the lowest counts.
#[inline(always)]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let zero_in = |word: u64| word.wrapping_sub(ONES) & !word;

    let quote = zero_in(word ^ (ONES * b'"' as u64));
    let backslash = zero_in(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGH
}

/// Where the escape ends whose backslash is at `at`; of a surrogate pair, where the second half does.
fn skip_escape(bytes: &[u8], at: usize, findings: &mut Findings) -> Result<usize, JsonError> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match unit(bytes, at)? {
            0xd800..=0xdbff if matches!(unit(bytes, at + 6), Ok(0xdc00..=0xdfff)) => Ok(at + 12),
            0xd800..=0xdfff => {
                findings.lone_surrogate = true;
                Ok(at + 6)
            }
            _ => Ok(at + 6),
        },
        Some(_) => Err(JsonError::new(JsonFault::Escape, at)),
        None => Err(JsonError::new(JsonFault::Truncated, at + 1)),
    }
}

/// What an escape of the form `\uXXXX` stands for.
pub(super) fn unit(bytes: &[u8], at: usize) -> Result<u16, JsonError> {
    let Some(escape) = bytes.get(at..at + 6) else {
        return Err(JsonError::new(JsonFault::Truncated, bytes.len()));
    };
    let digits = escape.strip_prefix(b"\\u").unwrap_or_default();
    digits
        .iter()
        .try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16))
        .filter(|_| digits.len() == 4)
        .ok_or(JsonError::new(JsonFault::Escape, at))
}

#[inline(always)]
fn skip_number(bytes: &[u8], start: usize, findings: &mut Findings) -> Result<usize, JsonError> {
    /// Every number with no more digits than this before its point fits a double.
    const SAFE_DIGITS: usize = 300;

    let digits = |mut at: usize| {
        while let Some(b'0'..=b'9') = bytes.get(at) {
            at += 1;
        }
        at
    };
    let fault = |at: usize| match bytes.get(at) {
        None => JsonError::new(JsonFault::Truncated, at),
        Some(_) => JsonError::new(JsonFault::Number, start),
    };

    let mut at = start;
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    let integer = at;
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        Some(b'1'..=b'9') => digits(at + 1),
        _ => return Err(fault(at)),
    };
    // Digits behind a leading zero.
    if let Some(b'0'..=b'9') = bytes.get(at) {
        return Err(fault(at));
    }
    let mut may_overflow = at - integer > SAFE_DIGITS;
    if bytes.get(at) == Some(&b'.') {
        let fraction = at + 1;
        at = digits(fraction);
        if at == fraction {
            return Err(fault(at));
        }
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let mut exponent = at + 1;
        if let Some(b'+' | b'-') = bytes.get(exponent) {
            exponent += 1;
        }
        at = digits(exponent);
        if at == exponent {
            return Err(fault(at));
        }
        may_overflow = true;
    }
    if may_overflow {
        let number =
            std::str::from_utf8(&bytes[start..at]).ok().and_then(|n| n.parse::<f64>().ok());
        findings.overflow |= !number.is_some_and(f64::is_finite);
    }
    Ok(at)
}

#[inline(always)]
fn skip_literal(bytes: &[u8], at: usize, literal: &'static [u8]) -> Result<usize, JsonError> {
    match bytes.get(at..at + literal.len()) {
        Some(found) if found == literal => Ok(at + literal.len()),
        None if literal.starts_with(&bytes[at..]) => {
            Err(JsonError::new(JsonFault::Truncated, bytes.len()))
        }
        _ => Err(JsonError::new(JsonFault::Unexpected, at)),
    }
}

pub(super) fn unexpected(found: Option<&u8>, at: usize) -> JsonError {
    match found {
        None => JsonError::new(JsonFault::Truncated, at),
        Some(_) => JsonError::new(JsonFault::Unexpected, at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(text: &str) -> Result<usize, JsonError> {
        skip_value(text.as_bytes(), 0, 0, &mut Findings::default())
    }

    #[test]
    fn a_value_ends_where_it_ends() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "10",
            "-1.5",
            "1e5",
            "1E+5",
            "1.25e-5",
            r#""""#,
            r#""abc""#,
            r#""a\"b\\""#,
            r#""\ud83d""#,
            r#""12345678""#,
            r#""1234567\n""#,
            "[]",
            "{}",
            "[ ]",
            "{ }",
            "[1,[2,{}],3]",
            r#"{"a":1 , "b":[{"c":null}]}"#,
            "[[[[[[]]]]]]",
        ] {
            for tail in ["", ",", "}", "]", " "] {
                assert_eq!(skip(&format!("{text}{tail}")), Ok(text.len()), "{text}{tail}");
            }
        }
    }

    #[test]
    fn what_is_not_json_is_said_and_where() {
        use JsonFault::{ControlCharacter, Escape, Number, Truncated, Unexpected};
        for (text, fault, offset) in [
            ("", Truncated, 0),
            ("nul", Truncated, 3),
            ("nulx", Unexpected, 0),
            ("NaN", Unexpected, 0),
            ("-", Truncated, 1),
            ("-x", Number, 0),
            ("01", Number, 0),
            ("1.", Truncated, 2),
            ("1.x", Number, 0),
            ("1e", Truncated, 2),
            ("[1e+]", Number, 1),
            ("\"a\nb\"", ControlCharacter, 2),
            ("\"abcdefghi\u{1}\"", ControlCharacter, 10),
            (r#""\x""#, Escape, 1),
            (r#""\u12g4""#, Escape, 1),
            (r#""\u12"#, Truncated, 5),
            (r#""\"#, Truncated, 2),
            (r#""abc"#, Truncated, 4),
            ("[1", Truncated, 2),
            ("[1,]", Unexpected, 3),
            ("[1 2]", Unexpected, 3),
            ("[1}", Unexpected, 2),
            ("{1:2}", Unexpected, 1),
            (r#"{"a" 1}"#, Unexpected, 5),
            (r#"{"a":1]"#, Unexpected, 6),
            (r#"{"a":1,}"#, Unexpected, 7),
            (r#"{,}"#, Unexpected, 1),
        ] {
            assert_eq!(skip(text), Err(JsonError::new(fault, offset)), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_costs_no_stack() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(skip(&nested(JSON_DEPTH)), Ok(2 * JSON_DEPTH));
        let error = JsonError::new(JsonFault::TooDeep, JSON_DEPTH);
        assert_eq!(skip(&nested(JSON_DEPTH + 1)), Err(error));
        assert_eq!(skip(&nested(1_000_000)), Err(error));
        // The same as serde_json's.
        let tree = |depth| serde_json::from_str::<serde_json::Value>(&nested(depth));
        assert!(tree(JSON_DEPTH).is_ok() && tree(JSON_DEPTH + 1).is_err());
    }

    #[test]
    fn numbers_that_no_double_holds_are_noticed() {
        for (text, overflow) in
            [("1e308", false), ("1e400", true), ("-1e400", true), ("1e-400", false)]
        {
            let mut findings = Findings::default();
            skip_value(text.as_bytes(), 0, 0, &mut findings).unwrap();
            assert_eq!(findings.overflow, overflow, "{text}");
        }
        let mut findings = Findings::default();
        skip_value("9".repeat(400).as_bytes(), 0, 0, &mut findings).unwrap();
        assert!(findings.overflow);
    }

    #[test]
    fn each_byte_that_means_something_is_seen_at_each_place_of_a_word() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                let mut word = [b'a'; 8];
                word[place] = byte;
                let special = special_bytes(u64::from_le_bytes(word));
                let expected = byte == b'"' || byte == b'\\' || byte < 0x20;
                assert_eq!(special != 0, expected, "{byte:#x} at {place}");
                if expected {
                    assert_eq!(special.trailing_zeros() as usize / 8, place);
                }
            }
        }
    }
}
