//! Sockets that children take from their parent. The children are this program, started again.
#![cfg(unix)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;

use guardhouse_crash::inherit;

const VARIABLE: &str = "GUARDHOUSE_TEST_SOCKET";

/// Set for children only, so that nobody else plays their roles.
const IS_CHILD: &str = "GUARDHOUSE_TEST_IS_CHILD";

/// What a child exits with that found no socket.
const NOTHING: i32 = 42;

/// This program, as the child that `role` names.
fn child(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", role, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(IS_CHILD, "1").stdout(Stdio::null());
    command
}

/// Gives a socket to a command, and returns the other end.
fn given(command: &mut Command) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    inherit::give(command, theirs.into(), VARIABLE).unwrap();
    ours
}

fn is_child() -> bool {
    std::env::var_os(IS_CHILD).is_some()
}

fn taken() -> Option<UnixStream> {
    inherit::take(VARIABLE).map(UnixStream::from)
}

fn code_of(child: &mut Child) -> Option<i32> {
    child.wait().unwrap().code()
}

#[test]
#[ignore = "is a child of other tests"]
fn role_echo() {
    if !is_child() {
        return;
    }
    let Some(mut socket) = taken() else { std::process::exit(NOTHING) };
    let mut word = [0; 4];
    while socket.read_exact(&mut word).is_ok() {
        socket.write_all(&word).unwrap();
    }
}

#[test]
#[ignore = "is a child of other tests"]
fn role_take_then_start_another() {
    if !is_child() {
        return;
    }
    let Some(mut socket) = taken() else { std::process::exit(NOTHING) };
    let grandchild = child("role_echo").status().unwrap();
    socket.write_all(&[u8::from(grandchild.code() == Some(NOTHING))]).unwrap();
}

#[test]
#[ignore = "is a child of other tests"]
fn role_take_twice() {
    if !is_child() {
        return;
    }
    let first = taken();
    std::process::exit(i32::from(first.is_some()) + 2 * i32::from(taken().is_some()));
}

#[track_caller]
fn assert_echoes(socket: &mut UnixStream, word: &[u8; 4]) {
    let mut answer = [0; 4];
    socket.write_all(word).unwrap();
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, word);
}

#[test]
fn a_child_talks_over_the_socket_that_it_was_given() {
    let mut command = child("role_echo");
    let mut socket = given(&mut command);
    let mut child = command.spawn().unwrap();
    assert_echoes(&mut socket, b"ping");
    drop(socket);
    assert_eq!(code_of(&mut child), Some(0));
}

#[test]
fn a_command_of_tokio_gives_it_just_as_well() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut command = tokio::process::Command::from(child("role_echo"));
        let mut socket = given(command.as_std_mut());
        let mut child = command.spawn().unwrap();
        assert_echoes(&mut socket, b"ping");
        drop(socket);
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
    });
}

#[test]
fn a_grandchild_gets_neither_the_socket_nor_what_it_came_in() {
    let mut command = child("role_take_then_start_another");
    let mut socket = given(&mut command);
    assert_eq!(command.status().unwrap().code(), Some(0));
    let mut said = Vec::new();
    socket.read_to_end(&mut said).unwrap();
    assert_eq!(said, [1]);
}

#[test]
fn what_runs_behind_a_shell_takes_what_the_shell_left() {
    let plain = child("role_echo");
    let mut command = Command::new("sh");
    command.args(["-c", r#""$0" "$@"; exit $?"#]).arg(plain.get_program()).args(plain.get_args());
    command.env(IS_CHILD, "1").stdout(Stdio::null());
    let mut socket = given(&mut command);
    let mut child = command.spawn().unwrap();
    assert_echoes(&mut socket, b"ping");
    drop(socket);
    assert_eq!(code_of(&mut child), Some(0));
}

#[test]
fn children_that_start_at_once_have_a_socket_each() {
    const CHILDREN: usize = 8;
    let start = Barrier::new(CHILDREN);
    std::thread::scope(|scope| {
        for number in 0..CHILDREN {
            let start = &start;
            scope.spawn(move || {
                let mut command = child("role_echo");
                let mut socket = given(&mut command);
                start.wait();
                let mut child = command.spawn().unwrap();
                assert_echoes(&mut socket, format!("{number:04}").as_bytes().try_into().unwrap());
                // If another child had it too, it would be kept from the end of the stream by us.
                child.kill().unwrap();
                let mut rest = Vec::new();
                socket.read_to_end(&mut rest).unwrap();
                assert!(rest.is_empty());
                child.wait().unwrap();
            });
        }
    });
}

#[test]
fn a_child_that_was_given_nothing_finds_nothing_of_its_sibling() {
    let mut command = child("role_echo");
    let mut socket = given(&mut command);
    // It is told where the other's would be.
    let mut sibling = child("role_echo");
    sibling.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_eq!(sibling.status().unwrap().code(), Some(NOTHING));
    let mut child = command.spawn().unwrap();
    assert_echoes(&mut socket, b"ping");
    drop(socket);
    assert_eq!(code_of(&mut child), Some(0));
}

#[test]
fn a_second_child_of_the_same_command_finds_nothing() {
    let mut command = child("role_echo");
    let mut socket = given(&mut command);
    let mut first = command.spawn().unwrap();
    assert_echoes(&mut socket, b"ping");
    assert_eq!(command.status().unwrap().code(), Some(NOTHING));
    assert_echoes(&mut socket, b"pong");
    drop(socket);
    assert_eq!(code_of(&mut first), Some(0));
}

#[test]
#[cfg(not(target_vendor = "apple"))]
fn the_stream_ends_with_the_child_though_the_command_lives() {
    let mut command = child("role_echo");
    let mut socket = given(&mut command);
    let mut child = command.spawn().unwrap();
    assert_echoes(&mut socket, b"ping");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(socket.read(&mut [0]).unwrap(), 0);
    drop(command);
}

#[test]
fn the_stream_ends_with_a_command_that_never_ran() {
    let mut command = child("role_echo");
    let mut socket = given(&mut command);
    drop(command);
    assert_eq!(socket.read(&mut [0]).unwrap(), 0);
}

#[test]
fn the_stream_ends_with_a_child_that_took_nothing() {
    let mut command = Command::new("true");
    let mut socket = given(&mut command);
    assert!(command.status().unwrap().success());
    drop(command);
    assert_eq!(socket.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_child_that_could_not_start_took_nothing() {
    let folder = std::env::temp_dir().join(format!("guardhouse-inherit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("renderer");
    let plain = child("role_echo");
    let mut command = Command::new(&program);
    command.args(plain.get_args()).env(IS_CHILD, "1").stdout(Stdio::null());
    let mut socket = given(&mut command);
    assert!(command.spawn().is_err());
    std::os::unix::fs::symlink(plain.get_program(), &program).unwrap();
    let mut child = command.spawn().unwrap();
    assert_echoes(&mut socket, b"ping");
    drop(socket);
    assert_eq!(code_of(&mut child), Some(0));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_socket_is_taken_once() {
    let mut command = child("role_take_twice");
    let _socket = given(&mut command);
    assert_eq!(command.status().unwrap().code(), Some(1));
}

#[test]
fn a_child_without_a_parent_of_ours_finds_nothing() {
    assert_eq!(child("role_echo").status().unwrap().code(), Some(NOTHING));
    for odd in ["", "3", "10:0:0", "0:0:0", "a:b:c"] {
        let status = child("role_echo").env(VARIABLE, odd).status().unwrap();
        assert_eq!(status.code(), Some(NOTHING), "{odd}");
    }
}
