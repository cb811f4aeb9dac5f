//! A server that does anything, and knows by itself what that means.

use std::time::{Duration, Instant};

use guardhouse_main::losses::Category;
use guardhouse_main::outbox::Priority;
use guardhouse_main::outbox::dispatcher::Categories;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Answer { status: u16, limits: Vec<Limit>, retry_after: Option<u32> },
    Failure,
    Abandonment,
}

/// One limit of the header: so many seconds none of these. None of them named is all.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    seconds: f64,
    categories: Vec<Category>,
    /// A name that nobody knows, among the others.
    is_strange: bool,
    /// Whether only Sentry can have given it.
    is_sentrys: bool,
}

/// What becomes of an envelope, as the issue says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Taken,
    Discarded,
    Refused,
    /// Sentry was not reached.
    Kept,
    /// Sentry was reached, and takes it later.
    Postponed,
}

impl Reply {
    pub(crate) const OK: Self = Self::Answer { status: 200, limits: Vec::new(), retry_after: None };

    /// What becomes of an envelope, or of a report alone.
    pub(crate) fn fate(&self, priority: Option<Priority>) -> Fate {
        match self {
            Self::Answer { status: 200 | 202, .. } => Fate::Taken,
            Self::Answer { status: 429, limits, .. } if limits.is_empty() => Fate::Kept,
            Self::Answer { status: 429, .. } => match priority {
                Some(Priority::Crash | Priority::Session) => Fate::Postponed,
                Some(Priority::Normal) | None => Fate::Discarded,
            },
            Self::Answer { status: 400 | 401 | 403 | 404 | 413 | 500, .. } => Fate::Refused,
            _ => Fate::Kept,
        }
    }

    /// The value of `X-Sentry-Rate-Limits`.
    pub(crate) fn limits_header(&self) -> Option<String> {
        let Self::Answer { limits, .. } = self else { return None };
        let limits: Vec<_> = limits.iter().map(Limit::header).collect();
        (!limits.is_empty()).then(|| limits.join(", "))
    }
}

impl Limit {
    fn header(&self) -> String {
        let mut names: Vec<_> = self.categories.iter().map(|category| category.name()).collect();
        if self.is_strange {
            names.insert(0, "metric_bucket");
        }
        format!("{}:{}:organization:quota", self.seconds, names.join(";"))
    }

    fn covers(&self, category: Category) -> bool {
        let is_all = self.categories.is_empty() && !self.is_strange;
        is_all || self.categories.contains(&category)
    }
}

/// What the server wants to be spared of, kept the plain way: every limit that it ever gave.
#[derive(Debug, Default)]
pub(crate) struct Given(Vec<(Instant, Limit)>);

impl Given {
    pub(crate) fn note(&mut self, now: Instant, reply: &Reply) {
        let Reply::Answer { status, limits, retry_after } = reply else { return };
        let everything = |seconds| Limit {
            seconds,
            categories: Vec::new(),
            is_strange: false,
            is_sentrys: false,
        };
        match (limits.as_slice(), retry_after) {
            ([], Some(seconds)) => self.0.push((now, everything(f64::from(*seconds)))),
            ([], None) if *status == 429 => self.0.push((now, everything(60.0))),
            (limits, _) => self.0.extend(limits.iter().map(|limit| (now, limit.clone()))),
        }
    }

    pub(crate) fn is_limited(&self, now: Instant, category: Category) -> bool {
        self.at(now).any(|limit| limit.covers(category))
    }

    fn at(&self, now: Instant) -> impl Iterator<Item = &Limit> {
        let is_on = move |(given, limit): &&(Instant, Limit)| {
            *given + Duration::from_secs_f64(limit.seconds) > now
        };
        self.0.iter().filter(is_on).map(|(_, limit)| limit)
    }

    pub(crate) fn limited_by_sentry(&self, now: Instant, of: Categories) -> Categories {
        let is_limited = |category: &Category| {
            self.at(now).any(|limit| limit.is_sentrys && limit.covers(*category))
        };
        of.iter().filter(is_limited).collect()
    }

    pub(crate) fn limited(&self, now: Instant, of: Categories) -> Categories {
        of.iter().filter(|category| self.is_limited(now, *category)).collect()
    }
}

pub(crate) fn category() -> impl Strategy<Value = Category> {
    // Some more often than others, so that limits meet envelopes.
    prop_oneof![
        3 => Just(Category::Error),
        1 => Just(Category::Internal),
        4 => select(Category::ALL),
    ]
}

fn limit() -> impl Strategy<Value = Limit> {
    let seconds = prop_oneof![0.0..5.0, 1.0..4000.0];
    (seconds, vec(category(), 0..4), any::<bool>()).prop_map(|(seconds, categories, is_strange)| {
        Limit { seconds, categories, is_strange, is_sentrys: true }
    })
}

pub(crate) fn reply() -> impl Strategy<Value = Reply> {
    let statuses = vec![
        200, 202, 302, 400, 401, 403, 404, 407, 408, 413, 429, 500, 502, 503, 504, 511, 522, 0, 700,
    ];
    let status = prop_oneof![Just(200), select(statuses)];
    let limits = prop_oneof![3 => Just(Vec::new()), 1 => vec(limit(), 1..4)];
    let retry_after = proptest::option::weighted(0.1, 0..500_u32);
    let answer = (status, limits, retry_after)
        .prop_map(|(status, limits, retry_after)| Reply::Answer { status, limits, retry_after });
    prop_oneof![6 => answer, 3 => Just(Reply::Failure), 1 => Just(Reply::Abandonment)]
}
