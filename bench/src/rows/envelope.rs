//! An envelope on its way through main: read, release set, tag added, written.
//!
//! The peer is the typed envelope of the `sentry` crate, which takes every item apart and puts it
//! together again. Both work on those envelopes of the corpus that it can read, which is about half.

use std::hint::black_box;

use bytes::Bytes;
use guardhouse_protocol::{Envelope, ItemType};
use guardhouse_tests::corpus;
use sentry_types::protocol::v7 as typed;

use super::{RELEASE, TAG};
use crate::measure::{Measure, Settings, Subject};

/// Measures the row.
pub(crate) fn run(settings: &Settings) -> Vec<Measure> {
    let envelopes: Vec<Bytes> = corpus::real()
        .into_iter()
        .map(|real| real.bytes)
        .filter(|bytes| typed::Envelope::from_slice(bytes).is_ok())
        .collect();
    vec![settings.time(
        Subject { name: "envelope: read, edit, write", peer: "sentry_types", goal: 0.2 },
        || envelopes.iter().for_each(ours),
        || envelopes.iter().for_each(peer),
    )]
}

fn ours(bytes: &Bytes) {
    let mut envelope = Envelope::parse(black_box(bytes).clone()).expect("the corpus is good");
    for item in envelope.items_mut() {
        if matches!(item.item_type(), ItemType::Event | ItemType::Transaction) {
            item.edit(|event| {
                event.set(&["release"], RELEASE)?;
                event.set(&["tags", TAG.0], TAG.1)
            })
            .expect("the corpus can be edited");
        }
    }
    black_box(envelope.to_bytes());
}

fn peer(bytes: &Bytes) {
    let envelope = typed::Envelope::from_slice(black_box(bytes)).expect("only what it takes");
    let mut edited = typed::Envelope::new().with_headers(envelope.headers().clone());
    for mut item in envelope.into_items() {
        let tag = (TAG.0.to_owned(), TAG.1.to_owned());
        match &mut item {
            typed::EnvelopeItem::Event(event) => {
                event.release = Some(RELEASE.into());
                event.tags.extend([tag]);
            }
            typed::EnvelopeItem::Transaction(transaction) => {
                transaction.release = Some(RELEASE.into());
                transaction.tags.extend([tag]);
            }
            _ => {}
        }
        edited.add_item(item);
    }
    let mut written = Vec::with_capacity(bytes.len() + 256);
    edited.to_writer(&mut written).expect("a vector takes everything");
    black_box(written);
}
