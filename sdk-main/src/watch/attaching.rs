//! Large attachments of main itself, read piece by piece.
//!
//! Each is written to disk as it is read, so that no more of it is in memory than the piece at hand.
//! A source may wait for whatever it likes, so it is read on threads of their own, a few at once.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use guardhouse_process::attach::{AttachmentAnswer, Source, read_aside};
use guardhouse_process::doorway::Promised;
use guardhouse_protocol::StreamOpening;
use guardhouse_protocol::frame::MessageId;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Watch;
use crate::losses::{Category, Losses, Reason};
use crate::streams::{Chunked, Opened, Streams};

/// So many are read at once; the others wait.
const AT_ONCE: usize = 4;

/// So many are held at most. Each has a source of the application's, such as an open file.
const MOST: usize = 64;

/// Who sends the streams: main, which is no renderer.
const MAIN: Uuid = Uuid::nil();

/// What reading has brought: a piece, and whether it was the last; nothing if it failed.
type Read = Option<(Source, Bytes, bool)>;

/// All large attachments of main that are not on disk.
#[derive(Default)]
pub(super) struct Attaching {
    waiting: VecDeque<(u64, Attach)>,
    /// Those that are being read, and how much of each is on disk.
    open: BTreeMap<u64, (Attached, u64)>,
    reading: JoinSet<(u64, Read)>,
    /// What was read and is not on disk.
    read: Vec<(u64, Read)>,
    streams: Streams,
    next: u64,
}

/// A large attachment that main is asked to take.
pub(crate) struct Attach {
    pub(crate) opening: StreamOpening,
    pub(crate) source: Source,
    pub(crate) answer: Attached,
}

/// Who wants to know what became of an attachment. Whatever happens to it, it is told once.
pub(crate) struct Attached(Option<Promised<AttachmentAnswer>>);

impl Attached {
    pub(crate) fn new(promised: Promised<AttachmentAnswer>) -> Self {
        Self(Some(promised))
    }

    pub(crate) fn tell(mut self, answer: AttachmentAnswer) {
        if let Some(promised) = self.0.take() {
            promised.keep(answer);
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(promised) = self.0.take() {
            promised.keep(AttachmentAnswer::Lost);
        }
    }
}

impl Attaching {
    /// Waits until a piece was read.
    pub(super) async fn read(&mut self) {
        match self.reading.join_next().await {
            // What is read does not panic, and is never cancelled while there is somebody to wait.
            Some(read) => self.read.extend(read),
            None => std::future::pending().await,
        }
    }

    /// Whether something is not on disk yet.
    pub(super) fn is_under_way(&self) -> bool {
        !self.waiting.is_empty() || !self.open.is_empty()
    }

    /// Whether something is not on disk that was there before another would get this number.
    pub(super) fn has_before(&self, next: u64) -> bool {
        let oldest =
            self.open.keys().next().into_iter().chain(self.waiting.front().map(|it| &it.0));
        oldest.min().is_some_and(|oldest| *oldest < next)
    }

    /// What the next attachment would be called.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Reads the next piece on another thread.
    fn read_on(&mut self, order: u64, source: Source) {
        self.reading.spawn(async move { (order, read_aside(source).await) });
    }
}

impl Watch {
    /// Takes an attachment, if there is room for one more.
    pub(super) fn attach(&mut self, attach: Attach) {
        if self.attaching.waiting.len() + self.attaching.open.len() >= MOST {
            self.count_attachment(attach.opening.size().unwrap_or(0));
            return self.house.say(format_args!(
                "the attachment {:?} was dropped: {MOST} others are not read yet",
                attach.opening.filename()
            ));
        }
        self.attaching.waiting.push_back((self.attaching.next, attach));
        self.attaching.next += 1;
    }

    fn count_attachment(&mut self, bytes: u64) {
        let mut losses = Losses::new();
        losses.count(Category::Attachment, Reason::QueueOverflow, bytes);
        if let Some(outbox) = &mut self.outbox {
            outbox.count(&losses);
        }
    }

    /// Writes what was read, and reads on.
    pub(super) fn go_on_attaching(&mut self) {
        for (order, read) in std::mem::take(&mut self.attaching.read) {
            self.take_read(order, read);
        }
        while self.attaching.open.len() < AT_ONCE {
            let Some((order, attach)) = self.attaching.waiting.pop_front() else { return };
            let Attaching { streams, open, .. } = &mut self.attaching;
            let Attach { opening, source, answer } = attach;
            match streams.open(MAIN, MessageId::new(order), &opening, &mut self.outbox) {
                Opened::Declined(why) => self.decline(opening.filename(), why, answer),
                Opened::At(_) | Opened::Complete(_) => {
                    open.insert(order, (answer, 0));
                    self.attaching.read_on(order, source);
                }
            }
        }
    }

    fn take_read(&mut self, order: u64, read: Read) {
        let Attaching { streams, open, .. } = &mut self.attaching;
        let Some((answer, offset)) = open.remove(&order) else { return };
        let id = MessageId::new(order);
        let Some((source, piece, is_last)) = read else {
            streams.lose(MAIN, id, Reason::NetworkError, &mut self.outbox);
            return self
                .house
                .say(format_args!("an attachment was dropped: its reader has failed"));
        };
        match streams.chunk(MAIN, id, offset, is_last, &piece, &mut self.outbox) {
            Chunked::At(received) => {
                open.insert(order, (answer, received));
                self.attaching.read_on(order, source);
            }
            Chunked::Complete(bytes) => answer.tell(AttachmentAnswer::Taken { bytes }),
            Chunked::Declined(why) => self.decline("an attachment", why, answer),
            // It is the only one who writes to it, and has it opened.
            Chunked::OutOfPlace(_) | Chunked::NotOpen => {}
        }
    }

    fn decline(&self, what: &str, why: String, answer: Attached) {
        self.house.say(format_args!("{what} was not taken as an attachment: {why}"));
        answer.tell(AttachmentAnswer::Declined(why));
    }

    /// The application ends. What is not on disk by now is lost.
    pub(super) fn give_up_attaching(&mut self) {
        let Attaching { waiting, open, streams, .. } = &mut self.attaching;
        for order in std::mem::take(open).into_keys() {
            streams.lose(MAIN, MessageId::new(order), Reason::QueueOverflow, &mut self.outbox);
        }
        for (_, attach) in std::mem::take(waiting) {
            self.count_attachment(attach.opening.size().unwrap_or(0));
        }
    }
}
