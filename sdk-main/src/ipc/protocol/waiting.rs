//! Who waits for a push. A renderer has one request for each channel; another ends the first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use guardhouse_process::lock;
use guardhouse_protocol::Channel;
use tokio::sync::Notify;
use uuid::Uuid;

type Key = (Uuid, Channel);

/// The requests that wait. There are never more than connections.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    waits: Mutex<BTreeMap<Key, Arc<Notify>>>,
}

/// A request that waits until it is dropped.
#[derive(Debug)]
pub(super) struct Wait<'a> {
    waiting: &'a Waiting,
    key: Key,
    told: Arc<Notify>,
}

impl Waiting {
    /// A request begins to wait, and the one before it ends.
    pub(super) fn begin(&self, renderer: Uuid, channel: Channel) -> Wait<'_> {
        let (key, told) = ((renderer, channel), Arc::new(Notify::new()));
        if let Some(former) = lock(&self.waits).insert(key, told.clone()) {
            former.notify_one();
        }
        Wait { waiting: self, key, told }
    }

    /// Ends all requests of a renderer.
    pub(super) fn end(&self, renderer: Uuid) {
        for ((waits_for, _), told) in &*lock(&self.waits) {
            if *waits_for == renderer {
                told.notify_one();
            }
        }
    }
}

impl Wait<'_> {
    /// Ends when the request is to wait no longer.
    pub(super) async fn ended(&self) {
        self.told.notified().await;
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waits = lock(&self.waiting.waits);
        if waits.get(&self.key).is_some_and(|told| Arc::ptr_eq(told, &self.told)) {
            waits.remove(&self.key);
        }
    }
}
