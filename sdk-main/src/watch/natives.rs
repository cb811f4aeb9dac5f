//! What native renderers ask for, put into practice.
//!
//! Each of their messages has an id, so that one which comes again, on whatever way, is taken once and
//! answered each time. What is beyond a renderer's budget waits here, in the renderer's own order, and
//! with it all that the renderer says after it; the connection has room for no more than a few of
//! those, so the renderer waits too. When nobody within its budget wants anything, they go on.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use guardhouse_crash::ending::{Status, Watched};
use guardhouse_process::lock;
use guardhouse_protocol::frame::MessageId;
use guardhouse_protocol::http::Answer;
use guardhouse_protocol::{Channel, FeedbackResult, StreamOpening};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::hearing::answer_feedback;
use super::{RENDERERS, Watch};
use crate::house::{Answering, MessageAnswer, Visit};
use crate::intake::{Outcome, Patience, RendererId};
use crate::ipc::ends::oom_kills;
use crate::ipc::service::{Call, StreamAnswer, StreamAnswering};
use crate::ipc::window::Window;
use crate::options::RendererInfo;
use crate::outbox::{EntryId, Outbox};
use crate::streams::{Chunked, Opened};

/// So many messages of those that wait are taken before others have their turn.
const ALONE_AT_ONCE: usize = 16;

/// So long main waits for the last connection of a process that has ended, and for another one of a
/// renderer whose end it cannot see.
const LAST_WORDS: Duration = Duration::from_secs(5);
const COME_BACK: Duration = Duration::from_secs(30);

/// So long something waits that only lacks memory.
const SOON: Duration = Duration::from_millis(50);

/// The native renderers that are there, as the SDK thread knows them.
#[derive(Default)]
pub(super) struct Natives {
    known: BTreeMap<Uuid, Native>,
    /// What only memory holds, and who wants to know when it is on disk.
    undurable: Vec<Undurable>,
    /// Who was the last to go on beyond its budget.
    last_alone: Uuid,
}

struct Native {
    seen: Window,
    waiting: VecDeque<Said>,
    /// When the first that waits may have budget.
    retry_at: Option<Instant>,
    /// How many processes the system had killed for want of memory when it came.
    oom_kills_before: Option<u64>,
    /// How its process ended, once it has.
    ended: Option<Status>,
    /// When it is given up, if no connection of it is left.
    give_up_at: Option<Instant>,
    /// What waits for the end of its process; nothing if the system did not let us.
    watching: Option<AbortHandle>,
}

impl Drop for Native {
    fn drop(&mut self) {
        if let Some(watching) = &self.watching {
            watching.abort();
        }
    }
}

/// What a renderer says, and waits where it is beyond the budget.
enum Said {
    Message { id: Option<MessageId>, channel: Channel, payload: Bytes, answer: Answering },
    Piece { id: MessageId, place: (u64, bool), data: Bytes, answer: StreamAnswering },
}

struct Undurable {
    entry: EntryId,
    renderer: Uuid,
    id: Option<MessageId>,
    answer: Answering,
}

impl Natives {
    /// Whether a message waits for budget.
    pub(super) fn is_anyone_waiting(&self) -> bool {
        self.known.values().any(|native| !native.waiting.is_empty())
    }

    /// Whether nothing was heard of a renderer because main does not read from it.
    pub(super) fn is_held_up(&self, renderer: Uuid) -> bool {
        self.known.get(&renderer).is_some_and(|native| !native.waiting.is_empty())
    }

    /// Whether it is a native renderer that is there.
    pub(super) fn knows(&self, renderer: Uuid) -> bool {
        self.known.contains_key(&renderer)
    }

    /// When there is something to do.
    pub(super) fn timeout(&self) -> Option<Instant> {
        let times = self.known.values().flat_map(|native| [native.retry_at, native.give_up_at]);
        times.flatten().min()
    }
}

impl Watch {
    /// Does what a native renderer asks for.
    pub(super) fn native(&mut self, call: Call) {
        match call {
            Call::Arrived { renderer } => self.arrived(renderer),
            Call::Said { renderer, id, channel, payload, answer } => {
                self.said(renderer, id, channel, payload, answer);
            }
            Call::Opened { renderer, id, opening, answer } => {
                self.opened(renderer, id, &opening, answer);
            }
            Call::Chunk { renderer, id, offset, is_last, data, answer } => {
                let piece = Said::Piece { id, place: (offset, is_last), data, answer };
                self.take_in_turn(renderer, piece);
            }
            Call::Left { renderer } => self.conclude(renderer, true),
            Call::Unlinked { renderer } => self.unlinked(renderer),
            Call::Ended { renderer, status } => {
                if let Some(native) = self.natives.known.get_mut(&renderer) {
                    native.ended = Some(status);
                    native.give_up_at = Some(Instant::now() + LAST_WORDS);
                }
                self.unlinked(renderer);
            }
        }
    }

    fn arrived(&mut self, renderer: Uuid) {
        let Some(known) = lock(&self.house.renderers).get(renderer) else { return };
        self.house.say(format_args!(
            "renderer {renderer} ({:?}, process {}) is there",
            known.name, known.pid
        ));
        let watching = match Watched::open(known.pid) {
            Ok(watched) => {
                let house = self.house.clone();
                let watching = tokio::spawn(async move {
                    let status = watched.ended().await.unwrap_or(Status::Unknown);
                    house.ask(Visit::Native(Call::Ended { renderer, status }));
                });
                Some(watching.abort_handle())
            }
            Err(error) => {
                self.house.say(format_args!(
                    "the end of renderer {renderer} will be seen by its connection only: {error}"
                ));
                None
            }
        };
        let info = RendererInfo::new(renderer).with_name(known.name).with_pid(known.pid);
        let native = Native {
            seen: Window::new(),
            waiting: VecDeque::new(),
            retry_at: None,
            oom_kills_before: oom_kills(),
            ended: None,
            give_up_at: None,
            watching,
        };
        self.natives.known.insert(renderer, native);
        self.heard(&info, Instant::now());
    }

    /// Takes a message, unless it was taken before.
    fn said(
        &mut self,
        renderer: Uuid,
        id: Option<MessageId>,
        channel: Channel,
        payload: Bytes,
        answer: Answering,
    ) {
        if self.house.is_too_late() {
            // Dropped without an answer, it stays with the renderer.
            return;
        }
        let Some(native) = self.natives.known.get_mut(&renderer) else {
            let gone = MessageAnswer::refused(Answer::Unproven, "main does not know the renderer");
            return answer.tell(gone);
        };
        if id.is_none_or(|id| native.seen.insert(id)) || channel == Channel::Flush {
            self.take_in_turn(renderer, Said::Message { id, channel, payload, answer });
        } else {
            self.said_again(renderer, id, channel, answer);
        }
    }

    /// Answers a message that came before: now, or when the first is answered.
    fn said_again(
        &mut self,
        renderer: Uuid,
        again: Option<MessageId>,
        channel: Channel,
        answer: Answering,
    ) {
        let waiting = self.natives.known.get_mut(&renderer).into_iter();
        let waiting = waiting.flat_map(|native| &mut native.waiting).find_map(|said| match said {
            Said::Message { id, answer, .. } if *id == again => Some(answer),
            _ => None,
        });
        let undurable = self.natives.undurable.iter_mut();
        let undurable = undurable
            .filter(|held| held.renderer == renderer && held.id == again)
            .map(|held| &mut held.answer);
        if let Some(first) = waiting.into_iter().chain(undurable).next() {
            return first.also(answer);
        }
        answer.tell(match channel {
            Channel::Feedback => MessageAnswer::Feedback(FeedbackResult::default()),
            _ => MessageAnswer::Taken,
        });
    }

    /// Begins a stream, or says how far it is.
    fn opened(
        &mut self,
        renderer: Uuid,
        id: MessageId,
        opening: &StreamOpening,
        answer: StreamAnswering,
    ) {
        if self.house.is_too_late() || !self.natives.known.contains_key(&renderer) {
            return;
        }
        answer(match self.streams.open(renderer, id, opening, &mut self.outbox) {
            Opened::At(received) => StreamAnswer::At(received),
            Opened::Complete(received) => StreamAnswer::Complete(received),
            Opened::TooMany => StreamAnswer::TooMany,
            Opened::Declined(why) => {
                self.house.say(format_args!("renderer {renderer}, attachment: {why}"));
                StreamAnswer::Declined(why)
            }
        });
    }

    /// Takes something if nothing of the renderer waits that came before, and if it may come now.
    fn take_in_turn(&mut self, renderer: Uuid, said: Said) {
        let Some(native) = self.natives.known.get_mut(&renderer) else { return };
        if native.waiting.is_empty() {
            self.try_to_take(renderer, said, Patience::Waits);
        } else {
            native.waiting.push_back(said);
        }
    }

    /// Takes something, or puts it in front of what waits. Says whether it was taken.
    fn try_to_take(&mut self, renderer: Uuid, said: Said, patience: Patience) -> bool {
        let (said, until) = match said {
            Said::Message { id, channel, payload, answer } => {
                match self.take_message(renderer, id, channel, payload, answer, patience) {
                    Some(waits) => waits,
                    None => return true,
                }
            }
            Said::Piece { id, place, data, answer } => {
                let (from, now) = (RendererId::new(renderer), Instant::now());
                match self.intake.handle_piece(from, Channel::Attachment, data.len(), patience, now)
                {
                    Ok(()) => {
                        self.take_piece(renderer, id, place, &data, answer);
                        return true;
                    }
                    Err(until) => (Said::Piece { id, place, data, answer }, Some(until)),
                }
            }
        };
        if let Some(native) = self.natives.known.get_mut(&renderer) {
            native.waiting.push_front(said);
            native.retry_at = Some(until.unwrap_or_else(|| Instant::now() + SOON));
        }
        false
    }

    /// Takes a piece of a stream.
    fn take_piece(
        &mut self,
        renderer: Uuid,
        id: MessageId,
        (offset, is_last): (u64, bool),
        data: &Bytes,
        answer: StreamAnswering,
    ) {
        answer(match self.streams.chunk(renderer, id, offset, is_last, data, &mut self.outbox) {
            Chunked::At(received) => StreamAnswer::At(received),
            Chunked::Complete(received) => StreamAnswer::Complete(received),
            Chunked::OutOfPlace(received) => StreamAnswer::OutOfPlace(received),
            Chunked::NotOpen => StreamAnswer::NotOpen,
            Chunked::Declined(why) => {
                self.house.say(format_args!("renderer {renderer}, attachment: {why}"));
                StreamAnswer::Declined(why)
            }
        });
    }

    /// Takes a message. Gives it back if it has to wait, and says until when.
    fn take_message(
        &mut self,
        renderer: Uuid,
        id: Option<MessageId>,
        channel: Channel,
        payload: Bytes,
        answer: Answering,
        patience: Patience,
    ) -> Option<(Said, Option<Instant>)> {
        let now = Instant::now();
        match self.intake.handle(RendererId::new(renderer), channel, payload, patience, now) {
            Outcome::Taken(accepted) => {
                for refused in &accepted.taken_out {
                    self.house.say(format_args!("{refused}"));
                }
                if let Some(known) = self.renderers.get_mut(&renderer) {
                    known.at = now;
                }
                if channel == Channel::Feedback {
                    self.accept(*accepted, Some(answer_feedback(answer)));
                    return None;
                }
                let answered = self.accept(*accepted, None);
                let entry = self.outbox.as_ref().and_then(Outbox::newest);
                match (channel, answered, entry) {
                    (Channel::Envelope, MessageAnswer::NotDurable, Some(entry)) => {
                        // As long as only memory holds it, the renderer should, too.
                        let held = Undurable { entry, renderer, id, answer };
                        self.natives.undurable.push(held);
                    }
                    (_, answered, _) => answer.tell(answered),
                }
            }
            Outcome::Coalesced => answer.tell(MessageAnswer::Taken),
            Outcome::NotYet { payload, until } => {
                return Some((Said::Message { id, channel, payload, answer }, until));
            }
            Outcome::Refused(refused) => {
                self.house.say(format_args!("{refused}"));
                let is_over = refused.answer() == Answer::OverBudget;
                answer.tell(if channel == Channel::Feedback && is_over {
                    // Whoever waits hears of it as of an answer of Sentry's.
                    let status_code = Some(Answer::OverBudget.status());
                    MessageAnswer::Feedback(FeedbackResult { status_code, ..Default::default() })
                } else {
                    MessageAnswer::refused(refused.answer(), refused.to_string())
                });
            }
        }
        None
    }

    /// Takes what waits of a renderer, as far as it may.
    fn go_on(&mut self, renderer: Uuid, patience: Patience, most: usize) {
        for _ in 0..most {
            let Some(native) = self.natives.known.get_mut(&renderer) else { return };
            native.retry_at = None;
            let Some(said) = native.waiting.pop_front() else { return };
            if !self.try_to_take(renderer, said, patience) {
                return;
            }
        }
        // Those behind are tried again at once.
        if let Some(native) = self.natives.known.get_mut(&renderer)
            && !native.waiting.is_empty()
        {
            native.retry_at = Some(Instant::now());
        }
    }

    /// Nobody within its budget wants anything, so one who is beyond it goes on: each in turn.
    pub(super) fn go_on_alone(&mut self) {
        let waits = |(id, native): (&Uuid, &Native)| (!native.waiting.is_empty()).then_some(*id);
        let last = self.natives.last_alone;
        let known = &self.natives.known;
        let next = known
            .range((std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded))
            .find_map(waits)
            .or_else(|| known.iter().find_map(waits));
        if let Some(next) = next {
            self.natives.last_alone = next;
            self.go_on(next, Patience::Alone, ALONE_AT_ONCE);
        }
    }

    /// Does what is to be done by now.
    pub(super) fn look_after_natives(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let known = &self.natives.known;
        let ready: Vec<Uuid> =
            known.iter().filter(|(_, native)| due(native.retry_at)).map(|(id, _)| *id).collect();
        let given_up: Vec<Uuid> =
            known.iter().filter(|(_, native)| due(native.give_up_at)).map(|(id, _)| *id).collect();
        for renderer in ready {
            self.go_on(renderer, Patience::Waits, ALONE_AT_ONCE);
        }
        for renderer in given_up {
            self.conclude(renderer, false);
        }
        let Some(outbox) = &self.outbox else { return };
        let is_settled = |held: &mut Undurable| !outbox.is_in_memory(held.entry);
        for held in self.natives.undurable.extract_if(.., is_settled) {
            held.answer.tell(MessageAnswer::Taken);
        }
    }

    /// Takes all that waits, since main ends.
    pub(super) fn take_last_words(&mut self) {
        let renderers: Vec<Uuid> = self.natives.known.keys().copied().collect();
        for renderer in renderers {
            self.go_on(renderer, Patience::Alone, usize::MAX);
        }
    }

    /// A connection of it is closed. If its process has ended and this was the last, it is gone.
    fn unlinked(&mut self, renderer: Uuid) {
        let is_linked = lock(&self.house.renderers).is_linked(renderer);
        let Some(native) = self.natives.known.get_mut(&renderer) else { return };
        if is_linked {
            if native.ended.is_none() {
                native.give_up_at = None;
            }
        } else if native.ended.is_some() {
            self.conclude(renderer, false);
        } else if native.watching.is_none() {
            native.give_up_at = Some(Instant::now() + COME_BACK);
        }
    }

    /// A renderer is gone.
    fn conclude(&mut self, renderer: Uuid, said_goodbye: bool) {
        self.go_on(renderer, Patience::Alone, usize::MAX);
        let Some(native) = self.natives.known.remove(&renderer) else { return };
        let known = lock(&self.house.renderers).get(renderer);
        if let Some(known) = known {
            let status = native.ended.unwrap_or(Status::Unknown);
            self.tell_of_end(&known, said_goodbye, status, native.oom_kills_before);
        }
        self.shelves.look_for(renderer, native.seen.clone());
        self.gone(renderer);
        // Last, so that whoever sees it gone sees nothing of it any more.
        lock(&self.house.renderers).forget(renderer);
    }

    /// Remembers that a renderer is gone, and nothing else of it.
    pub(super) fn gone(&mut self, renderer: Uuid) {
        self.gone.push_back(renderer);
        if self.gone.len() > RENDERERS {
            self.gone.pop_front();
        }
        self.forget(renderer);
    }
}
