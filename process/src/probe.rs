//! What the scope of the main thread's hub holds in `sentry`, for the events of other processes.
//!
//! `sentry` lets nobody look into a scope, only apply it to an event. So a question is asked: an
//! event of a known id to which a copy of the scope is applied. An event processor of ours takes the
//! answer and drops the event, so that processors that were added to the scope after `init` never see
//! it. Those that were there before do, and if the application clears the scope, ours is gone and
//! nothing more is known of it. There is no telling when something was set; it counts as set when it
//! is first seen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::json::Json;
use guardhouse_protocol::scope::{Field, Refusals, ScopeUpdate};
use sentry::protocol::{Event, Level};
use sentry::types::Uuid;
use sentry::{Hub, Scope};

use crate::scope::to_json;

/// The id of the event that asks.
const QUESTION: Uuid = Uuid::from_u128(0x6775_6172_6468_6f75_7365_2061_736b_733f);

/// A level that nobody sets in a scope, so that one which was set can be told.
const NO_LEVEL: Level = Level::Debug;

thread_local! {
    static ANSWER: RefCell<Option<Event<'static>>> = const { RefCell::new(None) };
}

/// Lets the scope of a hub answer.
pub fn install(hub: &Hub) {
    hub.configure_scope(|scope| scope.add_event_processor(answer));
}

fn answer(event: Event<'static>) -> Option<Event<'static>> {
    if event.event_id != QUESTION {
        return Some(event);
    }
    ANSWER.set(Some(event));
    None
}

/// Remembers what the scope held, and tells what has changed.
#[derive(Debug, Default)]
pub struct Probe {
    seen: BTreeMap<Field, Json>,
}

impl Probe {
    /// What has changed in the scope of the main thread's hub since the last time.
    pub fn look(&mut self, now: Timestamp) -> (Vec<ScopeUpdate>, Refusals) {
        // A hub of its own, since changing a scope that others see could undo what they do.
        let copy = Hub::new_from_top(Hub::main());
        // Without a client, so that `sentry` does not report the dropped question in its debug output.
        let silence = Arc::new(Hub::new(None, Arc::default()));
        let event = Hub::run(silence, || copy.configure_scope(ask));
        event.map_or_else(Default::default, |event| self.compare(&event, now))
    }

    fn compare(&mut self, event: &Event<'_>, now: Timestamp) -> (Vec<ScopeUpdate>, Refusals) {
        let mut refusals = Refusals::default();
        let mut held = BTreeMap::new();
        let mut hold = |field, value: Option<Json>| match (field, value) {
            (Ok(field), Some(value)) => {
                held.insert(field, value);
            }
            (Err(refusal), _) => refusals.count(refusal),
            (Ok(_), None) => {}
        };
        for (key, value) in &event.tags {
            hold(Field::tag(key), to_json(value));
        }
        for (key, value) in &event.extra {
            hold(Field::extra(key), to_json(value));
        }
        for (key, value) in event.contexts.iter().filter(|(key, _)| *key != "trace") {
            hold(Field::context(key), to_json(value));
        }
        if let Some(user) = &event.user {
            hold(Ok(Field::User), to_json(user));
        }
        if let Some(transaction) = &event.transaction {
            hold(Ok(Field::Transaction), to_json(transaction));
        }
        if event.fingerprint != Event::<'_>::default().fingerprint {
            hold(Ok(Field::Fingerprint), to_json(&*event.fingerprint));
        }
        if event.level != NO_LEVEL {
            hold(Ok(Field::Level), to_json(&event.level));
        }

        let mut changes = Vec::new();
        for field in self.seen.keys().filter(|field| !held.contains_key(field)) {
            changes.push(ScopeUpdate::Unset(field.clone()));
        }
        for (field, value) in
            held.iter().filter(|(field, value)| self.seen.get(field) != Some(value))
        {
            match ScopeUpdate::set(field.clone(), value) {
                Ok(change) => changes.push(change.since(now)),
                Err(refusal) => {
                    refusals.count(refusal);
                    changes.push(ScopeUpdate::Unset(field.clone()));
                }
            }
        }
        self.seen = held;
        (changes, refusals)
    }
}

fn ask(scope: &mut Scope) -> Option<Event<'static>> {
    // Breadcrumbs are seen when they are added, and copying them is what would take time here.
    scope.clear_breadcrumbs();
    scope.set_span(None);
    let question = Event { event_id: QUESTION, level: NO_LEVEL, ..Event::default() };
    scope.apply_to_event(question);
    ANSWER.take()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn what_is_set_changed_and_removed_is_seen_and_no_processor_of_the_application_is_run() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let hub = Hub::main();
        install(&hub);
        let mut probe = Probe::default();
        let mut look = || {
            let (changes, refusals) = probe.look(Timestamp::from_unix(5, 0));
            assert!(refusals.is_empty());
            let texts: Vec<_> = changes.iter().map(|change| change.to_json().to_string()).collect();
            texts
        };
        assert!(look().is_empty());
        hub.configure_scope(|scope| {
            scope.add_event_processor(|event| {
                RUNS.fetch_add(1, Ordering::Relaxed);
                Some(event)
            });
            scope.set_tag("color", "red");
            scope.set_level(Some(Level::Warning));
        });
        let changes = look();
        assert_eq!(changes.len(), 2);
        assert!(changes[0].contains("warning") && changes[1].contains("red"), "{changes:?}");
        assert!(look().is_empty());
        hub.configure_scope(|scope| scope.remove_tag("color"));
        assert_eq!(look(), [r#"["unset","tag","color"]"#]);
        assert_eq!(RUNS.load(Ordering::Relaxed), 0);
        // Nobody answers any more, so nothing is known to have changed.
        hub.configure_scope(Scope::clear);
        assert!(look().is_empty());
    }
}
