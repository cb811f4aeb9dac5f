//! The end: what can be sent in time is sent, the rest is left in order.

use std::time::{Duration, Instant};

use guardhouse_process::doorway::Promised;

use super::backlog::Progress;
use crate::outbox::{Outbox, Step};

/// What is kept of the time for what comes after the sending: making things durable, and handing the
/// run's directory over.
const RESERVE: Duration = Duration::from_millis(50);

/// The application has said that it ends.
pub(super) struct Closing {
    until: Instant,
    done: Promised<bool>,
    /// Whether there is no more to wait for, and if so whether everything was sent.
    is_sent: Option<bool>,
    /// Whether something is left for the next start to merge.
    pub(super) is_put_aside: bool,
    outbox: Option<Outbox>,
}

impl Closing {
    pub(super) fn new(deadline: Instant, done: Promised<bool>) -> Self {
        let left = deadline.saturating_duration_since(Instant::now());
        let until = deadline.checked_sub(RESERVE.min(left / 10)).unwrap_or(deadline);
        Self { until, done, is_sent: None, is_put_aside: false, outbox: None }
    }

    /// Until when things are sent.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Looks whether there is something to wait for.
    /// What is being attached is waited for even if nothing can be sent, and so is what is being merged.
    pub(super) fn look(
        &mut self,
        outbox: &Outbox,
        is_attaching: bool,
        earlier: Progress,
        step: &Step,
        now: Instant,
    ) {
        if is_attaching || earlier == Progress::Going {
            self.is_sent = (now >= self.until).then_some(false);
        } else if outbox.has_sent_all(self.until) && earlier == Progress::Done {
            self.is_sent = Some(!self.is_put_aside);
        } else if now >= self.until || step.cannot_send_before(self.until) {
            self.is_sent = Some(false);
        }
    }

    /// Whether it is over. With nothing to send to, it is at once.
    pub(super) fn is_due(&self, outbox: &Option<Outbox>) -> bool {
        self.is_sent.is_some() || outbox.is_none()
    }

    /// Takes what is left, when nothing is sent any more.
    pub(super) fn with(mut self, outbox: Option<Outbox>) -> Self {
        self.outbox = outbox;
        if let Some(outbox) = &mut self.outbox {
            outbox.abandon();
        }
        self
    }

    /// Puts everything in order, and says so as the last thing of all.
    pub(super) fn finish(self) {
        let Self { done, is_sent, outbox, .. } = self;
        if let Some(outbox) = outbox {
            outbox.close();
        }
        done.keep(is_sent.unwrap_or(true));
    }
}
