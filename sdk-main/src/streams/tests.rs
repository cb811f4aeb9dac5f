//! As a renderer sees it, with a store that fails when it is told to.

use std::collections::BTreeMap;
use std::io;

use super::*;

/// Remembers what it was told.
#[derive(Default)]
struct Memory {
    next: u64,
    open: BTreeMap<StreamId, Vec<u8>>,
    finished: Vec<Vec<u8>>,
    lost: Vec<Reason>,
    left: usize,
    fails: bool,
}

impl Memory {
    fn check(&mut self, stream: Option<StreamId>) -> Result<(), StreamError> {
        if self.fails {
            if let Some(stream) = stream {
                self.open.remove(&stream);
            }
            self.lost.push(Reason::InternalSdkError);
            return Err(StreamError::Disk(io::Error::other("the disk is gone")));
        }
        Ok(())
    }
}

impl Store for Memory {
    fn begin(&mut self, _: &StreamOpening) -> Result<StreamId, StreamError> {
        self.check(None)?;
        self.next += 1;
        let stream = StreamId::numbered(self.next);
        self.open.insert(stream, Vec::new());
        Ok(stream)
    }

    fn grow(&mut self, stream: StreamId, bytes: &[u8]) -> Result<(), StreamError> {
        self.check(Some(stream))?;
        self.open.get_mut(&stream).unwrap().extend(bytes);
        Ok(())
    }

    fn finish(&mut self, stream: StreamId) -> Result<(), StreamError> {
        self.check(Some(stream))?;
        self.finished.push(self.open.remove(&stream).unwrap());
        Ok(())
    }

    fn lose(&mut self, stream: StreamId, reason: Reason) {
        self.open.remove(&stream).unwrap();
        self.lost.push(reason);
    }

    fn leave(&mut self, stream: StreamId) {
        self.open.remove(&stream).unwrap();
        self.left += 1;
    }
}

/// A renderer, main, and what main has stored.
#[derive(Default)]
struct Scene {
    streams: Streams,
    store: Memory,
}

const RENDERER: Uuid = Uuid::from_u128(1);

impl Scene {
    fn open(&mut self, id: u64) -> Opened {
        self.open_as(id, &opening())
    }

    fn open_as(&mut self, id: u64, opening: &StreamOpening) -> Opened {
        self.streams.open(RENDERER, MessageId::new(id), opening, &mut self.store)
    }

    fn send(&mut self, id: u64, offset: u64, bytes: &'static str) -> Chunked {
        self.chunk(id, offset, false, bytes)
    }

    fn end(&mut self, id: u64, offset: u64, bytes: &'static str) -> Chunked {
        self.chunk(id, offset, true, bytes)
    }

    fn chunk(&mut self, id: u64, offset: u64, last: bool, bytes: &'static str) -> Chunked {
        let (id, bytes) = (MessageId::new(id), Bytes::from_static(bytes.as_bytes()));
        self.streams.chunk(RENDERER, id, offset, last, &bytes, &mut self.store)
    }
}

fn opening() -> StreamOpening {
    let event = "9ec79c33ec9942ab8353589fcb2e04dc".parse().unwrap();
    StreamOpening::new("log.txt", event).unwrap()
}

#[test]
fn a_stream_that_is_sent_is_stored() {
    let mut scene = Scene::default();
    assert_eq!(scene.open(1), Opened::At(0));
    assert_eq!(scene.send(1, 0, "one "), Chunked::At(4));
    assert_eq!(scene.send(1, 4, ""), Chunked::At(4));
    assert_eq!(scene.end(1, 4, "two"), Chunked::Complete(7));
    assert_eq!(scene.store.finished, [b"one two"]);
}

#[test]
fn streams_do_not_get_mixed_up() {
    let mut scene = Scene::default();
    let other = Uuid::from_u128(2);
    for id in [1, 2] {
        assert_eq!(scene.open(id), Opened::At(0));
    }
    let id = MessageId::new(1);
    let opened = scene.streams.open(other, id, &opening(), &mut scene.store);
    assert_eq!(opened, Opened::At(0));
    assert_eq!(scene.send(1, 0, "a"), Chunked::At(1));
    assert_eq!(scene.end(2, 0, "b"), Chunked::Complete(1));
    let bytes = Bytes::from_static(b"c");
    let ended = scene.streams.chunk(other, id, 0, true, &bytes, &mut scene.store);
    assert_eq!(ended, Chunked::Complete(1));
    assert_eq!(scene.end(1, 1, "a"), Chunked::Complete(2));
    assert_eq!(scene.store.finished, [&b"b"[..], b"c", b"aa"]);
}

#[test]
fn what_comes_twice_or_too_early_changes_nothing() {
    let mut scene = Scene::default();
    assert_eq!(scene.send(1, 0, "a"), Chunked::NotOpen);
    let _ = scene.open(1);
    assert_eq!(scene.send(1, 0, "abc"), Chunked::At(3));
    for offset in [0, 2, 4, u64::MAX] {
        assert_eq!(scene.end(1, offset, "abc"), Chunked::OutOfPlace(3));
    }
    assert_eq!(scene.send(2, 0, "a"), Chunked::NotOpen);
    assert_eq!(scene.open(1), Opened::At(3), "where to go on");
    assert_eq!(scene.end(1, 3, "d"), Chunked::Complete(4));
    assert_eq!(scene.store.finished, [b"abcd"]);
}

#[test]
fn one_that_is_complete_is_not_stored_again() {
    let mut scene = Scene::default();
    let _ = scene.open(1);
    assert_eq!(scene.end(1, 0, "abc"), Chunked::Complete(3));
    assert_eq!(scene.open(1), Opened::Complete(3));
    assert_eq!(scene.end(1, 0, "abc"), Chunked::Complete(3));
    assert_eq!(scene.store.finished.len(), 1);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut scene = Scene::default();
    for id in 0..=REMEMBERED as u64 {
        let _ = scene.open(id);
        assert_eq!(scene.end(id, 0, ""), Chunked::Complete(0));
    }
    assert_eq!(scene.open(1), Opened::Complete(0));
    assert_eq!(scene.open(0), Opened::At(0));
}

#[test]
fn a_renderer_has_a_few_streams_at_once() {
    let mut scene = Scene::default();
    for id in 0..STREAMS as u64 {
        assert_eq!(scene.open(id), Opened::At(0));
    }
    assert_eq!(scene.send(0, 0, "a"), Chunked::At(1));
    assert_eq!(scene.open(99), Opened::At(0));
    assert_eq!(scene.send(1, 0, "a"), Chunked::NotOpen, "it rested the longest");
    assert_eq!(scene.send(0, 1, "b"), Chunked::At(2));
    assert!(scene.store.lost.is_empty(), "who can open it again has lost nothing");
}

#[test]
fn one_that_is_not_as_long_as_it_said_is_declined() {
    let opening = opening().with_size(3).unwrap();
    let mut scene = Scene::default();
    let _ = scene.open_as(1, &opening);
    assert_eq!(scene.send(1, 0, "abc"), Chunked::At(3));
    let Chunked::Declined(reason) = scene.send(1, 3, "d") else { panic!("it is too long") };
    assert!(reason.contains("longer than the 3 bytes"), "{reason}");
    assert_eq!(scene.send(1, 4, "e"), Chunked::Declined(reason.clone()), "it was under way");
    assert_eq!(scene.open_as(1, &opening), Opened::Declined(reason));

    let _ = scene.open_as(2, &opening);
    let Chunked::Declined(reason) = scene.end(2, 0, "ab") else { panic!("it is too short") };
    assert!(reason.contains("ends after 2 bytes"), "{reason}");

    let _ = scene.open_as(3, &opening);
    let _ = scene.send(3, 0, "abc");
    assert_eq!(scene.end(3, 3, ""), Chunked::Complete(3), "an end may come alone");
    assert_eq!(scene.store.lost, [Reason::Invalid; 2]);
    assert_eq!(scene.store.finished.len(), 1);
    assert!(scene.store.open.is_empty());
}

#[test]
fn no_stream_is_longer_than_any_may_be() {
    let mut scene = Scene::default();
    let _ = scene.open(1);
    let known = scene.streams.renderers.get_mut(&RENDERER).unwrap();
    known.open.get_mut(&MessageId::new(1)).unwrap().received = STREAM_BYTES;
    assert_eq!(scene.send(1, STREAM_BYTES, ""), Chunked::At(STREAM_BYTES));
    assert!(matches!(scene.send(1, STREAM_BYTES, "x"), Chunked::Declined(_)));
}

#[test]
fn what_cannot_be_stored_is_declined_once_and_for_all() {
    let mut scene = Scene::default();
    for id in [1, 2] {
        let _ = scene.open(id);
    }
    scene.store.fails = true;
    let declined = "it cannot be written to disk (the disk is gone)".to_owned();
    assert_eq!(scene.send(1, 0, "a"), Chunked::Declined(declined.clone()));
    assert_eq!(scene.end(2, 0, ""), Chunked::Declined(declined.clone()));
    assert_eq!(scene.open(3), Opened::Declined(declined.clone()));
    scene.store.fails = false;
    assert_eq!(scene.open(1), Opened::Declined(declined.clone()));
    assert_eq!(scene.send(2, 0, ""), Chunked::Declined(declined));
    assert_eq!(scene.store.lost.len(), 3);
}

#[test]
fn a_renderer_that_is_gone_leaves_nothing_behind() {
    let mut scene = Scene::default();
    for id in [1, 2, 3] {
        let _ = scene.open(id);
    }
    let _ = scene.end(3, 0, "abc");
    scene.streams.forget(RENDERER, &mut scene.store);
    assert_eq!((scene.store.left, scene.store.finished.len()), (2, 1));
    assert!(scene.store.lost.is_empty() && scene.streams.renderers.is_empty());
    assert_eq!(scene.send(1, 0, "a"), Chunked::NotOpen);
    scene.streams.forget(RENDERER, &mut scene.store);
}

#[test]
fn without_a_store_everything_is_as_if_it_were_stored() {
    let (mut streams, mut nowhere) = (Streams::default(), None::<Spool>);
    let id = MessageId::new(1);
    let bytes = Bytes::from_static(b"abc");
    assert_eq!(streams.open(RENDERER, id, &opening(), &mut nowhere), Opened::At(0));
    let ended = streams.chunk(RENDERER, id, 0, true, &bytes, &mut nowhere);
    assert_eq!(ended, Chunked::Complete(3));
    streams.forget(RENDERER, &mut nowhere);
}
