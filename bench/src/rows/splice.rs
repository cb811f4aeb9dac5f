//! The payload of an event: release set, tag added, written.
//!
//! One peer does it with a tree. The other only looks at every byte and keeps nothing, which is the
//! floor for whoever has to know that the text is JSON. And since a page may be hostile, an event
//! with very many tags, all of them written with escapes, that get more.

use std::hint::black_box;

use bytes::Bytes;
use guardhouse_protocol::json::{Object, Precedence, Splice};
use guardhouse_protocol::{Envelope, ItemType};
use guardhouse_tests::corpus;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{RELEASE, TAG};
use crate::measure::{Measure, Settings, Subject};

/// Measures the row.
pub(crate) fn run(settings: &Settings) -> Vec<Measure> {
    let events: Vec<Bytes> = corpus::real()
        .into_iter()
        .flat_map(|real| Envelope::parse(real.bytes).expect("the corpus is good").items().to_vec())
        .filter(|item| matches!(item.item_type(), ItemType::Event | ItemType::Transaction))
        .map(|item| item.payload().clone())
        // What both can read, so that both do the same.
        .filter(|payload| serde_json::from_slice::<Value>(payload).is_ok())
        .collect();

    let (hostile, more) = hostile();
    vec![
        settings.time(
            Subject { name: "event: check, edit, write", peer: "serde_json::Value", goal: 0.2 },
            || events.iter().for_each(ours),
            || events.iter().for_each(tree),
        ),
        settings.time(
            Subject { name: "event: the same", peer: "serde_json IgnoredAny", goal: 1.5 },
            || events.iter().for_each(ours),
            || events.iter().for_each(look),
        ),
        settings.time(
            Subject { name: "30,000 tags and 200 more", peer: "serde_json::Value", goal: 1.0 },
            || merge(&hostile, &more),
            || merge_trees(&hostile, &more),
        ),
    ]
}

/// An event with very many tags, and tags to be merged into it, half of which it has.
fn hostile() -> (String, String) {
    let tags = |keys: Vec<String>| {
        let tags: Vec<_> = keys.iter().map(|key| format!("\"\\u006b{key}\":\"v\"")).collect();
        format!("{{{}}}", tags.join(","))
    };
    let event = tags((0..30_000).map(|n| n.to_string()).collect());
    let more = tags((29_900..30_100).map(|n| n.to_string()).collect());
    (format!("{{\"tags\":{event}}}"), more)
}

fn merge(event: &str, more: &str) {
    let mut splice = Splice::new(Object::parse(black_box(event).as_bytes()).expect("it is JSON"));
    let more = Object::parse(more.as_bytes()).expect("it is JSON");
    splice.merge(&["tags"], &more, Precedence::Present).expect("tags are an object");
    black_box(splice.finish());
}

fn merge_trees(event: &str, more: &str) {
    let mut tree: Value = serde_json::from_str(black_box(event)).expect("it is JSON");
    let more: Value = serde_json::from_str(more).expect("it is JSON");
    let tags = tree["tags"].as_object_mut().expect("tags are an object");
    for (key, value) in more.as_object().expect("it is an object") {
        tags.entry(key).or_insert_with(|| value.clone());
    }
    black_box(serde_json::to_vec(&tree).expect("a tree can be written"));
}

fn ours(event: &Bytes) {
    let mut splice = Splice::new(Object::parse(black_box(event)).expect("the corpus is good"));
    splice.set(&["release"], RELEASE).expect("the corpus can be edited");
    splice.set(&["tags", TAG.0], TAG.1).expect("the corpus can be edited");
    black_box(splice.finish());
}

fn tree(event: &Bytes) {
    let mut tree: Value = serde_json::from_slice(black_box(event)).expect("only what it takes");
    tree["release"] = RELEASE.into();
    tree["tags"][TAG.0] = TAG.1.into();
    black_box(serde_json::to_vec(&tree).expect("a tree can be written"));
}

fn look(event: &Bytes) {
    black_box(serde_json::from_slice::<IgnoredAny>(black_box(event)).expect("it is JSON"));
}
