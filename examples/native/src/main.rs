//! The main process of a small application. It starts two renderers, each a process of its own, and
//! whatever goes wrong in any of the three is reported from here.
#![allow(clippy::print_stderr, reason = "it says what it does")]

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use guardhouse_main::sentry::{self, Breadcrumb, Level, User};
use guardhouse_main::{CommandExt, ExitReason, Guard, Options, app, init};

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("SENTRY_DSN").is_none() {
        eprintln!("main: set SENTRY_DSN to the DSN of your project; without it nothing is sent");
    }
    // Reporting goes on for as long as the guard is there.
    let guard = init(
        Options::new(app!())
            .ipc_namespace("example-native")
            .renderer_events([ExitReason::AbnormalExit, ExitReason::Killed]),
    )
    .map_err(|error| error.to_string())?;

    // This is in the events of all processes.
    guardhouse_main::set_tag("channel", "beta");
    guardhouse_main::set_user(Some(User { id: Some("7".into()), ..User::default() }));
    leave_breadcrumb("opened budget.sheet");

    let mut settings = start(&guard, "settings")?;
    wait_until_it_speaks(&mut settings);
    let mut worker = start(&guard, "worker")?;
    wait_until_it_speaks(&mut worker);
    wait_until_gone(&guard, &worker);
    worker.wait()?;

    eprintln!("main: kills settings");
    settings.kill()?;
    wait_until_gone(&guard, &settings);
    settings.wait()?;

    eprintln!("main: reports that it is alone");
    sentry::capture_message("both renderers are gone", Level::Error);
    let is_sent = guard.close(Duration::from_secs(5));
    eprintln!("main: ends; is anything left for the next start? {}", !is_sent);
    Ok(())
}

/// Starts a renderer. With `.guardhouse(guard)` it reports to this process.
fn start(guard: &Guard, name: &str) -> Result<Child, Box<dyn Error>> {
    let renderer = format!("renderer{}", std::env::consts::EXE_SUFFIX);
    let renderer = std::env::current_exe()?.with_file_name(renderer);
    eprintln!("main: starts {name}");
    let mut command = Command::new(&renderer);
    command.arg(name).stdin(Stdio::piped()).stdout(Stdio::piped()).guardhouse(guard);
    let child = command.spawn().map_err(|error| {
        format!("{} does not start ({error}); build it with `cargo build`", renderer.display())
    })?;
    Ok(child)
}

/// Waits for a line on the standard output of a renderer, or for its end.
fn wait_until_it_speaks(renderer: &mut Child) {
    if let Some(stdout) = renderer.stdout.take() {
        let _ = BufReader::new(stdout).read_line(&mut String::new());
    }
}

/// Guardhouse notices by itself that a process is gone. This waits until it has, so that what is
/// reported next shows it. Wait for a child only then: older Linux tells how a process has ended to
/// nobody but the first who asks.
fn wait_until_gone(guard: &Guard, renderer: &Child) {
    while guard.renderers().iter().any(|known| known.pid == renderer.id()) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn leave_breadcrumb(message: &str) {
    eprintln!("main: {message}");
    sentry::add_breadcrumb(Breadcrumb { message: Some(message.into()), ..Breadcrumb::default() });
}
