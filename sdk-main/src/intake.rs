//! What renderers say, judged: bytes become messages, or counted refusals.
//!
//! Intake is what stands between a renderer and everything else in main. It takes bytes, who said
//! them and the time, and promises that one bad renderer, malformed, forged, flooding or huge, changes
//! nothing for the others and costs bounded memory. Whoever has an [`Accepted`] has something
//! well-formed that its sender may say. Who the sender is has been proved before, by the connection or
//! the host; what the message does is left to [`merge`](crate::merge) and those behind it.
//!
//! It judges in this order, the cheapest first, and looks at bytes only when all before is settled:
//!
//! 1. The channel is one on which renderers speak, and the message no larger than the contract allows.
//! 2. The renderer has budget for it, as the contract declares for each channel.
//! 3. There is room in memory: for this renderer, and for all of them together.
//! 4. The bytes mean something.
//! 5. The items of an envelope are a renderer's to send ([`may_be_sent`]) and such that Sentry takes
//!    them. Those that are not are taken out and counted; the rest of the envelope goes on.
//!
//! Everything that is refused is counted twice, for two readers: by refusal and renderer for people
//! ([`Intake::refusals`]), and by category for Sentry ([`Intake::take_losses`]).

mod budget;
mod items;
mod refusal;
mod renderer;
mod room;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use guardhouse_protocol::contract::OverBudget;
use guardhouse_protocol::{Channel, Envelope, ItemType, Message};
use uuid::Uuid;

pub use items::may_be_sent;
pub use refusal::{Refusal, Refusals, Refused};
pub use room::Hold;

use crate::losses::{Category, Losses, Reason};
use items::{count, sift};
use refusal::Detail;
use renderer::Renderer;
use room::Room;

/// Most renderers that are remembered. An application has dozens; beyond this the one that was not
/// heard for the longest time is [forgotten](Intake::forget).
const RENDERERS: usize = 1024;

/// Which renderer it is. Main hands these out, so nobody else can claim one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RendererId(Uuid);

impl RendererId {
    /// The renderer with this id.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for RendererId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether the sender of a message can be held up: what [`OverBudget::Wait`] depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It forgets what it says at once, as the SDK in a page does. What cannot be taken now is refused.
    Forgets,
    /// Main can hold it up by not reading on, so nothing has to be lost.
    Waits,
    /// It can be held up, and no renderer within its budget wants anything. So it may go beyond its
    /// own; what it uses up counts all the same.
    Alone,
}

/// What became of what a renderer said.
#[derive(Debug)]
pub enum Outcome {
    /// It goes on.
    Taken(Box<Accepted>),
    /// There is nothing to be done now: it was only a report of losses, which was taken over; or it is
    /// kept, in place of what the renderer said of the same kind before, and comes out of
    /// [`Intake::poll`] when there is budget. It can be answered as if it were taken.
    Coalesced,
    /// Not yet: the sender waits. Do not read on from it, and hand this in again.
    NotYet {
        /// What the renderer said.
        payload: Bytes,
        /// When there is budget for it; or nothing, if it is memory that lacks: when a [`Hold`] was
        /// dropped, it is worth trying again.
        until: Option<Instant>,
    },
    /// It was refused, and counted.
    Refused(Refused),
}

/// What a renderer said and may say.
#[derive(Debug)]
pub struct Accepted {
    /// Who said it.
    pub renderer: RendererId,
    /// What was said.
    pub message: Message,
    /// What was taken out of it, each counted already.
    pub taken_out: Vec<Refused>,
    /// Its share of the memory. Drop it when the message is no longer in memory: spooled, or merged
    /// into what has a bound of its own.
    pub hold: Hold,
}

/// What renderers say, judged.
///
/// - **Getters**: [`refusals`](Self::refusals), [`held_bytes`](Self::held_bytes).
/// - **`handle`**: [`handle`](Self::handle), for each message.
/// - **Mutators**: [`forget`](Self::forget), when a renderer is gone; [`take_losses`](Self::take_losses),
///   when a client report is written.
/// - **`poll`**: [`poll_timeout`](Self::poll_timeout) says when to call [`poll`](Self::poll), which is
///   asked until it has nothing more. Between those there is nothing to do.
///
/// ```
/// use std::time::Instant;
///
/// use bytes::Bytes;
/// use guardhouse_main::intake::{Intake, Outcome, Patience, RendererId};
/// use guardhouse_protocol::{Channel, Message};
/// use uuid::Uuid;
///
/// let mut intake = Intake::new(Intake::DEFAULT_MEMORY_BYTES);
/// let page = RendererId::new(Uuid::from_u128(7));
/// let envelope = "{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"session\"}\n{}\n";
///
/// let outcome = intake.handle(
///     page,
///     Channel::Envelope,
///     Bytes::from(envelope),
///     Patience::Forgets,
///     Instant::now(),
/// );
/// let Outcome::Taken(accepted) = outcome else { panic!("this may be said") };
/// let Message::Envelope(envelope) = accepted.message else { panic!("it is an envelope") };
/// assert_eq!(envelope.items().len(), 1);
/// assert_eq!(
///     accepted.taken_out[0].to_string(),
///     "renderer 00000000-0000-0000-0000-000000000007, channel envelope: an item of type \
///      `session` is not a renderer's to send; turn off what sends it there, main does it itself"
/// );
/// ```
#[derive(Debug)]
pub struct Intake {
    room: Room,
    renderers: BTreeMap<RendererId, Renderer>,
    refusals: Refusals,
    losses: Losses,
}

impl Intake {
    /// How much of what was accepted is held in memory, unless the application says otherwise.
    pub const DEFAULT_MEMORY_BYTES: usize = Room::DEFAULT_BYTES;

    /// An intake that has accepted at most so many bytes that are still held. No renderer has more than
    /// a quarter of them, so that a flood of one leaves room for the others; but the largest message
    /// fits always, so less than four of those is as much as four.
    pub fn new(memory_bytes: usize) -> Self {
        Self {
            room: Room::new(memory_bytes),
            renderers: BTreeMap::new(),
            refusals: Refusals::default(),
            losses: Losses::new(),
        }
    }

    /// Judges what a renderer said on a channel. The times of all calls ascend.
    pub fn handle(
        &mut self,
        id: RendererId,
        channel: Channel,
        payload: Bytes,
        patience: Patience,
        now: Instant,
    ) -> Outcome {
        let declaration = channel.declaration();
        let Some(terms) = declaration.budget else {
            return self.refuse(id, channel, &payload, Refusal::MainSpeaks, Detail::None);
        };
        if payload.len() > declaration.max_opening_bytes() {
            return self.refuse(id, channel, &payload, Refusal::TooLarge, Detail::None);
        }

        self.make_place(id);
        let renderer = self.renderers.entry(id).or_insert_with(|| Renderer::new(now));
        renderer.heard = now;
        let held = Arc::clone(&renderer.held);
        let budget = renderer.budget(channel, &terms, now);
        let can_wait = patience != Patience::Forgets;
        let mut is_kept = false;
        if let Some(until) = budget.lacks(payload.len(), now) {
            match terms.over {
                OverBudget::Wait if patience == Patience::Alone => {}
                OverBudget::Wait if can_wait => {
                    return Outcome::NotYet { payload, until: Some(until) };
                }
                OverBudget::Wait | OverBudget::Refuse => {
                    let detail = Detail::Until(until);
                    return self.refuse(id, channel, &payload, Refusal::OverBudget, detail);
                }
                OverBudget::Coalesce => is_kept = true,
            }
        }
        let Some(hold) = self.room.hold(&held, payload.len()) else {
            if can_wait && terms.over == OverBudget::Wait {
                return Outcome::NotYet { payload, until: None };
            }
            return self.refuse(id, channel, &payload, Refusal::NoRoom, Detail::None);
        };
        if !is_kept {
            budget.spend(payload.len());
        }
        let is_native = can_wait;
        self.read(id, channel, payload, hold, (is_kept, is_native))
    }

    /// Judges whether a piece of a stream that was opened may come now, and if not, when. Its bytes mean
    /// nothing, so there is nothing else to judge. The times of all calls ascend.
    pub fn handle_piece(
        &mut self,
        id: RendererId,
        channel: Channel,
        bytes: usize,
        patience: Patience,
        now: Instant,
    ) -> Result<(), Instant> {
        let Some(terms) = channel.declaration().budget else { return Ok(()) };
        self.make_place(id);
        let renderer = self.renderers.entry(id).or_insert_with(|| Renderer::new(now));
        renderer.heard = now;
        let budget = renderer.budget(channel, &terms, now);
        match budget.lacks(bytes, now) {
            Some(until) if patience != Patience::Alone => Err(until),
            _ => {
                budget.spend(bytes);
                Ok(())
            }
        }
    }

    /// The next of what was [coalesced](Outcome::Coalesced) and for which there is budget now.
    pub fn poll(&mut self, now: Instant) -> Option<Accepted> {
        self.renderers.values_mut().find_map(|renderer| renderer.poll(now))
    }

    /// When [`poll`](Self::poll) has something, if it will.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.renderers.values().filter_map(Renderer::timeout).min()
    }

    /// Forgets a renderer that is gone. What was refused of it stays counted in the total.
    pub fn forget(&mut self, renderer: RendererId) {
        self.renderers.remove(&renderer);
        self.refusals.forget(renderer);
    }

    /// What was refused, by refusal and renderer.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// What was refused, as Sentry counts it. It is counted from zero again after that.
    pub fn take_losses(&mut self) -> Losses {
        self.losses.take()
    }

    /// How many bytes of what was accepted are still held.
    pub fn held_bytes(&self) -> usize {
        self.room.held_bytes()
    }

    /// Forgets the renderer that was not heard for the longest time, if a new one needs its place.
    fn make_place(&mut self, id: RendererId) {
        if self.renderers.len() < RENDERERS || self.renderers.contains_key(&id) {
            return;
        }
        let oldest = self.renderers.iter().min_by_key(|(_, renderer)| renderer.heard);
        if let Some(oldest) = oldest.map(|(&id, _)| id) {
            self.forget(oldest);
        }
    }

    fn read(
        &mut self,
        id: RendererId,
        channel: Channel,
        payload: Bytes,
        hold: Hold,
        (is_kept, is_native): (bool, bool),
    ) -> Outcome {
        let mut message = match Message::parse(channel, payload.clone()) {
            Ok(message) => message,
            Err(error) => {
                let detail = Detail::Message(Box::new(error));
                return self.refuse(id, channel, &payload, Refusal::Malformed, detail);
            }
        };
        let mut taken_out = Vec::new();
        if let Message::Envelope(envelope) | Message::Feedback(envelope) = &mut message {
            let is_feedback = channel == Channel::Feedback;
            if is_native && self.take_reports(envelope) && envelope.items().is_empty() {
                return Outcome::Coalesced;
            }
            if is_feedback && !items::has_feedback(envelope) {
                return self.refuse(id, channel, &payload, Refusal::NotFeedback, Detail::None);
            }
            for (item, refusal, detail) in sift(envelope, is_feedback) {
                count(&mut self.losses, &item, Reason::Invalid);
                self.refusals.count(id, refusal);
                taken_out.push(Refused::new(id, channel, refusal, detail));
            }
            if envelope.items().is_empty() {
                // What was in it is counted by now.
                self.refusals.count(id, Refusal::NothingLeft);
                let detail = Detail::TakenOut(taken_out);
                let refused = Refused::new(id, channel, Refusal::NothingLeft, detail);
                return Outcome::Refused(refused);
            }
        }
        let accepted = Accepted { renderer: id, message, taken_out, hold };
        let Some(renderer) = self.renderers.get_mut(&id) else {
            return Outcome::Taken(Box::new(accepted));
        };
        if !is_kept {
            renderer.replace(&accepted.message);
            return Outcome::Taken(Box::new(accepted));
        }
        if renderer.keep(payload.len(), accepted) {
            return Outcome::Coalesced;
        }
        self.refuse(id, channel, &payload, Refusal::OverBudget, Detail::None)
    }

    /// Takes over what the SDK of a native renderer has counted as lost, which nobody else knows. Says
    /// whether there was something. A page's SDK loses nothing without main, so a page has nothing to
    /// say about it.
    fn take_reports(&mut self, envelope: &mut Envelope) -> bool {
        let reports = envelope.retain(|item| item.item_type() != ItemType::ClientReport);
        for report in &reports {
            self.losses.count_item(report, Reason::Ignored);
        }
        !reports.is_empty()
    }

    /// Refuses a message as a whole and counts what was in it.
    fn refuse(
        &mut self,
        id: RendererId,
        channel: Channel,
        payload: &Bytes,
        refusal: Refusal,
        detail: Detail,
    ) -> Outcome {
        let reason = match refusal {
            Refusal::OverBudget | Refusal::NoRoom => Reason::BufferOverflow,
            _ => Reason::Invalid,
        };
        self.count_message(channel, payload, refusal, reason);
        self.refusals.count(id, refusal);
        Outcome::Refused(Refused::new(id, channel, refusal, detail))
    }

    /// Counts what a message stands for that was refused as a whole. What is in an envelope is found
    /// without looking into most of it; one that cannot be read, or is too large to be looked at, is
    /// one of whatever its channel is for. What is no telemetry is no loss to Sentry.
    fn count_message(
        &mut self,
        channel: Channel,
        payload: &Bytes,
        refusal: Refusal,
        reason: Reason,
    ) {
        let bytes = payload.len() as u64;
        match channel {
            Channel::Envelope | Channel::Feedback => {
                let is_looked_at = !matches!(refusal, Refusal::TooLarge | Refusal::Malformed);
                match is_looked_at.then(|| Envelope::parse(payload.clone())) {
                    Some(Ok(envelope)) => {
                        for item in envelope.items() {
                            count(&mut self.losses, item, reason);
                        }
                    }
                    _ if channel == Channel::Feedback => {
                        self.losses.count(Category::Feedback, reason, 1);
                    }
                    _ => self.losses.count(Category::Default, reason, 1),
                }
            }
            Channel::StructuredLog => {
                self.losses.count(Category::LogItem, reason, 1);
                self.losses.count(Category::LogByte, reason, bytes);
            }
            Channel::Metric => {
                self.losses.count(Category::TraceMetric, reason, 1);
                self.losses.count(Category::TraceMetricByte, reason, bytes);
            }
            _ => {}
        }
    }
}
