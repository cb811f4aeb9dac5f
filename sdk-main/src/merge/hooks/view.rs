//! An event as the `sentry` crate's type can hold it.
//!
//! The type refuses an event for one member that it does not expect. Here such a member is left out of
//! the view, and the rest is shown: of the shapes that browsers send, lists where the type wants
//! `{"values": […]}` are shown as such, numbers where it wants text as text, and exceptions without a
//! type with an empty one.

use std::borrow::Cow;

use guardhouse_protocol::json::Object;
use sentry::protocol::Event;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The view of an event.
pub(super) fn of(event: &Object<'_>) -> Event<'static> {
    let text = if event.is_decodable() { event.text().into() } else { decodable(event.text()) };
    let mut tree = serde_json::from_str(&text).unwrap_or_else(|_| json!({}));
    if let Some(event) = tree.as_object_mut() {
        wrap_lists(event);
    }
    let accepts = |tree: &Value| Event::deserialize(tree).is_ok();
    let accepted = fit(tree, &accepts).unwrap_or_else(|| json!({}));
    Event::deserialize(&accepted).unwrap_or_default()
}

fn wrap_lists(event: &mut Map<String, Value>) {
    for member in ["breadcrumbs", "exception", "threads"] {
        let Some(value) = event.get_mut(member) else { continue };
        match value {
            Value::Array(_) => *value = json!({"values": value.take()}),
            Value::Object(object) if !object.contains_key("values") => {
                *value = json!({"values": [value.take()]});
            }
            _ => {}
        }
    }
}

/// What of a value is accepted at its place.
fn fit(value: Value, accepts: &dyn Fn(&Value) -> bool) -> Option<Value> {
    if accepts(&value) {
        return Some(value);
    }
    match value {
        Value::Object(object) => {
            let base = least(accepts)?;
            let with = |key: &str, value: Value| {
                let mut object = base.clone();
                object.insert(key.to_owned(), value);
                Value::Object(object)
            };
            let mut kept = base.clone();
            for (key, value) in object {
                if let Some(value) = fit(value, &|value| accepts(&with(&key, value.clone()))) {
                    kept.insert(key, value);
                }
            }
            Some(Value::Object(kept)).filter(accepts)
        }
        Value::Array(elements) => {
            let alone = |element: &Value| accepts(&json!([element]));
            // An empty one keeps the place of what cannot be shown, so that the others keep theirs.
            let elements = elements.into_iter().filter_map(|element| {
                fit(element, &alone).or_else(|| least(&alone).map(Value::Object))
            });
            Some(Value::Array(elements.collect())).filter(accepts)
        }
        Value::Number(number) => Some(Value::String(number.to_string())).filter(accepts),
        Value::Bool(truth) => Some(Value::String(truth.to_string())).filter(accepts),
        Value::Null | Value::String(_) => None,
    }
}

/// The least that an object can be at its place: some are nothing without a certain member.
fn least(accepts: &dyn Fn(&Value) -> bool) -> Option<Map<String, Value>> {
    [json!({}), json!({"type": ""}), json!({"values": []}), json!({"frames": []})]
        .into_iter()
        .find(|least| accepts(least))
        .and_then(|least| least.as_object().cloned())
}

/// The text with what no reader of types takes replaced: half surrogate pairs, and numbers that are
/// too large.
fn decodable(text: &str) -> Cow<'_, str> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_in_string = false;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '"' => {
                is_in_string = !is_in_string;
                1
            }
            '\\' if rest.as_bytes().get(1) == Some(&b'u') => match surrogates(rest) {
                Surrogates::None => 6,
                Surrogates::Pair => 12,
                Surrogates::Half => {
                    out.push('\u{fffd}');
                    rest = rest.get(6..).unwrap_or_default();
                    continue;
                }
            },
            '\\' => 2,
            '-' | '0'..='9' if !is_in_string => {
                let is_more = |byte: &u8| b"+-.eE0123456789".contains(byte);
                let length = rest.bytes().take_while(is_more).count();
                if !rest[..length].parse::<f64>().is_ok_and(f64::is_finite) {
                    out.push_str("null");
                    rest = &rest[length..];
                    continue;
                }
                length
            }
            other => other.len_utf8(),
        };
        let (piece, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        out.push_str(piece);
        rest = behind;
    }
    Cow::Owned(out)
}

enum Surrogates {
    None,
    Pair,
    Half,
}

/// What the escape at the start of `text` is.
fn surrogates(text: &str) -> Surrogates {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(0).unwrap_or(0);
    let units = [first, unit(6).unwrap_or(0)];
    match char::decode_utf16(units).next() {
        Some(Ok(character)) if character.len_utf16() == 2 => Surrogates::Pair,
        Some(Ok(_)) => Surrogates::None,
        _ => Surrogates::Half,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(text: &str) -> Event<'static> {
        of(&Object::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_browsers_send_and_the_type_refuses_is_shown_as_far_as_it_goes() {
        let event = view(
            r#"{"message":{"formatted":"x"},"level":"warning","user":{"id":7,"email":"a@b"},
                "tags":{"a":1,"b":true,"c":"d","e":null},"logger":5,
                "breadcrumbs":[{"message":"one","timestamp":1.5},7,{"message":"two","timestamp":2}],
                "exception":{"values":[{"value":"no type"},{"type":"Error","value":3,"stacktrace":{"frames":[{"lineno":"x","filename":"f"}]}}]}}"#,
        );
        assert_eq!(event.message, None);
        assert_eq!(event.level, sentry::Level::Warning);
        assert_eq!(event.user.unwrap().id.as_deref(), Some("7"));
        assert_eq!(event.tags["a"], "1");
        assert_eq!(event.tags["c"], "d");
        assert_eq!(event.logger.as_deref(), Some("5"));
        let messages: Vec<_> =
            event.breadcrumbs.iter().map(|crumb| crumb.message.as_deref()).collect();
        assert_eq!(messages, [Some("one"), None, Some("two")]);
        assert_eq!(event.exception[0].value.as_deref(), Some("no type"));
        assert_eq!(event.exception[1].value.as_deref(), Some("3"));
        let frames = &event.exception[1].stacktrace.as_ref().unwrap().frames;
        assert_eq!(frames[0].filename.as_deref(), Some("f"));
    }

    #[test]
    fn what_no_reader_takes_is_replaced_in_the_view() {
        let event = view(
            r#"{"logger":"x\ud83d\"1e999","extra":{"a":1e999,"b":[-1e999,2],"\ud83ey":"\ud83e\udd80"}}"#,
        );
        assert_eq!(event.logger.as_deref(), Some("x\u{fffd}\"1e999"));
        assert_eq!(event.extra["a"], Value::Null);
        assert_eq!(event.extra["b"], json!([null, 2]));
        assert_eq!(event.extra["\u{fffd}y"], json!("🦀"));
    }
}
