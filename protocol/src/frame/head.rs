//! The sixteen bytes before every payload, and the rules by which they are judged.
//!
//! The decoder judges with them what a peer sent, before it waits for the payload; the encoder what
//! we are about to send. So nobody sends what the other side would refuse.

use std::fmt;
use std::ops::RangeInclusive;

use super::{Side, Violation};
use crate::Channel;
use crate::contract::{Declaration, Direction, Reply};
use crate::limits::{HELLO_BYTES, REASON_BYTES};

/// Length of the head of a frame, in bytes.
pub const HEAD_BYTES: usize = 16;

/// What the frames that open a connection have in place of an id. By it a stranger on the socket is
/// told from a peer.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"GUARDIPC");

/// Length of the number that stands before the data of a chunk, and is all that the acknowledgement
/// of one consists of.
pub(super) const OFFSET_BYTES: usize = 8;

listed! {
    /// What a frame is, as its head says. The number of each is its byte on the wire.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[non_exhaustive]
    #[repr(u8)]
    pub enum Kind {
        /// A renderer introduces itself.
        Hello = 1,
        /// Main takes it in.
        Welcome = 2,
        /// Main does not.
        Refused = 3,
        /// The sender leaves in good order.
        Goodbye = 4,
        /// A message of a channel.
        Message = 5,
        /// Main has done with a message what the contract promises.
        Ack = 6,
        /// Main will not take a message or stream.
        Declined = 7,
        /// Main answers a message of a request/response channel.
        Reply = 8,
        /// A renderer begins a stream, or takes it up again.
        StreamOpen = 9,
        /// Bytes of a stream.
        Chunk = 10,
        /// The last bytes of a stream.
        LastChunk = 11,
        /// Main has made bytes of a stream durable.
        StreamAck = 12,
    }
}

impl Kind {
    /// The number that stands for the kind in a head.
    pub const fn code(self) -> u8 {
        self as u8
    }

    fn from_code(code: u8) -> Result<Self, Violation> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.code() == code)
            .ok_or(Violation::UnknownKind { code })
    }

    /// Whether it belongs to the opening of a connection and to nowhere else.
    pub(super) const fn is_opening(self) -> bool {
        matches!(self, Self::Hello | Self::Welcome | Self::Refused)
    }

    /// Whether frames of this kind name a channel.
    const fn has_channel(self) -> bool {
        matches!(
            self,
            Self::Message | Self::Reply | Self::StreamOpen | Self::Chunk | Self::LastChunk
        )
    }

    /// Whether frames of this kind may name this channel.
    fn fits(self, channel: Channel) -> bool {
        let row = channel.declaration();
        match self {
            Self::Message => row.direction != Direction::Stream,
            Self::Reply => row.reply != Reply::Empty,
            _ => row.direction == Direction::Stream,
        }
    }

    /// The only side that may send it, if it is only one.
    fn sender(self, channel: Option<Channel>) -> Option<Side> {
        match self {
            Self::Hello | Self::StreamOpen | Self::Chunk | Self::LastChunk => Some(Side::Renderer),
            Self::Welcome
            | Self::Refused
            | Self::Ack
            | Self::Declined
            | Self::Reply
            | Self::StreamAck => Some(Side::Main),
            Self::Message if channel.is_some_and(|c| !c.declaration().direction.is_to_main()) => {
                Some(Side::Main)
            }
            Self::Message => Some(Side::Renderer),
            Self::Goodbye => None,
        }
    }

    /// How long its payload may be.
    fn lengths(self, channel: Option<Channel>) -> RangeInclusive<usize> {
        let row = channel.map(Channel::declaration);
        let message = row.map_or(0, |row| row.max_bytes);
        match self {
            Self::Hello | Self::Welcome | Self::Refused => 0..=HELLO_BYTES,
            Self::Goodbye | Self::Ack => 0..=0,
            Self::Message => 0..=message,
            Self::Declined => 0..=REASON_BYTES,
            Self::Reply => 0..=row.map_or(0, |row| row.reply.max_bytes()),
            Self::StreamOpen => 0..=row.map_or(0, Declaration::max_opening_bytes),
            Self::Chunk | Self::LastChunk => OFFSET_BYTES..=OFFSET_BYTES + message,
            Self::StreamAck => OFFSET_BYTES..=OFFSET_BYTES,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hello => "hello",
            Self::Welcome => "welcome",
            Self::Refused => "refusal",
            Self::Goodbye => "goodbye",
            Self::Message => "message",
            Self::Ack => "message ack",
            Self::Declined => "decline",
            Self::Reply => "reply",
            Self::StreamOpen => "stream opening",
            Self::Chunk => "chunk",
            Self::LastChunk => "last chunk",
            Self::StreamAck => "stream ack",
        })
    }
}

/// A head that has been judged: whoever has one may wait for its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) channel: Option<Channel>,
    pub(super) id: u64,
    pub(super) length: usize,
}

impl Head {
    /// Judges what `sender` is about to send.
    pub(super) fn new(
        kind: Kind,
        channel: Option<Channel>,
        id: u64,
        length: usize,
        sender: Side,
    ) -> Result<Self, Violation> {
        if let Some(channel) = channel
            && !kind.fits(channel)
        {
            return Err(Violation::WrongChannel { kind, channel });
        }
        if kind.sender(channel).is_some_and(|only| only != sender) {
            return Err(Violation::WrongSender { kind, channel, sender });
        }
        let allowed = kind.lengths(channel);
        if !allowed.contains(&length) {
            return Err(Violation::Length {
                kind,
                channel,
                length: length as u64,
                min: *allowed.start(),
                max: *allowed.end(),
            });
        }
        if kind == Kind::Goodbye && id != 0 {
            return Err(Violation::StrayId { kind, id });
        }
        Ok(Self { kind, channel, id, length })
    }

    /// Reads and judges what `sender` has sent.
    pub(super) fn parse(bytes: &[u8; HEAD_BYTES], sender: Side) -> Result<Self, Violation> {
        let &[l0, l1, l2, l3, kind, code, f0, f1, id @ ..] = bytes;
        let kind = Kind::from_code(kind)?;
        let flags = u16::from_le_bytes([f0, f1]);
        if flags != 0 {
            return Err(Violation::ReservedFlags { flags });
        }
        let channel = match code {
            0 if !kind.has_channel() => None,
            code if !kind.has_channel() => return Err(Violation::StrayChannel { kind, code }),
            code => Some(Channel::from_code(code).map_err(Violation::UnknownChannel)?),
        };
        // On a machine whose `usize` is smaller, the largest one is over every bound too.
        let length = u32::from_le_bytes([l0, l1, l2, l3]).try_into().unwrap_or(usize::MAX);
        Self::new(kind, channel, u64::from_le_bytes(id), length, sender)
    }

    pub(super) fn to_bytes(self) -> [u8; HEAD_BYTES] {
        // Every bound is far below 4 GiB, and a head exists only within its bound.
        let [l0, l1, l2, l3] = (self.length as u32).to_le_bytes();
        let channel = self.channel.map_or(0, Channel::code);
        let [i0, i1, i2, i3, i4, i5, i6, i7] = self.id.to_le_bytes();
        [l0, l1, l2, l3, self.kind.code(), channel, 0, 0, i0, i1, i2, i3, i4, i5, i6, i7]
    }
}

/// Whether `bytes`, less than a head, can be the start of a connection that `sender` opens. The two
/// upper bytes of the length are zero, since [`HELLO_BYTES`] is so small.
pub(super) fn may_be_opening(bytes: &[u8], sender: Side) -> bool {
    let kinds: &[Kind] = match sender {
        Side::Renderer => &[Kind::Hello],
        Side::Main => &[Kind::Welcome, Kind::Refused],
    };
    kinds.iter().any(|kind| {
        let mut rest = [0; HEAD_BYTES - 2];
        rest[2] = kind.code();
        rest[6..].copy_from_slice(&MAGIC.to_le_bytes());
        rest.starts_with(bytes.get(2..).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{CHUNK_BYTES, ENVELOPE_MESSAGE_BYTES, SMALL_MESSAGE_BYTES};

    #[test]
    fn each_kind_goes_with_its_channels_from_its_side_only() {
        for kind in Kind::ALL {
            for channel in Channel::ALL {
                for sender in [Side::Main, Side::Renderer] {
                    let named = kind.has_channel().then_some(channel);
                    let length = *kind.lengths(named).start();
                    let taken = Head::new(kind, named, 0, length, sender).is_ok();
                    let from_main = sender == Side::Main;
                    let direction = channel.declaration().direction;
                    let expected = match kind {
                        Kind::Goodbye => true,
                        Kind::Hello => !from_main,
                        Kind::Welcome | Kind::Refused => from_main,
                        Kind::Ack | Kind::Declined | Kind::StreamAck => from_main,
                        Kind::Message => match direction {
                            Direction::OneWay | Direction::Request => !from_main,
                            Direction::Push | Direction::Relay => from_main,
                            Direction::Stream => false,
                        },
                        Kind::Reply => {
                            from_main && matches!(direction, Direction::Request | Direction::Stream)
                        }
                        Kind::StreamOpen | Kind::Chunk | Kind::LastChunk => {
                            !from_main && direction == Direction::Stream
                        }
                    };
                    assert_eq!(taken, expected, "{kind} on {channel} from {sender}");
                }
            }
        }
    }

    #[test]
    fn lengths_are_bounded_by_the_contract_to_the_byte() {
        for (kind, channel, bound) in [
            (Kind::Hello, None, HELLO_BYTES),
            (Kind::Message, Some(Channel::Envelope), ENVELOPE_MESSAGE_BYTES),
            (Kind::Message, Some(Channel::Start), SMALL_MESSAGE_BYTES),
            (Kind::Chunk, Some(Channel::Attachment), OFFSET_BYTES + CHUNK_BYTES),
            (Kind::LastChunk, Some(Channel::Attachment), OFFSET_BYTES + CHUNK_BYTES),
        ] {
            let head = |length| Head::new(kind, channel, 0, length, Side::Renderer);
            assert!(head(bound).is_ok(), "{kind}");
            assert!(
                matches!(head(bound + 1), Err(Violation::Length { max, .. }) if max == bound),
                "{kind}"
            );
        }
        for kind in Kind::ALL {
            for channel in Channel::ALL {
                assert!(*kind.lengths(Some(channel)).end() < 1 << 30);
            }
        }
    }

    #[test]
    fn a_head_is_read_back() {
        let head = Head::new(
            Kind::Message,
            Some(Channel::Scope),
            0x0102_0304_0506_0708,
            258,
            Side::Renderer,
        )
        .unwrap();
        let bytes = head.to_bytes();
        assert_eq!(bytes, *b"\x02\x01\0\0\x05\x02\0\0\x08\x07\x06\x05\x04\x03\x02\x01");
        assert_eq!(Head::parse(&bytes, Side::Renderer), Ok(head));
    }
}
