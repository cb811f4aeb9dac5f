//! A real child process with the renderer SDK in it, driven from a test.
//!
//! The binary `helm` of this package does what it is told, line by line, and answers. It is driven as
//! a [`Desk`] is, and finds its main in the directory that it is given.
//!
//! | told | answers | |
//! |---|---|---|
//! | `capture TEXT`, `error TEXT` | `captured ID` | a message or an error |
//! | `fill NUMBER` | `done` | captures so many messages, numbered on from the last time |
//! | `crumb TEXT`, `tag KEY VALUE` | `done` | the process's scope; with `sentry-` before it that of `sentry` |
//! | `scope-all`, `scope-nothing` | `done` | something of each kind in the process's scope, and nothing |
//! | `log TEXT`, `metric NAME VALUE` | `done` | |
//! | `transaction NAME` | `trace HEADER` | continues main's trace, and ends at once |
//! | `headers` | `headers NAME=VALUE …` | of main's trace |
//! | `feedback TEXT` | `feedback JSON` | when there is an answer |
//! | `attach EVENT BYTES …` | `attached taken BYTES`, `attached declined WHY`, `attached lost` | [when it is known](crate::handed) |
//! | `watch NAME`, `beat NAME`, `pause NAME`, `resume NAME`, `unwatch NAME` | `done` | a heartbeat |
//! | `flush MS`, `close MS`, `drop` | `flushed BOOL MS`, `closed BOOL MS`, `dropped MS` | after the end also `left THREADS` |
//! | `panic TEXT`, `abort TEXT` | `panicked MS`, nothing | a thread panics, and the process aborts; without a text it only aborts |
//! | `unwind TEXT` | nothing | the main thread panics, and drops the guard |
//! | `way` | `way classic`, `way protocol`, `way none` | |
//! | `await WAY` | the same, once it is so | |
//! | `threads`, `again`, `exit CODE` | `threads N`, `failed WHY`, nothing | |
//!
//! Its first argument is its name; `--threshold MS` says after what time without a beat a thread hangs.

use std::path::Path;
use std::process::Command;

use crate::desk::{self, Desk};

/// The command that starts the binary under a name, for a test to add to. `runtime_dir` is where the
/// notes of mains lie: the `XDG_RUNTIME_DIR` of the main that it is to find.
pub fn command(binary: &str, runtime_dir: &Path, name: &str) -> Command {
    let mut command = desk::bare(binary);
    command.env("XDG_RUNTIME_DIR", runtime_dir).arg(name);
    command
}

/// Starts the binary under a name with further options, and waits until it runs.
///
/// # Panics
///
/// If it does not come to run.
#[track_caller]
pub fn start(binary: &str, runtime_dir: &Path, name: &str, options: &[&str]) -> Desk {
    Desk::launch_as(command(binary, runtime_dir, name).args(options)).started()
}
