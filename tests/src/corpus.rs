//! What real SDKs sent, and edge cases with their expected outcomes.
//!
//! The files lie in `tests/corpus`, each folder with a manifest. The environment variable
//! `GUARDHOUSE_CORPUS` names another folder of the same layout to be tested instead.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use serde::Deserialize;

/// An envelope that a real SDK sent.
#[derive(Debug)]
pub struct Real {
    /// The file's name.
    pub file: String,
    /// The types of its items.
    pub items: Vec<String>,
    /// The headers of its items.
    pub item_headers: Vec<serde_json::Value>,
    /// What was sent.
    pub bytes: Bytes,
}

/// An envelope made by hand, and what must become of it.
#[derive(Debug)]
pub struct Edge {
    /// The file's name.
    pub file: String,
    /// What must become of it.
    pub expected: Expected,
    /// Why.
    pub why: String,
    /// The envelope.
    pub bytes: Bytes,
}

/// What must become of an [`Edge`].
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// Whether it is good.
    pub outcome: Outcome,
    /// How many items have good framing, up to the first fault.
    pub items: usize,
    /// The types of these items.
    pub types: Vec<String>,
}

/// Whether an envelope is good.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All of it is.
    Accept,
    /// The framing is, but at least one item must be refused or kept opaque.
    Partial,
    /// It is malformed as a whole.
    Reject,
}

/// What `@sentry/electron`'s renderer handed to a method of the bridge, or posted over the protocol.
#[derive(Debug)]
pub struct Bridge {
    /// The file's name.
    pub file: String,
    /// The method, or the channel over the protocol.
    pub method: String,
    /// `bridge` or `protocol`.
    pub via: String,
    /// What the page did, and for the protocol the URL and headers of the request.
    pub note: String,
    /// What was handed over.
    pub bytes: Bytes,
}

/// Every envelope of `real/`.
pub fn real() -> Vec<Real> {
    #[derive(Deserialize)]
    struct Entry {
        file: String,
        items: Vec<String>,
        item_headers: Vec<serde_json::Value>,
        size: usize,
    }
    let entries: Vec<Entry> = manifest("real");
    entries
        .into_iter()
        .map(|entry| {
            let bytes = read("real", &entry.file, entry.size);
            Real { file: entry.file, items: entry.items, item_headers: entry.item_headers, bytes }
        })
        .collect()
}

/// Every case of `edge/`.
pub fn edge() -> Vec<Edge> {
    #[derive(Deserialize)]
    struct Manifest {
        cases: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        file: String,
        size: usize,
        expected: Expected,
        why: String,
    }
    let manifest: Manifest = manifest("edge");
    manifest
        .cases
        .into_iter()
        .map(|entry| {
            let bytes = read("edge", &entry.file, entry.size);
            Edge { file: entry.file, expected: entry.expected, why: entry.why, bytes }
        })
        .collect()
}

/// Everything in `bridge/`.
pub fn bridge() -> Vec<Bridge> {
    #[derive(Deserialize)]
    struct Entry {
        file: String,
        method: String,
        via: String,
        note: String,
        size: usize,
    }
    let entries: Vec<Entry> = manifest("bridge");
    entries
        .into_iter()
        .map(|entry| {
            let bytes = read("bridge", &entry.file, entry.size);
            Bridge {
                file: entry.file,
                method: entry.method,
                via: entry.via,
                note: entry.note,
                bytes,
            }
        })
        .collect()
}

fn folder() -> PathBuf {
    match std::env::var_os("GUARDHOUSE_CORPUS") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus"),
    }
}

fn manifest<T: serde::de::DeserializeOwned>(part: &str) -> T {
    let path = folder().join(part).join("manifest.json");
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(part: &str, file: &str, size: usize) -> Bytes {
    let path = folder().join(part).join(file);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(bytes.len(), size, "{} is not the file that the manifest speaks of", path.display());
    bytes.into()
}
