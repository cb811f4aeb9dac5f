//! Renderers that say what nobody can understand, or only half of something.

use guardhouse_protocol::Channel;
use guardhouse_protocol::frame::{Frame, Hello, MessageId};
use guardhouse_protocol::limits::MIB;
use guardhouse_tests::wire::{self, Wire, bytes_of, head};

use super::street::{Street, scope};
use super::{Dice, campaign};

#[test]
fn promise_6_what_is_no_frame_costs_only_its_own_connection() {
    let mut street = Street::start();
    let mut dice = Dice::new(1);
    let (keeper, hello) = street.bad();
    let hello = bytes_of(&Frame::Hello(hello));
    for round in 0..campaign() {
        let mut bytes = if round % 2 == 0 { hello.clone() } else { Vec::new() };
        bytes.extend(match dice.below(5) {
            0 => dice.bytes(2000),
            // Any kind and channel, with and without flags, and a payload that fits what it claims.
            1 | 2 => {
                let payload = dice.bytes(300);
                let flags = if dice.below(4) == 0 { dice.below(1 << 16) as u16 } else { 0 };
                let (kind, channel) = (dice.below(16) as u8, dice.below(24) as u8);
                let id = dice.below(1 << 40) as u64;
                let mut bytes = head(kind, channel, flags, id, payload.len() as u32).to_vec();
                bytes.extend(payload);
                bytes
            }
            3 => hello.clone(),
            _ => bytes_of(&message(u64::from(u32::MAX) + round, Channel::Scope, scope("bad", 0))),
        });
        let mut wire = Wire::connect(&street.note);
        wire.send_bytes(&bytes);
        wire.finish();
    }
    street.go_on(3);
    assert!(street.turned_away("malformed") > campaign() / 4);
    drop(keeper);
    street.verify("no frames");
}

#[test]
fn promise_6_a_flipped_bit_is_never_more_than_one_connections_trouble() {
    let mut street = Street::start();
    let mut dice = Dice::new(2);
    let (keeper, hello) = street.bad();
    for round in 0..campaign() {
        let mut bytes = conversation(&hello, round);
        // Rarely in the hello: what is still one, but not that of the same renderer, takes a place.
        let start = if round % 8 == 0 { 0 } else { bytes_of(&Frame::Hello(hello.clone())).len() };
        let at = start + dice.below(bytes.len() - start);
        bytes[at] ^= 1 << dice.below(8);
        let mut wire = Wire::connect(&street.note);
        wire.send_bytes(&bytes);
        wire.finish();
    }
    assert!(street.turned_away("malformed") > 0);
    drop(keeper);
    street.verify("flipped bits");
}

#[test]
fn promise_6_payloads_that_mean_nothing_are_declined_and_the_connection_goes_on() {
    let street = Street::start();
    let (mut bad, _) = street.bad();
    let deep = "[".repeat(200_000);
    let many: String = (0..150_000).map(|n| format!("\"k{n}\":0,")).collect();
    let many = format!("{{{many}\"end\":0}}");
    let payloads: [Vec<u8>; 9] = [
        b"no JSON".into(),
        b"{".into(),
        b"\xff\xfe\x00".into(),
        deep.clone().into(),
        format!("{{\"a\":{deep}").into(),
        many.clone().into(),
        format!("{{}}\n{{\"type\":\"event\"}}\n{deep}\n").into(),
        format!("{many}\n{{\"type\":\"event\"}}\n{{\"message\":\"bad\"}}\n").into(),
        // A header that does not end.
        vec![b' '; 2 * MIB],
    ];
    let mut declined = 0;
    for payload in &payloads {
        for channel in [Channel::Scope, Channel::Envelope, Channel::Feedback, Channel::Status] {
            if payload.len() > channel.declaration().max_bytes {
                continue;
            }
            let answer = bad.ask(channel, payload.clone());
            declined += u64::from(matches!(answer, Frame::Declined { .. }));
            assert!(!matches!(answer, Frame::StreamAck { .. }));
        }
    }
    println!("{declined} payloads were declined");
    assert!(declined > 15);
    street.go_on(3);
    let sentry = street.verify("no payloads");
    assert!(!sentry.others.iter().any(|message| message == "bad"), "{:?}", sentry.others);
}

#[test]
fn promise_6_who_hangs_up_in_the_middle_of_anything_leaves_nothing_behind() {
    let street = Street::start();
    let (keeper, hello) = street.bad();
    let length = conversation(&hello, 0).len();
    let every = (length as u64 / campaign()).max(1) as usize;
    for cut in (0..length).step_by(every) {
        let mut wire = Wire::connect(&street.note);
        wire.send_bytes(&conversation(&hello, cut as u64)[..cut]);
        if cut % 2 == 0 {
            wire.finish();
        }
    }
    drop(keeper);
    street.verify("truncated");
}

/// All that a renderer says that is there for a moment, but for its goodbye.
fn conversation(hello: &Hello, round: u64) -> Vec<u8> {
    let id = format!("{:032x}", (1 << 100) + u128::from(round));
    [
        Frame::Hello(hello.clone()),
        message(3 * round + 1, Channel::Scope, scope("bad", round)),
        message(3 * round + 2, Channel::Envelope, wire::event(&id, "half")),
        message(3 * round + 3, Channel::Status, r#"{"status":{"status":"alive"}}"#.to_owned()),
    ]
    .iter()
    .flat_map(bytes_of)
    .collect()
}

fn message(id: u64, channel: Channel, payload: String) -> Frame {
    Frame::Message { id: MessageId::new(id), channel, payload: payload.into() }
}
