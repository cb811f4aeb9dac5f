//! The way from the application's threads to the SDK's own: a bounded queue that nobody waits at.
//!
//! It holds a bounded number of bytes of each who brings something: of the process itself, and in main
//! of each renderer, so that none can keep another out; and of all renderers together. What goes beyond is
//! refused at once, which whoever brought it counts (`queue_overflow`); only who has nothing waiting may
//! bring something of any size. Requests without a weight are never refused: there are few of them.
//! What comes first is handed out first, but for a request that may not wait behind others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use guardhouse_protocol::limits::MIB;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::lock;

/// So many bytes of the process itself, and of each renderer, wait for the SDK thread, which takes them on within
/// milliseconds unless the disk hangs.
pub const BYTES: usize = 64 * MIB;
/// So many of all renderers together.
const ALL_BYTES: usize = 4 * BYTES;

/// The queue, shared by all threads.
#[derive(Debug)]
pub struct Doorway<T> {
    queue: Mutex<Queue<T>>,
    wake: Notify,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<T>,
    /// The bytes of what waits, of each who brought it.
    taken: HashMap<Option<Uuid>, usize>,
    is_closed: bool,
}

/// What goes through a [`Doorway`].
pub trait Visitor {
    /// The bytes that it takes up, or nothing if it must never be refused.
    fn weight(&self) -> usize;
    /// The renderer that it comes from, unless it is the process itself.
    fn comes_from(&self) -> Option<Uuid>;
}

impl<T: Visitor> Doorway<T> {
    /// An empty queue.
    pub fn new() -> Self {
        let queue = Queue { waiting: VecDeque::new(), taken: HashMap::new(), is_closed: false };
        Self { queue: Mutex::new(queue), wake: Notify::new() }
    }

    /// Puts something into the queue, or gives it back if there is no room or nobody to take it.
    pub fn enter(&self, visitor: T) -> Result<(), T> {
        let weight = visitor.weight();
        {
            let mut queue = lock(&self.queue);
            let from = visitor.comes_from();
            if queue.is_closed || queue.is_full_for(from, weight) {
                return Err(visitor);
            }
            if weight > 0 {
                *queue.taken.entry(from).or_default() += weight;
            }
            queue.waiting.push_back(visitor);
        }
        self.wake.notify_one();
        Ok(())
    }

    /// Puts a request without a weight in front of all others, or gives it back if there is nobody to take
    /// it.
    pub fn enter_first(&self, visitor: T) -> Result<(), T> {
        {
            let mut queue = lock(&self.queue);
            if queue.is_closed {
                return Err(visitor);
            }
            queue.waiting.push_front(visitor);
        }
        self.wake.notify_one();
        Ok(())
    }

    /// The next in the queue.
    pub fn next(&self) -> Option<T> {
        let mut queue = lock(&self.queue);
        let visitor = queue.waiting.pop_front()?;
        let (from, weight) = (visitor.comes_from(), visitor.weight());
        if let Some(taken) = queue.taken.get_mut(&from) {
            *taken = taken.saturating_sub(weight);
            if *taken == 0 {
                queue.taken.remove(&from);
            }
        }
        Some(visitor)
    }

    /// Ends when something was put in since the last time.
    pub async fn visited(&self) {
        self.wake.notified().await;
    }

    /// Lets nobody in any more, and hands out who was waiting.
    pub fn close(&self) -> VecDeque<T> {
        let mut queue = lock(&self.queue);
        queue.is_closed = true;
        queue.taken.clear();
        std::mem::take(&mut queue.waiting)
    }
}

impl<T: Visitor> Default for Doorway<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Queue<T> {
    fn is_full_for(&self, from: Option<Uuid>, weight: usize) -> bool {
        let own = self.taken.get(&from).copied().unwrap_or(0);
        let of_renderers =
            || self.taken.iter().filter(|(it, _)| it.is_some()).map(|(_, it)| it).sum();
        let all: usize = if from.is_some() { of_renderers() } else { own };
        let is_too_much = own > 0 && own + weight > BYTES || all > 0 && all + weight > ALL_BYTES;
        weight > 0 && is_too_much
    }
}

/// When a wait of so long is over. One that no clock can tell the end of is a wait of a month.
pub fn deadline_in(timeout: Duration) -> Instant {
    const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(timeout.min(MONTH)).unwrap_or(now)
}

/// An answer that a thread waits for, never longer than it wants to.
#[derive(Debug)]
pub struct Promise<T> {
    kept: Arc<(Mutex<Kept<T>>, Condvar)>,
}

#[derive(Debug)]
enum Kept<T> {
    Open,
    With(T),
    /// Nobody is going to answer any more.
    Never,
}

/// The other end of a [`Promise`]: dropping it ends the waiting without an answer.
#[derive(Debug)]
pub struct Promised<T> {
    kept: Arc<(Mutex<Kept<T>>, Condvar)>,
}

/// A promise and its other end.
pub fn promise<T>() -> (Promised<T>, Promise<T>) {
    let kept = Arc::new((Mutex::new(Kept::Open), Condvar::new()));
    (Promised { kept: kept.clone() }, Promise { kept })
}

impl<T> Promised<T> {
    /// Answers.
    pub fn keep(self, answer: T) {
        settle(&self.kept, Kept::With(answer));
    }
}

fn settle<T>(kept: &(Mutex<Kept<T>>, Condvar), answer: Kept<T>) {
    let mut state = lock(&kept.0);
    if matches!(*state, Kept::Open) {
        *state = answer;
        kept.1.notify_all();
    }
}

impl<T> Drop for Promised<T> {
    fn drop(&mut self) {
        settle(&self.kept, Kept::Never);
    }
}

/// Ends the waiting for a [`Promise`] without an answer.
#[derive(Debug)]
pub struct Breaker<T> {
    kept: Arc<(Mutex<Kept<T>>, Condvar)>,
}

impl<T> Breaker<T> {
    /// Ends it.
    pub fn end(&self) {
        settle(&self.kept, Kept::Never);
    }

    /// Whether it is the breaker of this promise.
    pub fn is_of(&self, promise: &Promise<T>) -> bool {
        Arc::ptr_eq(&self.kept, &promise.kept)
    }
}

impl<T> Promise<T> {
    /// What ends the waiting from another thread.
    pub fn breaker(&self) -> Breaker<T> {
        Breaker { kept: self.kept.clone() }
    }

    /// Waits for the answer, until `deadline` at most.
    pub fn wait_until(&self, deadline: Instant) -> Option<T> {
        let mut kept = lock(&self.kept.0);
        loop {
            match std::mem::replace(&mut *kept, Kept::Never) {
                Kept::With(answer) => return Some(answer),
                Kept::Never => return None,
                Kept::Open => *kept = Kept::Open,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return None;
            }
            kept = match self.kept.1.wait_timeout(kept, left) {
                Ok((kept, _)) => kept,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Visitor for usize {
        fn weight(&self) -> usize {
            *self
        }

        fn comes_from(&self) -> Option<Uuid> {
            None
        }
    }

    impl Visitor for (u128, usize) {
        fn weight(&self) -> usize {
            self.1
        }

        fn comes_from(&self) -> Option<Uuid> {
            (self.0 > 0).then(|| Uuid::from_u128(self.0))
        }
    }

    #[test]
    fn one_who_brings_much_keeps_nobody_else_out() {
        let doorway = Doorway::new();
        doorway.enter((1, BYTES)).unwrap();
        assert!(doorway.enter((1, 1)).is_err());
        doorway.enter((2, BYTES)).unwrap();
        doorway.enter((3, BYTES)).unwrap();
        doorway.enter((4, BYTES)).unwrap();
        assert!(doorway.enter((5, 1)).is_err(), "all renderers together have brought enough");
        doorway.enter((0, BYTES)).unwrap();
        assert_eq!(doorway.next(), Some((1, BYTES)));
        doorway.enter((5, 1)).unwrap();
    }

    #[test]
    fn nothing_beyond_the_bound_gets_in_and_what_is_taken_makes_room() {
        let doorway = Doorway::new();
        doorway.enter(BYTES).unwrap();
        assert_eq!(doorway.enter(1), Err(1));
        doorway.enter(0).unwrap();
        assert_eq!(doorway.next(), Some(BYTES));
        doorway.enter(1).unwrap();
        assert_eq!((doorway.next(), doorway.next(), doorway.next()), (Some(0), Some(1), None));
    }

    #[test]
    fn what_may_not_wait_is_handed_out_before_all_others() {
        let doorway = Doorway::new();
        doorway.enter(1).unwrap();
        doorway.enter_first(0).unwrap();
        assert_eq!((doorway.next(), doorway.next()), (Some(0), Some(1)));
        doorway.close();
        assert_eq!(doorway.enter_first(0), Err(0));
    }

    #[test]
    fn a_closed_doorway_gives_back_what_waited_and_lets_nobody_in() {
        let doorway = Doorway::new();
        doorway.enter(1).unwrap();
        assert_eq!(doorway.close(), [1]);
        assert_eq!(doorway.enter(0), Err(0));
    }

    #[test]
    fn an_answer_is_waited_for_and_a_broken_promise_is_not() {
        let far = Instant::now() + Duration::from_secs(600);
        let (promised, promise) = promise();
        let answering = std::thread::spawn(move || promised.keep(7));
        assert_eq!(promise.wait_until(far), Some(7));
        answering.join().unwrap();
        let (promised, promise) = super::promise::<()>();
        drop(promised);
        assert_eq!(promise.wait_until(far), None);
        let (_promised, promise) = super::promise::<()>();
        assert_eq!(promise.wait_until(Instant::now()), None);
    }
}
