//! From bytes, however they were cut, to frames.

use std::fmt;

use bytes::{Buf, BytesMut};

use super::head::{Head, MAGIC, may_be_opening};
use super::{Frame, FrameError, HEAD_BYTES, Side, Version, Violation};
use crate::limits::KIB;

/// Reads what the other side of one connection sends.
///
/// [`push`](Self::push) what the socket gives, then [`poll`](Self::poll) until there is no frame
/// left. When the first frame has come, decide about it and say with [`agree`](Self::agree) in
/// which version it goes on; until then nothing behind it is read. When the socket gives no more,
/// ask for the [`ending`](Self::ending). Frames and errors depend on the bytes only, not on how
/// they were cut.
///
/// # Memory
///
/// A head is judged as soon as its 16 bytes are there. What it claims is not set aside at once: the
/// buffer grows with the bytes that come, by steps of four, and not beyond the frame that they
/// begin. So whoever pushes at most 64 KiB at a time, which is a good measure, and polls after each
/// time makes the buffer no larger than the largest frame of the contract and 64 KiB; before the
/// handshake, no larger than [`HELLO_BYTES`](crate::limits::HELLO_BYTES) and 128 KiB. At the moment
/// in which it grows, the former buffer is there too, which is at most a quarter of the new one.
/// Do not read on while the handshake is undecided.
///
/// Payloads are not copied out of the buffer, so a small one keeps the bytes in memory that were
/// pushed along with it; who stores it for long may want to copy it. The decoder itself lets go of
/// whatever it has handed out.
///
/// ```
/// use guardhouse_protocol::Namespace;
/// use guardhouse_protocol::frame::{
///     Decoder, Ending, Frame, Gate, Hello, Proof, RendererName, Role, Side,
/// };
///
/// let proof = Proof::new([7; 32]);
/// let name = RendererName::new("settings").unwrap();
/// let hello = Hello::new(Namespace::DEFAULT, Role::Renderer, name, 4711, proof.clone());
/// let mut wire = bytes::BytesMut::new();
/// Frame::Hello(hello).encode(Side::Renderer, &mut wire)?;
/// Frame::Goodbye.encode(Side::Renderer, &mut wire)?;
///
/// let gate = Gate::new(Namespace::DEFAULT, proof);
/// let mut decoder = Decoder::new(Side::Main);
/// let mut frames = Vec::new();
/// for piece in wire.chunks(10) {
///     decoder.push(piece);
///     while let Some(frame) = decoder.poll()? {
///         if let Frame::Hello(hello) = &frame {
///             decoder.agree(gate.admit(hello).expect("the right proof"));
///         }
///         frames.push(frame);
///     }
/// }
/// assert_eq!(frames.len(), 2);
/// assert_eq!(decoder.ending()?, Ending::Goodbye);
/// # Ok::<(), guardhouse_protocol::frame::FrameError>(())
/// ```
pub struct Decoder {
    side: Side,
    phase: Phase,
    /// What has come and is not part of a frame yet.
    buffer: BytesMut,
    /// How many bytes of the buffer's memory belong to frames that were handed out.
    taken: usize,
    /// How many bytes of the connection came before the buffer.
    offset: u64,
    /// How long the frame is whose head has been judged and whose payload is still to come; 0 if
    /// there is none.
    awaited: usize,
}

/// What is pushed at a time, as far as the buffer plans for it: so much of what comes behind a frame
/// may be there before the frame is taken out.
const PIECE_BYTES: usize = 64 * KIB;

#[derive(Clone, Debug)]
enum Phase {
    /// Nothing has come yet but perhaps a part of the first frame.
    Opening,
    /// The first frame was handed out, and the caller has not said what follows from it.
    Undecided,
    /// The handshake is done.
    Open(Version),
    /// The peer has sent its last frame.
    Ended(Ending),
    /// The peer has broken the rules, and the connection is lost.
    Failed(FrameError),
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer said goodbye. Everything it wanted to say is said.
    Goodbye,
    /// Main refused us.
    Refused,
    /// The peer just went away: it was killed, has crashed, or cut the connection.
    Death {
        /// How many bytes there are of the frame in the middle of which it happened.
        unfinished: usize,
    },
}

impl Decoder {
    /// The decoder of `side`, which reads what the other one may send.
    pub fn new(side: Side) -> Self {
        Self {
            side,
            phase: Phase::Opening,
            buffer: BytesMut::new(),
            taken: 0,
            offset: 0,
            awaited: 0,
        }
    }

    /// Takes what the socket gave. After an error it takes no more.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.phase, Phase::Failed(_)) {
            self.make_room(bytes.len());
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Grows the buffer in steps that end with the frame that is awaited. Left to itself it would
    /// double, and so be twice as large as the frame, or be there twice, when a large one comes.
    fn make_room(&mut self, more: usize) {
        let needed = self.buffer.len() + more;
        if needed <= self.buffer.capacity() || self.awaited <= self.buffer.len() {
            return;
        }
        let mut room = self.awaited + more.max(PIECE_BYTES);
        while room / 4 >= needed {
            room /= 4;
        }
        let mut grown = BytesMut::with_capacity(room);
        grown.extend_from_slice(&self.buffer);
        self.buffer = grown;
        self.taken = 0;
    }

    /// The next frame, if all of it is there.
    ///
    /// An error is the peer's fault, and the end of the connection: it comes again at every further
    /// call.
    pub fn poll(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Phase::Failed(error) = &self.phase {
            return Err(error.clone());
        }
        match self.next_frame() {
            Ok(Some(frame)) => {
                match &frame {
                    Frame::Hello(_) | Frame::Welcome(_) => self.phase = Phase::Undecided,
                    Frame::Refused(_) => self.phase = Phase::Ended(Ending::Refused),
                    Frame::Goodbye => self.phase = Phase::Ended(Ending::Goodbye),
                    _ => {}
                }
                Ok(Some(frame))
            }
            Ok(None) => {
                self.release();
                Ok(None)
            }
            Err(violation) => {
                let error = FrameError::of_peer(self.offset, violation);
                self.phase = Phase::Failed(error.clone());
                self.buffer = BytesMut::new();
                Err(error)
            }
        }
    }

    /// Says that the handshake has succeeded, and in which version it goes on. It means nothing
    /// unless a [`Hello`](super::Hello) or [`Welcome`](super::Welcome) was the last frame.
    pub fn agree(&mut self, version: Version) {
        if matches!(self.phase, Phase::Undecided) {
            self.phase = Phase::Open(version);
        }
    }

    /// The version that was agreed on, while the connection is open.
    pub fn version(&self) -> Option<Version> {
        match self.phase {
            Phase::Open(version) => Some(version),
            _ => None,
        }
    }

    /// How many bytes wait for the rest of their frame, or for the handshake to be decided.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// What it means that the socket gives no more. Ask when [`poll`](Self::poll) has no frame
    /// left.
    ///
    /// An error is a connection that had broken the rules before, or whose few bytes are no
    /// beginning of ours: a stranger who waited for an answer in another protocol.
    pub fn ending(&self) -> Result<Ending, FrameError> {
        match &self.phase {
            Phase::Failed(error) => Err(error.clone()),
            Phase::Ended(ending) => Ok(*ending),
            Phase::Opening if !may_be_opening(first(&self.buffer), self.side.peer()) => {
                Err(FrameError::of_peer(self.offset, stranger(&self.buffer)))
            }
            _ => Ok(Ending::Death { unfinished: self.buffer.len() }),
        }
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, Violation> {
        match self.phase {
            _ if self.buffer.is_empty() => return Ok(None),
            Phase::Undecided => return Ok(None),
            Phase::Ended(_) => return Err(Violation::AfterEnd),
            _ => {}
        }
        let Some(bytes) = self.buffer.first_chunk() else {
            return Ok(None);
        };
        let head = self.judge(bytes)?;
        let length = HEAD_BYTES + head.length;
        if self.buffer.len() < length {
            self.awaited = length;
            return Ok(None);
        }
        self.awaited = 0;
        let mut payload = self.buffer.split_to(length).freeze();
        payload.advance(HEAD_BYTES);
        let frame = Frame::from_parts(head, payload)?;
        self.taken += length;
        self.offset += length as u64;
        Ok(Some(frame))
    }

    /// Whether a head may come now, which is more than that it may come at all.
    fn judge(&self, bytes: &[u8; HEAD_BYTES]) -> Result<Head, Violation> {
        let judged = Head::parse(bytes, self.side.peer());
        if !matches!(self.phase, Phase::Opening) {
            return match judged {
                Ok(Head { kind, .. }) if kind.is_opening() => {
                    Err(Violation::HandshakeAgain { kind })
                }
                judged => judged,
            };
        }
        let has_magic = bytes.ends_with(&MAGIC.to_le_bytes());
        match judged {
            Ok(head) if head.kind.is_opening() && has_magic => Ok(head),
            // A peer that is ours but does not keep to the order wants another error than a
            // stranger.
            Ok(Head { kind, .. }) if !kind.is_opening() => Err(Violation::BeforeHandshake { kind }),
            Err(violation) if has_magic => Err(violation),
            Ok(_) | Err(_) => Err(stranger(bytes)),
        }
    }

    /// Lets go of the memory of the frames that were handed out. The rest of the buffer lies in the
    /// same memory as they do, and would keep all of it for as long as the connection lives. It
    /// moves only if it is the smaller part, so that no byte is moved more often than another is
    /// taken.
    fn release(&mut self) {
        if self.taken > 0 && self.taken >= self.buffer.len() {
            self.buffer = BytesMut::from(&self.buffer[..]);
            self.taken = 0;
        }
    }
}

/// What a stranger's connection begins with. It does not depend on how much has come behind it.
fn stranger(bytes: &[u8]) -> Violation {
    Violation::NotGuardhouse { excerpt: first(bytes).escape_ascii().to_string() }
}

fn first(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(HEAD_BYTES)]
}

impl fmt::Debug for Decoder {
    /// Leaves out the bytes, among which there may be a proof.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("side", &self.side)
            .field("phase", &self.phase)
            .field("offset", &self.offset)
            .field("buffered", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
