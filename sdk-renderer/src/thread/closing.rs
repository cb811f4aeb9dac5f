//! The end, which takes no longer than the application wants to wait.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use guardhouse_process::doorway::Promised;

/// So much time is kept, if there is so much, for writing down what main has not taken.
const LAST_WORK: Duration = Duration::from_millis(200);

pub(super) struct Closing {
    /// When main has to have taken everything.
    until: Instant,
    deadline: Instant,
    /// Whether it is a panic that ends it. A goodbye would tell main that all is well.
    pub(super) is_panicking: bool,
    told: Arc<OnceLock<bool>>,
    done: Promised<bool>,
    /// Whether main has everything.
    pub(super) has_all: bool,
}

impl Closing {
    pub(super) fn new(deadline: Instant, is_panicking: bool, done: Promised<bool>) -> Self {
        let left = deadline.saturating_duration_since(Instant::now());
        let until = deadline - (left / 4).min(LAST_WORK);
        Self { until, deadline, is_panicking, told: Arc::default(), done, has_all: false }
    }

    /// The last flush: until when, and who is told.
    pub(super) fn flush(&self) -> (Instant, impl FnOnce(bool) + Send + 'static) {
        let told = self.told.clone();
        (self.until, move |is_durable| {
            let _ = told.set(is_durable);
        })
    }

    /// Gives up if there is no hope. Says when there is none any more anyway.
    pub(super) fn look(&mut self, now: Instant, is_hopeful: bool) -> Instant {
        if !is_hopeful || now >= self.until {
            let _ = self.told.set(false);
        }
        self.until.max(now)
    }

    pub(super) fn is_over(&self) -> bool {
        self.told.get().is_some()
    }

    pub(super) fn is_durable(&self) -> bool {
        self.told.get() == Some(&true)
    }

    /// How long saying goodbye may take.
    pub(super) fn end(&self) -> Instant {
        self.deadline.min(Instant::now() + LAST_WORK)
    }

    pub(super) fn finish(self) {
        self.done.keep(self.has_all);
    }
}
