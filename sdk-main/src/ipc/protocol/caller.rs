//! Who is at the other end of a connection.

use std::sync::Mutex;

use guardhouse_process::fair_timeout::timeout;
use guardhouse_process::lock;
use guardhouse_protocol::http::Answer;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::door::Door;
use super::peer::Ends;
use super::refusal::Refusal;
use super::seats::Seat;
use crate::ipc::renderers::Way;
use crate::ipc::room::{HELLO_TIME, Share};
use crate::ipc::service::Linked;

/// A stranger until it shows a secret or says a good hello, then a renderer.
#[derive(Debug)]
pub(crate) struct Caller {
    ends: Option<Ends>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    /// Its place among all connections, until it is another's.
    place: Option<Share>,
    /// How many of its requests are without an answer.
    under_way: usize,
    /// When the last one was answered.
    answered: Instant,
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

/// A request of a connection, until it is answered.
#[derive(Debug)]
pub(super) struct Request<'a>(&'a Caller);

impl Caller {
    pub(super) fn newcomer(ends: Option<Ends>, place: Share, unproven: Share) -> Self {
        let state = State {
            standing: Standing::Newcomer(unproven),
            place: Some(place),
            under_way: 0,
            answered: Instant::now(),
        };
        Self { ends, state: Mutex::new(state), changed: Notify::new() }
    }

    /// The renderer that it is.
    pub(super) fn renderer(&self) -> Option<Uuid> {
        match lock(&self.state).standing {
            Standing::Known { renderer, .. } => Some(renderer),
            _ => None,
        }
    }

    /// The process that it is, if that is the one that it says.
    pub(super) async fn process(&self, said: u32) -> Option<u32> {
        self.ends?.are_of(said).await.then_some(said)
    }

    /// It has shown that it is this renderer. If it was another one before, which main does not know
    /// any more, the connection counts as open for the present one only. Refuses one of too many.
    pub(super) fn is_known(&self, door: &Door, renderer: Uuid) -> Result<(), Refusal> {
        let mut state = lock(&self.state);
        match state.standing {
            Standing::Known { renderer: id, .. } if id == renderer => return Ok(()),
            Standing::ToldToGo => return Err(too_many()),
            _ => {}
        }
        let process = door.service.process_of(renderer);
        let Some(_seat) = door.seats.take(renderer, process) else { return Err(too_many()) };
        let _linked = door.service.link(renderer, Way::Protocol);
        let known = Standing::Known { renderer, _linked, _seat };
        let former = std::mem::replace(&mut state.standing, known);
        drop(state);
        drop(former);
        self.changed.notify_one();
        Ok(())
    }

    /// Gives its place among newcomers to another, unless it is known by now.
    pub(super) fn make_room(&self) -> Option<Share> {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut state.standing, Standing::ToldToGo) {
            Standing::Newcomer(place) => {
                self.changed.notify_one();
                Some(place)
            }
            other => {
                state.standing = other;
                None
            }
        }
    }

    /// Since when a renderer that is known has asked for nothing.
    pub(super) fn rests_since(&self) -> Option<Instant> {
        let state = lock(&self.state);
        let is_known = matches!(state.standing, Standing::Known { .. });
        (is_known && state.under_way == 0).then_some(state.answered)
    }

    /// Has to go. Gives its place among all to another.
    pub(super) fn leave(&self) -> Option<Share> {
        let mut state = lock(&self.state);
        let former = std::mem::replace(&mut state.standing, Standing::ToldToGo);
        let place = state.place.take();
        drop(state);
        drop(former);
        self.changed.notify_one();
        place
    }

    /// It asks for something.
    pub(super) fn asks(&self) -> Request<'_> {
        lock(&self.state).under_way += 1;
        Request(self)
    }

    /// Ends when the connection is to be closed. One that is known wakes nobody before.
    pub(super) async fn unwelcome(&self) -> Unwelcome {
        let mut is_late = timeout(HELLO_TIME, self.changed.notified()).await.is_err();
        loop {
            match lock(&self.state).standing {
                Standing::Newcomer(_) if is_late => return Unwelcome::Slow,
                Standing::ToldToGo => return Unwelcome::Crowded,
                _ => {}
            }
            self.changed.notified().await;
            is_late = false;
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.under_way -= 1;
        state.answered = Instant::now();
    }
}

fn too_many() -> Refusal {
    let why =
        "the renderer, or its process, has as many connections as it may; it should close some";
    Refusal::new(Answer::Busy, "connections", why).and_hangs_up()
}
