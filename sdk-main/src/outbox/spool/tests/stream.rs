//! Attachments that come in pieces.

mod kill;
#[cfg(target_os = "linux")]
mod memory;

use guardhouse_protocol::StreamOpening;
use guardhouse_protocol::limits::CHUNK_BYTES;

use super::*;

const EVENT: &str = "9ec79c33ec9942ab8353589fcb2e04dc";

fn opening() -> StreamOpening {
    StreamOpening::new("log.txt", EVENT.parse().unwrap()).unwrap()
}

/// Bytes that differ from place to place.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Sends a stream in pieces of such a length.
fn send(
    spool: &mut Spool,
    opening: &StreamOpening,
    bytes: &[u8],
    piece: usize,
) -> Result<EntryId, StreamError> {
    let stream = spool.begin_stream(opening)?;
    for piece in bytes.chunks(piece) {
        spool.grow_stream(stream, piece)?;
    }
    spool.finish_stream(stream, at(0))
}

fn attachment(spool: &mut Spool, id: EntryId) -> Vec<u8> {
    spool.read(id).unwrap().items()[0].payload().to_vec()
}

fn attachments_lost(spool: &Spool, reason: Reason) -> u64 {
    spool.losses().get(Category::Attachment, reason)
}

#[test]
fn what_came_in_pieces_is_an_envelope_byte_for_byte() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let opening = StreamOpening::new("é \"x\".bin", EVENT.parse().unwrap())
        .and_then(|opening| opening.with_content_type("text/plain"))
        .and_then(|opening| opening.with_attachment_type("event.attachment"))
        .unwrap();
    for (length, piece) in [(0, 1), (1, 1), (1000, 7), (700_000, CHUNK_BYTES), (9, 99)] {
        // The checksum in its name is compared with all of it at the next start.
        for size in [None, Some(length as u64)] {
            let opening = match size {
                Some(size) => opening.clone().with_size(size).unwrap(),
                None => opening.clone(),
            };
            let bytes = bytes(length);
            let id = send(&mut spool, &opening, &bytes, piece).unwrap();
            let entry = spool.entry(id).unwrap();
            assert_eq!(entry.categories, [Category::Attachment]);
            assert_eq!((entry.priority, entry.created), (Priority::Normal, at(0)));
            let envelope = spool.read(id).unwrap();
            assert_eq!(entry.size as usize, envelope.encoded_len());
            assert_eq!(envelope.header().event_id().unwrap().to_string(), EVENT);
            assert_eq!(envelope.items().len(), 1);
            let item = &envelope.items()[0];
            assert_eq!(item.length(), Some(length));
            assert_eq!(&item.payload()[..], bytes);
            let header = item.header();
            let text = |name| header.get(name).unwrap().as_str().unwrap().into_owned();
            assert_eq!(text("type"), "attachment");
            assert_eq!(text("filename"), "é \"x\".bin");
            assert_eq!(text("content_type"), "text/plain");
            assert_eq!(text("attachment_type"), "event.attachment");
        }
    }
    let files = cache.files_that_end_with(".envelope");
    assert_eq!(files.len(), 10);
    drop(spool);
    let mut next = cache.open();
    let found = adopt_all(&mut next, at(0));
    assert_eq!(found.len(), 10);
    for entry in found {
        assert!(next.open_entry(entry.id).is_ok());
    }
}

#[test]
fn what_is_sent_of_it_is_the_file_from_the_second_line_on() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let id = send(&mut spool, &opening(), b"ends like a line\n", 5).unwrap();
    let sending = spool.open_entry(id).unwrap();
    assert_eq!(sending.header.event_id().unwrap().to_string(), EVENT);
    let Rest::File(mut file) = sending.rest else { panic!("it is on disk") };
    let mut rest = String::new();
    io::Read::read_to_string(&mut file, &mut rest).unwrap();
    assert_eq!(
        rest,
        "{\"type\":\"attachment\",\"length\":       17,\"filename\":\"log.txt\"}\n\
         ends like a line\n\n"
    );
}

#[test]
fn as_long_as_it_grows_it_is_no_entry() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let stream = spool.begin_stream(&opening()).unwrap();
    let other = spool.begin_stream(&opening()).unwrap();
    assert_eq!(spool.grow_stream(stream, b"abc").unwrap(), 3);
    assert_eq!(spool.grow_stream(other, b"x").unwrap(), 1);
    let event = put(&mut spool, "event");
    assert_eq!(spool.entries().count(), 1);
    assert_eq!(cache.files_that_end_with(".stream").len(), 2);
    let id = spool.finish_stream(stream, at(0)).unwrap();
    assert!(id > event, "it came when it was complete");
    assert!(spool.is_durable(id));
    assert_eq!(attachment(&mut spool, id), b"abc");
    assert!(matches!(spool.grow_stream(stream, b"d"), Err(StreamError::Gone)));
    assert!(matches!(spool.finish_stream(stream, at(0)), Err(StreamError::Gone)));
    spool.take_unsynced().unwrap().sync().unwrap();

    spool.drop_stream(other);
    spool.drop_stream(other);
    assert_eq!(cache.files_that_end_with(".stream"), [""; 0]);
    assert!(spool.losses().is_empty());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    let cache = Cache::new();
    let mut spool = cache.open();
    spool.begin_stream(&opening()).unwrap();
    let file = &cache.files_that_end_with(".stream")[0];
    assert_eq!(mode(&cache.path_of(&spool, file)), 0o600);
}

#[test]
fn one_that_is_not_finished_goes_with_its_run() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let stream = spool.begin_stream(&opening()).unwrap();
    spool.grow_stream(stream, b"abc").unwrap();
    drop(spool);
    assert_eq!(cache.files(), [""; 0], "a clean end leaves nothing behind");

    // Of a run that was killed it is there.
    let mut dead = cache.open();
    let id = send(&mut dead, &opening(), b"whole", 2).unwrap();
    assert_eq!(attachment(&mut dead, id), b"whole");
    let file = cache.path_of(&dead, &name::Name::stream(dead.run(), &name::Mark::Number(9)));
    std::fs::write(file, "{}\n").unwrap();
    drop(dead);
    assert_eq!(cache.files_that_end_with(".stream").len(), 1);
    let mut next = cache.open();
    let found = adopt_all(&mut next, at(0));
    assert_eq!(found.len(), 1);
    assert_eq!(attachment(&mut next, found[0].id), b"whole");
    assert_eq!(cache.files_that_end_with(".stream"), [""; 0]);
    assert!(next.losses().is_empty(), "whoever sent it still has it");
}

#[test]
fn one_for_which_there_is_no_room_is_refused_at_once() {
    let cache = Cache::new();
    let limits = Limits { max_bytes: 2000, largest: 1500, ..Limits::default() };
    let mut spool = cache.open_within(limits);
    let sized = |size| opening().with_size(size).unwrap();
    let error = spool.begin_stream(&sized(1500)).unwrap_err();
    assert!(matches!(error, StreamError::TooLarge { largest: 1500 }));
    assert!(error.to_string().contains("may have 1500 bytes"), "{error}");
    assert_eq!(attachments_lost(&spool, Reason::CacheOverflow), 1500);

    let event = put(&mut spool, "x".repeat(1000));
    let error = spool.begin_stream(&sized(1000)).unwrap_err();
    assert!(matches!(error, StreamError::NoRoom));
    assert_eq!(attachments_lost(&spool, Reason::CacheOverflow), 2500);
    assert!(spool.is_durable(event), "a stream pushes out nothing");
    assert_eq!(cache.files_that_end_with(".stream"), [""; 0]);

    // One of which nobody knew how long it is goes as far as there is room.
    let stream = spool.begin_stream(&opening()).unwrap();
    assert_eq!(spool.grow_stream(stream, &[b'x'; 500]).unwrap(), 500);
    assert!(matches!(spool.grow_stream(stream, &[b'x'; 500]), Err(StreamError::NoRoom)));
    assert!(matches!(spool.grow_stream(stream, b""), Err(StreamError::Gone)));
    assert_eq!(attachments_lost(&spool, Reason::CacheOverflow), 3000);
    assert_eq!(cache.files_that_end_with(".stream"), [""; 0]);
    spool.begin_stream(&sized(500)).unwrap();
}

#[test]
fn a_stream_counts_as_one_of_those_that_wait() {
    let cache = Cache::new();
    let mut spool = cache.open_within(Limits { max_count: 2, ..Limits::default() });
    let streams = [(); 2].map(|()| spool.begin_stream(&opening()).unwrap());
    assert!(matches!(spool.begin_stream(&opening()), Err(StreamError::NoRoom)));
    assert_eq!(attachments_lost(&spool, Reason::CacheOverflow), 1, "at least that");
    for stream in streams {
        spool.finish_stream(stream, at(0)).unwrap();
    }
    assert_eq!(spool.entries().count(), 2);
}

#[test]
fn streams_make_room_for_everything_else() {
    let cache = Cache::new();
    let mut spool = cache.open_within(Limits { max_bytes: 4000, ..Limits::default() });
    let old = put(&mut spool, "old");
    let whole = send(&mut spool, &opening(), &[b'x'; 1000], 300).unwrap();
    let first = spool.begin_stream(&opening()).unwrap();
    spool.grow_stream(first, &[b'x'; 1000]).unwrap();
    let second = spool.begin_stream(&opening()).unwrap();
    spool.grow_stream(second, &[b'x'; 1000]).unwrap();

    put(&mut spool, "y".repeat(1000));
    assert!(matches!(spool.grow_stream(second, b"x"), Err(StreamError::Gone)));
    assert_eq!(spool.grow_stream(first, b"x").unwrap(), 1001);
    assert_eq!(attachments_lost(&spool, Reason::CacheOverflow), 1000);

    // Then what was complete, before an event that is older.
    let put = spool.put(Priority::Normal, &event("y".repeat(2000)), at(0));
    assert_eq!(put.evicted, [whole]);
    assert!(matches!(spool.finish_stream(first, at(0)), Err(StreamError::Gone)));
    assert!(spool.is_durable(old));
    assert_eq!(attachments_lost(&spool, Reason::CacheOverflow), 3001);
    assert_eq!(cache.files_that_end_with(".stream"), [""; 0]);
    drop(spool);
    let mut next = cache.open();
    adopt_all(&mut next, at(0));
    assert_eq!(attachments_lost(&next, Reason::CacheOverflow), 3001);
    assert_eq!(errors_lost(&next), 0);
}

#[test]
fn the_count_of_attachments_is_that_of_their_bytes_without_reading_them() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let id = send(&mut spool, &opening(), &bytes(70_000), 1000).unwrap();
    spool.lose(id, Reason::SendError);
    assert_eq!(attachments_lost(&spool, Reason::SendError), 70_000);

    let mut several = Envelope::parse(&b"\n\n{}\n"[..]).unwrap();
    for length in [3, 0, 40] {
        several.push(Item::new("attachment", vec![b'\n'; length]).unwrap()).unwrap();
    }
    let id = spool.put(Priority::Normal, &several, at(0)).placed.id().unwrap();
    spool.lose(id, Reason::SendError);
    assert_eq!(attachments_lost(&spool, Reason::SendError), 70_043);
}

#[test]
fn of_one_that_was_damaged_nothing_is_saved_and_one_is_counted() {
    let cache = Cache::new();
    let mut dead = cache.open();
    send(&mut dead, &opening(), &bytes(5000), 1000).unwrap();
    let path = cache.path_of(&dead, &cache.files_that_end_with(".envelope")[0]);
    drop(dead);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3000] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let mut spool = cache.open();
    let id = adopt_all(&mut spool, at(0))[0].id;
    let error = spool.open_entry(id).unwrap_err();
    assert!(matches!(error, ReadError::Broken { salvaged: None }));
    assert_eq!(attachments_lost(&spool, Reason::InternalSdkError), 1);
    assert_eq!(cache.files_that_end_with(".corrupt").len(), 1);
}

#[test]
fn a_disk_that_fails_ends_the_stream_wherever_it_was() {
    for (kind, reason) in [
        (io::ErrorKind::StorageFull, Reason::CacheOverflow),
        (io::ErrorKind::Other, Reason::InternalSdkError),
    ] {
        for step in [&[Step::HalfWritten][..], &[Step::Written], &[Step::Rename]] {
            let cache = Cache::new();
            let fault = Fault::default();
            let hook = fault.hook(step, kind);
            let mut spool = Spool::open_with_hook(&cache.0, Limits::default(), hook).unwrap();
            let whole = send(&mut spool, &opening(), b"whole", 2).unwrap();
            let stream = spool.begin_stream(&opening()).unwrap();
            spool.grow_stream(stream, b"abc").unwrap();
            fault.set(true);
            let failed = if step == [Step::Rename] {
                spool.finish_stream(stream, at(0)).map(drop)
            } else {
                assert!(matches!(spool.begin_stream(&opening()), Err(StreamError::Disk(_))));
                spool.grow_stream(stream, b"def").map(drop)
            };
            let error = failed.unwrap_err();
            assert!(matches!(&error, StreamError::Disk(error) if error.kind() == kind));
            assert!(error.to_string().starts_with("it cannot be written to disk"), "{error}");
            fault.set(false);
            assert!(matches!(spool.grow_stream(stream, b"def"), Err(StreamError::Gone)));
            let lost = attachments_lost(&spool, reason);
            assert_eq!(lost, if step == [Step::Rename] { 3 } else { 4 });
            assert_eq!(cache.files_that_end_with(".stream"), [""; 0]);
            assert_eq!(attachment(&mut spool, whole), b"whole");
            assert!(spool.try_again());
            drop(spool);
            let mut next = cache.open();
            assert_eq!(adopt_all(&mut next, at(0)).len(), 1);
            assert_eq!(attachments_lost(&next, reason), lost);
        }
    }
}

#[test]
fn a_folder_that_is_deleted_under_it_ends_the_stream_and_not_the_next() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let (one, two) =
        (spool.begin_stream(&opening()).unwrap(), spool.begin_stream(&opening()).unwrap());
    std::fs::remove_dir_all(&cache.0).unwrap();
    assert!(matches!(spool.grow_stream(one, b"a"), Err(StreamError::Disk(_))));
    let id = send(&mut spool, &opening(), b"whole", 2).unwrap();
    assert!(matches!(spool.finish_stream(two, at(0)), Err(StreamError::Disk(_))));
    assert_eq!(attachment(&mut spool, id), b"whole");
    assert_eq!(attachments_lost(&spool, Reason::InternalSdkError), 2);
}

#[test]
fn on_a_full_disk_a_stream_makes_room_for_an_event() {
    let cache = Cache::new();
    let fault = Fault::default();
    // Until the stream's file is gone.
    let folder = cache.0.clone();
    let is_set = fault.clone();
    let hook: Hook = Arc::new(move |step| {
        let is_there = || {
            let cache = std::mem::ManuallyDrop::new(Cache(folder.clone()));
            !cache.files_that_end_with(".stream").is_empty()
        };
        if step == Step::Written && is_set.0.load(Ordering::Relaxed) && is_there() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    });
    let mut spool = Spool::open_with_hook(&cache.0, Limits::default(), hook).unwrap();
    let old = put(&mut spool, "old");
    let stream = spool.begin_stream(&opening()).unwrap();
    spool.grow_stream(stream, b"abc").unwrap();
    fault.set(true);
    let new = put(&mut spool, "new");
    assert!(spool.is_durable(old) && spool.is_durable(new));
    assert!(matches!(spool.grow_stream(stream, b"d"), Err(StreamError::Gone)));
    assert_eq!(attachments_lost(&spool, Reason::CacheOverflow), 3);
}
