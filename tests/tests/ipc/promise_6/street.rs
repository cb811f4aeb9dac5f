//! A main, two good renderers in it, and what has to be true of them whoever else is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use guardhouse_process::meeting::Meeting;
use guardhouse_protocol::Channel;
use guardhouse_protocol::frame::{Frame, Hello, Welcome};
use guardhouse_protocol::limits::MIB;
use guardhouse_tests::sentry::message_of;
use guardhouse_tests::wire::{self, Wire};

use crate::House;

/// By so much main's memory grows at most in any of these tests. The most that was measured is 125 MiB,
/// with the largest messages of eight renderers at once; with all others it is below 16 MiB.
const GROWTH_BYTES: u64 = 192 * MIB as u64;

/// So fast a good renderer reports, if main is as fast.
const PACE: Duration = Duration::from_millis(5);

/// So many events each has reported before anything bad happens.
const BEFORE: u64 = 40;

/// A main with two good renderers.
pub(super) struct Street {
    pub(super) house: House,
    pub(super) note: Meeting,
    good: Vec<Good>,
    is_bad: Arc<AtomicBool>,
    memory_before: Option<u64>,
}

/// A good renderer, on a thread of its own.
struct Good {
    name: String,
    reported: Arc<AtomicU64>,
    stop: Sender<()>,
    thread: JoinHandle<Account>,
}

/// What a good renderer has reported, and how long each took before and during.
struct Account {
    events: Vec<String>,
    waited: [Vec<Duration>; 2],
}

impl Street {
    /// Main runs, and the good renderers have begun.
    #[track_caller]
    pub(super) fn start() -> Self {
        // As many may wait as the test makes: who is evicted when there are too many is another matter.
        Self::start_with(&["--max-items", "200000"])
    }

    #[track_caller]
    pub(super) fn start_with(options: &[&str]) -> Self {
        let mut house = House::start(options);
        let note = house.note();
        let is_bad = Arc::new(AtomicBool::new(false));
        let good: Vec<_> =
            (1..=2).map(|number| Good::start(&note, number, is_bad.clone())).collect();
        for good in &good {
            good.wait_for(BEFORE);
        }
        println!("main before (ns, p50 and p99): {}", house.desk.ask("latency 10000"));
        let memory_before = house.desk.memory("VmRSS");
        is_bad.store(true, Ordering::Relaxed);
        Self { house, note, good, is_bad, memory_before }
    }

    /// Waits until each of the good ones has reported so many more.
    #[track_caller]
    pub(super) fn go_on(&self, events: u64) {
        for good in &self.good {
            assert!(!good.thread.is_finished(), "{} has given up", good.name);
            good.wait_for(good.reported.load(Ordering::Relaxed) + events);
        }
    }

    /// A bad renderer that was let in, and as whom it may come again.
    #[track_caller]
    pub(super) fn bad(&self) -> (Wire, Hello) {
        let mut hello = wire::hello(&self.note, "bad");
        let mut wire = Wire::connect(&self.note);
        hello.resume = Some(wire.greet(&hello).expect("the proof is right").resume());
        (wire, hello)
    }

    /// How many were turned away for this reason.
    #[track_caller]
    pub(super) fn turned_away(&mut self, why: &str) -> u64 {
        let answer = self.house.desk.ask("turned-away");
        let reasons = answer.split(' ').skip(1).filter_map(|reason| reason.split_once(':'));
        reasons
            .filter(|(reason, _)| *reason == why)
            .map(|(_, count)| count.parse::<u64>().unwrap())
            .sum()
    }

    /// Says how long main's own calls take now.
    #[track_caller]
    pub(super) fn show_latency(&mut self) {
        println!("main during (ns, p50 and p99): {}", self.house.desk.ask("latency 10000"));
    }

    /// The bad ones are done. Nothing has happened to the good ones. Returns what arrived of others.
    #[track_caller]
    pub(super) fn verify(mut self, about: &str) -> Aftermath {
        self.go_on(5);
        self.show_latency();
        let mut accounts = BTreeMap::new();
        for good in self.good.drain(..) {
            drop(good.stop);
            let account = good.thread.join().expect("main answered a good renderer");
            let [before, during] = &account.waited;
            println!("{about}: {} {} / {}", good.name, spread(before), spread(during));
            accounts.insert(good.name, account.events);
        }
        self.is_bad.store(false, Ordering::Relaxed);
        let late = self.come_late();
        let growth = self
            .memory_before
            .and_then(|before| Some(self.house.desk.memory("VmHWM")?.saturating_sub(before)));
        if let Some(growth) = growth {
            println!("{about}: main grew by {} KiB at most", growth / 1024);
            assert!(growth < GROWTH_BYTES, "main grew by {growth} bytes");
        }
        println!("{about}: {}", self.house.desk.ask("turned-away"));
        let start = Instant::now();
        let closed = self.house.desk.ask("close 60000");
        assert!(closed.starts_with("closed true"), "{closed}");
        println!("{about}: closed in {:?}", start.elapsed());
        self.house.desk.hang_up();
        while self.house.desk.hear().is_some() {}
        assert_eq!(self.house.desk.stderr(), "");

        accounts.insert("late".to_owned(), vec![late]);
        Aftermath::of(&self.house, &accounts)
    }

    /// Somebody good who has not been there yet is let in, as soon as there is a place.
    #[track_caller]
    fn come_late(&self) -> String {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let hello = wire::hello(&self.note, "late");
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < Duration::from_secs(60), "nobody new is let in");
            let mut wire = Wire::connect(&self.note);
            if !matches!(wire.try_greet(&hello), Some(Ok(_))) {
                std::thread::yield_now();
                continue;
            }
            wire.say(Channel::Scope, scope("late", 0));
            let answer = wire.ask(Channel::Envelope, wire::event(&id, "late 0"));
            assert!(matches!(answer, Frame::Ack { .. }), "{answer:?}");
            return id;
        }
    }
}

impl Good {
    fn start(note: &Meeting, number: u64, is_bad: Arc<AtomicBool>) -> Self {
        let name = format!("good-{number}");
        let mut wire = Wire::welcome(note, &name);
        let reported = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = mpsc::channel::<()>();
        let (own, counted) = (name.clone(), reported.clone());
        let thread = std::thread::spawn(move || {
            let mut account = Account { events: Vec::new(), waited: Default::default() };
            while stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                let at = account.events.len() as u64;
                let id = format!("{number:016x}{at:016x}");
                let during = usize::from(is_bad.load(Ordering::Relaxed));
                let start = Instant::now();
                wire.say(Channel::Scope, scope(&own, at));
                let answer = wire.ask(Channel::Envelope, wire::event(&id, &format!("{own} {at}")));
                account.waited[during].push(start.elapsed());
                assert!(matches!(answer, Frame::Ack { .. }), "{answer:?}");
                account.events.push(id);
                counted.fetch_add(1, Ordering::Relaxed);
            }
            account
        });
        Self { name, reported, stop, thread }
    }

    #[track_caller]
    fn wait_for(&self, events: u64) {
        let start = Instant::now();
        while self.reported.load(Ordering::Relaxed) < events {
            assert!(!self.thread.is_finished(), "{} has given up", self.name);
            assert!(start.elapsed() < Duration::from_secs(60), "{} hangs", self.name);
            std::thread::yield_now();
        }
    }
}

/// The scope that a renderer has at an event.
pub(super) fn scope(name: &str, at: u64) -> String {
    format!(r#"[["set","tag","of","{name}"],["set","tag","at","{at}"]]"#)
}

/// The middle, and what one in a hundred exceeds.
fn spread(waited: &[Duration]) -> String {
    let mut waited = waited.to_vec();
    waited.sort();
    let at =
        |part: f64| waited.get((waited.len() as f64 * part) as usize).copied().unwrap_or_default();
    format!("p50 {:?} p99 {:?} of {}", at(0.5), at(0.99), waited.len())
}

/// What has arrived beside the events of the good ones.
pub(super) struct Aftermath {
    /// The messages of others' events.
    pub(super) others: Vec<String>,
}

impl Aftermath {
    #[track_caller]
    fn of(house: &House, accounts: &BTreeMap<String, Vec<String>>) -> Self {
        let mut wanted = BTreeMap::new();
        for (name, events) in accounts {
            for (at, id) in events.iter().enumerate() {
                wanted.insert(id.as_str(), (name, at));
            }
        }
        let events = house.sentry.events();
        let mut others = Vec::new();
        for event in &events {
            let Some((name, at)) = wanted.remove(event["event_id"].as_str().unwrap_or_default())
            else {
                others.push(message_of(event).unwrap_or_default().to_owned());
                continue;
            };
            let tags = &event["tags"];
            assert_eq!(message_of(event), Some(&*format!("{name} {at}")));
            assert_eq!(tags["event.process"], name.as_str(), "{event}");
            assert_eq!(tags["of"], name.as_str(), "{event}");
            assert_eq!(tags["at"], at.to_string(), "{event}");
            assert_eq!(tags["bad"], serde_json::Value::Null, "{event}");
        }
        assert!(wanted.is_empty(), "{} events did not arrive: {wanted:?}", wanted.len());
        let twice = house.sentry.duplicates();
        let is_good = |id: &&String| accounts.values().flatten().any(|event| event == *id);
        assert_eq!(twice.iter().find(is_good), None, "an event of a good one arrived twice");
        Self { others }
    }
}

/// Somebody else's place, with a secret that is none.
pub(super) fn stolen(hello: &Hello, secret: guardhouse_protocol::frame::Proof) -> Hello {
    let mut stolen = hello.clone();
    let renderer_id = hello.resume.as_ref().expect("it was let in").renderer_id;
    stolen.resume = Some(Welcome::new(hello.versions.max(), renderer_id, secret).resume());
    stolen
}
