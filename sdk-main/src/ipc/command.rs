//! How a child that main starts gets to know main.

use std::process::Command;

use guardhouse_process::meeting::{NAMESPACE_VARIABLE, NOTE_VARIABLE};

use super::trace::current_trace;
use crate::guard::Guard;

/// Prepares a process that is about to be started, so that `guardhouse_renderer::init` in it finds
/// this main and no other.
///
/// The child inherits a socket of its own, so there is nothing that it has to guess and nothing that
/// somebody else could pretend to be; in its environment it finds main's namespace, which it takes over unless its options set one, where
/// main can be reached should that socket break, and the trace that is going on (`SENTRY_TRACE`, `SENTRY_BAGGAGE`), which it
/// continues. A child that knows nothing of Guardhouse is not disturbed by any of it.
///
/// Set the environment first: a later `env_clear` takes it away again. Prepare a command for each
/// child: of two that are started from one, only the first has the socket; the other finds main by what
/// its environment says.
///
/// ```no_run
/// use std::process::Command;
///
/// use guardhouse_main::{CommandExt, Options, app, init};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let guard = init(Options::new(app!()).dsn("https://key@o1.ingest.sentry.io/2"))?;
/// let child = Command::new("./renderer").guardhouse(&guard).spawn()?;
/// # let _ = child;
/// # Ok(())
/// # }
/// ```
pub trait CommandExt {
    /// Prepares the process that this command will start.
    fn guardhouse(&mut self, guard: &Guard) -> &mut Self;
}

impl CommandExt for Command {
    fn guardhouse(&mut self, guard: &Guard) -> &mut Self {
        self.env(NAMESPACE_VARIABLE, guard.ipc_namespace.as_str());
        if let Some(note) = guard.house.note() {
            self.env(NOTE_VARIABLE, note);
        }
        if let Some(trace) = current_trace() {
            self.env("SENTRY_TRACE", trace.sentry_trace());
            if let Some(baggage) = trace.baggage() {
                self.env("SENTRY_BAGGAGE", baggage);
            }
        }
        #[cfg(unix)]
        give_socket(self, guard);
        self
    }
}

#[cfg(feature = "tokio-process")]
impl CommandExt for tokio::process::Command {
    fn guardhouse(&mut self, guard: &Guard) -> &mut Self {
        self.as_std_mut().guardhouse(guard);
        self
    }
}

#[cfg(unix)]
fn give_socket(command: &mut Command, guard: &Guard) {
    use guardhouse_process::meeting::SOCKET_VARIABLE;

    if !guard.ipc_mode.has_classic() {
        return;
    }
    let given = std::os::unix::net::UnixStream::pair().and_then(|(ours, theirs)| {
        guardhouse_crash::inherit::give(command, theirs.into(), SOCKET_VARIABLE)?;
        Ok(ours)
    });
    match given {
        Ok(ours) => guard.house.ask(crate::house::Visit::Inherited(ours)),
        Err(error) => guard.house.say(format_args!(
            "a child gets no socket of its own ({error}); it looks for main's note instead"
        )),
    }
}
