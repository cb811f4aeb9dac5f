//! What a test expects to arrive.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::envelope::{Envelope, Item};
use super::record::{Request, reported};

/// An item that is expected, described by what must be true of it.
pub struct Expectation {
    kind: String,
    traits: Vec<Trait>,
    times: Option<usize>,
    only: bool,
}

struct Trait {
    text: String,
    holds: Box<Holds>,
}

type Holds = dyn Fn(&Envelope, &Item) -> bool + Send + Sync;

/// An item of this type.
pub fn an_item(kind: &str) -> Expectation {
    Expectation { kind: kind.to_owned(), traits: Vec::new(), times: None, only: false }
}

/// An event.
pub fn an_event() -> Expectation {
    an_item("event")
}

/// A transaction.
pub fn a_transaction() -> Expectation {
    an_item("transaction")
}

/// An update of a session.
pub fn a_session() -> Expectation {
    an_item("session")
}

/// A user's feedback.
pub fn a_feedback() -> Expectation {
    an_item("feedback")
}

/// A client report.
pub fn a_client_report() -> Expectation {
    an_item("client_report")
}

impl Expectation {
    /// Whose value at a JSON pointer is this one.
    #[must_use]
    pub fn with(self, pointer: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let path = pointer.to_owned();
        self.that(format!("with {pointer} = {value}"), move |_, item| {
            item.json().pointer(&path) == Some(&value)
        })
    }

    /// Whose envelope's header has this value at a JSON pointer.
    #[must_use]
    pub fn with_header(self, pointer: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let path = pointer.to_owned();
        self.that(format!("with {pointer} = {value} in the header"), move |envelope, _| {
            envelope.header.pointer(&path) == Some(&value)
        })
    }

    /// With this message: the event's own, the text of one of its exceptions, or the feedback's.
    #[must_use]
    pub fn with_message(self, message: &str) -> Self {
        let wanted = message.to_owned();
        self.that(format!("with the message {message:?}"), move |_, item| {
            let event = item.json();
            let places = [
                "/message",
                "/message/formatted",
                "/message/message",
                "/logentry/formatted",
                "/logentry/message",
                "/contexts/feedback/message",
            ];
            let own = places.iter().filter_map(|place| event.pointer(place));
            let exceptions = list(&event["exception"]).iter().map(|exception| &exception["value"]);
            own.chain(exceptions).any(|text| text == &wanted)
        })
    }

    /// From the process of this name.
    #[must_use]
    pub fn from_process(self, name: &str) -> Self {
        self.with_tag("event.process", name)
    }

    /// With this tag.
    #[must_use]
    pub fn with_tag(self, key: &str, value: &str) -> Self {
        let wanted = (key.to_owned(), value.to_owned());
        self.that(format!("with the tag {key:?} = {value:?}"), move |_, item| {
            let tags = &item.json()["tags"];
            let in_pair = |pair: &Value| pair[0] == wanted.0 && pair[1] == wanted.1;
            match tags {
                Value::Array(pairs) => pairs.iter().any(in_pair),
                tags => tags[&wanted.0] == wanted.1,
            }
        })
    }

    /// With a breadcrumb of this message.
    #[must_use]
    pub fn with_breadcrumb(self, message: &str) -> Self {
        let wanted = message.to_owned();
        self.that(format!("with the breadcrumb {message:?}"), move |_, item| {
            list(&item.json()["breadcrumbs"]).iter().any(|crumb| crumb["message"] == wanted)
        })
    }

    /// With an attachment of this name in the same envelope.
    #[must_use]
    pub fn with_attachment(self, name: &str) -> Self {
        let wanted = name.to_owned();
        self.that(format!("with the attachment {name:?}"), move |envelope, _| {
            envelope
                .items
                .iter()
                .any(|item| item.kind() == "attachment" && item.header["filename"] == wanted)
        })
    }

    /// With an item of this type in the same envelope.
    #[must_use]
    pub fn beside(self, kind: &str) -> Self {
        let wanted = kind.to_owned();
        self.that(format!("beside an item of type {kind:?}"), move |envelope, _| {
            envelope.items.iter().any(|item| item.kind() == wanted)
        })
    }

    /// With this level.
    #[must_use]
    pub fn with_level(self, level: &str) -> Self {
        self.with("/level", level)
    }

    /// With this status, for a session.
    #[must_use]
    pub fn with_status(self, status: &str) -> Self {
        self.with("/status", status)
    }

    /// Of so much of a category lost for a reason, for a client report.
    #[must_use]
    pub fn of(self, category: &str, reason: &str, quantity: u64) -> Self {
        let wanted = (category.to_owned(), reason.to_owned());
        self.that(format!("of {quantity} {category} lost for {reason}"), move |_, item| {
            reported(&item.json(), &wanted.0, &wanted.1) == quantity
        })
    }

    /// Of which something else is true, which `text` says.
    #[must_use]
    pub fn that(
        mut self,
        text: impl Into<String>,
        holds: impl Fn(&Envelope, &Item) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.traits.push(Trait { text: text.into(), holds: Box::new(holds) });
        self
    }

    /// So many of them, and no more. Without it, at least one.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    /// And no other items of the same type.
    #[must_use]
    pub fn only(self) -> Self {
        Self { only: true, ..self }
    }

    fn is_met_by(&self, envelope: &Envelope, item: &Item) -> bool {
        item.kind() == self.kind && self.traits.iter().all(|one| (one.holds)(envelope, item))
    }

    /// How many there are, and how many others of the same type.
    fn count(&self, requests: &[Arc<Request>]) -> (usize, usize) {
        let envelopes = requests
            .iter()
            .filter(|request| request.was_taken())
            .filter_map(|request| request.envelope.as_ref().ok());
        let mut counts = (0, 0);
        for envelope in envelopes {
            for item in envelope.items.iter().filter(|item| item.kind() == self.kind) {
                let met = self.is_met_by(envelope, item);
                *(if met { &mut counts.0 } else { &mut counts.1 }) += 1;
            }
        }
        counts
    }

    /// Whether enough has arrived. More may still come.
    pub(super) fn has_enough(&self, requests: &[Arc<Request>]) -> bool {
        self.count(requests).0 >= self.times.unwrap_or(1)
    }

    /// What is wrong with what has arrived, if something is.
    pub(super) fn complaint(&self, requests: &[Arc<Request>]) -> Option<String> {
        let (met, others) = self.count(requests);
        let is_right = self.times.map_or(met >= 1, |times| met == times);
        if !is_right {
            return Some(format!("expected {self}, and {met} arrived"));
        }
        (self.only && others > 0)
            .then(|| format!("expected {self}, and {others} others of that type arrived"))
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.only { "only" } else { "an item of type" }, self.kind)?;
        for one in &self.traits {
            write!(f, ", {}", one.text)?;
        }
        self.times.map_or(Ok(()), |times| write!(f, ", {times} times"))
    }
}

impl fmt::Debug for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expectation({self})")
    }
}

/// The elements of a list, which may stand in `values`.
fn list(value: &Value) -> &[Value] {
    value.as_array().or_else(|| value["values"].as_array()).map_or(&[], Vec::as_slice)
}
