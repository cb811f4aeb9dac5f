//! An envelope that is acknowledged: on disk, so that it survives the process.
//!
//! The peer is the design of `@sentry/electron`, done plainly: the envelope is a file, and an index
//! of all that are queued is written anew as JSON each time. Both have 30 queued, take one and delete
//! one, and neither makes anything durable against power cuts, as `@sentry/electron` does not; ours
//! leaves that to another thread.
//!
//! Where the time goes depends on the file system. Journalling ones, such as ext4, write out at once
//! a file that is overwritten, to survive power cuts that programs do not think of: that is most of
//! what the peer pays. Where all is in memory, as in a tmpfs, the peer takes about half as long again
//! as ours, for then both mostly make files. The folder is made where temporary files go.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use guardhouse_main::outbox::spool::{Limits, Spool};
use guardhouse_main::outbox::{EntryId, Priority};
use guardhouse_protocol::{Envelope, Header, Item};
use serde_json::json;

use crate::measure::{Better, Measure, Settings, Subject};

/// How many envelopes are queued.
const QUEUED: usize = 30;

/// Measures the row.
pub(crate) fn run(settings: &Settings) -> Vec<Measure> {
    let envelope = envelope();
    let folder = super::scratch("outbox");
    let mut ours = Ours::new(folder.join("ours"));
    let mut peer = Peer::new(folder.join("peer"));
    let subject = Subject {
        name: "outbox: acknowledge one of 30",
        peer: "file and index, as @sentry/electron",
        goal: 0.1,
    };
    let cost = settings.time(subject, || ours.put(&envelope), || peer.put(&envelope));
    let seconds = match cost.unit {
        "ms" => 1e-3,
        _ => 1e-6,
    };
    let rate = |time: f64| vec![1.0 / (time * seconds)];
    let throughput = Measure::of_samples(
        Subject { name: "outbox: acknowledged a second", goal: 10.0, ..subject },
        "1/s",
        Better::Higher,
        rate(cost.ours),
        rate(cost.peer),
    );
    drop(ours);
    // If it stays, it is in the folder for what may go.
    let _ = fs::remove_dir_all(folder);
    vec![cost, throughput]
}

/// An error event of the size that a browser's have.
fn envelope() -> Envelope {
    let frames: Vec<_> = (0..30)
        .map(|line| json!({"filename": "app:///main.js", "function": "render", "lineno": line}))
        .collect();
    let exception = json!({"type": "Error", "value": "x", "stacktrace": {"frames": frames}});
    let event = json!({"exception": {"values": [exception]}, "release": super::RELEASE});
    let mut envelope = Envelope::new(Header::new());
    let item = Item::new("event", event.to_string()).expect("an event is small");
    envelope.push(item).expect("there is room for one");
    envelope
}

struct Ours {
    spool: Spool,
    queued: Vec<EntryId>,
    next: usize,
}

impl Ours {
    fn new(folder: PathBuf) -> Self {
        let spool = Spool::open(folder, Limits::default()).expect("a folder can be made");
        Self { spool, queued: Vec::new(), next: 0 }
    }

    fn put(&mut self, envelope: &Envelope) {
        let put = self.spool.put(Priority::Normal, envelope, SystemTime::now());
        let id = put.placed.id().expect("there is room");
        if self.queued.len() < QUEUED {
            self.queued.push(id);
            return;
        }
        let oldest = std::mem::replace(&mut self.queued[self.next], id);
        self.next = (self.next + 1) % QUEUED;
        self.spool.delete(oldest);
    }
}

struct Peer {
    folder: PathBuf,
    /// Ids and dates.
    queue: Vec<(String, String)>,
    number: u128,
}

impl Peer {
    fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("a folder can be made");
        Self { folder, queue: Vec::new(), number: 0 }
    }

    fn put(&mut self, envelope: &Envelope) {
        self.number += 1;
        let id = format!("{:032x}", self.number);
        fs::write(self.folder.join(&id), envelope.to_bytes()).expect("a file can be written");
        self.queue.push((id, "2026-11-20T16:54:36.590Z".to_owned()));
        if self.queue.len() > QUEUED {
            let (oldest, _) = self.queue.remove(0);
            fs::remove_file(self.folder.join(oldest)).expect("it was written");
        }
        let index: Vec<_> =
            self.queue.iter().map(|(id, date)| json!({"id": id, "date": date})).collect();
        let index = serde_json::to_vec(&index).expect("strings can be written");
        fs::write(self.folder.join("queue-v2.json"), index).expect("a file can be written");
    }
}
