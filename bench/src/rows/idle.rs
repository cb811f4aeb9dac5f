//! Processes that have nothing to do: how often they wake up, and how long they are awake.
//!
//! Ours are a main, whose Sentry has taken everything, and a renderer that is connected to it; the
//! goal is nothing at all. The peers are what keeps `sentry-minidump` going: `minidumper`'s server, as
//! it is, and a client that pings it every 2.5 s, as `minidumper-child` does. All four run at the same
//! time.
//!
//! What is counted is the context switches of the threads that are the SDK's, as Linux tells them, and
//! the time they were on a processor; what other threads of the same processes did is printed, since
//! an application pays for them, too: `sentry` has its own for logs and metrics.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::{fs, thread};

use guardhouse_main::{CommandExt, app};
use guardhouse_renderer::IpcMode;
use guardhouse_tests::sentry::Sentry;
use minidumper::{Client, Server, SocketName};

use super::ipc::{namespace, renderer as renderers};
use super::scope_sync::minidumper::Handler;
use super::scratch;
use crate::child::{Child, command, say_ready, wait_for_end};
use crate::measure::{Better, Measure, Settings, Subject};

/// So long everybody may come to rest. It is more than making durable and giving up a connection take.
const SETTLE: Duration = Duration::from_secs(3);
/// Between two pings: half of what `minidumper-child` takes for a lost connection.
const PING: Duration = Duration::from_millis(2500);
/// What our threads are called, all of them.
const OURS: &str = "guardhouse";

/// Measures the row.
pub(crate) fn run(settings: &Settings) -> Vec<Measure> {
    let sentry = Sentry::start();
    let folder = scratch("idle");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let path = |name| folder.join(name).display().to_string();
    let socket = path("socket");
    let (_main, pids) = Child::start(command("idle main", &[&sentry.dsn(), &path("cache")]));
    let (_server, server) = Child::start(command("idle server", &[&socket]));
    let (_client, client) = Child::start(command("idle client", &[&socket]));
    let all = [pids[0], pids[1], server[0], client[0]];
    // Here waiting is what is measured.
    thread::sleep(SETTLE);
    let before = all.map(Threads::of);
    thread::sleep(settings.idle);
    let after = all.map(Threads::of);
    let seconds = settings.idle.as_secs_f64();
    let [main, renderer, server, client] =
        std::array::from_fn(|at| after[at].since(&before[at], seconds));
    for (name, process) in [("main", &main), ("renderer", &renderer)] {
        for (thread, spent) in process.iter().filter(|(name, _)| *name != OURS) {
            let (wakes, micros) = (spent.wakes, spent.micros);
            println!("  {name}, thread {thread:?}: {wakes:.1} wake-ups, {micros:.0} µs a second");
        }
    }
    let ours = |process: &BTreeMap<String, Spent>| process.get(OURS).copied().unwrap_or_default();
    let all = |process: &BTreeMap<String, Spent>| process.values().copied().sum();
    let mut measures = Vec::new();
    for (names, peer, spent, theirs) in [
        (
            ["idle: main's thread, wake-ups", "idle: main's thread, time awake"],
            "minidumper's server",
            ours(&main),
            all(&server),
        ),
        (
            ["idle: a renderer's thread, wake-ups", "idle: a renderer's thread, time awake"],
            "minidumper-child's client",
            ours(&renderer),
            all(&client),
        ),
    ] {
        let mut add = |name, unit, spent, theirs| {
            let subject = Subject { name, peer, goal: 0.0 };
            let samples = (vec![spent], vec![theirs]);
            let measure = Measure::of_samples(subject, unit, Better::Lower, samples.0, samples.1);
            measures.push(measure);
        };
        let spent: Spent = spent;
        let theirs: Spent = theirs;
        add(names[0], "1/s", spent.wakes, theirs.wakes);
        add(names[1], "µs/s", spent.micros, theirs.micros);
    }
    drop((_main, _server, _client));
    let _ = fs::remove_dir_all(folder);
    measures
}

/// What threads have spent, at a time or in a second.
#[derive(Clone, Copy, Default)]
struct Spent {
    /// Context switches, wanted or not.
    wakes: f64,
    /// Time on a processor.
    micros: f64,
}

impl std::iter::Sum for Spent {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, it| Self {
            wakes: sum.wakes + it.wakes,
            micros: sum.micros + it.micros,
        })
    }
}

/// The threads of a process, by id: what they are called, and what they have spent.
struct Threads(BTreeMap<String, (String, Spent)>);

impl Threads {
    fn of(pid: f64) -> Self {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
        let read = |task: fs::DirEntry| {
            let id = task.file_name().into_string().ok()?;
            Some((id, Self::one(&task.path())?))
        };
        Self(tasks.flatten().filter_map(read).collect())
    }

    /// Nothing if it has just ended.
    fn one(task: &Path) -> Option<(String, Spent)> {
        let name = fs::read_to_string(task.join("comm")).ok()?.trim().to_owned();
        let status = fs::read_to_string(task.join("status")).ok()?;
        let switches = status.lines().filter(|line| line.contains("ctxt_switches"));
        let wakes =
            switches.filter_map(|line| line.split_whitespace().last()?.parse::<f64>().ok()).sum();
        // The nanoseconds on a processor come first.
        let times = fs::read_to_string(task.join("schedstat")).ok()?;
        let nanos: f64 = times.split_whitespace().next()?.parse().ok()?;
        Some((name, Spent { wakes, micros: nanos / 1e3 }))
    }

    /// What was spent in a second since then, by the names of the threads.
    fn since(&self, before: &Self, seconds: f64) -> BTreeMap<String, Spent> {
        let mut spent = BTreeMap::<String, Spent>::new();
        for (id, (name, now)) in &self.0 {
            let then = before.0.get(id).map(|(_, then)| *then).unwrap_or_default();
            let sum = spent.entry(name.clone()).or_default();
            sum.wakes += (now.wakes - then.wakes) / seconds;
            sum.micros += (now.micros - then.micros) / seconds;
        }
        spent
    }
}

fn pid() -> f64 {
    f64::from(std::process::id())
}

/// A main, with a renderer.
pub(crate) fn main(arguments: &[String]) {
    let namespace = namespace();
    let options = guardhouse_main::Options::new(app!())
        .dsn(&arguments[0])
        .cache_dir(&arguments[1])
        .ipc_namespace(&namespace);
    let guard = guardhouse_main::init(options).expect("the directory is ours");
    let mut command = command("idle renderer", &[&namespace]);
    command.guardhouse(&guard);
    let (_renderer, pids) = Child::start(command);
    assert!(guard.flush(Duration::from_secs(60)), "Sentry does not take the session");
    say_ready(&[pid(), pids[0]]);
    wait_for_end();
}

/// The renderer of that.
pub(crate) fn renderer(arguments: &[String]) {
    let _guard = renderers::start(IpcMode::Classic, &arguments[0]);
    say_ready(&[pid()]);
    wait_for_end();
}

/// A process that waits for the crash of another.
pub(crate) fn server(arguments: &[String]) {
    let path = Path::new(&arguments[0]);
    let mut server = Server::with_name(SocketName::Path(path)).expect("the folder is ours");
    say_ready(&[pid()]);
    thread::spawn(move || server.run(Box::new(Handler), &AtomicBool::new(false), None));
    wait_for_end();
}

/// A process whose crash another waits for.
pub(crate) fn client(arguments: &[String]) {
    let path = Path::new(&arguments[0]);
    let client = Client::with_name(SocketName::Path(path)).expect("the server listens");
    say_ready(&[pid()]);
    thread::spawn(move || {
        while client.ping().is_ok() {
            thread::sleep(PING);
        }
    });
    wait_for_end();
}
