//! How much of main native renderers may take up together.
//!
//! These bounds are what main's memory for IPC adds up to, whatever renderers do: the messages of each
//! connection that have no answer yet, what is read ahead of each, and a few large messages at a time
//! of all of them. The documentation of main states the sum.
//!
//! For the classic way that is at most, with all [`CONNECTIONS`] open and full, 64 KiB that are read at
//! a time, 128 KiB of frames that have begun and [`MESSAGES_BYTES`] for each, which is 140 MiB; and for
//! [`LARGE`] messages of 32 MiB, while their buffers grow by a quarter, 160 MiB. No test fills both.

use std::sync::Arc;
use std::time::Duration;

use guardhouse_protocol::limits::{KIB, MIB};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many connections are open at the same time, over each way.
pub(crate) const CONNECTIONS: usize = 320;
/// So many of them a renderer has over the classic way. It needs one, and another while main has not
/// seen yet that the first is gone.
pub(crate) const CONNECTIONS_EACH: usize = 16;
/// So many of them, over each way, have not shown yet who they are.
pub(crate) const UNPROVEN: usize = 64;
/// So long a connection may take to show who it is, and a request to have its head and body there.
pub(crate) const HELLO_TIME: Duration = Duration::from_secs(5);
/// So many messages of a connection are without an answer.
pub(crate) const MESSAGES: usize = 64;
/// So many bytes they have together, apart from large ones.
pub(crate) const MESSAGES_BYTES: usize = 256 * KIB;
/// What is larger than this is a large message.
pub(crate) const SMALL_BYTES: usize = 64 * KIB;
/// So many large messages are in memory at the same time, of all renderers.
const LARGE: usize = 4;
/// So long a large message may take from its first bytes to its last.
pub(crate) const LARGE_TIME: Duration = Duration::from_secs(60);
/// So many bytes of a large message come in a second at least, after the first seconds. There are few
/// places for such messages, and whoever only holds one should not keep others waiting.
pub(crate) const SLOWEST_BYTES: usize = MIB;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Room {
    large: Arc<Semaphore>,
    classic: Arc<Semaphore>,
    protocol: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
}

/// A share of something. Dropping it gives it back.
pub(crate) type Share = OwnedSemaphorePermit;

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            large: Arc::new(Semaphore::new(LARGE)),
            classic: Arc::new(Semaphore::new(CONNECTIONS)),
            protocol: Arc::new(Semaphore::new(CONNECTIONS)),
            unproven: Arc::new(Semaphore::new(UNPROVEN)),
        }
    }

    /// Waits until there is room for a large message.
    pub(crate) async fn large(&self) -> Option<Share> {
        self.large.clone().acquire_owned().await.ok()
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
