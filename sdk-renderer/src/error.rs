//! Why [`init`](crate::init) could not start, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use guardhouse_protocol::{Namespace, NamespaceError, PayloadError};

/// Why [`init`](crate::init) could not start. The process runs on without it: nothing is reported, and
/// all functions of this crate and of `sentry` do nothing.
///
/// That there is no main is no reason: it may come later.
#[derive(Debug)]
#[non_exhaustive]
pub enum InitError {
    /// It is running already. The application has called [`init`](crate::init) a second time before
    /// the first guard was dropped, or uses `guardhouse-main` in the same process.
    AlreadyRunning,
    /// The namespace is none. The application has to choose another, the same as in main.
    Namespace(NamespaceError),
    /// The namespace that this process has set is not that of the main process that has started it. The
    /// application has to set the same in both, or none in this one.
    OtherNamespace {
        /// What this process has set.
        set: Namespace,
        /// What the main process has.
        main: Namespace,
    },
    /// The name of the process is none. The application has to choose another.
    Name(PayloadError),
    /// The sample rate is not between 0 and 1. The application has to correct it.
    SampleRate(f32),
    /// A value is none that anything could work with. The application has to correct it.
    Invalid {
        /// The option that it was given to.
        option: &'static str,
        /// The value.
        value: String,
    },
    /// Nothing could be left in the directory of
    /// [`Options::spool_dir`](crate::Options::spool_dir). The application has to name another, or the
    /// user has to change its permissions.
    SpoolDir {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The system gave no thread, as it does when a limit of processes is reached.
    Thread(io::Error),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRunning => f.write_str(
                "guardhouse is running in this process already; call `init` once and keep its guard \
                 until the end",
            ),
            Self::Namespace(error) => write!(f, "`Options::ipc_namespace` is not valid: {error}"),
            Self::OtherNamespace { set, main } => write!(
                f,
                "this process has set the IPC namespace \"{set}\", and the main process that has \
                 started it has \"{main}\"; set the same in both with `Options::ipc_namespace`, or \
                 leave it out here, which takes over main's"
            ),
            Self::Name(error) => {
                // It is a name and not a member of something to whoever reads this.
                let why = match error {
                    PayloadError::Invalid { why, .. } => why.clone(),
                    error => error.to_string(),
                };
                write!(f, "`Options::new` cannot use this name of the process: {why}; give another")
            }
            Self::SampleRate(rate) => write!(
                f,
                "the sample rate {rate} of `Options::sentry` is not valid; it has to be between 0 and 1"
            ),
            Self::Invalid { option, value } => write!(
                f,
                "{value} cannot be what `Options::{option}` is: nothing could wait for main; give more, \
                 or leave it out for the default"
            ),
            Self::SpoolDir { path, source } => write!(
                f,
                "nothing could be left for main in {} ({source}); name a directory that can be written \
                 with `Options::spool_dir`, or leave it out",
                path.display()
            ),
            Self::Thread(error) => write!(
                f,
                "the system refused a thread to report from ({error}); raise the limits of processes \
                 and of open files"
            ),
        }
    }
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Namespace(error) => Some(error),
            Self::Name(error) => Some(error),
            Self::Thread(error) | Self::SpoolDir { source: error, .. } => Some(error),
            Self::AlreadyRunning
            | Self::OtherNamespace { .. }
            | Self::SampleRate(_)
            | Self::Invalid { .. } => None,
        }
    }
}
