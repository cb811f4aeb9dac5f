//! The address at which main listens, and what all who come there share.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};

use guardhouse_process::lock;

use super::caller::Caller;
use super::seats::Seats;
use super::waiting::Waiting;
use crate::ipc::Service;
use crate::ipc::room::Share;

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
    /// Who has not shown yet who it is, the oldest first; and some who have, or are gone.
    newcomers: Mutex<VecDeque<Weak<Caller>>>,
}

impl Door {
    pub(crate) fn new(service: Service, address: SocketAddr) -> Self {
        Self {
            service,
            host: address.to_string(),
            waiting: Waiting::default(),
            seats: Seats::default(),
            newcomers: Mutex::default(),
        }
    }

    /// Lets a connection in, if there is room. If only newcomers are too many, the oldest of them has
    /// to go: whoever means it well shows its secret at once, so who came first has waited for
    /// nothing good.
    pub(super) fn let_in(&self) -> Option<(Arc<Caller>, Share)> {
        let room = self.service.room();
        let place = room.protocol()?;
        let mut newcomers = lock(&self.newcomers);
        let unproven = room.unproven().or_else(|| {
            let oldest = std::iter::from_fn(|| newcomers.pop_front());
            let place = oldest.filter_map(|it| it.upgrade()?.make_room()).next()?;
            self.service.turn_away(
                "connections",
                format_args!(
                    "a connection was closed that had not shown yet whose it is, since too many others \
                     had not either"
                ),
            );
            Some(place)
        })?;
        let caller = Arc::new(Caller::newcomer(unproven));
        newcomers.retain(|it| it.upgrade().is_some_and(|caller| caller.is_newcomer()));
        newcomers.push_back(Arc::downgrade(&caller));
        Some((caller, place))
    }
}
