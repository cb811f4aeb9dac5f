//! The breadcrumbs of all processes by time.

use std::collections::BTreeMap;

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::json::{Json, Object, Value};
use guardhouse_protocol::scope::{Breadcrumb, Contribution};

use super::Process;

/// A breadcrumb among those of all processes.
#[derive(Clone, Copy, Debug)]
pub struct Crumb<'a> {
    fact: &'a Fact,
    value: Value<'a>,
}

impl<'a> Crumb<'a> {
    /// The time by which it is ordered.
    pub fn time(&self) -> Timestamp {
        self.fact.time
    }

    /// The process that left it.
    pub fn from(&self) -> Process {
        self.fact.from
    }

    /// The breadcrumb as it goes into an event, without secrets.
    pub fn value(&self) -> Value<'a> {
        self.value
    }

    /// What the event's `_meta` has to say about it, if something was cut.
    pub fn meta(&self) -> Option<&'a Json> {
        self.fact.meta.as_ref()
    }
}

/// What is to know of a breadcrumb beside what it says.
#[derive(Debug)]
struct Fact {
    time: Timestamp,
    from: Process,
    meta: Option<Json>,
}

/// The newest breadcrumbs of all processes, the newest last. It is made often, so they are kept as the
/// one text that most events get.
#[derive(Debug)]
pub(in crate::merge) struct Trail {
    facts: Vec<Fact>,
    /// All of them as one array.
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
        let list = Json::array(newest.iter().map(|(.., breadcrumb)| breadcrumb.json()));
        let facts = newest.into_iter().map(|(time, from, breadcrumb)| Fact {
            time,
            from,
            meta: breadcrumb.meta().cloned(),
        });
        Self { facts: facts.collect(), list, max }
    }

    pub(in crate::merge) fn len(&self) -> usize {
        self.facts.len()
    }

    /// How many of them are from before a time.
    pub(super) fn len_before(&self, end: Timestamp) -> usize {
        self.facts.partition_point(|fact| fact.time < end)
    }

    /// What `_meta` has to say about them, by their place.
    pub(in crate::merge) fn metas(&self) -> impl Iterator<Item = (usize, &Json)> {
        let metas = self.facts.iter().map(|fact| fact.meta.as_ref());
        metas.enumerate().filter_map(|(index, meta)| Some((index, meta?)))
    }

    pub(in crate::merge) fn crumbs(&self) -> impl Iterator<Item = Crumb<'_>> {
        let values = self.list.as_value().elements().into_iter().flatten();
        self.facts.iter().zip(values).map(|(fact, value)| Crumb { fact, value })
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
