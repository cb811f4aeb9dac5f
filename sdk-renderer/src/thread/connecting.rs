//! When to look for main, and for a better way to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guardhouse_process::meeting::Meeting;
use tokio::task::JoinHandle;

use super::Event;
use crate::house::House;
use crate::ways::{Backoff, Line, NoWay, Ways};

/// Between looking for a main that is not there.
const SOONEST: Duration = Duration::from_millis(100);
const LATEST: Duration = Duration::from_secs(30);

/// Before asking one again that does not want us.
const UNWANTED: Duration = Duration::from_secs(10);

/// Between trying the classic way while the protocol serves.
const BETTER_SOONEST: Duration = Duration::from_secs(1);
const BETTER_LATEST: Duration = Duration::from_secs(60);
/// So long what is under way may take before the better way is taken all the same. Then it is said
/// again there, and main knows it by its id.
const BETTER_PATIENCE: Duration = Duration::from_secs(1);

/// A line that ends sooner was none.
const WORTHWHILE: Duration = Duration::from_secs(1);
/// So many of them are made up for at once; then it may be our fault.
const HASTY: u32 = 3;

type Opening = JoinHandle<Result<Line, NoWay>>;

pub(super) struct Connecting {
    ways: Arc<Ways>,
    opening: Option<Opening>,
    again_at: Option<Instant>,
    backoff: Backoff,
    connected_at: Option<Instant>,
    hasty_ends: u32,
    /// Whether the last attempt has failed, and there was none that succeeded since.
    has_failed: bool,
    better: Better,
    better_backoff: Backoff,
    /// What was said last about why there is no main: it need not be said again and again.
    words: String,
}

/// A better way to the main that we have.
enum Better {
    /// It is not known when to try.
    None,
    At(Instant),
    Opening(Opening),
    /// It is there, and waits until what is under way is answered, but no longer than until then.
    Ready(Box<Line>, Instant),
}

impl Connecting {
    pub(super) fn new(ways: Ways, seed: u64) -> Self {
        Self {
            ways: Arc::new(ways),
            opening: None,
            again_at: None,
            backoff: Backoff::new(SOONEST, LATEST, seed),
            connected_at: None,
            hasty_ends: 0,
            has_failed: false,
            better: Better::None,
            better_backoff: Backoff::new(BETTER_SOONEST, BETTER_LATEST, seed.rotate_left(32)),
            words: String::new(),
        }
    }

    /// Whether a main may be there: it was not looked for in vain.
    pub(super) fn is_hopeful(&self) -> bool {
        !self.has_failed
    }

    /// Starts what is due. Says when something is again.
    pub(super) fn step(&mut self, now: Instant, line: Option<&Line>) -> Option<Instant> {
        let Some(line) = line else {
            if self.opening.is_some() {
                return None;
            }
            if let Some(at) = self.again_at.filter(|at| *at > now) {
                return Some(at);
            }
            self.again_at = None;
            let ways = self.ways.clone();
            self.opening = Some(tokio::spawn(async move { ways.open().await }));
            return None;
        };
        if !self.ways.could_be_better(line) {
            return None;
        }
        match self.better {
            Better::None => {
                let at = now + self.better_backoff.fail();
                self.better = Better::At(at);
                Some(at)
            }
            Better::At(at) if at > now => Some(at),
            Better::At(_) => {
                let main = line.main.clone();
                let ways = self.ways.clone();
                self.better = Better::Opening(tokio::spawn(async move {
                    let main = main.ok_or(NoWay::NoMain)?;
                    ways.open_classic(&main).await
                }));
                None
            }
            Better::Opening(_) => None,
            Better::Ready(_, until) => Some(until),
        }
    }

    /// Ends when an attempt has. It can be dropped while it waits.
    pub(super) async fn opened(&mut self) -> Event {
        let failed = |_| Err(NoWay::Failed("a fault of the SDK".to_owned()));
        if let Some(opening) = &mut self.opening {
            let opened = opening.await.unwrap_or_else(failed);
            self.opening = None;
            return Event::Opened(opened);
        }
        if let Better::Opening(opening) = &mut self.better {
            let opened = opening.await.unwrap_or_else(failed);
            self.better = Better::None;
            return Event::OpenedBetter(opened);
        }
        std::future::pending().await
    }

    pub(super) fn failed(&mut self, no_way: &NoWay, house: &House) {
        self.has_failed = true;
        let mut delay = self.backoff.fail();
        if no_way.is_lasting() {
            delay = delay.max(UNWANTED);
        }
        self.again_at = Some(Instant::now() + delay);
        let words = match no_way {
            NoWay::NoMain => format!("in the namespace \"{}\" {no_way}", self.ways.namespace()),
            no_way => no_way.to_string(),
        };
        if words != self.words {
            house.say(format_args!("{words}"));
            self.words = words;
        }
    }

    /// The main that was found and could not be reached.
    pub(super) fn main_out_of_reach(&self, no_way: &NoWay) -> Option<Meeting> {
        // One that does not want us is not ours.
        matches!(no_way, NoWay::Failed(_)).then(|| self.endpoint()).flatten()
    }

    /// What is known of our main, also of one that was never reached.
    pub(super) fn endpoint(&self) -> Option<Meeting> {
        self.ways.endpoint()
    }

    pub(super) fn connected(&mut self) {
        self.connected_at = Some(Instant::now());
        self.has_failed = false;
        self.words.clear();
        self.again_at = None;
        if !matches!(self.better, Better::Ready(..)) {
            self.better = Better::None;
        }
    }

    /// Says whether main is dead.
    pub(super) fn lost(&mut self, line: &Line) -> bool {
        let lived = self.connected_at.take().map_or(Duration::ZERO, |at| at.elapsed());
        if lived >= WORTHWHILE {
            self.hasty_ends = 0;
            self.backoff.reset();
            self.better_backoff.reset();
        } else {
            self.hasty_ends += 1;
        }
        if self.hasty_ends > HASTY {
            self.again_at = Some(Instant::now() + self.backoff.fail());
        }
        if let Better::Opening(opening) = &self.better {
            opening.abort();
        }
        if !matches!(self.better, Better::Ready(..)) {
            self.better = Better::None;
        }
        self.ways.lose(line);
        self.ways.is_main_dead()
    }

    /// Whether the main that was ours is known to be dead.
    pub(super) fn is_main_dead(&self) -> bool {
        self.ways.is_main_dead()
    }

    pub(super) fn doubt_welcome(&self) {
        self.ways.doubt_welcome();
    }

    pub(super) fn keep_better(&mut self, line: Line) {
        self.better = Better::Ready(Box::new(line), Instant::now() + BETTER_PATIENCE);
    }

    pub(super) fn no_better(&mut self) {
        self.better = Better::At(Instant::now() + self.better_backoff.fail());
    }

    pub(super) fn has_better(&self) -> bool {
        matches!(self.better, Better::Ready(..))
    }

    /// The better line, once nothing is under way on the other one, or that takes too long.
    pub(super) fn poll_better(&mut self, now: Instant, is_under_way: bool) -> Option<Line> {
        let is_over = matches!(self.better, Better::Ready(_, until) if until <= now);
        if is_under_way && !is_over { None } else { self.take_better() }
    }

    pub(super) fn take_better(&mut self) -> Option<Line> {
        match std::mem::replace(&mut self.better, Better::None) {
            Better::Ready(line, _) => Some(*line),
            other => {
                self.better = other;
                None
            }
        }
    }
}
