//! Random JSON text: not only what serialisers write, but all that JSON allows.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// White space that may stand between any two tokens. Without newlines, if it is for one line.
fn space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", "", " ", "  ", "\t", "\r"])
}

/// A string with its quotes, escaped in all the ways there are.
pub(crate) fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ !#-\\[\\]-~]{0,12}",
        1 => "\\PC{0,3}".prop_map(|text: String| text.replace(['"', '\\'], "")),
        2 => select(vec![
            "\\n", "\\\"", "\\\\", "\\/", "\\u0041", "\\u00e9", "\\ud83e\\udd80", "\\u0000", "\\ud83d", "\\uDD80",
        ])
        .prop_map(str::to_owned),
    ];
    vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// A key: mostly one of a few, so that they meet, and often written with an escape.
pub(crate) fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec!["a", "b", "c", "tags", "release"]).prop_map(|key| format!("\"{key}\"")),
        1 => Just("\"\\u0061\"".to_owned()),
        1 => Just("\"t\\u0061gs\"".to_owned()),
        1 => string(),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?",
    ]
}

/// Any value.
pub(crate) fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec!["null", "true", "false", "{}", "[]", "{ }"]).prop_map(str::to_owned),
        number(),
        string(),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            members(inner.clone()),
            vec((space(), inner, space()), 0..4).prop_map(|elements| {
                let elements: Vec<_> =
                    elements.into_iter().map(|(a, element, b)| [a, &element, b].concat()).collect();
                format!("[{}]", elements.join(","))
            }),
        ]
    })
}

/// Any object.
pub(crate) fn object() -> impl Strategy<Value = String> {
    members(value())
}

fn members(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (space(), key(), space(), space(), value, space())
        .prop_map(|(a, key, b, c, value, d)| [a, &key, b, ":", c, &value, d].concat());
    (space(), vec(member, 0..6)).prop_map(|(a, members)| format!("{{{a}{}}}", members.join(",")))
}
