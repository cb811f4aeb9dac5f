//! The types of items that Sentry knows, and what is known of each.

use crate::limits::{
    ATTACHMENT_BYTES, CHECK_IN_BYTES, CLIENT_REPORT_BYTES, EVENT_BYTES, PROFILE_BYTES,
    REPLAY_BYTES, TELEMETRY_ITEM_BYTES,
};

macro_rules! item_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What an item is. The types that Sentry knows, and one for all others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ItemType {
            $($(#[$doc])* $variant,)+
            /// A type that this version does not know. It is passed on as it is.
            Other,
        }

        impl ItemType {
            /// The types that this version knows.
            pub const KNOWN: &'static [ItemType] = &[$(Self::$variant,)+];

            /// The type with this name.
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)+
                    _ => Self::Other,
                }
            }

            /// The name, unless it is a type that this version does not know.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($name),)+
                    Self::Other => None,
                }
            }
        }
    };
}

item_types! {
    /// An error or message.
    Event = "event",
    /// A transaction with its spans.
    Transaction = "transaction",
    /// An update of one session.
    Session = "session",
    /// Counts of sessions.
    Sessions = "sessions",
    /// A file that belongs to an event.
    Attachment = "attachment",
    /// User feedback.
    Feedback = "feedback",
    /// User feedback as SDKs sent it before there was `feedback`.
    UserReport = "user_report",
    /// Counts of what an SDK dropped.
    ClientReport = "client_report",
    /// A sign of life of a scheduled job.
    CheckIn = "check_in",
    /// The profile of a transaction.
    Profile = "profile",
    /// A piece of a continuous profile.
    ProfileChunk = "profile_chunk",
    /// What a replay recording is about.
    ReplayEvent = "replay_event",
    /// A piece of a replay.
    ReplayRecording = "replay_recording",
    /// A piece of a replay as a film.
    ReplayVideo = "replay_video",
    /// A span, or a container of spans.
    Span = "span",
    /// A container of logs.
    Log = "log",
    /// A container of metrics.
    TraceMetric = "trace_metric",
    /// Metrics in the form that was retired.
    Statsd = "statsd",
    /// A report of a browser about a violated policy.
    RawSecurity = "raw_security",
    /// The same for policies of other kinds.
    Security = "security",
    /// A browser's report about the network.
    Nel = "nel",
    /// Fields of a form that came with a minidump.
    FormData = "form_data",
    /// A crash report of the Unreal engine.
    UnrealReport = "unreal_report",
    /// Metrics that a server has aggregated.
    MetricBuckets = "metric_buckets",
    /// Data in another format, such as OpenTelemetry's.
    Integration = "integration",
}

impl ItemType {
    /// Whether the payload is a JSON object, as far as Sentry reads it.
    pub const fn is_json(self) -> bool {
        match self {
            Self::Event
            | Self::Transaction
            | Self::Session
            | Self::Sessions
            | Self::Feedback
            | Self::UserReport
            | Self::ClientReport
            | Self::CheckIn
            | Self::Profile
            | Self::ProfileChunk
            | Self::ReplayEvent
            | Self::Span
            | Self::Log
            | Self::TraceMetric => true,
            Self::Attachment
            | Self::ReplayRecording
            | Self::ReplayVideo
            | Self::Statsd
            | Self::RawSecurity
            | Self::Security
            | Self::Nel
            | Self::FormData
            | Self::UnrealReport
            | Self::MetricBuckets
            | Self::Integration
            | Self::Other => false,
        }
    }

    /// Whether Sentry makes an event of it, whatever it holds.
    /// [`Item::creates_event`](super::Item::creates_event) knows about attachments as well.
    pub const fn creates_event(self) -> bool {
        matches!(
            self,
            Self::Event
                | Self::Transaction
                | Self::Feedback
                | Self::RawSecurity
                | Self::Security
                | Self::UnrealReport
        )
    }

    /// Whether there are containers of many of the kind.
    pub const fn is_containable(self) -> bool {
        matches!(self, Self::Span | Self::Log | Self::TraceMetric)
    }

    /// Largest payload that Sentry takes.
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Span | Self::Log | Self::TraceMetric => TELEMETRY_ITEM_BYTES,
            Self::ClientReport => CLIENT_REPORT_BYTES,
            Self::CheckIn => CHECK_IN_BYTES,
            Self::Profile | Self::ProfileChunk => PROFILE_BYTES,
            Self::ReplayEvent | Self::ReplayRecording | Self::ReplayVideo => REPLAY_BYTES,
            Self::Attachment | Self::UnrealReport | Self::Other => ATTACHMENT_BYTES,
            Self::Event
            | Self::Transaction
            | Self::Session
            | Self::Sessions
            | Self::Feedback
            | Self::UserReport
            | Self::Statsd
            | Self::RawSecurity
            | Self::Security
            | Self::Nel
            | Self::FormData
            | Self::MetricBuckets
            | Self::Integration => EVENT_BYTES,
        }
    }
}
