//! What the application does with renderers' events: it looks at them, changes or drops them.
//!
//! `before_send` and event processors of the `sentry` crate take its typed `Event`, which cannot hold
//! all that a browser sends. So they get a [view] of the event, with what the type can hold; what they
//! [change] of that is changed in the text of the event, and what the view does not show survives.
//! Without hooks none of this costs anything.

mod change;
mod view;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use guardhouse_protocol::Item;
use sentry::protocol::Event;

use super::Facts;
use crate::losses::Reason;

/// Looks at an event, and hands it back as it shall be sent, or drops it.
pub type Hook = Arc<dyn Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync>;

/// What the application does with the events of renderers. Transactions, feedback, replays and all
/// else is not shown to it, as in the `sentry` crate.
///
/// A hook that panics is as if it were not there, and counted in
/// [`Facts::panics`](super::Facts::panics). The id of an event is not up for change: the envelope says
/// it too.
///
/// ```
/// use guardhouse_main::merge::{Hooks, Identity, Merge};
///
/// let hooks = Hooks::new()
///     .processor(|mut event| {
///         event.server_name = None;
///         Some(event)
///     })
///     .before_send(|event| (event.logger.as_deref() != Some("noise")).then_some(event))
///     .sample_rate(0.5);
/// let merge = Merge::new(Identity::new("production")).with_hooks(hooks);
/// ```
#[derive(Clone)]
pub struct Hooks {
    processors: Vec<Hook>,
    before_send: Option<Hook>,
    sample_rate: f64,
}

impl Hooks {
    /// None.
    pub fn new() -> Self {
        Self { processors: Vec::new(), before_send: None, sample_rate: 1.0 }
    }

    /// Adds an event processor. They run in the order in which they were added, before `before_send`.
    pub fn processor(
        mut self,
        processor: impl Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync + 'static,
    ) -> Self {
        self.processors.push(Arc::new(processor));
        self
    }

    /// Sets what has the last word.
    pub fn before_send(
        mut self,
        before_send: impl Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync + 'static,
    ) -> Self {
        self.before_send = Some(Arc::new(before_send));
        self
    }

    /// Sets which part of the events is sent, from none (0) to all (1). It is asked first.
    pub fn sample_rate(mut self, sample_rate: f64) -> Self {
        self.sample_rate = sample_rate;
        self
    }

    pub(super) fn chooses(&self, dice: f64) -> bool {
        dice < self.sample_rate
    }

    /// Whether nobody wants to see events.
    pub(super) fn is_empty(&self) -> bool {
        self.processors.is_empty() && self.before_send.is_none()
    }

    /// Shows the event to all hooks and makes the changes that they made, or says who dropped it.
    pub(super) fn run(&self, item: &mut Item, facts: &mut Facts) -> Result<(), Reason> {
        let hooks = self.processors.iter().map(|hook| (hook, Reason::EventProcessor));
        let hooks = hooks.chain(self.before_send.iter().map(|hook| (hook, Reason::BeforeSend)));
        // What is no event is not shown to anybody.
        let Ok(raw) = item.json() else { return Ok(()) };
        let mut event = view::of(&raw);
        let Ok(before) = serde_json::to_value(&event) else { return Ok(()) };
        for (hook, reason) in hooks {
            let shown = event.clone();
            match catch_unwind(AssertUnwindSafe(|| hook(shown))) {
                Ok(Some(changed)) => event = changed,
                Ok(None) => return Err(reason),
                Err(_) => facts.panics += 1,
            }
        }
        let Ok(mut after) = serde_json::to_value(&event) else { return Ok(()) };
        if let (Some(after), Some(id)) = (after.as_object_mut(), before.get("event_id")) {
            after.insert("event_id".into(), id.clone());
        }
        if before == after {
            return Ok(());
        }
        let changed = change::made(Some(raw.as_value()), &before, &after);
        item.set_payload(changed.text().to_owned()).map_err(|_| Reason::Invalid)
    }
}

impl Default for Hooks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("processors", &self.processors.len())
            .field("before_send", &self.before_send.is_some())
            .field("sample_rate", &self.sample_rate)
            .finish()
    }
}
