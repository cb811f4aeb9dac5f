//! The end of processes, and private pipes, on Windows. Children are this program, started again.
#![cfg(windows)]

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use guardhouse_crash::ending::{Status, Watched};
use guardhouse_crash::pipe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::windows::named_pipe::ClientOptions;

/// Set for children only, so that nobody else plays their role.
const CODE: &str = "GUARDHOUSE_TEST_CODE";

#[test]
#[ignore = "is a child of other tests"]
fn role_exit() {
    let Ok(code) = std::env::var(CODE) else { return };
    let _ = std::io::stdin().read(&mut [0]);
    std::process::exit(code.parse().unwrap());
}

/// A child that exits with this code once it hears something.
fn child(code: i32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "role_exit", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CODE, code.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn go(child: &mut Child) {
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
}

#[tokio::test]
async fn a_process_that_exits_tells_its_code() {
    let mut child = child(3);
    let watched = Watched::open(child.id()).unwrap();
    assert_eq!(watched.status().unwrap(), None);
    go(&mut child);
    assert_eq!(watched.ended().await.unwrap(), Status::Code(3));
    assert_eq!(watched.ended().await.unwrap(), Status::Code(3));
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(watched.status().unwrap(), Some(Status::Code(3)));
}

#[tokio::test]
async fn several_can_wait_for_the_same_process() {
    let mut child = child(3);
    let watched = Watched::open(child.id()).unwrap();
    let second = async {
        go(&mut child);
        watched.ended().await
    };
    let (first, second) = tokio::join!(watched.ended(), second);
    assert_eq!((first.unwrap(), second.unwrap()), (Status::Code(3), Status::Code(3)));
    child.wait().unwrap();
}

#[tokio::test]
async fn waiting_can_be_given_up() {
    let mut child = child(3);
    let watched = Watched::open(child.id()).unwrap();
    tokio::select! {
        biased;
        _ = watched.ended() => panic!("it has not been told to end"),
        () = std::future::ready(()) => {}
    }
    go(&mut child);
    assert_eq!(watched.ended().await.unwrap(), Status::Code(3));
    child.wait().unwrap();
}

#[tokio::test]
async fn an_exception_is_a_crash() {
    let mut child = child(0xc000_0005_u32.cast_signed());
    let watched = Watched::open(child.id()).unwrap();
    go(&mut child);
    assert!(watched.ended().await.unwrap().is_crash());
    child.wait().unwrap();
}

#[tokio::test]
async fn the_own_user_gets_in_and_is_known() {
    let name = format!(r"\\.\pipe\guardhouse-test-in-{}", std::process::id());
    let mut server = pipe::create(&name, true).unwrap();
    let mut client = ClientOptions::new().open(&name).unwrap();
    server.connect().await.unwrap();
    assert_eq!(pipe::client_process_id(&server).unwrap(), std::process::id());

    client.write_all(b"ping").await.unwrap();
    let mut word = [0; 4];
    server.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"ping");
}

#[tokio::test]
async fn a_pipe_has_as_many_instances_as_wanted() {
    let name = format!(r"\\.\pipe\guardhouse-test-more-{}", std::process::id());
    let _first = pipe::create(&name, true).unwrap();
    let _second = pipe::create(&name, false).unwrap();
    assert!(pipe::create(&name, false).is_ok());
}

/// Wine 8 lets a second one be made, so there this fails.
#[tokio::test]
async fn a_pipe_has_one_first_instance() {
    let name = format!(r"\\.\pipe\guardhouse-test-first-{}", std::process::id());
    let _first = pipe::create(&name, true).unwrap();
    assert!(pipe::create(&name, true).is_err());
}
