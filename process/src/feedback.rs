//! What a user says about the application, as Sentry takes it.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sentry::Hub;
use sentry::protocol::{Attachment, TraceContext};
use sentry::types::Uuid;
use serde_json::{Map, Value, json};

/// What a user says about the application. `Guard::send_feedback` sends it.
///
/// ```
/// # use guardhouse_process::feedback::Feedback;
/// let feedback = Feedback::new("The export button does nothing.")
///     .name("Ada")
///     .contact_email("ada@example.com");
/// # let _ = feedback;
/// ```
#[derive(Clone, Debug)]
#[must_use = "feedback does nothing until it is sent"]
pub struct Feedback {
    members: Map<String, Value>,
    attachments: Vec<Attachment>,
}

impl Feedback {
    /// What the user says.
    pub fn new(message: impl Into<String>) -> Self {
        Self { members: Map::new(), attachments: Vec::new() }.with("message", message.into())
    }

    /// What the user is called.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with("name", name.into())
    }

    /// Where the user can be reached.
    pub fn contact_email(self, email: impl Into<String>) -> Self {
        self.with("contact_email", email.into())
    }

    /// The part of the application that the user was in, in the form of an address.
    pub fn url(self, url: impl Into<String>) -> Self {
        self.with("url", url.into())
    }

    /// How the user came to say it: by a form, a button, a question.
    pub fn source(self, source: impl Into<String>) -> Self {
        self.with("source", source.into())
    }

    /// The event that it is about.
    pub fn about(self, event_id: Uuid) -> Self {
        self.with("associated_event_id", event_id.simple().to_string())
    }

    /// Something to go with it, such as a picture of the window.
    pub fn attachment(mut self, attachment: Attachment) -> Self {
        self.attachments.push(attachment);
        self
    }

    fn with(mut self, member: &str, value: String) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }
}

/// The envelope that says it, as a part of a trace. `sentry` has no such item, so it is written here.
pub fn envelope(feedback: &Feedback, trace: &TraceContext) -> Bytes {
    let id = Uuid::new_v4().simple().to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let event = json!({
        "event_id": id,
        "timestamp": now,
        "platform": "native",
        "level": "info",
        // By this main knows that it is from Rust. It puts its own name there.
        "sdk": { "name": "sentry.rust" },
        "contexts": { "feedback": feedback.members, "trace": trace },
    })
    .to_string();
    // What else belongs there main knows, which has the DSN.
    let header = json!({ "event_id": id, "trace": { "trace_id": trace.trace_id } });
    let item = json!({ "type": "feedback", "length": event.len() });
    let mut envelope = format!("{header}\n{item}\n{event}\n").into_bytes();
    for attachment in &feedback.attachments {
        // Writing to memory does not fail.
        let _ = attachment.to_writer(&mut envelope);
        envelope.push(b'\n');
    }
    envelope.into()
}

/// The trace that is going on on this thread: that of its span, else that of its scope.
pub fn current_trace() -> TraceContext {
    let mut context = TraceContext::default();
    let header = Hub::current().configure_scope(|scope| {
        let mut headers = scope.iter_trace_propagation_headers();
        headers.find(|(name, _)| *name == "sentry-trace").map(|(_, value)| value)
    });
    let mut parts = header.iter().flat_map(|header| header.split('-'));
    if let Some(trace) = parts.next().and_then(|id| id.parse().ok()) {
        context.trace_id = trace;
    }
    if let Some(span) = parts.next().and_then(|id| id.parse().ok()) {
        context.span_id = span;
    }
    context
}

#[cfg(test)]
mod tests {
    use guardhouse_protocol::{Channel, Item, ItemType, Message};

    use super::*;

    #[test]
    fn feedback_is_an_envelope_that_main_takes_on_its_channel() {
        let about = Uuid::from_u128(7);
        let feedback = Feedback::new("It\nbreaks \"often\".")
            .name("Ada")
            .about(about)
            .attachment(Attachment { buffer: b"\x89PNG\n".to_vec(), ..Attachment::default() });
        let trace = TraceContext::default();
        let message = Message::parse(Channel::Feedback, envelope(&feedback, &trace)).unwrap();
        let Message::Feedback(envelope) = message else { panic!("{message:?}") };
        assert!(envelope.assess().iter().all(|verdict| verdict.is_sound()));
        let types: Vec<_> = envelope.items().iter().map(Item::item_type).collect();
        assert_eq!(types, [ItemType::Feedback, ItemType::Attachment]);
        let event: Value = serde_json::from_slice(envelope.items()[0].payload()).unwrap();
        assert_eq!(event["contexts"]["trace"]["trace_id"], trace.trace_id.to_string());
        let bytes = envelope.to_bytes();
        let header = bytes.split(|byte| *byte == b'\n').next().unwrap();
        let header: Value = serde_json::from_slice(header).unwrap();
        assert_eq!(header["trace"]["trace_id"], trace.trace_id.to_string());
        let said = &event["contexts"]["feedback"];
        assert_eq!(said["message"], "It\nbreaks \"often\".");
        assert_eq!(said["associated_event_id"], about.simple().to_string());
        assert_eq!(&envelope.items()[1].payload()[..], b"\x89PNG\n");
    }
}
