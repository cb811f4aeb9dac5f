//! Deadlines for peers, in which the time does not count that this thread was held up itself.
//!
//! On a machine that is busy a thread may come to run seconds after its timer was due. A deadline that has
//! passed meanwhile says nothing of the peer, which may have been held up as well, or have sent long ago
//! what nobody has read. So by how much a timer is late, by that much the peer has more time.
//!
//! What the application itself is promised (how long `flush` takes, and the end) is measured by the clock
//! on the wall, and not here.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A timer that is late by less was not held up.
const SLACK: Duration = Duration::from_millis(50);

/// The deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue;

/// Waits for something, until a deadline at most. What is there already counts, however late it is.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use guardhouse_process::fair_timeout::{Overdue, timeout_at};
/// use tokio::time::Instant;
///
/// assert_eq!(timeout_at(Instant::now(), async { "there" }).await, Ok("there"));
/// assert_eq!(timeout_at(Instant::now(), std::future::pending::<()>()).await, Err(Overdue));
/// # });
/// ```
pub async fn timeout_at<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Overdue> {
    let mut future = std::pin::pin!(future);
    // What was before nobody has waited for here.
    let mut due = deadline.max(Instant::now());
    loop {
        tokio::select! {
            biased;
            output = &mut future => return Ok(output),
            () = sleep_until(due) => {}
        }
        let late = due.elapsed();
        if late < SLACK {
            return Err(Overdue);
        }
        due = Instant::now() + late;
    }
}

/// The same, so long from now.
pub async fn timeout<F: Future>(time: Duration, future: F) -> Result<F::Output, Overdue> {
    timeout_at(Instant::now() + time, future).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_not_blamed_for_the_time_in_which_this_thread_was_held_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (answer, answered) = tokio::sync::oneshot::channel();
            let deadline = Instant::now() + Duration::from_millis(20);
            tokio::spawn(async move {
                // As if something else had the processor all the time.
                std::thread::sleep(Duration::from_millis(500));
                // What the peer has sent takes a few steps more.
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                let _ = answer.send("there");
            });
            let answered = timeout_at(deadline, answered).await;
            assert_eq!(answered, Ok(Ok("there")));
        });
    }
}
