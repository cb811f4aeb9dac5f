//! Processes that end at each step of a stream, as in [`super::super::kill`].

use std::process::{Command, Stdio};
use std::sync::atomic::AtomicUsize;

use super::*;

const CACHE: &str = "GUARDHOUSE_TEST_STREAMS";
const STEP: &str = "GUARDHOUSE_TEST_STREAM_STEP";

/// The processes of a cache directory, and how many streams they said to be kept.
fn work(cache: &Cache, step: Option<(Step, usize)>) -> usize {
    let step = step.map_or(String::new(), |(step, times)| format!("{step:?}:{times}"));
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "outbox::spool::tests::stream::kill::worker", "--nocapture"])
        .env(CACHE, &cache.0)
        .env(STEP, step)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(9), "the worker failed");
    String::from_utf8(output.stdout).unwrap().lines().filter(|line| *line == "kept").count()
}

#[test]
fn worker() {
    let Some(cache) = std::env::var_os(CACHE) else { return };
    let step = std::env::var(STEP).unwrap();
    let (name, times) = step.split_once(':').unwrap_or_default();
    let (name, times) = (name.to_owned(), times.parse().unwrap_or(usize::MAX));
    let passed = AtomicUsize::new(0);
    let hook: Hook = Arc::new(move |step| {
        if format!("{step:?}") == name && passed.fetch_add(1, Ordering::Relaxed) + 1 == times {
            std::process::exit(9);
        }
        Ok(())
    });
    script(Path::new(&cache), hook);
    std::process::exit(9);
}

#[expect(clippy::print_stdout, reason = "this is how the other process is told")]
fn script(cache: &Path, hook: Hook) {
    let mut spool = Spool::open_with_hook(cache, Limits::default(), hook).unwrap();
    adopt_all(&mut spool, at(0));
    let unfinished = spool.begin_stream(&opening()).unwrap();
    spool.grow_stream(unfinished, b"unfinished").unwrap();
    for _ in 0..2 {
        send(&mut spool, &opening(), &bytes(1000), 400).unwrap();
        println!("\nkept");
    }
    let lost = spool.begin_stream(&opening()).unwrap();
    spool.grow_stream(lost, b"lost").unwrap();
    spool.lose_stream(lost, Reason::Invalid);
}

#[test]
fn a_process_that_ends_anywhere_keeps_what_it_said_and_nothing_in_halves() {
    for &step in Step::ALL {
        for times in [1, 2, 4, 6] {
            let context = format!("{step:?}, {times} times");
            let cache = Cache::new();
            let kept = [None, Some((step, times)), None].map(|step| work(&cache, step));
            let kept: usize = kept.into_iter().sum();
            let mut spool = cache.open();
            let found = adopt_all(&mut spool, at(0));
            // One may have been kept when the process ended, and not be said.
            assert!((kept..=kept + 1).contains(&found.len()), "{context}: {kept}");
            for entry in found {
                assert_eq!(attachment(&mut spool, entry.id), bytes(1000), "{context}");
            }
            for end in [".tmp", ".stream", ".lost-", ".broken"] {
                assert_eq!(cache.files_that_end_with(end), [""; 0], "{context}");
            }
            let lost = attachments_lost(&spool, Reason::Invalid);
            assert!(lost == 8 || lost == 12, "{context}: {lost}");
        }
    }
}
