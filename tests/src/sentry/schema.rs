//! What a server that is strict asks of an event: no member that Sentry's schema of events does not list.
//!
//! The members are data, in `event_fields.json`; the schema itself stays where it is published. It is
//! the same for all platforms, but pages say in `sdk.settings` that their address is not to be
//! inferred, which Sentry wants and the schema lacks; so only events of the platform `native` are held
//! against it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

type Fields = BTreeMap<String, Value>;

static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    serde_json::from_str(include_str!("event_fields.json")).expect("the file of fields is JSON")
});

/// What is at a place, and what it has to be.
const PARTS: [(&str, &str); 15] = [
    ("", "Event"),
    ("/sdk", "ClientSdkInfo"),
    ("/sdk/packages/*", "ClientSdkPackage"),
    ("/logentry", "LogEntry"),
    ("/exception/values/*", "Exception"),
    ("/exception/values/*/mechanism", "Mechanism"),
    ("/exception/values/*/mechanism/meta", "MechanismMeta"),
    ("/exception/values/*/stacktrace", "Stacktrace"),
    ("/exception/values/*/stacktrace/frames/*", "Frame"),
    ("/threads/values/*", "Thread"),
    ("/threads/values/*/stacktrace/frames/*", "Frame"),
    ("/breadcrumbs/values/*", "Breadcrumb"),
    ("/debug_meta", "DebugMeta"),
    ("/request", "Request"),
    ("/user", "User"),
];

/// What a strict server does not take of an event.
pub(super) fn faults(event: &Value) -> Vec<String> {
    if event["platform"] != "native" {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (place, name) in PARTS {
        let known = FIELDS.get(name).and_then(Value::as_array).expect("each part has its fields");
        for part in at(event, place) {
            let Some(members) = part.as_object() else {
                faults.push(format!("the event's {place} is {part} and no {name}"));
                continue;
            };
            // Sentry's own remarks are in no schema.
            let unknown =
                members.keys().filter(|key| *key != "_meta" && !known.iter().any(|it| it == *key));
            faults.extend(unknown.map(|key| format!("{place}/{key} of the event is in no schema")));
        }
    }
    for list in ["breadcrumbs", "exception", "threads"] {
        let is_list = event[list].is_null() || event[list]["values"].is_array();
        if !is_list {
            faults.push(format!("{list} of the event has no values"));
        }
    }
    let tags = event["tags"].as_object().into_iter().flatten();
    for (tag, value) in tags.filter(|(_, value)| !value.is_string() && !value.is_null()) {
        faults.push(format!("the tag {tag} of the event is {value}"));
    }
    faults
}

/// The values at a place, of which `*` is every element.
fn at<'v>(event: &'v Value, place: &str) -> Vec<&'v Value> {
    place.split('/').skip(1).fold(vec![event], |values, step| {
        let inner = values.into_iter().flat_map(|value| match step {
            "*" => value.as_array().into_iter().flatten().collect::<Vec<_>>(),
            key => value.get(key).into_iter().collect(),
        });
        inner.filter(|value| !value.is_null()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_schema_does_not_list_is_a_fault() {
        for (event, fault) in [
            (json!({"platform": "native", "sdk": {"settings": {}}}), "/sdk/settings"),
            (json!({"platform": "native", "message": "m"}), "/message"),
            (json!({"platform": "native", "breadcrumbs": []}), "breadcrumbs"),
            (json!({"platform": "native", "tags": {"a": 1}}), "the tag a"),
            (
                json!({"platform": "native", "exception": {"values": [{"mechanism": {"x": 1}}]}}),
                "/exception/values/*/mechanism/x",
            ),
        ] {
            let faults = faults(&event);
            assert!(faults.len() == 1 && faults[0].contains(fault), "{event}: {faults:?}");
        }
    }

    #[test]
    fn what_it_lists_is_none() {
        let event = json!({
            "platform": "native", "logentry": {"formatted": "m"}, "level": null, "_meta": {},
            "breadcrumbs": {"values": [{"message": "b", "data": {"any": 1}}]},
            "contexts": {"any": {"thing": 1}}, "tags": [["a", "b"]],
        });
        assert_eq!(faults(&event), [""; 0]);
        assert_eq!(faults(&json!({"platform": "javascript", "message": "m"})), [""; 0]);
    }
}
