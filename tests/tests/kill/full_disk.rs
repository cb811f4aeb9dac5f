//! Promise 7 on a full disk: the outcome of a run needs no room.
//!
//! The disk is a real one where that can be had, a small file system that somebody fills. Elsewhere the
//! spool can make no files.

use std::io::Write;
use std::path::PathBuf;

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::disk::Disk;
use guardhouse_tests::sentry::Sentry;
use serde_json::Value;

/// A disk that can be full.
pub(crate) struct Full {
    cache: Scratch,
    disk: Option<Disk>,
}

impl Full {
    pub(crate) fn new() -> Self {
        let cache = Scratch::new();
        let disk = Disk::mount(&cache.path().join("disk"));
        Self { cache, disk }
    }

    /// The directory that is on it.
    pub(crate) fn path(&self) -> PathBuf {
        self.cache.path().join("disk")
    }

    /// What the application needs to know to find it full, where it is not a real one.
    pub(crate) fn options(&self) -> Vec<String> {
        let imitated = self.disk.is_none();
        let options = ["--full-when".to_owned(), self.filler().display().to_string()];
        options.into_iter().filter(|_| imitated).collect()
    }

    /// Whether somebody fills it.
    pub(crate) fn set_full(&self, is_full: bool) {
        match (is_full, self.filler().exists()) {
            (true, false) => self.fill(),
            (false, true) => self.empty(),
            _ => {}
        }
    }

    fn start(&self, sentry: &Sentry, release: &str) -> Desk {
        let mut command =
            Desk::command(env!("CARGO_BIN_EXE_desk"), &self.cache.path().join("disk"));
        command.args(["--dsn", &sentry.dsn(), "--shutdown", "300", "--release", release]);
        if self.disk.is_none() {
            command.arg("--full-when").arg(self.filler());
        }
        Desk::launch_as(&mut command).started()
    }

    fn filler(&self) -> PathBuf {
        let folder = if self.disk.is_some() { "disk" } else { "" };
        self.cache.path().join(folder).join("filler")
    }

    /// Somebody else fills it, to the last byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        if self.disk.is_some() {
            for size in [64 * 1024, 1024, 1] {
                while file.write_all(&vec![b'x'; size]).is_ok() {}
            }
            file.sync_all().unwrap();
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

/// What a run does at its end on a full disk, and the outcome and the errors of its session.
const ENDS: [(&[&str], &str, u64); 5] = [
    (&["close 300"], "exited", 4),
    (&["drop"], "exited", 4),
    (&["kill"], "abnormal", 4),
    (&["panic boom", "close 300"], "crashed", 5),
    (&["panic boom", "kill"], "crashed", 5),
];

#[test]
fn promise_7_the_outcome_of_a_run_is_known_also_if_it_ended_on_a_full_disk() {
    for (words, outcome, errors) in ENDS {
        let (full, sentry) = (Full::new(), Sentry::start());
        sentry.refuse_connections();
        let mut run = full.start(&sentry, "desk@1");
        run.ask("error before");
        run.ask("event 1 00000000000000000000000000000001");
        full.fill();
        run.ask("error on a full disk");
        // When it answers, what came before is handled.
        run.ask("event 1 00000000000000000000000000000002");
        let mut is_killed = false;
        for word in words {
            match *word {
                "kill" => {
                    run.kill();
                    is_killed = true;
                }
                word => drop(run.ask(word)),
            }
        }
        if !is_killed {
            run.wait();
        }
        // The next start finds the disk still full, and is killed.
        let mut hapless = full.start(&sentry, "desk@2");
        hapless.ask("flush 200");
        hapless.kill();
        full.empty();
        sentry.recover();
        let mut last = full.start(&sentry, "desk@3");
        assert!(last.ask("close 60000").starts_with("closed true"), "{words:?}");

        let sessions = sentry.items("session");
        let of_run: Vec<&Value> =
            sessions.iter().filter(|it| it["attrs"]["release"] == "desk@1").collect();
        let ends: Vec<&&Value> = of_run.iter().filter(|it| it["status"] != "ok").collect();
        let [end] = ends[..] else { panic!("{words:?}: {of_run:#?}") };
        assert_eq!((end["status"].as_str(), end["errors"].as_u64()), (Some(outcome), Some(errors)));
    }
}
