//! What intake remembers of a renderer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use guardhouse_protocol::{Channel, Message, contract};

use super::Accepted;
use super::budget::Budget;

/// Most messages of different kinds that are kept of a renderer until it has budget again. A kind is a
/// channel, and of heartbeats the thread: few have as many threads that are watched.
const KEPT: usize = 32;

#[derive(Debug)]
pub(super) struct Renderer {
    /// When it was heard last.
    pub(super) heard: Instant,
    /// How many bytes of what was accepted of it are held.
    pub(super) held: Arc<AtomicUsize>,
    budgets: BTreeMap<Channel, Budget>,
    kept: BTreeMap<Kind, Kept>,
    /// When the first of the kept messages has budget.
    kept_until: Option<Instant>,
}

#[derive(Debug)]
struct Kept {
    /// What it costs of the budget.
    bytes: usize,
    accepted: Accepted,
}

/// Of several messages of a kind only the last has an effect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    channel: Channel,
    thread: Option<Box<str>>,
}

impl Kind {
    fn of(message: &Message) -> Self {
        let thread = match message {
            Message::Status(status) => status.thread().map(Into::into),
            _ => None,
        };
        Self { channel: message.channel(), thread }
    }
}

impl Renderer {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            heard: now,
            held: Arc::default(),
            budgets: BTreeMap::new(),
            kept: BTreeMap::new(),
            kept_until: None,
        }
    }

    pub(super) fn budget(
        &mut self,
        channel: Channel,
        terms: &contract::Budget,
        now: Instant,
    ) -> &mut Budget {
        self.budgets.entry(channel).or_insert_with(|| Budget::new(terms, now))
    }

    /// A message of the kind has an effect now, so an older one has none any more.
    pub(super) fn replace(&mut self, message: &Message) {
        if !self.kept.is_empty() {
            self.kept.remove(&Kind::of(message));
            self.plan();
        }
    }

    /// Keeps a message until there is budget for its bytes, in place of an older one of its kind. Says
    /// whether there was a place for it.
    pub(super) fn keep(&mut self, bytes: usize, accepted: Accepted) -> bool {
        let kind = Kind::of(&accepted.message);
        let has_place = self.kept.len() < KEPT || self.kept.contains_key(&kind);
        if has_place {
            self.kept.insert(kind, Kept { bytes, accepted });
            self.plan();
        }
        has_place
    }

    /// A kept message for which there is budget now.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Accepted> {
        if self.kept_until? > now {
            return None;
        }
        let mut ready = None;
        for (kind, kept) in &self.kept {
            let Some(budget) = self.budgets.get_mut(&kind.channel) else { continue };
            if budget.lacks(kept.bytes, now).is_none() {
                budget.spend(kept.bytes);
                ready = Some(kind.clone());
                break;
            }
        }
        let ready = ready.and_then(|kind| self.kept.remove(&kind));
        // If others have used the budget up, it is later now.
        self.plan();
        ready.map(|kept| kept.accepted)
    }

    pub(super) fn timeout(&self) -> Option<Instant> {
        self.kept_until
    }

    fn plan(&mut self) {
        let enough_at = |(kind, kept): (&Kind, &Kept)| {
            self.budgets.get(&kind.channel).map(|budget| budget.enough_at(kept.bytes))
        };
        self.kept_until = self.kept.iter().filter_map(enough_at).min();
    }
}
