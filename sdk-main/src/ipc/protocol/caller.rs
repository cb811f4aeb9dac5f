//! Who is at the other end of a connection.

use std::sync::Mutex;

use guardhouse_process::lock;
use guardhouse_protocol::http::Answer;
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

use super::door::Door;
use super::refusal::Refusal;
use super::seats::Seat;
use crate::ipc::renderers::Way;
use crate::ipc::room::{HELLO_TIME, Share};
use crate::ipc::service::Linked;

/// A stranger until it shows a secret or says a good hello, then a renderer.
#[derive(Debug)]
pub(crate) struct Caller {
    standing: Mutex<Standing>,
    changed: Notify,
}

#[derive(Debug)]
enum Standing {
    /// It has a place among those who have shown nothing yet.
    Newcomer(Share),
    /// Its place is another's now.
    ToldToGo,
    /// The connection counts as open for this renderer.
    Known { renderer: Uuid, _linked: Linked, _seat: Seat },
}

/// Why a connection is closed whose requests would have been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwelcome {
    /// It has not shown in time whose it is.
    Slow,
    /// Another one got its place.
    Crowded,
}

impl Caller {
    pub(super) fn newcomer(place: Share) -> Self {
        Self { standing: Mutex::new(Standing::Newcomer(place)), changed: Notify::new() }
    }

    pub(super) fn is_newcomer(&self) -> bool {
        matches!(*lock(&self.standing), Standing::Newcomer(_))
    }

    /// It has shown that it is this renderer. If it was another one before, which main does not know
    /// any more, the connection counts as open for the present one only. Refuses one of too many.
    pub(super) fn is_known(&self, door: &Door, renderer: Uuid) -> Result<(), Refusal> {
        let mut standing = lock(&self.standing);
        if matches!(*standing, Standing::Known { renderer: id, .. } if id == renderer) {
            return Ok(());
        }
        let Some(_seat) = door.seats.take(renderer) else {
            let why = "the renderer has as many connections as it may; it should close some";
            return Err(Refusal::new(Answer::Busy, "connections", why).and_hangs_up());
        };
        let _linked = door.service.link(renderer, Way::Protocol);
        let known = Standing::Known { renderer, _linked, _seat };
        let former = std::mem::replace(&mut *standing, known);
        drop(standing);
        drop(former);
        self.changed.notify_one();
        Ok(())
    }

    /// Gives its place to another, unless it is known by now.
    pub(super) fn make_room(&self) -> Option<Share> {
        let mut standing = lock(&self.standing);
        match std::mem::replace(&mut *standing, Standing::ToldToGo) {
            Standing::Newcomer(place) => {
                self.changed.notify_one();
                Some(place)
            }
            other => {
                *standing = other;
                None
            }
        }
    }

    /// Ends when the connection is to be closed. For one that is known it never ends, and wakes nobody.
    pub(super) async fn unwelcome(&self) -> Unwelcome {
        let is_late = timeout(HELLO_TIME, self.changed.notified()).await.is_err();
        let unwelcome = match &*lock(&self.standing) {
            Standing::Newcomer(_) if is_late => Some(Unwelcome::Slow),
            Standing::ToldToGo => Some(Unwelcome::Crowded),
            _ => None,
        };
        match unwelcome {
            Some(unwelcome) => unwelcome,
            None => std::future::pending().await,
        }
    }
}
