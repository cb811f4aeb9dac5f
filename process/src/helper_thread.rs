//! Work that may take its time, done on a thread of its own, if there can be one.
//!
//! The functions of tokio that start a thread (`spawn_blocking`, `lookup_host` and all of `tokio::fs`)
//! panic where the system gives none, which ends an application that aborts when something panics.
//! Here that is an error, and the work is given back.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use tokio::sync::oneshot;

/// So many run at the same time, in the whole process. Where the disk or the network hangs, each of them may.
const MOST: usize = 16;

static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Starts a thread that does the work. What is returned is the result when it is there, and an error if
/// the work has panicked. Where there can be no thread the work is given back, with the reason.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use guardhouse_process::helper_thread;
///
/// let Ok(sum) = helper_thread::run(|| 1 + 2) else { panic!("there is no thread") };
/// assert_eq!(sum.await, Ok(3));
/// # });
/// ```
pub fn run<T, F>(work: F) -> Result<oneshot::Receiver<T>, (io::Error, F)>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let Some(place) = Place::take() else {
        let why = "as many threads as there may be wait for the disk or the network already";
        return Err((io::Error::new(io::ErrorKind::WouldBlock, why), work));
    };
    let (done, result) = oneshot::channel();
    // It gets the work when it is there, so that there is still somebody to give it back otherwise.
    let (hand_over, handed_over) = mpsc::channel::<F>();
    let thread = std::thread::Builder::new().name("guardhouse-help".to_owned()).spawn(move || {
        let _place = place;
        if let Ok(work) = handed_over.recv() {
            let _ = done.send(work());
        }
    });
    match thread {
        Ok(_) => {
            // It waits for it.
            let _ = hand_over.send(work);
            Ok(result)
        }
        Err(error) => Err((error, work)),
    }
}

/// One of the threads that may run, until it is dropped.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let more = |running| (running < MOST).then_some(running + 1);
        RUNNING.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_uses_up_no_more_than_the_threads_that_there_may_be() {
        let (go_on, hanging) = mpsc::channel::<()>();
        let hanging = std::sync::Arc::new(std::sync::Mutex::new(hanging));
        let mut results = Vec::new();
        let back = loop {
            let hanging = hanging.clone();
            match run(move || {
                let _ = crate::lock(&hanging).recv();
            }) {
                Ok(result) => results.push(result),
                Err((error, work)) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    break work;
                }
            }
        };
        assert!(results.len() <= MOST);
        drop(go_on);
        for result in results {
            result.blocking_recv().unwrap();
        }
        // What was given back can be done.
        back();
    }
}
