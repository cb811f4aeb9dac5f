//! A breadcrumb of a renderer: what the renderer's thread pays for it, and how long until main has it.
//!
//! Ours is `guardhouse_renderer::add_breadcrumb`, and how long is until a flush behind it has come
//! back. The peer is what `sentry-minidump` does for each breadcrumb: it writes it as JSON and sends it
//! over `minidumper`'s socket, on the thread that leaves it, and the process at the other end reads it
//! and adds it to its scope; how long is until a ping behind it has come back, which that process
//! answers in order. `minidumper` is used as it is. `sentry-minidump` itself is not: it brings a
//! handler for crashes, which takes effect by being linked.
//!
//! What the thread pays is measured in bursts that both can take without waiting.

pub(crate) mod minidumper;

use std::time::Duration;

use guardhouse_main::{CommandExt, Options, app};
use guardhouse_renderer::sentry::Breadcrumb;
use guardhouse_renderer::{Guard, IpcMode, add_breadcrumb};

use super::ipc::{namespace, renderer};
use super::scratch;
use crate::child::{Child, Speaker, command, serve};
use crate::measure::{Measure, Settings, Subject};

/// How many breadcrumbs are in a burst.
const BURST: usize = 50;
/// How many bursts there are in a round, and how many breadcrumbs that are waited for.
const TIMES: usize = 100;

/// So long main may take to end.
const CLOSE: Duration = Duration::from_secs(1);

/// Measures the row.
pub(crate) fn run(settings: &Settings) -> Vec<Measure> {
    let (ours, peers) = settings.alternate(ours, || minidumper::hear(round));
    let times = |rounds: &[Round], of: fn(&Round) -> f64| rounds.iter().map(of).collect();
    let measure = |name, goal, of: fn(&Round) -> f64| {
        let subject = Subject { name, peer: "a message of sentry-minidump's", goal };
        Measure::time(subject, times(&ours, of), times(&peers, of))
    };
    vec![
        measure("scope-sync: the renderer's thread pays", 0.5, |round| round.cost),
        measure("scope-sync: until main has it, p50", f64::INFINITY, |round| round.p50),
        measure("scope-sync: until main has it, p99", f64::INFINITY, |round| round.p99),
    ]
}

/// What a round comes to, in seconds.
struct Round {
    cost: f64,
    p50: f64,
    p99: f64,
}

fn round(speaker: &mut Child) -> Round {
    let bursts = (0..TIMES).map(|_| speaker.ask(&format!("burst {BURST}"))[0]);
    let cost = bursts.sum::<f64>() / (TIMES * BURST) as f64;
    let each = speaker.ask(&format!("each {TIMES}"));
    Round { cost, p50: each[0], p99: each[1] }
}

fn ours() -> Round {
    let directory = scratch("scope-sync");
    let namespace = namespace();
    let options = Options::new(app!())
        .dsn("http://key@127.0.0.1:9/1")
        .cache_dir(&directory)
        .ipc_namespace(&namespace)
        .shutdown_timeout(Duration::ZERO);
    let guard = guardhouse_main::init(options).expect("the directory is ours");
    let mut command = command("breadcrumbs", &[&namespace]);
    command.guardhouse(&guard);
    let (mut speaker, _) = Child::start(command);
    let round = round(&mut speaker);
    drop(speaker);
    // The directory can be removed once nobody makes anything in it durable any more.
    guard.close(CLOSE);
    let _ = std::fs::remove_dir_all(directory);
    round
}

fn breadcrumb(number: u64) -> Breadcrumb {
    Breadcrumb {
        category: Some("ui.click".to_owned()),
        message: Some("the button that saves the document was pressed".to_owned()),
        data: [("document".to_owned(), format!("sheet-{number}").into())].into(),
        ..Breadcrumb::default()
    }
}

/// What the child does.
pub(crate) fn speak(arguments: &[String]) {
    serve(&mut Renderer(renderer::start(IpcMode::Classic, &arguments[0])));
}

struct Renderer(Guard);

impl Speaker for Renderer {
    type Words = Breadcrumb;

    fn think(&mut self, number: u64) -> Breadcrumb {
        breadcrumb(number)
    }

    fn say(&mut self, breadcrumb: Breadcrumb, _is_last: bool) {
        add_breadcrumb(breadcrumb);
    }

    fn wait(&mut self) {
        assert!(self.0.flush(Duration::from_secs(60)), "main has not heard it");
    }
}
