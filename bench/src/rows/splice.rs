//! The payload of an event: release set, tag added, written.
//!
//! One peer does it with a tree. The other only looks at every byte and keeps nothing, which is the
//! floor for whoever has to know that the text is JSON.

use std::hint::black_box;

use bytes::Bytes;
use guardhouse_protocol::json::{Object, Splice};
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
        .flat_map(|real| {
            Envelope::parse(real.bytes)
                .expect("the corpus is good")
                .items()
                .to_vec()
        })
        .filter(|item| matches!(item.item_type(), ItemType::Event | ItemType::Transaction))
        .map(|item| item.payload().clone())
        // What both can read, so that both do the same.
        .filter(|payload| serde_json::from_slice::<Value>(payload).is_ok())
        .collect();

    vec![
        settings.time(
            Subject {
                name: "check, edit, write",
                peer: "serde_json::Value",
                goal: 0.2,
            },
            || events.iter().for_each(ours),
            || events.iter().for_each(tree),
        ),
        settings.time(
            Subject {
                name: "against only looking",
                peer: "serde_json IgnoredAny",
                goal: 1.5,
            },
            || events.iter().for_each(ours),
            || events.iter().for_each(look),
        ),
    ]
}

fn ours(event: &Bytes) {
    let mut splice = Splice::new(Object::parse(black_box(event)).expect("the corpus is good"));
    splice
        .set(&["release"], RELEASE)
        .expect("the corpus can be edited");
    splice
        .set(&["tags", TAG.0], TAG.1)
        .expect("the corpus can be edited");
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
