//! Renderers that say too much at once, or take for ever to say it.

use guardhouse_protocol::Channel;
use guardhouse_protocol::frame::{Frame, MessageId};
use guardhouse_protocol::limits::{CHUNK_BYTES, KIB, MIB, STREAM_BYTES};
use guardhouse_tests::wire::{self, Wire, head};

use super::street::Street;

const MESSAGE: u8 = 5;
const STREAM_OPEN: u8 = 9;
const CHUNK: u8 = 10;

#[test]
fn promise_6_a_head_that_claims_too_much_is_refused_before_its_payload_comes() {
    let mut street = Street::start();
    let (_keeper, hello) = street.bad();
    let mut claims = 0;
    for channel in Channel::ALL {
        let most = channel.declaration().max_bytes as u32;
        for (kind, length) in
            [(MESSAGE, most + 1), (MESSAGE, u32::MAX), (STREAM_OPEN, u32::MAX), (CHUNK, most + 9)]
        {
            let mut wire = Wire::connect(&street.note);
            wire.greet(&hello).expect("its secret is right");
            wire.send_bytes(&head(kind, channel.code(), 0, 1, length));
            // Main hangs up though nothing has come of the payload, and the connection is open.
            wire.read_to_end();
            claims += 1;
        }
    }
    assert_eq!(street.turned_away("malformed"), claims);
    street.verify("claims");
}

#[test]
fn promise_6_the_largest_messages_of_many_at_once_are_read_a_few_at_a_time() {
    let street = Street::start();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let mut wire = Wire::welcome(&street.note, "bad");
            std::thread::spawn(move || {
                let most = Channel::Envelope.declaration().max_bytes;
                // Some are envelopes, some mean nothing.
                let payload = if number % 4 == 0 {
                    let attachment = most - 200;
                    let mut bytes = format!(
                        "{{}}\n{{\"type\":\"attachment\",\"length\":{attachment},\
                         \"filename\":\"huge\"}}\n"
                    )
                    .into_bytes();
                    bytes.resize(bytes.len() + attachment, b'x');
                    bytes
                } else {
                    vec![b' '; most]
                };
                wire.ask(Channel::Envelope, payload);
                wire.send(&Frame::Goodbye);
            })
        })
        .collect();
    street.go_on(20);
    for thread in threads {
        thread.join().expect("main answered");
    }
    street.verify("largest messages");
}

#[test]
fn promise_6_streams_beyond_their_bounds_are_given_up() {
    let street = Street::start();
    let chunk = |id: u64, offset| Frame::Chunk {
        id: MessageId::new(id),
        channel: Channel::Attachment,
        offset,
        last: false,
        data: vec![b'x'; CHUNK_BYTES].into(),
    };
    let open_twenty = || {
        let (mut bad, _) = street.bad();
        let opening = r#"{"filename":"huge","eventId":"0123456789abcdef0123456789abcdef"}"#;
        for id in 1000..1020 {
            let (id, channel) = (MessageId::new(id), Channel::Attachment);
            bad.send(&Frame::StreamOpen { id, channel, payload: opening.into() });
            assert_eq!(bad.hear(), Some(Frame::StreamAck { id, received: 0 }));
        }
        bad
    };
    // Of twenty at once the last few are open; main hangs up on whoever sends a piece of another.
    for id in [7, 1000] {
        let mut bad = open_twenty();
        bad.send(&chunk(id, 0));
        assert_eq!(bad.hear(), None);
    }
    let mut bad = open_twenty();
    // Out of place, and from beyond the end.
    for offset in [1, STREAM_BYTES - CHUNK_BYTES as u64] {
        bad.send(&chunk(1019, offset));
        let id = MessageId::new(1019);
        assert_eq!(bad.hear(), Some(Frame::StreamAck { id, received: 0 }));
    }
    // And one that no stream has.
    let mut bytes = head(CHUNK, Channel::Attachment.code(), 0, 1000, 9).to_vec();
    bytes.extend(u64::MAX.to_le_bytes());
    bytes.push(b'x');
    bad.send_bytes(&bytes);
    bad.read_to_end();
    street.verify("streams");
}

#[test]
fn promise_6_large_messages_that_never_end_hold_up_no_small_ones() {
    let street = Street::start();
    let slow = loris(&street, 8, 200 * KIB);
    // More than four large messages have begun, and go on by a byte each time others report.
    for _ in 0..10 {
        street.go_on(3);
        for wire in &slow {
            let _ = std::io::Write::write_all(&mut wire.stream(), b" ");
        }
    }
    drop(slow);
    street.verify("slow-loris");
}

#[test]
fn promise_6_a_large_message_has_its_turn_though_others_never_end() {
    let mut street = Street::start();
    let slow = loris(&street, 8, 200 * KIB);
    let mut wire = Wire::welcome(&street.note, "large");
    let large = std::thread::spawn(move || {
        let event = wire::event(&"a".repeat(32), &"x".repeat(300 * KIB));
        wire.ask(Channel::Envelope, event)
    });
    assert!(matches!(large.join().expect("it had its turn"), Frame::Ack { .. }));
    assert!(street.turned_away("slow") >= 4, "nobody made room for it");
    drop(slow);
    street.verify("slow-loris and a large message");
}

#[test]
fn promise_6_a_message_at_the_edge_of_a_large_one_keeps_no_place() {
    let street = Street::start();
    // The payload is as large as a small one may be; with its head before it, there is more.
    let payload = vec![b' '; 64 * KIB];
    let mut held = Vec::new();
    for _ in 0..6 {
        let mut wire = Wire::welcome(&street.note, "edge");
        let mut bytes =
            head(MESSAGE, Channel::Envelope.code(), 0, 1, payload.len() as u32).to_vec();
        bytes.extend(&payload);
        let (most, rest) = bytes.split_at(bytes.len() - 1);
        wire.send_bytes(most);
        // Main has read all of it but the last byte by then.
        street.go_on(2);
        wire.send_bytes(rest);
        while !matches!(wire.hear(), Some(Frame::Declined { .. })) {}
        held.push(wire);
    }
    let mut wire = Wire::welcome(&street.note, "large");
    let event = wire::event(&"b".repeat(32), &"x".repeat(300 * KIB));
    assert!(matches!(wire.ask(Channel::Envelope, event), Frame::Ack { .. }));
    drop(held);
    street.verify("the edge");
}

#[test]
fn promise_6_large_messages_of_one_who_never_reads_keep_no_place() {
    let street = Street::start();
    let mut deaf = Wire::welcome(&street.note, "deaf");
    let unread = |deaf: &Wire| rustix::io::ioctl_fionread(deaf.stream()).expect("it is a socket");
    // Until no further answer fits: main has room for more messages than it has not answered then.
    let mut before = None;
    while before != Some(unread(&deaf)) {
        before = Some(unread(&deaf));
        for _ in 0..8 {
            deaf.say(Channel::Status, r#"{"status":{"status":"alive"}}"#);
        }
        street.go_on(3);
    }
    for _ in 0..6 {
        deaf.say(Channel::Envelope, vec![b' '; 300 * KIB]);
        street.go_on(2);
    }
    let mut wire = Wire::welcome(&street.note, "large");
    let event = wire::event(&"c".repeat(32), &"x".repeat(300 * KIB));
    assert!(matches!(wire.ask(Channel::Envelope, event), Frame::Ack { .. }));
    drop(deaf);
    street.verify("deaf and large");
}

/// Renderers that have begun to say something large and do not go on.
fn loris(street: &Street, renderers: usize, begun: usize) -> Vec<Wire> {
    let begin = |_| {
        let mut wire = Wire::welcome(&street.note, "bad");
        wire.send_bytes(&head(MESSAGE, Channel::Envelope.code(), 0, 1, 32 * MIB as u32));
        // What main does not read yet must not hold up the test.
        let _ = wire.stream().set_nonblocking(true);
        wire.send_bytes(&vec![b' '; begun]);
        let _ = wire.stream().set_nonblocking(false);
        wire
    };
    let slow: Vec<_> = (0..renderers).map(begin).collect();
    street.go_on(2);
    slow
}
