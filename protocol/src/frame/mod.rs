//! Frames: what native processes write to each other's sockets.
//!
//! A frame is a head of 16 bytes, little endian, and a payload:
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | length of the payload that follows the head |
//! | 4 | [kind](Kind) |
//! | 5 | [code](crate::Channel::code) of the channel, or 0 for the kinds that belong to none |
//! | 6–7 | flags, all reserved and zero |
//! | 8–15 | id of the message or stream; 0 in a goodbye, `GUARDIPC` in a hello, welcome or refusal |
//!
//! A connection begins with a [`Hello`] and its [`Welcome`] or [`Rejection`], of which the renderer
//! awaits one before it goes on. Then each side sends what the [contract](crate::contract) lets it,
//! until it says goodbye; an end without one is a death.
//!
//! This module promises that a head is judged by the contract before any memory is set aside for
//! the payload, and that our side never sends what the other would refuse. It leaves reading and
//! writing, timeouts and the decision to hang up to whoever owns the socket, and what a payload
//! means to the types that the contract names.
//!
//! # Ids
//!
//! The sender of a message or stream chooses its [id](MessageId), each higher than the one before.
//! What is sent again over another connection keeps its id: so main knows what it has already, and
//! can acknowledge it once more instead of taking it twice. Main remembers that for the highest
//! [`MESSAGE_WINDOW`](crate::limits::MESSAGE_WINDOW) ids, and takes what is further below for
//! something that it had; so a renderer has no more than that without an answer. A new main
//! remembers nothing: what the old one had on disk and not acknowledged it may get twice.

mod decoder;
mod error;
mod gate;
mod handshake;
mod head;
mod identity;
mod proof;
mod rejection;
mod version;
mod wire;

use std::fmt;

use bytes::Bytes;

use crate::Channel;

pub use decoder::{Decoder, Ending};
pub use error::{FrameError, Violation};
pub use gate::Gate;
pub use handshake::{Hello, NotOffered, Resume, Welcome};
pub use head::{HEAD_BYTES, Kind};
pub use identity::{RendererName, Role};
pub use proof::{Proof, ProofError};
pub use rejection::{Rejection, RejectionReason};
pub use version::{Version, VersionMismatch, VersionRange};
pub use wire::Prefix;

/// One frame.
///
/// It is not `non_exhaustive`: a process that speaks a version has to handle every frame of it, and
/// the compiler should say so. `Debug` shows how long payloads are, not what is in them.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use guardhouse_protocol::Channel;
/// use guardhouse_protocol::frame::{Frame, MessageId, Side};
///
/// let frame = Frame::Message {
///     id: MessageId::new(1),
///     channel: Channel::Scope,
///     payload: Bytes::from_static(b"[]"),
/// };
/// let mut wire = BytesMut::new();
/// frame.encode(Side::Renderer, &mut wire)?;
/// assert_eq!(wire, &b"\x02\0\0\0\x05\x02\0\0\x01\0\0\0\0\0\0\0[]"[..]);
///
/// let error = frame.encode(Side::Main, &mut wire).unwrap_err();
/// assert!(error.is_ours());
/// assert!(error.to_string().ends_with("main may not send a message on channel scope"));
/// # Ok::<(), guardhouse_protocol::frame::FrameError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// A renderer introduces itself. The first frame of a connection, and only that.
    Hello(Hello),
    /// Main lets the renderer in. Main's first frame.
    Welcome(Welcome),
    /// Main does not let the renderer in. Main's first and last frame.
    Refused(Rejection),
    /// The sender's last frame: it goes in good order, and everything it wanted to say is said.
    Goodbye,
    /// A message of a channel, from the side that speaks on it. Main acknowledges, replies to or
    /// declines what it gets; what main pushes is answered by nobody.
    Message {
        /// What its sender calls it.
        id: MessageId,
        /// The channel.
        channel: Channel,
        /// What the contract says for the channel.
        payload: Bytes,
    },
    /// Main has done with a message what the [contract](crate::contract::Acknowledgement) promises
    /// for its channel: the renderer may forget it.
    Ack {
        /// Which one.
        id: MessageId,
    },
    /// Main will not take a message or a stream, now or ever: the renderer may forget it. Main has
    /// counted it.
    Declined {
        /// Which one.
        id: MessageId,
        /// Why, for a person. What is longer than
        /// [`REASON_BYTES`](crate::limits::REASON_BYTES) loses its end when it is sent.
        reason: String,
    },
    /// Main answers a message of a request/response channel, or a stream that is complete.
    Reply {
        /// Which one.
        id: MessageId,
        /// The channel on which it was asked.
        channel: Channel,
        /// What the contract says for the reply.
        payload: Bytes,
    },
    /// A renderer begins a stream. The same id opens it again on another connection, and the first
    /// [`StreamAck`](Frame::StreamAck) says from where to go on.
    StreamOpen {
        /// What its sender calls it.
        id: MessageId,
        /// The channel.
        channel: Channel,
        /// What the stream is.
        payload: Bytes,
    },
    /// A piece of a stream.
    Chunk {
        /// Which stream.
        id: MessageId,
        /// The channel.
        channel: Channel,
        /// Where in the stream the piece begins.
        offset: u64,
        /// Whether the stream ends with it.
        last: bool,
        /// The piece.
        data: Bytes,
    },
    /// Main has made the stream durable up to here. It is what a renderer has to know to send more,
    /// since no more than [`STREAM_WINDOW_BYTES`](crate::limits::STREAM_WINDOW_BYTES) may be ahead
    /// of it, and where it goes on after a failover.
    StreamAck {
        /// Which stream.
        id: MessageId,
        /// Bytes from the start that are durable.
        received: u64,
    },
}

impl Frame {
    /// What the head of the frame says that it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Welcome(_) => Kind::Welcome,
            Self::Refused(_) => Kind::Refused,
            Self::Goodbye => Kind::Goodbye,
            Self::Message { .. } => Kind::Message,
            Self::Ack { .. } => Kind::Ack,
            Self::Declined { .. } => Kind::Declined,
            Self::Reply { .. } => Kind::Reply,
            Self::StreamOpen { .. } => Kind::StreamOpen,
            Self::Chunk { last: false, .. } => Kind::Chunk,
            Self::Chunk { last: true, .. } => Kind::LastChunk,
            Self::StreamAck { .. } => Kind::StreamAck,
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(hello) => hello.fmt(f),
            Self::Welcome(welcome) => welcome.fmt(f),
            Self::Refused(rejection) => write!(f, "Refused({:?})", rejection.reason()),
            Self::Goodbye => f.write_str("Goodbye"),
            Self::Message { id, channel, payload } => {
                write!(f, "Message({id}, {channel}, {} bytes)", payload.len())
            }
            Self::Ack { id } => write!(f, "Ack({id})"),
            Self::Declined { id, reason } => write!(f, "Declined({id}, {reason:?})"),
            Self::Reply { id, channel, payload } => {
                write!(f, "Reply({id}, {channel}, {} bytes)", payload.len())
            }
            Self::StreamOpen { id, channel, payload } => {
                write!(f, "StreamOpen({id}, {channel}, {} bytes)", payload.len())
            }
            Self::Chunk { id, channel, offset, last, data } => {
                let last = if *last { ", last" } else { "" };
                write!(f, "Chunk({id}, {channel}, {} bytes at {offset}{last})", data.len())
            }
            Self::StreamAck { id, received } => write!(f, "StreamAck({id}, {received} bytes)"),
        }
    }
}

/// What the sender of a message or stream calls it: a number that it uses for nothing else, on any
/// connection, as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(u64);

impl MessageId {
    /// The id with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The process that all others report through.
    Main,
    /// A process that reports through main, whatever its [role](Role).
    Renderer,
}

impl Side {
    /// The other end.
    pub const fn peer(self) -> Self {
        match self {
            Self::Main => Self::Renderer,
            Self::Renderer => Self::Main,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Renderer => "a renderer",
        })
    }
}
