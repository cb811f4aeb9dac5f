//! A child of main, as the test that drives it has it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open,
};

/// So long an answer is waited for that should come at once: only what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The child. When it is dropped the child sees that nothing more is told to it, and ends well.
pub(crate) struct Post {
    stream: BufReader<UnixStream>,
    pid: u32,
}

impl Post {
    /// Waits until it runs.
    #[track_caller]
    pub(crate) fn new(stream: UnixStream, pid: u32) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not nothing");
        let mut post = Self { stream: BufReader::new(stream), pid };
        assert_eq!(post.hear().as_deref(), Some("ready"), "it did not start");
        post
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.pid
    }

    /// Tells it something. If it is dead it does not hear it.
    pub(crate) fn tell(&mut self, words: &str) {
        let _ = writeln!(self.stream.get_mut(), "{words}");
    }

    /// Its next line; nothing if it is dead and has said everything.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("it hangs: {error}"),
        }
    }

    /// Tells it something and hears the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, words: &str) -> String {
        self.tell(words);
        self.hear().unwrap_or_else(|| panic!("it died of {words:?}"))
    }

    /// It makes all durable that it has said.
    #[track_caller]
    pub(crate) fn flush(&mut self) {
        let said = self.ask("flush 50000");
        assert!(said.starts_with("flushed true"), "{said}");
    }

    /// It ends as it should. Says whether main has everything.
    #[track_caller]
    pub(crate) fn close(&mut self) -> bool {
        let said = self.ask("close 50000");
        assert!(self.hear().is_some_and(|said| said.starts_with("left ")));
        assert_eq!(self.hear(), None);
        said.starts_with("closed true")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid, signal);
    }

    /// Breaks all its connections, but not the one to the test.
    pub(crate) fn cut(&self) -> usize {
        cut(self.pid)
    }
}

/// Sends a process a signal.
pub(crate) fn send(pid: u32, signal: Signal) {
    kill_process(id(pid), signal).expect("it is there");
}

/// Stops a process, and returns when all its threads have.
pub(crate) fn stop(pid: u32) {
    send(pid, Signal::STOP);
    while !is_stopped(pid) {
        std::thread::yield_now();
    }
}

fn is_stopped(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it is there");
    threads.flatten().all(|thread| {
        // It may end meanwhile.
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, behind)| behind.starts_with(['T', 'Z', 'X']))
    })
}

/// Breaks all connections of a process but standard input and output, as if its other end was gone.
/// Says how many there were.
pub(crate) fn cut(pid: u32) -> usize {
    let process = pidfd_open(id(pid), PidfdFlags::empty()).expect("it is there");
    let mut broken = 0;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it is there").flatten() {
        let is_socket = std::fs::read_link(entry.path())
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        let number: i32 = entry.file_name().to_string_lossy().parse().expect("it is a number");
        if number > 2
            && is_socket
            && let Ok(socket) = pidfd_getfd(&process, number, PidfdGetfdFlags::empty())
            && !is_own(&socket, pid)
            && rustix::net::shutdown(&socket, rustix::net::Shutdown::Both).is_ok()
        {
            broken += 1;
        }
    }
    broken
}

/// Whether a process has both ends of a socket, as a runtime has that wakes itself up with it. To break
/// that is to break the process.
fn is_own(socket: &impl std::os::fd::AsFd, pid: u32) -> bool {
    rustix::net::sockopt::socket_peercred(socket).is_ok_and(|peer| peer.pid == id(pid))
}

fn id(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed()).expect("it is a process")
}
