//! A disk that does not do what it should.

use guardhouse_protocol::StreamOpening;

#[cfg(target_os = "linux")]
use super::full::Disk;
use super::*;

const WRITING: &[Step] = &[Step::Create];

fn faulty(cache: &Cache, steps: &'static [Step], kind: io::ErrorKind) -> (Spool, Fault) {
    faulty_within(cache, steps, kind, Limits::default())
}

fn faulty_within(
    cache: &Cache,
    steps: &'static [Step],
    kind: io::ErrorKind,
    limits: Limits,
) -> (Spool, Fault) {
    let fault = Fault::default();
    let spool = Spool::open_with_hook(&cache.0, limits, fault.hook(steps, kind)).unwrap();
    (spool, fault)
}

#[test]
fn what_no_disk_takes_is_kept_in_memory_until_it_works_again() {
    for kind in [
        io::ErrorKind::StorageFull,
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::Other,
    ] {
        let cache = Cache::new();
        let (mut spool, fault) = faulty(&cache, WRITING, kind);
        fault.set(true);
        let put_in_memory = spool.put(Priority::Normal, &event("a"), at(0));
        let Placed::Memory(id) = put_in_memory.placed else { panic!("{put_in_memory:?}") };
        assert!(!spool.is_durable(id));
        assert_eq!(spool.trouble().unwrap().kind(), kind);
        assert_eq!(message(&spool.read(id).unwrap()), "a");
        let sending = spool.open_entry(id).unwrap();
        assert!(
            matches!(sending.rest, Rest::Memory(rest) if rest.len() as u64 == sending.rest_length)
        );
        assert!(!spool.try_again());

        fault.set(false);
        assert!(spool.try_again());
        assert!(spool.is_durable(id));
        assert!(spool.trouble().is_none());

        fault.set(true);
        let b = spool.put(Priority::Normal, &event("b"), at(0)).placed.id().unwrap();
        fault.set(false);
        put(&mut spool, "c");
        assert!(spool.is_durable(b), "the next that is put takes the former with it");
        drop(spool);
        let mut next = cache.open();
        adopt_all(&mut next, at(0));
        assert_eq!(messages(&mut next), ["a", "b", "c"]);
        assert_eq!(errors_lost(&next), 0);
    }
}

#[test]
fn memory_is_bounded_too() {
    let cache = Cache::new();
    let limits = Limits { memory_count: 2, ..Limits::default() };
    let (mut spool, fault) = faulty_within(&cache, WRITING, io::ErrorKind::Other, limits);
    fault.set(true);
    let crash = spool.put(Priority::Crash, &event("crash"), at(0));
    let first = spool.put(Priority::Normal, &event("first"), at(0)).placed.id().unwrap();
    let second = spool.put(Priority::Normal, &event("second"), at(0));
    assert_eq!(second.evicted, [first]);
    let third = spool.put(Priority::Session, &event("third"), at(0));
    assert_eq!(third.evicted, [second.placed.id().unwrap()]);
    let refused = spool.put(Priority::Normal, &event("fourth"), at(0));
    assert_eq!(refused.placed, Placed::Refused);
    assert_eq!(spool.losses().get(Category::Error, Reason::QueueOverflow), 3);
    assert_eq!(messages(&mut spool), ["crash", "third"]);
    assert!(matches!(crash.placed, Placed::Memory(_)));
}

#[test]
fn a_read_only_folder_is_no_reason_to_lose_anything() {
    let cache = Cache::new();
    let steps = &[Step::Create, Step::Lose, Step::Delete];
    let (mut spool, fault) = faulty(&cache, steps, io::ErrorKind::ReadOnlyFilesystem);
    let (sent, given_up) = (put(&mut spool, "sent"), put(&mut spool, "given up"));
    fault.set(true);
    spool.delete(sent);
    spool.lose(given_up, Reason::SendError);
    assert_eq!(spool.entries().count(), 0, "neither is sent again in this run");
    assert!(!spool.try_again() || cache.files_that_end_with(".envelope").len() == 1);
    fault.set(false);
    assert!(spool.try_again());
    drop(spool);
    let mut next = cache.open();
    adopt_all(&mut next, at(0));
    assert_eq!(messages(&mut next), ["given up"], "what could not be counted is not lost");
}

#[test]
fn a_cache_directory_that_cannot_be_used_is_an_error_that_says_so() {
    let cache = Cache::new();
    std::fs::write(&cache.0, "a file").unwrap();
    let error = Spool::open(&cache.0, Limits::default()).unwrap_err();
    assert_eq!(error.fault(), SpoolFault::NotADirectory);
    assert!(error.to_string().contains("choose another cache directory"), "{error}");
    assert!(error.path().starts_with(&cache.0));
    std::fs::remove_file(&cache.0).unwrap();

    for (kind, fault) in [
        (io::ErrorKind::PermissionDenied, SpoolFault::NotPermitted),
        (io::ErrorKind::ReadOnlyFilesystem, SpoolFault::ReadOnly),
        (io::ErrorKind::StorageFull, SpoolFault::Full),
        (io::ErrorKind::QuotaExceeded, SpoolFault::Full),
        (io::ErrorKind::FileTooLarge, SpoolFault::FileSizeLimit),
    ] {
        let hook: Hook = Arc::new(move |_| Err(io::Error::from(kind)));
        let error = Spool::open_with_hook(&cache.0, Limits::default(), hook).unwrap_err();
        assert_eq!(error.fault(), fault);
    }
}

/// Only root can make one, or a test that finds one of root's.
#[cfg(unix)]
#[test]
fn a_cache_directory_of_another_user_is_refused() {
    let cache = Cache::new();
    std::fs::create_dir(&cache.0).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let foreign = if is_root { cache.0.clone() } else { PathBuf::from("/usr") };
    if is_root {
        std::os::unix::fs::chown(&cache.0, Some(61_804), None).unwrap();
    }
    let error = Spool::open(&foreign, Limits::default()).unwrap_err();
    assert_eq!(error.fault(), SpoolFault::Foreign);
    assert!(error.to_string().contains("belongs to the user"), "{error}");
    assert!(!cache.0.join("runs").exists());
}

#[test]
fn a_folder_that_is_deleted_under_us_is_made_again() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let before = put(&mut spool, "before");
    std::fs::remove_dir_all(&cache.0).unwrap();
    let after = put(&mut spool, "after");
    assert!(spool.is_durable(after));
    assert!(matches!(spool.read(before), Err(ReadError::Gone)));
    assert_eq!(errors_lost(&spool), 1);
    drop(spool);
    let mut next = cache.open();
    adopt_all(&mut next, at(0));
    assert_eq!(messages(&mut next), ["after"]);
    assert_eq!(errors_lost(&next), 1);
}

#[test]
fn a_folder_that_became_a_file_leaves_memory() {
    let cache = Cache::new();
    let mut spool = cache.open();
    std::fs::remove_dir_all(&cache.0).unwrap();
    std::fs::write(&cache.0, "a file").unwrap();
    let put = spool.put(Priority::Crash, &event("x"), at(0));
    assert!(matches!(put.placed, Placed::Memory(_)));
    assert_eq!(messages(&mut spool), ["x"]);
    drop(spool);
    std::fs::remove_file(&cache.0).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_stream_that_fills_the_disk_gives_back_what_it_took() {
    let disk = Disk::small();
    let mut spool = Spool::open(disk.path(), Limits::default()).unwrap();
    let old = put(&mut spool, "old");
    let opening =
        StreamOpening::new("log.txt", "9ec79c33ec9942ab8353589fcb2e04dc".parse().unwrap()).unwrap();
    let stream = spool.begin_stream(&opening).unwrap();
    let piece = vec![b'x'; 100_000];
    let mut taken = 0;
    let error = loop {
        match spool.grow_stream(stream, &piece) {
            Ok(length) => taken = length,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StreamError::Disk(error) if error::is_full(error)), "{error}");
    assert!((500_000..1 << 20).contains(&taken), "{taken}");
    assert_eq!(spool.losses().get(Category::Attachment, Reason::CacheOverflow), taken);
    let large = put(&mut spool, "y".repeat(500_000));
    assert!(spool.is_durable(old) && spool.is_durable(large));
}
