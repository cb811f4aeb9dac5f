//! What a run could not merge, and a later one does.

use super::*;

fn batch(records: &[(UnmergedKind, &[u8])]) -> UnmergedBatch {
    let mut batch = UnmergedBatch::default();
    for (kind, record) in records {
        batch.push(*kind, record);
    }
    batch
}

/// A run that puts these aside and is dead.
fn put_aside(cache: &Cache, batches: &[UnmergedBatch]) -> RunId {
    let mut spool = cache.open();
    for batch in batches {
        spool.append_unmerged(batch).unwrap();
    }
    spool.run()
}

/// The path of the only file of this kind.
fn file(cache: &Cache) -> PathBuf {
    let runs = std::fs::read_dir(cache.0.join("runs")).unwrap().map(|run| run.unwrap().path());
    let files = runs.filter(|run| run.is_dir()).flat_map(|run| std::fs::read_dir(run).unwrap());
    let mut files = files.map(|file| file.unwrap().path());
    files.find(|file| file.extension().is_some_and(|end| end == "unmerged")).unwrap()
}

fn adopt(spool: &mut Spool) {
    while spool.adopt_some(10, SystemTime::now()).is_more {}
}

/// What is read, each done before the next, up to so many.
fn read(spool: &mut Spool, most: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < most {
        match spool.next_unmerged(SystemTime::now()).unwrap() {
            Some(Unmerged::Record { kind, bytes, .. }) => {
                found.push(format!("{kind:?} {}", String::from_utf8(bytes).unwrap()));
            }
            Some(Unmerged::Damaged) => found.push("damaged".into()),
            Some(Unmerged::End(_)) => found.push("end".into()),
            None => break,
        }
        spool.unmerged_done().unwrap();
    }
    found
}

#[test]
fn what_is_put_aside_is_read_in_order_and_gone_at_the_end() {
    let cache = Cache::new();
    let run = put_aside(
        &cache,
        &[
            batch(&[(UnmergedKind::Scope, b"scope"), (UnmergedKind::Captured, b"one")]),
            batch(&[(UnmergedKind::Captured, b"two")]),
        ],
    );
    let mut spool = cache.open();
    assert!(!spool.has_unmerged());
    adopt(&mut spool);
    assert!(spool.has_unmerged() && spool.has_room_for_unmerged());
    let first = spool.next_unmerged(SystemTime::now()).unwrap().unwrap();
    assert!(matches!(first, Unmerged::Record { run: of, is_expired: false, .. } if of == run));
    assert_eq!(
        read(&mut spool, 9),
        ["Scope scope", "Captured one", "Captured two", "end"],
        "what is not done comes again"
    );
    assert!(!spool.has_unmerged());
    assert!(cache.files_that_end_with(".unmerged").is_empty());
}

#[test]
fn who_comes_after_one_that_was_killed_goes_on_where_that_was() {
    let cache = Cache::new();
    let captured = |text: &'static [u8]| (UnmergedKind::Captured, text);
    let records =
        [(UnmergedKind::Scope, &b"scope"[..]), captured(b"1"), captured(b"2"), captured(b"3")];
    put_aside(&cache, &[batch(&records)]);
    let mut found = Vec::new();
    for _ in 0..4 {
        let mut spool = cache.open();
        adopt(&mut spool);
        // Scope and one more; the next is read, and it is killed before that is done.
        found.extend(read(&mut spool, 2));
        let _ = spool.next_unmerged(SystemTime::now());
    }
    let expected =
        ["Scope scope", "Captured 1", "Scope scope", "Captured 2", "Scope scope", "Captured 3"];
    assert_eq!(found, expected);
    assert!(cache.files_that_end_with(".unmerged").is_empty());
}

#[test]
fn a_file_that_was_cut_anywhere_holds_what_is_whole() {
    let cache = Cache::new();
    put_aside(
        &cache,
        &[batch(&[(UnmergedKind::Captured, b"one"), (UnmergedKind::Captured, b"two")])],
    );
    let path = file(&cache);
    let bytes = std::fs::read(&path).unwrap();
    let ends = [24 + 9 + 3, 24 + 2 * (9 + 3)];
    assert_eq!(bytes.len(), ends[1]);
    for cut in 0..bytes.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let path = file(&cache);
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let mut spool = cache.open();
        adopt(&mut spool);
        let found = read(&mut spool, 9);
        assert_eq!(found.len(), whole + 1, "{cut}: {found:?}");
        assert_eq!(found.last().unwrap(), "end");
        // For the next cut it is there again.
        drop(spool);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn a_damaged_record_costs_itself_alone() {
    let cache = Cache::new();
    put_aside(
        &cache,
        &[batch(&[(UnmergedKind::Captured, b"one"), (UnmergedKind::Captured, b"two")])],
    );
    let path = file(&cache);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[24 + 9] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let mut spool = cache.open();
    adopt(&mut spool);
    assert_eq!(read(&mut spool, 9), ["damaged", "Captured two", "end"]);
}

#[test]
fn what_is_too_old_is_said_to_be() {
    let cache = Cache::new();
    put_aside(&cache, &[batch(&[(UnmergedKind::Captured, b"one")])]);
    let mut spool = cache.open();
    adopt(&mut spool);
    let late = SystemTime::UNIX_EPOCH + Duration::from_secs(2 * 1_800_000_000);
    let found = spool.next_unmerged(late).unwrap().unwrap();
    assert!(matches!(found, Unmerged::Record { is_expired: true, .. }));
}

#[test]
fn a_file_of_something_else_is_removed_and_one_that_is_planted_not_followed() {
    let cache = Cache::new();
    put_aside(&cache, &[batch(&[(UnmergedKind::Captured, b"one")])]);
    std::fs::write(file(&cache), vec![b'x'; 1000]).unwrap();
    let mut spool = cache.open();
    adopt(&mut spool);
    assert_eq!(read(&mut spool, 9), ["end"]);
    assert!(cache.files_that_end_with(".unmerged").is_empty());
}
