//! What main wants of this process: which part of what it captures, and which trace it belongs to.
//!
//! Main pushes both when it likes; the application's threads look here when they capture something.
//! Where main says nothing, the application's own options count.

use std::fmt;
use std::sync::{Arc, Mutex};

use guardhouse_process::lock;
use guardhouse_protocol::{Config, EventId, LogLevel, Trace};
use sentry::protocol::{SpanId, TraceContext, TraceId};
use sentry::types::Uuid;
use sentry::{
    ClientOptions, EventSamplingStrategy, Hub, TracesSamplingStrategy, TransactionContext,
};

/// The environment variables in which main says which trace its child continues.
const TRACE_VARIABLE: &str = "SENTRY_TRACE";
const BAGGAGE_VARIABLE: &str = "SENTRY_BAGGAGE";

/// The headers in which requests say it.
const TRACE_HEADER: &str = "sentry-trace";
const BAGGAGE_HEADER: &str = "baggage";

/// What main wants, as far as it has said.
pub(crate) struct Wishes {
    config: Mutex<Config>,
    trace: Mutex<Option<Trace>>,
    /// The share of errors to report if main names none.
    own_sample_rate: f64,
    /// The trace to which `sentry` counts what belongs to no transaction.
    own_trace: Option<TraceId>,
}

impl Wishes {
    /// What the environment says. Every hub that reports comes from the main thread's, and so does the
    /// trace that it counts to.
    pub(crate) fn new(own_sample_rate: f64) -> Arc<Self> {
        Self::with(own_sample_rate, inherited_trace(), trace_of(Hub::main()))
    }

    fn with(own_sample_rate: f64, trace: Option<Trace>, own_trace: Option<TraceId>) -> Arc<Self> {
        Arc::new(Self {
            config: Mutex::default(),
            trace: Mutex::new(trace),
            own_sample_rate,
            own_trace,
        })
    }

    pub(crate) fn set_config(&self, config: Config) {
        *lock(&self.config) = config;
    }

    pub(crate) fn set_trace(&self, trace: Trace) {
        *lock(&self.trace) = Some(trace);
    }

    /// Whether an event is to be reported.
    pub(crate) fn chooses(&self, id: Uuid) -> bool {
        let rate = lock(&self.config).sample_rate.unwrap_or(self.own_sample_rate);
        Config::chooses(rate, EventId::from_uuid(id))
    }

    /// Whether logs of this level are to be reported.
    pub(crate) fn wants_log(&self, level: LogLevel) -> bool {
        lock(&self.config).log_level.is_none_or(|least| level >= least)
    }

    /// Lets main have its say in the sampling of traces, if the application has them at all.
    pub(crate) fn guide_traces(self: &Arc<Self>, sentry: &mut ClientOptions) {
        let own = match &sentry.traces_sampling_strategy {
            TracesSamplingStrategy::Disabled => return,
            own => own.clone(),
        };
        let wishes = self.clone();
        let sampler = move |context: &TransactionContext| {
            let inherited = context.sampled().map(f32::from);
            let wanted = lock(&wishes.config).traces_sample_rate;
            match (wanted, &own) {
                (Some(rate), _) => inherited.unwrap_or(rate as f32),
                (None, TracesSamplingStrategy::FixedRate(rate)) => inherited.unwrap_or(*rate),
                (None, TracesSamplingStrategy::Function(sampler)) => sampler(context),
                (None, _) => 0.0,
            }
        };
        sentry.traces_sampling_strategy = TracesSamplingStrategy::Function(Arc::new(sampler));
    }

    /// The trace that an item belongs to which `sentry` counted to this one.
    pub(crate) fn trace_for(&self, trace: TraceId) -> TraceId {
        match self.continued() {
            Some((continued, _)) if self.own_trace == Some(trace) => continued,
            _ => trace,
        }
    }

    /// Lets an event that belongs to no transaction belong to the trace of main.
    pub(crate) fn continue_in(&self, context: &mut TraceContext) {
        if self.own_trace == Some(context.trace_id)
            && let Some((trace, span)) = self.continued()
        {
            context.trace_id = trace;
            context.parent_span_id.get_or_insert(span);
        }
    }

    /// The headers of the trace of main, if there is one.
    pub(crate) fn trace_headers(&self) -> Vec<(&'static str, String)> {
        let trace = lock(&self.trace).clone();
        let Some(trace) = trace else { return Vec::new() };
        let baggage = trace.baggage().map(|baggage| (BAGGAGE_HEADER, baggage.to_owned()));
        let headers = [(TRACE_HEADER, trace.sentry_trace().to_owned())];
        headers.into_iter().chain(baggage).collect()
    }

    fn continued(&self) -> Option<(TraceId, SpanId)> {
        let trace = lock(&self.trace);
        let mut parts = trace.as_ref()?.sentry_trace().split('-');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

impl fmt::Debug for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wishes").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The share of errors that the options of `sentry` want.
pub(crate) fn sample_rate(sentry: &ClientOptions) -> f32 {
    match sentry.event_sampling_strategy {
        EventSamplingStrategy::FixedRate(rate) => rate,
        // There is no other that could be asked for a rate.
        _ => 1.0,
    }
}

fn inherited_trace() -> Option<Trace> {
    let trace = std::env::var(TRACE_VARIABLE).ok()?;
    let baggage = std::env::var(BAGGAGE_VARIABLE).ok();
    Trace::new(&trace, baggage.as_deref()).ok()
}

fn trace_of(hub: Arc<Hub>) -> Option<TraceId> {
    // A copy, since the span would be missed in the one that others see.
    Hub::new_from_top(hub).configure_scope(|scope| {
        scope.set_span(None);
        let header = scope.iter_trace_propagation_headers().find(|(name, _)| *name == TRACE_HEADER);
        header?.1.split('-').next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "771a43a4192642f0b136d5159a501700-91595369230a4ca6-1";

    #[test]
    fn the_rate_of_main_wins_and_its_silence_brings_the_own_one_back() {
        let wishes = Wishes::with(0.0, None, None);
        let id = Uuid::from_u128(7);
        assert!(!wishes.chooses(id));
        wishes.set_config(Config { sample_rate: Some(1.0), ..Config::default() });
        assert!(wishes.chooses(id));
        wishes.set_config(Config::default());
        assert!(!wishes.chooses(id));
    }

    #[test]
    fn logs_below_the_level_of_main_are_not_wanted() {
        let wishes = Wishes::with(1.0, None, None);
        assert!(wishes.wants_log(LogLevel::Trace));
        wishes.set_config(Config { log_level: Some(LogLevel::Warn), ..Config::default() });
        assert!(!wishes.wants_log(LogLevel::Info));
        assert!(wishes.wants_log(LogLevel::Warn));
    }

    #[test]
    fn what_belongs_to_no_transaction_belongs_to_the_trace_of_main() {
        let own = trace_of(Hub::main()).unwrap();
        let wishes = Wishes::with(1.0, None, Some(own));
        assert_eq!(wishes.trace_for(own), own);
        assert!(wishes.trace_headers().is_empty());

        wishes.set_trace(Trace::new(TRACE, Some("sentry-release=a")).unwrap());
        let (trace, span) = wishes.continued().unwrap();
        assert_eq!(wishes.trace_for(own), trace);
        let mut context = TraceContext { trace_id: own, ..TraceContext::default() };
        let id = context.span_id;
        wishes.continue_in(&mut context);
        assert_eq!((context.trace_id, context.parent_span_id), (trace, Some(span)));
        assert_eq!(context.span_id, id);

        let mut other = TraceContext::default();
        let unchanged = other.clone();
        wishes.continue_in(&mut other);
        assert_eq!(other, unchanged, "a transaction's own trace stays");
        let headers = wishes.trace_headers();
        assert_eq!(headers[0], ("sentry-trace", TRACE.to_owned()));
        assert_eq!(headers[1], ("baggage", "sentry-release=a".to_owned()));
    }

    #[test]
    fn main_has_its_say_in_traces_only_where_the_application_wants_traces() {
        let wishes = Wishes::with(1.0, None, None);
        let mut sentry = ClientOptions::default();
        wishes.guide_traces(&mut sentry);
        assert!(matches!(sentry.traces_sampling_strategy, TracesSamplingStrategy::Disabled));

        let mut sentry = ClientOptions::new().traces_sample_rate(0.25);
        wishes.guide_traces(&mut sentry);
        let TracesSamplingStrategy::Function(sampler) = sentry.traces_sampling_strategy else {
            panic!("it is guided");
        };
        let mut context = TransactionContext::new("name", "op");
        assert_eq!(sampler(&context), 0.25);
        wishes.set_config(Config { traces_sample_rate: Some(0.5), ..Config::default() });
        assert_eq!(sampler(&context), 0.5);
        context.set_sampled(true);
        assert_eq!(sampler(&context), 1.0);
    }
}
