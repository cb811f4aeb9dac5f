//! Processes that end at each step, without a chance to clean up.
//!
//! The test runs itself again as another process, which works with a spool and says what it has done,
//! until it ends at the step that it was told. Files do not see a difference to a kill.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicUsize;

use super::*;

const CACHE: &str = "GUARDHOUSE_TEST_SPOOL";
const STEP: &str = "GUARDHOUSE_TEST_STEP";
const ROUND: &str = "GUARDHOUSE_TEST_ROUND";

/// What the processes of a cache directory said.
#[derive(Default)]
struct Said {
    begun: BTreeSet<String>,
    kept: BTreeSet<String>,
    sending: BTreeSet<String>,
    deleted: BTreeSet<String>,
    runs: usize,
}

/// Runs the worker in another process.
fn work(cache: &Cache, round: usize, step: Option<(Step, usize)>, said: &mut Said) -> bool {
    let step = step.map_or(String::new(), |(step, times)| format!("{step:?}:{times}"));
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "outbox::spool::tests::kill::worker", "--nocapture"])
        .env(CACHE, &cache.0)
        .env(STEP, step)
        .env(ROUND, round.to_string())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    said.runs += 1;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Some((what, message)) = line.split_once("> ") else { continue };
        let set = match what {
            "begun" => &mut said.begun,
            "kept" => &mut said.kept,
            "sending" => &mut said.sending,
            "deleted" => &mut said.deleted,
            _ => continue,
        };
        set.insert(message.to_owned());
    }
    output.status.code() == Some(9)
}

#[test]
fn worker() {
    let Some(cache) = std::env::var_os(CACHE) else { return };
    let step = std::env::var(STEP).unwrap();
    let round = std::env::var(ROUND).unwrap();
    let (name, times) = step.split_once(':').unwrap_or_default();
    let (name, times) = (name.to_owned(), times.parse().unwrap_or(usize::MAX));
    let passed = AtomicUsize::new(0);
    let hook: Hook = Arc::new(move |step| {
        if format!("{step:?}") == name && passed.fetch_add(1, Ordering::Relaxed) + 1 == times {
            std::process::exit(9);
        }
        Ok(())
    });
    script(Path::new(&cache), hook, &round);
    std::process::exit(9);
}

#[expect(clippy::print_stdout, reason = "this is how the other process is told")]
fn say(what: &str, message: &str) {
    println!("\n{what}> {message}");
}

fn script(cache: &Path, hook: Hook, round: &str) {
    let limits = Limits { max_count: 6, ..Limits::default() };
    let mut spool = Spool::open_with_hook(cache, limits, hook).unwrap();
    spool.write_side(&key("session"), b"{}").unwrap();
    while spool.adopt_some(2, at(0)).is_more {}
    let dead: Vec<RunId> = spool.dead_runs().map(|dead| dead.run).collect();
    for run in dead {
        let outcome = event(format!("end-{run}"));
        let key = key("end");
        let outcome = Outcome { key: &key, priority: Priority::Session, envelope: &outcome };
        // Another time, so that a second one would have another name.
        let _ = spool.settle(run, &[outcome], at(round.parse().unwrap())).unwrap();
    }
    for number in 0..6 {
        let message = format!("{round}-{number}");
        let priority = if number == 2 { Priority::Crash } else { Priority::Normal };
        say("begun", &message);
        if spool.put(priority, &event(&message), at(number)).placed.id().is_some() {
            say("kept", &message);
        }
    }
    let newest = |spool: &Spool| spool.entries().filter(|e| e.priority == Priority::Normal).last();
    if let Some(entry) = newest(&spool) {
        let text = message(&spool.read(entry.id).unwrap());
        say("sending", &text);
        spool.delete(entry.id);
        say("deleted", &text);
    }
    if let Some(entry) = newest(&spool) {
        spool.lose(entry.id, Reason::SendError);
    }
    // A file that a power cut has damaged, behind its event.
    if let Some(entry) = newest(&spool) {
        let name = spool.table.get(entry.id).unwrap().name.envelope();
        let path = spool.own.path(&name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(b"\0\0\0\0");
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(spool.read(entry.id), Err(ReadError::Broken { salvaged: Some(_) })));
    }
}

/// Looks at what is there after all, and compares it with what was said.
fn check(cache: &Cache, said: &Said, context: &str) {
    let mut spool = cache.open();
    adopt_all(&mut spool, at(0));
    let dead: Vec<RunId> = spool.dead_runs().map(|dead| dead.run).collect();
    for run in dead {
        let outcome = event(format!("end-{run}"));
        let key = key("end");
        let outcome = Outcome { key: &key, priority: Priority::Session, envelope: &outcome };
        let _ = spool.settle(run, &[outcome], at(99)).unwrap();
    }
    let ids: Vec<EntryId> = spool.entries().map(|entry| entry.id).collect();
    let mut there = Vec::new();
    for id in ids {
        there.push(match spool.read(id) {
            Ok(envelope) => message(&envelope),
            Err(ReadError::Broken { salvaged: Some(id) }) => message(&spool.read(id).unwrap()),
            Err(error) => panic!("{context}: {error}"),
        });
    }
    let unique: BTreeSet<&String> = there.iter().collect();
    assert_eq!(unique.len(), there.len(), "{context}: twice: {there:?}");
    for message in &said.deleted {
        assert!(!unique.contains(message), "{context}: {message} is there again");
    }

    // Who is neither there nor delivered was lost, and is counted. What was begun when the process
    // ended may be either, and so may be a delivery that was not confirmed.
    let ends = there.iter().filter(|message| message.starts_with("end-")).count();
    let events = (there.len() - ends) as u64;
    let lost = errors_lost(&spool);
    let unsure = said.sending.difference(&said.deleted).filter(|m| !unique.contains(m)).count();
    let accounted = events + ends as u64 + lost + said.deleted.len() as u64;
    // Every run that got so far as to put something has an end.
    let rounds: BTreeSet<&str> =
        said.begun.iter().filter_map(|message| Some(message.split_once('-')?.0)).collect();
    let (least, most) = (said.kept.len() + rounds.len(), said.begun.len() + said.runs);
    assert!(
        accounted + unsure as u64 >= least as u64 && accounted <= most as u64,
        "{context}: {accounted} of {least}..={most}, lost {lost}, ends {ends}, there {there:?}"
    );
    for end in [".tmp", ".lost-", ".broken", "side-"] {
        assert_eq!(cache.files_that_end_with(end), [""; 0], "{context}");
    }
    let own = spool.run().to_string();
    let foreign: Vec<_> = cache.files_that_end_with(".lock");
    assert_eq!(foreign, [format!("{own}.lock")], "{context}");
}

#[test]
fn a_process_that_ends_anywhere_loses_nothing_and_makes_nothing_twice() {
    for &step in Step::ALL {
        for times in [1, 4] {
            let cache = Cache::new();
            let mut said = Said::default();
            work(&cache, 0, None, &mut said);
            let was_ended = work(&cache, 1, Some((step, times)), &mut said);
            work(&cache, 2, Some((step, times)), &mut said);
            assert!(was_ended, "the worker failed");
            check(&cache, &said, &format!("{step:?}, {times} times"));
        }
    }
}
