//! A JSON value taken apart in one pass.
//!
//! The readers of [`json`](crate::json) find the members of one object at a time, and pass over what is
//! inside of them. Whoever goes down level by level with them passes over the innermost bytes once a
//! level. Cutting has to go down, in values that somebody may have nested to make it slow; so it
//! first notes where everything is.

use std::ops::Range;

/// Where each value inside a checked JSON text is.
pub(super) struct Parts<'a> {
    text: &'a str,
    /// Each value before those inside of it, in the order in which they are written.
    nodes: Vec<Node>,
}

struct Node {
    /// Without its quotes; empty for what is no member.
    key: Range<u32>,
    value: Range<u32>,
    /// Which node is the first that is not inside this one.
    behind: u32,
}

/// Which of the values. The whole is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part(usize);

impl Part {
    pub(super) const WHOLE: Self = Self(0);
}

impl<'a> Parts<'a> {
    /// `text` is one JSON value that was checked, without white space around it, and is shorter than
    /// 4 GiB.
    pub(super) fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let mut nodes: Vec<Node> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut key = None;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let start = at;
            at += 1;
            match byte {
                b'{' | b'[' => open.push(nodes.len()),
                b'}' | b']' => {
                    let behind = nodes.len() as u32;
                    if let Some(node) = open.pop().and_then(|index| nodes.get_mut(index)) {
                        (node.value.end, node.behind) = (at as u32, behind);
                    }
                    continue;
                }
                b'"' => {
                    at = string_end(bytes, at);
                    let is_member = open
                        .last()
                        .is_some_and(|&index| bytes[nodes[index].value.start as usize] == b'{');
                    if is_member && key.is_none() {
                        key = Some(start as u32 + 1..at as u32 - 1);
                        continue;
                    }
                }
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => continue,
                _ => {
                    let is_more = |byte: &&u8| !b",]} \n\r\t".contains(byte);
                    at += bytes[at..].iter().take_while(is_more).count();
                }
            }
            nodes.push(Node {
                key: key.take().unwrap_or(0..0),
                value: start as u32..at as u32,
                behind: nodes.len() as u32 + 1,
            });
        }
        Self { text, nodes }
    }

    /// The value as it is written.
    pub(super) fn text(&self, part: Part) -> &'a str {
        self.slice(&self.nodes[part.0].value)
    }

    /// The key of the member as it is written between its quotes.
    pub(super) fn raw_key(&self, part: Part) -> &'a str {
        self.slice(&self.nodes[part.0].key)
    }

    /// The members of the object, or the elements of the array, in order.
    pub(super) fn inside(&self, part: Part) -> impl Iterator<Item = Part> + '_ {
        let end = self.nodes[part.0].behind as usize;
        let mut next = part.0 + 1;
        std::iter::from_fn(move || {
            let part = Part(next);
            next = self.nodes.get(next)?.behind as usize;
            (part.0 < end).then_some(part)
        })
    }

    fn slice(&self, range: &Range<u32>) -> &'a str {
        &self.text[range.start as usize..range.end as usize]
    }
}

/// How deep arrays and objects of checked JSON are nested; where it is more than `max`, only that it
/// is.
pub(super) fn nesting(text: &str, max: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut deepest, mut at) = (0, 0, 0);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
                if depth > max {
                    break;
                }
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// Where the string ends whose first character is at `at`, its closing quote included.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(length) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        at += length;
        if bytes[at] == b'"' {
            return at + 1;
        }
        // Checked: what is escaped is there. Of `\u` the digits follow, which mean nothing here.
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parts: &Parts<'_>, part: Part) -> Vec<(String, String)> {
        let texts = |inside| (parts.raw_key(inside).into(), parts.text(inside).into());
        parts.inside(part).map(texts).collect()
    }

    #[test]
    fn everything_is_found_where_it_is() {
        let parts = Parts::of(r#"{ "a\"" : [1 , "x]\\", {"b":{}}],"c":null, "d" : "{" }"#);
        let whole = [("a\\\"", r#"[1 , "x]\\", {"b":{}}]"#), ("c", "null"), ("d", "\"{\"")];
        let owned = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned = list.iter().map(|(key, text)| ((*key).into(), (*text).into()));
            owned.collect()
        };
        assert_eq!(written(&parts, Part::WHOLE), owned(&whole));
        let list = parts.inside(Part::WHOLE).next().unwrap();
        let elements = [("", "1"), ("", r#""x]\\""#), ("", r#"{"b":{}}"#)];
        assert_eq!(written(&parts, list), owned(&elements));
        let object = parts.inside(list).last().unwrap();
        assert_eq!(written(&parts, object), owned(&[("b", "{}")]));
        for leaf in ["1.5e3", "true", "\"\"", "[]", "{ }"] {
            let parts = Parts::of(leaf);
            assert_eq!(parts.text(Part::WHOLE), leaf);
            assert_eq!(parts.inside(Part::WHOLE).count(), 0);
        }
    }

    #[test]
    fn depth_adds_a_note_a_level_and_nothing_more() {
        for depth in [1, 32, 100] {
            let text = "[".repeat(depth) + "\"0123456789\"" + &"]".repeat(depth);
            let parts = Parts::of(&text);
            assert_eq!(parts.nodes.len(), depth + 1);
        }
    }

    #[test]
    fn nesting_is_counted_outside_of_strings() {
        for (text, depth) in [("1", 0), ("[]", 1), (r#"["[[[", {"\"{":[]}]"#, 3)] {
            assert_eq!(nesting(text, 9), depth, "{text}");
        }
        assert_eq!(nesting(&"[".repeat(1000), 9), 10);
    }
}
