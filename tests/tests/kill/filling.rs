//! Promise 2 on a disk that somebody fills, and empties again.
//!
//! The disk is a real one where that can be had. Processes start on it when it is full or not, it fills or
//! empties while they take what renderers report, and they are killed or end. What they have
//! acknowledged arrives, or is counted.

use std::time::Duration;

use guardhouse_main::outbox::spool::Step;

use crate::campaign::{ROUNDS, Tally, at_once, show};
use crate::full_disk::Full;
use crate::life::Life;
use crate::{Dice, World, book, setting};

/// When the disk is full.
#[derive(Clone, Copy, Debug)]
enum Filled {
    Never,
    /// From the start, and at the end too.
    Always,
    /// Somebody fills it when half of what is reported is acknowledged.
    Later,
    /// Somebody empties it then.
    Before,
}

struct Series {
    world: World,
    dice: Dice,
    lives: Vec<Life>,
    events: u64,
}

impl Series {
    fn new(seed: u64) -> Self {
        let world = World::on(Full::new());
        Self { world, dice: Dice(seed), lives: Vec::new(), events: 0 }
    }

    fn report(&mut self, life: &mut Life, count: u64) {
        for _ in 0..count {
            self.events += 1;
            life.report(1 + self.dice.below(2), &format!("{:032x}", self.events));
        }
    }

    /// A process from its beginning to its end.
    fn round(&mut self) {
        let filled = *self.dice.pick(&[
            Filled::Never,
            Filled::Always,
            Filled::Always,
            Filled::Later,
            Filled::Later,
            Filled::Before,
        ]);
        // Now and then what was put aside gets through.
        let is_fine = self.dice.below(6) == 0;
        if !is_fine {
            self.world.sentry.refuse_connections();
        }
        self.world.set_full(matches!(filled, Filled::Always | Filled::Before));
        let step = format!("{:?}:{}", self.dice.pick(Step::ALL), 1 + self.dice.below(8));
        let mut options = vec!["--seen", "--shutdown", "20000"];
        let dies_at_step = self.dice.below(3) == 0;
        if dies_at_step {
            options.extend(["--kill", &step]);
        }
        if self.dice.below(4) == 0 {
            options.extend(["--max-items", "8"]);
        }
        let mut life = self.world.launch(&options);
        let count = 1 + self.dice.below(12);
        self.report(&mut life, count);
        if matches!(filled, Filled::Later | Filled::Before) && life.hear_until("answer") {
            self.world.set_full(matches!(filled, Filled::Later));
        }
        // Sometimes more than memory holds.
        let count = if self.dice.below(5) == 0 { 150 } else { self.dice.below(12) };
        self.report(&mut life, count);
        if dies_at_step || self.dice.below(3) == 0 {
            life.tell("flush 200");
            life.tell("close 200");
            life.end();
        } else {
            // This waits for nothing: it makes the moment of the kill a random one.
            std::thread::sleep(Duration::from_micros(self.dice.below(150_000)));
            life.kill();
        }
        self.world.close_book(&mut life);
        self.lives.push(life);
    }

    #[track_caller]
    fn conclude(mut self, context: &str) -> Tally {
        self.world.set_full(false);
        self.lives.extend(self.world.drain(context));
        book::check_form(&self.world.sentry.requests(), context);
        // What was sent from memory is not deleted from disk, so nobody says that it was seen.
        book::check_acknowledged(&self.world.sentry, &self.lives, context);
        Tally::of(&self.lives)
    }
}

#[test]
fn promise_2_what_main_has_acknowledged_stays_when_somebody_fills_the_disk() {
    let (rounds, seed) = (setting("KILL_ROUNDS", 80), setting("KILL_SEED", 1));
    let tally = at_once(rounds.div_ceil(ROUNDS), |number| {
        let seed = seed + number;
        let mut series = Series::new(seed);
        for _ in 0..ROUNDS {
            series.round();
        }
        series.conclude(&format!("KILL_SEED={seed} KILL_ROUNDS={ROUNDS}"))
    });
    show("on full disks", &tally);
}
