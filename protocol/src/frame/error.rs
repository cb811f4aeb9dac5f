//! What can be wrong with a frame, and whose fault it is.

use std::fmt;

use super::{Kind, Side};
use crate::limits::STREAM_BYTES;
use crate::{Channel, ChannelError, PayloadError};

/// A frame that the format forbids: what is wrong, where, and with whom the fault lies.
///
/// One that the [decoder](super::Decoder) returns is the peer's fault: the connection cannot go on,
/// since nobody knows where the next frame would begin. One that an encoder returns is ours: the
/// connection is as it was, only this frame must not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// Where the frame begins in what the peer has sent; nothing if we are about to send it.
    offset: Option<u64>,
    violation: Box<Violation>,
}

impl FrameError {
    pub(super) fn of_peer(offset: u64, violation: Violation) -> Self {
        Self { offset: Some(offset), violation: Box::new(violation) }
    }

    pub(super) fn ours(violation: Violation) -> Self {
        Self { offset: None, violation: Box::new(violation) }
    }

    /// What is wrong.
    pub fn violation(&self) -> &Violation {
        &self.violation
    }

    /// Whether the fault is with this process, which wanted to send what is not allowed, and not
    /// with the peer.
    pub fn is_ours(&self) -> bool {
        self.offset.is_none()
    }

    /// How many bytes of the connection came before the frame, if the peer sent it.
    pub fn offset(&self) -> Option<u64> {
        self.offset
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(
                f,
                "the peer is at fault at byte {offset} of the connection: {}",
                self.violation
            ),
            None => write!(f, "this process must not send that: {}", self.violation),
        }
    }
}

impl std::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.violation {
            Violation::UnknownChannel(error) => Some(error),
            Violation::Handshake { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// What is wrong with a frame. The fault is with its sender, which [`FrameError`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A connection begins with something else than our handshake: a stranger is on the socket, or
    /// this process has connected to a stranger's.
    NotGuardhouse {
        /// How the connection begins, with everything that cannot be printed escaped.
        excerpt: String,
    },
    /// The head is of a kind that this version does not have. A peer that speaks a newer version
    /// has to keep to the one that was agreed on.
    UnknownKind {
        /// The number of the kind.
        code: u8,
    },
    /// A bit is set that has no meaning yet.
    ReservedFlags {
        /// All flags.
        flags: u16,
    },
    /// The head names a channel that the contract does not have, or none where there must be one.
    UnknownChannel(ChannelError),
    /// The head names a channel, but frames of its kind belong to none.
    StrayChannel {
        /// The kind of the frame.
        kind: Kind,
        /// The number of the channel.
        code: u8,
    },
    /// The head has an id, but frames of its kind have none.
    StrayId {
        /// The kind of the frame.
        kind: Kind,
        /// The id.
        id: u64,
    },
    /// Frames of this kind do not exist on this channel.
    WrongChannel {
        /// The kind of the frame.
        kind: Kind,
        /// The channel that it names.
        channel: Channel,
    },
    /// Only the other side may send this.
    WrongSender {
        /// The kind of the frame.
        kind: Kind,
        /// The channel that it names.
        channel: Option<Channel>,
        /// Who sent it nevertheless.
        sender: Side,
    },
    /// The payload is shorter or longer than the contract allows.
    Length {
        /// The kind of the frame.
        kind: Kind,
        /// The channel that it names.
        channel: Option<Channel>,
        /// The length that the head claims.
        length: u64,
        /// The least that is allowed.
        min: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// Something else came before the handshake.
    BeforeHandshake {
        /// The kind of the frame.
        kind: Kind,
    },
    /// A frame of the handshake came after it.
    HandshakeAgain {
        /// The kind of the frame.
        kind: Kind,
    },
    /// A frame of the handshake cannot be understood.
    Handshake {
        /// The kind of the frame.
        kind: Kind,
        /// What cannot be understood.
        error: PayloadError,
    },
    /// A chunk goes beyond the largest stream that Sentry would take.
    BeyondStream {
        /// Where the chunk begins in its stream.
        offset: u64,
        /// The length of its data.
        length: u64,
    },
    /// A reason that should be text is not UTF-8.
    NotText {
        /// The kind of the frame.
        kind: Kind,
    },
    /// Something came after the sender had said that nothing would.
    AfterEnd,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGuardhouse { excerpt } => write!(
                f,
                "the connection begins with \"{excerpt}\", which is not Guardhouse: another \
                 program is on this socket"
            ),
            Self::UnknownKind { code } => {
                write!(f, "there is no frame of kind {code} in this version")
            }
            Self::ReservedFlags { flags } => {
                write!(f, "the flags are {flags:#06x}, but they are reserved and must be zero")
            }
            Self::UnknownChannel(error) => error.fmt(f),
            Self::StrayChannel { kind, code } => {
                write!(f, "a {kind} names channel {code}, but belongs to none")
            }
            Self::StrayId { kind, id } => write!(f, "a {kind} has the id {id}, but takes none"),
            Self::WrongChannel { kind, channel } => {
                write!(f, "there is no {kind} on channel {channel}")
            }
            Self::WrongSender { kind, channel, sender } => {
                write!(f, "{sender} may not send a {kind}{}", OnChannel(channel.as_ref()))
            }
            Self::Length { kind, channel, length, min, max } => {
                let channel = OnChannel(channel.as_ref());
                write!(f, "a {kind}{channel} claims {length} bytes, but has ")?;
                match (min, max) {
                    (0, _) => write!(f, "at most {max}"),
                    (min, max) if min == max => write!(f, "exactly {min}"),
                    _ => write!(f, "{min} to {max}"),
                }
            }
            Self::BeforeHandshake { kind } => write!(f, "a {kind} came before the handshake"),
            Self::HandshakeAgain { kind } => write!(f, "a {kind} came after the handshake"),
            Self::Handshake { kind, error } => write!(f, "the {kind} is malformed: {error}"),
            Self::BeyondStream { offset, length } => write!(
                f,
                "a chunk of {length} bytes at {offset} goes beyond the largest stream, which has \
                 {STREAM_BYTES}"
            ),
            Self::NotText { kind } => write!(f, "the reason in a {kind} is not UTF-8"),
            Self::AfterEnd => f.write_str("something came after the last frame"),
        }
    }
}

struct OnChannel<'a>(Option<&'a Channel>);

impl fmt::Display for OnChannel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(channel) => write!(f, " on channel {channel}"),
            None => Ok(()),
        }
    }
}
