use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::frame::{
    Hello, MessageId, Proof, Rejection, RejectionReason, RendererName, Role, Welcome,
};
use crate::limits::{CHUNK_BYTES, ENVELOPE_MESSAGE_BYTES, HELLO_BYTES, MIB};
use crate::{Channel, Namespace};

fn hello() -> Frame {
    Frame::Hello(Hello::new(
        Namespace::DEFAULT,
        Role::Renderer,
        RendererName::new("settings").unwrap(),
        7,
        Proof::new([1; 32]),
    ))
}

fn welcome() -> Frame {
    Frame::Welcome(Welcome::new(Version::ONE, Uuid::from_u128(1), Proof::new([2; 32])))
}

fn message(channel: Channel, payload: impl Into<Bytes>) -> Frame {
    Frame::Message { id: MessageId::new(1), channel, payload: payload.into() }
}

fn wire(sender: Side, frames: &[Frame]) -> BytesMut {
    let mut out = BytesMut::new();
    for frame in frames {
        frame.encode(sender, &mut out).unwrap();
    }
    out
}

/// A decoder of `side` that has the handshake behind it, and where it is in the connection.
fn open(side: Side) -> (Decoder, u64) {
    let opening = match side {
        Side::Main => hello(),
        Side::Renderer => welcome(),
    };
    let bytes = wire(side.peer(), &[opening]);
    let mut decoder = Decoder::new(side);
    decoder.push(&bytes);
    assert!(decoder.poll().unwrap().is_some());
    decoder.agree(Version::ONE);
    assert_eq!(decoder.poll(), Ok(None));
    (decoder, bytes.len() as u64)
}

fn head(length: u32, kind: u8, channel: u8, flags: u16, id: &[u8; 8]) -> [u8; 16] {
    let mut head = [0; 16];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4] = kind;
    head[5] = channel;
    head[6..8].copy_from_slice(&flags.to_le_bytes());
    head[8..].copy_from_slice(id);
    head
}

fn fails_with(mut decoder: Decoder, bytes: &[u8], message: &str) {
    decoder.push(bytes);
    let error = decoder.poll().unwrap_err();
    assert_eq!(error.to_string(), message);
    assert!(!error.is_ours());
}

#[test]
fn many_frames_in_one_push_all_come_out() {
    let (mut decoder, _) = open(Side::Main);
    let frames: Vec<_> =
        (0..100).map(|length| message(Channel::Scope, vec![length; length.into()])).collect();
    decoder.push(&wire(Side::Renderer, &frames));
    for frame in frames {
        assert_eq!(decoder.poll(), Ok(Some(frame)));
    }
    assert_eq!(decoder.poll(), Ok(None));
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn one_frame_in_many_pushes_comes_out_with_its_last_byte() {
    let (mut decoder, _) = open(Side::Renderer);
    let frame = message(Channel::Config, "{}");
    let bytes = wire(Side::Main, std::slice::from_ref(&frame));
    let (last, rest) = bytes.split_last().unwrap();
    for byte in rest {
        decoder.push(&[*byte]);
        assert_eq!(decoder.poll(), Ok(None));
    }
    decoder.push(&[*last]);
    assert_eq!(decoder.poll(), Ok(Some(frame)));
}

#[test]
fn a_head_that_claims_two_gibibytes_allocates_nothing() {
    for length in [1 << 31, u32::MAX, ENVELOPE_MESSAGE_BYTES as u32 + 1] {
        let (mut decoder, offset) = open(Side::Main);
        decoder.push(&head(length, 5, 3, 0, &[1; 8]));
        let error = decoder.poll().unwrap_err();
        assert_eq!(error.offset(), Some(offset));
        assert!(
            matches!(error.violation(), Violation::Length { length: l, .. } if *l == u64::from(length))
        );
        assert_eq!(decoder.buffer.capacity(), 0);
    }
    // Within the bound nothing is set aside for a mere claim either.
    let (mut decoder, _) = open(Side::Main);
    decoder.push(&head(ENVELOPE_MESSAGE_BYTES as u32, 5, 3, 0, &[1; 8]));
    assert_eq!(decoder.poll(), Ok(None));
    assert!(decoder.buffer.capacity() < 1024);
    // … nor much more than what has come.
    decoder.push(&[0; 1000]);
    assert!(decoder.buffer.capacity() < 4 * 1016);
}

#[test]
fn a_large_frame_is_never_there_twice() {
    let length = HEAD_BYTES + ENVELOPE_MESSAGE_BYTES;
    let frame = message(Channel::Envelope, vec![7; ENVELOPE_MESSAGE_BYTES]);
    let bytes = wire(Side::Renderer, &[frame.clone(), frame]);
    for piece in [1500, 4096, PIECE_BYTES] {
        let (mut decoder, _) = open(Side::Main);
        let (mut capacity, mut steps, mut frames) = (decoder.buffer.capacity(), 0, 0);
        for bytes in bytes.chunks(piece) {
            let held = decoder.buffered();
            decoder.push(bytes);
            let now = decoder.buffer.capacity();
            assert!(now <= length + PIECE_BYTES, "{now}");
            if now > capacity.max(PIECE_BYTES) {
                // Both are there while it grows, and it grows with what has come.
                assert!(capacity <= now / 4 + piece, "{capacity} to {now}");
                assert!(now <= 4 * (held + bytes.len()) + PIECE_BYTES, "{now}");
                steps += 1;
            }
            while decoder.poll().unwrap().is_some() {
                frames += 1;
            }
            capacity = decoder.buffer.capacity();
        }
        assert_eq!(frames, 2);
        assert!(steps < 16, "{steps}");
    }
}

#[test]
fn before_the_handshake_only_a_small_hello_is_listened_to() {
    let hello = |length| head(length, 1, 0, 0, b"GUARDIPC");
    let mut decoder = Decoder::new(Side::Main);
    decoder.push(&hello(HELLO_BYTES as u32));
    assert_eq!(decoder.poll(), Ok(None));
    fails_with(
        Decoder::new(Side::Main),
        &hello(HELLO_BYTES as u32 + 1),
        "the peer is at fault at byte 0 of the connection: a hello claims 4097 bytes, but has at \
         most 4096",
    );
    fails_with(
        Decoder::new(Side::Main),
        &head(ENVELOPE_MESSAGE_BYTES as u32, 5, 3, 0, &[0; 8]),
        "the peer is at fault at byte 0 of the connection: a message came before the handshake",
    );
    fails_with(
        Decoder::new(Side::Renderer),
        &wire(Side::Main, &[Frame::Goodbye]),
        "the peer is at fault at byte 0 of the connection: a goodbye came before the handshake",
    );
    fails_with(
        Decoder::new(Side::Main),
        &head(2, 1, 0, 0, b"GUARDIPC").iter().chain(b"{}").copied().collect::<Vec<_>>(),
        "the peer is at fault at byte 0 of the connection: the hello is malformed: \"versions\" is \
         missing",
    );
    // Two mains that talk to each other.
    fails_with(
        Decoder::new(Side::Main),
        &wire(Side::Main, &[welcome()]),
        "the peer is at fault at byte 0 of the connection: a renderer may not send a welcome",
    );
}

#[test]
fn a_stranger_is_told_from_a_peer() {
    for (bytes, excerpt) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n"[..], r"GET / HTTP/1.1\r\n"),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03....................",
            r"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03.....",
        ),
        (
            b"\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0",
            r"\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        ),
    ] {
        for side in [Side::Main, Side::Renderer] {
            fails_with(
                Decoder::new(side),
                bytes,
                &format!(
                    "the peer is at fault at byte 0 of the connection: the connection begins with \
                     \"{excerpt}\", which is not Guardhouse: another program is on this socket"
                ),
            );
        }
    }
}

#[test]
fn a_stranger_who_says_little_is_told_from_a_death() {
    for (bytes, is_stranger) in [
        (&b""[..], false),
        (b"A", false),
        (b"PING\r\n", true),
        (b"\0AUTH ", true),
        (b"\x80\0\0\0\x01\0\0\0GUARD", false),
        (b"\x80\0\0\0\x01\0\0\0GUARDS", true),
    ] {
        let mut decoder = Decoder::new(Side::Main);
        decoder.push(bytes);
        assert_eq!(decoder.poll(), Ok(None));
        match decoder.ending() {
            Ok(ending) => {
                let unfinished = bytes.len();
                assert_eq!(ending, Ending::Death { unfinished });
                assert!(!is_stranger, "{bytes:?}");
            }
            Err(error) => {
                assert!(is_stranger, "{bytes:?}");
                assert!(matches!(error.violation(), Violation::NotGuardhouse { .. }));
            }
        }
    }
}

#[test]
fn nothing_behind_the_first_frame_is_read_before_it_is_agreed_on() {
    let mut decoder = Decoder::new(Side::Main);
    let message = message(Channel::Start, "");
    let mut bytes = wire(Side::Renderer, &[hello(), message.clone()]);
    bytes.extend_from_slice(b"this is no frame");
    decoder.push(&bytes);
    assert_eq!(decoder.poll(), Ok(Some(hello())));
    assert_eq!(decoder.version(), None);
    for _ in 0..3 {
        assert_eq!(decoder.poll(), Ok(None));
    }
    decoder.agree(Version::ONE);
    assert_eq!(decoder.version(), Some(Version::ONE));
    assert_eq!(decoder.poll(), Ok(Some(message)));
    assert!(decoder.poll().is_err());
}

#[test]
fn agreeing_at_another_time_changes_nothing() {
    let mut decoder = Decoder::new(Side::Main);
    decoder.agree(Version::ONE);
    assert_eq!(decoder.version(), None);
    decoder.push(&wire(Side::Renderer, &[message(Channel::Start, "")]));
    assert!(decoder.poll().is_err());
    decoder.agree(Version::ONE);
    assert!(decoder.poll().is_err());
}

#[test]
fn every_rule_of_the_head_has_an_error_of_its_own() {
    let id = [9, 0, 0, 0, 0, 0, 0, 0];
    for (side, bytes, message) in [
        (Side::Main, head(0, 99, 0, 0, &id), "there is no frame of kind 99 in this version"),
        (Side::Main, head(0, 0, 0, 0, &id), "there is no frame of kind 0 in this version"),
        (
            Side::Main,
            head(0, 5, 1, 0x0100, &id),
            "the flags are 0x0100, but they are reserved and must be zero",
        ),
        (
            Side::Main,
            head(0, 5, 12, 0, &id),
            "the channel number \"12\" names no channel of the contract",
        ),
        (
            Side::Main,
            head(0, 5, 0, 0, &id),
            "the channel number \"0\" names no channel of the contract",
        ),
        (
            Side::Renderer,
            head(0, 6, 1, 0, &id),
            "a message ack names channel 1, but belongs to none",
        ),
        (Side::Main, head(0, 4, 0, 0, &id), "a goodbye has the id 9, but takes none"),
        (Side::Main, head(0, 5, 10, 0, &id), "a renderer may not send a message on channel config"),
        (Side::Renderer, head(0, 5, 2, 0, &id), "main may not send a message on channel scope"),
        (Side::Main, head(8, 10, 3, 0, &id), "there is no chunk on channel envelope"),
        (
            Side::Main,
            head(4097, 5, 1, 0, &id),
            "a message on channel start claims 4097 bytes, but has at most 4096",
        ),
        (
            Side::Main,
            head(7, 11, 9, 0, &id),
            "a last chunk on channel attachment claims 7 bytes, but has 8 to 262152",
        ),
        (Side::Renderer, head(9, 12, 0, 0, &id), "a stream ack claims 9 bytes, but has exactly 8"),
        (Side::Main, head(0, 1, 0, 0, b"GUARDIPC"), "a hello came after the handshake"),
        (Side::Renderer, head(0, 3, 0, 0, b"GUARDIPC"), "a refusal came after the handshake"),
    ] {
        let (decoder, offset) = open(side);
        fails_with(
            decoder,
            &bytes,
            &format!("the peer is at fault at byte {offset} of the connection: {message}"),
        );
    }
}

#[test]
fn every_rule_of_a_payload_has_an_error_of_its_own() {
    let id = [9, 0, 0, 0, 0, 0, 0, 0];
    let (decoder, offset) = open(Side::Main);
    let mut chunk = head(9, 10, 9, 0, &id).to_vec();
    chunk.extend(u64::MAX.to_le_bytes());
    chunk.push(1);
    fails_with(
        decoder,
        &chunk,
        &format!(
            "the peer is at fault at byte {offset} of the connection: a chunk of 1 bytes at \
             18446744073709551615 goes beyond the largest stream, which has 209715200"
        ),
    );
    let (decoder, offset) = open(Side::Renderer);
    let mut declined = head(1, 7, 0, 0, &id).to_vec();
    declined.push(0xff);
    fails_with(
        decoder,
        &declined,
        &format!(
            "the peer is at fault at byte {offset} of the connection: the reason in a decline is \
             not UTF-8"
        ),
    );
}

#[test]
fn after_an_error_it_stays_failed_and_holds_nothing() {
    let (mut decoder, _) = open(Side::Main);
    let mut bytes = wire(Side::Renderer, &[message(Channel::Scope, "[]")]);
    bytes.extend_from_slice(&[0xee; MIB]);
    decoder.push(&bytes);
    assert!(decoder.poll().unwrap().is_some());
    let error = decoder.poll().unwrap_err();
    decoder.push(&wire(Side::Renderer, &[Frame::Goodbye]));
    assert_eq!(decoder.poll(), Err(error.clone()));
    assert_eq!(decoder.ending(), Err(error));
    assert_eq!((decoder.buffered(), decoder.buffer.capacity()), (0, 0));
}

#[test]
fn a_goodbye_is_told_from_a_death_and_is_the_last_frame() {
    let (mut decoder, _) = open(Side::Main);
    assert_eq!(decoder.ending(), Ok(Ending::Death { unfinished: 0 }));
    decoder.push(&wire(Side::Renderer, &[Frame::Goodbye]));
    assert_eq!(decoder.poll(), Ok(Some(Frame::Goodbye)));
    assert_eq!(decoder.poll(), Ok(None));
    assert_eq!(decoder.ending(), Ok(Ending::Goodbye));
    decoder.push(b"x");
    let error = decoder.poll().unwrap_err();
    assert_eq!(error.violation(), &Violation::AfterEnd);

    let (mut decoder, _) = open(Side::Main);
    decoder.push(&wire(Side::Renderer, &[Frame::Goodbye])[..9]);
    assert_eq!(decoder.poll(), Ok(None));
    assert_eq!(decoder.ending(), Ok(Ending::Death { unfinished: 9 }));
}

#[test]
fn a_refusal_is_the_end() {
    let refused = Frame::Refused(Rejection::new(RejectionReason::Busy, "come back later"));
    let mut decoder = Decoder::new(Side::Renderer);
    decoder.push(&wire(Side::Main, std::slice::from_ref(&refused)));
    assert_eq!(decoder.poll(), Ok(Some(refused)));
    assert_eq!(decoder.ending(), Ok(Ending::Refused));
}

#[test]
fn a_payload_lies_where_it_was_pushed() {
    let (mut decoder, _) = open(Side::Main);
    decoder.push(&wire(Side::Renderer, &[message(Channel::Envelope, vec![7; CHUNK_BYTES])]));
    let there = decoder.buffer[HEAD_BYTES..].as_ptr();
    match decoder.poll() {
        Ok(Some(Frame::Message { payload, .. })) => assert_eq!(payload.as_ptr(), there),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_large_buffer_outlives_its_frame() {
    let (mut decoder, _) = open(Side::Main);
    let small = message(Channel::Scope, "[]");
    let large = message(Channel::Envelope, vec![7; ENVELOPE_MESSAGE_BYTES]);
    let bytes = wire(Side::Renderer, &[small.clone(), large, small.clone()]);
    // The last piece begins in the large frame and ends in the small one behind it.
    let (whole, part) = bytes.split_at(bytes.len() - 5);
    let mut frames = 0;
    for piece in whole.chunks(64 * 1024) {
        decoder.push(piece);
        while decoder.poll().unwrap().is_some() {
            frames += 1;
        }
        assert!(decoder.buffer.capacity() <= HEAD_BYTES + ENVELOPE_MESSAGE_BYTES + PIECE_BYTES);
    }
    assert_eq!(frames, 2);
    assert_eq!(decoder.buffered(), 13);
    // What is asked for again and again fits the few bytes that are there, so it cannot be the
    // old memory that is used on.
    decoder.push(part);
    assert!(decoder.buffer.capacity() < 1024);
    assert_eq!(decoder.poll(), Ok(Some(small)));
    assert_eq!(decoder.poll(), Ok(None));
    assert_eq!(decoder.buffer.capacity(), 0);
}

#[test]
fn debug_shows_no_bytes() {
    let mut decoder = Decoder::new(Side::Main);
    decoder.push(&wire(Side::Renderer, &[hello()]));
    let debug = format!("{decoder:?}");
    assert!(debug.contains("buffered"), "{debug}");
    assert!(!debug.contains("0101") && !debug.contains("proof"), "{debug}");
}
