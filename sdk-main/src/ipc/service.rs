//! What a connection may ask of main, whatever way it came.
//!
//! It is the same for the socket, for HTTP on the loopback interface and for whatever a host turns into
//! the latter: who somebody is, what it says, and what came of it. A connection owns sockets and
//! frames or requests; this owns neither. Nothing here waits but for answers, which come from the SDK
//! thread.

use std::sync::Arc;

use bytes::Bytes;
use guardhouse_crash::ending::Status;
use guardhouse_process::lock;
use guardhouse_protocol::frame::{Hello, MessageId, Proof, Rejection, Welcome};
use guardhouse_protocol::{Channel, StreamOpening};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::pushes::Push;
use super::renderers::{Arrival, Entrance, Way};
use super::room::{LargeShare, OwnShares, Room, Shares};
use crate::house::{Answering, House, MessageAnswer, Visit};

/// A handle to main for connections.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    house: Arc<House>,
}

/// What a native renderer asks of the SDK thread.
pub(crate) enum Call {
    /// It was welcomed, and is new: by this id, and perhaps by the one that it had when main let go of
    /// it. Others have made place for it.
    Arrived { renderer: Uuid, former: Option<Uuid>, replaced: Vec<Uuid> },
    /// It says something. Without an id it is new each time.
    Said {
        renderer: Uuid,
        id: Option<MessageId>,
        channel: Channel,
        payload: Bytes,
        answer: Answering,
    },
    /// It begins a stream, or takes it up again.
    Opened { renderer: Uuid, id: MessageId, opening: StreamOpening, answer: StreamAnswering },
    /// A piece of a stream.
    Chunk {
        renderer: Uuid,
        id: MessageId,
        offset: u64,
        is_last: bool,
        data: Bytes,
        answer: StreamAnswering,
    },
    /// It goes in good order.
    Left { renderer: Uuid },
    /// A connection of it is closed.
    Unlinked { renderer: Uuid },
    /// Its process has ended.
    Ended { renderer: Uuid, status: Status },
}

/// What became of a stream's opening or piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamAnswer {
    /// So much of it is on disk.
    At(u64),
    /// All of it is on disk.
    Complete(u64),
    /// The piece is not the next one; so much is on disk.
    OutOfPlace(u64),
    /// The piece belongs to no open stream.
    NotOpen,
    /// Main will not take it, now or ever.
    Declined(String),
}

/// Who wants to know what became of it. Dropped without an answer it means that main takes nothing any
/// more.
pub(crate) type StreamAnswering = Box<dyn FnOnce(StreamAnswer) + Send>;

/// A connection that counts as open until it is dropped.
#[derive(Debug)]
pub(crate) struct Linked {
    house: Arc<House>,
    renderer: Uuid,
    way: Way,
}

impl Drop for Linked {
    fn drop(&mut self) {
        lock(&self.house.renderers).unlink(self.renderer, self.way);
        self.house.ask(Visit::Native(Call::Unlinked { renderer: self.renderer }));
    }
}

impl Service {
    pub(crate) fn new(house: Arc<House>) -> Self {
        Self { house }
    }

    /// What all connections share.
    pub(crate) fn room(&self) -> &Room {
        &self.house.room
    }

    /// Whether a hello would be somebody new: it is good, and not of one that main knows already.
    pub(crate) fn is_new(&self, hello: &Hello) -> bool {
        lock(&self.house.renderers).is_new(hello)
    }

    /// Decides about a hello. Says also who has made place for it, and is unknown from now on.
    pub(crate) fn welcome(
        &self,
        hello: &Hello,
        entrance: Entrance,
    ) -> Result<(Welcome, Vec<Uuid>), Rejection> {
        let decided = lock(&self.house.renderers).welcome(hello, entrance);
        match decided {
            Ok((welcome, arrival)) => {
                let mut gone = Vec::new();
                if let Some(Arrival { former, replaced }) = arrival {
                    gone.clone_from(&replaced);
                    let renderer = welcome.renderer_id;
                    self.house.ask(Visit::Native(Call::Arrived { renderer, former, replaced }));
                }
                Ok((welcome, gone))
            }
            Err(rejection) => {
                self.house.say(format_args!(
                    "renderer {:?} (process {}) was not let in: {}",
                    hello.name.as_str(),
                    hello.pid,
                    rejection.message()
                ));
                Err(rejection)
            }
        }
    }

    /// Whether the secret is that of the renderer with this id.
    pub(crate) fn recognises(&self, id: Uuid, secret: &Proof) -> bool {
        lock(&self.house.renderers).recognises(id, secret)
    }

    /// The process of a renderer, if the system says which it is.
    pub(crate) fn process_of(&self, id: Uuid) -> Option<u32> {
        lock(&self.house.renderers).process_of(id)
    }

    /// Counts somebody who was not let in and sent no hello, and explains it in debug output.
    pub(crate) fn turn_away(&self, why: &'static str, words: std::fmt::Arguments<'_>) {
        lock(&self.house.renderers).turn_away(why);
        self.house.say(words);
    }

    /// Counts a connection of a renderer as open.
    pub(crate) fn link(&self, renderer: Uuid, way: Way) -> Linked {
        lock(&self.house.renderers).link(renderer, way);
        Linked { house: self.house.clone(), renderer, way }
    }

    /// The same, unless it has so many of them already.
    pub(crate) fn try_link(&self, renderer: Uuid, way: Way, most: usize) -> Option<Linked> {
        {
            let mut renderers = lock(&self.house.renderers);
            if renderers.links(renderer, way) >= most {
                return None;
            }
            renderers.link(renderer, way);
        }
        Some(Linked { house: self.house.clone(), renderer, way })
    }

    /// Hands over what a renderer says, with what it takes up of the renderer's room. `answer` is called
    /// once, perhaps much later, with what is left of that. What comes first is taken first.
    pub(crate) fn hand_over(
        &self,
        renderer: Uuid,
        (id, channel, payload): (Option<MessageId>, Channel, Bytes),
        shares: Shares,
        answer: impl FnOnce(MessageAnswer, Option<OwnShares>) + Send + 'static,
    ) {
        let answer = Answering::native(shares, answer);
        self.house.ask(Visit::Native(Call::Said { renderer, id, channel, payload, answer }));
    }

    /// The same, for those who wait for the answer.
    pub(crate) async fn say(
        &self,
        renderer: Uuid,
        id: Option<MessageId>,
        channel: Channel,
        payload: Bytes,
        large: Option<LargeShare>,
    ) -> MessageAnswer {
        let shares = self.room().message(renderer, payload.len(), large).await;
        let Some(shares) = shares else { return MessageAnswer::closed() };
        let (tell, told) = oneshot::channel();
        let answer = |answer, _shares| drop(tell.send(answer));
        self.hand_over(renderer, (id, channel, payload), shares, answer);
        told.await.unwrap_or_else(|_| MessageAnswer::closed())
    }

    /// Begins a stream, or takes it up again. An opening that means nothing is declined.
    pub(crate) fn open_stream(
        &self,
        renderer: Uuid,
        id: MessageId,
        opening: &[u8],
        answer: impl FnOnce(StreamAnswer) + Send + 'static,
    ) {
        match StreamOpening::parse(opening) {
            Ok(opening) => self.house.ask(Visit::Native(Call::Opened {
                renderer,
                id,
                opening,
                answer: Box::new(answer),
            })),
            Err(error) => answer(StreamAnswer::Declined(error.to_string())),
        }
    }

    /// Takes a piece of a stream.
    pub(crate) fn take_chunk(
        &self,
        renderer: Uuid,
        id: MessageId,
        (offset, is_last): (u64, bool),
        data: Bytes,
        answer: impl FnOnce(StreamAnswer) + Send + 'static,
    ) {
        let answer = Box::new(answer);
        let call = Call::Chunk { renderer, id, offset, is_last, data, answer };
        self.house.ask(Visit::Native(call));
    }

    /// What main pushes on a channel; nothing if main does not speak there.
    pub(crate) fn pushes(&self, channel: Channel) -> Option<watch::Receiver<Push>> {
        self.house.pushes.of(channel)
    }

    /// A renderer goes in good order.
    pub(crate) fn leave(&self, renderer: Uuid) {
        self.house.ask(Visit::Native(Call::Left { renderer }));
    }

    /// Says something if the application wants to hear it.
    pub(crate) fn say_in_debug(&self, words: std::fmt::Arguments<'_>) {
        self.house.say(words);
    }
}
