//! A disk that does not answer holds up the thread of the SDK, and nobody else.
//!
//! It is a real one where that can be had, a file system that is frozen. Elsewhere the spool hangs at its
//! first step.

use std::path::Path;
use std::process::Command;

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::disk::Disk;
use guardhouse_tests::sentry::{Sentry, a_session, an_event};

/// A main whose disk hangs while it starts.
struct Hung {
    desk: Desk,
    disk: Option<Disk>,
    cache: Scratch,
}

impl Hung {
    #[track_caller]
    fn start(sentry: &Sentry) -> Self {
        let cache = Scratch::new();
        let directory = cache.path().join("disk");
        let disk = Disk::mount(&directory);
        let mut command = Desk::command(env!("CARGO_BIN_EXE_desk"), &directory);
        command.args(["--dsn", &sentry.dsn(), "--debug", "--shutdown", "200"]);
        match &disk {
            Some(disk) => disk.freeze(),
            None => drop(command.args(["--hang-at", "Lock"])),
        }
        // That it says so is what is shown: `init` has returned.
        Self { desk: Desk::launch_as(&mut command).started(), disk, cache }
    }

    fn thaw(&mut self) {
        match &self.disk {
            Some(disk) => disk.thaw(),
            None => assert_eq!(self.desk.ask("go-on"), "done"),
        }
    }
}

#[test]
fn promise_5_init_returns_on_a_hung_disk_and_what_is_captured_is_sent_when_it_comes_back() {
    let sentry = Sentry::start();
    sentry.expect(an_event().with_message("captured while it hung").times(1));
    sentry.expect(a_session().with_status("exited").times(1));
    sentry.expect(a_session().with_status("ok").times(1));
    let mut hung = Hung::start(&sentry);
    let error = hung.desk.ask("startup");
    assert!(error.contains("does not answer"), "{error}");
    assert!(hung.desk.ask("capture captured while it hung").starts_with("captured "));
    assert!(hung.desk.ask("flush 100").starts_with("flushed false"));
    hung.thaw();
    assert!(hung.desk.ask("flush 60000").starts_with("flushed true"));
    assert_eq!(hung.desk.ask("startup"), "startup fine");
    assert!(hung.desk.ask("close 60000").starts_with("closed true"));
    sentry.verify();
    let stderr = {
        hung.desk.hang_up();
        hung.desk.kill();
        hung.desk.stderr()
    };
    assert!(stderr.contains("does not answer") && stderr.contains("answers now"), "{stderr}");
    drop(hung.cache);
}

#[test]
fn promise_5_the_end_returns_on_a_hung_disk() {
    for end in ["close 200", "drop"] {
        let sentry = Sentry::start();
        let mut hung = Hung::start(&sentry);
        hung.desk.ask("capture lost, as it was nowhere but in memory");
        let answer = hung.desk.ask(end);
        assert!(answer.starts_with("closed false") || answer.starts_with("dropped "), "{answer}");
        // Before that the system cannot end the process.
        if hung.disk.is_some() {
            hung.thaw();
        }
    }
}

#[test]
fn promise_5_a_disk_that_fails_after_it_hung_is_told_by_flush_and_guard() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let options = ["--hang-at", "Lock", "--debug"];
    let mut desk = super::desk(&cache, &sentry, &options);
    assert!(desk.ask("startup").contains("does not answer"));
    desk.ask("capture lost");
    assert_eq!(desk.ask("fail"), "done");
    // It says nothing before the disk has answered.
    while desk.ask("startup").contains("does not answer") {}
    let error = desk.ask("startup");
    assert!(error.contains("the disk has failed in a test"), "{error}");
    assert!(desk.ask("flush 60000").starts_with("flushed false"));
    assert!(desk.ask("close 60000").starts_with("closed false"));
}

/// The directory with the endpoint files hangs; that of the cache does not.
#[test]
fn promise_5_init_and_starting_a_child_return_on_a_hung_runtime_directory() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let runtime = cache.path().join("runtime");
    let Some(disk) = Disk::mount(&runtime) else {
        // A spool that hangs instead: the ways for renderers are opened after it.
        let mut desk = super::desk(&cache, &sentry, &["--hang-at", "Lock"]);
        return starts_a_child(&mut desk, |desk| drop(desk.ask("go-on")));
    };
    let mut command = Desk::command(env!("CARGO_BIN_EXE_desk"), &cache.path().join("cache"));
    command.args(["--dsn", &sentry.dsn()]).env("XDG_RUNTIME_DIR", &runtime);
    disk.freeze();
    let mut desk = Desk::launch_as(&mut command).started();
    assert!(desk.ask("startup").contains("does not answer"));
    starts_a_child(&mut desk, |_| disk.thaw());
}

#[track_caller]
fn starts_a_child(desk: &mut Desk, go_on: impl FnOnce(&mut Desk)) {
    let cache = Scratch::new();
    let socket = cache.path().join("helm");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let started = desk.ask(&format!("child helper {}", socket.display()));
    assert!(started.starts_with("started "), "{started}");
    go_on(desk);
    // It has a socket of its own, and main serves it when the disk is back.
    let connected = listener.accept().unwrap();
    while !desk.ask("renderers").contains("helper") {}
    drop(connected);
    assert!(desk.ask("close 60000").starts_with("closed "));
}

fn plant_fifo(path: &Path) {
    let status = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(status.success());
}

#[test]
fn promise_5_what_is_planted_in_place_of_files_holds_nobody_up() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.expect(an_event().with_message("told").times(1));
    let runtime = guardhouse_tests::desk::runtime_of(cache.path()).join("guardhouse");
    std::fs::create_dir_all(&runtime).unwrap();
    for name in ["0123456789abcdef.lock", "1123456789abcdef.main", "2123456789abcdef.main"] {
        plant_fifo(&runtime.join(name));
    }
    std::fs::write(runtime.join("2123456789abcdef.lock"), "").unwrap();
    std::os::unix::fs::symlink("/dev/zero", runtime.join("3123456789abcdef.main")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", runtime.join("3123456789abcdef.lock")).unwrap();
    for name in ["consent", "consent.tmp"] {
        plant_fifo(&cache.path().join(name));
    }
    let mut desk = super::desk(&cache, &sentry, &[]);
    assert_eq!(desk.ask("startup"), "startup fine");
    desk.ask("capture told");
    assert!(desk.ask("flush 60000").starts_with("flushed true"));
    desk.ask("give-consent");
    assert!(desk.ask("close 60000").starts_with("closed true"));
    sentry.verify();
    assert!(std::fs::symlink_metadata(runtime.join("0123456789abcdef.lock")).is_ok());
}
