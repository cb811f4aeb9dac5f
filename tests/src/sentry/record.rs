//! Everything that arrived.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use serde_json::Value;

use super::envelope::Envelope;
use super::message::find;
use super::server::GUARD;

/// A request that arrived as a whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// When its first byte arrived.
    pub arrived: Instant,
    /// The number of its connection, from 0.
    pub connection: u64,
    /// The method.
    pub method: String,
    /// What it asked for: the path.
    pub target: String,
    /// The headers, as they came.
    pub headers: Vec<(String, String)>,
    /// The body as it was sent; of chunks only what is in them.
    pub body: Vec<u8>,
    /// The body, decompressed.
    pub content: Vec<u8>,
    /// The envelope in it, or why there is none.
    pub envelope: Result<Envelope, String>,
    /// What Sentry would not have taken.
    pub faults: Vec<String>,
    /// The status that it was answered with; nothing if it was not to be answered.
    pub status: Option<u16>,
}

impl Request {
    /// The value of a header; of the first, if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Whether it was answered with success.
    pub fn was_taken(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }
}

/// All requests, and word of new ones.
#[derive(Default)]
pub(super) struct Record {
    requests: Mutex<Vec<Arc<Request>>>,
    changed: Condvar,
    happened: Mutex<Happened>,
    has_happened: Condvar,
}

/// What became of connections after a request has arrived, or before.
#[derive(Default)]
struct Happened {
    hanging: usize,
    answered: usize,
}

impl Record {
    pub(super) fn add(&self, request: Request) {
        self.requests.lock().unwrap().push(Arc::new(request));
        self.changed.notify_all();
    }

    /// Something hangs, or does not any more.
    pub(super) fn hangs(&self, hangs: bool) {
        let mut happened = self.happened.lock().unwrap();
        happened.hanging = happened.hanging + usize::from(hangs) - usize::from(!hangs);
        self.has_happened.notify_all();
    }

    /// A usual answer was written.
    pub(super) fn answers(&self) {
        self.happened.lock().unwrap().answered += 1;
        self.has_happened.notify_all();
    }

    pub(super) fn answered(&self) -> usize {
        self.happened.lock().unwrap().answered
    }

    pub(super) fn wait_until_hanging(&self) -> bool {
        self.wait_until_happened(|happened| happened.hanging > 0)
    }

    pub(super) fn wait_until_answered(&self, answers: usize) -> bool {
        self.wait_until_happened(|happened| happened.answered >= answers)
    }

    fn wait_until_happened(&self, has: impl Fn(&Happened) -> bool) -> bool {
        let happened = self.happened.lock().unwrap();
        let waited = self.has_happened.wait_timeout_while(happened, GUARD, |it| !has(it));
        !waited.unwrap().1.timed_out()
    }

    pub(super) fn all(&self) -> Vec<Arc<Request>> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until `enough` says so, and says whether it did before that took too long.
    pub(super) fn wait_until(
        &self,
        mut enough: impl FnMut(&[Arc<Request>]) -> bool,
    ) -> (Vec<Arc<Request>>, bool) {
        let requests = self.requests.lock().unwrap();
        let waited = self.changed.wait_timeout_while(requests, GUARD, |requests| !enough(requests));
        let (requests, waited) = waited.unwrap();
        (requests.clone(), !waited.timed_out())
    }
}

/// The ids of envelopes that were taken more than once.
pub(super) fn duplicates(requests: &[Arc<Request>]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for request in requests.iter().filter(|request| request.was_taken()) {
        let id = request.envelope.as_ref().ok().and_then(Envelope::event_id);
        if let Some(id) = id.map(|id| id.replace('-', ""))
            && !seen.insert(id.clone())
        {
            twice.insert(id);
        }
    }
    twice.into_iter().collect()
}

/// What the client reports that were taken say of a category and a reason, together.
pub(super) fn lost(requests: &[Arc<Request>], category: &str, reason: &str) -> u64 {
    let reports = requests
        .iter()
        .filter(|request| request.was_taken())
        .filter_map(|request| request.envelope.as_ref().ok())
        .flat_map(|envelope| &envelope.items)
        .filter(|item| item.kind() == "client_report");
    reports.map(|report| reported(&report.json(), category, reason)).sum()
}

/// What a client report says of a category and a reason.
pub(super) fn reported(report: &Value, category: &str, reason: &str) -> u64 {
    let entries = report["discarded_events"].as_array().map_or(&[][..], Vec::as_slice);
    let meant = |entry: &&Value| entry["category"] == category && entry["reason"] == reason;
    entries.iter().filter(meant).filter_map(|entry| entry["quantity"].as_u64()).sum()
}

/// What arrived, as a failed test shows it.
pub(super) fn describe(requests: &[Arc<Request>]) -> String {
    const SHOWN: usize = 300;
    let mut text = String::new();
    if requests.is_empty() {
        text.push_str("  nothing\n");
    }
    for (number, request) in requests.iter().enumerate() {
        let status = request.status.map_or("not answered".to_owned(), |status| status.to_string());
        let _ = writeln!(text, "  request {number} to {}, {status}", request.target);
        for fault in &request.faults {
            let _ = writeln!(text, "    fault: {fault}");
        }
        let items = request.envelope.as_ref().map_or(&[][..], |envelope| &envelope.items);
        for item in items {
            let payload = String::from_utf8_lossy(&item.payload);
            let shown: String = payload.chars().take(SHOWN).collect();
            let more = if shown.len() < payload.len() { "…" } else { "" };
            let _ = writeln!(text, "    {} {shown}{more}", item.header);
        }
    }
    text
}
