//! Sessions with a disk that is only a model of one, and runs that are killed at any step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use guardhouse_main::session::{About, Dead, Moment, SessionMode, Sessions, Severity, Update};
use guardhouse_protocol::{Envelope, Header, Item, ItemType, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed};
use serde_json::Value;
use uuid::Uuid;

/// What happens to a run.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Focus(u64),
    Blur(u64),
    Error,
    Crash,
    /// So many seconds go by.
    Wait(u64),
    /// The dispatcher sends what is there.
    Send,
    Exit,
}

/// A run: what happens in it, and after how many steps on disk it is killed.
#[derive(Clone, Debug)]
struct Run {
    mode: SessionMode,
    happenings: Vec<Happening>,
    steps: usize,
}

fn run() -> impl Strategy<Value = Run> {
    let window = || 0..3_u64;
    let happening = prop_oneof![
        window().prop_map(Happening::Focus),
        window().prop_map(Happening::Blur),
        Just(Happening::Error),
        Just(Happening::Crash),
        (0..45_u64).prop_map(Happening::Wait),
        Just(Happening::Send),
        Just(Happening::Exit),
    ];
    let mode = select(vec![SessionMode::Application, SessionMode::WINDOW, SessionMode::Off]);
    (mode, vec(happening, 0..12), 0..40_usize).prop_map(|(mode, happenings, steps)| Run {
        mode,
        happenings,
        steps,
    })
}

/// The process is dead.
struct Killed;

/// What outlives a process, and what arrived.
#[derive(Default)]
struct World {
    /// What runs keep of their sessions.
    records: BTreeMap<usize, String>,
    /// Envelopes by name. What is spooled under a name that is there replaces it.
    spool: BTreeMap<String, Envelope>,
    /// The sessions that were ever on disk, with their outcome, if it was there too.
    outcomes: BTreeMap<String, Option<String>>,
    arrived: Vec<Value>,
    seconds: u64,
    ids: u128,
}

/// A process, which can reach the disk so many times.
struct Process<'w> {
    world: &'w mut World,
    number: usize,
    start: Instant,
    steps: usize,
    /// What the dispatcher knows of.
    sendable: BTreeSet<String>,
}

impl Process<'_> {
    fn step(&mut self) -> Result<(), Killed> {
        self.steps = self.steps.checked_sub(1).ok_or(Killed)?;
        Ok(())
    }

    fn now(&self) -> Moment {
        let time = Timestamp::from_unix(1_700_000_000 + self.world.seconds as i64, 0);
        Moment { instant: self.start + Duration::from_secs(self.world.seconds), time }
    }

    fn new_id(&mut self) -> Uuid {
        self.world.ids += 1;
        Uuid::from_u128(self.world.ids)
    }

    fn write(&mut self, number: usize, record: &str) -> Result<(), Killed> {
        self.step()?;
        let json: Value = serde_json::from_str(record).unwrap();
        for session in json["sessions"].as_array().unwrap() {
            let id = session["id"].as_str().unwrap().to_owned();
            let status = session["status"].as_str().unwrap();
            let outcome = self.world.outcomes.entry(id).or_default();
            if status != "ok" {
                let before = outcome.replace(status.to_owned());
                assert!(before.is_none_or(|before| before == status), "an outcome is changed");
            }
        }
        self.world.records.insert(number, record.to_owned());
        Ok(())
    }

    fn write_if_changed(&mut self, sessions: &mut Sessions) -> Result<(), Killed> {
        match sessions.take_record() {
            Some(record) => self.write(self.number, record.text()),
            None => Ok(()),
        }
    }

    fn spool(&mut self, name: String, items: Vec<Item>) -> Result<(), Killed> {
        self.step()?;
        let mut envelope = Envelope::new(Header::new());
        for item in items {
            envelope.push(item).unwrap();
        }
        self.world.spool.insert(name, envelope);
        Ok(())
    }

    /// What the module's documentation says, in its order.
    fn drive(&mut self, sessions: &mut Sessions) -> Result<(), Killed> {
        self.write_if_changed(sessions)?;
        while let Some(update) = sessions.poll_update() {
            self.tell(sessions, &update, update.name(), Vec::new())?;
        }
        Ok(())
    }

    fn tell(
        &mut self,
        sessions: &mut Sessions,
        update: &Update,
        name: String,
        mut items: Vec<Item>,
    ) -> Result<(), Killed> {
        items.push(update.item().unwrap());
        self.spool(name.clone(), items)?;
        sessions.handle_spooled(update);
        self.write_if_changed(sessions)?;
        self.sendable.insert(name);
        Ok(())
    }

    fn send(&mut self) -> Result<(), Killed> {
        for name in std::mem::take(&mut self.sendable) {
            self.step()?;
            let Some(envelope) = self.world.spool.remove(&name) else { continue };
            for item in envelope.items().iter().filter(|i| i.item_type() == ItemType::Session) {
                self.world.arrived.push(serde_json::from_slice(item.payload()).unwrap());
            }
        }
        Ok(())
    }

    /// Says what is still to be said of runs that are over.
    fn bury(&mut self) -> Result<(), Killed> {
        for (number, record) in self.world.records.clone() {
            let mut dead = Dead::from_record(record.as_bytes());
            for envelope in self.world.spool.values() {
                dead.handle_found(envelope);
            }
            dead.bury();
            self.write(number, dead.record().text())?;
            while let Some(update) = dead.poll_update() {
                self.spool(update.name(), vec![update.item().unwrap()])?;
                dead.handle_spooled(&update);
            }
            assert!(dead.is_settled());
            self.step()?;
            self.world.records.remove(&number);
        }
        self.sendable = self.world.spool.keys().cloned().collect();
        Ok(())
    }

    fn live(&mut self, run: &Run) -> Result<(), Killed> {
        self.bury()?;
        let about = About::new("notes@1.4.2").unwrap();
        let id = self.new_id();
        let mut sessions = Sessions::start(about, run.mode, id, self.now());
        self.drive(&mut sessions)?;
        for happening in &run.happenings {
            let now = self.now();
            match *happening {
                Happening::Focus(window) => {
                    let id = self.new_id();
                    sessions.handle_focus(window, id, now);
                }
                Happening::Blur(window) => sessions.handle_blur(window, now),
                Happening::Error => {
                    let update = sessions.handle_event(Severity::Error, now);
                    assert_eq!(update, None, "errors are told with the outcome");
                }
                Happening::Crash => {
                    let update = sessions.handle_event(Severity::Crash, now);
                    self.write_if_changed(&mut sessions)?;
                    if let Some(update) = update {
                        let name = format!("crash-{}", self.new_id());
                        let event = Item::new("event", "{}").unwrap();
                        self.tell(&mut sessions, &update, name, vec![event])?;
                    }
                }
                Happening::Wait(seconds) => {
                    let end = self.world.seconds + seconds;
                    while let Some(timeout) = sessions.poll_timeout() {
                        let at = timeout.duration_since(self.start).as_secs();
                        if at > end {
                            break;
                        }
                        self.world.seconds = self.world.seconds.max(at);
                        sessions.handle_timeout(self.now());
                        assert!(
                            sessions.poll_timeout() != Some(timeout),
                            "what was due is done, or it would be due for ever"
                        );
                    }
                    self.world.seconds = end;
                }
                Happening::Send => self.send()?,
                Happening::Exit => sessions.exit(now),
            }
            self.drive(&mut sessions)?;
        }
        Ok(())
    }
}

/// Lets the runs live one after another, and then one that is not killed.
fn after(runs: &[Run]) -> World {
    let mut world = World::default();
    let last = Run {
        mode: SessionMode::Application,
        happenings: vec![Happening::Exit, Happening::Send],
        steps: usize::MAX,
    };
    for (number, run) in runs.iter().chain([&last]).enumerate() {
        world.seconds += 1;
        let mut process = Process {
            world: &mut world,
            number,
            start: Instant::now(),
            steps: run.steps,
            sendable: BTreeSet::new(),
        };
        // Whether it was killed or simply ended without a word makes no difference to the next.
        let _ = process.live(run);
    }
    world
}

proptest! {
    #![proptest_config(Config {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(4000),
        rng_seed: RngSeed::Fixed(0x6a_7e),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn promise_7_every_run_has_exactly_one_outcome_in_any_order_of_things(
        runs in vec(run(), 1..6),
    ) {
        let world = after(&runs);
        prop_assert!(world.spool.is_empty());
        for (id, outcome) in &world.outcomes {
            let updates: Vec<_> =
                world.arrived.iter().filter(|update| update["sid"] == id.as_str()).collect();
            let is_final = |update: &&&Value| update["status"] != "ok";
            let inits = updates.iter().filter(|update| update["init"] == true).count();
            let finals: Vec<_> = updates.iter().filter(is_final).collect();
            prop_assert_eq!(inits, 1, "{} began: {:?}", id, &updates);
            prop_assert_eq!(finals.len(), 1, "{} ended: {:?}", id, &updates);
            prop_assert_eq!(finals[0]["status"].as_str(), outcome.as_deref());
            let seconds = finals[0]["duration"].as_f64().unwrap();
            prop_assert!(seconds >= 0.0 && seconds <= world.seconds as f64);
            // What may not change has not.
            let started = |update: &&Value| update["started"] == updates[0]["started"];
            prop_assert!(updates.iter().all(started));
        }
        let is_known = |update: &Value| {
            world.outcomes.contains_key(update["sid"].as_str().unwrap())
        };
        prop_assert!(world.arrived.iter().all(is_known), "nothing is made up");
    }
}
