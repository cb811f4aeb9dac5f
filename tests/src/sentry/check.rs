//! What Sentry asks of a request.

use serde_json::Value;

use super::envelope::Envelope;
use super::message::Head;
use super::schema;

/// Everything that Sentry would not take.
pub(super) fn faults(head: &Head, envelope: &Result<Envelope, String>) -> Vec<String> {
    let mut faults = Vec::new();
    if head.method != "POST" {
        faults.push(format!("{} instead of POST", head.method));
    }
    if head.get("content-type") != Some("application/x-sentry-envelope") {
        faults.push(format!("content type {:?}", head.get("content-type")));
    }
    if head.get("host").is_none_or(str::is_empty) {
        faults.push("no host".to_owned());
    }
    let envelope = match envelope {
        Ok(envelope) => envelope,
        Err(error) => {
            faults.push(error.clone());
            return faults;
        }
    };
    if is_project(&head.target) {
        let auth = head.get("x-sentry-auth").unwrap_or("");
        let said = |part: &str| {
            let said = auth.strip_prefix("Sentry ").unwrap_or("").split(',').map(str::trim);
            said.into_iter().any(|said| said.starts_with(part))
        };
        if !said("sentry_key=") || !said("sentry_version=7") || !said("sentry_client=") {
            faults.push("no X-Sentry-Auth with key, version and client".to_owned());
        }
    } else if !envelope.header.get("dsn").is_some_and(Value::is_string) {
        faults.push("no dsn in an envelope that came through a tunnel".to_owned());
    }
    let sent_at = envelope.header.get("sent_at").and_then(Value::as_str);
    if !sent_at.is_some_and(is_time) {
        faults.push(format!("sent_at is {sent_at:?}"));
    }
    for (number, item) in envelope.items.iter().enumerate() {
        if item.kind().is_empty() {
            faults.push(format!("item {number} has no type"));
        }
        if item.kind() == "event" {
            faults.extend(schema::faults(&item.json()));
        }
    }
    faults
}

/// Whether a path is that of a project's envelopes, and not a tunnel.
fn is_project(target: &str) -> bool {
    let mut parts = target.rsplit('/');
    parts.next() == Some("")
        && parts.next() == Some("envelope")
        && parts.next().is_some_and(|id| id.parse::<u64>().is_ok())
        && parts.next() == Some("api")
}

/// Whether it looks like `2026-11-20T18:54:36.590Z`.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches('0'),
        None => rest,
    };
    matches!(zone, "Z" | "+00:00" | "-00:00")
}
