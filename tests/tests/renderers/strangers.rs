//! Who is not let in: other users, and web pages.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use guardhouse_process::meeting::NOTE_VARIABLE;
use guardhouse_protocol::limits::KIB;
use guardhouse_tests::desk::runtime_of;
use guardhouse_tests::wire;

use crate::House;

/// A user that is not the one of this test.
const STRANGER: u32 = 65_534;

fn may(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
#[expect(clippy::print_stderr, reason = "whoever reads the results should know")]
fn another_user_reads_no_note_and_is_not_let_in_where_the_doors_are_open() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not shown: only root can be another user");
        return;
    }
    let mut house = House::start(&[]);
    let runtime = runtime_of(house.cache.path());
    let directory = runtime.join("guardhouse");
    let socket = house.note().socket.expect("main has the classic way");
    let note = std::fs::read_dir(&directory).unwrap().flatten().map(|entry| entry.path());
    let note = note.into_iter().find(|path| path.extension().is_some_and(|it| it == "main"));
    let note = note.expect("main has left a note");
    let read = || {
        let mut command = Command::new("cat");
        command.arg(&note).uid(STRANGER).gid(STRANGER).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("there is cat").success()
    };
    may(&runtime, 0o755);
    assert!(!read(), "the directory is its user's alone");

    // Even where somebody has opened it.
    may(&directory, 0o755);
    assert!(!read(), "the note is its user's alone");
    may(&socket, 0o666);
    // It is let to main's socket by a note that anybody can read.
    may(&note, 0o644);
    may(&note.with_extension("lock"), 0o644);
    let copy = std::env::temp_dir().join(format!("guardhouse-helm-{}", std::process::id()));
    std::fs::copy(crate::HELM, &copy).expect("it was built");
    may(&copy, 0o755);
    let said = connect_as_stranger(&copy, &note);
    std::fs::remove_file(&copy).expect("it was made");
    assert_eq!(said, "closed false");
    assert!(house.desk.ask("turned-away").contains("user:"), "it is counted");
    assert_eq!(house.desk.ask("renderers"), "renderers ");
    house.desk.ask("capture of main");
    house.close();
    assert_eq!(house.messages(), ["of main"]);
}

/// Another user's process captures something and ends. What it says of the end.
fn connect_as_stranger(helm: &Path, note: &Path) -> String {
    let mut child = Command::new(helm)
        .args(["stranger", "--mode", "classic"])
        .env(NOTE_VARIABLE, note)
        .uid(STRANGER)
        .gid(STRANGER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("root may be anybody");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(b"capture forged\nclose 20000\n").expect("it lives");
    let mut said = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut said).expect("it is text");
    child.wait().expect("it was started");
    let closed = said.lines().find(|line| line.starts_with("closed")).unwrap_or(&said);
    closed.rsplit_once(' ').map_or(closed, |(closed, _)| closed).to_owned()
}

/// What main answers to a request.
fn status(house: &House, headers: &str) -> String {
    let address = wire::address(&house.note());
    let mut stream = TcpStream::connect(address).expect("main listens");
    let hello = wire::hello(&house.note(), "page").to_json().text().to_owned();
    let headers = headers.replace("MAIN", &address.to_string());
    write!(
        stream,
        "POST /hello/sentry_key HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{hello}",
        hello.len()
    )
    .expect("main listens");
    let mut answer = Vec::new();
    // It may close before it has read everything.
    let _ = stream.take(64 * KIB as u64).read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split(' ').nth(1).unwrap_or("none").to_owned()
}

#[test]
fn a_web_page_is_refused_whatever_it_knows() {
    let mut house = House::start(&[]);
    assert_eq!(status(&house, "Host: MAIN"), "200", "the proof is right");
    let port = wire::address(&house.note()).port();
    for headers in [
        "Host: MAIN\r\nOrigin: https://example.com".to_owned(),
        "Host: MAIN\r\nOrigin: null".to_owned(),
        "Host: MAIN\r\nOrigin: http://MAIN".to_owned(),
        "Host: MAIN\r\nSec-Fetch-Site: cross-site".to_owned(),
        format!("Host: example.com:{port}"),
        format!("Host: localhost:{port}"),
        "Host: 127.0.0.1".to_owned(),
    ] {
        assert_eq!(status(&house, &headers), "403", "{headers}");
    }
    let renderers = house.desk.ask("renderers");
    assert_eq!(renderers.matches("page:").count(), 1, "nobody else is there: {renderers}");
    let turned_away = house.desk.ask("turned-away");
    assert!(turned_away.len() > "turned-away ".len(), "{turned_away}");
}
