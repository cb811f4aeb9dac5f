//! An envelope from a renderer: until it is merged and on disk in main.
//!
//! Both are real: this process is main, with the whole SDK and a Sentry that cannot be reached, and a
//! child is the renderer. It hands `sentry` envelopes of 3.6 kB that are bytes already, so what is
//! measured begins where `sentry` gives its transport an envelope, and ends when a flush has come back:
//! main has read it, laid the scope of all processes over it, written it to a file of its own, and
//! said so. The throughput is that of 2000 with one flush behind them, the latency that of one and its
//! flush, which are two messages.
//!
//! There are two peers, and neither is an SDK. A bare socket moves the same bytes, and does nothing
//! with them; on it an answer is a byte. That is the goal's measure, and about what cannot be had. The
//! other writes each message to a file besides, which is the least that main's acknowledgement can
//! cost. On the classic way the bare socket is a Unix socket, on the protocol TCP on the loopback
//! interface.
//!
//! Much of it is the file system's time: the folder is made where temporary files go, so `TMPDIR` says
//! which. Nothing is deleted before all rounds are over, since there are file systems on which new
//! files take longer for a minute after others were deleted or replaced, ext4 without a journal among
//! them. Main itself replaces a file with every error, the session's record; that is in ours.
//!
//! For the classic way there is one more line: the frames are written by hand, without the renderer
//! SDK, so that what main can take is known apart from what a renderer can give.

pub(crate) mod by_hand;
pub(crate) mod renderer;
pub(crate) mod socket;

use std::path::{Path, PathBuf};
use std::time::Duration;

use guardhouse_main::{CommandExt, IpcMode, Options, app};
use uuid::Uuid;

use super::scratch;
use crate::child::{Child, command};
use crate::measure::{Better, Measure, Settings, Subject};

/// How large an envelope is.
const BYTES: usize = 3600;
/// So long main may take to end.
const CLOSE: Duration = Duration::from_secs(1);
/// How many are waited for one by one in a round, for each one that is not.
const ONE_BY_ONE: usize = 5;

/// Measures the row of the classic way.
pub(crate) fn run_classic(settings: &Settings) -> Vec<Measure> {
    let folder = scratch("ipc");
    let main = |speaker| through_main(IpcMode::Classic, speaker, fresh(&folder), settings);
    let (ours, peers) = settings.alternate(
        || (main("renderer"), main("renderer by hand")),
        || socket::both(socket::Kind::Unix, || fresh(&folder), settings),
    );
    let _ = std::fs::remove_dir_all(folder);
    let (ours, by_hand): (Vec<_>, Vec<_>) = ours.into_iter().unzip();
    let (bare, files): (Vec<_>, Vec<_>) = peers.into_iter().unzip();
    let mut measures = vec![
        throughput("ipc-classic: envelopes a second", "a bare socket", 0.5, &ours, &bare),
        throughput("ipc-classic: envelopes a second", "a socket and files", 0.5, &ours, &files),
        throughput("ipc-classic: frames by hand", "a socket and files", 0.5, &by_hand, &files),
    ];
    measures.extend(latency(
        ["ipc-classic: envelope + flush, p50", "ipc-classic: envelope + flush, p99"],
        [&ours, &bare, &files],
    ));
    measures.extend(latency(
        ["ipc-classic: by hand, p50", "ipc-classic: by hand, p99"],
        [&by_hand, &bare, &files],
    ));
    measures
}

/// Measures the row of the protocol.
pub(crate) fn run_protocol(settings: &Settings) -> Vec<Measure> {
    let folder = scratch("ipc");
    let (ours, peers) = settings.alternate(
        || through_main(IpcMode::Protocol, "renderer", fresh(&folder), settings),
        || socket::both(socket::Kind::Tcp, || fresh(&folder), settings),
    );
    let _ = std::fs::remove_dir_all(folder);
    let (bare, files): (Vec<_>, Vec<_>) = peers.into_iter().unzip();
    let mut measures = vec![
        throughput("ipc-protocol: envelopes a second", "a bare socket", 0.0, &ours, &bare),
        throughput("ipc-protocol: envelopes a second", "a socket and files", 0.0, &ours, &files),
    ];
    measures.extend(latency(
        ["ipc-protocol: envelope + flush, p50", "ipc-protocol: envelope + flush, p99"],
        [&ours, &bare, &files],
    ));
    measures
}

/// What a round comes to.
#[derive(Clone, Copy)]
struct Round {
    /// Envelopes a second.
    rate: f64,
    /// Seconds that one takes.
    p50: f64,
    p99: f64,
}

impl Round {
    /// Has a speaker speak. Only what is delivered then counts.
    fn of(speaker: &mut Child, settings: &Settings, mut delivered: impl FnMut() -> usize) -> Self {
        let before = delivered();
        let seconds = speaker.ask(&format!("stream {}", settings.messages))[0];
        let counted = delivered() - before;
        if counted != settings.messages {
            println!("of {} messages, {counted} were delivered", settings.messages);
        }
        let each = speaker.ask(&format!("each {}", settings.messages / ONE_BY_ONE));
        Self { rate: counted as f64 / seconds, p50: each[0], p99: each[1] }
    }
}

fn throughput(
    name: &'static str,
    peer: &'static str,
    goal: f64,
    ours: &[Round],
    peers: &[Round],
) -> Measure {
    let rates = |rounds: &[Round]| rounds.iter().map(|round| round.rate).collect();
    let subject = Subject { name, peer, goal };
    Measure::of_samples(subject, "1/s", Better::Higher, rates(ours), rates(peers))
}

/// There is no goal for these: the issue asks for the numbers.
fn latency(
    [p50, p99]: [&'static str; 2],
    [ours, bare, files]: [&[Round]; 3],
) -> impl Iterator<Item = Measure> {
    let measure = |name, peer, of: fn(&Round) -> f64, ours: &[Round], peers: &[Round]| {
        let times = |rounds: &[Round]| rounds.iter().map(of).collect();
        let subject = Subject { name, peer, goal: f64::INFINITY };
        Measure::time(subject, times(ours), times(peers))
    };
    let measures = [
        measure(p50, "a bare socket", |round| round.p50, ours, bare),
        measure(p50, "a socket and files", |round| round.p50, ours, files),
        measure(p99, "a bare socket", |round| round.p99, ours, bare),
        measure(p99, "a socket and files", |round| round.p99, ours, files),
    ];
    measures.into_iter()
}

/// A round of a speaker that speaks to main.
fn through_main(mode: IpcMode, speaker: &str, directory: PathBuf, settings: &Settings) -> Round {
    let namespace = namespace();
    let options = Options::new(app!())
        .dsn("http://key@127.0.0.1:9/1")
        .cache_dir(&directory)
        .ipc_mode(mode)
        .ipc_namespace(&namespace)
        .max_items(1_000_000)
        .shutdown_timeout(Duration::ZERO);
    let guard = guardhouse_main::init(options).expect("the directory is ours");
    let mut command = command(speaker, &[&mode.to_string(), &namespace]);
    let (mut speaker, _) = Child::start({
        command.guardhouse(&guard);
        command
    });
    let round = Round::of(&mut speaker, settings, || files(&directory));
    drop(speaker);
    // What is not durable yet becomes so now, and not while somebody else is measured.
    guard.close(CLOSE);
    round
}

/// A folder in this one that is new.
fn fresh(folder: &Path) -> PathBuf {
    let fresh = folder.join(Uuid::new_v4().simple().to_string());
    std::fs::create_dir_all(&fresh).expect("a folder can be made");
    fresh
}

/// What nobody else calls its channels on this machine.
pub(super) fn namespace() -> String {
    format!("bench-{}", std::process::id())
}

/// How many envelopes lie in a directory and those in it.
fn files(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).expect("the directory is there").flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            _ => usize::from(entry.path().extension().is_some_and(|it| it == "envelope")),
        })
        .sum()
}

/// An error event as a browser's SDK makes it, as an envelope of [`BYTES`] bytes. No two have the same
/// id.
fn envelope() -> Vec<u8> {
    let id = Uuid::new_v4().simple();
    let frame = r#"{"filename":"app:///main.js","function":"render","lineno":7,"in_app":true}"#;
    let frames = [frame; 40].join(",");
    let head = format!("{{\"event_id\":\"{id}\",\"sent_at\":\"2026-11-20T16:54:36.590Z\"}}\n");
    let event = |value: &str| {
        let event = format!(
            r#"{{"event_id":"{id}","timestamp":1795193676.59,"platform":"javascript","level":"error","exception":{{"values":[{{"type":"Error","value":"{value}","stacktrace":{{"frames":[{frames}]}}}}]}}}}"#
        );
        format!("{head}{{\"type\":\"event\",\"length\":{}}}\n{event}\n", event.len())
    };
    let padding = "x".repeat(BYTES - event("").len());
    event(&padding).into_bytes()
}

#[cfg(test)]
mod tests {
    use guardhouse_protocol::Envelope;

    use super::*;

    #[test]
    fn an_envelope_has_the_size_that_is_said_and_one_event() {
        let bytes = envelope();
        assert_eq!(bytes.len(), BYTES);
        let envelope = Envelope::parse(bytes).unwrap();
        assert_eq!(envelope.items().len(), 1);
        assert!(envelope.assess().iter().all(|verdict| verdict.is_sound()));
    }
}
