//! More connections than anybody needs.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use guardhouse_protocol::frame::Frame;
use guardhouse_tests::wire::{self, Wire};

use super::street::Street;
use super::{campaign, setting};

/// So many connections, unless `CONNECTIONS` says otherwise.
const CONNECTIONS: u64 = 10_000;

#[test]
fn promise_6_ten_thousand_connections_one_after_the_other_are_nothing() {
    let street = Street::start();
    let socket = street.note.socket.clone().expect("main has the classic way");
    for _ in 0..setting("CONNECTIONS", CONNECTIONS) {
        // When the system has no room for it, that is no trouble of main's either.
        drop(UnixStream::connect(&socket));
    }
    street.verify("connections");
}

#[test]
fn promise_6_connections_that_stay_silent_are_closed_and_others_come_in() {
    let mut street = Street::start();
    let socket = street.note.socket.clone().expect("main has the classic way");
    let hello = wire::bytes_of(&Frame::Hello(wire::hello(&street.note, "bad")));
    let mut silent = Vec::new();
    for number in 0..setting("CONNECTIONS", CONNECTIONS) as usize {
        let Ok(stream) = UnixStream::connect(&socket) else { break };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
        let mut wire = Wire::over(stream);
        // Nothing of a hello, or part of it.
        wire.send_bytes(&hello[..number % hello.len()]);
        silent.push(wire);
        // A process has not so many files everywhere.
        if silent.len() as u64 >= setting("HELD", 800) {
            break;
        }
    }
    println!("{} connections are held", silent.len());
    street.go_on(5);
    for wire in &mut silent {
        wire.read_to_end();
    }
    assert!(street.turned_away("connections") + street.turned_away("slow") >= silent.len() as u64);
    street.verify("silent connections");
}

#[test]
fn promise_6_connections_of_one_renderer_are_bounded() {
    let mut street = Street::start();
    let (_bad, hello) = street.bad();
    let mut held = Vec::new();
    let before = street.turned_away("connections");
    for _ in 0..campaign().max(400) {
        let mut wire = Wire::connect(&street.note);
        if matches!(wire.try_greet(&hello), Some(Ok(_))) {
            held.push(wire);
        }
    }
    println!("{} connections of one renderer were let in", held.len());
    street.go_on(5);
    // They are far fewer than there is room for, so that somebody new comes in at once.
    drop(Wire::welcome(&street.note, "new"));
    assert!(street.turned_away("connections") > before);
    drop(held);
    street.verify("one renderer's connections");
}

/// One process that comes as somebody new each time keeps all places until it ends.
#[test]
fn promise_6_a_process_that_is_somebody_new_each_time_does_not_take_all_places() {
    let street = Street::start();
    for _ in 0..300 {
        let _ = Wire::connect(&street.note).try_greet(&wire::hello(&street.note, "bad"));
    }
    street.verify("always new");
}
