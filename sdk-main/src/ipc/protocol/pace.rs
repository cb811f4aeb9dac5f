//! How long the head of a request may take.
//!
//! hyper has a limit of its own, but that one runs while nothing is asked too, and would close each
//! connection that is kept for the next request. This one begins with the first byte of a request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::ipc::room::HELLO_TIME;

/// How many requests have begun to be answered, and how many are: while one is being answered, the
/// number is odd. The connection counts, its [`Paced`] looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    steps: Arc<AtomicUsize>,
}

/// A request is being answered until it is dropped.
#[derive(Debug)]
pub(super) struct Answering(Arc<AtomicUsize>);

impl Pace {
    /// The head of a request is there.
    pub(super) fn answering(&self) -> Answering {
        self.steps.fetch_add(1, Ordering::Relaxed);
        Answering(self.steps.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A stream on which heads do not take for ever.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    pace: Pace,
    /// When the head that has begun has to be there, and at which step it began.
    head: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Pace) -> Self {
        Self { stream, pace, head: None }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let step = self.pace.steps.load(Ordering::Relaxed);
        let is_answering = step % 2 == 1;
        // What was waited for has come.
        self.head.take_if(|(begun, _)| *begun != step);
        let before = buffer.filled().len();
        if let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            if !is_answering && self.head.is_none() && buffer.filled().len() > before {
                self.head = Some((step, Box::pin(sleep(HELLO_TIME))));
            }
            return Poll::Ready(outcome);
        }
        let Some((_, head)) = &mut self.head else { return Poll::Pending };
        ready!(head.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
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

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
