//! Processes whose end is watched by somebody who need not be their parent.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use guardhouse_crash::ending::{Status, Watched};
use guardhouse_crash::process::{is_stopped, parent_of};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

const KILLED: Status = Status::Signal { number: 9, core_dumped: false };

/// A child that does as it is told, once it hears a line.
fn told_to(script: &str) -> Child {
    let script = format!("ulimit -c 0; read line; {script}");
    Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn().unwrap()
}

fn go(child: &mut Child) {
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
}

fn ended(watched: &Watched) -> Status {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(watched.ended()).unwrap()
}

fn pid_of(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).unwrap()
}

fn kill(number: u32) {
    kill_process(pid_of(number), Signal::KILL).unwrap();
}

/// What is to be told of a process that is not ours and that somebody has waited for: nothing, if the
/// kernel is too old to know.
fn if_the_kernel_knows(status: Status) -> Status {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0_u32);
    if (next(), next()) >= (6, 15) { status } else { Status::Unknown }
}

/// A grandchild that does as it is told once it hears a line, and its parent, which does what
/// `afterwards` says.
struct Grandchild {
    pid: u32,
    parent: Child,
    /// The parent's standard error is a socket that it can wait at.
    _held: UnixStream,
}

impl Grandchild {
    fn new(script: &str, afterwards: &str) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let script = format!(
            "exec 3<&0; (ulimit -c 0; read line; {script}) <&3 & exec 3<&-; echo $!; {afterwards}"
        );
        let mut parent = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(parent.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { pid: line.trim().parse().unwrap(), parent, _held: ours }
    }

    /// Its parent never waits for it.
    fn neglected(script: &str) -> Self {
        Self::new(script, "exec cat <&2 >/dev/null")
    }

    /// Its parent waits for it and then ends.
    fn cared_for(script: &str) -> Self {
        Self::new(script, "wait $!")
    }
}

impl Drop for Grandchild {
    fn drop(&mut self) {
        let _ = self.parent.kill();
        let _ = self.parent.wait();
    }
}

#[test]
fn a_process_that_lives_has_no_status() {
    let mut child = told_to("exit 3");
    let watched = Watched::open(child.id()).unwrap();
    assert_eq!(watched.status().unwrap(), None);
    assert_eq!(watched.pid(), child.id());
    go(&mut child);
    assert_eq!(ended(&watched), Status::Code(3));
    assert_eq!(watched.status().unwrap(), Some(Status::Code(3)));
    child.wait().unwrap();
}

#[test]
fn a_child_that_exits_tells_its_code_and_can_still_be_waited_for() {
    let mut child = told_to("exit 3");
    let watched = Watched::open(child.id()).unwrap();
    go(&mut child);
    assert_eq!(ended(&watched), Status::Code(3));
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_child_that_is_killed_tells_so() {
    let mut child = told_to("exit 3");
    let watched = Watched::open(child.id()).unwrap();
    kill(child.id());
    assert_eq!(ended(&watched), KILLED);
    assert!(!KILLED.is_crash());
    child.wait().unwrap();
}

#[test]
fn a_child_that_aborts_has_crashed() {
    let mut child = told_to("kill -ABRT $$");
    let watched = Watched::open(child.id()).unwrap();
    go(&mut child);
    let status = ended(&watched);
    assert_eq!(status, Status::Signal { number: 6, core_dumped: false });
    assert!(status.is_crash());
    child.wait().unwrap();
}

#[test]
fn a_child_that_the_application_has_waited_for_already_tells_as_much() {
    for (script, status) in [("exit 3", Status::Code(3)), ("kill -KILL $$", KILLED)] {
        let mut child = told_to(script);
        let watched = Watched::open(child.id()).unwrap();
        go(&mut child);
        child.wait().unwrap();
        assert_eq!(ended(&watched), if_the_kernel_knows(status));
    }
}

#[test]
fn a_process_of_somebody_else_tells_before_its_parent_has_waited_for_it() {
    for (script, status) in
        [("exit 3", Status::Code(3)), ("exit 0", Status::Code(0)), ("exec cat", KILLED)]
    {
        let mut grandchild = Grandchild::neglected(script);
        let watched = Watched::open(grandchild.pid).unwrap();
        go(&mut grandchild.parent);
        if status == KILLED {
            kill(grandchild.pid);
        }
        assert_eq!(ended(&watched), status, "{script}");
    }
}

#[test]
fn a_process_of_somebody_else_tells_after_its_parent_has_waited_for_it() {
    for (script, status) in [("exit 3", Status::Code(3)), ("exit 0", Status::Code(0))] {
        let mut grandchild = Grandchild::cared_for(script);
        let watched = Watched::open(grandchild.pid).unwrap();
        go(&mut grandchild.parent);
        grandchild.parent.wait().unwrap();
        assert_eq!(ended(&watched), if_the_kernel_knows(status), "{script}");
    }
}

#[test]
fn nothing_is_missed_while_the_parent_is_waiting_for_it() {
    for _ in 0..50 {
        let mut grandchild = Grandchild::cared_for("exit 3");
        let watched = Watched::open(grandchild.pid).unwrap();
        go(&mut grandchild.parent);
        let status = ended(&watched);
        assert!(
            [Status::Code(3), if_the_kernel_knows(Status::Code(3))].contains(&status),
            "{status:?}"
        );
    }
}

#[test]
fn several_can_wait_for_the_same_process() {
    let mut child = told_to("exit 3");
    let watched = Watched::open(child.id()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let first = watched.ended();
        let second = async {
            tokio::task::yield_now().await;
            go(&mut child);
            watched.ended().await
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.unwrap(), second.unwrap()), (Status::Code(3), Status::Code(3)));
    });
    child.wait().unwrap();
}

#[test]
fn a_process_that_is_gone_cannot_be_watched() {
    let mut child = told_to("exit 0");
    let pid = child.id();
    go(&mut child);
    child.wait().unwrap();
    assert!(Watched::open(pid).is_err());
}

#[test]
fn a_process_that_is_stopped_is_seen_to_be() {
    let mut child = told_to("exit 0");
    let pid = pid_of(child.id());
    assert!(!is_stopped(child.id()));

    kill_process(pid, Signal::STOP).unwrap();
    waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED).unwrap();
    assert!(is_stopped(child.id()));

    kill_process(pid, Signal::CONT).unwrap();
    waitid(WaitId::Pid(pid), WaitIdOptions::CONTINUED).unwrap();
    assert!(!is_stopped(child.id()));

    go(&mut child);
    child.wait().unwrap();
    assert!(!is_stopped(child.id()));
}

#[test]
fn a_process_has_a_line_of_ancestors() {
    let grandchild = Grandchild::neglected("exit 0");
    assert_eq!(parent_of(grandchild.pid), Some(grandchild.parent.id()));
    assert_eq!(parent_of(grandchild.parent.id()), Some(std::process::id()));
    assert_eq!(parent_of(u32::MAX), None);
}
