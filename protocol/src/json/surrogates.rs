//! Halves of surrogate pairs, which JavaScript's strings may hold and JSON may name by an escape.

use memchr::{memchr, memmem};

use super::scan::unit;

/// JSON with `\ufffd` in place of each escape of half a surrogate pair, in values and in keys; nothing
/// if there is none. Every other byte stays where and as it was: both escapes are of the same length.
///
/// Most readers throw away what holds one, since no Unicode text can. A text that is not JSON comes out
/// as something that is not JSON either.
///
/// ```
/// use guardhouse_protocol::json::replace_lone_surrogates;
///
/// let replaced = replace_lone_surrogates(br#"{"a\udc00":"\ud83d\ude00 \ud83d"}"#).unwrap();
/// assert_eq!(replaced, br#"{"a\ufffd":"\ud83d\ude00 \ufffd"}"#);
/// assert_eq!(replace_lone_surrogates(br#"{"a":"\ud83d\ude00 \u00e9"}"#), None);
/// ```
pub fn replace_lone_surrogates(json: &[u8]) -> Option<Vec<u8>> {
    // A look that costs little comes first: hardly any text has an escape of the kind at all.
    memmem::find_iter(json, br"\u").find(|at| matches!(json.get(at + 2), Some(b'd' | b'D')))?;
    let mut replaced: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = memchr(b'\\', json.get(at..)?) {
        at += found;
        at += match json.get(at + 1) {
            Some(b'u') => match (unit(json, at), unit(json, at + 6)) {
                (Ok(0xd800..=0xdbff), Ok(0xdc00..=0xdfff)) => 12,
                (Ok(0xd800..=0xdfff), _) => {
                    let out = replaced.get_or_insert_with(|| json.to_vec());
                    out[at + 2..at + 6].copy_from_slice(b"fffd");
                    6
                }
                _ => 6,
            },
            _ => 2,
        };
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(json: &str) -> Option<String> {
        replace_lone_surrogates(json.as_bytes()).map(|json| String::from_utf8(json).unwrap())
    }

    #[test]
    fn each_half_alone_is_replaced_and_nothing_else() {
        for (before, after) in [
            (r#"{"a":"\ud800"}"#, r#"{"a":"\ufffd"}"#),
            (r#"{"a":"\uDFFFx"}"#, r#"{"a":"\ufffdx"}"#),
            (r#"{"\uD83D":1}"#, r#"{"\ufffd":1}"#),
            (r#"["\ud83d\ud83d\ude00\ude00"]"#, r#"["\ufffd\ud83d\ude00\ufffd"]"#),
            (r#"["\ude00\ud83d"]"#, r#"["\ufffd\ufffd"]"#),
            // A pair of which something stands between is none.
            (r#"["\ud83d \ude00"]"#, r#"["\ufffd \ufffd"]"#),
            (r#"["\ud83d","\ude00"]"#, r#"["\ufffd","\ufffd"]"#),
            (r#"["\ud83d\\ude00"]"#, r#"["\ufffd\\ude00"]"#),
            // The second half as a character of its own is no half: UTF-8 cannot say it.
            (r#"["\ud83d😀"]"#, r#"["\ufffd😀"]"#),
            (r#"["\\\ud83d"]"#, r#"["\\\ufffd"]"#),
        ] {
            assert_eq!(replaced(before).as_deref(), Some(after), "{before}");
        }
    }

    #[test]
    fn pairs_escaped_backslashes_and_other_escapes_stay_as_they_are() {
        for json in [
            r#"{}"#,
            r#"["\ud83d\ude00","\uD83D\uDE00","\uD83d\uDe00"]"#,
            r#"["\\ud800","\\\\ud800","\\\\\\ud800"]"#,
            r#"["\u00e9\ufffd\ue000\ud7ff"]"#,
            r#"["c:\\users\\dan"]"#,
            "[\"\u{10ffff}é\"]",
        ] {
            assert_eq!(replaced(json), None, "{json}");
        }
    }

    #[test]
    fn what_is_no_json_is_read_to_its_end_without_a_panic() {
        for json in
            [r"\ud8", r"\ud800", r"\ud800\", r"\ud800\u", r"\ud800\udc0", r"\", r"\u", r"\udxyz\ud"]
        {
            drop(replaced(json));
        }
    }
}
