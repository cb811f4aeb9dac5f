//! What main knows of the streams that renderers have open: how far each has come, and what became of
//! the last ones.
//!
//! [`Streams`] decides what a piece of a stream is answered with; where the bytes go, a [`Store`]
//! knows. It promises that each byte is stored once and in its place, whatever comes twice or late:
//! a piece that is not the next one changes nothing, and its sender hears where to go on. That is
//! also how a stream goes on over another connection.
//!
//! What comes over a socket, and how the answers are put there, is left to others, as is how much a
//! renderer may say at all, which [`intake`](crate::intake) decides.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use bytes::Bytes;
use guardhouse_protocol::StreamOpening;
use guardhouse_protocol::frame::MessageId;
use guardhouse_protocol::limits::{STREAM_BYTES, STREAMS};
use uuid::Uuid;

use crate::losses::Reason;
use crate::outbox::spool::{Spool, StreamError, StreamId};

/// So many streams of a renderer that have ended are remembered. Only the last few can be asked for
/// again: a renderer waits for the end of a stream before it forgets it.
const REMEMBERED: usize = 64;

/// Where streams are written.
///
/// Nothing, an `Option` without a store, takes everything and keeps none of it, as main does without
/// a DSN.
pub trait Store {
    /// Begins a stream. What cannot be begun is counted.
    fn begin(&mut self, opening: &StreamOpening) -> Result<StreamId, StreamError>;

    /// Writes the next bytes of a stream. On an error the stream is given up and counted.
    fn grow(&mut self, stream: StreamId, bytes: &[u8]) -> Result<(), StreamError>;

    /// Everything of a stream is there: sees to it that it is sent. On an error the stream is given up
    /// and counted.
    fn finish(&mut self, stream: StreamId) -> Result<(), StreamError>;

    /// Gives a stream up and counts it.
    fn lose(&mut self, stream: StreamId, reason: Reason);

    /// Forgets a stream whose sender is no more. It is not counted, since it was not acknowledged.
    fn leave(&mut self, stream: StreamId);
}

/// The open streams of all renderers.
///
/// ```
/// use bytes::Bytes;
/// use guardhouse_main::Uuid;
/// use guardhouse_main::outbox::spool::Spool;
/// use guardhouse_main::streams::{Chunked, Opened, Streams};
/// use guardhouse_protocol::StreamOpening;
/// use guardhouse_protocol::frame::MessageId;
///
/// let mut nowhere: Option<Spool> = None;
/// let mut streams = Streams::default();
/// let (renderer, id) = (Uuid::from_u128(1), MessageId::new(7));
/// let event = "9ec79c33ec9942ab8353589fcb2e04dc".parse()?;
/// let opening = StreamOpening::new("screen.webm", event)?;
/// let piece = Bytes::from_static(b"first");
///
/// assert_eq!(streams.open(renderer, id, &opening, &mut nowhere), Opened::At(0));
/// assert_eq!(streams.chunk(renderer, id, 0, false, &piece, &mut nowhere), Chunked::At(5));
/// // The connection broke, and the renderer does not know what has arrived.
/// assert_eq!(streams.open(renderer, id, &opening, &mut nowhere), Opened::At(5));
/// assert_eq!(streams.chunk(renderer, id, 0, false, &piece, &mut nowhere), Chunked::OutOfPlace(5));
/// assert_eq!(streams.chunk(renderer, id, 5, true, &piece, &mut nowhere), Chunked::Complete(10));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Bounds
///
/// A renderer has at most [`STREAMS`] open, of [`STREAM_BYTES`] each, and of those that have ended the
/// last 64 are remembered. No bytes are held. Of how many renderers there is something to hold is
/// bounded by whoever calls [`forget`](Self::forget).
#[derive(Debug, Default)]
pub struct Streams {
    renderers: BTreeMap<Uuid, Known>,
}

/// What an opening is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the renderer waits for it"]
pub enum Opened {
    /// The stream is open, and so many bytes are there. The renderer goes on from here.
    At(u64),
    /// The stream was complete already, with so many bytes.
    Complete(u64),
    /// Main does not take the stream, for this reason, and has counted it.
    Declined(String),
}

/// What a piece is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the renderer waits for it"]
pub enum Chunked {
    /// So many bytes are there now.
    At(u64),
    /// Everything is there, and so many bytes that is. Now the renderer may forget it.
    Complete(u64),
    /// The piece is not the next one, and nothing was done with it: so many bytes are there.
    OutOfPlace(u64),
    /// The renderer has no such stream. It has to open it.
    NotOpen,
    /// Main does not take the stream any more, for this reason, and has counted it. It says so of
    /// each piece that was under way.
    Declined(String),
}

/// What is known of a renderer.
#[derive(Debug, Default)]
struct Known {
    open: BTreeMap<MessageId, Open>,
    /// The last that have ended, the newest last.
    ended: VecDeque<(MessageId, Ended)>,
    /// How often something came of any stream.
    touches: u64,
}

/// A stream that is open.
#[derive(Debug)]
struct Open {
    stream: StreamId,
    size: Option<u64>,
    received: u64,
    /// When something came of it, among the renderer's streams.
    touched: u64,
}

/// How a stream has ended.
#[derive(Clone, Debug)]
enum Ended {
    Complete(u64),
    Declined(String),
}

impl Streams {
    /// A renderer opens a stream, or asks how far one is.
    pub fn open(
        &mut self,
        renderer: Uuid,
        id: MessageId,
        opening: &StreamOpening,
        store: &mut impl Store,
    ) -> Opened {
        let known = self.renderers.entry(renderer).or_default();
        if let Some(open) = known.open.get(&id) {
            return Opened::At(open.received);
        }
        match known.ended(id) {
            Some(Ended::Complete(received)) => return Opened::Complete(*received),
            Some(Ended::Declined(reason)) => return Opened::Declined(reason.clone()),
            None => {}
        }
        if known.open.len() >= STREAMS {
            // A renderer that keeps to the contract has as many under way only if it has given one up
            // without a word, and that is the one that rests the longest.
            let resting = known.open.iter().min_by_key(|(_, open)| open.touched);
            if let Some(resting) = resting.map(|(id, _)| *id)
                && let Some(open) = known.open.remove(&resting)
            {
                store.leave(open.stream);
            }
        }
        match store.begin(opening) {
            Ok(stream) => {
                let touched = known.touch();
                let size = opening.size();
                known.open.insert(id, Open { stream, size, received: 0, touched });
                Opened::At(0)
            }
            Err(error) => Opened::Declined(known.declined(id, error.to_string())),
        }
    }

    /// A renderer sends a piece of a stream.
    pub fn chunk(
        &mut self,
        renderer: Uuid,
        id: MessageId,
        offset: u64,
        last: bool,
        bytes: &Bytes,
        store: &mut impl Store,
    ) -> Chunked {
        let Some(known) = self.renderers.get_mut(&renderer) else { return Chunked::NotOpen };
        let touched = known.touch();
        let Some(open) = known.open.get_mut(&id) else {
            return match known.ended(id) {
                Some(Ended::Complete(received)) => Chunked::Complete(*received),
                Some(Ended::Declined(reason)) => Chunked::Declined(reason.clone()),
                None => Chunked::NotOpen,
            };
        };
        open.touched = touched;
        if offset != open.received {
            return Chunked::OutOfPlace(open.received);
        }
        let received = offset.saturating_add(bytes.len() as u64);
        if let Err(reason) = open.check(received, last) {
            store.lose(open.stream, Reason::Invalid);
            return Chunked::Declined(known.declined(id, reason));
        }
        let mut stored = if bytes.is_empty() { Ok(()) } else { store.grow(open.stream, bytes) };
        if last {
            stored = stored.and_then(|()| store.finish(open.stream));
        }
        match stored {
            Err(error) => Chunked::Declined(known.declined(id, error.to_string())),
            Ok(()) if last => {
                known.end(id, Ended::Complete(received));
                Chunked::Complete(received)
            }
            Ok(()) => {
                open.received = received;
                Chunked::At(received)
            }
        }
    }

    /// A stream cannot be sent to its end.
    pub(crate) fn lose(
        &mut self,
        renderer: Uuid,
        id: MessageId,
        reason: Reason,
        store: &mut impl Store,
    ) {
        let known = self.renderers.get_mut(&renderer);
        if let Some(open) = known.and_then(|known| known.open.remove(&id)) {
            store.lose(open.stream, reason);
        }
    }

    /// A renderer is no more, and with it what it has not sent to the end.
    pub fn forget(&mut self, renderer: Uuid, store: &mut impl Store) {
        let known = self.renderers.remove(&renderer).unwrap_or_default();
        for open in known.open.into_values() {
            store.leave(open.stream);
        }
    }
}

impl Known {
    fn touch(&mut self) -> u64 {
        self.touches += 1;
        self.touches
    }

    fn ended(&self, id: MessageId) -> Option<&Ended> {
        self.ended.iter().find(|(other, _)| *other == id).map(|(_, ended)| ended)
    }

    fn end(&mut self, id: MessageId, ended: Ended) {
        self.open.remove(&id);
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back((id, ended));
    }

    fn declined(&mut self, id: MessageId, reason: String) -> String {
        self.end(id, Ended::Declined(reason.clone()));
        reason
    }
}

impl Open {
    /// Whether a stream may have come so far.
    fn check(&self, received: u64, last: bool) -> Result<(), String> {
        match self.size {
            Some(size) if received > size => {
                Err(format!("it is longer than the {size} bytes that its opening says"))
            }
            Some(size) if last && received < size => Err(format!(
                "it ends after {received} bytes, and its opening says that it has {size}"
            )),
            _ if received > STREAM_BYTES => {
                Err(format!("it is longer than the {STREAM_BYTES} bytes that a stream may have"))
            }
            _ => Ok(()),
        }
    }
}

impl Store for Spool {
    fn begin(&mut self, opening: &StreamOpening) -> Result<StreamId, StreamError> {
        self.begin_stream(opening)
    }

    fn grow(&mut self, stream: StreamId, bytes: &[u8]) -> Result<(), StreamError> {
        self.grow_stream(stream, bytes).map(drop)
    }

    fn finish(&mut self, stream: StreamId) -> Result<(), StreamError> {
        self.finish_stream(stream, SystemTime::now()).map(drop)
    }

    fn lose(&mut self, stream: StreamId, reason: Reason) {
        self.lose_stream(stream, reason);
    }

    fn leave(&mut self, stream: StreamId) {
        self.drop_stream(stream);
    }
}

impl<S: Store> Store for Option<S> {
    fn begin(&mut self, opening: &StreamOpening) -> Result<StreamId, StreamError> {
        self.as_mut().map_or(Ok(StreamId::NONE), |store| store.begin(opening))
    }

    fn grow(&mut self, stream: StreamId, bytes: &[u8]) -> Result<(), StreamError> {
        self.as_mut().map_or(Ok(()), |store| store.grow(stream, bytes))
    }

    fn finish(&mut self, stream: StreamId) -> Result<(), StreamError> {
        self.as_mut().map_or(Ok(()), |store| store.finish(stream))
    }

    fn lose(&mut self, stream: StreamId, reason: Reason) {
        if let Some(store) = self {
            store.lose(stream, reason);
        }
    }

    fn leave(&mut self, stream: StreamId) {
        if let Some(store) = self {
            store.leave(stream);
        }
    }
}
