//! More than main takes at once, and renderers that end with a backlog: everything arrives, once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use guardhouse_process::Random;
use guardhouse_process::offline_file::find;
use guardhouse_tests::desk::Desk;
use guardhouse_tests::disk::Disk;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::Value;

use crate::post::{send, stop};
use crate::{House, PATIENCE, message_of};

/// How often each message arrived, of those that a renderer captured with `fill`.
fn filled(house: &House) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for message in house.messages() {
        if let Some(number) = message.strip_prefix("fill ") {
            *counts.entry(number.parse().unwrap()).or_default() += 1;
        }
    }
    counts
}

/// Waits for so many events, however slow that is, as long as they come.
#[track_caller]
fn wait_for(house: &House, count: usize) {
    for arrived in (0..count).step_by(20).chain([count]) {
        house.wait_for_events(arrived);
    }
}

/// All of them arrived, each once, and main has counted nothing as lost.
#[track_caller]
fn each_once(house: &House, count: usize) {
    let filled = filled(house);
    let doubled: Vec<_> = filled.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    assert_eq!(filled.len(), count);
    assert_eq!(house.sentry.items("client_report"), [Value::Null; 0]);
}

/// How many rounds there are, if nobody wants more.
fn rounds(default: u64) -> u64 {
    std::env::var("KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(default)
}

fn offline_files(house: &House) -> Vec<PathBuf> {
    find(&house.cache.path().join("renderers"))
}

/// A renderer that finds a main which is stopped.
fn beside_a_stopped_main(options: &[&str]) -> (House, Desk) {
    let house = House::start(&["--namespace", "stopped"]);
    stop(house.desk.id());
    let helm = house.foreign("page", &[&["--namespace", "stopped"], options].concat());
    (house, helm)
}

#[test]
fn promise_2_ten_thousand_in_a_burst_all_arrive() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &[]);
    child.ask("fill 10000");
    child.tell("flush 3600000");
    wait_for(&house, 10_000);
    assert!(child.hear().is_some_and(|said| said.starts_with("flushed true")));
    assert!(child.close());
    house.close();
    each_once(&house, 10_000);
    assert!(offline_files(&house).is_empty());
}

#[test]
fn a_burst_from_several_beyond_what_they_keep_in_memory_arrives_whole() {
    let mut house = House::start(&["--max-items", "100"]);
    let mut first = house.child("one", &["--max-items", "10"]);
    let mut second = house.child("two", &["--mode", "protocol", "--max-items", "10"]);
    for child in [&mut first, &mut second] {
        child.ask("fill 1000");
        child.tell("flush 3600000");
    }
    wait_for(&house, 2000);
    for child in [&mut first, &mut second] {
        assert!(child.hear().is_some_and(|said| said.starts_with("flushed true")));
        assert!(child.close());
    }
    house.close();
    let filled = filled(&house);
    assert!(filled.len() == 1000 && filled.values().all(|count| *count == 2));
    assert_eq!(house.sentry.items("client_report"), [Value::Null; 0]);
    assert!(offline_files(&house).is_empty());
}

#[test]
fn who_is_killed_with_more_than_memory_holds_loses_only_what_was_in_memory() {
    let mut house = House::start(&[]);
    let mut before = BTreeMap::new();
    for round in 0..rounds(20) {
        let mut child = house.child("page", &["--max-items", "10"]);
        assert_eq!(child.ask("await classic"), "way classic");
        child.tell("fill 400");
        // While it fills, and while main takes what is in the file.
        if round % 2 == 0 {
            assert_eq!(child.hear().as_deref(), Some("done"));
        }
        std::thread::sleep(Duration::from_millis(round % 20 * 3));
        child.signal(Signal::KILL);
        assert_eq!(house.desk.ask("wait page"), "ended by 9");
        assert_eq!(house.desk.ask("await-end page"), "done");
        let start = Instant::now();
        while !offline_files(&house).is_empty() {
            assert!(start.elapsed() < PATIENCE, "main does not take the file");
        }
        assert!(house.desk.ask("flush 59000").starts_with("flushed true"));
        // It is the beginning of what was captured, and nothing twice.
        let arrived = filled(&house);
        let new =
            |number: &usize| arrived.get(number).unwrap_or(&0) - before.get(number).unwrap_or(&0);
        let counts: Vec<usize> = (0..400).map(|number| new(&number)).collect();
        assert!(counts.is_sorted_by(|a, b| a >= b), "round {round}: {counts:?}");
        assert!(counts.iter().all(|count| *count <= 1), "round {round}: {counts:?}");
        before = arrived;
    }
    house.close();
}

#[test]
fn promise_2_whoever_is_killed_what_a_flush_has_said_is_on_disk_arrives() {
    let options = ["--namespace", "killed", "--no-session", "--max-items", "300"];
    let mut house = House::start(&options);
    let left = house.cache.path().join("renderers").display().to_string();
    let mut random = Random::new(7);
    let mut below = |bound: u64| (random.fraction() * bound as f64) as u64;
    let mut expected = Vec::new();
    for round in 0..rounds(12) {
        let name = format!("page-{round}");
        let mut helm = house.foreign(
            &name,
            // Main may be killed before the process has found it, and knows where to leave things.
            &["--namespace", "killed", "--max-items", "10", "--shutdown", "200", "--spool", &left],
        );
        let count = 1 + below(60);
        helm.tell(&format!("fill {count}"));
        std::thread::sleep(Duration::from_millis(below(80)));
        if below(3) > 0 {
            house.desk.kill();
            std::thread::sleep(Duration::from_millis(below(40)));
            house.restart(&options);
        }
        assert_eq!(helm.hear().as_deref(), Some("done"));
        if below(3) > 0 {
            let start = Instant::now();
            while !helm.ask("flush 20000").starts_with("flushed true") {
                assert!(start.elapsed() < PATIENCE, "{name} does not come through");
            }
            expected.extend((0..count).map(|number| (name.clone(), format!("fill {number}"))));
        }
        match below(3) {
            0 => helm.kill(),
            1 => house.desk.kill(),
            _ => drop(helm.ask("close 200")),
        }
        drop(helm);
        // The former one has to be dead: what it has nobody else takes.
        house.desk.kill();
        house.restart(&options);
    }
    wait_for_silence(&house);
    let mut ids: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for event in house.sentry.events() {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        if let (Some(process), Some(message), Some(id)) =
            (text("/tags/event.process"), message_of(&event), text("/event_id"))
            && message.starts_with("fill")
        {
            let key = (process.to_owned(), message.to_owned());
            ids.entry(key).or_default().insert(id.to_owned());
        }
    }
    // Whatever came twice did so as one event, which Sentry knows by its id.
    assert!(ids.values().all(|ids| ids.len() == 1));
    let lost: Vec<_> = expected.iter().filter(|key| !ids.contains_key(key)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// Waits until main has sent everything, also what earlier ones have left, which goes at its own pace.
#[track_caller]
fn wait_for_silence(house: &House) {
    let start = Instant::now();
    let is_left = || {
        let files = house.cache.files().into_iter();
        files
            .filter_map(|path| path.extension().map(ToOwned::to_owned))
            .any(|end| end == "envelope")
    };
    while is_left() || !offline_files(house).is_empty() {
        assert!(
            start.elapsed() < 10 * PATIENCE,
            "something is never sent: {:?}",
            house.cache.files()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_was_in_the_file_when_its_writer_was_killed_arrives() {
    let (mut house, mut helm) = beside_a_stopped_main(&[]);
    helm.ask("fill 3000");
    // In vain, but now all of it is in the file.
    assert!(helm.ask("flush 60000").starts_with("flushed false"));
    helm.kill();
    assert_eq!(offline_files(&house).len(), 1);
    send(house.desk.id(), Signal::CONT);
    // This main has never heard of the renderer; the next one looks at its start.
    house.close();
    house.restart(&["--max-items", "100"]);
    wait_for(&house, 3000);
    house.close();
    each_once(&house, 3000);
    assert!(offline_files(&house).is_empty());
}

#[test]
fn a_main_that_is_killed_while_it_takes_a_file_leaves_the_rest_to_the_next() {
    let (mut house, mut helm) = beside_a_stopped_main(&[]);
    helm.ask("fill 1000");
    assert!(helm.ask("close 10000").starts_with("closed false"));
    house.desk.kill();
    for kill in [100, 150, 50] {
        let kill = format!("Renamed:{kill}");
        house.desk = Desk::start(
            crate::DESK,
            house.cache.path(),
            &house.sentry.dsn(),
            &["--no-session", "--kill", &kill],
        );
        while house.desk.hear().is_some() {}
    }
    house.restart(&["--no-session"]);
    wait_for(&house, 1000);
    house.close();
    let filled = filled(&house);
    assert_eq!(filled.len(), 1000);
    // What was taken and not written down as taken when main was killed.
    let doubled = filled.values().filter(|count| **count > 1).count();
    assert!(doubled <= 3 * 16, "{doubled}");
}

#[test]
fn a_renderer_that_ends_while_it_is_still_connecting_loses_nothing() {
    let (mut house, mut helm) = beside_a_stopped_main(&[]);
    helm.ask("fill 18");
    assert!(helm.ask("close 10000").starts_with("closed false"));
    assert!(helm.wait().0.success());
    assert_eq!(offline_files(&house).len(), 1);
    send(house.desk.id(), Signal::CONT);
    house.close();
    house.restart(&[]);
    wait_for(&house, 18);
    house.close();
    each_once(&house, 18);
}

#[test]
fn promise_5_a_renderer_that_panics_beside_a_stopped_main_waits_for_nobody() {
    for is_connected in [false, true] {
        let (house, mut helm) = match is_connected {
            false => beside_a_stopped_main(&[]),
            true => {
                let house = House::start(&["--namespace", "stopped"]);
                let mut helm = house.foreign("page", &["--namespace", "stopped"]);
                assert_eq!(helm.ask("await classic"), "way classic");
                stop(house.desk.id());
                (house, helm)
            }
        };
        // The first finds out where it is in the source, which takes its time.
        assert!(helm.ask("panic first").starts_with("panicked"));
        let start = Instant::now();
        assert!(helm.ask("panic second").starts_with("panicked"));
        helm.tell("unwind ouch");
        let (status, _) = helm.wait();
        let elapsed = start.elapsed();
        assert_eq!(status.code(), Some(101));
        // Each panic would wait for two seconds, and the end for as long.
        assert!(elapsed < Duration::from_secs(2), "{elapsed:?}, connected: {is_connected}");
        assert_eq!(offline_files(&house).len(), 1);
        send(house.desk.id(), Signal::CONT);
    }
}

/// What renderers left when main was killed, taken by a main of another release.
fn taken_by_another_release(before: impl FnOnce(&Path)) -> (House, serde_json::Value) {
    let mut house = House::start(&["--namespace", "releases"]);
    let mut helm = house.foreign("page", &["--namespace", "releases"]);
    assert_eq!(helm.ask("await classic"), "way classic");
    house.desk.kill();
    assert_eq!(helm.ask("await none"), "way none");
    helm.ask("error then");
    assert!(helm.ask("close 10000").starts_with("closed false"));
    before(&house.cache.path().join("runs"));
    house.restart(&["--release", "desk@6", "--namespace", "releases"]);
    house.wait_for_events(1);
    house.close();
    let event = house.event_saying("then");
    (house, event)
}

#[test]
fn what_an_older_version_left_keeps_its_release_and_environment() {
    let (house, event) = taken_by_another_release(|_| {});
    assert_eq!((&event["release"], &event["environment"]), (&"desk@5.1.0".into(), &"test".into()));
    assert!(event["contexts"].get("app").is_none(), "{}", event["contexts"]["app"]);
    assert!(offline_files(&house).is_empty());
}

#[test]
fn without_a_record_of_its_run_what_was_left_goes_without_a_release() {
    let (_house, event) = taken_by_another_release(|runs| {
        for entry in std::fs::read_dir(runs).unwrap().flatten() {
            if entry.path().extension().is_some_and(|end| end == "run") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    });
    assert!(event.get("release").is_none() && event.get("environment").is_none(), "{event}");
}

#[test]
fn on_a_full_disk_a_burst_loses_the_oldest_which_are_counted_and_the_flush_says_so() {
    let mut house = House::start(&["--namespace", "full"]);
    let directory = house.cache.path().join("renderers");
    // A small disk that is full; or where that cannot be had, something that is no directory.
    let disk = Disk::mount(&directory);
    if disk.is_some() {
        let mut filler = std::fs::File::create(directory.join("filler")).unwrap();
        for size in [64 * 1024, 1024, 1] {
            while filler.write_all(&vec![b'x'; size]).is_ok() {}
        }
        filler.sync_all().unwrap();
    } else {
        std::fs::remove_dir(&directory).unwrap();
        std::fs::write(&directory, "").unwrap();
    }
    let options = ["--namespace", "full", "--max-items", "500"];
    let mut helm = house.foreign("page", &options);
    assert_eq!(helm.ask("await classic"), "way classic");
    stop(house.desk.id());
    helm.ask("fill 3000");
    assert!(helm.ask("flush 60000").starts_with("flushed false"), "main is stopped");
    helm.ask("fill 3000");
    send(house.desk.id(), Signal::CONT);
    assert!(helm.ask("flush 60000").starts_with("flushed false"), "something was lost");
    // The report of it is one more for which something may have to go.
    let start = Instant::now();
    while !helm.ask("flush 60000").starts_with("flushed true") {
        assert!(start.elapsed() < PATIENCE, "nothing is lost any more");
    }
    let closed = helm.ask("close 60000");
    assert!(closed.starts_with("closed true"), "{closed}");
    house.close();
    let filled = filled(&house);
    assert!(filled.values().all(|count| *count == 1));
    let arrived: Vec<_> = filled.keys().collect();
    assert!((5995..6000).all(|number| filled.contains_key(&number)), "{arrived:?}");
    let lost = house.sentry.lost("error", "queue_overflow");
    assert!(lost > 0);
    assert_eq!(filled.len() as u64 + lost, 6000);
    drop(disk);
}

#[test]
fn promise_5_a_renderer_ends_in_time_on_a_disk_that_hangs() {
    let house = House::start(&["--namespace", "hung"]);
    let disk = Disk::mount(&house.cache.path().join("renderers"));
    let mut helm = house.foreign("page", &["--namespace", "hung", "--max-items", "10"]);
    assert_eq!(helm.ask("await classic"), "way classic");
    stop(house.desk.id());
    if let Some(disk) = &disk {
        disk.freeze();
    }
    // Nobody who captures waits for a disk.
    assert_eq!(helm.ask("fill 300"), "done");
    assert!(helm.ask("flush 300").starts_with("flushed false"));
    assert!(helm.ask("close 500").starts_with("closed false"));
    // The thread that hangs in the kernel ends with the disk.
    if let Some(disk) = &disk {
        disk.thaw();
    }
    send(house.desk.id(), Signal::CONT);
    assert!(helm.wait().0.success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_the_size_of_files_does_not_kill_a_renderer() {
    let mut house = House::start(&["--namespace", "limited"]);
    let mut helm = house.foreign("page", &["--namespace", "limited", "--max-items", "500"]);
    assert_eq!(helm.ask("await classic"), "way classic");
    stop(house.desk.id());
    // The system sends a signal to who writes more, which ends a process.
    let limit = Rlimit { current: Some(20_000), maximum: None };
    prlimit(Pid::from_raw(helm.id() as i32), Resource::Fsize, limit).unwrap();
    helm.ask("fill 3000");
    assert!(helm.ask("flush 60000").starts_with("flushed false"), "main is stopped");
    send(house.desk.id(), Signal::CONT);
    let start = Instant::now();
    while !helm.ask("flush 60000").starts_with("flushed true") {
        assert!(start.elapsed() < PATIENCE, "nothing is lost any more");
    }
    assert!(helm.ask("close 60000").starts_with("closed true"));
    house.close();
    let arrived = filled(&house).len() as u64;
    assert_eq!(arrived + house.sentry.lost("error", "queue_overflow"), 3000);
}
