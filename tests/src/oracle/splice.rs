//! What must be true of any changes to any JSON.

use guardhouse_protocol::json::{self, Json, JsonFault, Object, Precedence, Splice};
use serde_json::Value;

use super::plain::Tree;

/// A change, as a fuzzer or a generator writes it: a letter, a path with `/` between its keys, a
/// space, and a JSON value.
#[derive(Clone, Debug)]
pub struct Change {
    kind: Kind,
    path: Vec<String>,
    value: Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Set,
    Insert,
    Remove,
    Overlay,
    Underlay,
    /// Of the whole object.
    DropDuplicates,
}

impl Change {
    /// Reads a change. Nothing if the line is none.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let mut letters = line.chars();
        let kind = match letters.next()? {
            's' => Kind::Set,
            'i' => Kind::Insert,
            'r' => Kind::Remove,
            'o' => Kind::Overlay,
            'u' => Kind::Underlay,
            'd' => Kind::DropDuplicates,
            _ => return None,
        };
        let (path, value) = letters.as_str().split_once(' ')?;
        let path = match path {
            "" => Vec::new(),
            path => path.split('/').map(str::to_owned).collect(),
        };
        Some(Self { kind, path, value: Json::parse(value.as_bytes()).ok()? })
    }

    fn path(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// Makes the change. Says whether it could be made.
    fn splice<'v>(&'v self, splice: &mut Splice<'_, 'v>) -> bool {
        let path = self.path();
        let merge = |splice: &mut Splice<'_, 'v>, precedence| match self.value.as_object() {
            Some(other) => splice.merge(&path, &other, precedence).is_ok(),
            None => false,
        };
        match self.kind {
            Kind::Set => splice.set(&path, &self.value).is_ok(),
            Kind::Insert => splice.insert(&path, &self.value).is_ok(),
            Kind::Remove => splice.remove(&path).is_ok(),
            Kind::DropDuplicates => {
                splice.drop_duplicates();
                true
            }
            Kind::Overlay => merge(splice, Precedence::Incoming),
            Kind::Underlay => merge(splice, Precedence::Present),
        }
    }

    /// The same on a plain tree.
    fn plainly(&self, tree: &mut Tree) -> bool {
        let path = self.path();
        let value = self.value.text();
        let is_object = self.value.as_object().is_some();
        match self.kind {
            Kind::Set => tree.set(&path, value),
            Kind::Insert => tree.insert(&path, value),
            Kind::Remove => tree.remove(&path),
            Kind::DropDuplicates => {
                tree.drop_duplicates();
                Some(())
            }
            Kind::Overlay => is_object.then(|| tree.merge(&path, value, true)).flatten(),
            Kind::Underlay => is_object.then(|| tree.merge(&path, value, false)).flatten(),
        }
        .is_some()
    }
}

/// Reads the first line of `data` as JSON and the others as [`Change`]s to it.
pub fn splice(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let text = lines.next().unwrap_or_default();
    let changes: Vec<_> = lines.filter_map(Change::parse).collect();
    check(text, &changes);
}

/// Checks one text and the changes to it.
pub fn check(text: &[u8], changes: &[Change]) {
    let decoded = serde_json::from_slice::<Value>(text);
    let object = match Object::parse(text) {
        Ok(object) => object,
        Err(error) => {
            let is_taken = decoded.is_ok_and(|value| value.is_object());
            let is_bound = error.fault() == JsonFault::TooManyMembers;
            assert!(is_bound || !is_taken, "what serde_json takes is not refused");
            return;
        }
    };
    // At the very edge of a double's range serde_json takes less than a double can hold.
    let is_at_the_edge = text.windows(4).any(|w| w.eq_ignore_ascii_case(b"e308") || w == b"e+30")
        || text.split(|byte| !byte.is_ascii_digit()).any(|digits| digits.len() > 250);
    if decoded.is_ok() || !is_at_the_edge {
        assert_eq!(object.is_decodable(), decoded.is_ok(), "what serde_json can take is known");
    }

    let mut plain = Tree::parse(object.text());
    assert_eq!(plain.text(), object.text());
    let mut together = Splice::new(object.clone());
    let mut one_by_one = object.text().to_owned();
    for change in changes {
        let is_made = change.splice(&mut together);
        let mut alone = Splice::new(Object::parse(one_by_one.as_bytes()).unwrap());
        assert_eq!(change.splice(&mut alone), is_made, "a change depends only on the text");
        let next = alone.finish();
        assert!(alone.is_changed() || next == one_by_one, "what changes the text says so");

        let mut plain_next = plain.clone();
        let can_be_made = change.plainly(&mut plain_next);
        if is_made {
            assert!(can_be_made, "{change:?} cannot be made");
            plain = plain_next;
        } else {
            assert_eq!(next, one_by_one, "a change that cannot be made changes nothing");
            let is_too_deep = Object::parse(plain_next.text().as_bytes()).is_err();
            assert!(!can_be_made || is_too_deep, "{change:?} can be made");
        }
        one_by_one = next;
        let read = Object::parse(one_by_one.as_bytes()).expect("the result can be read");
        let found = together.get(&change.path()).map(|text| without_space(&text));
        assert_eq!(found, read.at(&change.path()).map(|value| without_space(value.text())));
    }

    let result = together.finish();
    assert_eq!(one_by_one, plain.text());
    let may_differ_in_space =
        changes.iter().any(|change| matches!(change.kind, Kind::Remove | Kind::DropDuplicates));
    if may_differ_in_space {
        assert_eq!(without_space(&result), without_space(&plain.text()));
    } else {
        assert_eq!(result, plain.text());
    }
    walk(&object);
}

/// The text without the white space between its tokens.
fn without_space(text: &str) -> String {
    let mut in_string = false;
    let mut is_escaped = false;
    text.chars()
        .filter(|character| {
            if in_string {
                in_string = is_escaped || *character != '"';
                is_escaped = !is_escaped && *character == '\\';
                return true;
            }
            in_string = *character == '"';
            !character.is_ascii_whitespace()
        })
        .collect()
}

/// Every string in the text is replaced by another, wherever it stands, and nothing else is.
fn walk(object: &Object<'_>) {
    let mut splice = Splice::new(object.clone());
    let mut expected = object.text().to_owned();
    let mut strings = Vec::new();
    collect_strings(object.as_value(), &mut strings);
    for string in strings.iter().rev() {
        splice.replace(*string, "x").expect("it is in the text");
        let start = string.text().as_ptr() as usize - object.text().as_ptr() as usize;
        expected.replace_range(start..start + string.text().len(), "\"x\"");
    }
    assert_eq!(splice.finish(), expected);
}

fn collect_strings<'a>(value: json::Value<'a>, strings: &mut Vec<json::Value<'a>>) {
    if value.kind() == json::Kind::String {
        strings.push(value);
    }
    for element in value.elements().into_iter().flatten() {
        collect_strings(element, strings);
    }
    if let Some(object) = value.as_object() {
        for member in object.members() {
            collect_strings(member.value(), strings);
        }
    }
}
