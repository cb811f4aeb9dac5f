//! How a renderer ended, and what is recorded of it.
//!
//! [`judge`] turns what the renderer said last and what the operating system says into the
//! [`ExitReason`] that `@sentry/electron` would give; [`breadcrumb`] and [`event`] are what it records.
//! Which of them an application wants, its [`Options`](crate::Options) say. The event goes first, then
//! the breadcrumb, which is main's and there for all events that follow.
//!
//! Waiting for the end of a process, and asking how it was, is left to whoever calls; so are the
//! renderer's scope and everything else that [`merge`](crate::merge) lays over the event.

use std::fmt;

use guardhouse_crash::ending::Status;
use guardhouse_protocol::frame::Role;
use guardhouse_protocol::json::{Json, ObjectWriter};
use guardhouse_protocol::scope::{Refusal, ScopeUpdate};
use guardhouse_protocol::{EditError, Envelope, EventId, Timestamp};

use super::report::report;

/// How a renderer, or another process that reports to main, ended. The names are Electron's.
///
/// ```
/// use guardhouse_main::{ExitReason, Options, app};
///
/// let options = Options::new(app!())
///     .renderer_events(ExitReason::ALL.into_iter().filter(|it| *it != ExitReason::CleanExit));
/// # let _ = options;
/// assert_eq!(ExitReason::AbnormalExit.name(), "abnormal-exit");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ExitReason {
    /// It said goodbye, or ended with the code 0.
    CleanExit,
    /// It ended by itself, with another code and without saying goodbye. A Rust program does so when
    /// its main thread panics; if main has the panic, there is no second event of the end. On Windows it is also what a process looks like that was ended by
    /// another one, with the code 1 as [`Child::kill`](std::process::Child::kill) does or with any
    /// other.
    AbnormalExit,
    /// Somebody ended it: the application, the user, the system as it shuts down. It is also what is
    /// said where the system does not tell how a process ended: Linux before 6.15 tells main nothing
    /// of a process that the application has waited for first, or that is no child of main.
    Killed,
    /// It did what it may not do, or gave itself up: a segmentation fault, an illegal instruction,
    /// `abort`, an unhandled exception on Windows.
    Crashed,
    /// It was killed while the system ran out of memory. On Linux the system says only how many
    /// processes it has killed for that. So it may have been another one, while somebody else killed
    /// this one; and a container sees what happens in others, too.
    Oom,
    /// It ended before it had begun, since the system could not load it.
    LaunchFailed,
    /// The system refused to run it, since it is not what was signed. Only Windows says so.
    IntegrityFailure,
}

impl ExitReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CleanExit,
        Self::AbnormalExit,
        Self::Killed,
        Self::Crashed,
        Self::Oom,
        Self::LaunchFailed,
        Self::IntegrityFailure,
    ];

    /// Those that are events unless an application says otherwise: what is wrong and known from
    /// nowhere else. Of a crash there is an event with a stack.
    pub(crate) const EVENTS: [Self; 3] =
        [Self::AbnormalExit, Self::LaunchFailed, Self::IntegrityFailure];

    /// The name that Electron has for it, such as `abnormal-exit`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CleanExit => "clean-exit",
            Self::AbnormalExit => "abnormal-exit",
            Self::Killed => "killed",
            Self::Crashed => "crashed",
            Self::Oom => "oom",
            Self::LaunchFailed => "launch-failed",
            Self::IntegrityFailure => "integrity-failure",
        }
    }

    const fn level(self) -> &'static str {
        match self {
            Self::CleanExit => "debug",
            Self::AbnormalExit | Self::Killed => "warning",
            Self::Crashed | Self::Oom | Self::LaunchFailed | Self::IntegrityFailure => "fatal",
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many processes the kernel had killed for want of memory, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OomKills {
    /// When the renderer arrived.
    pub(crate) before: Option<u64>,
    /// When it had ended.
    pub(crate) after: Option<u64>,
}

impl OomKills {
    fn were_more(self) -> bool {
        matches!((self.before, self.after), (Some(before), Some(after)) if after > before)
    }
}

/// Why a renderer that had arrived is gone.
///
/// A goodbye settles it: what a process does after it is not of interest, and ending it is what many an
/// application does next. So a renderer must not say it while it panics.
///
/// What the system does not tell is [`Killed`](ExitReason::Killed). On kernels that forget how a process
/// ended as soon as somebody has waited for it, whether main still hears of it is a race against the
/// application. There main may hear less than there was, but must not make up what there was not: who
/// waits at once is mostly who has killed the process just before, and to call that abnormal would be an
/// event that accuses the renderer, now and then, of what the application did on purpose. So where the
/// race is lost the reason is less precise, and an event may be missing, but none is made up.
pub(crate) fn judge(said_goodbye: bool, end: Status, oom_kills: OomKills) -> ExitReason {
    match end {
        _ if said_goodbye => ExitReason::CleanExit,
        Status::Code(code) => judge_code(code),
        Status::Signal { number, .. } if is_of_a_crash(number) => ExitReason::Crashed,
        Status::Signal { number: SIGKILL, .. } if oom_kills.were_more() => ExitReason::Oom,
        _ => ExitReason::Killed,
    }
}

const SIGKILL: i32 = 9;

/// Elsewhere than on Windows codes go up to 255, so that none is taken for what it is there.
fn judge_code(code: i32) -> ExitReason {
    match code.cast_unsigned() {
        0 => ExitReason::CleanExit,
        // STATUS_INVALID_IMAGE_HASH.
        0xC000_0428 => ExitReason::IntegrityFailure,
        // A library is not there, lacks what is wanted of it, is for another kind of processor, or did
        // not start.
        0xC000_0135 | 0xC000_0139 | 0xC000_007B | 0xC000_0142 => ExitReason::LaunchFailed,
        // STATUS_NO_MEMORY and STATUS_COMMITMENT_LIMIT.
        0xC000_0017 | 0xC000_012D => ExitReason::Oom,
        // Ctrl-C, the end of the user's session, a debugger.
        0xC000_013A | 0x4001_0004 => ExitReason::Killed,
        // STATUS_BREAKPOINT, which is no error to Windows but ends a process that has no debugger.
        0x8000_0003 => ExitReason::Crashed,
        // Errors of the system, and exceptions of programs, such as those of C++. -1 is neither.
        code if matches!(code >> 28, 0xC | 0xE) => ExitReason::Crashed,
        _ => ExitReason::AbnormalExit,
    }
}

/// Whether a process brings this signal upon itself. Numbers differ between systems.
#[cfg(unix)]
fn is_of_a_crash(signal: i32) -> bool {
    use rustix::process::Signal;

    [Signal::SEGV, Signal::ABORT, Signal::BUS, Signal::ILL, Signal::FPE, Signal::TRAP, Signal::SYS]
        .iter()
        .any(|of_a_crash| of_a_crash.as_raw() == signal)
}

#[cfg(not(unix))]
fn is_of_a_crash(_: i32) -> bool {
    false
}

/// How many processes Linux has killed for want of memory since it started; elsewhere nobody says.
pub(crate) fn oom_kills() -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    oom_kills_in(&std::fs::read_to_string("/proc/vmstat").ok()?)
}

fn oom_kills_in(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// A process that has ended, as people are told about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// What it is called in the tag `event.process`.
    pub(crate) name: String,
    /// What kind of process it was.
    pub(crate) role: Role,
    /// Its number, if it had one that is known.
    pub(crate) pid: Option<u32>,
    /// What the system says.
    pub(crate) end: Status,
    /// What it was judged to be.
    pub(crate) reason: ExitReason,
}

impl Ended {
    fn message(&self) -> String {
        format!("'{}' process exited with '{}'", self.name, self.reason)
    }

    fn details(&self) -> Json {
        let mut details = ObjectWriter::new();
        details.member("reason", self.reason.name());
        match self.end {
            Status::Code(code) => {
                details.member("exitCode", code);
            }
            Status::Signal { number, .. } => {
                details.member("signal", number);
            }
            _ => {}
        }
        details.member("name", self.name.as_str());
        if let Some(pid) = self.pid {
            details.member("pid", pid);
        }
        details.member("type", self.role.name());
        details.finish()
    }
}

/// What main's scope gets to know of it.
pub(crate) fn breadcrumb(ended: &Ended, at: Timestamp) -> Result<ScopeUpdate, Refusal> {
    let mut breadcrumb = ObjectWriter::new();
    breadcrumb
        .member("timestamp", Json::number(at.as_seconds()))
        .member("type", "process")
        .member("category", "child-process")
        .member("message", ended.message())
        .member("level", ended.reason.level())
        .member("data", ended.details());
    ScopeUpdate::add_breadcrumb(breadcrumb.finish().as_value())
}

/// What Sentry gets to know of it. The details stand in a context, since the breadcrumb of it comes
/// only after the event.
pub(crate) fn event(ended: &Ended, at: Timestamp, id: EventId) -> Result<Envelope, EditError> {
    report(id, at, ended.reason.level(), &ended.name, &[], |event| {
        let mut contexts = ObjectWriter::new();
        contexts.member("exit", ended.details());
        event.member("message", ended.message()).member("contexts", contexts.finish());
    })
}

#[cfg(test)]
mod tests;
