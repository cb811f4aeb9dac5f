//! More connections than anybody needs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use guardhouse_process::meeting::{self, Meeting, NOTE_VARIABLE};
use guardhouse_protocol::Namespace;
use guardhouse_protocol::frame::Frame;
use guardhouse_tests::desk::{Desk, runtime_of};
use guardhouse_tests::helm;
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

/// A connection on which somebody new has said hello over HTTP, as whatever process it likes, and what main
/// answered.
fn hello_over_http(note: &Meeting, pid: u32) -> (TcpStream, String) {
    let address = wire::address(note);
    let mut hello = wire::hello(note, "bad");
    hello.pid = pid;
    let hello = hello.to_json();
    let mut stream = TcpStream::connect(address).expect("main listens");
    let _ = write!(
        stream,
        "POST /hello/sentry_key HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n{}",
        hello.text().len(),
        hello.text()
    );
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).unwrap_or(0);
    answer.truncate(length);
    (stream, String::from_utf8_lossy(&answer).into_owned())
}

/// It is another process than that of this test, and can report over HTTP.
#[track_caller]
fn another_process_is_let_in(street: &Street) {
    let runtime = runtime_of(street.house.cache.path());
    let notes = meeting::find(&runtime.join("guardhouse"), &Namespace::DEFAULT);
    let mut command = helm::command(env!("CARGO_BIN_EXE_helm"), &runtime, "honest");
    command.env(NOTE_VARIABLE, &notes[0].0).args(["--mode", "protocol"]);
    let mut honest = Desk::launch_as(&mut command).started();
    assert_eq!(honest.ask("await protocol"), "way protocol");
    honest.ask("capture honest");
    assert!(honest.ask("flush 60000").starts_with("flushed true"));
    assert!(honest.ask("close 60000").starts_with("closed true"));
}

/// This process holds all the places over HTTP that it gets, and asks for more without end.
#[test]
fn promise_6_a_process_that_holds_connections_over_http_locks_nobody_out() {
    // As the process that it is, and as one that it is not.
    for pid in [std::process::id(), 1] {
        let street = Street::start();
        let (mut held, mut refused) = (Vec::new(), 0);
        for _ in 0..campaign().max(300) {
            let (stream, answer) = hello_over_http(&street.note, pid);
            if answer.starts_with("HTTP/1.1 200") {
                held.push(stream);
            } else {
                assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
                refused += 1;
            }
        }
        println!("{} are held as process {pid}, {refused} were refused", held.len());
        assert!(held.len() >= 64, "{}", held.len());
        another_process_is_let_in(&street);
        drop(held);
        assert_eq!(street.verify("places over HTTP").others, ["honest"]);
    }
}

/// The same with few renderers, each of which has as many connections as it may, and more than there are.
#[test]
fn promise_6_a_process_that_has_many_connections_over_http_locks_nobody_out() {
    let street = Street::start();
    let address = wire::address(&street.note);
    let mut held = Vec::new();
    for _ in 0..30 {
        let (stream, answer) = hello_over_http(&street.note, std::process::id());
        held.push(stream);
        let Some((_, body)) = answer.split_once("\r\n\r\n") else { continue };
        let Ok(welcome) = guardhouse_protocol::frame::Welcome::parse(body.as_bytes()) else {
            continue;
        };
        for _ in 0..16 {
            let mut stream = TcpStream::connect(address).expect("main listens");
            // It is under way for as long as main lets it: the body does not come.
            let _ = write!(
                stream,
                "POST /envelope/sentry_key HTTP/1.1\r\nhost: {address}\r\n\
                 sentry-electron-renderer-id: {}\r\nauthorization: Bearer {}\r\ncontent-length: 9\r\n\r\n",
                welcome.renderer_id,
                welcome.secret.to_hex()
            );
            held.push(stream);
        }
    }
    another_process_is_let_in(&street);
    drop(held);
    assert_eq!(street.verify("connections over HTTP").others, ["honest"]);
}
