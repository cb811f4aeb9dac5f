//! What was lost, counted by what it was and why, as client reports tell Sentry.
//!
//! Whoever drops something counts it: once, where it happens, into a [`Losses`]. In a renderer they go
//! to main with the next envelope, as a report; in main all of them flow together in the outbox, which
//! reports each count exactly once.

use std::collections::BTreeMap;
use std::fmt;

use guardhouse_protocol::json::{Json, Object, ObjectWriter, Value};
use guardhouse_protocol::{EditError, Envelope, Item, ItemType, Timestamp};

/// An enum whose variants have names on the wire.
macro_rules! named {
    (
        $(#[$meta:meta])*
        pub enum $enum:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $enum { $($(#[$doc])* $variant,)+ }

        impl $enum {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The one with this name, if there is one.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.name())
            }
        }
    };
}

named! {
    /// What Sentry counts and limits data by.
    pub enum Category {
        /// What has no category of its own.
        Default = "default",
        /// Errors and messages.
        Error = "error",
        /// Transactions.
        Transaction = "transaction",
        /// Signs of life of scheduled jobs.
        Monitor = "monitor",
        /// Spans, also those of a transaction.
        Span = "span",
        /// Logs, by number.
        LogItem = "log_item",
        /// Logs, by size.
        LogByte = "log_byte",
        /// Reports of browsers about violated policies.
        Security = "security",
        /// Attachments, counted in bytes.
        Attachment = "attachment",
        /// Sessions.
        Session = "session",
        /// Profiles of transactions.
        Profile = "profile",
        /// Pieces of continuous profiles.
        ProfileChunk = "profile_chunk",
        /// Replays.
        Replay = "replay",
        /// User feedback.
        Feedback = "feedback",
        /// Metrics, by number.
        TraceMetric = "trace_metric",
        /// Metrics, by size.
        TraceMetricByte = "trace_metric_byte",
        /// What SDKs tell about themselves.
        Internal = "internal",
    }
}

named! {
    /// Why something was lost.
    pub enum Reason {
        /// A queue in memory was full.
        QueueOverflow = "queue_overflow",
        /// The queue on disk was full, or what it held too old.
        CacheOverflow = "cache_overflow",
        /// Sentry had asked for less.
        RatelimitBackoff = "ratelimit_backoff",
        /// It could not be sent and will not be tried again.
        NetworkError = "network_error",
        /// It was not chosen.
        SampleRate = "sample_rate",
        /// The application's `before_send` dropped it.
        BeforeSend = "before_send",
        /// An event processor of the application dropped it.
        EventProcessor = "event_processor",
        /// Sentry refused it.
        SendError = "send_error",
        /// A fault of this SDK.
        InternalSdkError = "internal_sdk_error",
        /// A buffer before the queue was full.
        BufferOverflow = "buffer_overflow",
        /// The application asked for the kind to be ignored.
        Ignored = "ignored",
        /// It was not what it should be, or not the sender's to send.
        Invalid = "invalid",
    }
}

/// Counts of what was lost.
///
/// ```
/// use guardhouse_process::losses::{Category, Losses, Reason};
///
/// let mut losses = Losses::new();
/// losses.count(Category::Error, Reason::CacheOverflow, 1);
/// losses.count(Category::Error, Reason::CacheOverflow, 2);
/// assert_eq!(losses.get(Category::Error, Reason::CacheOverflow), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    counts: BTreeMap<(Category, Reason), u64>,
}

impl Losses {
    /// Nothing lost.
    pub const fn new() -> Self {
        Self { counts: BTreeMap::new() }
    }

    /// Counts `quantity` of `category`. None of it counts as nothing.
    pub fn count(&mut self, category: Category, reason: Reason, quantity: u64) {
        if quantity > 0 {
            let count = self.counts.entry((category, reason)).or_default();
            *count = count.saturating_add(quantity);
        }
    }

    /// Counts everything that an item stands for. What a client report tells of is counted as it
    /// tells it, since it was lost before.
    pub fn count_item(&mut self, item: &Item, reason: Reason) {
        if item.item_type() == ItemType::ClientReport {
            if let Ok(report) = item.json() {
                self.absorb(&report);
            }
            return;
        }
        for (category, quantity) in quantities(item) {
            self.count(category, reason, quantity);
        }
    }

    /// Counts everything that an envelope stands for.
    pub fn count_envelope(&mut self, envelope: &Envelope, reason: Reason) {
        for item in envelope.items() {
            self.count_item(item, reason);
        }
        // A minidump and the event that comes with it are one error.
        let has_event = envelope.items().iter().any(|item| item.item_type() == ItemType::Event);
        let makes_event =
            |item: &&Item| item.item_type() == ItemType::Attachment && item.creates_event();
        if has_event {
            let doubles = envelope.items().iter().filter(makes_event).count() as u64;
            let mut double = Losses::new();
            double.count(Category::Error, reason, doubles);
            self.subtract(&double);
        }
    }

    /// Counts what a client report tells of. Entries with names that are not known are left out.
    pub fn absorb(&mut self, report: &Object<'_>) {
        let entries = report.get("discarded_events").and_then(Value::elements);
        for entry in entries.into_iter().flatten() {
            let Some(entry) = entry.as_object() else { continue };
            let name = |key| entry.get(key).and_then(Value::as_str);
            let category = name("category").and_then(|name| Category::from_name(&name));
            let reason = name("reason").and_then(|name| Reason::from_name(&name));
            let quantity = entry.get("quantity").and_then(Value::as_u64);
            if let (Some(category), Some(reason), Some(quantity)) = (category, reason, quantity) {
                self.count(category, reason, quantity);
            }
        }
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Losses) {
        for (category, reason, quantity) in other.iter() {
            self.count(category, reason, quantity);
        }
    }

    /// Takes the counts of another away again, which were [added](Self::add) before.
    pub fn subtract(&mut self, other: &Losses) {
        for (category, reason, quantity) in other.iter() {
            if let Some(count) = self.counts.get_mut(&(category, reason)) {
                *count = count.saturating_sub(quantity);
            }
        }
        self.counts.retain(|_, count| *count > 0);
    }

    /// How much of a category was lost for a reason.
    pub fn get(&self, category: Category, reason: Reason) -> u64 {
        self.counts.get(&(category, reason)).copied().unwrap_or(0)
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// All counts.
    pub fn iter(&self) -> impl Iterator<Item = (Category, Reason, u64)> + '_ {
        self.counts.iter().map(|(&(category, reason), &quantity)| (category, reason, quantity))
    }

    /// Takes all counts out.
    pub fn take(&mut self) -> Losses {
        std::mem::take(self)
    }

    /// The payload of a client report, as [`absorb`](Self::absorb) reads it.
    pub fn to_json(&self, at: Timestamp) -> Json {
        let mut entries = Vec::new();
        for (category, reason, quantity) in self.iter() {
            let mut entry = ObjectWriter::new();
            entry.member("reason", reason.name());
            entry.member("category", category.name());
            entry.member("quantity", quantity);
            entries.push(entry.finish());
        }
        let mut report = ObjectWriter::new();
        report.member("timestamp", at.as_seconds());
        report.member("discarded_events", Json::array(&entries));
        report.finish()
    }

    /// A client report as an item of an envelope.
    pub fn to_item(&self, at: Timestamp) -> Result<Item, EditError> {
        Item::new("client_report", self.to_json(at).text().to_owned())
    }
}

/// The category that limits of Sentry hold an item back by.
pub fn category_of(item_type: ItemType) -> Category {
    match item_type {
        ItemType::Event => Category::Error,
        ItemType::Transaction => Category::Transaction,
        ItemType::Session | ItemType::Sessions => Category::Session,
        ItemType::Attachment | ItemType::FormData => Category::Attachment,
        ItemType::Feedback => Category::Feedback,
        ItemType::ClientReport => Category::Internal,
        ItemType::CheckIn => Category::Monitor,
        ItemType::Profile => Category::Profile,
        ItemType::ProfileChunk => Category::ProfileChunk,
        ItemType::ReplayEvent | ItemType::ReplayRecording | ItemType::ReplayVideo => {
            Category::Replay
        }
        ItemType::Span => Category::Span,
        ItemType::Log => Category::LogItem,
        ItemType::TraceMetric => Category::TraceMetric,
        ItemType::RawSecurity | ItemType::Security => Category::Security,
        ItemType::UnrealReport => Category::Error,
        _ => Category::Default,
    }
}

/// What an item counts as when it is lost: some count in more than one category, attachments by
/// their bytes, and a transaction also for its spans and itself as one.
pub fn quantities(item: &Item) -> Vec<(Category, u64)> {
    let item_type = item.item_type();
    let category = category_of(item_type);
    let bytes = item.payload().len() as u64;
    match item_type {
        // Of these Sentry makes an event, so an event is what is lost.
        ItemType::Attachment if item.creates_event() => {
            vec![(Category::Error, 1), (category, bytes)]
        }
        ItemType::Attachment | ItemType::FormData => vec![(category, bytes)],
        ItemType::Transaction => vec![(category, 1), (Category::Span, spans(item) + 1)],
        ItemType::Span => vec![(category, contained(item))],
        ItemType::Log => vec![(category, contained(item)), (Category::LogByte, bytes)],
        ItemType::TraceMetric => {
            vec![(category, contained(item)), (Category::TraceMetricByte, bytes)]
        }
        // The recording belongs to the replay event, which is counted.
        ItemType::ReplayRecording => Vec::new(),
        ItemType::Sessions => vec![(category, aggregated(item))],
        _ => vec![(category, 1)],
    }
}

fn spans(item: &Item) -> u64 {
    let count = |object: Object<'_>| Some(object.get("spans")?.elements()?.count() as u64);
    item.json().ok().and_then(count).unwrap_or(0)
}

/// How many an item holds: as its header says, or as are there; one if it is no container.
fn contained(item: &Item) -> u64 {
    let count = |object: Object<'_>| Some(object.get("items")?.elements()?.count() as u64);
    item.item_count().or_else(|| item.json().ok().and_then(count)).unwrap_or(1)
}

fn aggregated(item: &Item) -> u64 {
    let Ok(object) = item.json() else { return 1 };
    let Some(aggregates) = object.get("aggregates").and_then(Value::elements) else {
        return 1;
    };
    let outcomes = ["exited", "errored", "abnormal", "crashed"];
    aggregates
        .filter_map(Value::as_object)
        .map(|aggregate| {
            outcomes
                .iter()
                .filter_map(|outcome| aggregate.get(outcome)?.as_u64())
                .fold(0, u64::saturating_add)
        })
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_again() {
        for &category in Category::ALL {
            assert_eq!(Category::from_name(category.name()), Some(category));
        }
        for &reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.name()), Some(reason));
        }
        assert_eq!(Category::ALL.len(), 17);
        assert_eq!(Reason::ALL.len(), 12);
    }

    #[test]
    fn a_report_tells_all_counts_and_is_read_again() {
        let mut losses = Losses::new();
        for (index, &category) in Category::ALL.iter().enumerate() {
            losses.count(category, Reason::SendError, index as u64);
        }
        let json = losses.to_json(Timestamp::from_unix(1_700_000_000, 0));
        let mut read = Losses::new();
        read.absorb(&json.as_object().unwrap());
        assert_eq!(read, losses);
        assert_eq!(read.get(Category::Default, Reason::SendError), 0, "none is not counted");
    }

    #[test]
    fn what_is_taken_away_leaves_nothing_behind() {
        let mut losses = Losses::new();
        losses.count(Category::Error, Reason::Invalid, 3);
        let first = losses.clone();
        losses.count(Category::Error, Reason::Invalid, 2);
        losses.subtract(&first);
        assert_eq!(losses.get(Category::Error, Reason::Invalid), 2);
        losses.subtract(&losses.clone());
        assert!(losses.is_empty());
    }

    #[test]
    fn items_count_as_sentry_counts_them() {
        let of = |item_type, payload: &'static str| {
            quantities(&Item::new(item_type, payload.as_bytes()).unwrap())
        };
        assert_eq!(of("event", "{}"), [(Category::Error, 1)]);
        assert_eq!(of("attachment", "12345"), [(Category::Attachment, 5)]);
        assert_eq!(
            of("transaction", r#"{"spans":[{},{}]}"#),
            [(Category::Transaction, 1), (Category::Span, 3)]
        );
        assert_eq!(
            of("log", r#"{"items":[{},{}]}"#),
            [(Category::LogItem, 2), (Category::LogByte, 17)]
        );
        assert_eq!(
            of("sessions", r#"{"aggregates":[{"exited":2,"crashed":1},{"errored":4}]}"#),
            [(Category::Session, 7)]
        );
        assert_eq!(of("replay_recording", "x"), []);
        assert_eq!(of("something_new", "x"), [(Category::Default, 1)]);
    }

    #[test]
    fn a_lost_report_is_not_lost_twice() {
        let mut inner = Losses::new();
        inner.count(Category::Error, Reason::BeforeSend, 4);
        let item = inner.to_item(Timestamp::EPOCH).unwrap();
        let mut losses = Losses::new();
        losses.count_item(&item, Reason::CacheOverflow);
        assert_eq!(losses, inner);
    }
}
