//! A process that main starts. It knows no DSN: what it captures goes to main, which sends it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it says what it does")]

use std::error::Error;
use std::time::Duration;

use guardhouse_renderer::sentry::{self, Breadcrumb};
use guardhouse_renderer::{Guard, IpcMode, Options, Way, init};

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "settings".into());
    let is_worker = name == "worker";

    // An application of your own leaves the mode out: the socket is taken, or HTTP if that fails.
    let mode = if is_worker { IpcMode::Protocol } else { IpcMode::Classic };
    let options = Options::new(&name).ipc_namespace("example-native").ipc_mode(mode);
    let guard = init(options).map_err(|error| error.to_string())?;

    // Nobody has to wait for main. Here it is done to show on which way main is reached.
    guard.flush(Duration::from_secs(5));
    eprintln!("{name}: reaches main, way: {}", guard.way().map_or("none", Way::name));

    if is_worker {
        work();
    } else {
        show_settings(&guard);
    }
    Ok(())
}

/// Reports an error, and is there until main kills it.
fn show_settings(guard: &Guard) {
    guardhouse_renderer::set_tag("view", "accounts");
    leave_breadcrumb("settings", "the user clicked Save");

    let error = std::io::Error::other("the disk is full");
    eprintln!("settings: reports an error: {error}");
    sentry::capture_error(&error);

    // Here it has to be waited for, since main is about to kill this process.
    let main_has_it = guard.flush(Duration::from_secs(5));
    eprintln!("settings: main has it on disk: {main_has_it}");
    println!("ready");
    // Until main kills it, or is gone itself.
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Panics. That is reported, too, before the process ends.
fn work() {
    guardhouse_renderer::set_tag("job", "index");
    leave_breadcrumb("worker", "began to index 41 sheets");
    eprintln!("worker: panics");
    panic!("sheet 42 has no columns");
}

fn leave_breadcrumb(process: &str, message: &str) {
    eprintln!("{process}: {message}");
    sentry::add_breadcrumb(Breadcrumb { message: Some(message.into()), ..Breadcrumb::default() });
}
