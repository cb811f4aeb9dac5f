//! What comes in, what goes out, and what has to go.

use super::*;

fn limits(max_count: usize, max_bytes: u64) -> Limits {
    Limits { max_count, max_bytes, ..Limits::default() }
}

#[test]
fn what_is_put_is_there_until_it_is_deleted() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let first = put(&mut spool, "first");
    let second = put_with(&mut spool, Priority::Crash, "second");
    assert_eq!(messages(&mut spool), ["first", "second"]);
    assert!(spool.is_durable(first));
    let entry = spool.entry(second).unwrap();
    assert_eq!(entry.priority, Priority::Crash);
    assert_eq!(entry.created, at(0));
    assert_eq!(entry.size as usize, event("second").encoded_len());
    assert_eq!(entry.categories, [Category::Error]);
    assert!(!entry.is_from_earlier_run);

    spool.delete(first);
    assert!(matches!(spool.read(first), Err(ReadError::Gone)));
    assert_eq!(cache.files_that_end_with(".envelope").len(), 1);
    spool.delete(second);
    drop(spool);
    assert_eq!(cache.files(), [""; 0], "a clean end leaves nothing behind");
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    let cache = Cache::new();
    let mut spool = cache.open();
    put(&mut spool, "secret");
    spool.write_side(&key("session"), b"{}").unwrap();
    let folder = cache.path_of(&spool, "");
    assert_eq!(mode(&cache.0.join("runs")), 0o700);
    assert_eq!(mode(&folder), 0o700);
    for file in std::fs::read_dir(folder).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn every_item_is_written_with_its_length() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let envelope = Envelope::parse(&b"\n{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"x\"}\n\n"[..]);
    let id = spool.put(Priority::Normal, &envelope.unwrap(), at(0)).placed.id().unwrap();
    let read = spool.read(id).unwrap();
    assert_eq!(
        read.to_bytes(),
        &b"\n{}\n{\"type\":\"event\",\"length\":2}\n{}\n{\"type\":\"x\",\"length\":0}\n\n"[..]
    );
}

#[test]
fn what_is_sent_is_a_header_and_a_file_behind_it() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let mut envelope = event("hello");
    envelope.header_mut().set("event_id", "9ec79c33ec9942ab8353589fcb2e04dc").unwrap();
    let blank = Envelope::parse([b"\n\n", &envelope.to_bytes()[..]].concat()).unwrap();
    for envelope in [envelope, blank] {
        let id = spool.put(Priority::Normal, &envelope, at(0)).placed.id().unwrap();
        let sending = spool.open_entry(id).unwrap();
        assert_eq!(sending.header.event_id(), envelope.header().event_id());
        let Rest::File(mut file) = sending.rest else { panic!("it is on disk") };
        let mut rest = Vec::new();
        io::Read::read_to_end(&mut file, &mut rest).unwrap();
        assert_eq!(rest.len() as u64, sending.rest_length);
        assert!(rest.starts_with(b"{\"type\":\"event\""));
        assert!(envelope.to_bytes().ends_with(&rest));
    }
}

#[test]
fn an_envelope_that_is_no_more_than_a_header_has_nothing_behind_it() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let bare = Envelope::parse(&b"{}"[..]).unwrap();
    let id = spool.put(Priority::Normal, &bare, at(0)).placed.id().unwrap();
    assert_eq!(spool.open_entry(id).unwrap().rest_length, 0);
}

#[test]
fn the_oldest_of_the_least_urgent_goes_first() {
    let cache = Cache::new();
    let mut spool = cache.open_within(limits(4, u64::MAX));
    let crash = put_with(&mut spool, Priority::Crash, "crash");
    let session = put_with(&mut spool, Priority::Session, "session");
    let new = spool.put(Priority::Normal, &event("new"), at(9)).placed.id().unwrap();
    let old = put(&mut spool, "old");
    let mut evicted = Vec::new();
    for text in 0..4 {
        let put = spool.put(Priority::Crash, &event(text), at(10));
        evicted.extend(put.evicted);
    }
    assert_eq!(evicted, [old, new, session, crash]);
    assert_eq!(spool.losses().get(Category::Error, Reason::CacheOverflow), 4);
    assert_eq!(cache.files_that_end_with(".envelope").len(), 4);
    assert_eq!(cache.files_that_end_with(".lost"), [""; 0]);
}

#[test]
fn a_newcomer_pushes_out_nothing_more_urgent() {
    let cache = Cache::new();
    let mut spool = cache.open_within(limits(2, u64::MAX));
    put_with(&mut spool, Priority::Crash, "crash");
    put_with(&mut spool, Priority::Session, "session");
    let put = spool.put(Priority::Normal, &event("x"), at(0));
    assert_eq!(put, Put { placed: Placed::Refused, evicted: Vec::new() });
    assert_eq!(spool.losses().get(Category::Error, Reason::CacheOverflow), 1);
    assert_eq!(messages(&mut spool), ["crash", "session"]);
}

#[test]
fn bytes_are_bounded_and_nothing_goes_for_what_does_not_fit_anyhow() {
    let cache = Cache::new();
    let size = event("1").encoded_len() as u64;
    let mut spool = cache.open_within(Limits { largest: 3 * size, ..limits(99, 3 * size) });
    put_with(&mut spool, Priority::Crash, "1");
    let second = put(&mut spool, "2");
    let third = put(&mut spool, "3");
    let refused = spool.put(Priority::Normal, &event("x".repeat(3 * size as usize)), at(0));
    assert_eq!(refused, Put { placed: Placed::Refused, evicted: Vec::new() });
    let large = "y".repeat(2 * size as usize);
    let refused = spool.put(Priority::Normal, &event(&large), at(0));
    assert_eq!(refused, Put { placed: Placed::Refused, evicted: Vec::new() });
    let taken = spool.put(Priority::Normal, &event("4".repeat(9)), at(0));
    assert_eq!(taken.evicted, [second, third]);
}

#[test]
fn what_is_too_old_goes_and_is_counted() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let month = 30 * 24 * 60 * 60;
    let old = put_with(&mut spool, Priority::Crash, "old");
    let young = spool.put(Priority::Normal, &event("young"), at(2)).placed.id().unwrap();
    assert_eq!(spool.expire(at(month)), []);
    assert_eq!(spool.expire(at(month + 1)), [old]);
    assert_eq!(spool.expire(at(month + 9)), [young]);
    assert_eq!(errors_lost(&spool), 2);
}

#[test]
fn a_clock_that_was_set_back_expires_nothing_and_keeps_nothing_for_ever() {
    let (day, month) = (24 * 60 * 60, 30 * 24 * 60 * 60);
    let cache = Cache::new();
    let mut spool = cache.open();
    let tomorrow = spool.put(Priority::Normal, &event("x"), at(day)).placed.id().unwrap();
    assert_eq!(spool.expire(at(0)), []);
    assert_eq!(spool.expire(at(month)), []);
    assert_eq!(spool.expire(at(month + 1)), [tomorrow], "it has aged since the clock was set back");

    let far = SystemTime::now() + Duration::from_secs(100 * 365 * day);
    assert!(spool.put(Priority::Normal, &event("far"), far).placed.id().is_some());
    drop(spool);
    let mut next = cache.open();
    assert_eq!(adopt_all(&mut next, at(0))[0].created, at(0));
    drop(next);
    let mut last = cache.open();
    assert_eq!(adopt_all(&mut last, at(day))[0].created, at(0), "it is not young again");
    assert_eq!(last.expire(at(month + 1)).len(), 1);
}

#[test]
fn counts_stay_until_they_are_reported() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let mut elsewhere = Losses::new();
    elsewhere.count(Category::Transaction, Reason::SampleRate, 5);
    spool.count(&elsewhere);
    let id = put(&mut spool, "x");
    spool.lose(id, Reason::SendError);
    assert_eq!(spool.losses().get(Category::Error, Reason::SendError), 1);
    let told = spool.losses().clone();
    spool.count(&elsewhere);
    drop(spool);

    let mut next = cache.open();
    assert_eq!(adopt_all(&mut next, at(0)), []);
    assert_eq!(next.losses().get(Category::Transaction, Reason::SampleRate), 10);
    next.reported(&told);
    assert_eq!(*next.losses(), elsewhere);
    next.reported(&elsewhere);
    drop(next);
    assert_eq!(cache.files(), [""; 0]);
}

#[test]
fn an_envelope_with_a_key_is_there_once() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let first = spool.put_as(&key("end"), Priority::Session, &event("first"), at(0));
    let second = spool.put_as(&key("end"), Priority::Session, &event("second"), at(9));
    assert_eq!(first, second);
    assert_eq!(messages(&mut spool), ["first"]);
}

#[test]
fn only_crashes_are_durable_at_once() {
    let cache = Cache::new();
    let mut spool = cache.open();
    put_with(&mut spool, Priority::Crash, "crash");
    assert!(spool.take_unsynced().is_none());
    put(&mut spool, "a");
    let gone = put(&mut spool, "b");
    spool.write_side(&key("session"), b"{}").unwrap();
    let unsynced = spool.take_unsynced().unwrap();
    assert_eq!(unsynced.files.len(), 3);
    assert!(spool.take_unsynced().is_none());
    spool.delete(gone);
    std::thread::spawn(|| unsynced.sync()).join().unwrap().unwrap();
}

#[test]
fn whatever_is_spooled_ends_with_a_newline_of_its_own() {
    let cache = Cache::new();
    let mut spool = cache.open();
    // The newline is the payload's, and the envelope ends behind it.
    let text = "{}\n{\"type\":\"attachment\",\"length\":8}\none\ntwo\n";
    let envelope = Envelope::parse(text).unwrap();
    let id = spool.put(Priority::Normal, &envelope, at(0)).placed.id().unwrap();
    let mut bytes = spool.read(id).unwrap().to_bytes().to_vec();
    // As a report is sent behind it.
    bytes.extend_from_slice(b"{\"type\":\"client_report\",\"length\":2}\n{}\n");
    let sent = Envelope::parse(bytes).unwrap();
    assert_eq!(sent.items().len(), 2);
    assert_eq!(sent.items()[0].payload(), "one\ntwo\n");
}
