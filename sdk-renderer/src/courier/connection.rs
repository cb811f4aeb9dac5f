//! What a connection is told, and what main answers.

use bytes::Bytes;
use guardhouse_process::attach::Source;
use guardhouse_protocol::frame::{Frame, MessageId};
use guardhouse_protocol::{Channel, Config, FlushResult, Trace};
use uuid::Uuid;

use super::{Courier, Flush, Item, Said, WINDOW, take_first, take_id};
use crate::house::Told;

impl Courier {
    /// There is a connection again, on which main calls this process so. Says whether main is a new
    /// one, or has let go of this process and knows of it only what it has taken: that is so if it is
    /// the same run.
    pub(crate) fn connect(&mut self, renderer: Uuid, is_same_run: bool) -> bool {
        self.disconnect();
        self.is_connected = true;
        let is_new = self.renderer.replace(renderer) != Some(renderer);
        if is_new {
            if !is_same_run {
                // A new main knows none of them.
                self.outstanding.clear();
                self.waiting.iter_mut().chain(&mut self.heard).for_each(|item| item.id = None);
            }
            self.streams.begin_anew();
            // Nobody can say of that whether the former main wrote it down.
            if self.held_by_main.take().is_some() {
                self.fail_flushes();
            }
            self.begin_anew();
            self.forget_far_ids();
        }
        is_new
    }

    /// The connection is lost: what was said and not answered is to be said again.
    pub(crate) fn disconnect(&mut self) {
        self.is_connected = false;
        self.streams.disconnect();
        while let Some(item) = self.said.pop_back() {
            self.waiting.push_front(item);
        }
    }

    /// Whether fewer messages than that are under way, apart from those that hold up no others.
    pub(crate) fn is_below(&self, depth: usize) -> bool {
        let holds_up = |item: &&Item| item.channel != Channel::Feedback;
        self.said.len() < depth || self.said.iter().filter(holds_up).count() < depth
    }

    /// Whether main owes an answer to anything.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.said.is_empty() || self.streams.is_under_way()
    }

    /// The next message to be said. If it is in the file, with its order and id: they have to be
    /// [there](guardhouse_process::offline_file::Entry::Sent) before it is said.
    pub(crate) fn poll(&mut self) -> Option<(Option<(u64, MessageId)>, Frame)> {
        if !self.is_connected {
            return None;
        }
        let index = self.next_index()?;
        let payload = self.waiting[index].bytes.clone()?;
        let mut item = self.waiting.remove(index)?;
        let id = self.name(&mut item);
        let frame = Frame::Message { id, channel: item.channel, payload };
        let filed = item.place.map(|_| (item.order, id));
        if filed.is_some() {
            // If it has to be said again, it is read again.
            self.held -= 1;
            self.held_bytes -= item.held_bytes();
            item.bytes = None;
        }
        self.said.push_back(item);
        Some((filed, frame))
    }

    /// Where the next to be said waits, if one may be said now.
    pub(super) fn next_index(&self) -> Option<usize> {
        let is_paused = self.is_paused;
        let index = self.waiting.iter().position(|item| !(is_paused && item.is_captured()))?;
        let number = self.waiting[index].id.map_or(self.next_id, MessageId::number);
        let is_far = |lowest: &MessageId| number.saturating_sub(lowest.number()) >= WINDOW;
        (self.is_connected && !self.outstanding.first().is_some_and(is_far)).then_some(index)
    }

    /// The next to be said of a stream.
    pub(crate) fn poll_stream(&mut self) -> Option<Frame> {
        if !self.is_connected || self.is_paused {
            return None;
        }
        let next_id = &mut self.next_id;
        self.streams.poll(|| take_id(next_id))
    }

    /// The source of a stream that is to be read, with what to call it.
    pub(crate) fn poll_read(&mut self) -> Option<(u64, Source)> {
        self.streams.poll_read()
    }

    /// What reading has brought.
    pub(crate) fn handle_read(&mut self, key: u64, read: Option<(Source, Bytes, bool)>) {
        self.streams.handle_read(key, read);
        self.look_at_flushes();
    }

    /// Main does not know a stream any more that it had opened.
    pub(crate) fn reopen(&mut self, id: MessageId) {
        self.streams.reopen(id);
    }

    /// Takes what main says. What it may not say was refused before.
    pub(crate) fn handle(&mut self, frame: Frame) -> Option<Said> {
        let Some(frame) = self.streams.handle(frame) else {
            self.look_at_flushes();
            return None;
        };
        let said = match frame {
            Frame::Ack { id } => {
                self.answered(id, |_| Told::Taken);
                None
            }
            Frame::Reply { id, channel: Channel::Flush, payload } => {
                let order = self.answered(id, |_| Told::Taken);
                let is_durable = FlushResult::parse(&payload).is_ok_and(|result| result.durable);
                if is_durable && self.held_by_main < order {
                    self.held_by_main = None;
                }
                match self.flushes.iter_mut().find(|flush| Some(flush.order) == order) {
                    Some(flush) if is_durable => flush.is_durable = true,
                    Some(flush) => {
                        let order = flush.order;
                        self.settle(order, false);
                    }
                    None => {}
                }
                None
            }
            Frame::Reply { id, payload, .. } => {
                self.answered(id, |_| Told::Reply(payload));
                None
            }
            Frame::Declined { id, reason } => {
                let mut is_captured = false;
                let order = self.answered(id, |channel| {
                    is_captured = Item::new(0, channel, Bytes::new()).is_captured();
                    Told::Declined(reason.clone())
                });
                // A flush that is declined has no other answer.
                if let Some(order) = order {
                    self.settle(order, false);
                }
                Some(Said::Declined { reason, is_captured })
            }
            Frame::Message { channel: Channel::Config, payload, .. } => {
                Config::parse(&payload).ok().map(Said::Config)
            }
            Frame::Message { channel: Channel::Trace, payload, .. } => {
                Trace::parse(&payload).ok().map(Said::Trace)
            }
            _ => None,
        };
        self.look_at_flushes();
        said
    }

    /// Forgets a message. Says its place among all that was captured.
    fn answered(&mut self, id: MessageId, told: impl FnOnce(Channel) -> Told) -> Option<u64> {
        let mut item = take_first(&mut self.said, |item| item.id == Some(id))?;
        self.count_out(&item);
        if is_held_in_memory(item.channel) {
            self.held_by_main = self.held_by_main.max(Some(item.order));
        }
        let told = told(item.channel);
        if let Some(answer) = item.answer.take() {
            answer.tell(told);
        }
        let order = item.order;
        if item.channel == Channel::Scope {
            self.heard_change(item);
        } else if item.needs_scope() {
            self.settle_changes();
        }
        Some(order)
    }

    fn look_at_flushes(&mut self) {
        let is_done = |flush: &&Flush| {
            let is_before =
                |item: &Item| item.order < flush.order && item.channel != Channel::Flush;
            flush.is_durable
                && !self.said.iter().any(is_before)
                && !self.waiting.iter().any(is_before)
                && !self.streams.has_before(flush.order)
        };
        let done: Vec<_> = self.flushes.iter().filter(is_done).map(|flush| flush.order).collect();
        for order in done {
            self.settle(order, true);
        }
    }

    /// What lies further back than a new main remembers would be taken for known: it gets a new id.
    fn forget_far_ids(&mut self) {
        while let Some(last) = self.waiting.iter().rposition(|item| item.id.is_some()) {
            let fresh = self.waiting.iter().take(last).filter(|item| item.id.is_none()).count();
            let floor = (self.next_id + fresh as u64).saturating_sub(WINDOW);
            let mut has_far = false;
            for item in &mut self.waiting {
                if let Some(id) = item.id.take_if(|id| id.number() < floor) {
                    self.outstanding.remove(&id);
                    has_far = true;
                }
            }
            if !has_far {
                break;
            }
        }
    }

    fn name(&mut self, item: &mut Item) -> MessageId {
        let next_id = &mut self.next_id;
        let id = *item.id.get_or_insert_with(|| take_id(next_id));
        self.outstanding.insert(id);
        id
    }
}

/// Whether main has what it acknowledges on this channel in memory only, until it is flushed.
fn is_held_in_memory(channel: Channel) -> bool {
    matches!(channel, Channel::StructuredLog | Channel::Metric)
}
