//! Who waits for everything to be sent.

use std::time::Instant;

use guardhouse_process::doorway::Promised;

use crate::outbox::{EntryId, Outbox, Step};

/// All who wait.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    waiting: Vec<Flush>,
}

#[derive(Debug)]
struct Flush {
    /// The last that has to be sent; not known while what earlier runs left is not.
    last: Option<Option<EntryId>>,
    deadline: Instant,
    sent: Promised<bool>,
}

impl Flushes {
    /// Somebody waits.
    pub(super) fn add(&mut self, outbox: &mut Outbox, deadline: Instant, sent: Promised<bool>) {
        outbox.hurry();
        self.waiting.push(Flush { last: None, deadline, sent });
    }

    /// Answers those for whom everything is sent, and those for whom it cannot be in time.
    pub(super) fn settle(&mut self, outbox: &Outbox, step: &Step, now: Instant) {
        for mut flush in std::mem::take(&mut self.waiting) {
            if flush.last.is_none() && outbox.has_concluded() {
                flush.last = Some(outbox.newest());
            }
            if flush.last.is_some_and(|last| outbox.has_sent_up_to(last, flush.deadline)) {
                flush.sent.keep(true);
            } else if now >= flush.deadline || step.cannot_send_before(flush.deadline) {
                flush.sent.keep(false);
            } else {
                self.waiting.push(flush);
            }
        }
    }

    /// There is nobody to send anything to.
    pub(super) fn nothing_to_send(&mut self) {
        for flush in self.waiting.drain(..) {
            flush.sent.keep(true);
        }
    }

    /// The application ends: nobody waits any more.
    pub(super) fn give_up(&mut self) {
        for flush in self.waiting.drain(..) {
            flush.sent.keep(false);
        }
    }
}
