//! The scope of all processes, laid over what main itself captures.
//!
//! `sentry` has put its own scope on the event already, so everything the event has stays; only what
//! it lacks is added. Then the application's event processors see it, and after them `sentry` calls
//! `before_send`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use guardhouse_process::{call_about_event, timestamp};
use guardhouse_protocol::json::{Json, Object, Value as Text};
use guardhouse_protocol::scope::Field;
use sentry::protocol::{Breadcrumb, Context, Event, Map, User, Value};
use sentry::{ClientOptions, Integration};

use crate::house::House;
use crate::merge::{OWN_CONTEXT, TOO_EARLY};

/// The integration that [`init`](crate::init) adds to the client, behind all others.
pub(crate) struct ScopeOfAll(pub(crate) Arc<House>);

impl Integration for ScopeOfAll {
    fn name(&self) -> &'static str {
        "guardhouse"
    }

    fn process_event(
        &self,
        mut event: Event<'static>,
        _options: &ClientOptions,
    ) -> Option<Event<'static>> {
        // With its logs, `sentry` shows every integration an event that is none while the client is
        // made, only to see what they add. The application's functions should not hear of it.
        if !self.0.is_bound() {
            return Some(event);
        }
        let (scope, level) = self.0.scope_of_main();
        for (field, entry) in scope.fields() {
            add(&mut event, field, entry.value().as_value());
        }
        // `sentry` lets the level of a scope win over the event's, and so do we for main's own.
        if let Some(level) = level {
            event.level = parse(level.as_value()).unwrap_or(event.level);
        }
        match self.0.contexts() {
            Some(contexts) => add_contexts(&mut event, &contexts),
            // The SDK thread adds them, unless the application takes the mark away.
            None => {
                let mark = Map::from([(TOO_EARLY.to_owned(), true.into())]);
                event.contexts.insert(OWN_CONTEXT.to_owned(), Context::Other(mark));
            }
        }
        // Times are written to the microsecond. One that cannot be is later than everything.
        let end = event.timestamp.checked_add(Duration::from_micros(1));
        let end = end.map_or(usize::MAX, |end| scope.breadcrumbs_before(timestamp(end)));
        let breadcrumbs = scope.breadcrumbs().take(end).map(|breadcrumb| breadcrumb.value());
        add_breadcrumbs(
            &mut event.breadcrumbs.values,
            breadcrumbs,
            self.0.own_scope.max_breadcrumbs(),
        );
        self.0
            .processors
            .iter()
            .try_fold(event, |event, processor| call_about_event(processor, event))
    }
}

/// Adds what is known of the application and the machine. It is here already so that `before_send`
/// sees it.
fn add_contexts(event: &mut Event<'static>, contexts: &Json) {
    for member in contexts.as_object().iter().flat_map(Object::members) {
        let key = member.key();
        if !event.contexts.contains_key(&*key)
            && let Some(context) = context(&key, member.value())
        {
            event.contexts.insert(key.into_owned(), context);
        }
    }
}

/// Adds the value of a field of the scope where the event has none.
fn add(event: &mut Event<'static>, field: &Field, value: Text<'_>) {
    let key = || field.key().map(|key| key.to_str().into_owned()).unwrap_or_default();
    match field {
        Field::Tag(_) => {
            event.tags.entry(key()).or_insert_with(|| text(value));
        }
        Field::Extra(_) => {
            if let Some(value) = parse(value) {
                event.extra.entry(key()).or_insert(value);
            }
        }
        Field::Context(_) => {
            let key = key();
            if !event.contexts.contains_key(&key)
                && let Some(context) = context(&key, value)
            {
                event.contexts.insert(key, context);
            }
        }
        Field::User if event.user.is_none() => event.user = user(value),
        Field::Transaction if event.transaction.is_none() => event.transaction = parse(value),
        Field::Fingerprint if event.fingerprint == Event::default().fingerprint => {
            if let Some(fingerprint) = parse(value) {
                event.fingerprint = fingerprint;
            }
        }
        _ => {}
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: Text<'_>) -> Option<T> {
    serde_json::from_str(value.text()).ok()
}

/// A scalar as Sentry shows it in a tag.
fn text(value: Text<'_>) -> String {
    value.as_str().map_or_else(|| value.text().to_owned(), Cow::into_owned)
}

/// The context as `sentry` types it, which depends on its key; or as any object.
fn context(key: &str, value: Text<'_>) -> Option<Context> {
    let members: Map<String, Value> = parse(value)?;
    let mut typed = members.clone();
    typed.entry("type".to_owned()).or_insert_with(|| key.into());
    let typed = serde_json::to_value(typed).ok()?;
    Some(serde_json::from_value(typed).unwrap_or(Context::Other(members)))
}

/// The user, also one whose id is a number, as some SDKs allow.
fn user(value: Text<'_>) -> Option<User> {
    if let Some(user) = parse(value) {
        return Some(user);
    }
    let mut members: Map<String, Value> = parse(value)?;
    let mut take = |key: &str| match members.remove(key)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    let (id, email, username) = (take("id"), take("email"), take("username"));
    let ip_address = take("ip_address").and_then(|address| address.parse().ok());
    Some(User { id, email, username, ip_address, other: members })
}

/// Adds what happened in all processes to what the event carries, in order of time, once each. What it
/// carries stays, and of the others the newest that there is room for.
fn add_breadcrumbs<'t>(
    carried: &mut Vec<Breadcrumb>,
    others: impl Iterator<Item = Text<'t>>,
    max: usize,
) {
    let mut known: HashSet<_> = carried.iter().map(|known| identity(known, None)).collect();
    let others: Vec<Breadcrumb> = others
        .filter_map(|text| {
            let breadcrumb = parse(text)?;
            known.insert(identity(&breadcrumb, Some(text))).then_some(breadcrumb)
        })
        .collect();
    let surplus = (carried.len() + others.len()).saturating_sub(max).min(others.len());
    carried.extend(others.into_iter().skip(surplus));
    carried.sort_by_key(|breadcrumb| breadcrumb.timestamp);
}

/// What tells one breadcrumb from another: what it says, and the time as the number that it is in
/// JSON. That is taken from the text it was read from, if it was: `serde_json` reads it as a number
/// that is next to it now and then, and `sentry` makes nanoseconds of that.
fn identity(
    breadcrumb: &Breadcrumb,
    text: Option<Text<'_>>,
) -> (u64, Option<String>, Option<String>) {
    let written = text.and_then(|text| text.as_object()?.get("timestamp")?.as_f64());
    let time = written.unwrap_or_else(|| {
        breadcrumb.timestamp.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    });
    (time.to_bits(), breadcrumb.category.clone(), breadcrumb.message.clone())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn at(millis: u64, message: &str) -> Breadcrumb {
        Breadcrumb {
            timestamp: SystemTime::UNIX_EPOCH + Duration::from_millis(millis),
            message: Some(message.to_owned()),
            ..Breadcrumb::default()
        }
    }

    #[test]
    fn what_the_event_has_stays_and_what_it_lacks_is_added() {
        let mut event = Event::default();
        event.tags.insert("a".into(), "own".into());
        let json = |text: &str| Json::parse(text.as_bytes()).unwrap();
        add(&mut event, &Field::tag("a").unwrap(), json(r#""other""#).as_value());
        add(&mut event, &Field::tag("b").unwrap(), json(r#""other""#).as_value());
        add(&mut event, &Field::User, json(r#"{"id":7,"email":"a@b","plan":"x"}"#).as_value());
        add(&mut event, &Field::context("os").unwrap(), json(r#"{"name":"Linux"}"#).as_value());
        add(&mut event, &Field::context("mine").unwrap(), json(r#"{"deep":[1,2]}"#).as_value());
        assert_eq!(event.tags["a"], "own");
        assert_eq!(event.tags["b"], "other");
        let user = event.user.unwrap();
        assert_eq!((user.id.as_deref(), user.email.as_deref()), (Some("7"), Some("a@b")));
        assert_eq!(user.other["plan"], "x");
        assert!(matches!(event.contexts["os"], Context::Os(_)));
        assert!(matches!(event.contexts["mine"], Context::Other(_)));
    }

    #[test]
    fn breadcrumbs_come_in_order_of_time_once_and_the_events_own_and_the_newest_stay() {
        let mut carried = vec![at(1, "one"), at(5, "five")];
        let others = [at(5, "five"), at(3, "three"), at(9, "nine")];
        let others =
            others.map(|breadcrumb| guardhouse_process::scope::to_json(&breadcrumb).unwrap());
        add_breadcrumbs(&mut carried, others.iter().map(Json::as_value), 3);
        let messages: Vec<_> = carried.iter().map(|b| b.message.as_deref().unwrap()).collect();
        assert_eq!(messages, ["one", "five", "nine"]);
    }

    #[test]
    fn a_breadcrumb_that_was_json_in_between_is_known_again() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_193_675);
        for step in 0..2000 {
            // Nothing that a microsecond is made of, nor what a floating-point number can tell apart.
            let timestamp = start + Duration::from_nanos(step * 1_237);
            let original = Breadcrumb { timestamp, ..Breadcrumb::default() };
            let json = guardhouse_process::scope::to_json(&original).unwrap();
            let mut carried = vec![original];
            add_breadcrumbs(&mut carried, std::iter::once(json.as_value()), 10);
            assert_eq!(carried.len(), 1, "{step}");
        }
    }
}
