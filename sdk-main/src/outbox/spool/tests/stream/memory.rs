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

/// Writes a stream of so many pieces, has another run take it over, and gives it up there.
fn write_and_lose(cache: &Cache, pieces: usize) {
    let piece = bytes(CHUNK_BYTES);
    let mut spool = cache.open();
    let stream = spool.begin_stream(&opening()).unwrap();
    for _ in 0..pieces {
        spool.grow_stream(stream, &piece).unwrap();
    }
    spool.finish_stream(stream, at(0)).unwrap();
    drop(spool);
    // The other run compares all of it with its checksum.
    let mut spool = cache.open();
    let length = (pieces * CHUNK_BYTES) as u64;
    let id = adopt_all(&mut spool, at(0))[0].id;
    let before = attachments_lost(&spool, Reason::SendError);
    assert!(spool.open_entry(id).unwrap().rest_length > length);
    spool.lose(id, Reason::SendError);
    assert_eq!(attachments_lost(&spool, Reason::SendError), before + length);
}

#[test]
fn worker() {
    let Some(cache) = std::env::var_os(CACHE) else { return };
    let cache = Cache(cache.into());
    // Code counts as memory, too, once it has run.
    write_and_lose(&cache, 1);
    let before = peak();
    write_and_lose(&cache, 100 * MIB / CHUNK_BYTES);
    let grown = peak() - before;
    assert!(grown < 4 * MIB, "{grown} bytes");
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
