//! What native renderers say, taken once and in their order.
//!
//! Each message has an id, so that one which comes again, on whatever way, is taken once and answered
//! each time. It counts as taken when it is, not before. What is beyond a renderer's budget waits here,
//! and with it all that the renderer says after it; there is room for no more than a few of those, so
//! the renderer waits too. When nobody within its budget wants anything, they go on. So it is when the
//! spool is nearly full while Sentry takes what is in it: rather than push out what was acknowledged, main
//! lets the renderer wait.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use guardhouse_process::lock;
use guardhouse_protocol::frame::MessageId;
use guardhouse_protocol::http::Answer;
use guardhouse_protocol::{Channel, FeedbackResult, StreamOpening};
use uuid::Uuid;

use super::Watch;
use super::hearing::feedback_result;
use crate::house::{Answering, MessageAnswer};
use crate::intake::{Accepted, Outcome, Patience, RendererId};
use crate::ipc::service::{StreamAnswer, StreamAnswering};
use crate::outbox::http::Answer as SentryAnswer;
use crate::outbox::{EntryId, Outbox};
use crate::streams::{Chunked, Opened};

/// So long something waits that only lacks memory.
const SOON: Duration = Duration::from_millis(50);

/// So long something waits that only lacks a disk which takes it.
const UNTIL_THE_DISK_WORKS: Duration = Duration::from_secs(1);

/// What a renderer says.
pub(super) enum Said {
    Message { id: Option<MessageId>, channel: Channel, payload: Bytes, answer: Answering },
    Opening { id: MessageId, opening: StreamOpening, answer: StreamAnswering },
    Piece { id: MessageId, place: (u64, bool), data: Bytes, answer: StreamAnswering },
}

/// A message that only memory holds, and so does its renderer.
pub(super) struct Undurable {
    entry: EntryId,
    pub(super) renderer: Uuid,
    id: Option<MessageId>,
    /// What it is answered with when it is on disk.
    told: MessageAnswer,
    answer: Answering,
}

/// Feedback that is with Sentry.
pub(super) struct Asked {
    renderer: Uuid,
    id: Option<MessageId>,
    pending: Arc<Mutex<Pending>>,
}

struct Pending {
    answer: Option<Answering>,
    /// Whether main has it for good, so that it may be answered.
    is_kept: bool,
    /// Whether Sentry will not answer it soon.
    is_late: bool,
}

impl Watch {
    /// Takes a message, unless it was taken before.
    pub(super) fn said(
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
        let Some(native) = self.natives.known.get(&renderer) else {
            let gone = MessageAnswer::refused(Answer::Unproven, "main does not know the renderer");
            return answer.tell(gone);
        };
        let was_taken = id.is_some_and(|id| native.seen.contains(id)) && channel != Channel::Flush;
        let Some(answer) = self.said_again(renderer, id, answer) else { return };
        if was_taken {
            return answer.tell(match channel {
                Channel::Feedback => MessageAnswer::Feedback(FeedbackResult::default()),
                _ => MessageAnswer::Taken,
            });
        }
        self.take_in_turn(renderer, Said::Message { id, channel, payload, answer });
    }

    /// If a message came before and is not answered yet, it is answered here when it is. Gives the
    /// answer back if not.
    fn said_again(
        &mut self,
        renderer: Uuid,
        again: Option<MessageId>,
        answer: Answering,
    ) -> Option<Answering> {
        if again.is_none() {
            return Some(answer);
        }
        let waiting = self.natives.known.get_mut(&renderer).into_iter();
        let waiting = waiting.flat_map(|native| &mut native.waiting).find_map(|said| match said {
            Said::Message { id, answer, .. } if *id == again => Some(answer),
            _ => None,
        });
        if let Some(first) = waiting {
            first.replace(answer);
            return None;
        }
        let is_it = |of: Uuid, id: Option<MessageId>| of == renderer && id == again;
        let mut undurable = self.natives.undurable.iter_mut();
        if let Some(held) = undurable.find(|held| is_it(held.renderer, held.id)) {
            held.answer.replace(answer);
            held.answer.give_back();
            return None;
        }
        let asked = self.natives.asked.iter().find(|asked| is_it(asked.renderer, asked.id));
        if let Some(asked) = asked
            && let Some(first) = &mut lock(&asked.pending).answer
        {
            first.replace(answer);
            return None;
        }
        Some(answer)
    }

    /// Takes something if nothing of the renderer waits that came before, and if it may come now.
    pub(super) fn take_in_turn(&mut self, renderer: Uuid, said: Said) {
        if self.house.is_too_late() {
            return;
        }
        let Some(native) = self.natives.known.get_mut(&renderer) else { return };
        if native.waiting.is_empty() {
            self.try_to_take(renderer, said, Patience::Waits, false);
        } else {
            native.waiting.push_back(said);
        }
    }

    /// Takes what waits of a renderer, as far as it may. If it is its last word, nothing waits for room
    /// in the spool.
    pub(super) fn go_on(&mut self, renderer: Uuid, patience: Patience, most: usize, is_last: bool) {
        for _ in 0..most {
            let Some(native) = self.natives.known.get_mut(&renderer) else { return };
            native.retry_at = None;
            native.waits_for_disk = false;
            let Some(said) = native.waiting.pop_front() else { return };
            if !self.try_to_take(renderer, said, patience, is_last) {
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

    /// Takes something, or puts it in front of what waits. Says whether it was taken.
    fn try_to_take(
        &mut self,
        renderer: Uuid,
        said: Said,
        patience: Patience,
        is_last: bool,
    ) -> bool {
        let of_stream = match &said {
            Said::Message { .. } => None,
            // An opening has a few hundred bytes.
            Said::Opening { .. } => Some(0),
            Said::Piece { data, .. } => Some(data.len()),
        };
        let takes_room = matches!(said, Said::Message { channel: Channel::Envelope, .. });
        let has_to_wait = takes_room && !is_last && self.is_crowded(patience);
        let (said, until) = match (said, of_stream) {
            (said, _) if has_to_wait => (said, None),
            (Said::Message { id, channel, payload, answer }, _) => {
                match self.take_message(renderer, id, channel, payload, answer, patience) {
                    Some(waits) => waits,
                    None => return true,
                }
            }
            (said, bytes) => {
                let (from, now, bytes) =
                    (RendererId::new(renderer), Instant::now(), bytes.unwrap_or_default());
                match self.intake.handle_piece(from, Channel::Attachment, bytes, patience, now) {
                    Ok(()) => {
                        self.take_of_stream(renderer, said);
                        return true;
                    }
                    Err(until) => (said, Some(until)),
                }
            }
        };
        if let Some(native) = self.natives.known.get_mut(&renderer) {
            native.waiting.push_front(said);
            native.retry_at = Some(until.unwrap_or_else(|| Instant::now() + SOON));
        }
        false
    }

    /// Whether the spool has so little room left that a renderer should wait. It does so only while
    /// Sentry takes what is there: otherwise the newest is worth more than the oldest. Who is within its
    /// budget does not wait for those who are beyond theirs.
    pub(super) fn is_crowded(&self, patience: Patience) -> bool {
        let eighths = if patience == Patience::Alone { 4 } else { 7 };
        self.outbox.as_ref().is_some_and(|outbox| outbox.is_crowded(eighths))
    }

    /// Takes what belongs to a stream.
    fn take_of_stream(&mut self, renderer: Uuid, said: Said) {
        let (answered, answer) = match said {
            Said::Opening { id, opening, answer } => {
                let opened = self.streams.open(renderer, id, &opening, &mut self.outbox);
                let answered = match opened {
                    Opened::At(received) => StreamAnswer::At(received),
                    Opened::Complete(received) => StreamAnswer::Complete(received),
                    Opened::Declined(why) => StreamAnswer::Declined(why),
                };
                (answered, answer)
            }
            Said::Piece { id, place: (at, is_last), data, answer } => {
                let outbox = &mut self.outbox;
                let answered = match self.streams.chunk(renderer, id, at, is_last, &data, outbox) {
                    Chunked::At(received) => StreamAnswer::At(received),
                    Chunked::Complete(received) => StreamAnswer::Complete(received),
                    Chunked::OutOfPlace(received) => StreamAnswer::OutOfPlace(received),
                    Chunked::NotOpen => StreamAnswer::NotOpen,
                    Chunked::Declined(why) => StreamAnswer::Declined(why),
                };
                (answered, answer)
            }
            Said::Message { .. } => return,
        };
        if let StreamAnswer::Declined(why) = &answered {
            self.house.say(format_args!("renderer {renderer}, attachment: {why}"));
        }
        answer(answered);
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
        let from = RendererId::new(renderer);
        let is_kept = matches!(channel, Channel::Envelope | Channel::Feedback);
        if is_kept && !self.can_keep(payload.len()) {
            // It is safer with the renderer.
            if let Some(native) = self.natives.known.get_mut(&renderer) {
                native.waits_for_disk = true;
            }
            let until = now + UNTIL_THE_DISK_WORKS;
            return Some((Said::Message { id, channel, payload, answer }, Some(until)));
        }
        let answered = match self.intake.handle(from, channel, payload, patience, now) {
            Outcome::Taken(accepted) => {
                for refused in &accepted.taken_out {
                    self.house.say(format_args!("{refused}"));
                }
                if let Some(known) = self.renderers.get_mut(&renderer) {
                    known.at = now;
                }
                if channel == Channel::Feedback {
                    self.take_feedback(renderer, id, *accepted, answer);
                    self.was_taken(renderer, id);
                    return None;
                }
                self.accept(*accepted, None)
            }
            Outcome::Coalesced => MessageAnswer::Taken,
            Outcome::NotYet { payload, until } => {
                return Some((Said::Message { id, channel, payload, answer }, until));
            }
            Outcome::Refused(refused) => {
                self.house.say(format_args!("{refused}"));
                let is_over = refused.answer() == Answer::OverBudget;
                if channel == Channel::Feedback && is_over {
                    // Whoever waits hears of it as of an answer of Sentry's.
                    let status_code = Some(Answer::OverBudget.status());
                    MessageAnswer::Feedback(FeedbackResult { status_code, ..Default::default() })
                } else {
                    MessageAnswer::refused(refused.answer(), refused.to_string())
                }
            }
        };
        if answered.is_final() {
            self.was_taken(renderer, id);
        }
        if channel == Channel::Envelope && answered == MessageAnswer::NotDurable {
            self.hold_undurable(renderer, id, MessageAnswer::Taken, answer);
        } else {
            answer.tell(answered);
        }
        None
    }

    /// Whether what a renderer sends can be kept until it is on disk, and what is lost can be counted
    /// there. It grows when it is merged.
    fn can_keep(&mut self, length: usize) -> bool {
        let length = 2 * length as u64;
        self.outbox.as_mut().is_none_or(|outbox| outbox.spool().can_take_of_sender(length))
    }

    /// Only now: what a fault of ours takes away in the middle comes again.
    fn was_taken(&mut self, renderer: Uuid, id: Option<MessageId>) {
        if let (Some(native), Some(id)) = (self.natives.known.get_mut(&renderer), id) {
            native.seen.insert(id);
        }
    }

    /// Takes feedback, which is answered with what Sentry says, but not before it is safe here.
    fn take_feedback(
        &mut self,
        renderer: Uuid,
        id: Option<MessageId>,
        accepted: Accepted,
        answer: Answering,
    ) {
        let pending = Pending { answer: Some(answer), is_kept: false, is_late: false };
        let pending = Arc::new(Mutex::new(pending));
        let when_sent = {
            let pending = pending.clone();
            Box::new(move |sent: Option<&SentryAnswer>| {
                let mut pending = lock(&pending);
                pending.is_late |= sent.is_none();
                if (sent.is_some() || pending.is_kept)
                    && let Some(answer) = pending.answer.take()
                {
                    answer.tell(MessageAnswer::Feedback(feedback_result(sent)));
                }
            })
        };
        let answered = self.accept(accepted, Some(when_sent));
        let mut state = lock(&pending);
        let is_undurable = answered == MessageAnswer::NotDurable;
        match (answered, state.is_late) {
            (MessageAnswer::Refused { status, why }, _) => {
                if let Some(answer) = state.answer.take() {
                    answer.tell(MessageAnswer::Refused { status, why });
                }
            }
            (_, true) => {
                if let Some(answer) = state.answer.take() {
                    let told = MessageAnswer::Feedback(FeedbackResult::default());
                    if is_undurable {
                        self.hold_undurable(renderer, id, told, answer);
                    } else {
                        answer.tell(told);
                    }
                }
            }
            (_, false) => {
                state.is_kept = true;
                self.natives.asked.retain(|asked| lock(&asked.pending).answer.is_some());
                drop(state);
                self.natives.asked.push(Asked { renderer, id, pending });
            }
        }
    }

    /// As long as only memory holds it, the renderer should, too. It may go on meanwhile.
    fn hold_undurable(
        &mut self,
        renderer: Uuid,
        id: Option<MessageId>,
        told: MessageAnswer,
        mut answer: Answering,
    ) {
        let newest = self.outbox.as_ref().and_then(Outbox::newest);
        match (newest, &mut self.outbox) {
            (Some(entry), Some(outbox)) => {
                outbox.spool().set_kept_by_sender(entry);
                answer.give_back();
                self.natives.undurable.push(Undurable { entry, renderer, id, told, answer });
            }
            _ => answer.tell(told),
        }
    }

    /// Answers what has come to disk, or is counted there.
    pub(super) fn settle_undurable(&mut self) {
        let Some(outbox) = self.outbox.as_ref().filter(|outbox| outbox.has_written_losses()) else {
            return;
        };
        let is_settled = |held: &mut Undurable| !outbox.is_in_memory(held.entry);
        for held in self.natives.undurable.extract_if(.., is_settled) {
            held.answer.tell(held.told);
        }
    }
}
