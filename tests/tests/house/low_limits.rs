//! What the system does not give, the reporting goes on without.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;

use guardhouse_protocol::Channel;
use guardhouse_protocol::frame::Frame;
use guardhouse_tests::desk::{Desk, Scratch, runtime_of};
use guardhouse_tests::sentry::{Sentry, an_event};
use guardhouse_tests::wire;

/// A user who has no other processes. Root may have as many as it likes, so the limit would not be one.
const USER: u32 = 61_803;

/// Without a session, which would be sent before there is a limit and leave a connection to use.
const OPTIONS: &[&str] = &["--debug", "--no-session"];

/// Starts the application as a user to whom limits apply.
#[track_caller]
fn limited(cache: &Scratch, dsn: &str) -> Desk {
    let binary = env!("CARGO_BIN_EXE_desk");
    let directory = cache.path().join("cache");
    if !rustix::process::geteuid().is_root() {
        return Desk::start(binary, &directory, dsn, OPTIONS);
    }
    // Where the binary lies not everybody may go.
    let copy = cache.path().join("desk");
    if !copy.exists() {
        std::fs::copy(binary, &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir(&directory).unwrap();
        for path in [cache.path(), &directory, &runtime_of(&directory)] {
            chown(path, Some(USER), Some(USER)).unwrap();
        }
    }
    let mut command = Desk::command(copy.to_str().unwrap(), &directory);
    Desk::launch_as(command.args(["--dsn", dsn]).args(OPTIONS).uid(USER).gid(USER)).started()
}

fn by_name(sentry: &Sentry) -> String {
    let dsn = sentry.dsn();
    assert!(dsn.contains("127.0.0.1"), "{dsn}");
    // A name has to be asked for, and asking takes a thread.
    dsn.replace("127.0.0.1", "localhost")
}

#[track_caller]
fn has_not_panicked(desk: &mut Desk) {
    desk.hang_up();
    desk.kill();
    let stderr = desk.stderr();
    assert!(!stderr.contains("panicked") && !stderr.contains("a fault of the SDK"), "{stderr}");
}

#[test]
fn where_no_thread_can_be_created_the_reporting_goes_on() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.expect(an_event().with_message("without threads").times(1));
    // So that no connection is open yet.
    sentry.refuse_connections();
    let mut desk = limited(&cache, &by_name(&sentry));
    desk.ask("limit processes 0");
    sentry.recover();
    desk.ask("capture without threads");
    // The name cannot be asked for, which is an error of the network; and it has been made durable
    // meanwhile, or tried.
    assert!(desk.ask("flush 3000").starts_with("flushed false"));
    desk.ask("limit processes -");
    assert!(desk.ask("close 60000").starts_with("closed true"));
    has_not_panicked(&mut desk);
    sentry.verify();
}

#[test]
fn where_no_thread_can_be_created_the_end_keeps_everything_on_disk() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.expect(an_event().with_message("kept").times(1));
    // So that no connection is open yet.
    sentry.refuse_connections();
    let mut desk = limited(&cache, &by_name(&sentry));
    desk.ask("limit processes 0");
    sentry.recover();
    desk.ask("capture kept");
    assert!(desk.ask("close 1000").starts_with("closed false"));
    has_not_panicked(&mut desk);

    let mut next = limited(&cache, &by_name(&sentry));
    assert!(next.ask("close 60000").starts_with("closed true"));
    has_not_panicked(&mut next);
    sentry.verify();
}

#[test]
fn where_no_file_can_be_opened_what_is_captured_waits_and_goes_when_there_is_one() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.expect(an_event().with_message("without files").times(1));
    // So that no connection is open yet.
    sentry.refuse_connections();
    let directory = cache.path().join("cache");
    let mut desk = Desk::start(env!("CARGO_BIN_EXE_desk"), &directory, &by_name(&sentry), OPTIONS);
    let note = wire::note(&runtime_of(&directory));
    desk.ask("limit files 0");
    sentry.recover();
    // Whoever comes now waits at the door, on both ways, and main does not turn on the spot for it.
    let socket =
        UnixStream::connect(note.socket.as_ref().expect("it has the classic way")).unwrap();
    let port = std::net::TcpStream::connect(note.address.expect("it has the protocol")).unwrap();
    desk.ask("capture without files");
    assert!(desk.ask("flush 3000").starts_with("flushed false"));
    drop((socket, port));
    desk.ask("limit files -");
    assert!(desk.ask("close 60000").starts_with("closed true"));
    sentry.verify();
}

#[test]
fn where_files_may_not_grow_the_application_lives_and_what_is_captured_waits_in_memory() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.expect(an_event().with_message("before").times(1));
    sentry.expect(an_event().with_message("without room").times(1));
    sentry.refuse_connections();
    let mut desk = Desk::start(env!("CARGO_BIN_EXE_desk"), cache.path(), &sentry.dsn(), &[]);
    desk.ask("capture before");
    assert!(desk.ask("flush 300").starts_with("flushed false"));
    // A write beyond the limit ends a process that does nothing about the signal.
    desk.ask("limit size 0");
    desk.ask("capture without room");
    assert!(desk.ask("flush 300").starts_with("flushed false"));
    desk.ask("limit size -");
    sentry.recover();
    assert!(desk.ask("close 60000").starts_with("closed true"));
    sentry.verify();
}

#[test]
fn where_memory_is_scarce_large_messages_wait_and_the_reporting_goes_on() {
    const LARGE: usize = 20 << 20;
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.expect(an_event().with_message("small 49").times(1));
    let directory = cache.path().join("cache");
    let mut desk = Desk::start(env!("CARGO_BIN_EXE_desk"), &directory, &sentry.dsn(), &[]);
    let note = wire::note(&runtime_of(&directory));
    desk.ask(&format!("limit memory {}", 200_000_000));
    let senders: Vec<_> = (0..8)
        .map(|number| {
            let mut peer = wire::Wire::welcome(&note, &format!("sender {number}"));
            std::thread::spawn(move || {
                let head = "{}\n{\"type\":\"attachment\",\"filename\":\"x\"}\n";
                peer.say(Channel::Envelope, [head.as_bytes(), &vec![b'x'; LARGE]].concat());
                peer.hear()
            })
        })
        .collect();
    // Each of them gets so far that main waits for memory meanwhile, or has the message.
    for number in 0..50 {
        desk.ask(&format!("capture small {number}"));
        assert!(desk.ask("flush 60000").starts_with("flushed true"));
    }
    desk.ask("limit memory -");
    for sender in senders {
        let heard = sender.join().unwrap();
        assert!(matches!(heard, Some(Frame::Ack { .. })), "{heard:?}");
    }
    assert!(desk.ask("close 60000").starts_with("closed true"));
    sentry.verify();
    assert_eq!(sentry.items("attachment").len(), 8);
}
