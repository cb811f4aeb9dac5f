//! What something stands for that is lost before main has it: what Sentry counts it by.
//!
//! All of it is counted in the [house](crate::house), and goes to main as a report in the next
//! envelope; with a flush and at the end in one of its own. A report that is lost itself is counted
//! as what it tells, so each count arrives or is told later.

use std::time::SystemTime;

use bytes::Bytes;
use guardhouse_process::losses::{Category, Losses, Reason};
use guardhouse_process::timestamp;
use guardhouse_protocol::{Channel, Envelope};

/// A message. What is no telemetry is no loss to Sentry.
pub(crate) fn message(channel: Channel, bytes: &Bytes, reason: Reason) -> Losses {
    let mut losses = Losses::new();
    let size = bytes.len() as u64;
    match channel {
        Channel::Envelope | Channel::Feedback => match Envelope::parse(bytes.clone()) {
            Ok(envelope) => losses.count_envelope(&envelope, reason),
            Err(_) if channel == Channel::Feedback => losses.count(Category::Feedback, reason, 1),
            Err(_) => losses.count(Category::Default, reason, 1),
        },
        Channel::StructuredLog => {
            losses.count(Category::LogItem, reason, 1);
            losses.count(Category::LogByte, reason, size);
        }
        Channel::Metric => {
            losses.count(Category::TraceMetric, reason, 1);
            losses.count(Category::TraceMetricByte, reason, size);
        }
        _ => {}
    }
    losses
}

/// Something that could be counted once.
pub(crate) fn one(category: Category, reason: Reason) -> Losses {
    let mut losses = Losses::new();
    losses.count(category, reason, 1);
    losses
}

/// An attachment of so many bytes.
pub(crate) fn attachment(size: u64, reason: Reason) -> Losses {
    let mut losses = Losses::new();
    losses.count(Category::Attachment, reason, size);
    losses
}

/// The item of an envelope that tells of them. That of `sentry` does not know all that is counted.
pub(crate) fn report(losses: &Losses) -> String {
    let report = losses.to_json(timestamp(SystemTime::now()));
    let report = report.text();
    format!("{{\"type\":\"client_report\",\"length\":{}}}\n{report}\n", report.len())
}
