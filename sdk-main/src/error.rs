//! Why [`init`](crate::init) could not start, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use guardhouse_protocol::NamespaceError;

/// Why [`init`](crate::init) could not start. The application runs on without it: nothing is
/// reported, and all functions of this crate and of `sentry` do nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum InitError {
    /// It is running already. The application has called [`init`](crate::init) a second time before
    /// the first guard was dropped.
    AlreadyRunning,
    /// The DSN is none. Whoever configured the application has to correct it.
    Dsn {
        /// Where it came from: the option or the environment variable.
        from: &'static str,
        /// What is wrong with it.
        source: sentry::types::ParseDsnError,
    },
    /// The namespace is none. The application has to choose another.
    Namespace(NamespaceError),
    /// The sample rate is not between 0 and 1. The application has to correct it.
    SampleRate(f32),
    /// A value is none that Sentry would take, or that anything could work with. Whoever configured the
    /// application has to correct it.
    Invalid(Invalid),
    /// An address is none that can be sent to. Whoever configured the application has to correct it.
    Address {
        /// The option that it was given to.
        option: &'static str,
        /// The address, without user and password.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no directory to keep anything in: the platform names none for this user. The
    /// application should name one.
    NoCacheDir,
    /// The directory to keep things in cannot be used.
    CacheDir {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk has not answered in time. [`init`](crate::init) itself does not fail with it:
    /// [`Guard::startup_error`](crate::Guard::startup_error) says it.
    DiskHangs {
        /// Where everything would be kept.
        path: PathBuf,
    },
    /// The file of certificates cannot be used. Whoever configured the application has to correct
    /// it.
    Certificates {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system gave no thread, or nothing to wait with, as it does when a limit of processes or of
    /// open files is reached.
    Thread(io::Error),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRunning => f.write_str(
                "guardhouse is running already; call `init` once and keep its guard until the end",
            ),
            Self::Dsn { from, source } => write!(
                f,
                "the DSN of {from} is not valid ({source}); copy it from the project's settings in \
                 Sentry, or leave it empty to send nothing"
            ),
            Self::Namespace(error) => write!(f, "`Options::ipc_namespace` is not valid: {error}"),
            Self::SampleRate(rate) => write!(
                f,
                "the sample rate {rate} of `Options::sample_rate` is not valid; it has to be between \
                 0 and 1"
            ),
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Address { option, address, reason } => {
                write!(f, "{address:?} of `Options::{option}` cannot be used: {reason}")
            }
            Self::NoCacheDir => f.write_str(
                "there is no directory for what waits to be sent, since the environment names no \
                 home; set one with `Options::cache_dir`",
            ),
            Self::CacheDir { source, .. } => {
                write!(f, "{source} (the option for another one is `Options::cache_dir`)")
            }
            Self::DiskHangs { path } => write!(
                f,
                "a disk does not answer: {}, the directory for sockets or a file of certificates; what \
                 is captured waits in memory until it does. Nothing is wrong with the application; see \
                 to the disk, or set another directory with `Options::cache_dir`",
                path.display()
            ),
            Self::Certificates { path, reason } => write!(
                f,
                "the file {} of `Options::ca_certificates` cannot be used: {reason}; give a readable one \
                 with certificates in PEM format",
                path.display()
            ),
            Self::Thread(error) => {
                write!(
                    f,
                    "the system refused a thread to report from ({error}); raise the limits of \
                     processes and of open files"
                )
            }
        }
    }
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Dsn { source, .. } => Some(source),
            Self::Namespace(error) => Some(error),
            Self::CacheDir { source, .. } => Some(&**source),
            Self::Thread(error) => Some(error),
            Self::AlreadyRunning
            | Self::SampleRate(_)
            | Self::Invalid(_)
            | Self::Address { .. }
            | Self::NoCacheDir
            | Self::DiskHangs { .. }
            | Self::Certificates { .. } => None,
        }
    }
}

/// A value that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    what: &'static str,
    from: String,
    value: String,
    why: String,
}

impl Invalid {
    pub(crate) fn new(what: &'static str, from: &str, value: &str, why: &str) -> Self {
        // A value may be anything, and somebody has to read it.
        const CHARS: usize = 80;
        let mut shown: String = value.chars().take(CHARS).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self { what, from: from.to_owned(), value: shown, why: why.to_owned() }
    }

    /// What the value is, such as `release`.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Where it comes from: an option or an environment variable.
    pub fn from(&self) -> &str {
        &self.from
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, from, value, why } = self;
        write!(f, "the {what} {value:?} of {from} cannot be used: {why}")
    }
}
