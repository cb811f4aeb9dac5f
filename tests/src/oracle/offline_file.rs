//! Offline files, damaged in any way or holding any records.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use guardhouse_process::offline_file::{Entry, Left, LeftFile, OfflineFile, Writer};
use guardhouse_protocol::{Channel, RunId};
use uuid::Uuid;

/// Length of what stands in front of the body of a record: the length and the checksum of the body.
const RECORD_BYTES: usize = 8;

/// The order of the message that main has taken.
const TAKEN: u64 = 2;

/// Judges the reader by arbitrary bytes. If the first byte is even, the others are damage to a sound
/// file: three bytes each, where and what. If it is odd, they are the bodies of records with a right
/// checksum: a byte for the length, then so many bytes.
pub fn offline_file(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    if how % 2 == 0 {
        damaged(rest, usize::from(how / 2));
    } else {
        records(rest);
    }
}

/// A damaged file holds nothing that was not written, and keeps the order in which it was.
fn damaged(damage: &[u8], cut: usize) {
    let place = Place::new();
    let (path, written) = place.sound_file();
    let mut bytes = fs::read(&path).expect("the file was just written");
    let whole = bytes.clone();
    for change in damage.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2];
    }
    bytes.truncate(bytes.len() - cut % bytes.len());
    fs::write(&path, &bytes).expect("there is room for a small file");
    let read = read(&path).unwrap_or_default();
    if bytes == whole {
        let left: Vec<_> = written.iter().filter(|it| it.order != TAKEN).cloned().collect();
        assert_eq!(read, left);
    }
    let mut rest = written.iter();
    for message in &read {
        // What a damaged record said of the run, or of what was taken, is not known any more.
        let is_it = |it: &&Left| it.order == message.order && it.payload == message.payload;
        let known = rest.find(is_it).expect("a message that was not written, or not in its order");
        assert_eq!(message.channel, known.channel);
    }
}

/// Records with any bodies are read to their end, and are no more than there are.
fn records(bodies: &[u8]) {
    let place = Place::new();
    let (path, written) = place.sound_file();
    let mut bytes = fs::read(&path).expect("the file was just written");
    let (mut rest, mut count) = (bodies, 0);
    while let Some((&length, body)) = rest.split_first() {
        let (body, behind) = body.split_at(body.len().min(usize::from(length)));
        let length = u32::try_from(body.len()).expect("a byte said how long it is");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        bytes.extend_from_slice(body);
        (rest, count) = (behind, count + 1);
    }
    fs::write(&path, &bytes).expect("there is room for a small file");
    let read = read(&path).expect("a file that begins well can be read");
    assert!(read.len() <= written.len() + count);
    let payloads: usize = read.iter().map(|message| message.payload.len() + RECORD_BYTES).sum();
    assert!(payloads <= bytes.len());
}

/// All messages that a file holds; nothing if it is none.
fn read(path: &std::path::Path) -> Option<Vec<Left>> {
    let mut file = LeftFile::open(path).ok()?.expect("nobody else has it");
    let mut messages = Vec::new();
    while let Some(message) = file.next_message().expect("the disk works") {
        messages.push(message);
    }
    Some(messages)
}

/// A folder that goes with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("guardhouse-offline-{}", Uuid::new_v4().simple())))
    }

    /// A file of a process that is gone with three messages, of which main has [`TAKEN`] one.
    fn sound_file(&self) -> (PathBuf, Vec<Left>) {
        let writer = Writer { name: "settings".into(), pid: 7 };
        let mut file =
            OfflineFile::begin(&self.0, &writer).expect("there is room for a small file");
        let message = |order: u64| Entry::Message {
            order,
            channel: Channel::Envelope,
            payload: Bytes::from(format!("message {order}")),
        };
        let run = RunId::new(0xc0ffee);
        let entries =
            [Entry::Run(run), message(1), message(2), message(3), Entry::Taken(vec![TAKEN])];
        file.append(&entries).expect("there is room for a small file");
        let left = |order: u64| Left {
            run: Some(run),
            order,
            id: None,
            channel: Channel::Envelope,
            payload: Bytes::from(format!("message {order}")),
        };
        (file.path().to_owned(), vec![left(1), left(2), left(3)])
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_and_every_flipped_byte_leaves_what_is_whole() {
        for cut in 0..=127 {
            offline_file(&[2 * cut]);
        }
        for at in 0..=255 {
            offline_file(&[0, at, 0, 0xff]);
        }
    }

    #[test]
    fn records_of_any_kind_are_read_to_their_end() {
        for kind in 0..=8 {
            for length in 0..40 {
                let mut record = vec![1, length + 1, kind];
                record.extend(std::iter::repeat_n(0, usize::from(length)));
                offline_file(&record);
            }
        }
    }
}
