//! The breadcrumbs of all processes by time.

use std::collections::BTreeMap;

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::json::{Json, Object, Value};
use guardhouse_protocol::scope::{Breadcrumb, Contribution};

use super::Process;
use crate::merge::privacy;

/// A breadcrumb among those of all processes.
#[derive(Clone, Debug)]
pub struct Crumb {
    time: Timestamp,
    from: Process,
    json: Json,
    meta: Option<Json>,
}

impl Crumb {
    /// The time by which it is ordered.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The process that left it.
    pub fn from(&self) -> Process {
        self.from
    }

    /// The breadcrumb as it goes into an event, without secrets.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// What the event's `_meta` has to say about it, if something was cut.
    pub fn meta(&self) -> Option<&Json> {
        self.meta.as_ref()
    }
}

/// The newest breadcrumbs of all processes, the newest last.
#[derive(Debug)]
pub(in crate::merge) struct Trail {
    pub(in crate::merge) crumbs: Vec<Crumb>,
    /// All of them as one array, for events that carry none.
    pub(in crate::merge) list: Json,
    pub(in crate::merge) max: usize,
}

impl Trail {
    pub(super) fn of(contributions: &BTreeMap<Process, Contribution>, max: usize) -> Self {
        let mut all: Vec<(Timestamp, Process, &Breadcrumb)> = Vec::new();
        for (process, contribution) in contributions {
            // Each has a time: it was given one when it came, if it had none.
            let timed = contribution.breadcrumbs().map(|breadcrumb| {
                (breadcrumb.timestamp().unwrap_or(Timestamp::EPOCH), *process, breadcrumb)
            });
            all.extend(timed);
        }
        all.sort_by_key(|(time, ..)| *time);
        let newest = all.split_off(all.len().saturating_sub(max));
        let crumbs: Vec<Crumb> = newest
            .into_iter()
            .map(|(time, from, breadcrumb)| Crumb {
                time,
                from,
                json: privacy::breadcrumb(breadcrumb.json().as_value())
                    .unwrap_or_else(|| breadcrumb.json().clone()),
                meta: breadcrumb.meta().cloned(),
            })
            .collect();
        Self { list: Json::array(crumbs.iter().map(Crumb::json)), crumbs, max }
    }
}

/// What makes a breadcrumb of a process that one, if it says when it happened. Its data does not: the
/// SDK of a page may have cut it to one depth in an event and to another in the scope.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::merge) struct Mark<'a> {
    timestamp: &'a str,
    rest: [Option<&'a str>; 3],
}

impl<'a> Mark<'a> {
    pub(in crate::merge) fn of(breadcrumb: &Object<'a>) -> Option<Self> {
        let text = |member| breadcrumb.get(member).map(Value::text);
        let rest = [text("type"), text("category"), text("message")];
        Some(Self { timestamp: text("timestamp")?, rest })
    }
}
