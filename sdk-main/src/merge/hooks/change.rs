//! What was changed in a view, changed in the text that it is a view of.

use guardhouse_protocol::json::{Fragment, Json, Splice, Value};
use serde_json::Value as Tree;

use crate::merge::if_possible;

/// The value `raw` with what is different between its view `before` and `after`. What the view does
/// not show stays as it is: members of objects, and of elements that are still there.
pub(super) fn made(raw: Option<Value<'_>>, before: &Tree, after: &Tree) -> Json {
    let Some(raw) = raw else { return json(after) };
    if before == after {
        return raw.to_json();
    }
    if let (Some(before), Some(after)) = (values(before), values(after)) {
        // The view has a list where the text has none, or a bare one.
        match (raw.elements(), raw.as_object(), before.as_array(), after.as_array()) {
            (Some(_), ..) => return made(Some(raw), before, after),
            (None, Some(object), Some(before), Some(after)) if object.get("values").is_none() => {
                if let ([before], [after]) = (&before[..], &after[..]) {
                    return made(Some(raw), before, after);
                }
            }
            _ => {}
        }
    }
    match (before, after) {
        (Tree::Object(before), Tree::Object(after)) => {
            let Some(object) = raw.as_object() else { return json(&Tree::Object(after.clone())) };
            let mut splice = Splice::new(object.clone());
            for key in before.keys().filter(|key| !after.contains_key(*key)) {
                if_possible(splice.remove(&[key]));
            }
            for (key, after) in after {
                let before = before.get(key);
                if before != Some(after) {
                    let former = before.unwrap_or(&Tree::Null);
                    // What the view did not show is replaced, since it was set.
                    let raw = object.get(key).filter(|_| before.is_some());
                    if_possible(splice.set(&[key], made(raw, former, after)));
                }
            }
            written(&splice)
        }
        (Tree::Array(before), Tree::Array(after)) => {
            let raws: Vec<Value<'_>> = raw.elements().into_iter().flatten().collect();
            // An element that the view could not show at all has no place in it, so that it cannot be
            // told which is which.
            if raws.len() != before.len() {
                return json(&Tree::Array(after.clone()));
            }
            let mut from = 0;
            let elements = after.iter().enumerate().map(|(index, after_element)| {
                let same = before[from..].iter().position(|element| element == after_element);
                if let Some(same) = same {
                    let place = from + same;
                    from = place + 1;
                    return Fragment::from(raws[place]);
                }
                match (raws.get(index), before.get(index)) {
                    (Some(raw), Some(former)) if before.len() == after.len() => {
                        from = from.max(index + 1);
                        made(Some(*raw), former, after_element).into()
                    }
                    _ => json(after_element).into(),
                }
            });
            Json::array(elements)
        }
        _ => json(after),
    }
}

/// The list in `{"values": […]}`, if there is nothing else.
fn values(tree: &Tree) -> Option<&Tree> {
    let object = tree.as_object().filter(|object| object.len() == 1)?;
    object.get("values").filter(|values| values.is_array())
}

fn json(tree: &Tree) -> Json {
    Json::parse(tree.to_string().as_bytes()).unwrap_or_else(|_| Json::null())
}

fn written(splice: &Splice<'_, '_>) -> Json {
    Json::parse(splice.finish().as_bytes())
        .unwrap_or_else(|_| splice.original().as_value().to_json())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(raw: &str, before: &Tree, after: &Tree) -> String {
        let raw = Json::parse(raw.as_bytes()).unwrap();
        made(Some(raw.as_value()), before, after).text().to_owned()
    }

    #[test]
    fn what_the_view_does_not_show_survives() {
        for (raw, before, after, expected) in [
            (
                r#"{ "a":1.0,"b":{"x":1,"new":"\ud83d"},"z":0 }"#,
                json!({"a":1.0,"b":{"x":1}}),
                json!({"b":{"x":2},"c":3}),
                r#"{ "b":{"x":2,"new":"\ud83d"},"z":0,"c":3 }"#,
            ),
            (
                r#"[{"a":1,"n":1e0},{"a":2,"n":2e0},{"a":3,"n":3e0}]"#,
                json!([{"a":1},{"a":2},{"a":3}]),
                json!([{"a":2},{"a":3}]),
                r#"[{"a":2,"n":2e0},{"a":3,"n":3e0}]"#,
            ),
            (
                r#"[{"a":1,"n":1e0},{"a":2,"n":2e0}]"#,
                json!([{"a":1},{"a":2}]),
                json!([{"a":9},{"a":2}]),
                r#"[{"a":9,"n":1e0},{"a":2,"n":2e0}]"#,
            ),
            (
                r#"[{"a":1,"n":1e0}]"#,
                json!([{"a":1}]),
                json!([{"a":1},{"a":5}]),
                r#"[{"a":1,"n":1e0},{"a":5}]"#,
            ),
            (r#"{"a":1e0}"#, json!({"a":1.0}), json!({"a":1.0}), r#"{"a":1e0}"#),
            (r#"{"hidden":1}"#, json!({}), json!({"hidden":2}), r#"{"hidden":2}"#),
        ] {
            assert_eq!(changed(raw, &before, &after), expected);
        }
    }

    #[test]
    fn a_list_is_the_same_in_either_shape() {
        let view = |text: &str| json!({"values":[{"m":text}]});
        for (raw, expected) in [
            (r#"[{"m":"a","n":1e0}]"#, r#"[{"m":"b","n":1e0}]"#),
            (r#"{"values":[{"m":"a","n":1e0}],"x":1}"#, r#"{"values":[{"m":"b","n":1e0}],"x":1}"#),
            (r#"{"m":"a","n":1e0}"#, r#"{"m":"b","n":1e0}"#),
        ] {
            assert_eq!(changed(raw, &view("a"), &view("b")), expected);
        }
    }
}
