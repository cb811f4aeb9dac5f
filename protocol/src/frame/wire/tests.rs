use uuid::Uuid;

use super::*;
use crate::frame::{
    Decoder, Ending, Proof, RejectionReason, RendererName, Role, Version, VersionRange,
};
use crate::limits::{CHUNK_BYTES, ENVELOPE_MESSAGE_BYTES};
use crate::{Channel, Namespace};

const ID: MessageId = MessageId::new(0x0807_0605_0403_0201);

/// Every frame, and how it has been written ever since version 1. A change here is a new version.
fn golden() -> Vec<(Side, Frame, Vec<u8>)> {
    let hello = |resume| Hello {
        versions: VersionRange::new(Version::ONE, Version::new(2).unwrap()).unwrap(),
        resume,
        ..Hello::new(
            Namespace::new("some-app").unwrap(),
            Role::Utility,
            RendererName::new("büro \"1\"").unwrap(),
            4711,
            Proof::new([0xa5; 32]),
        )
    };
    let welcome = || {
        let secret = Proof::new([0x5a; 32]);
        Welcome::new(Version::ONE, Uuid::from_u128(7), secret)
    };
    let (proof, secret) = ("a5".repeat(32), "5a".repeat(32));
    let with = |head: &[u8; 16], payload: &str| [&head[..], payload.as_bytes()].concat();
    let payload = Bytes::from_static(b"xyz");
    vec![
        (
            Side::Renderer,
            Frame::Hello(hello(None)),
            with(
                b"\xb1\0\0\0\x01\0\0\0GUARDIPC",
                &format!(
                    r#"{{"namespace":"some-app","versions":{{"min":1,"max":2}},"role":"utility","name":"büro \"1\"","pid":4711,"proof":"{proof}"}}"#
                ),
            ),
        ),
        (
            Side::Renderer,
            Frame::Hello(hello(Some(welcome().resume()))),
            with(
                b"\x3c\x01\0\0\x01\0\0\0GUARDIPC",
                &format!(
                    r#"{{"namespace":"some-app","versions":{{"min":1,"max":2}},"role":"utility","name":"büro \"1\"","pid":4711,"proof":"{proof}","resume":{{"rendererId":"00000000-0000-0000-0000-000000000007","secret":"{secret}"}}}}"#
                ),
            ),
        ),
        (
            Side::Main,
            Frame::Welcome(welcome()),
            with(
                b"\x8d\0\0\0\x02\0\0\0GUARDIPC",
                &format!(
                    r#"{{"version":1,"rendererId":"00000000-0000-0000-0000-000000000007","secret":"{secret}"}}"#
                ),
            ),
        ),
        (
            Side::Main,
            Frame::Refused(Rejection::new(RejectionReason::Busy, "come back later")),
            with(
                b"\x2d\0\0\0\x03\0\0\0GUARDIPC",
                r#"{"reason":"busy","message":"come back later"}"#,
            ),
        ),
        (
            Side::Renderer,
            Frame::Message { id: ID, channel: Channel::Envelope, payload: payload.clone() },
            with(b"\x03\0\0\0\x05\x03\0\0\x01\x02\x03\x04\x05\x06\x07\x08", "xyz"),
        ),
        (
            Side::Main,
            Frame::Message { id: ID, channel: Channel::Config, payload: payload.clone() },
            with(b"\x03\0\0\0\x05\x0a\0\0\x01\x02\x03\x04\x05\x06\x07\x08", "xyz"),
        ),
        (
            Side::Main,
            Frame::Ack { id: ID },
            with(b"\0\0\0\0\x06\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08", ""),
        ),
        (
            Side::Main,
            Frame::Declined { id: ID, reason: "no".to_owned() },
            with(b"\x02\0\0\0\x07\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08", "no"),
        ),
        (
            Side::Main,
            Frame::Reply { id: ID, channel: Channel::Flush, payload: payload.clone() },
            with(b"\x03\0\0\0\x08\x08\0\0\x01\x02\x03\x04\x05\x06\x07\x08", "xyz"),
        ),
        (
            Side::Renderer,
            Frame::StreamOpen { id: ID, channel: Channel::Attachment, payload: payload.clone() },
            with(b"\x03\0\0\0\x09\x09\0\0\x01\x02\x03\x04\x05\x06\x07\x08", "xyz"),
        ),
        (
            Side::Renderer,
            Frame::Chunk {
                id: ID,
                channel: Channel::Attachment,
                offset: 0x0102_0304,
                last: false,
                data: payload.clone(),
            },
            with(
                b"\x0b\0\0\0\x0a\x09\0\0\x01\x02\x03\x04\x05\x06\x07\x08",
                "\x04\x03\x02\x01\0\0\0\0xyz",
            ),
        ),
        (
            Side::Renderer,
            Frame::Chunk {
                id: ID,
                channel: Channel::Attachment,
                offset: 0,
                last: true,
                data: Bytes::new(),
            },
            with(b"\x08\0\0\0\x0b\x09\0\0\x01\x02\x03\x04\x05\x06\x07\x08", "\0\0\0\0\0\0\0\0"),
        ),
        (
            Side::Main,
            Frame::StreamAck { id: ID, received: 0x0102_0304 },
            with(
                b"\x08\0\0\0\x0c\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08",
                "\x04\x03\x02\x01\0\0\0\0",
            ),
        ),
        (Side::Main, Frame::Goodbye, with(b"\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0", "")),
        (Side::Renderer, Frame::Goodbye, with(b"\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0", "")),
    ]
}

#[test]
fn every_frame_is_written_as_in_version_1() {
    let mut kinds = Vec::new();
    for (sender, frame, bytes) in golden() {
        let mut out = BytesMut::from("before");
        frame.encode(sender, &mut out).unwrap();
        assert_eq!(
            out[6..].escape_ascii().to_string(),
            bytes.escape_ascii().to_string(),
            "{frame:?}"
        );
        kinds.push(frame.kind());
    }
    for kind in Kind::ALL {
        assert!(kinds.contains(&kind), "{kind} has no golden bytes");
    }
}

#[test]
fn every_frame_is_read_back() {
    for side in [Side::Main, Side::Renderer] {
        let mut decoder = Decoder::new(side);
        let sent = || golden().into_iter().filter(|row| row.0 == side.peer());
        // A connection takes one opening frame; the other is read by a decoder of its own.
        let (others, opening): (Vec<_>, Vec<_>) =
            sent().partition(|row| !row.1.kind().is_opening());
        for (_, frame, bytes) in &opening {
            let mut decoder = Decoder::new(side);
            decoder.push(bytes);
            assert_eq!(decoder.poll().unwrap().as_ref(), Some(frame));
        }
        decoder.push(&opening[0].2);
        assert!(decoder.poll().unwrap().is_some());
        decoder.agree(Version::ONE);
        for (_, frame, bytes) in &others {
            decoder.push(bytes);
            assert_eq!(decoder.poll().unwrap().as_ref(), Some(frame));
        }
        assert_eq!(decoder.ending(), Ok(Ending::Goodbye));
    }
}

#[test]
fn a_payload_is_not_copied_for_a_vectored_write() {
    let data = Bytes::from(vec![7; CHUNK_BYTES]);
    let frame = Frame::Chunk {
        id: ID,
        channel: Channel::Attachment,
        offset: 5,
        last: false,
        data: data.clone(),
    };
    let (prefix, payload) = frame.to_parts(Side::Renderer).unwrap();
    assert_eq!(payload.as_ptr(), data.as_ptr());
    let mut whole = BytesMut::new();
    frame.encode(Side::Renderer, &mut whole).unwrap();
    assert_eq!([&prefix[..], &payload[..]].concat(), whole);
}

#[test]
fn what_the_peer_would_refuse_is_not_written() {
    let message =
        |channel, length| Frame::Message { id: ID, channel, payload: vec![0; length].into() };
    let chunk = |offset| Frame::Chunk {
        id: ID,
        channel: Channel::Attachment,
        offset,
        last: true,
        data: Bytes::from_static(b"x"),
    };
    for (sender, frame, message) in [
        (
            Side::Renderer,
            message(Channel::Envelope, ENVELOPE_MESSAGE_BYTES + 1),
            "a message on channel envelope claims 33554433 bytes, but has at most 33554432",
        ),
        (
            Side::Renderer,
            message(Channel::Config, 1),
            "a renderer may not send a message on channel config",
        ),
        (
            Side::Renderer,
            message(Channel::Attachment, 1),
            "there is no message on channel attachment",
        ),
        (Side::Renderer, Frame::Ack { id: ID }, "a renderer may not send a message ack"),
        (
            Side::Main,
            Frame::Reply { id: ID, channel: Channel::Scope, payload: Bytes::new() },
            "there is no reply on channel scope",
        ),
        (
            Side::Renderer,
            chunk(STREAM_BYTES),
            "a chunk of 1 bytes at 209715200 goes beyond the largest stream, which has 209715200",
        ),
        (
            Side::Renderer,
            chunk(u64::MAX),
            "a chunk of 1 bytes at 18446744073709551615 goes beyond the largest stream, which \
             has 209715200",
        ),
    ] {
        let mut out = BytesMut::from("before");
        let error = frame.encode(sender, &mut out).unwrap_err();
        assert!(error.is_ours());
        assert_eq!(error.offset(), None);
        assert_eq!(error.to_string(), format!("this process must not send that: {message}"));
        assert_eq!(out, "before");
    }
    assert!(chunk(STREAM_BYTES - 1).to_parts(Side::Renderer).is_ok());
}

#[test]
fn debug_shows_neither_payloads_nor_proofs() {
    for (_, frame, _) in golden() {
        let debug = format!("{frame:?}");
        assert!(
            !debug.contains("xyz") && !debug.contains("a5a5") && !debug.contains("5a5a"),
            "{debug}"
        );
    }
}

#[test]
fn what_is_said_to_people_loses_its_end_rather_than_its_frame() {
    let declined = |reason: String| Frame::Declined { id: ID, reason };
    let mut out = BytesMut::new();
    declined("ä".repeat(10_000)).encode(Side::Main, &mut out).unwrap();
    let reason = str::from_utf8(&out[HEAD_BYTES..]).unwrap();
    assert_eq!(reason.len(), REASON_BYTES - 1);
    assert!(reason.ends_with("ä…"));

    let whole = "x".repeat(REASON_BYTES);
    let (_, payload) = declined(whole.clone()).to_parts(Side::Main).unwrap();
    assert_eq!(payload, whole);
}
