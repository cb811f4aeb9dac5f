//! How much of main native renderers may take up together.
//!
//! These bounds are what main's memory for IPC adds up to, whatever renderers do: the messages of each
//! renderer that have no answer yet, what is read ahead of each connection, and a few large messages at
//! a time of all of them. The documentation of main states the sum.
//!
//! For the classic way that is at most, with all [`CONNECTIONS`] open and full, 64 KiB that are read at
//! a time and 128 KiB of frames that have begun for each, and [`MESSAGES_BYTES`] for each renderer,
//! which is 124 MiB; and for
//! [`LARGE`] messages of 32 MiB, while their buffers grow by a quarter, 160 MiB. No test fills both.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use guardhouse_process::lock;
use guardhouse_protocol::limits::{KIB, MIB};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// So many connections are open at the same time, over each way.
pub(crate) const CONNECTIONS: usize = 320;
/// So many of them a renderer has over the classic way. It needs one, and another while main has not
/// seen yet that the first is gone.
pub(crate) const CONNECTIONS_EACH: usize = 16;
/// So many of them, over each way, have not shown yet who they are.
pub(crate) const UNPROVEN: usize = 64;
/// So long a connection may take to show who it is, and a request to have its head and body there.
pub(crate) const HELLO_TIME: Duration = Duration::from_secs(5);
/// So many messages of a renderer are without an answer.
pub(crate) const MESSAGES: usize = 64;
/// So many bytes they have together, apart from large ones.
pub(crate) const MESSAGES_BYTES: usize = 256 * KIB;
/// What is larger than this is a large message.
pub(crate) const SMALL_BYTES: usize = 64 * KIB;
/// So many large messages are in memory at the same time, of all renderers, and of one.
const LARGE: usize = 4;
const LARGE_OF_ONE: usize = 2;
/// So many bytes must be there before a large message is read on: for its buffer while it grows, and for
/// what is made of it. Where the process may not have so many, it would be ended in the middle.
const LARGE_MEMORY: usize = 80 * MIB;
/// So often it is looked whether they are there, as long as a large message waits for them.
const LOOK_FOR_MEMORY: Duration = Duration::from_secs(1);
/// So long a large message may take from its first bytes to its last.
pub(crate) const LARGE_TIME: Duration = Duration::from_secs(60);
/// So many bytes of a large message come in a second at least, after the first seconds. There are few
/// places for such messages, and whoever only holds one should not keep others waiting.
pub(crate) const SLOWEST_BYTES: usize = MIB;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Room {
    large: Arc<Semaphore>,
    /// Of each renderer that takes some up.
    own: Mutex<HashMap<Uuid, Weak<Own>>>,
    classic: Arc<Semaphore>,
    protocol: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
}

/// A share of something. Dropping it gives it back.
pub(crate) type Share = OwnedSemaphorePermit;

/// What one renderer may take up, over all of its connections, and longer than they are open: what it
/// said waits in main all the same.
#[derive(Debug)]
pub(crate) struct Own {
    large: Arc<Semaphore>,
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// How many of its messages wait for room here.
    held_up: AtomicUsize,
}

/// Whether the system would give so many bytes more. Nothing is touched, so it takes microseconds.
fn is_there(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}

/// A large message's place among all, and among those of its renderer.
#[derive(Debug)]
pub(crate) struct LargeShare {
    _share: Share,
    _all: Share,
    _own: Arc<Own>,
}

/// What a message takes up: of its renderer's room, and of what all have for large ones.
#[derive(Debug)]
pub(crate) struct Shares {
    own: OwnShares,
    _large: Option<LargeShare>,
}

/// What is left of that when the message is out of memory, and its answer is not written yet.
#[derive(Debug)]
pub(crate) struct OwnShares {
    _message: Share,
    _bytes: Share,
    _own: Arc<Own>,
}

impl Shares {
    /// The message is answered, and out of memory. What is left of it is the answer, which is small: a
    /// renderer that does not read it should not keep the place of a large message.
    pub(crate) fn answered(self) -> OwnShares {
        self.own
    }
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            large: Arc::new(Semaphore::new(LARGE)),
            own: Mutex::default(),
            classic: Arc::new(Semaphore::new(CONNECTIONS)),
            protocol: Arc::new(Semaphore::new(CONNECTIONS)),
            unproven: Arc::new(Semaphore::new(UNPROVEN)),
        }
    }

    /// The room of a renderer.
    fn of(&self, renderer: Uuid) -> Arc<Own> {
        let mut all = lock(&self.own);
        if let Some(own) = all.get(&renderer).and_then(Weak::upgrade) {
            return own;
        }
        all.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Own {
            large: Arc::new(Semaphore::new(LARGE_OF_ONE)),
            messages: Arc::new(Semaphore::new(MESSAGES)),
            bytes: Arc::new(Semaphore::new(MESSAGES_BYTES)),
            held_up: AtomicUsize::new(0),
        });
        all.insert(renderer, Arc::downgrade(&own));
        own
    }

    /// Waits until there is room for a large message of a renderer. One that has several under way
    /// waits for itself first, so that it keeps no place from others.
    pub(crate) async fn large(&self, renderer: Uuid) -> Option<LargeShare> {
        let own = self.of(renderer);
        let _waits = Waits::new(&own);
        let share = own.large.clone().acquire_owned().await.ok()?;
        let all = self.large.clone().acquire_owned().await.ok()?;
        while !is_there(LARGE_MEMORY) {
            tokio::time::sleep(LOOK_FOR_MEMORY).await;
        }
        Some(LargeShare { _share: share, _all: all, _own: own.clone() })
    }

    /// Waits until there is room for a message of a renderer. One that is large has its place already.
    pub(crate) async fn message(
        &self,
        renderer: Uuid,
        length: usize,
        large: Option<LargeShare>,
    ) -> Option<Shares> {
        let own = self.of(renderer);
        let _waits = Waits::new(&own);
        let message = own.messages.clone().acquire_owned().await.ok()?;
        let bytes = if large.is_some() { 0 } else { length.min(SMALL_BYTES) };
        let bytes = own.bytes.clone().acquire_many_owned(bytes as u32).await.ok()?;
        let own = OwnShares { _message: message, _bytes: bytes, _own: own.clone() };
        Some(Shares { own, _large: large })
    }

    /// Whether a renderer is not heard since there is no room for what it says.
    pub(crate) fn holds_up(&self, renderer: Uuid) -> bool {
        let own = lock(&self.own).get(&renderer).and_then(Weak::upgrade);
        own.is_some_and(|own| own.held_up.load(Ordering::Relaxed) > 0)
    }

    /// Room for a classic connection, if there is some.
    pub(crate) fn classic(&self) -> Option<Share> {
        self.classic.clone().try_acquire_owned().ok()
    }

    /// Room for a connection of the protocol, if there is some.
    pub(crate) fn protocol(&self) -> Option<Share> {
        self.protocol.clone().try_acquire_owned().ok()
    }

    /// Room for somebody who has not shown who it is, if there is some.
    pub(crate) fn unproven(&self) -> Option<Share> {
        self.unproven.clone().try_acquire_owned().ok()
    }
}

/// Somebody waits for room, until this is dropped.
struct Waits(Arc<Own>);

impl Waits {
    fn new(own: &Arc<Own>) -> Self {
        own.held_up.fetch_add(1, Ordering::Relaxed);
        Self(own.clone())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.held_up.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn what_a_renderer_takes_up_outlives_its_connections() {
        run(async {
            let (room, renderer) = (Room::new(), Uuid::from_u128(1));
            let mut shares = Vec::new();
            for _ in 0..MESSAGES {
                shares.push(room.message(renderer, 1, None).await.unwrap());
            }
            // As another connection of it would.
            let mut next = Box::pin(room.message(renderer, 1, None));
            assert!(futures_poll(&mut next).is_none());
            assert!(room.holds_up(renderer));
            let other = room.message(Uuid::from_u128(2), 1, None).await;
            assert!(other.is_some() && !room.holds_up(Uuid::from_u128(2)));
            shares.pop();
            assert!(next.await.is_some());
            assert!(!room.holds_up(renderer));
        });
    }

    #[test]
    fn no_renderer_has_all_places_for_large_messages() {
        run(async {
            let (room, greedy) = (Room::new(), Uuid::from_u128(1));
            let mut shares = Vec::new();
            for _ in 0..LARGE_OF_ONE {
                shares.push(room.large(greedy).await.unwrap());
            }
            let mut third = Box::pin(room.large(greedy));
            assert!(futures_poll(&mut third).is_none());
            assert!(room.large(Uuid::from_u128(2)).await.is_some());
        });
    }

    /// Polls once.
    fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
