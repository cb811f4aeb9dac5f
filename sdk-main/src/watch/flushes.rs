//! Who waits for everything to be sent.

use std::time::Instant;

use guardhouse_process::doorway::Promised;

use super::attaching::Attaching;
use super::backlog::Progress;
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
    /// What the first attachment is called that it does not wait for.
    attachment: u64,
    deadline: Instant,
    sent: Promised<bool>,
}

impl Flushes {
    /// Somebody waits.
    pub(super) fn add(
        &mut self,
        outbox: &mut Outbox,
        attachment: u64,
        deadline: Instant,
        sent: Promised<bool>,
    ) {
        outbox.hurry();
        self.waiting.push(Flush { last: None, attachment, deadline, sent });
    }

    /// Answers those for whom everything is sent, and those for whom it cannot be in time.
    pub(super) fn settle(
        &mut self,
        outbox: &Outbox,
        attaching: &Attaching,
        earlier: Progress,
        step: &Step,
        now: Instant,
    ) {
        for mut flush in std::mem::take(&mut self.waiting) {
            let is_attached = !attaching.has_before(flush.attachment);
            let is_all_here = is_attached && outbox.has_concluded() && earlier == Progress::Done;
            if flush.last.is_none() && is_all_here {
                flush.last = Some(outbox.newest());
            }
            // While something is read there may be nothing to send yet, which says nothing of the network.
            let may_come =
                earlier == Progress::Going || !is_attached && outbox.has_sent_all(flush.deadline);
            let cannot_be = step.cannot_send_before(flush.deadline) && !may_come;
            if flush.last.is_some_and(|last| outbox.has_sent_up_to(last, flush.deadline)) {
                flush.sent.keep(true);
            } else if now >= flush.deadline || cannot_be {
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
