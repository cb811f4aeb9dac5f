//! Keeps connections from children that the application forks.
//!
//! A child that is forked and starts no other program, such as a helper or a daemon, has a copy of all that
//! its parent had open. When the parent ends, whoever it was connected to would not notice as long as the
//! child lives. So what is kept from children is replaced in them by something that is at its end, right
//! after the fork.
//!
//! A child that starts another program loses it by that anyway.

#[cfg(unix)]
pub use unix::{NotForChildren, keep};

#[cfg(unix)]
mod unix {
    use std::mem::ManuallyDrop;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI32, Ordering};

    /// So many descriptors are kept from children at most. Further ones are not.
    const MOST: usize = 1024;

    /// In its place nothing is kept.
    const NONE: RawFd = -1;

    static KEPT: [AtomicI32; MOST] = [const { AtomicI32::new(NONE) }; MOST];

    /// What children have instead. Nothing if the system does not let us have it.
    static INSTEAD: OnceLock<Option<OwnedFd>> = OnceLock::new();

    /// Keeps a descriptor from children, until it is dropped.
    ///
    /// It has to be dropped before the descriptor is closed: the number may be another file's after that.
    #[derive(Debug)]
    #[must_use = "children have it as soon as this is dropped"]
    pub struct NotForChildren(Option<usize>);

    /// Keeps a descriptor from children that are forked from now on, as well as the system lets us.
    pub fn keep(descriptor: impl AsFd) -> NotForChildren {
        if INSTEAD.get_or_init(prepare).is_none() {
            return NotForChildren(None);
        }
        let number = descriptor.as_fd().as_raw_fd();
        let take = |place: &AtomicI32| {
            place.compare_exchange(NONE, number, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        NotForChildren(KEPT.iter().position(take))
    }

    impl Drop for NotForChildren {
        fn drop(&mut self) {
            if let Some(place) = self.0 {
                KEPT[place].store(NONE, Ordering::Release);
            }
        }
    }

    fn prepare() -> Option<OwnedFd> {
        use rustix::fs::{Mode, OFlags, open};
        let instead = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()?;
        // SAFETY: The function is there as long as the process, and does only what a child of a process
        // with several threads may do.
        let refused = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        (refused == 0).then_some(instead)
    }

    /// Runs in each child right after the fork, where only system calls may be made.
    unsafe extern "C" fn in_child() {
        let Some(Some(instead)) = INSTEAD.get() else { return };
        for kept in &KEPT {
            let number = kept.load(Ordering::Acquire);
            if number != NONE {
                // SAFETY: It was open when it was put there, and is taken out before it is closed.
                let kept = unsafe { OwnedFd::from_raw_fd(number) };
                replace(&mut ManuallyDrop::new(kept), instead.as_fd());
            }
        }
    }

    fn replace(kept: &mut OwnedFd, instead: BorrowedFd<'_>) {
        #[cfg(not(target_vendor = "apple"))]
        let _ = rustix::io::dup3(instead, kept, rustix::io::DupFlags::CLOEXEC);
        #[cfg(target_vendor = "apple")]
        let _ = rustix::io::dup2(instead, kept);
    }
}

/// A connection that children do not have.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub struct Own<S> {
    // The first, so that it is dropped before the connection is closed.
    #[cfg(unix)]
    _kept: NotForChildren,
    stream: S,
}

#[cfg(all(feature = "tokio", unix))]
impl<S: std::os::fd::AsFd> Own<S> {
    /// Keeps a connection from children.
    pub fn new(stream: S) -> Self {
        Self { _kept: keep(&stream), stream }
    }
}

#[cfg(all(feature = "tokio", not(unix)))]
impl<S> Own<S> {
    /// Nothing has to be done for it here.
    pub fn new(stream: S) -> Self {
        Self { stream }
    }
}

#[cfg(feature = "tokio")]
mod io {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::Own;

    impl<S: AsyncRead + Unpin> AsyncRead for Own<S> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_read(context, buffer)
        }
    }

    impl<S: AsyncWrite + Unpin> AsyncWrite for Own<S> {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.stream).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(context)
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(context)
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            pieces: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
        }

        fn is_write_vectored(&self) -> bool {
            self.stream.is_write_vectored()
        }
    }
}
