//! The application of `examples/native`: a main process and two renderers, one of them killed.
//!
//! The processes are real, and say themselves what they do. What arrives at the mock Sentry of the
//! tests is shown and checked in [`arrived`].

use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use guardhouse_tests::desk::Scratch;
use guardhouse_tests::sentry::Sentry;

use super::{arrived, check, failed, heading};
use crate::Failure;
use crate::workspace::{cargo, succeeds, target};

/// The processes, and how each is shown.
const PROCESSES: [(&str, &str); 3] =
    [("main", "main"), ("settings", "settings (classic)"), ("worker", "worker (protocol)")];

/// What must be seen to happen, by whom. In which order is up to the application.
const HAPPENS: [(&str, &str); 7] = [
    ("settings", "reaches main, way: classic"),
    ("settings", "reports an error: the disk is full"),
    ("settings", "main has it on disk: true"),
    ("worker", "reaches main, way: protocol"),
    ("worker", "panics"),
    ("main", "kills settings"),
    ("main", "ends; is anything left for the next start? false"),
];

/// So long the application may be silent: only what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays it.
pub(super) fn run() -> Result<(), Failure> {
    heading("An application of three processes, of which each fails in its own way");
    build()?;
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    println!("Main knows the DSN of a Sentry at {}; the others do not.\n", sentry.address());

    let (lines, mut main) = start(cache.path(), &sentry)?;
    let said = show(&lines);
    if said.is_err() {
        let _ = main.kill();
    }
    let status = main.wait().map_err(failed)?;
    let said = said?;
    check(status.success(), &format!("main ended with {status}"))?;
    for (process, what) in HAPPENS {
        let is_so = said.iter().any(|(by, line)| by == process && line == what);
        check(is_so, &format!("nobody heard {process} say {what:?}"))?;
    }
    arrived::show(&sentry)?;
    check(cache.files().is_empty(), "something was left on disk")
}

fn build() -> Result<(), Failure> {
    let mut command = cargo(["build", "--locked", "-p", "guardhouse-example-native"]);
    if succeeds(&mut command).map_err(failed)? {
        Ok(())
    } else {
        Err(failed("examples/native does not compile"))
    }
}

/// Starts main, in directories of its own, and gives the lines that it and its children print.
fn start(cache: &Path, sentry: &Sentry) -> Result<(Receiver<String>, Child), Failure> {
    let name = format!("guardhouse-example-native{}", std::env::consts::EXE_SUFFIX);
    let (reader, writer) = pipe().map_err(failed)?;
    let mut command = Command::new(target().join("debug").join(name));
    for variable in ["SENTRY_RELEASE", "SENTRY_ENVIRONMENT", "SENTRY_TRACE", "SENTRY_BAGGAGE"] {
        command.env_remove(variable);
    }
    command
        .env("SENTRY_DSN", sentry.dsn())
        .env("XDG_CACHE_HOME", cache)
        .env("LOCALAPPDATA", cache)
        .env("RUST_BACKTRACE", "0")
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer);
    let main = command.spawn().map_err(failed)?;
    // With it goes this process's end of the pipe, so that the others' end is seen.
    drop(command);
    Ok((listen(reader), main))
}

fn listen(reader: PipeReader) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Prints what the processes say until all of them have ended, each line with who said it.
fn show(lines: &Receiver<String>) -> Result<Vec<(String, String)>, Failure> {
    let mut said: Vec<(String, String)> = Vec::new();
    loop {
        let line = match lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Ok(said),
            Err(RecvTimeoutError::Timeout) => return Err(failed("the application hangs")),
        };
        // What Rust itself says of a panic has no name in front. It comes right after the panic.
        let named = line.split_once(": ").filter(|(name, _)| is_process(name));
        let (name, what) = match (named, said.last()) {
            (Some((name, what)), _) => (name.to_owned(), what.to_owned()),
            (None, Some((name, _))) => (name.clone(), format!("  {line}")),
            (None, None) => return Err(failed(line)),
        };
        if what.trim().is_empty() || what.contains("RUST_BACKTRACE") {
            continue;
        }
        println!("  {:<20}{what}", shown(&name));
        said.push((name, what));
    }
}

fn is_process(name: &str) -> bool {
    PROCESSES.iter().any(|(process, _)| *process == name)
}

/// A process as it is shown: with the way on which it reports.
pub(super) fn shown(name: &str) -> &str {
    PROCESSES.iter().find(|(process, _)| *process == name).map_or(name, |(_, shown)| shown)
}
