//! What main wants of renderers, held against what they say.
//!
//! A renderer that listens does so already, so nothing of what it says is lost here. The SDK in a page
//! does not listen; what it says beyond main's wishes is left out and counted.

use guardhouse_process::lock;
use guardhouse_protocol::json::Value;
use guardhouse_protocol::{Config, Envelope, EventId, Item, ItemType, LogLevel, Message};
use uuid::Uuid;

use super::Watch;
use crate::losses::{Category, Losses, Reason};

impl Watch {
    /// What is left of a message. Nothing if main wants none of it.
    pub(super) fn as_wanted(&mut self, renderer: Uuid, mut message: Message) -> Option<Message> {
        let config = *lock(&self.house.config);
        if config == Config::default() {
            return Some(message);
        }
        let mut losses = Losses::new();
        let is_wanted = match &mut message {
            Message::Envelope(envelope) => {
                let listens = self.natives.knows(renderer);
                leave_out(envelope, &config, listens, &mut losses);
                !envelope.items().is_empty()
            }
            Message::Log(log) => {
                let level = log.get("level").and_then(Value::as_str);
                let level = level.and_then(|name| LogLevel::from_name(&name));
                let is_minor = |least| level.is_some_and(|level| level < least);
                let is_wanted = !is_paused(&config) && !config.log_level.is_some_and(is_minor);
                if !is_wanted {
                    losses.count(Category::LogItem, Reason::Ignored, 1);
                    losses.count(Category::LogByte, Reason::Ignored, log.text().len() as u64);
                }
                is_wanted
            }
            Message::Metric(metric) if is_paused(&config) => {
                losses.count(Category::TraceMetric, Reason::Ignored, 1);
                let bytes = metric.text().len() as u64;
                losses.count(Category::TraceMetricByte, Reason::Ignored, bytes);
                false
            }
            _ => true,
        };
        if let Some(outbox) = &mut self.outbox {
            outbox.count(&losses);
        }
        is_wanted.then_some(message)
    }
}

fn is_paused(config: &Config) -> bool {
    config.paused == Some(true)
}

/// Takes out what is not wanted.
fn leave_out(envelope: &mut Envelope, config: &Config, listens: bool, losses: &mut Losses) {
    if is_paused(config) {
        for item in envelope.retain(|_| false) {
            losses.count_item(&item, Reason::Ignored);
        }
        return;
    }
    let header = envelope.header().as_object();
    let id = |path: &[&str]| -> Option<EventId> { header.at(path)?.as_str()?.parse().ok() };
    let (event, trace) = (id(&["event_id"]), id(&["trace", "trace_id"]));
    let is_left_out = |rate: Option<f64>, id: Option<EventId>| match (rate, id) {
        (Some(rate), Some(id)) => !Config::chooses(rate, id),
        (Some(rate), None) => rate <= 0.0,
        (None, _) => false,
    };
    let no_events = is_left_out(config.sample_rate, event);
    // Who listens has thrown its own dice, with the same chance.
    let no_traces = match config.traces_sample_rate {
        Some(rate) if listens => rate <= 0.0,
        rate => is_left_out(rate, trace),
    };
    let is_event = |item: &Item| item.item_type() == ItemType::Event;
    let has_event = envelope.items().iter().any(is_event);
    let has_trace = envelope.items().iter().any(|it| it.item_type() == ItemType::Transaction);
    let goes = |item: &Item| match item.item_type() {
        ItemType::Event => no_events,
        ItemType::Transaction => no_traces,
        // What comes with an event goes with it.
        ItemType::Attachment => no_events && has_event,
        ItemType::Profile => no_traces && has_trace,
        _ => false,
    };
    for item in envelope.retain(|item| !goes(item)) {
        losses.count_item(&item, Reason::SampleRate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: &str = "ffffffffffffffffffffffffffffffff";

    fn kinds_left(config: &Config, listens: bool) -> (Vec<&'static str>, Losses) {
        let text = format!(
            "{{\"event_id\":\"{LAST}\",\"trace\":{{\"trace_id\":\"{LAST}\"}}}}\n\
             {{\"type\":\"event\"}}\n{{}}\n{{\"type\":\"attachment\",\"length\":1}}\nx\n\
             {{\"type\":\"transaction\"}}\n{{}}\n{{\"type\":\"feedback\"}}\n{{}}\n"
        );
        let mut envelope = Envelope::parse(text).unwrap();
        let mut losses = Losses::new();
        leave_out(&mut envelope, config, listens, &mut losses);
        let kinds = envelope.items().iter().map(|item| item.item_type().name().unwrap()).collect();
        (kinds, losses)
    }

    #[test]
    fn what_is_not_chosen_goes_with_what_belongs_to_it() {
        let config = Config { sample_rate: Some(0.5), ..Config::default() };
        let (kinds, losses) = kinds_left(&config, false);
        assert_eq!(kinds, ["transaction", "feedback"]);
        assert_eq!(losses.get(Category::Error, Reason::SampleRate), 1);
        assert_eq!(losses.get(Category::Attachment, Reason::SampleRate), 1);
    }

    #[test]
    fn who_listens_has_chosen_its_traces_itself() {
        let config = Config { traces_sample_rate: Some(0.5), ..Config::default() };
        assert_eq!(kinds_left(&config, true).0.len(), 4);
        assert_eq!(kinds_left(&config, false).0, ["event", "attachment", "feedback"]);
        let config = Config { traces_sample_rate: Some(0.0), ..Config::default() };
        assert_eq!(kinds_left(&config, true).0, ["event", "attachment", "feedback"]);
    }

    #[test]
    fn nothing_is_left_of_what_comes_in_a_pause() {
        let config = Config { paused: Some(true), ..Config::default() };
        let (kinds, losses) = kinds_left(&config, true);
        assert!(kinds.is_empty());
        assert_eq!(losses.get(Category::Error, Reason::Ignored), 1);
    }
}
