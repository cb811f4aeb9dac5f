//! The trace that processes continue, as headers say it.

use guardhouse_protocol::Trace;
use guardhouse_protocol::json::Value;
use sentry::Hub;
use uuid::Uuid;

/// The trace that is going on here, as its headers say it.
pub(crate) fn current_trace() -> Option<Trace> {
    let hub = Hub::current();
    let client = hub.client()?;
    let (_, sentry_trace) = hub.configure_scope(|scope| {
        scope.iter_trace_propagation_headers().find(|(name, _)| *name == "sentry-trace")
    })?;
    let mut parts = sentry_trace.split('-');
    let (trace_id, is_sampled) = (parts.next(), parts.nth(1));
    let options = client.options();
    let public_key = options.dsn.as_ref().map(|dsn| dsn.public_key().to_owned());
    let known = [
        ("trace_id", trace_id),
        ("public_key", public_key.as_deref()),
        ("release", options.release.as_deref()),
        ("environment", options.environment.as_deref()),
        ("sampled", is_sampled.map(|sampled| if sampled == "1" { "true" } else { "false" })),
    ];
    let baggage: Vec<String> = known
        .into_iter()
        .filter_map(|(key, value)| Some(format!("sentry-{key}={}", percent_encoded(value?))))
        .collect();
    Trace::new(&sentry_trace, Some(&baggage.join(","))).ok()
}

/// The trace that a process has told with its scope, as headers say it. What is missing of the span is
/// made up: it only has to be one.
pub(crate) fn told_trace(context: Value<'_>) -> Option<Trace> {
    let context = context.as_object()?;
    let text = |name| context.get(name)?.as_str();
    let trace_id = text("traceId")?;
    let span = text("propagationSpanId").or_else(|| text("spanId"));
    let span = span.map_or_else(
        || Uuid::new_v4().simple().to_string()[..16].to_owned(),
        std::borrow::Cow::into_owned,
    );
    let sampled = match context.get("sampled").and_then(Value::as_bool) {
        Some(true) => "-1",
        Some(false) => "-0",
        None => "",
    };
    Trace::new(&format!("{trace_id}-{span}{sampled}"), None).ok()
}

/// The text as W3C Baggage wants it: everything but what is harmless is escaped.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use guardhouse_protocol::json::Json;

    use super::*;

    #[test]
    fn a_trace_that_was_told_becomes_a_header() {
        let told = |text: &str| {
            let json = Json::parse(text.as_bytes()).unwrap();
            told_trace(json.as_value()).map(|trace| trace.sentry_trace().to_owned())
        };
        let id = "771a43a4192642f0b136d5159a501700";
        assert_eq!(
            told(&format!(r#"{{"traceId":"{id}","spanId":"91595369230a4ca6","sampled":true}}"#)),
            Some(format!("{id}-91595369230a4ca6-1"))
        );
        assert_eq!(told(&format!(r#"{{"traceId":"{id}"}}"#)).unwrap().len(), 49);
        assert_eq!(told(r#"{"traceId":"me"}"#), None);
    }

    #[test]
    fn what_is_odd_in_a_baggage_is_escaped() {
        assert_eq!(percent_encoded("my app@1.0,ä"), "my%20app%401.0%2C%C3%A4");
    }
}
