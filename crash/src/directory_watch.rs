//! Notices when something is removed from a directory, or the directory itself is.
//!
//! The system tells it on Linux, so nobody has to look again and again; elsewhere it is not noticed.

use std::io;
use std::path::Path;

/// A directory that is watched, until this is dropped.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use guardhouse_crash::directory_watch::DirectoryWatch;
///
/// let directory = std::env::temp_dir().join(format!("guardhouse-doc-{}", std::process::id()));
/// std::fs::create_dir(&directory)?;
/// let watch = DirectoryWatch::new(&directory)?;
/// std::fs::remove_dir(&directory)?;
/// # #[cfg(target_os = "linux")]
/// watch.removed().await?;
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct DirectoryWatch {
    #[cfg(target_os = "linux")]
    events: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
impl DirectoryWatch {
    /// Watches a directory.
    ///
    /// # Errors
    ///
    /// If there is none at this path, or the system watches as many as it will.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has I/O enabled.
    pub fn new(directory: &Path) -> io::Result<Self> {
        use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
        use tokio::io::Interest;
        use tokio::io::unix::AsyncFd;

        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let removed = WatchFlags::DELETE | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        inotify::add_watch(&events, directory, removed | WatchFlags::ONLYDIR)?;
        // SAFETY: An `OwnedFd` is the same open descriptor for as long as it is there.
        let events = unsafe { AsyncFd::register_with_interest(events, Interest::READABLE) }?;
        Ok(Self { events })
    }

    /// Waits until something is removed. It may be dropped at any time, and called again.
    ///
    /// # Errors
    ///
    /// If the system does not tell it any more.
    pub async fn removed(&self) -> io::Result<()> {
        /// What the system tells is read so much at a time.
        const PIECE_BYTES: usize = 4096;

        let mut piece = [0; PIECE_BYTES];
        let mut ready = self.events.readable().await?;
        // All that it has told is one thing: whoever asks looks what is missing.
        loop {
            match ready.try_io(|events| Ok(rustix::io::read(events, &mut piece)?)) {
                Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_would_wait) => return Ok(()),
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl DirectoryWatch {
    /// Watches nothing.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn new(_directory: &Path) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Never ends.
    ///
    /// # Errors
    ///
    /// Never.
    pub async fn removed(&self) -> io::Result<()> {
        std::future::pending().await
    }
}
