//! Logs and metrics that renderers sent one by one, gathered into envelopes as Sentry asks: a hundred
//! of a kind, or what has come within five seconds.

use std::time::{Duration, Instant};

use guardhouse_protocol::json::{Json, ObjectWriter};
use guardhouse_protocol::limits::{MIB, TELEMETRY_FLUSH_SECONDS, TELEMETRY_PER_FLUSH};
use guardhouse_protocol::{EditError, Envelope, Header, Item, Log, Metric};

use crate::losses::{Category, Losses, Reason};
use crate::merge::{SDK_NAME, SDK_VERSION};

/// So many bytes of a kind go into one item: well below what Sentry takes of one.
const BYTES: usize = MIB / 2;

/// What has come and is not in an envelope yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    logs: Gathered,
    metrics: Gathered,
    timeout: Option<Instant>,
}

#[derive(Debug, Default)]
struct Gathered {
    texts: Vec<String>,
    bytes: usize,
}

impl Batch {
    pub(super) fn log(&mut self, log: &Log, now: Instant) {
        self.logs.add(log.text());
        self.timeout.get_or_insert(now + Duration::from_secs(TELEMETRY_FLUSH_SECONDS));
    }

    pub(super) fn metric(&mut self, metric: &Metric, now: Instant) {
        self.metrics.add(metric.text());
        self.timeout.get_or_insert(now + Duration::from_secs(TELEMETRY_FLUSH_SECONDS));
    }

    /// When what is there should go.
    pub(super) fn timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// Whether it should go now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.logs.is_full() || self.metrics.is_full() || self.timeout.is_some_and(|at| at <= now)
    }

    /// Whether one more goes into an item with those that are there.
    pub(super) fn has_room_for(&self, text: &str) -> bool {
        let bytes = self.logs.bytes.max(self.metrics.bytes);
        bytes == 0 || bytes + text.len() < BYTES
    }

    /// Everything that is there, in envelopes, and what is too large for one.
    pub(super) fn take(&mut self) -> (Vec<Envelope>, Losses) {
        self.timeout = None;
        let (mut envelopes, mut losses) = (Vec::new(), Losses::new());
        let kinds = [
            (&mut self.logs, "log", Category::LogItem),
            (&mut self.metrics, "trace_metric", Category::TraceMetric),
        ];
        for (gathered, item_type, category) in kinds {
            let Gathered { texts, .. } = std::mem::take(gathered);
            if texts.is_empty() {
                continue;
            }
            match container(item_type, &texts) {
                Ok(envelope) => envelopes.push(envelope),
                Err(_) => losses.count(category, Reason::Invalid, texts.len() as u64),
            }
        }
        (envelopes, losses)
    }
}

impl Gathered {
    fn add(&mut self, text: &str) {
        self.bytes += text.len();
        self.texts.push(text.to_owned());
    }

    fn is_full(&self) -> bool {
        self.texts.len() >= TELEMETRY_PER_FLUSH || self.bytes >= BYTES
    }
}

fn container(item_type: &str, texts: &[String]) -> Result<Envelope, EditError> {
    let items: Vec<Json> =
        texts.iter().filter_map(|text| Json::parse(text.as_bytes()).ok()).collect();
    let mut payload = ObjectWriter::new();
    payload.member("items", Json::array(&items));
    let mut item = Item::new(item_type, payload.finish().text().to_owned())?;
    item.set_header("item_count", items.len() as u64)?;
    let content_type = format!("application/vnd.sentry.items.{item_type}+json");
    // Sentry spells the one of metrics with a hyphen.
    item.set_header("content_type", content_type.replace('_', "-").as_str())?;
    let mut sdk = ObjectWriter::new();
    sdk.member("name", SDK_NAME).member("version", SDK_VERSION);
    let mut header = Header::new();
    header.set("sdk", sdk.finish())?;
    let mut envelope = Envelope::new(header);
    envelope.push(item)?;
    Ok(envelope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_or_five_seconds_make_an_envelope() {
        let log = Log::parse(br#"{"body":"hello","level":"info"}"#).unwrap();
        let metric = Metric::parse(br#"{"name":"clicks","value":1}"#).unwrap();
        let start = Instant::now();
        let mut batch = Batch::default();
        assert_eq!((batch.timeout(), batch.is_due(start)), (None, false));

        batch.log(&log, start);
        batch.metric(&metric, start + Duration::from_secs(4));
        assert!(!batch.is_due(start + Duration::from_secs(4)));
        assert!(batch.is_due(start + Duration::from_secs(5)));
        let (envelopes, losses) = batch.take();
        assert!(losses.is_empty());
        let types: Vec<_> =
            envelopes.iter().map(|envelope| envelope.items()[0].item_type_name()).collect();
        assert_eq!(types, ["log", "trace_metric"]);
        assert_eq!(envelopes[0].items()[0].item_count(), Some(1));
        assert!(envelopes[0].assess().iter().all(|verdict| verdict.is_sound()));
        assert_eq!(batch.timeout(), None);

        for _ in 0..TELEMETRY_PER_FLUSH {
            assert!(!batch.is_due(start));
            batch.log(&log, start);
        }
        assert!(batch.is_due(start));
        assert_eq!(batch.take().0[0].items()[0].item_count(), Some(100));
    }
}
