//! What power cuts and other hands do to files.

use super::*;

/// An event and an attachment, from a run that is dead. What is done to the file of it is up to
/// `damage`.
fn damaged(cache: &Cache, damage: impl Fn(Vec<u8>) -> Vec<u8>) -> (Spool, EntryId) {
    let mut dead = cache.open();
    let mut envelope = event("good");
    envelope.push(Item::new("attachment", vec![b'a'; 300]).unwrap()).unwrap();
    let _ = dead.put(Priority::Crash, &envelope, at(0));
    let name = &cache.files_that_end_with(".envelope")[0];
    let path = cache.path_of(&dead, name);
    drop(dead);
    let bytes = damage(std::fs::read(&path).unwrap());
    std::fs::write(&path, bytes).unwrap();
    let mut spool = cache.open();
    let id = adopt_all(&mut spool, at(0))[0].id;
    (spool, id)
}

#[test]
fn of_a_file_that_was_cut_off_the_event_is_saved() {
    for is_read in [false, true] {
        let cache = Cache::new();
        let (mut spool, id) = damaged(&cache, |mut bytes| {
            bytes.truncate(bytes.len() - 100);
            bytes
        });
        let error = if is_read {
            spool.read(id).map(drop).unwrap_err()
        } else {
            spool.open_entry(id).map(drop).unwrap_err()
        };
        let ReadError::Broken { salvaged: Some(salvaged) } = error else { panic!("{error}") };
        assert!(matches!(spool.read(id), Err(ReadError::Gone)));
        let saved = spool.read(salvaged).unwrap();
        assert_eq!((message(&saved).as_str(), saved.items().len()), ("good", 1));
        assert_eq!(spool.entry(salvaged).unwrap().priority, Priority::Crash);
        assert_eq!(spool.losses().get(Category::Attachment, Reason::InternalSdkError), 1);
        assert_eq!(errors_lost(&spool), 0);
        assert_eq!(cache.files_that_end_with(".corrupt").len(), 1);
        assert_eq!(cache.files_that_end_with(".broken"), [""; 0]);
    }
}

#[test]
fn zeroes_are_seen_wherever_they_are() {
    let cache = Cache::new();
    let (mut spool, id) = damaged(&cache, |bytes| vec![0; bytes.len()]);
    assert!(matches!(spool.read(id), Err(ReadError::Broken { salvaged: None })));
    assert_eq!(errors_lost(&spool), 1);

    let cache = Cache::new();
    let (mut spool, id) = damaged(&cache, |mut bytes| {
        let middle = bytes.len() - 150;
        bytes[middle..].fill(0);
        bytes
    });
    assert!(matches!(spool.open_entry(id), Err(ReadError::Broken { salvaged: Some(_) })));
    assert_eq!(errors_lost(&spool), 0);
    assert!(spool.losses().get(Category::Attachment, Reason::InternalSdkError) > 0);
}

#[test]
fn an_empty_file_is_lost() {
    let cache = Cache::new();
    let (mut spool, id) = damaged(&cache, |_| Vec::new());
    assert!(matches!(spool.read(id), Err(ReadError::Broken { salvaged: None })));
    assert_eq!(errors_lost(&spool), 1);
}

#[test]
fn a_file_that_somebody_has_deleted_is_counted() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let (read, lost) = (put(&mut spool, "read"), put(&mut spool, "lost"));
    for file in cache.files_that_end_with(".envelope") {
        std::fs::remove_file(cache.path_of(&spool, &file)).unwrap();
    }
    assert!(matches!(spool.read(read), Err(ReadError::Gone)));
    spool.lose(lost, Reason::SendError);
    assert_eq!(spool.losses().get(Category::Error, Reason::InternalSdkError), 1);
    assert_eq!(spool.losses().get(Category::Error, Reason::SendError), 1);
}

#[test]
fn few_damaged_files_are_kept() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let ids: Vec<EntryId> = (0..15).map(|text| put(&mut spool, text)).collect();
    for file in cache.files_that_end_with(".envelope") {
        std::fs::write(cache.path_of(&spool, &file), "{}").unwrap();
    }
    for id in ids {
        assert!(matches!(spool.read(id), Err(ReadError::Broken { salvaged: None })));
    }
    let kept = cache.files_that_end_with(".corrupt");
    assert_eq!(kept.len(), 10);
    assert!(kept[0].contains("-00000006-"), "{} is the oldest", kept[0]);
    drop(spool);
    let mut next = cache.open();
    assert_eq!(adopt_all(&mut next, at(0)), []);
    assert_eq!(cache.files_that_end_with(".corrupt"), kept);
    assert_eq!(errors_lost(&next), 15);
}

#[test]
fn a_ledger_that_cannot_be_read_is_set_aside() {
    let cache = Cache::new();
    let mut dead = cache.open();
    let id = put(&mut dead, "x");
    dead.lose(id, Reason::SendError);
    std::fs::write(cache.path_of(&dead, "losses"), [0; 20]).unwrap();
    drop(dead);
    let mut spool = cache.open();
    adopt_all(&mut spool, at(0));
    assert!(spool.losses().is_empty());
    assert_eq!(cache.files_that_end_with(".corrupt").len(), 1);
}
