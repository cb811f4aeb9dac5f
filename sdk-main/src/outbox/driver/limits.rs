//! What Sentry's limits mean here: what is given up for them, what waits, and what is said of it.

use std::time::{Instant, SystemTime};

use guardhouse_process::timestamp;
use guardhouse_protocol::{Envelope, Header, Item, ItemType};

use super::Outbox;
use crate::losses::{Category, Losses, Reason};
use crate::outbox::dispatcher::Verdict;
use crate::outbox::{EntryId, Priority};

/// The items that an envelope was sent without.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    losses: Losses,
    /// How a run goes has to be told once it may be, so it is not given up.
    sessions: Vec<Item>,
}

impl LeftOut {
    pub(super) fn new(items: Vec<Item>) -> Self {
        let mut left_out = Self::default();
        for item in items {
            if item.item_type() == ItemType::Session {
                left_out.sessions.push(item);
            } else {
                left_out.losses.count_item(&item, Reason::RatelimitBackoff);
            }
        }
        left_out
    }
}

/// Until when Sentry limits what.
pub(super) type Limited = Vec<(Category, Instant)>;

impl Outbox {
    /// Says what becomes of what an envelope was sent without, before the envelope is deleted.
    pub(super) fn conclude_left_out(&mut self, verdict: Verdict, left_out: LeftOut) {
        // What is kept is kept as a whole, and what is refused is counted as a whole.
        if !matches!(verdict, Verdict::Delivered | Verdict::Discard) {
            return;
        }
        self.count(&left_out.losses);
        let mut envelope = Envelope::new(Header::new());
        for item in left_out.sessions {
            let _ = envelope.push(item);
        }
        if !envelope.items().is_empty() {
            self.put(Priority::Session, &envelope, None);
        }
    }

    /// Gives up what Sentry wants none of now.
    pub(super) fn drop_limited(&mut self, id: EntryId) {
        self.house.say(format_args!(
            "an envelope was dropped and counted: it holds only what Sentry limits ({})",
            self.limits_in_words(),
        ));
        self.spool.lose(id, Reason::RatelimitBackoff);
        self.forget(&[id]);
    }

    /// Whether everything up to an envelope is gone that may be sent before the deadline: Sentry's own
    /// limits hold the others back for longer.
    pub(crate) fn has_sent_up_to(&self, last: Option<EntryId>, deadline: Instant) -> bool {
        let Some(last) = last else { return self.pending.is_empty() };
        let now = Instant::now();
        let is_held = |id: &EntryId| {
            self.dispatcher.held_until(now, *id).is_some_and(|until| until > deadline)
        };
        self.pending.range(..=last).all(|(id, _)| is_held(id))
    }

    /// Whether nothing waits that may be sent before the deadline.
    pub(crate) fn has_sent_all(&self, deadline: Instant) -> bool {
        self.has_concluded() && self.has_sent_up_to(self.newest(), deadline)
    }

    /// What Sentry limits, to tell what an answer has changed of it.
    pub(super) fn limited(&self) -> Limited {
        self.dispatcher.limited_by_sentry(Instant::now()).collect()
    }

    /// Says what Sentry limits if that is something new.
    pub(super) fn say_limits(&self, before: &Limited) {
        let is_new = |limit: &(Category, Instant)| !before.contains(limit);
        if !self.limited().iter().any(is_new) {
            return;
        }
        let now = Instant::now();
        let is_held = |id: &&EntryId| self.dispatcher.held_until(now, **id).is_some();
        let held = self.pending.keys().filter(is_held).count();
        self.house.say(format_args!(
            "Sentry limits what it takes: {}. Until then, {held} envelopes are held back; \
             transactions, spans, logs, metrics, profiles, replays and attachments are dropped and \
             counted",
            self.limits_in_words(),
        ));
    }

    /// Says that an envelope is held back, if it is.
    pub(super) fn say_held(&self, id: EntryId) {
        if self.dispatcher.held_until(Instant::now(), id).is_some() {
            let limits = self.limits_in_words();
            self.house.say(format_args!("an envelope is held back by Sentry's limits: {limits}"));
        }
    }

    /// Such as `error until 2026-11-27T09:00:00Z`.
    fn limits_in_words(&self) -> String {
        let (now, today) = (Instant::now(), SystemTime::now());
        let mut by_time: Vec<(Instant, Vec<&str>)> = Vec::new();
        for (category, until) in self.dispatcher.limited_by_sentry(now) {
            match by_time.iter_mut().find(|(at, _)| *at == until) {
                Some((_, names)) => names.push(category.name()),
                None => by_time.push((until, vec![category.name()])),
            }
        }
        let words = by_time.into_iter().map(|(until, names)| {
            let names = if names.len() == Category::ALL.len() {
                "everything".into()
            } else {
                names.join(", ")
            };
            format!("{names} until {}", timestamp(today + (until - now)))
        });
        words.collect::<Vec<_>>().join("; ")
    }
}
