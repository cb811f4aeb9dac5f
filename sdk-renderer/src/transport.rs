//! Where `sentry` hands over what this process has captured.
//!
//! Nothing waits here: what main has a channel for goes into the doorway as bytes. Logs and metrics,
//! which `sentry` collects, go one by one, since it is main that collects those of all processes. `flush`
//! waits until main has everything on disk; in a panic no longer than two seconds, since the panic hook
//! of `sentry` flushes on the thread that panics, which an application may well survive.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use guardhouse_process::doorway::deadline_in;
use guardhouse_process::losses::{Category, Losses, Reason};
use guardhouse_protocol::limits::{ENVELOPE_MESSAGE_BYTES, MIB, TELEMETRY_ITEM_BYTES};
use guardhouse_protocol::{Channel, EventId, LogLevel};
use sentry::Envelope;
use sentry::protocol::{Attachment, EnvelopeItem, ItemContainer, Log, LogLevel as Level, Metric};
use serde::Serialize;

use crate::attachments::Hold;
use crate::house::House;
use crate::losses;
use crate::wishes::Wishes;

/// So long a thread that panics waits for main.
const IN_PANIC: Duration = Duration::from_secs(2);

/// So much of a message is left to what is no attachment.
const REST_BYTES: usize = 8 * MIB;

/// The transport of the client that [`init`](crate::init) makes.
#[derive(Debug)]
pub(crate) struct Transport {
    house: Arc<House>,
    wishes: Arc<Wishes>,
    hold: Hold,
}

impl sentry::Transport for Transport {
    fn send_envelope(&self, envelope: Envelope) {
        match Parts::of(envelope, &self.wishes, &self.house) {
            Parts::Typed { envelope, losses, large, logs, metrics } => {
                let event_id = envelope.uuid().copied().map(EventId::from_uuid);
                if envelope.items().next().is_some() || !losses.is_empty() {
                    self.send_bytes(&envelope, &losses);
                }
                if let Some(event_id) = event_id {
                    self.hold.send(&self.house, event_id, large);
                }
                for log in logs {
                    self.send_item(Channel::StructuredLog, &log);
                }
                for metric in metrics {
                    self.send_item(Channel::Metric, &metric);
                }
            }
            Parts::Raw(envelope) => self.send_bytes(&envelope, &Losses::new()),
        }
    }

    fn flush(&self, timeout: Duration) -> bool {
        if !std::thread::panicking() {
            return self.house.flush(deadline_in(timeout));
        }
        let is_durable = self.house.flush(deadline_in(timeout.min(IN_PANIC)));
        self.house.waited_in_panic(is_durable);
        is_durable
    }

    fn shutdown(&self, timeout: Duration) -> bool {
        // The house outlives the client: who else closes the client does not close the house.
        self.flush(timeout)
    }
}

impl Transport {
    pub(crate) fn new(house: Arc<House>, wishes: Arc<Wishes>) -> Self {
        Self { house, wishes, hold: Hold::default() }
    }

    /// Sends an envelope with a report of what was lost.
    fn send_bytes(&self, envelope: &Envelope, losses: &Losses) {
        let mut bytes = Vec::new();
        // Writing to memory fails only for what cannot be said in JSON.
        if let Err(error) = envelope.to_writer(&mut bytes) {
            self.house.lose(&losses::one(Category::Default, Reason::InternalSdkError));
            self.house.count(losses);
            self.house.say(format_args!("an envelope was dropped: it cannot be written: {error}"));
            return;
        }
        if !losses.is_empty() {
            let report = losses::report(losses);
            if bytes.len() + report.len() <= ENVELOPE_MESSAGE_BYTES {
                bytes.extend_from_slice(report.as_bytes());
            } else {
                // It goes with the next.
                self.house.count(losses);
            }
        }
        if bytes.len() > ENVELOPE_MESSAGE_BYTES {
            self.house.say(format_args!(
                "an envelope was dropped: it has {} bytes, and main takes at most \
                 {ENVELOPE_MESSAGE_BYTES}",
                bytes.len()
            ));
            self.house.lose(&losses::message(Channel::Envelope, &bytes.into(), Reason::Invalid));
        } else {
            self.house.send(Channel::Envelope, bytes.into(), None);
        }
    }

    fn send_item(&self, channel: Channel, item: &impl Serialize) {
        match serde_json::to_vec(item) {
            Ok(bytes) if bytes.len() <= TELEMETRY_ITEM_BYTES => {
                self.house.send(channel, Bytes::from(bytes), None);
            }
            Ok(bytes) => {
                self.house.say(format_args!(
                    "something for {channel} was dropped: it has {} bytes, and main takes at most \
                     {TELEMETRY_ITEM_BYTES}",
                    bytes.len()
                ));
                self.house.lose(&losses::message(channel, &bytes.into(), Reason::Invalid));
            }
            Err(error) => {
                self.house.say(format_args!(
                    "something for {channel} was dropped: it cannot be written: {error}"
                ));
                let nothing = Bytes::new();
                self.house.lose(&losses::message(channel, &nothing, Reason::InternalSdkError));
            }
        }
    }
}

/// An envelope, by the ways that its items take.
enum Parts {
    Typed {
        envelope: Envelope,
        /// What is to be reported with it. An empty envelope is there for just that.
        losses: Losses,
        /// Attachments that together are too large for a message.
        large: Vec<Attachment>,
        logs: Vec<Log>,
        metrics: Vec<Metric>,
    },
    /// Bytes that somebody has written by hand.
    Raw(Envelope),
}

impl Parts {
    fn of(envelope: Envelope, wishes: &Wishes, house: &House) -> Self {
        let is_empty = envelope.items().next().is_none();
        if is_empty && envelope != Envelope::new().with_headers(envelope.headers().clone()) {
            return Self::Raw(envelope);
        }
        let is_chosen = envelope.event().is_none_or(|event| wishes.chooses(event.event_id));
        if !is_chosen {
            house.count(&losses::one(Category::Error, Reason::SampleRate));
        }
        let size = |item: &EnvelopeItem| match item {
            EnvelopeItem::Attachment(attachment) => attachment.buffer.len(),
            _ => 0,
        };
        let is_large =
            envelope.items().map(size).sum::<usize>() > ENVELOPE_MESSAGE_BYTES - REST_BYTES;
        let mut rest = Envelope::new().with_headers(envelope.headers().clone());
        let (mut large, mut logs, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
        for item in envelope.into_items() {
            match item {
                EnvelopeItem::Event(_) | EnvelopeItem::Attachment(_) if !is_chosen => {}
                // Sessions are main's: a renderer has none that Sentry should count.
                EnvelopeItem::SessionUpdate(_) | EnvelopeItem::SessionAggregates(_) => {}
                EnvelopeItem::Attachment(attachment) if is_large => large.push(attachment),
                EnvelopeItem::ItemContainer(ItemContainer::Logs(list)) => logs.extend(list),
                EnvelopeItem::ItemContainer(ItemContainer::Metrics(list)) => metrics.extend(list),
                item => rest.add_item(item),
            }
        }
        logs.retain(|log: &Log| wishes.wants_log(level(log.level)));
        for log in &mut logs {
            log.trace_id = log.trace_id.map(|trace| wishes.trace_for(trace));
        }
        for metric in &mut metrics {
            metric.trace_id = wishes.trace_for(metric.trace_id);
        }
        let losses = match is_empty || rest.items().next().is_some() {
            true => house.take_losses(),
            false => Losses::new(),
        };
        Self::Typed { envelope: rest, losses, large, logs, metrics }
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
        Level::Fatal => LogLevel::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use guardhouse_process::doorway;
    use guardhouse_protocol::{Config, Item, ItemType, Message, StreamOpening};
    use sentry::Transport as _;
    use sentry::protocol::{Event, Map, MetricType, SessionUpdate};

    use super::*;
    use crate::house::Visit;

    fn transport() -> Transport {
        Transport::new(House::new(false, 10, None), Wishes::new(1.0))
    }

    fn messages(transport: &Transport) -> Vec<Message> {
        let visits = std::iter::from_fn(|| transport.house.doorway().next());
        visits
            .map(|visit| match visit {
                Visit::Message { channel, bytes, .. } => Message::parse(channel, bytes).unwrap(),
                Visit::Stream { opening, .. } => Message::Attachment(opening),
                _ => panic!("nobody asked for it"),
            })
            .collect()
    }

    fn types(message: &Message) -> Vec<ItemType> {
        let Message::Envelope(envelope) = message else { panic!("{message:?}") };
        assert!(envelope.assess().iter().all(|verdict| verdict.is_sound()));
        envelope.items().iter().map(Item::item_type).collect()
    }

    fn event_with(sizes: &[usize]) -> Envelope {
        let mut envelope: Envelope = Event::new().into();
        for (number, size) in sizes.iter().enumerate() {
            let filename = format!("{number}.bin");
            let buffer = vec![b'x'; *size];
            envelope.add_item(Attachment { buffer, filename, ..Attachment::default() });
        }
        envelope
    }

    #[test]
    fn an_event_goes_as_an_envelope_with_its_attachments() {
        let transport = transport();
        transport.send_envelope(event_with(&[10, 20]));
        let messages = messages(&transport);
        assert_eq!(messages.len(), 1);
        assert_eq!(
            types(&messages[0]),
            [ItemType::Event, ItemType::Attachment, ItemType::Attachment]
        );
    }

    #[test]
    fn attachments_that_do_not_fit_go_by_themselves_after_their_event() {
        let transport = transport();
        let envelope = event_with(&[20 * MIB, 20 * MIB]);
        let id = EventId::from_uuid(*envelope.uuid().unwrap());
        transport.send_envelope(envelope);
        let messages = messages(&transport);
        assert_eq!(types(&messages[0]), [ItemType::Event]);
        let name = |message: &Message| match message {
            Message::Attachment(opening) => {
                let expected = StreamOpening::new(opening.filename(), id).unwrap();
                assert_eq!(*opening, expected.with_size(20 * MIB as u64).unwrap());
                opening.filename().to_owned()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(messages[1..].iter().map(name).collect::<Vec<_>>(), ["0.bin", "1.bin"]);
    }

    #[test]
    fn logs_and_metrics_go_one_by_one_on_their_channels() {
        let transport = transport();
        transport
            .wishes
            .set_config(Config { log_level: Some(LogLevel::Info), ..Config::default() });
        let log = |level, body: &str| Log {
            level,
            body: body.to_owned(),
            trace_id: None,
            timestamp: SystemTime::now(),
            severity_number: None,
            attributes: Map::new(),
        };
        transport.send_envelope(
            vec![log(Level::Info, "one"), log(Level::Debug, "no"), log(Level::Error, "two")].into(),
        );
        let metric = Metric {
            r#type: MetricType::Counter,
            name: "clicks".into(),
            value: 1.0,
            timestamp: SystemTime::now(),
            trace_id: sentry::protocol::TraceId::default(),
            span_id: None,
            unit: None,
            attributes: Map::new(),
        };
        transport.send_envelope(vec![metric].into());
        let messages = messages(&transport);
        let text = |message: &Message| match message {
            Message::Log(log) => log.get("body").unwrap().as_str().unwrap().into_owned(),
            Message::Metric(metric) => metric.get("name").unwrap().as_str().unwrap().into_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(messages.iter().map(text).collect::<Vec<_>>(), ["one", "two", "clicks"]);
    }

    #[test]
    fn what_is_not_chosen_is_counted_and_the_rest_of_the_envelope_goes() {
        let transport = transport();
        transport.wishes.set_config(Config { sample_rate: Some(0.0), ..Config::default() });
        transport.send_envelope(event_with(&[10]));
        assert!(messages(&transport).is_empty());
        transport.send_envelope(Envelope::new());
        let messages = messages(&transport);
        assert_eq!(types(&messages[0]), [ItemType::ClientReport]);
    }

    #[test]
    fn what_is_lost_is_told_in_a_report_however_often_that_is_lost() {
        let transport = transport();
        transport.send_item(Channel::StructuredLog, &"x".repeat(TELEMETRY_ITEM_BYTES));
        let mut large = b"{}\n{\"type\":\"event\"}\n".to_vec();
        large.resize(ENVELOPE_MESSAGE_BYTES + 1, b'x');
        transport.send_envelope(Envelope::from_bytes_raw(large).unwrap());
        // Nothing more gets in, nor does a report.
        let full = Bytes::from(vec![0; doorway::BYTES]);
        transport.house.send(Channel::Envelope, full, None);
        transport.send_envelope(event_with(&[10]));
        transport.send_envelope(Envelope::new());
        while transport.house.doorway().next().is_some() {}

        transport.send_envelope(Envelope::new());
        let messages = messages(&transport);
        let Message::Envelope(envelope) = &messages[0] else { panic!("{messages:?}") };
        let mut told = Losses::new();
        told.absorb(&envelope.items()[0].json().unwrap());
        let invalid = Reason::Invalid;
        let mut expected = Losses::new();
        expected.count(Category::LogItem, invalid, 1);
        expected.count(Category::LogByte, invalid, TELEMETRY_ITEM_BYTES as u64 + 2);
        expected.count(Category::Error, invalid, 1);
        expected.count(Category::Error, Reason::QueueOverflow, 1);
        expected.count(Category::Attachment, Reason::QueueOverflow, 10);
        assert_eq!(told, expected);
        assert!(transport.house.take_losses().is_empty(), "it is told once");
    }

    #[test]
    fn a_large_attachment_that_is_lost_is_counted_by_its_bytes() {
        let transport = transport();
        transport.send_envelope(event_with(&[30 * MIB]));
        while transport.house.doorway().next().is_some() {}
        let losses = transport.house.take_losses();
        assert_eq!(losses.get(Category::Attachment, Reason::NetworkError), 30 * MIB as u64);
    }

    #[test]
    fn there_is_nothing_to_say_with_an_empty_envelope_or_a_session() {
        let transport = transport();
        transport.send_envelope(Envelope::new());
        let session: SessionUpdate<'static> = serde_json::from_str(
            r#"{"sid":"9ec79c33ec9942ab8353589fcb2e04dc","started":"2026-01-01T00:00:00Z","status":"exited","errors":0,"attrs":{"release":"a@1"}}"#,
        )
        .unwrap();
        transport.send_envelope(session.into());
        assert!(messages(&transport).is_empty());
    }

    #[test]
    fn an_envelope_written_by_hand_goes_as_it_is() {
        let transport = transport();
        let bytes = b"{}\n{\"type\":\"span\"}\n{}\n".to_vec();
        transport.send_envelope(Envelope::from_bytes_raw(bytes).unwrap());
        assert_eq!(types(&messages(&transport)[0]), [ItemType::Span]);
    }
}
