//! What must be true of any changes to any JSON.

use guardhouse_protocol::json::{Json, Object, Precedence, Splice};
use serde_json::Value;

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
            _ => return None,
        };
        let (path, value) = letters.as_str().split_once(' ')?;
        let path = match path {
            "" => Vec::new(),
            path => path.split('/').map(str::to_owned).collect(),
        };
        Some(Self {
            kind,
            path,
            value: Json::parse(value.as_bytes()).ok()?,
        })
    }

    fn path(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// Makes the change. Says whether it could be made.
    fn splice<'a>(&'a self, splice: &mut Splice<'a>) -> bool {
        let path = self.path();
        let merge = |splice: &mut Splice<'a>, precedence| match self.value.as_object() {
            Some(other) => splice.merge(&path, &other, precedence).is_ok(),
            None => false,
        };
        match self.kind {
            Kind::Set => splice.set(&path, &self.value).is_ok(),
            Kind::Insert => splice.insert(&path, &self.value).is_ok(),
            Kind::Remove => splice.remove(&path).is_ok(),
            Kind::Overlay => merge(splice, Precedence::Incoming),
            Kind::Underlay => merge(splice, Precedence::Present),
        }
    }

    /// The same on a tree, done plainly.
    fn model(&self, root: &mut Value, incoming: &Value) {
        match self.kind {
            Kind::Set | Kind::Insert | Kind::Remove => {
                let (key, parents) = self.path.split_last().unwrap();
                let makes = self.kind != Kind::Remove;
                let Some(Value::Object(parent)) = model_at(root, parents, makes) else {
                    return;
                };
                match self.kind {
                    Kind::Remove => drop(parent.remove(key)),
                    Kind::Insert if parent.get(key).is_some_and(|there| !there.is_null()) => {}
                    _ => drop(parent.insert(key.clone(), incoming.clone())),
                }
            }
            Kind::Overlay | Kind::Underlay => {
                let Value::Object(incoming) = incoming else {
                    return;
                };
                if incoming.is_empty() {
                    return;
                }
                let Some(Value::Object(target)) = model_at(root, &self.path, true) else {
                    return;
                };
                for (key, value) in incoming {
                    let is_there = target.get(key).is_some_and(|there| !there.is_null());
                    if self.kind == Kind::Overlay || !is_there {
                        target.insert(key.clone(), value.clone());
                    }
                }
            }
        }
    }
}

fn model_at<'v>(root: &'v mut Value, path: &[String], makes: bool) -> Option<&'v mut Value> {
    let mut value = root;
    for key in path {
        let object = value.as_object_mut()?;
        if makes && object.get(key).is_none_or(Value::is_null) {
            object.insert(key.clone(), Value::Object(serde_json::Map::new()));
        }
        value = object.get_mut(key)?;
    }
    Some(value)
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
    let Ok(object) = Object::parse(text) else {
        let tree = serde_json::from_slice::<Value>(text);
        assert!(
            !tree.is_ok_and(|tree| tree.is_object()),
            "what serde_json takes is not refused"
        );
        return;
    };
    assert_eq!(Splice::new(object.clone()).finish().as_bytes(), text);
    let reads_as_tree = serde_json::from_slice::<Value>(text);
    if !object.has_overflowing_number() && !has_lone_surrogate(text) {
        assert!(
            reads_as_tree.is_ok(),
            "what is taken is JSON to serde_json, too"
        );
    }

    let mut model = reads_as_tree.ok();
    let mut together = Splice::new(object.clone());
    let mut one_by_one = object.text().to_owned();
    for change in changes {
        let is_made = change.splice(&mut together);

        let mut alone = Splice::new(Object::parse(one_by_one.as_bytes()).unwrap());
        assert_eq!(
            change.splice(&mut alone),
            is_made,
            "a change depends only on the text"
        );
        one_by_one = alone.finish();

        if is_made {
            let incoming = serde_json::from_str::<Value>(change.value.text());
            model = model.zip(incoming.ok()).map(|(mut model, incoming)| {
                change.model(&mut model, &incoming);
                model
            });
        }
    }

    let result = together.finish();
    let read = Object::parse(result.as_bytes()).expect("the result can be read");
    if let Some(model) = model {
        assert!(
            same_json(result.as_bytes(), &model),
            "{result} is not {model}"
        );
        assert!(
            same_json(one_by_one.as_bytes(), &model),
            "{one_by_one} is not {model}"
        );
    }

    // Members that no change can have named are there as they were written, in the same order.
    if changes.iter().all(|change| !change.path.is_empty()) {
        let is_named = |key: &str| changes.iter().any(|change| change.path[0] == key);
        let untouched = |object: &Object<'_>| -> Vec<(String, String)> {
            object
                .members()
                .filter(|member| !is_named(&member.key()))
                .map(|member| {
                    (
                        member.raw_key().to_owned(),
                        member.value().text().to_owned(),
                    )
                })
                .collect()
        };
        assert_eq!(untouched(&read), untouched(&object));
    }
    for change in changes {
        assert_eq!(
            together.get(&change.path()).map(|text| strip_space(&text)),
            read.at(&change.path())
                .map(|value| strip_space(value.text())),
        );
    }
}

/// Whether `text` is JSON that means `model`.
pub fn same_json(text: &[u8], model: &Value) -> bool {
    serde_json::from_slice::<Value>(text).is_ok_and(|value| value == *model)
}

/// Half a surrogate pair is JSON, but no string to serde_json.
fn has_lone_surrogate(text: &[u8]) -> bool {
    // Any surrogate escape: good enough to know when serde_json may disagree.
    text.windows(4).any(|window| {
        window.starts_with(b"\\u") && matches!(window[2], b'd' | b'D') && window[3] > b'7'
    })
}

/// White space may differ where a change is inside of what a former one has put there.
fn strip_space(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_whitespace()).collect()
}
