//! How much of main native renderers may take up together.
//!
//! These bounds are what main's memory for IPC adds up to, whatever renderers do: the messages of each
//! connection that have no answer yet, what is read ahead of each, and a few large messages at a time
//! of all of them. The documentation of main states the sum.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use guardhouse_process::lock;
use guardhouse_protocol::limits::KIB;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// So many connections are open at the same time, over each way.
pub(crate) const CONNECTIONS: usize = 320;
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
/// So many large messages are in memory at the same time, of all renderers, and of one.
const LARGE: usize = 4;
const LARGE_OF_ONE: usize = 2;
/// So long a large message may take from its first bytes to its last.
pub(crate) const LARGE_TIME: Duration = Duration::from_secs(60);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Room {
    large: Arc<Semaphore>,
    /// Of each renderer that has a large message under way.
    own: Mutex<HashMap<Uuid, Weak<Semaphore>>>,
    classic: Arc<Semaphore>,
    protocol: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
}

/// A share of something. Dropping it gives it back.
pub(crate) type Share = OwnedSemaphorePermit;

/// A large message's place among all, and among those of its renderer.
#[derive(Debug)]
pub(crate) struct LargeShare {
    _own: Share,
    _all: Share,
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

    /// Waits until there is room for a large message of a renderer. One that has several under way
    /// waits for itself first, so that it keeps no place from others.
    pub(crate) async fn large(&self, renderer: Uuid) -> Option<LargeShare> {
        let own = {
            let mut all = lock(&self.own);
            let own = all.get(&renderer).and_then(Weak::upgrade);
            own.unwrap_or_else(|| {
                all.retain(|_, own| own.strong_count() > 0);
                let own = Arc::new(Semaphore::new(LARGE_OF_ONE));
                all.insert(renderer, Arc::downgrade(&own));
                own
            })
        };
        let own = own.acquire_owned().await.ok()?;
        let all = self.large.clone().acquire_owned().await.ok()?;
        Some(LargeShare { _own: own, _all: all })
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
