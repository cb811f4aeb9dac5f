//! Frames: random connections, cut at every byte, and broken at random.

use bytes::{Bytes, BytesMut};
use guardhouse_protocol::frame::{
    Ending, Frame, Hello, MessageId, Proof, Rejection, RejectionReason, RendererName, Role, Side,
    Version, VersionRange, Welcome,
};
use guardhouse_protocol::limits::STREAM_BYTES;
use guardhouse_protocol::{Channel, Namespace};
use guardhouse_tests::oracle::frame::{self as oracle, bytewise, read, whole};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use crate::config;

fn id() -> impl Strategy<Value = MessageId> {
    any::<u64>().prop_map(MessageId::new)
}

fn payload() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..48).prop_map(Bytes::from)
}

fn versions() -> impl Strategy<Value = VersionRange> {
    (1..9u16, 0..9u16).prop_map(|(min, more)| {
        let version = |number| Version::new(number).unwrap();
        VersionRange::new(version(min), version(min + more)).unwrap()
    })
}

fn hello() -> impl Strategy<Value = Frame> {
    (
        "[a-z][a-z0-9-]{0,63}",
        versions(),
        prop_oneof![
            Just(Role::Renderer),
            Just(Role::Utility),
            "\\PC*".prop_map(|name| Role::named(&name))
        ],
        "\\PC{1,40}",
        any::<u32>(),
        any::<[u8; 32]>(),
        proptest::option::of(welcome()),
    )
        .prop_map(|(namespace, versions, role, name, pid, proof, resume)| {
            let mut hello = Hello::new(
                Namespace::new(&namespace).unwrap(),
                role,
                RendererName::new(&name).unwrap(),
                pid,
                Proof::new(proof),
            );
            hello.versions = versions;
            hello.resume = resume.map(|welcome| welcome.resume());
            Frame::Hello(hello)
        })
}

fn welcome() -> impl Strategy<Value = Welcome> {
    (1..99u16, any::<u128>(), any::<[u8; 32]>()).prop_map(|(version, id, secret)| {
        Welcome::new(Version::new(version).unwrap(), Uuid::from_u128(id), Proof::new(secret))
    })
}

fn from_renderer() -> impl Strategy<Value = Frame> {
    let spoken = prop::sample::select(vec![
        Channel::Scope,
        Channel::Envelope,
        Channel::Feedback,
        Channel::Status,
        Channel::StructuredLog,
        Channel::Metric,
        Channel::Start,
        Channel::Flush,
    ]);
    let channel = Channel::Attachment;
    prop_oneof![
        (id(), spoken, payload()).prop_map(|(id, channel, payload)| Frame::Message {
            id,
            channel,
            payload
        }),
        (id(), payload()).prop_map(move |(id, payload)| Frame::StreamOpen { id, channel, payload }),
        (id(), 0..STREAM_BYTES - 48, any::<bool>(), payload()).prop_map(
            move |(id, offset, last, data)| Frame::Chunk { id, channel, offset, last, data }
        ),
    ]
}

fn from_main() -> impl Strategy<Value = Frame> {
    let pushed = prop::sample::select(vec![Channel::Config, Channel::Trace]);
    let replied =
        prop::sample::select(vec![Channel::Feedback, Channel::Flush, Channel::Attachment]);
    prop_oneof![
        (id(), pushed, payload()).prop_map(|(id, channel, payload)| Frame::Message {
            id,
            channel,
            payload
        }),
        (id(), replied, payload()).prop_map(|(id, channel, payload)| Frame::Reply {
            id,
            channel,
            payload
        }),
        id().prop_map(|id| Frame::Ack { id }),
        (id(), "\\PC{0,30}").prop_map(|(id, reason)| Frame::Declined { id, reason }),
        (id(), 0..=STREAM_BYTES).prop_map(|(id, received)| Frame::StreamAck { id, received }),
    ]
}

/// All that one side sends in the life of a connection, who it is, and how it ends.
fn connection() -> impl Strategy<Value = (Side, Vec<Frame>)> {
    let welcome = welcome().prop_map(Frame::Welcome);
    let refused = ("\\PC{0,20}", "\\PC{0,80}").prop_map(|(reason, message)| {
        vec![Frame::Refused(Rejection::new(RejectionReason::named(&reason), &message))]
    });
    fn life(
        opening: impl Strategy<Value = Frame>,
        frames: impl Strategy<Value = Frame>,
    ) -> impl Strategy<Value = Vec<Frame>> {
        (opening, vec(frames, 0..12), any::<bool>()).prop_map(|(opening, frames, goodbye)| {
            let goodbye = goodbye.then_some(Frame::Goodbye);
            std::iter::once(opening).chain(frames).chain(goodbye).collect()
        })
    }
    prop_oneof![
        4 => life(hello(), from_renderer()).prop_map(|frames| (Side::Renderer, frames)),
        4 => life(welcome, from_main()).prop_map(|frames| (Side::Main, frames)),
        1 => refused.prop_map(|frames| (Side::Main, frames)),
    ]
}

fn wire(sender: Side, frames: &[Frame]) -> BytesMut {
    let mut out = BytesMut::new();
    for frame in frames {
        frame.encode(sender, &mut out).unwrap();
    }
    out
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn what_is_sent_is_what_is_read_wherever_it_is_cut((sender, frames) in connection()) {
        let stream = wire(sender, &frames);
        let side = sender.peer();
        let reading = whole(side, &stream);
        prop_assert_eq!(&reading.frames, &frames);
        let ending = match frames.last() {
            Some(Frame::Goodbye) => Ending::Goodbye,
            Some(Frame::Refused(_)) => Ending::Refused,
            _ => Ending::Death { unfinished: 0 },
        };
        prop_assert_eq!(&reading.end, &Ok(ending));
        prop_assert_eq!(&bytewise(side, &stream), &reading);
        for cut in 0..=stream.len() {
            prop_assert_eq!(&read(side, &stream, [cut]), &reading, "cut at byte {}", cut);
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_leaves_the_frames_before_it((sender, frames) in connection()) {
        let stream = wire(sender, &frames);
        let mut ends = vec![0];
        for frame in &frames {
            let mut out = BytesMut::new();
            frame.encode(sender, &mut out).unwrap();
            ends.push(ends[ends.len() - 1] + out.len());
        }
        for length in 0..stream.len() {
            let reading = whole(sender.peer(), &stream[..length]);
            let complete = ends.iter().rposition(|&end| end <= length).unwrap();
            prop_assert_eq!(&reading.frames, &frames[..complete]);
            let unfinished = length - ends[complete];
            prop_assert_eq!(reading.end, Ok(Ending::Death { unfinished }));
        }
    }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn what_is_broken_anywhere_is_judged_the_same_however_it_is_cut(
        (sender, frames) in connection(),
        damage in vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 1..4),
        pieces in any::<u8>(),
    ) {
        let mut stream = wire(sender, &frames).to_vec();
        for (place, what, byte) in damage {
            let place = place.index(stream.len());
            match what {
                0 => stream[place] = byte,
                1 => stream[place] ^= 1 << (byte % 8),
                2 => stream.insert(place, byte),
                _ => drop(stream.drain(place..stream.len().min(place + usize::from(byte) / 8))),
            }
            if stream.is_empty() {
                break;
            }
        }
        // No handshake goes before, since the connection has its own.
        let how = u8::from(sender == Side::Main) | 2 | pieces << 2;
        oracle::frame(&[&[how], &stream[..]].concat());
    }

    #[test]
    fn any_bytes_behind_a_handshake_are_judged_the_same_however_they_are_cut(
        how in any::<u8>(),
        kind in 0..14u8,
        channel in 0..13u8,
        length in 0..40u8,
        rest in vec(any::<u8>(), 0..80),
    ) {
        // A head that is nearly right gets deeper than one at random.
        let head = [length, 0, 0, 0, kind, channel, 0, 0];
        oracle::frame(&[&[how & !2], &head[..], &rest].concat());
    }
}
