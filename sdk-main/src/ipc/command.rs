//! How a child that main starts gets to know main.

use std::process::Command;

use guardhouse_process::meeting::NOTE_VARIABLE;
use guardhouse_protocol::Trace;
use sentry::Hub;

use crate::guard::Guard;

/// Prepares a process that is about to be started, so that `guardhouse_renderer::init` in it finds
/// this main and no other.
///
/// The child inherits a socket of its own, so there is nothing that it has to guess and nothing that
/// somebody else could pretend to be; in its environment it finds where main can be reached should
/// that socket break, and the trace that is going on (`SENTRY_TRACE`, `SENTRY_BAGGAGE`), which it
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
        if let Some(note) = &guard.note {
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

/// The trace that is going on here, as its headers say it.
pub(crate) fn current_trace() -> Option<Trace> {
    let hub = Hub::current();
    let client = hub.client()?;
    let (_, sentry_trace) = hub.configure_scope(|scope| {
        scope.iter_trace_propagation_headers().find(|(name, _)| *name == "sentry-trace")
    })?;
    let mut parts = sentry_trace.split('-');
    let (trace_id, is_sampled) = (parts.next(), parts.nth(1));
    let options = client.options();
    let public_key = options.dsn.as_ref().map(|dsn| dsn.public_key().to_owned());
    let known = [
        ("trace_id", trace_id),
        ("public_key", public_key.as_deref()),
        ("release", options.release.as_deref()),
        ("environment", options.environment.as_deref()),
        ("sampled", is_sampled.map(|sampled| if sampled == "1" { "true" } else { "false" })),
    ];
    let baggage: Vec<String> = known
        .into_iter()
        .filter_map(|(key, value)| Some(format!("sentry-{key}={}", percent_encoded(value?))))
        .collect();
    Trace::new(&sentry_trace, Some(&baggage.join(","))).ok()
}

/// The text as W3C Baggage wants it: everything but what is harmless is escaped.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd_in_a_baggage_is_escaped() {
        assert_eq!(percent_encoded("my app@1.0,ä"), "my%20app%401.0%2C%C3%A4");
    }
}
