//! What is said of each envelope, if the application wants to hear it: that it was taken, that it waits and
//! why, and what Sentry did with it.

use std::collections::BTreeMap;

use super::Outbox;
use crate::outbox::EntryId;
use crate::outbox::dispatcher::Verdict;
use crate::outbox::http::Answer;
use crate::outbox::spool::Placed;

/// What envelopes are called. Nothing is known of those that a former run has left.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<EntryId, String>);

impl Names {
    /// What one is called, or if there is none, the report of what was lost.
    pub(super) fn of(&self, id: Option<EntryId>) -> &str {
        match id {
            Some(id) => self.0.get(&id).map_or("envelope of a former run", |name| name),
            None => "the report of what was lost",
        }
    }
}

impl Outbox {
    /// Says that an envelope was taken, and what it waits for.
    pub(super) fn say_taken(&mut self, id: EntryId, placed: Placed, what: impl FnOnce() -> String) {
        if !self.house.debug {
            return;
        }
        self.names.0.retain(|id, _| self.pending.contains_key(id));
        let what = self.names.0.entry(id).or_insert(what());
        let is_on_disk = matches!(placed, Placed::Disk(_));
        let place = if is_on_disk { "it is on disk" } else { "only memory has it" };
        let waits = if self.dispatcher.is_paused() {
            ", and waits until the user agrees"
        } else if self.dispatcher.is_backing_off() {
            ", and waits until Sentry can be reached again"
        } else {
            ""
        };
        self.house.say(format_args!("took {what}; {place}{waits}"));
    }

    /// Says what Sentry did with an envelope, or with a report. If there was no answer, that was said.
    pub(super) fn say_concluded(
        &self,
        id: Option<EntryId>,
        verdict: Verdict,
        answered: Option<&Answer>,
    ) {
        if !self.house.debug {
            return;
        }
        let (what, Some(Answer { status, .. })) = (self.names.of(id), answered) else { return };
        let words = match verdict {
            Verdict::Delivered => format!("sent {what}"),
            Verdict::Discard => format!("Sentry took none of {what} (status {status})"),
            Verdict::Lose(_) => format!("Sentry refused {what} with status {status}"),
            Verdict::Keep => format!("{what} waits: Sentry answered with status {status}"),
        };
        self.house.say(format_args!("{words}"));
    }

    /// Says what former runs have left.
    pub(super) fn say_left(&self, count: usize) {
        let left = match count {
            0 => "nothing".to_owned(),
            1 => "1 envelope, which is sent now".to_owned(),
            _ => format!("{count} envelopes, which are sent now"),
        };
        self.house.say(format_args!("former runs have left {left}"));
    }
}
