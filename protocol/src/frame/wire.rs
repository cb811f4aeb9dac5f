//! A frame as bytes, and back.
//!
//! Both ways go through the same judgement of the [head](super::head). What is read back is equal
//! to what was written, but for a reason that was cut to fit; and written again it is the same bytes,
//! but for the JSON of the handshake, which peers may lay out in other ways.

use std::ops::Deref;

use bytes::{BufMut, Bytes, BytesMut};

use super::head::{Head, MAGIC, OFFSET_BYTES};
use super::{
    Frame, FrameError, HEAD_BYTES, Hello, Kind, MessageId, Rejection, Side, Violation, Welcome,
};
use crate::error::cut;
use crate::json::Json;
use crate::limits::{REASON_BYTES, STREAM_BYTES};

impl Frame {
    /// Appends the frame to `out`, as `sender` writes it. On an error `out` is as it was, and the
    /// fault is ours.
    pub fn encode(&self, sender: Side, out: &mut BytesMut) -> Result<(), FrameError> {
        let (prefix, payload) = self.to_parts(sender)?;
        out.reserve(prefix.len() + payload.len());
        out.put_slice(&prefix);
        out.put_slice(&payload);
        Ok(())
    }

    /// The frame in two parts, to be written one after the other: for a vectored write, which needs
    /// no copy of a large payload.
    pub fn to_parts(&self, sender: Side) -> Result<(Prefix, Bytes), FrameError> {
        let (channel, id, offset, payload) = match self {
            Self::Hello(hello) => (None, MAGIC, None, json_bytes(&hello.to_json())),
            Self::Welcome(welcome) => (None, MAGIC, None, json_bytes(&welcome.to_json())),
            Self::Refused(rejection) => (None, MAGIC, None, json_bytes(&rejection.to_json())),
            Self::Goodbye => (None, 0, None, Bytes::new()),
            Self::Message { id, channel, payload }
            | Self::Reply { id, channel, payload }
            | Self::StreamOpen { id, channel, payload } => {
                (Some(*channel), id.number(), None, payload.clone())
            }
            Self::Ack { id } => (None, id.number(), None, Bytes::new()),
            Self::Declined { id, reason } => (
                None,
                id.number(),
                None,
                Bytes::copy_from_slice(cut(reason, REASON_BYTES).as_bytes()),
            ),
            Self::Chunk { id, channel, offset, data, .. } => {
                check_extent(*offset, data.len()).map_err(FrameError::ours)?;
                (Some(*channel), id.number(), Some(*offset), data.clone())
            }
            Self::StreamAck { id, received } => {
                check_extent(*received, 0).map_err(FrameError::ours)?;
                (None, id.number(), Some(*received), Bytes::new())
            }
        };
        let length = payload.len() + offset.map_or(0, |_| OFFSET_BYTES);
        let head = Head::new(self.kind(), channel, id, length, sender).map_err(FrameError::ours)?;
        Ok((Prefix::new(head, offset), payload))
    }

    /// The frame that a judged head and the payload behind it make up.
    pub(super) fn from_parts(head: Head, mut payload: Bytes) -> Result<Self, Violation> {
        let Head { kind, channel, id, .. } = head;
        let malformed = |error| Violation::Handshake { kind, error };
        match (kind, channel) {
            (Kind::Hello, _) => Hello::parse(&payload).map(Self::Hello).map_err(malformed),
            (Kind::Welcome, _) => Welcome::parse(&payload).map(Self::Welcome).map_err(malformed),
            (Kind::Refused, _) => Rejection::parse(&payload).map(Self::Refused).map_err(malformed),
            (Kind::Goodbye, _) => Ok(Self::Goodbye),
            (Kind::Message, Some(channel)) => {
                Ok(Self::Message { id: MessageId::new(id), channel, payload })
            }
            (Kind::Ack, _) => Ok(Self::Ack { id: MessageId::new(id) }),
            (Kind::Declined, _) => Ok(Self::Declined {
                id: MessageId::new(id),
                reason: std::str::from_utf8(&payload)
                    .map_err(|_| Violation::NotText { kind })?
                    .to_owned(),
            }),
            (Kind::Reply, Some(channel)) => {
                Ok(Self::Reply { id: MessageId::new(id), channel, payload })
            }
            (Kind::StreamOpen, Some(channel)) => {
                Ok(Self::StreamOpen { id: MessageId::new(id), channel, payload })
            }
            (Kind::Chunk | Kind::LastChunk, Some(channel)) => {
                let offset = take_offset(&head, &mut payload)?;
                check_extent(offset, payload.len())?;
                Ok(Self::Chunk {
                    id: MessageId::new(id),
                    channel,
                    offset,
                    last: kind == Kind::LastChunk,
                    data: payload,
                })
            }
            (Kind::StreamAck, _) => {
                let received = take_offset(&head, &mut payload)?;
                check_extent(received, 0)?;
                Ok(Self::StreamAck { id: MessageId::new(id), received })
            }
            // A judged head of these kinds has a channel. Should that ever change, it is an error
            // and not a panic.
            (
                Kind::Message | Kind::Reply | Kind::StreamOpen | Kind::Chunk | Kind::LastChunk,
                None,
            ) => Err(Violation::StrayChannel { kind, code: 0 }),
        }
    }
}

fn json_bytes(json: &Json) -> Bytes {
    Bytes::copy_from_slice(json.text().as_bytes())
}

/// What is written before a payload: the head, and in a chunk the offset. It is a slice of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    bytes: [u8; HEAD_BYTES + OFFSET_BYTES],
    length: usize,
}

impl Prefix {
    fn new(head: Head, offset: Option<u64>) -> Self {
        let mut bytes = [0; HEAD_BYTES + OFFSET_BYTES];
        bytes[..HEAD_BYTES].copy_from_slice(&head.to_bytes());
        let length = match offset {
            Some(offset) => {
                bytes[HEAD_BYTES..].copy_from_slice(&offset.to_le_bytes());
                bytes.len()
            }
            None => HEAD_BYTES,
        };
        Self { bytes, length }
    }
}

impl Deref for Prefix {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// No stream can be larger than what Sentry takes.
fn check_extent(offset: u64, length: usize) -> Result<(), Violation> {
    let length = length as u64;
    match offset.checked_add(length) {
        Some(end) if end <= STREAM_BYTES => Ok(()),
        _ => Err(Violation::BeyondStream { offset, length }),
    }
}

fn take_offset(head: &Head, payload: &mut Bytes) -> Result<u64, Violation> {
    match payload.first_chunk() {
        Some(&bytes) => {
            let _ = payload.split_to(OFFSET_BYTES);
            Ok(u64::from_le_bytes(bytes))
        }
        None => Err(Violation::Length {
            kind: head.kind,
            channel: head.channel,
            length: payload.len() as u64,
            min: OFFSET_BYTES,
            max: usize::MAX,
        }),
    }
}

#[cfg(test)]
mod tests;
