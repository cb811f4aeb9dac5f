//! Promise 2: what main has acknowledged is on disk until Sentry has it.
//!
//! A process takes what renderers report, says what it has acknowledged, and is killed: at each step
//! of the spool, at random moments, while Sentry hangs, right after Sentry has answered. Then another
//! one is started on the same directory, and so on. `KILL_ROUNDS` says how many processes there are,
//! `KILL_SEED` what happens to them.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guardhouse_main::outbox::spool::Step;
use guardhouse_tests::sentry::{Stage, hang, reset, status};

use crate::book;
use crate::life::Life;
use crate::{Dice, World, sessions, setting};

/// So many processes follow each other before it is looked at what arrived.
pub(crate) const ROUNDS: u64 = 20;

/// So many events main captures that is to end with a backlog.
const BACKLOG: u64 = 30;

/// So many directories are worked on at once. Most of the time is spent waiting.
const AT_ONCE: u64 = 10;

/// How a process ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// It kills itself at the n-th time of a step; if there is none, it closes.
    Step(Step, u64),
    /// It is killed after so many microseconds, whatever it does then.
    Moment(u64),
    /// It is killed when it waits for Sentry, which hangs.
    Hanging(Stage),
    /// It is killed when Sentry has answered so often.
    Answered(usize),
    /// It is killed when it has acknowledged everything.
    Acknowledged,
    /// It closes.
    Close,
    /// It closes with more to merge than there is time for, and is killed so many microseconds later, if at
    /// all.
    Backlog(Option<u64>),
}

/// What Sentry does, if it does not hang.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weather {
    Fine,
    Refusing,
    Resetting,
    Unavailable,
    Broken,
}

const STAGES: [Stage; 6] =
    [Stage::Connection, Stage::Request, Stage::Body, Stage::Answer, Stage::Head, Stage::AnswerBody];

/// A series of processes on a directory.
pub(crate) struct Series {
    world: World,
    /// Whether things may happen of which something is lost: too little room, damage, a Sentry that
    /// refuses what it gets.
    may_lose: bool,
    dice: Dice,
    lives: Vec<Life>,
    events: u64,
}

impl Series {
    pub(crate) fn new(seed: u64, may_lose: bool) -> Self {
        Self { world: World::new(), may_lose, dice: Dice(seed), lives: Vec::new(), events: 0 }
    }

    fn new_id(&mut self) -> String {
        self.events += 1;
        format!("{:032x}", self.events)
    }

    /// A random process.
    pub(crate) fn round(&mut self) {
        let dice = &mut self.dice;
        let weather = match dice.below(10) {
            0 | 1 => Weather::Refusing,
            2 => Weather::Resetting,
            3 => Weather::Unavailable,
            4 if self.may_lose => Weather::Broken,
            _ => Weather::Fine,
        };
        let moment = dice.below(80_000);
        let end = match dice.below(22) {
            0..=6 => End::Step(*dice.pick(Step::ALL), 1 + dice.below(8)),
            7..=12 => End::Moment(dice.below(60_000)),
            13..=15 => End::Hanging(*dice.pick(&STAGES)),
            16..=18 => End::Answered(1 + dice.below(2) as usize),
            _ => *dice.pick(&[
                End::Close,
                End::Backlog(None),
                End::Backlog(Some(moment)),
                End::Backlog(Some(moment / 8)),
            ]),
        };
        let is_small = self.may_lose && dice.below(4) == 0;
        if self.may_lose && dice.below(10) == 0 {
            self.damage(1);
        }
        self.live(weather, end, is_small);
    }

    /// A process from its beginning to its end.
    pub(crate) fn live(&mut self, weather: Weather, end: End, is_small: bool) {
        let sentry = &self.world.sentry;
        match (weather, end) {
            (_, End::Hanging(stage)) => sentry.from_now_on(hang(stage)),
            (_, End::Answered(_)) | (Weather::Fine, _) => {}
            (Weather::Refusing, _) => sentry.refuse_connections(),
            (Weather::Resetting, _) => sentry.from_now_on(reset()),
            (Weather::Unavailable, _) => sentry.from_now_on(status(503)),
            (Weather::Broken, _) => sentry.from_now_on(status(500)),
        }
        let mut options = vec!["--seen", "--shutdown", "20000"];
        if is_small {
            options.extend(["--max-items", "4"]);
        }
        let kill = match end {
            End::Step(step, times) => format!("{step:?}:{times}"),
            _ => String::new(),
        };
        if !kill.is_empty() {
            options.extend(["--kill", &kill]);
        }
        let answered = sentry.answered();
        let mut life = self.world.launch(&options);
        let events = match end {
            // More than there is room for if there is little.
            End::Acknowledged => 6,
            _ => 1 + self.dice.below(8),
        };
        for _ in 0..events {
            let id = self.new_id();
            // Rarely, since finding out where it panicked takes a debug build half a second.
            if self.dice.below(30) == 0 {
                life.panic(&id);
            } else {
                life.report(1 + self.dice.below(2), &id);
            }
        }
        match end {
            End::Step(..) | End::Close => {
                let millis = if matches!(weather, Weather::Fine) { 1000 } else { 200 };
                life.tell(&format!("flush {millis}"));
                life.tell(&format!("close {millis}"));
                life.end();
            }
            End::Backlog(kill) => {
                let id = self.new_id();
                life.fill(BACKLOG, &id);
                life.tell("close 200");
                match kill {
                    // This waits for nothing: it makes the moment of the kill a random one.
                    Some(micros) => {
                        std::thread::sleep(Duration::from_micros(micros));
                        life.kill();
                    }
                    None => life.end(),
                }
            }
            End::Moment(micros) => {
                // This waits for nothing: it makes the moment of the kill a random one.
                std::thread::sleep(Duration::from_micros(micros));
                life.kill();
            }
            End::Acknowledged => {
                for id in life.told.clone() {
                    assert!(life.hear_of(&id), "it died before it had acknowledged {id}");
                }
                life.kill();
            }
            End::Hanging(_) => {
                self.world.sentry.wait_until_hanging();
                life.kill();
            }
            End::Answered(times) => {
                let is_answered = self.world.sentry.wait_until_answered(answered + times);
                assert!(is_answered, "there was something to send");
                life.kill();
            }
        }
        self.world.close_book(&mut life);
        self.lives.push(life);
    }

    /// Puts something behind so many of the envelopes on disk, as a power cut may do.
    fn damage(&mut self, most: usize) {
        let mut files = self.world.files();
        files.retain(|path| path.extension().is_some_and(|end| end == "envelope"));
        for _ in 0..most.min(files.len()) {
            let path = files.swap_remove(self.dice.below(files.len() as u64) as usize);
            let mut file = OpenOptions::new().append(true).open(path).expect("it is ours");
            file.write_all(b"\0\0\0\0").expect("it can be written");
        }
    }

    /// Lets everything be sent, and looks at it.
    #[track_caller]
    pub(crate) fn conclude(mut self, context: &str) -> Tally {
        self.lives.extend(self.world.drain(context));
        book::check(&self.world.sentry, &self.lives, context);
        sessions::check(&self.world.sentry, &self.lives, !self.may_lose, context);
        Tally::of(&self.lives)
    }
}

/// What was tried, to be shown after a campaign.
#[derive(Default)]
pub(crate) struct Tally {
    lives: usize,
    acknowledged: usize,
    seen: usize,
}

impl Tally {
    pub(crate) fn of(lives: &[Life]) -> Self {
        Self {
            lives: lives.len(),
            acknowledged: lives.iter().map(|life| life.acknowledged.len()).sum(),
            seen: lives.iter().map(|life| life.seen).sum(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.acknowledged += other.acknowledged;
        self.seen += other.seen;
    }
}

/// Does something for each number below `count`, several at once, and adds up what was tried.
pub(crate) fn at_once(count: u64, act: impl Fn(u64) -> Tally + Sync) -> Tally {
    let next = AtomicU64::new(0);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return tally;
            }
            tally.add(&act(number));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let mut tally = Tally::default();
        for worker in workers {
            match worker.join() {
                Ok(other) => tally.add(&other),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        tally
    })
}

#[test]
fn promise_2_what_main_has_acknowledged_is_on_disk_until_sentry_has_it() {
    let (rounds, seed) = (setting("KILL_ROUNDS", 80), setting("KILL_SEED", 1));
    let tally = at_once(rounds.div_ceil(ROUNDS), |number| {
        // To see what happened in one series again, it is enough to begin with it.
        let seed = seed + number;
        let mut series = Series::new(seed, true);
        for _ in 0..ROUNDS {
            series.round();
        }
        series.conclude(&format!("KILL_SEED={seed} KILL_ROUNDS={ROUNDS}"))
    });
    show("at random", &tally);
}

/// Each step where it happens for sure: while a process that was killed is adopted, with more than
/// there is room for, a damaged envelope and a crash.
#[test]
fn promise_2_holds_at_each_step_of_spool_and_sending() {
    let tally = at_once(Step::ALL.len() as u64, |number| {
        let step = Step::ALL[number as usize];
        let mut series = Series::new(number, true);
        // With little room for what was there, and with enough for the damaged ones to be mended.
        for is_small in [true, false] {
            series.live(Weather::Refusing, End::Acknowledged, false);
            series.damage(usize::MAX);
            series.live(Weather::Fine, End::Step(step, 1), is_small);
        }
        let was_killed = series.lives.iter().filter(|life| life.was_killed_by_itself).count();
        assert!(was_killed > 0, "nobody came to {step:?}");
        series.conclude(&format!("{step:?}"))
    });
    show("at each step", &tally);
}

#[expect(clippy::print_stderr, reason = "whoever runs a campaign wants to know how large it was")]
pub(crate) fn show(what: &str, tally: &Tally) {
    let Tally { lives, acknowledged, seen } = tally;
    eprintln!("{what}: {lives} processes, {acknowledged} events acknowledged, {seen} answers seen");
}
