//! A real process with Guardhouse in it, driven from a test.
//!
//! The binary `desk` of this package does what it is told, line by line, and answers. A test starts
//! it, tells it things, kills it, starts it again on the same directory, and looks at what arrived at
//! the [mock](crate::sentry).
//!
//! | told | answers | |
//! |---|---|---|
//! | `capture TEXT`, `error TEXT` | `captured ID` | main captures a message or an error |
//! | `crumb TEXT`, `tag KEY VALUE` | `done` | main's scope; with `sentry-` before it that of `sentry` |
//! | `event RENDERER ID TEXT` | `answer ID taken` | a renderer reports an event |
//! | `scope RENDERER JSON` | `answer scope taken` | a renderer says its scope |
//! | `envelope RENDERER TEXT`, `feedback …` | `answer envelope …` | `\n` stands for a newline |
//! | `own-feedback TEXT`, `attach EVENT BYTES …` | `feedback JSON`, `attached …` | of main, [when it is known](crate::handed) |
//! | `gone RENDERER` | `done` | a renderer is gone |
//! | `fill NUMBER [LEVEL [NAME]]`, `flood NUMBER` | `done` | main captures so many messages, so many renderers report |
//! | `unhandled TEXT`, `request URL`, `transaction NAME` | `captured ID`, `done` | main captures an exception that nobody handled, an event about a request, a transaction |
//! | `beside flush MS`, `beside capture TEXT` | `done` | on another thread, without waiting for it |
//! | `flush MS`, `close MS`, `drop` | `flushed BOOL MS`, `closed BOOL MS`, `dropped MS` | after the end also `left THREADS` |
//! | `panic TEXT`, `abort TEXT` | `panicked`, nothing | a thread panics, and the process aborts |
//! | `give-consent`, `revoke-consent`, `focus on` | `done` | |
//! | `latency NUMBER` | `latency NANOS NANOS` | main changes its scope so often: the median, and what 1 in 100 exceed |
//! | `startup` | `startup fine`, `startup WHY` | why nothing is reported although `init` has returned |
//! | `go-on`, `fail` | `done` | what hangs by `--hang-at` goes on, or fails |
//! | `limit processes NUMBER`, `limit files NUMBER`, `limit size BYTES`, `limit memory BYTES` | `done` | so many it may have at most; `-` is as many as before |
//! | `threads`, `again`, `exit` | `threads N`, `failed WHY`, nothing | |
//! | `child NAME SOCKET [--no-socket] [VARIABLE=VALUE] OPTIONS…` | `started PID` | starts a [child](crate::children) |
//! | `wait NAME` | `ended CODE`, `ended by SIGNAL` | waits for the end of a child |
//! | `await-end NAME` | `done` | main knows nobody of the name any more |
//! | `renderers`, `turned-away` | `renderers NAME:WAY:ROLE:PID …`, `turned-away WHY:COUNT …` | who is there, and who was not let in |
//! | `config JSON`, `share-trace`, `relay NAME` | `done`, `relayed BOOL` | pushes to all renderers |
//!
//! Among its options are `--kill STEP:N`, with which it dies by a kill at the n-th time of a
//! [step](guardhouse_main::outbox::spool::Step) of the spool, `--full-when FILE`, with which it makes no files while there is that one, `--hang-at STEP`, with which that step never
//! ends before it is told, and `--seen`, with which it says `seen`
//! each time it has deleted what Sentry took.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// So long an answer is waited for that should come at once: only what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// The process.
#[derive(Debug)]
pub struct Desk {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Desk {
    /// Starts the binary with a directory, a DSN and further options, and waits until it runs.
    ///
    /// # Panics
    ///
    /// If it does not come to run.
    #[track_caller]
    pub fn start(binary: &str, cache_dir: &Path, dsn: &str, options: &[&str]) -> Self {
        Self::launch(binary, cache_dir, dsn, options).started()
    }

    /// Waits until it runs.
    ///
    /// # Panics
    ///
    /// If it does not come to run.
    #[track_caller]
    pub fn started(mut self) -> Self {
        assert_eq!(self.hear().as_deref(), Some("ready"), "it did not start");
        self
    }

    /// Starts the binary and waits for nothing.
    ///
    /// # Panics
    ///
    /// If there is no such binary.
    pub fn launch(binary: &str, cache_dir: &Path, dsn: &str, options: &[&str]) -> Self {
        Self::launch_as(Self::command(binary, cache_dir).args(["--dsn", dsn]).args(options))
    }

    /// The command that starts the binary, for a test to add to.
    pub fn command(binary: &str, cache_dir: &Path) -> Command {
        let mut command = bare(binary);
        command
            .arg("--cache-dir")
            .arg(cache_dir)
            // Where it leaves its note: nobody else's renderers should find it.
            .env("XDG_RUNTIME_DIR", runtime_of(cache_dir));
        command
    }

    /// Runs a command and waits for nothing.
    ///
    /// # Panics
    ///
    /// If there is no such binary.
    pub fn launch_as(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built with this test");
        let stdin = child.stdin.take();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    /// Tells it something. If it is dead it does not hear it.
    pub fn tell(&mut self, words: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = writeln!(stdin, "{words}").and_then(|()| stdin.flush());
        }
    }

    /// Its next line; nothing if it is dead and has said everything.
    ///
    /// # Panics
    ///
    /// If it lives and says nothing for a long time.
    #[track_caller]
    pub fn hear(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        }
    }

    /// Tells it something and hears the answer.
    ///
    /// # Panics
    ///
    /// If it dies of it, or hangs.
    #[track_caller]
    pub fn ask(&mut self, words: &str) -> String {
        self.tell(words);
        self.hear().unwrap_or_else(|| panic!("it died of {words:?}"))
    }

    /// Lets it know that nothing more is told to it.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A line of what Linux says about its memory, such as `VmHWM`, in bytes. Nothing elsewhere, or if
    /// it is dead.
    pub fn memory(&self, line: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let value = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'))?;
        Some(value.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }

    /// Kills it, and waits until it is dead.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has ended by itself. Says how, and what it said at last.
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        self.stdin = None;
        let lines: Vec<String> = std::iter::from_fn(|| self.hear()).collect();
        (self.child.wait().expect("it was started"), lines)
    }

    /// What it has written to standard error, when it is dead.
    pub fn stderr(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut text);
        }
        text
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The runtime directory of a main whose cache directory this is. It is beside it, and is made.
///
/// # Panics
///
/// If it cannot be made.
pub fn runtime_of(cache_dir: &Path) -> std::path::PathBuf {
    let path = cache_dir.with_extension("run");
    std::fs::create_dir_all(&path).expect("there is a place for temporary files");
    path
}

/// A command that starts the binary as it would start anywhere: what the machine is set up for is not
/// what is tested.
pub(crate) fn bare(binary: &str) -> Command {
    let mut command = Command::new(binary);
    command
        .env_remove("SENTRY_DSN")
        .env_remove("SENTRY_RELEASE")
        .env_remove("SENTRY_ENVIRONMENT")
        .env_remove("SENTRY_TRACE")
        .env_remove("SENTRY_BAGGAGE")
        .env_remove("GUARDHOUSE_NAMESPACE")
        .env_remove("GUARDHOUSE_NOTE")
        .env("RUST_BACKTRACE", "0");
    command
}

/// A directory of a test's own, removed when it is dropped.
#[derive(Debug)]
pub struct Scratch(std::path::PathBuf);

impl Scratch {
    /// A new one.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub fn new() -> Self {
        let name = format!("guardhouse-test-{}", uuid::Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("there is a place for temporary files");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// All files in it, at any depth, but those that stay when all else is gone: the id of the
    /// installation, and the records of runs.
    pub fn files(&self) -> Vec<std::path::PathBuf> {
        files_in(&self.0)
    }
}

/// All files in a directory, as [`Scratch::files`] has them.
pub fn files_in(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.retain(|path| {
        !path.ends_with("installation") && path.extension().is_none_or(|end| end != "run")
    });
    files.sort();
    files
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        let _ = std::fs::remove_dir_all(self.0.with_extension("run"));
    }
}
