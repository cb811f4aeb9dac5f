//! The end of another process: [`Watched`] notices it, [`Status`] says how it went.
//!
//! The process need not be a child, and if it is one, it is still there for the application to wait
//! for. Nothing polls: the kernel says when the process has ended. How it ended is told where the
//! kernel knows:
//!
//! - Linux: of a child, and of any process of the same user that its own parent has not waited for
//!   yet; since Linux 6.15 of any process.
//! - macOS: of a child, and otherwise [`Status::Unknown`]. Compiled, but not run.
//! - Windows: of any process. Run under Wine, but never on Windows.
//!
//! What the end means, and whom to tell, is the caller's.

#[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
#[path = "ending/elsewhere.rs"]
mod system;
#[cfg(target_vendor = "apple")]
#[path = "ending/kqueue.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "ending/pidfd.rs"]
mod system;
#[cfg(windows)]
#[path = "ending/windows.rs"]
mod system;

use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};

/// A process whose end will be noticed.
///
/// It costs one descriptor or handle, and keeps nothing of the process alive but the knowledge of how
/// it ended.
#[derive(Debug)]
pub struct Watched {
    pid: u32,
    process: system::Process,
}

impl Watched {
    /// Watches the process that has this id now.
    ///
    /// Ids are used again. So open it as soon as the process has introduced itself, and then make sure
    /// that it still speaks: who does that has opened the right one.
    ///
    /// # Errors
    ///
    /// If there is no such process, or no more; if it belongs to somebody who does not let us see it;
    /// or if the system cannot watch processes (Linux before 5.3).
    ///
    /// ```no_run
    /// use guardhouse_crash::ending::Watched;
    ///
    /// # #[cfg(feature = "tokio")]
    /// # async fn example(pid: u32) -> std::io::Result<()> {
    /// let renderer = Watched::open(pid)?;
    /// let status = renderer.ended().await?;
    /// if status.is_crash() {
    ///     // …
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, process: system::Process::open(pid)? })
    }

    /// The id that the process has, or had: it may belong to another by now.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How the process ended; `None` while it has not.
    ///
    /// # Errors
    ///
    /// If the system does not say, which it has no reason for.
    pub fn status(&self) -> io::Result<Option<Status>> {
        self.process.status()
    }

    /// Waits until the process has ended, and says how.
    ///
    /// It may be dropped at any time, and called again, and several times at once.
    ///
    /// # Errors
    ///
    /// If the system lacks the resources for waiting.
    ///
    /// # Panics
    ///
    /// On Unix, outside of a tokio runtime that has I/O enabled.
    #[cfg(feature = "tokio")]
    pub async fn ended(&self) -> io::Result<Status> {
        #[cfg(windows)]
        return self.process.ended().await;
        #[cfg(unix)]
        {
            use tokio::io::Interest;
            use tokio::io::unix::AsyncFd;

            // Its own copy, since a runtime takes no descriptor twice.
            let descriptor = self.as_fd().try_clone_to_owned()?;
            // SAFETY: An `OwnedFd` is the same open descriptor for as long as it is there.
            let descriptor =
                unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?;
            loop {
                let mut ready = descriptor.readable().await?;
                if let Some(status) = self.status()? {
                    return Ok(status);
                }
                ready.clear_ready();
            }
        }
    }
}

/// Readable once the process has ended, for those who wait by other means than tokio.
#[cfg(unix)]
impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It exited with this code. On Windows that is all there is: a crash has a code too, and so has
    /// a process that another one terminated.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// Which one.
        number: i32,
        /// Whether the system wrote a core dump.
        core_dumped: bool,
    },
    /// It ended, and the system does not say how.
    Unknown,
}

impl Status {
    /// Whether the process did something that it could not survive, as opposed to having been killed
    /// or having exited, with whatever code.
    ///
    /// These are the signals of faults and of `abort`, and the codes of exceptions on Windows. An
    /// `abort` of C on Windows exits with code 3 and cannot be told.
    ///
    /// ```
    /// use guardhouse_crash::ending::Status;
    ///
    /// assert!(!Status::Code(3).is_crash());
    /// # #[cfg(unix)]
    /// assert!(Status::Signal { number: 11, core_dumped: false }.is_crash());
    /// ```
    pub fn is_crash(self) -> bool {
        match self {
            #[cfg(windows)]
            Self::Code(code) => system::is_exception(code),
            #[cfg(unix)]
            Self::Signal { number, .. } => {
                use rustix::process::Signal;

                [
                    Signal::ILL,
                    Signal::TRAP,
                    Signal::ABORT,
                    Signal::BUS,
                    Signal::FPE,
                    Signal::SEGV,
                    Signal::SYS,
                ]
                .iter()
                .any(|signal| signal.as_raw() == number)
            }
            _ => false,
        }
    }

    /// From what `wait` says.
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    fn from_wait(raw: i32) -> Self {
        use std::os::unix::process::ExitStatusExt;

        let status = std::process::ExitStatus::from_raw(raw);
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (_, Some(number)) => Self::Signal { number, core_dumped: status.core_dumped() },
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_the_id_zero() {
        assert!(Watched::open(0).is_err());
    }

    #[test]
    fn an_id_that_cannot_be_is_an_error() {
        assert!(Watched::open(u32::MAX).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn faults_are_crashes_and_kills_are_not() {
        let by = |number| Status::Signal { number, core_dumped: false };
        assert!([4, 6, 8, 11].into_iter().all(|number| by(number).is_crash()));
        assert!(![1, 2, 9, 15].into_iter().any(|number| by(number).is_crash()));
        assert!(!Status::Unknown.is_crash());
    }

    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    #[test]
    fn what_wait_says_is_understood() {
        assert_eq!(Status::from_wait(0x300), Status::Code(3));
        assert_eq!(Status::from_wait(9), Status::Signal { number: 9, core_dumped: false });
        assert_eq!(Status::from_wait(0x8b), Status::Signal { number: 11, core_dumped: true });
        assert_eq!(Status::from_wait(0x137f), Status::Unknown);
    }
}
