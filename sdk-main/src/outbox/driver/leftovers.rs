//! What earlier runs left: taken over, concluded, and only then sent.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime};

use guardhouse_protocol::Envelope;

use super::uploads::Unready;
use super::{ADOPT_AT_ONCE, Outbox};
use crate::losses::Category;
use crate::outbox::dispatcher::Queued;
use crate::outbox::spool::{Entry, Outcome as RunOutcome, RunId};

impl Outbox {
    pub(super) fn adopt(&mut self) {
        let adopted = self.spool.adopt_some(ADOPT_AT_ONCE, SystemTime::now());
        self.is_adopting = adopted.is_more;
        let now = Instant::now();
        self.forget(&adopted.evicted);
        for entry in &adopted.found {
            self.found(now, entry);
        }
        self.tell_losses(now);
    }

    /// Whether what dead runs have left is all here, so that they can be concluded.
    pub(crate) fn has_adopted(&self) -> bool {
        !self.is_adopting
    }

    /// Whether what dead runs have left may be sent.
    pub(crate) fn has_concluded(&self) -> bool {
        self.held.is_none()
    }

    /// What earlier runs left about sessions.
    pub(crate) fn read_held(&mut self) -> Vec<Envelope> {
        let is_of_session = |entry: &&Entry| entry.categories.contains(&Category::Session);
        let held = self.held.iter().flatten().filter(is_of_session);
        let mut ids: VecDeque<_> = held.map(|entry| entry.id).collect();
        let mut read = Vec::new();
        while let Some(id) = ids.pop_front() {
            match self.spool.read(id) {
                Ok(envelope) => read.push(envelope),
                Err(error) => {
                    if let Unready::Salvaged(entry) = self.unready(error) {
                        ids.push_back(entry.id);
                        self.found(Instant::now(), &entry);
                    }
                }
            }
        }
        read
    }

    /// Lets it be sent, but for what is too old by now.
    pub(crate) fn release_held(&mut self) {
        let now = Instant::now();
        let expired = self.spool.expire(SystemTime::now());
        self.forget(&expired);
        if let Some(held) = &self.held {
            self.say_left(held.len());
        }
        for entry in self.held.take().into_iter().flatten() {
            // It may have been damaged, or too much.
            if self.spool.entry(entry.id).is_some() {
                self.queue(now, &entry);
            } else {
                self.forget(&[entry.id]);
            }
        }
        self.tell_losses(now);
    }

    /// Concludes a dead run.
    pub(crate) fn settle(&mut self, run: RunId, outcomes: &[RunOutcome<'_>]) {
        match self.spool.settle(run, outcomes, SystemTime::now()) {
            Ok(adopted) => {
                let now = Instant::now();
                self.forget(&adopted.evicted);
                for entry in &adopted.found {
                    self.found(now, entry);
                }
                self.tell_losses(now);
            }
            Err(error) => self.house.say(format_args!(
                "how a former run ended cannot be written down, and is tried again at the next \
                 start: {error}"
            )),
        }
    }

    pub(super) fn found(&mut self, now: Instant, entry: &Entry) {
        self.pending.insert(entry.id, None);
        match &mut self.held {
            Some(held) => held.push(entry.clone()),
            None => self.queue(now, entry),
        }
    }

    pub(super) fn queue(&mut self, now: Instant, entry: &Entry) {
        let queued = Queued::of_categories(entry.id, entry.priority, &entry.categories);
        let queued = if entry.is_from_earlier_run { queued.of_earlier_run() } else { queued };
        self.dispatcher.add(now, queued);
    }
}
