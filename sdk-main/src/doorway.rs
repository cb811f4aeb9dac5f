//! The way from the application's threads to the SDK's own: a bounded queue that nobody waits at.
//!
//! It holds a bounded number of bytes. What goes beyond is refused at once, which whoever brought it
//! counts (`queue_overflow`); only an empty queue takes something of any size. Requests without a
//! weight are never refused: there are few of them. What comes first is handed out first.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use guardhouse_protocol::limits::MIB;
use tokio::sync::Notify;

use crate::lock;

/// So many bytes wait for the SDK thread, which takes them on within milliseconds unless the disk
/// hangs.
pub(crate) const BYTES: usize = 64 * MIB;

/// The queue, shared by all threads.
#[derive(Debug)]
pub(crate) struct Doorway<T> {
    queue: Mutex<Queue<T>>,
    wake: Notify,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<T>,
    /// The bytes of what waits.
    taken: usize,
    is_closed: bool,
}

/// What goes through a [`Doorway`].
pub(crate) trait Visitor {
    /// The bytes that it takes up, or nothing if it must never be refused.
    fn weight(&self) -> usize;
}

impl<T: Visitor> Doorway<T> {
    pub(crate) fn new() -> Self {
        let queue = Queue { waiting: VecDeque::new(), taken: 0, is_closed: false };
        Self { queue: Mutex::new(queue), wake: Notify::new() }
    }

    /// Puts something into the queue, or gives it back if there is no room or nobody to take it.
    pub(crate) fn enter(&self, visitor: T) -> Result<(), T> {
        let weight = visitor.weight();
        {
            let mut queue = lock(&self.queue);
            let is_full = weight > 0 && queue.taken > 0 && queue.taken + weight > BYTES;
            if queue.is_closed || is_full {
                return Err(visitor);
            }
            queue.taken += weight;
            queue.waiting.push_back(visitor);
        }
        self.wake.notify_one();
        Ok(())
    }

    /// The next in the queue.
    pub(crate) fn next(&self) -> Option<T> {
        let mut queue = lock(&self.queue);
        let visitor = queue.waiting.pop_front()?;
        queue.taken -= visitor.weight();
        Some(visitor)
    }

    /// Ends when something was put in since the last time.
    pub(crate) async fn visited(&self) {
        self.wake.notified().await;
    }

    /// Lets nobody in any more, and hands out who was waiting.
    pub(crate) fn close(&self) -> VecDeque<T> {
        let mut queue = lock(&self.queue);
        queue.is_closed = true;
        queue.taken = 0;
        std::mem::take(&mut queue.waiting)
    }
}

/// An answer that a thread waits for, never longer than it wants to.
#[derive(Debug)]
pub(crate) struct Promise<T> {
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
pub(crate) struct Promised<T> {
    kept: Arc<(Mutex<Kept<T>>, Condvar)>,
}

/// A promise and its other end.
pub(crate) fn promise<T>() -> (Promised<T>, Promise<T>) {
    let kept = Arc::new((Mutex::new(Kept::Open), Condvar::new()));
    (Promised { kept: kept.clone() }, Promise { kept })
}

impl<T> Promised<T> {
    /// Answers.
    pub(crate) fn keep(self, answer: T) {
        self.put(Kept::With(answer));
    }

    fn put(&self, answer: Kept<T>) {
        let mut kept = lock(&self.kept.0);
        if matches!(*kept, Kept::Open) {
            *kept = answer;
            self.kept.1.notify_all();
        }
    }
}

impl<T> Drop for Promised<T> {
    fn drop(&mut self) {
        self.put(Kept::Never);
    }
}

impl<T> Promise<T> {
    /// Waits for the answer, until `deadline` at most.
    pub(crate) fn wait_until(&self, deadline: Instant) -> Option<T> {
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
