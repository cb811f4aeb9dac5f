//! The address at which main listens, and what all who come there share.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};

use guardhouse_process::lock;
use uuid::Uuid;

use super::caller::Caller;
use super::peer::Ends;
use super::seats::Seats;
use super::waiting::Waiting;
use crate::ipc::Service;

/// Where requests arrive.
#[derive(Debug)]
pub(crate) struct Door {
    pub(super) service: Service,
    /// What `Host` has to be.
    pub(super) host: String,
    /// Who waits for a push.
    pub(super) waiting: Waiting,
    /// How many connections each renderer has.
    pub(super) seats: Seats,
    /// Who is connected, the oldest first; and some who are gone.
    callers: Mutex<VecDeque<Weak<Caller>>>,
}

impl Door {
    pub(crate) fn new(service: Service, address: SocketAddr) -> Self {
        Self {
            service,
            host: address.to_string(),
            waiting: Waiting::default(),
            seats: Seats::default(),
            callers: Mutex::default(),
        }
    }

    /// Lets a connection in, if there is room. If there are too many, the one that rests the longest has to
    /// go, which costs its renderer no more than to connect again. If only newcomers are too many, the
    /// oldest of them has to: whoever means it well shows its secret at once, so who came first has
    /// waited for nothing good.
    pub(super) fn let_in(&self, ends: Option<Ends>) -> Option<Arc<Caller>> {
        let room = self.service.room();
        let mut callers = lock(&self.callers);
        callers.retain(|it| it.strong_count() > 0);
        let present = || callers.iter().filter_map(Weak::upgrade);
        let place = room.protocol().or_else(|| {
            let resting = present().filter_map(|caller| Some((caller.rests_since()?, caller)));
            let (_, longest) = resting.min_by_key(|(since, _)| *since)?;
            self.service.turn_away(
                "connections",
                format_args!("a connection was closed that rested, since there are too many"),
            );
            longest.leave()
        })?;
        let unproven = room.unproven().or_else(|| {
            let place = present().find_map(|caller| caller.make_room())?;
            self.service.turn_away(
                "connections",
                format_args!(
                    "a connection was closed that had not shown yet whose it is, since too many others \
                     had not either"
                ),
            );
            Some(place)
        })?;
        let caller = Arc::new(Caller::newcomer(ends, place, unproven));
        callers.push_back(Arc::downgrade(&caller));
        Some(caller)
    }

    /// Closes the connections of renderers that have made place for others.
    pub(super) fn close(&self, replaced: &[Uuid]) {
        if replaced.is_empty() {
            return;
        }
        for caller in lock(&self.callers).iter().filter_map(Weak::upgrade) {
            if caller.renderer().is_some_and(|renderer| replaced.contains(&renderer)) {
                drop(caller.leave());
            }
        }
    }
}
