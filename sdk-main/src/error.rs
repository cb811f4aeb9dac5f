//! Why [`init`](crate::init) could not start, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use guardhouse_protocol::NamespaceError;

use crate::outbox::spool::SpoolError;

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
    /// An address is none that can be sent to. Whoever configured the application has to correct it.
    Address {
        /// The option that it was given to.
        option: &'static str,
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
        source: SpoolError,
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
            Self::Namespace(error) => write!(f, "the IPC namespace is not valid: {error}"),
            Self::SampleRate(rate) => {
                write!(f, "the sample rate {rate} is not valid; it has to be between 0 and 1")
            }
            Self::Address { option, reason } => {
                write!(f, "the address of `{option}` cannot be used: {reason}")
            }
            Self::NoCacheDir => f.write_str(
                "there is no directory for what waits to be sent, since the environment names no \
                 home; set one with `Options::cache_dir`",
            ),
            Self::CacheDir { path, source } => write!(
                f,
                "{} cannot be used for what waits to be sent: {source}; make it writable, or set \
                 another with `Options::cache_dir`",
                path.display()
            ),
            Self::DiskHangs { path } => write!(
                f,
                "a disk does not answer: {}, the directory for sockets or a file of certificates; what                  is captured waits in memory until it does. Nothing is wrong with the application; see                  to the disk, or set another directory with `Options::cache_dir`",
                path.display()
            ),
            Self::Certificates { path, reason } => write!(
                f,
                "the certificates in {} cannot be used: {reason}; `Options::ca_certificates` needs a \
                 readable file in PEM format",
                path.display()
            ),
            Self::Thread(error) => {
                write!(f, "the system refused a thread to report from: {error}")
            }
        }
    }
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Dsn { source, .. } => Some(source),
            Self::Namespace(error) => Some(error),
            Self::CacheDir { source, .. } => Some(source),
            Self::Thread(error) => Some(error),
            Self::AlreadyRunning
            | Self::SampleRate(_)
            | Self::Address { .. }
            | Self::NoCacheDir
            | Self::DiskHangs { .. }
            | Self::Certificates { .. } => None,
        }
    }
}
