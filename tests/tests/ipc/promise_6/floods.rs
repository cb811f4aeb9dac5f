//! Renderers that say a lot, and some that do not listen.

use std::io::Write;
use std::time::Instant;

use guardhouse_protocol::Channel;
use guardhouse_protocol::frame::{Frame, MessageId};
use guardhouse_tests::wire::{self, Wire, bytes_of};

use super::campaign;
use super::street::{Street, scope};

/// So many messages are written at once.
const BATCH: u64 = 100;

#[test]
fn promise_6_a_flood_of_scopes_and_logs_changes_no_other_scope() {
    let street = Street::start();
    let wire = Wire::welcome(&street.note, "flood");
    let frames = |id: u64| {
        let log = r#"{"timestamp":1,"level":"info","body":"bad"}"#.to_owned();
        match id % 2 {
            0 => (Channel::Scope, scope("flood", id)),
            _ => (Channel::StructuredLog, log),
        }
    };
    flood(&street, wire, campaign() * 200, frames);
    street.verify("flood of scopes and logs");
}

#[test]
fn promise_6_a_flood_of_envelopes_loses_no_other_event() {
    let street = Street::start();
    let wire = Wire::welcome(&street.note, "flood");
    let event = |id: u64| {
        (
            Channel::Envelope,
            wire::event(&format!("{:032x}", (1_u128 << 80) + u128::from(id)), "flood"),
        )
    };
    flood(&street, wire, campaign() * 5, event);
    street.verify("flood of envelopes");
}

#[test]
fn promise_6_who_never_reads_comes_to_a_halt_alone() {
    let street = Street::start();
    let deaf = Wire::welcome(&street.note, "deaf");
    let mut stream = deaf.stream();
    let _ = stream.set_nonblocking(true);
    let (mut written, mut full) = (0_u64, 0);
    // It is full for good when nothing fits any more though others have been served meanwhile.
    let mut id = 0;
    let mut rest = Vec::new();
    while full < 20 && written < 64 << 20 {
        if rest.is_empty() {
            id += 1;
            rest = bytes_of(&Frame::Message {
                id: MessageId::new(id),
                channel: Channel::Scope,
                payload: scope("deaf", id).into(),
            });
        }
        match stream.write(&rest) {
            Ok(length) => {
                rest.drain(..length);
                written += length as u64;
                full = 0;
            }
            Err(_) => {
                full += 1;
                street.go_on(1);
            }
        }
    }
    println!("main took {written} bytes of a renderer that does not read");
    assert!(full >= 20, "it is never held up");
    let sentry = street.verify("never reads");
    drop(deaf);
    assert!(sentry.others.is_empty());
}

/// Says so many things as fast as main takes them, and reads the answers.
fn flood(street: &Street, wire: Wire, messages: u64, what: impl Fn(u64) -> (Channel, String)) {
    let mut writing = wire.stream().try_clone().expect("there are files left");
    let mut reading = wire;
    let ends = std::thread::spawn(move || {
        let mut answers = 0;
        while answers < messages {
            match reading.hear().expect("main goes on") {
                Frame::Message { .. } => {}
                _ => answers += 1,
            }
        }
        reading
    });
    let start = Instant::now();
    for batch in 0..messages.div_ceil(BATCH) {
        let ids = batch * BATCH..((batch + 1) * BATCH).min(messages);
        let bytes: Vec<u8> = ids
            .flat_map(|id| {
                let (channel, payload) = what(id);
                let id = MessageId::new(id);
                bytes_of(&Frame::Message { id, channel, payload: payload.into() })
            })
            .collect();
        writing.write_all(&bytes).expect("main goes on");
    }
    let wire = ends.join().expect("main answered everything");
    let rate = messages as f64 / start.elapsed().as_secs_f64();
    println!("a flood of {messages} was taken at {rate:.0} a second");
    street.go_on(5);
    drop(wire);
}
