//! Large attachments on their way to main, piece by piece.
//!
//! Of each, only what main has not made durable is held, a megabyte at most. So after a failover it
//! goes on where main is; but a new main, which has nothing of it, can have only one of which nothing
//! was let go yet. Whoever sends another is told that it is lost; so is whoever sends one that main
//! does not want to go on with, or more at a time than are held.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use guardhouse_process::attach::Source;
use guardhouse_protocol::frame::{Frame, MessageId};
use guardhouse_protocol::limits::{STREAM_BYTES, STREAM_WINDOW_BYTES};
use guardhouse_protocol::{Channel, StreamOpening};

use crate::house::{Answering, Told};

/// So many are on their way at once; the others wait.
const AT_ONCE: usize = 4;

/// So many are held at most. Each has a source of the application's, such as an open file.
const MOST: usize = 64;

/// All streams of the process.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: VecDeque<Stream>,
}

struct Stream {
    /// Its place among everything that was captured.
    order: u64,
    id: Option<MessageId>,
    opening: Bytes,
    /// Nothing while it is being read.
    source: Option<Source>,
    answer: Option<Answering>,
    phase: Phase,
    /// What main has not made durable, and where each piece begins.
    pieces: VecDeque<(u64, Bytes)>,
    durable: u64,
    /// How much was read.
    end: u64,
    /// Up to where it was sent to the present main.
    sent: u64,
    is_read: bool,
    is_last_sent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    /// Main was asked where it goes on.
    Opening,
    Open,
}

impl Streams {
    pub(super) fn add(
        &mut self,
        order: u64,
        opening: &StreamOpening,
        source: Source,
        answer: Answering,
    ) {
        self.streams.push_back(Stream {
            order,
            id: None,
            opening: Bytes::copy_from_slice(opening.to_json().text().as_bytes()),
            source: Some(source),
            answer: Some(answer),
            phase: Phase::Closed,
            pieces: VecDeque::new(),
            durable: 0,
            end: 0,
            sent: 0,
            is_read: false,
            is_last_sent: false,
        });
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.streams.len() < MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Whether one of them began before that.
    pub(super) fn has_before(&self, order: u64) -> bool {
        self.streams.iter().any(|stream| stream.order < order)
    }

    /// Whether main owes an answer to something of them.
    pub(super) fn is_under_way(&self) -> bool {
        self.streams.iter().any(|stream| {
            stream.phase == Phase::Opening
                || stream.phase == Phase::Open
                    && (stream.sent > stream.durable || stream.is_last_sent)
        })
    }

    /// The next to be said of one.
    pub(super) fn poll(&mut self, next_id: impl FnOnce() -> MessageId) -> Option<Frame> {
        let active = || self.streams.iter().take(AT_ONCE);
        let index =
            active().position(|stream| stream.phase == Phase::Closed || stream.has_more())?;
        let stream = &mut self.streams[index];
        Some(stream.next(next_id))
    }

    /// Goes on where the present main is, if the connection is another one; not before it is open again.
    pub(super) fn disconnect(&mut self) {
        for stream in &mut self.streams {
            stream.phase = Phase::Closed;
        }
    }

    /// Main has to hear of this one anew.
    pub(super) fn reopen(&mut self, id: MessageId) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == Some(id)) {
            stream.phase = Phase::Closed;
        }
    }

    /// There is a new main, which has nothing of them.
    pub(super) fn begin_anew(&mut self) {
        self.streams.retain_mut(|stream| {
            stream.id = None;
            stream.durable == 0
        });
    }

    /// Nobody will take them any more.
    pub(super) fn give_up(&mut self) {
        self.streams.clear();
    }

    /// Takes what main says; gives it back if it is about no stream.
    pub(super) fn handle(&mut self, frame: Frame) -> Option<Frame> {
        let id = match &frame {
            Frame::StreamAck { id, .. }
            | Frame::Declined { id, .. }
            | Frame::Reply { id, channel: Channel::Attachment, .. } => *id,
            _ => return Some(frame),
        };
        let Some(index) = self.streams.iter().position(|stream| stream.id == Some(id)) else {
            return Some(frame);
        };
        let told = match frame {
            Frame::StreamAck { received, .. } => {
                if self.streams[index].received(received) {
                    return None;
                }
                Told::Lost
            }
            // It had taken the beginning, and does not know of it any more.
            Frame::Declined { .. } if self.streams[index].is_resumed() => Told::Lost,
            Frame::Declined { reason, .. } => Told::Declined(reason),
            Frame::Reply { payload, .. } => Told::Reply(payload),
            other => return Some(other),
        };
        if let Some(answer) = self.streams.remove(index).and_then(|mut stream| stream.answer.take())
        {
            answer.tell(told);
        }
        None
    }

    /// The source that is to be read next, with what to call it.
    pub(super) fn poll_read(&mut self) -> Option<(u64, Source)> {
        let stream = self.streams.iter_mut().take(AT_ONCE).find(|stream| {
            let has_room = stream.end - stream.durable < STREAM_WINDOW_BYTES as u64;
            stream.source.is_some() && stream.phase == Phase::Open && !stream.is_read && has_room
        })?;
        Some((stream.order, stream.source.take()?))
    }

    /// What reading has brought: a piece, and whether it was the last; nothing if it failed.
    pub(super) fn handle_read(&mut self, order: u64, read: Option<(Source, Bytes, bool)>) {
        let Some(index) = self.streams.iter().position(|stream| stream.order == order) else {
            return;
        };
        let stream = &mut self.streams[index];
        if let Some((source, piece, is_last)) = read
            && stream.end + piece.len() as u64 <= STREAM_BYTES
        {
            stream.source = Some(source);
            stream.is_read = is_last;
            let begin = stream.end;
            stream.end += piece.len() as u64;
            if !piece.is_empty() {
                stream.pieces.push_back((begin, piece));
            }
        } else {
            self.streams.remove(index);
        }
    }
}

impl Stream {
    /// Whether main was asked to go on with what it had before.
    fn is_resumed(&self) -> bool {
        self.phase == Phase::Opening && self.end > 0
    }

    fn has_more(&self) -> bool {
        let is_open = self.phase == Phase::Open;
        is_open && (self.sent < self.end || self.is_read && !self.is_last_sent)
    }

    fn next(&mut self, next_id: impl FnOnce() -> MessageId) -> Frame {
        let id = *self.id.get_or_insert_with(next_id);
        if self.phase == Phase::Closed {
            self.phase = Phase::Opening;
            self.is_last_sent = false;
            let payload = self.opening.clone();
            return Frame::StreamOpen { id, channel: Channel::Attachment, payload };
        }
        let offset = self.sent;
        let piece = self.pieces.iter().find(|(begin, piece)| begin + piece.len() as u64 > offset);
        let data = piece.map_or_else(Bytes::new, |(begin, piece)| {
            // Both are within the piece, which is far smaller than that.
            piece.slice(usize::try_from(offset - begin).unwrap_or(0)..)
        });
        self.sent += data.len() as u64;
        let last = self.is_read && self.sent == self.end;
        self.is_last_sent = last;
        Frame::Chunk { id, channel: Channel::Attachment, offset, last, data }
    }

    /// So much is durable. Says whether it can go on there.
    fn received(&mut self, received: u64) -> bool {
        if received < self.durable || received > self.end {
            return false;
        }
        if self.phase == Phase::Opening {
            self.phase = Phase::Open;
            self.sent = received;
        }
        self.sent = self.sent.max(received);
        self.durable = received;
        let is_durable = |(begin, piece): &(u64, Bytes)| begin + piece.len() as u64 <= received;
        while self.pieces.front().is_some_and(is_durable) {
            self.pieces.pop_front();
        }
        true
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (durable, end) = (self.durable, self.end);
        write!(f, "Stream({:?}, {:?}, {durable} of {end} durable)", self.id, self.phase)
    }
}
