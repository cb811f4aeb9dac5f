//! How much memory a large stream takes: that of one piece.

use std::process::Command;

use guardhouse_protocol::limits::MIB;

use super::*;

const CACHE: &str = "GUARDHOUSE_TEST_STREAM_MEMORY";

/// The most memory that this process had so far.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn worker() {
    let Some(cache) = std::env::var_os(CACHE) else { return };
    let before = peak();
    let cache = Cache(cache.into());
    let piece = bytes(CHUNK_BYTES);
    let mut spool = cache.open();
    let stream = spool.begin_stream(&opening()).unwrap();
    for _ in 0..100 * MIB / CHUNK_BYTES {
        spool.grow_stream(stream, &piece).unwrap();
    }
    spool.finish_stream(stream, at(0)).unwrap();
    drop(spool);
    // Another run compares all of it with its checksum, and then gives it up.
    let mut spool = cache.open();
    let id = adopt_all(&mut spool, at(0))[0].id;
    assert!(spool.open_entry(id).unwrap().rest_length > 100 * MIB as u64);
    spool.lose(id, Reason::SendError);
    assert_eq!(attachments_lost(&spool, Reason::SendError), 100 * MIB as u64);
    let grown = peak() - before;
    assert!(grown < 8 * MIB, "{grown} bytes");
    std::process::exit(9);
}

#[test]
fn a_large_stream_takes_no_more_memory_than_a_small_one() {
    let cache = Cache::new();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "outbox::spool::tests::stream::memory::worker", "--nocapture"])
        .env(CACHE, &cache.0)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(9), "the worker failed");
}
