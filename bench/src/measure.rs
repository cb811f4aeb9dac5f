//! How ours and a peer are measured, in turn and in the same run.
//!
//! A machine's speed drifts with its temperature and its neighbours. So both are run in rounds that
//! alternate, ours, peer, ours, peer, and what counts is the ratio of their medians: whatever slows
//! the machine down for a while slows both. The numbers themselves hold for this machine only.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How thoroughly to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How many rounds each side gets.
    rounds: usize,
    /// About how long a round takes.
    round: Duration,
    /// How many messages a round moves, where it moves messages.
    pub(crate) messages: usize,
    /// How long those are watched that should do nothing.
    pub(crate) idle: Duration,
}

/// What is compared with whom, and what is hoped for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    /// What is measured.
    pub(crate) name: &'static str,
    /// Who the peer is.
    pub(crate) peer: &'static str,
    /// A bound on ours over the peer's: the ratio should not be worse than this.
    pub(crate) goal: f64,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// What was measured: one line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    pub(crate) subject: Subject,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// The median of our rounds.
    pub(crate) ours: f64,
    /// The median of the peer's rounds.
    pub(crate) peer: f64,
}

impl Settings {
    /// What numbers that are quoted are measured with.
    pub(crate) const THOROUGH: Self = Self {
        rounds: 15,
        round: Duration::from_millis(150),
        messages: 2000,
        idle: Duration::from_secs(10),
    };

    /// Good enough to see whether something is off. A measure takes about a second and a half, so a
    /// row of thirty still ends within a minute.
    pub(crate) const QUICK: Self = Self {
        rounds: 7,
        round: Duration::from_millis(100),
        messages: 500,
        idle: Duration::from_secs(3),
    };

    /// Measures how long one pass takes. Lower is better.
    pub(crate) fn time<O, P>(
        &self,
        subject: Subject,
        ours: impl FnMut() -> O,
        peer: impl FnMut() -> P,
    ) -> Measure {
        let (ours, peer) = self.seconds_a_pass(ours, peer);
        Measure::time(subject, ours, peer)
    }

    /// Samples of how many seconds one pass takes, ours and the peer's.
    fn seconds_a_pass<O, P>(
        &self,
        mut ours: impl FnMut() -> O,
        mut peer: impl FnMut() -> P,
    ) -> (Vec<f64>, Vec<f64>) {
        let our_passes = self.passes_a_round(&mut ours);
        let peer_passes = self.passes_a_round(&mut peer);
        self.alternate(
            || run(our_passes, &mut ours).as_secs_f64() / our_passes as f64,
            || run(peer_passes, &mut peer).as_secs_f64() / peer_passes as f64,
        )
    }

    /// Takes a sample of ours and a sample of the peer's in turn, for every round.
    pub(crate) fn alternate<O, P>(
        &self,
        mut ours: impl FnMut() -> O,
        mut peer: impl FnMut() -> P,
    ) -> (Vec<O>, Vec<P>) {
        (0..self.rounds).map(|_| (ours(), peer())).unzip()
    }

    /// How many passes fill a round. Finding out warms up what is measured.
    fn passes_a_round<T>(&self, pass: &mut impl FnMut() -> T) -> u64 {
        let mut passes = 1;
        loop {
            let time = run(passes, pass);
            // A tenth of a round is long enough to tell from.
            if time * 10 >= self.round {
                let a_pass = time.as_secs_f64() / passes as f64;
                return ((self.round.as_secs_f64() / a_pass) as u64).max(1);
            }
            passes *= 2;
        }
    }
}

fn run<T>(passes: u64, pass: &mut impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..passes {
        black_box(pass());
    }
    start.elapsed()
}

impl Measure {
    /// The measure that samples of both sides come to.
    pub(crate) fn of_samples(
        subject: Subject,
        unit: &'static str,
        better: Better,
        ours: Vec<f64>,
        peer: Vec<f64>,
    ) -> Self {
        Self { subject, unit, better, ours: median(ours), peer: median(peer) }
    }

    /// How long a pass takes, from samples in seconds, in the unit that suits the peer's.
    pub(crate) fn time(subject: Subject, ours: Vec<f64>, peer: Vec<f64>) -> Self {
        let (unit, seconds) = match median(peer.clone()) {
            ..1e-6 => ("ns", 1e-9),
            ..1e-3 => ("µs", 1e-6),
            ..1.0 => ("ms", 1e-3),
            _ => ("s", 1.0),
        };
        let in_unit = |samples: Vec<f64>| samples.iter().map(|sample| sample / seconds).collect();
        Self::of_samples(subject, unit, Better::Lower, in_unit(ours), in_unit(peer))
    }

    /// Ours over the peer's.
    pub(crate) fn ratio(&self) -> f64 {
        self.ours / self.peer
    }

    /// Whether the goal is met. A ratio that is no number meets none.
    pub(crate) fn is_met(&self) -> bool {
        let (ratio, goal) = (self.ratio(), self.subject.goal);
        ratio.is_finite()
            && match self.better {
                Better::Higher => ratio >= goal,
                Better::Lower => ratio <= goal,
            }
    }
}

/// What a part of the samples, such as 0.99, is not above.
pub(crate) fn part(samples: &mut [f64], part: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let rank = (part * samples.len() as f64).ceil() as usize;
    samples.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// The middle of the samples; of an even number, the mean of the two in the middle.
fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match samples.as_slice() {
        [] => f64::NAN,
        all if all.len().is_multiple_of(2) => f64::midpoint(all[middle - 1], all[middle]),
        all => all[middle],
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const SUBJECT: Subject = Subject { name: "something", peer: "somebody", goal: 0.5 };

    fn measure(better: Better, ours: f64, peer: f64) -> Measure {
        Measure::of_samples(SUBJECT, "ns", better, vec![ours], vec![peer])
    }

    #[test]
    fn one_slow_round_does_not_move_the_median() {
        assert_eq!(median(vec![3.0, 900.0, 1.0, 2.0, 2.5]), 2.5);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![7.0]), 7.0);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn a_part_of_the_samples_is_not_above_what_it_comes_to() {
        let mut samples: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(part(&mut samples, 0.99), 198.0);
        assert_eq!(part(&mut samples, 0.5), 100.0);
        assert_eq!(part(&mut samples, 1.0), 200.0);
        assert_eq!(part(&mut [7.0], 0.5), 7.0);
        assert!(part(&mut [], 0.5).is_nan());
    }

    #[test]
    fn the_goal_bounds_the_ratio_on_the_side_that_is_worse() {
        assert_eq!(measure(Better::Lower, 10.0, 40.0).ratio(), 0.25);
        assert!(measure(Better::Lower, 10.0, 40.0).is_met());
        assert!(measure(Better::Lower, 20.0, 40.0).is_met());
        assert!(!measure(Better::Lower, 21.0, 40.0).is_met());
        assert!(!measure(Better::Higher, 10.0, 40.0).is_met());
        assert!(measure(Better::Higher, 20.0, 40.0).is_met());
    }

    #[test]
    fn a_ratio_that_is_no_number_meets_no_goal() {
        for better in [Better::Higher, Better::Lower] {
            assert!(!measure(better, 1.0, 0.0).is_met());
            assert!(!measure(better, 0.0, 0.0).is_met());
        }
    }

    #[test]
    fn both_sides_take_turns() {
        let turns = RefCell::new(String::new());
        let take = |who| {
            turns.borrow_mut().push(who);
            1.0
        };
        let settings = Settings { rounds: 3, ..Settings::QUICK };
        settings.alternate(|| take('o'), || take('p'));
        assert_eq!(*turns.borrow(), "opopop");
    }

    #[test]
    fn times_are_shown_in_the_unit_that_suits_them() {
        for (seconds, unit) in [(5e-9, "ns"), (5e-6, "µs"), (5e-3, "ms"), (5.0, "s")] {
            let measure = Measure::time(SUBJECT, vec![seconds / 2.0], vec![seconds]);
            assert_eq!(measure.unit, unit);
            assert!((measure.peer - 5.0).abs() < 1e-9, "{measure:?}");
            assert_eq!(measure.ratio(), 0.5);
        }
    }
}
