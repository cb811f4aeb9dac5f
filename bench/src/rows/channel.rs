//! Finding the channel that a message of the classic way is for.
//!
//! It is asked once for every message, and could as well be a table of all keys. The peer is that
//! table; ours has to be as good, since it also has to say what was wrong with a key.

use std::collections::HashMap;
use std::hint::black_box;

use guardhouse_protocol::{Channel, Namespace};

use crate::measure::{Measure, Settings, Subject, TimeUnit};

/// Measures the row.
pub(crate) fn run(settings: &Settings) -> Vec<Measure> {
    let namespace = Namespace::default();
    let keys = Channel::ALL.map(|channel| channel.key(&namespace));
    let table: HashMap<String, Channel> = keys.iter().cloned().zip(Channel::ALL).collect();

    vec![settings.time(
        Subject {
            name: "all keys to channels",
            peer: "std HashMap",
            goal: 1.0,
        },
        TimeUnit::Nanoseconds,
        || {
            for key in &keys {
                black_box(Channel::from_key(black_box(&namespace), black_box(key)).ok());
            }
        },
        || {
            for key in &keys {
                black_box(table.get(black_box(key.as_str())));
            }
        },
    )]
}
