//! What is known of a run after its end.

use std::fs;

use super::*;
use crate::outbox::spool::RunFacts;

fn facts(release: &str) -> RunFacts {
    RunFacts {
        release: Some(release.to_owned()),
        environment: Some("test".to_owned()),
        ..RunFacts::default()
    }
}

#[test]
fn the_facts_of_a_run_are_known_to_later_ones_after_its_folder_is_gone() {
    let cache = Cache::new();
    let mut first = cache.open();
    first.write_facts(facts("desk@1")).unwrap();
    let run = first.run();
    assert_eq!(first.run_facts(run), Some(facts("desk@1")));
    drop(first);
    let mut second = cache.open();
    second.write_facts(facts("desk@2")).unwrap();
    while second.adopt_some(8, SystemTime::now()).is_more {}
    assert_eq!(second.run_facts(run), Some(facts("desk@1")));
    assert_eq!(second.run_facts(second.run()), Some(facts("desk@2")));
    assert_eq!(second.run_facts(RunId::new(1)), None);
}

#[test]
fn records_of_dead_runs_are_bounded_by_age_and_number() {
    let cache = Cache::new();
    let mut living = cache.open();
    living.write_facts(facts("living")).unwrap();
    let runs = cache.0.join("runs");
    for number in 0..200 {
        fs::write(runs.join(format!("{}.run", RunId::new(number))), "{}").unwrap();
    }
    let mut spool = cache.open();
    while spool.adopt_some(8, SystemTime::now()).is_more {}
    assert_eq!(cache.files_that_end_with(".run").len(), 128 + 1);
    let later = SystemTime::now() + Limits::default().max_age + Duration::from_secs(60);
    let mut spool = cache.open();
    while spool.adopt_some(8, later).is_more {}
    assert_eq!(cache.files_that_end_with(".run"), [format!("{}.run", living.run())]);
}

#[test]
fn what_is_no_record_says_nothing() {
    let cache = Cache::new();
    let spool = cache.open();
    let path = |number| cache.0.join("runs").join(format!("{}.run", RunId::new(number)));
    let texts = ["", "{", r#"{"version":2,"release":"x"}"#, "[]", r#"{"release":"x"}"#];
    for (number, text) in (1..).zip(texts) {
        fs::write(path(number), text).unwrap();
        assert_eq!(spool.run_facts(RunId::new(number)), None, "{text}");
    }
    let long = format!(r#"{{"version":1,"release":"{}"}}"#, "x".repeat(1 << 20));
    fs::write(path(90), long).unwrap();
    assert_eq!(spool.run_facts(RunId::new(90)), None);
    fs::create_dir(path(91)).unwrap();
    assert_eq!(spool.run_facts(RunId::new(91)), None);
    #[cfg(unix)]
    {
        // A link to what never ends, and a pipe that nobody writes to.
        std::os::unix::fs::symlink("/dev/zero", path(92)).unwrap();
        assert_eq!(spool.run_facts(RunId::new(92)), None);
        let made = std::process::Command::new("mkfifo").arg(path(93)).status().unwrap();
        assert!(made.success());
        assert_eq!(spool.run_facts(RunId::new(93)), None);
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_a_record_and_one_that_the_disk_refused_is_written_later() {
    use std::os::unix::fs::MetadataExt;
    let cache = Cache::new();
    let mut spool = cache.open();
    let path = cache.0.join("runs").join(format!("{}.run", spool.run()));
    // What lies in the way stands for a disk that fails; it is given up when it is tried.
    fs::create_dir(&path).unwrap();
    assert!(spool.write_facts(facts("desk@1")).is_err());
    assert_eq!(spool.run_facts(spool.run()), Some(facts("desk@1")));
    fs::remove_dir(&path).unwrap();
    assert!(spool.try_again());
    assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
}
