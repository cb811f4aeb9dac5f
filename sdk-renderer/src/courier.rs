//! What waits for main, and what main has not acknowledged: everything that must be neither lost nor
//! doubled, in order.
//!
//! It owns no socket and no clock. Frames for whichever connection there is come out of
//! [`poll`](Courier::poll); what main answers goes into [`handle`](Courier::handle). A message keeps its
//! [id](MessageId) until main has acknowledged it, on however many connections it is said. When main
//! is new, it hears the scope as it was first, and then everything that the former one did not
//! acknowledge, with the changes of the scope between it.
//!
//! A bounded number of messages and bytes is in memory. What is more goes to the offline file
//! ([`poll_file`](Courier::poll_file)) and is read from it when its turn comes
//! ([`poll_load`](Courier::poll_load)): its place in the order is kept here. Only what has no room there
//! either is lost and counted: logs and metrics first, then the oldest in memory. Changes of the scope
//! are no such messages: when too many of them wait, they become [fewer](changes), so that an event
//! never finds less in main than was said before it.

mod changes;
mod connection;
mod file;
mod scope;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use guardhouse_process::attach::Source;
use guardhouse_process::losses::{Losses, Reason};
use guardhouse_process::offline_file::Place;
use guardhouse_protocol::frame::MessageId;
use guardhouse_protocol::limits::MESSAGE_WINDOW;
use guardhouse_protocol::scope::{Refusal, ScopeUpdate};
use guardhouse_protocol::{Channel, Config, RunId, StreamOpening, Timestamp, Trace};
use uuid::Uuid;

use crate::house::{Answering, Told};
use crate::losses::message;
use scope::Statement;
use streams::Streams;

/// The ids of messages without an answer lie so close together. It is less than main remembers, so that
/// the scope and the start, which a new main hears first, have room too.
const WINDOW: u64 = MESSAGE_WINDOW - 64;

/// Maximum number of messages that wait, in memory and in the file. Of each in the file, its place is in
/// memory.
const MOST_CAPTURED: usize = 64 * 1024;

/// How much is in memory at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Courier {
    bounds: Bounds,
    statement: Statement,
    /// What was said on this connection and not answered, in the order in which it was said.
    said: VecDeque<Item>,
    /// What is to be said, in order; first of all what a former connection has left.
    waiting: VecDeque<Item>,
    /// Changes of the scope that main has heard, while something older has no answer.
    heard: VecDeque<Item>,
    streams: Streams,
    flushes: Vec<Flush>,
    /// The ids of messages that main has not answered.
    outstanding: BTreeSet<MessageId>,
    next_id: u64,
    next_order: u64,
    is_connected: bool,
    is_paused: bool,
    /// The place of the last that main holds in memory only: it said so, and was not flushed since.
    held_by_main: Option<u64>,
    /// How the last main called this process.
    renderer: Option<Uuid>,
    /// In which run of main things are captured, if that is known.
    run: Option<RunId>,
    /// How many captured messages main has not acknowledged.
    captured: usize,
    /// How many of them are in the file.
    filed: usize,
    /// How many of them are in memory, and how many bytes they have.
    held: usize,
    held_bytes: usize,
    /// How many changes of the scope were left when they became fewer.
    least_changes: changes::Amount,
    /// The run that the file speaks of.
    file_run: Option<RunId>,
    /// Whether there are changes of the scope that the file will not get from what is held.
    is_file_behind: bool,
    /// What main has acknowledged or was lost, and the file does not say yet.
    taken: Vec<u64>,
    losses: Losses,
}

#[derive(Debug)]
struct Item {
    id: Option<MessageId>,
    order: u64,
    channel: Channel,
    /// Nothing if it is only in the file.
    bytes: Option<Bytes>,
    run: Option<RunId>,
    answer: Option<Answering>,
    /// Whether it is in the file.
    is_filed: bool,
    /// Where it is there, if it was captured.
    place: Option<Place>,
}

struct Flush {
    order: u64,
    deadline: Instant,
    is_durable: bool,
    done: Box<dyn FnOnce(bool) + Send>,
}

/// What main has to say to the process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Config(Config),
    Trace(Trace),
    /// It will never take something, which the application has captured or not.
    Declined {
        reason: String,
        is_captured: bool,
    },
}

impl Item {
    fn new(order: u64, channel: Channel, bytes: Bytes) -> Self {
        let bytes = Some(bytes);
        Self {
            id: None,
            order,
            channel,
            bytes,
            run: None,
            answer: None,
            is_filed: false,
            place: None,
        }
    }

    /// Whether it is something that the application has captured, as opposed to what is said about the
    /// process.
    fn is_captured(&self) -> bool {
        self.needs_scope() || self.is_telemetry()
    }

    fn is_telemetry(&self) -> bool {
        matches!(self.channel, Channel::StructuredLog | Channel::Metric)
    }

    /// Whether main lays the scope over it.
    fn needs_scope(&self) -> bool {
        matches!(self.channel, Channel::Envelope | Channel::Feedback)
    }

    /// Whether it is a change of the scope, as opposed to what a new main hears in front of all.
    fn is_change(&self) -> bool {
        self.channel == Channel::Scope && self.order > 0
    }

    fn is_unsaid_change(&self) -> bool {
        self.is_change() && self.id.is_none()
    }

    /// How many bytes of it are in memory.
    fn held_bytes(&self) -> usize {
        self.bytes.as_ref().map_or(0, Bytes::len)
    }
}

/// What the process says.
impl Courier {
    pub(crate) fn new(bounds: Bounds, max_breadcrumbs: usize) -> Self {
        Self {
            bounds,
            statement: Statement::new(max_breadcrumbs),
            said: VecDeque::new(),
            waiting: VecDeque::new(),
            heard: VecDeque::new(),
            streams: Streams::default(),
            flushes: Vec::new(),
            outstanding: BTreeSet::new(),
            next_id: 1,
            next_order: 1,
            is_connected: false,
            is_paused: false,
            held_by_main: None,
            renderer: None,
            run: None,
            captured: 0,
            filed: 0,
            held: 0,
            held_bytes: 0,
            least_changes: changes::Amount::default(),
            file_run: None,
            is_file_behind: true,
            taken: Vec::new(),
            losses: Losses::new(),
        }
    }

    /// The process's own scope has changed.
    pub(crate) fn change(&mut self, update: ScopeUpdate, at: Timestamp) -> Result<(), Refusal> {
        self.statement.change(update, at)
    }

    /// Has main told what is new in the scope. Without a main to tell, it waits until an event needs it.
    pub(crate) fn state_scope(&mut self) {
        if self.is_connected {
            self.put_scope();
        }
    }

    /// In which run of main things are captured, if that is known.
    pub(crate) fn run(&self) -> Option<RunId> {
        self.run
    }

    /// From now on things are captured in this run of main.
    pub(crate) fn set_run(&mut self, run: RunId) {
        self.run = Some(run);
    }

    /// A main was found that could not be reached. Unless there was another one before, what is captured
    /// is captured in its run.
    pub(crate) fn set_run_if_unknown(&mut self, run: RunId) {
        self.run.get_or_insert(run);
    }

    /// Takes a message for main. One that alone is more than may be held costs only itself. When more
    /// than that is held then ([`is_over`](Self::is_over)), somebody has to make room.
    pub(crate) fn push(&mut self, channel: Channel, bytes: Bytes, answer: Option<Answering>) {
        if bytes.len() > self.bounds.bytes {
            let (length, bound) = (bytes.len(), self.bounds.bytes);
            self.losses.add(&message(channel, &bytes, Reason::Invalid));
            if let Some(answer) = answer {
                answer.tell(Told::Declined(format!(
                    "{length} bytes are more than may wait for main altogether ({bound}); send less \
                     at once, or allow more with max_bytes"
                )));
            }
            return;
        }
        match channel {
            // Each main is told when it is new.
            Channel::Start => {
                if let Some(answer) = answer {
                    answer.tell(Told::Taken);
                }
                return;
            }
            Channel::Status => {
                // Only the last of a kind has an effect.
                let bytes = Some(&bytes);
                self.drop_waiting(|item| item.channel == channel && item.bytes.as_ref() == bytes);
            }
            Channel::Envelope | Channel::Feedback => self.put_scope(),
            _ => {}
        }
        self.put(channel, bytes, answer);
    }

    /// Takes a stream for main. When too many wait already, it is lost.
    pub(crate) fn add_stream(
        &mut self,
        opening: &StreamOpening,
        source: Source,
        answer: Answering,
    ) {
        if !self.streams.has_room() {
            // Who gave the stream counts it.
            answer.tell(Told::Lost);
            return;
        }
        let order = self.order();
        self.streams.add(order, opening, source, answer);
    }

    /// Somebody wants to know when main has made durable all that came before.
    pub(crate) fn flush(&mut self, deadline: Instant, done: impl FnOnce(bool) + Send + 'static) {
        self.state_scope();
        let order = self.next_order;
        self.put(Channel::Flush, Bytes::new(), None);
        self.flushes.push(Flush { order, deadline, is_durable: false, done: Box::new(done) });
    }

    /// Nobody is there to flush to.
    pub(crate) fn fail_flushes(&mut self) {
        let orders: Vec<_> = self.flushes.iter().map(|flush| flush.order).collect();
        for order in orders {
            self.settle(order, false);
        }
    }

    /// Whether somebody waits, and no longer than until then.
    pub(crate) fn has_flush_until(&self, now: Instant) -> bool {
        self.flushes.iter().any(|flush| flush.deadline <= now)
    }

    /// Whether somebody waits.
    pub(crate) fn has_flush(&self) -> bool {
        !self.flushes.is_empty()
    }

    /// Those whose deadline is over are told so. Says when the next one is.
    pub(crate) fn expire_flushes(&mut self, now: Instant) -> Option<Instant> {
        let over = self.flushes.iter().filter(|flush| flush.deadline <= now);
        let over: Vec<_> = over.map(|flush| flush.order).collect();
        for order in over {
            self.settle(order, false);
        }
        self.flushes.iter().map(|flush| flush.deadline).min()
    }

    /// Keeps what is captured back, or does so no longer.
    pub(crate) fn set_paused(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    fn put_scope(&mut self) {
        let messages = self.statement.take_for_main();
        if messages.is_empty() {
            return;
        }
        for bytes in messages {
            self.put(Channel::Scope, bytes, None);
        }
        self.bound_changes();
    }

    fn order(&mut self) -> u64 {
        let order = self.next_order;
        self.next_order += 1;
        order
    }

    fn put(&mut self, channel: Channel, bytes: Bytes, answer: Option<Answering>) {
        let order = self.order();
        let item = Item { answer, run: self.run, ..Item::new(order, channel, bytes) };
        if item.is_captured() {
            self.captured += 1;
            self.held += 1;
            self.held_bytes += item.held_bytes();
        }
        self.waiting.push_back(item);
    }

    /// Something is neither waiting nor under way any more.
    fn count_out(&mut self, item: &Item) {
        if item.is_captured() {
            self.captured -= 1;
            self.held -= usize::from(item.bytes.is_some());
            self.held_bytes -= item.held_bytes();
            if item.is_filed {
                self.filed -= 1;
                self.taken.push(item.order);
            }
        }
        if let Some(id) = item.id {
            self.outstanding.remove(&id);
        }
    }

    /// Whether more is in memory than may be.
    pub(crate) fn is_over(&self) -> bool {
        self.held > self.bounds.items || self.held_bytes > self.bounds.bytes
    }

    /// Loses what is too much: logs and metrics before anything else, and of either the oldest in memory
    /// that was not said, or if all was, the oldest.
    pub(crate) fn make_room(&mut self) {
        while self.is_over() || self.captured > MOST_CAPTURED {
            // To lose what is in the file makes no room in memory.
            let is_over = self.is_over();
            let goes = |item: &Item| item.is_captured() && (item.bytes.is_some() || !is_over);
            let lost = take_first(&mut self.waiting, |item| item.is_telemetry() && goes(item))
                .or_else(|| take_first(&mut self.said, |item| item.is_telemetry() && goes(item)))
                .or_else(|| take_first(&mut self.waiting, goes))
                .or_else(|| take_first(&mut self.said, goes));
            let Some(lost) = lost else { break };
            self.lose(lost);
        }
    }

    fn lose(&mut self, lost: Item) {
        self.count_out(&lost);
        let bytes = lost.bytes.unwrap_or_default();
        self.losses.add(&message(lost.channel, &bytes, Reason::QueueOverflow));
        // It cannot become durable any more.
        let waits = self.flushes.iter().filter(|flush| flush.order > lost.order);
        let waits: Vec<_> = waits.map(|flush| flush.order).collect();
        for order in waits {
            self.settle(order, false);
        }
        self.settle_changes();
    }

    fn drop_waiting(&mut self, is_dropped: impl Fn(&Item) -> bool) {
        for item in std::mem::take(&mut self.waiting) {
            if is_dropped(&item) {
                self.count_out(&item);
            } else {
                self.waiting.push_back(item);
            }
        }
    }

    fn settle(&mut self, order: u64, is_durable: bool) {
        if let Some(index) = self.flushes.iter().position(|flush| flush.order == order) {
            (self.flushes.swap_remove(index).done)(is_durable);
            // If it was said, main's answer means nothing any more.
            take_first(&mut self.waiting, |item| item.order == order && item.id.is_none());
        }
    }
}

fn take_id(next_id: &mut u64) -> MessageId {
    let id = MessageId::new(*next_id);
    *next_id += 1;
    id
}

fn take_first(items: &mut VecDeque<Item>, is_it: impl Fn(&Item) -> bool) -> Option<Item> {
    let index = items.iter().position(is_it)?;
    items.remove(index)
}

impl std::fmt::Debug for Flush {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flush({})", self.order)
    }
}
