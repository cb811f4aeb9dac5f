//! The contract between renderers and main, as one table.
//!
//! Each row of [`CONTRACT`] declares a channel: who speaks, what is said, how large it may be, how
//! often it may be said, and what main does with it. Everything else is derived from these rows: the
//! keys and URLs, the bounds of the frame decoder, the budgets of intake, the declaration that pages
//! are typed against (`sdk-preload/js/bridge.d.ts`) and the page that answers what a renderer can
//! make main do (`docs/contract.md`).

use crate::Channel;
use crate::limits::{
    CHUNK_BYTES, ENVELOPE_MESSAGE_BYTES, MIB, SCOPE_MESSAGE_BYTES, SMALL_MESSAGE_BYTES,
    STREAM_BYTES, TELEMETRY_ITEM_BYTES, TRACE_MESSAGE_BYTES,
};

/// One row of the contract.
#[derive(Debug)]
#[non_exhaustive]
pub struct Declaration {
    /// The channel that the row is about.
    pub channel: Channel,
    /// Its name in keys and URLs.
    pub name: &'static str,
    /// Who made the channel up.
    pub origin: Origin,
    /// Who speaks, and whether an answer is expected.
    pub direction: Direction,
    /// What is said.
    pub payload: Payload,
    /// What is answered.
    pub reply: Reply,
    /// Most bytes of one message; of one chunk, where the channel is a stream.
    pub max_bytes: usize,
    /// Most bytes of everything that belongs together: a message, or a whole stream.
    pub max_total_bytes: u64,
    /// How much and how often one renderer may speak before main stops listening to it. Nothing on
    /// the channels where main speaks.
    pub budget: Option<Budget>,
    /// What main does when it hears this; what a renderer does, where main speaks.
    pub effect: &'static str,
    /// How a page says it, or hears it.
    pub method: Method,
}

/// Who made a channel up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `@sentry/electron`, whose renderer SDK speaks it unmodified.
    Electron,
    /// Guardhouse. A page asks whether the method is there before it calls it.
    Guardhouse,
}

/// Who speaks on a channel, and whether an answer is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A renderer tells main.
    OneWay,
    /// A renderer asks main, and main answers.
    Request,
    /// Main tells a renderer.
    Push,
    /// A renderer sends main pieces of something large, and main acknowledges them.
    Stream,
}

impl Direction {
    /// Whether it is a renderer that speaks.
    pub const fn is_to_main(self) -> bool {
        !matches!(self, Self::Push)
    }

    /// The direction as a person reads it.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::OneWay => "renderer → main, one-way",
            Self::Request => "renderer → main, request/response",
            Self::Push => "main → renderer, push",
            Self::Stream => "renderer → main, chunked stream",
        }
    }
}

/// What the messages of a channel consist of. Each is a type of this crate that the bytes are parsed
/// into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// No bytes at all.
    Empty,
    /// A [`ScopeMessage`](crate::scope::ScopeMessage): a whole scope, or changes to it.
    Scope,
    /// An [`Envelope`](crate::Envelope).
    Envelope,
    /// A [`Status`](crate::Status).
    Status,
    /// A [`Log`](crate::Log).
    Log,
    /// A [`Metric`](crate::Metric).
    Metric,
    /// A [`StreamOpening`](crate::StreamOpening), then chunks of any bytes.
    Stream,
    /// A [`Config`](crate::Config).
    Config,
    /// A [`Trace`](crate::Trace).
    Trace,
}

impl Payload {
    /// The payload as a person reads it: what it is on the classic way, and as a request's body
    /// where that differs.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Empty => "nothing",
            Self::Scope => {
                "JSON: the whole merged scope as an object, or an array of changes to it"
            }
            Self::Envelope => "a Sentry envelope, as text or bytes",
            Self::Status => {
                "JSON: `{\"status\", \"config\"}`; as a request's body `{\"status\": {\"status\", \"config\"}}`"
            }
            Self::Log => "JSON: one serialised log",
            Self::Metric => "JSON: one serialised metric",
            Self::Stream => "JSON: what the stream is; then its bytes in chunks",
            Self::Config => {
                "JSON: `{\"paused\", \"sampleRate\", \"tracesSampleRate\", \"logLevel\"}`"
            }
            Self::Trace => "JSON: `{\"sentryTrace\", \"baggage\"}`",
        }
    }
}

/// What main answers on a channel. Over the protocol every channel is answered with status 200 and
/// these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// No bytes.
    Empty,
    /// [`FeedbackResult`](crate::FeedbackResult): what became of the sending.
    Feedback,
    /// [`FlushResult`](crate::FlushResult): whether all is durable.
    Flush,
    /// [`StreamResult`](crate::StreamResult): how much of the stream is durable.
    Stream,
}

impl Reply {
    /// The reply as a person reads it.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Empty => "nothing",
            Self::Feedback => "JSON: `{\"statusCode\", \"headers\"}`, or `{}` if nothing was sent",
            Self::Flush => "JSON: `{\"durable\"}`",
            Self::Stream => "JSON: `{\"received\", \"complete\"}`",
        }
    }
}

/// How much one renderer may say on a channel: what it may say at once, and how fast it may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Messages at once.
    pub burst: u32,
    /// Messages a second after that.
    pub per_second: u32,
    /// Bytes at once.
    pub burst_bytes: u64,
    /// Bytes a second after that.
    pub bytes_per_second: u64,
}

/// How a page uses a channel: a named method of the bridge. There is no method that takes a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// The name of the method.
    pub name: &'static str,
    /// Its parameters and result, in TypeScript.
    pub signature: &'static str,
    /// What a page's developer should know.
    pub doc: &'static str,
}

const fn mib(count: u64) -> u64 {
    count * MIB as u64
}

/// The contract. A channel's row is at its [code](Channel::code) less one, which the build checks.
pub static CONTRACT: [Declaration; Channel::ALL.len()] = [
    Declaration {
        channel: Channel::Start,
        name: "start",
        origin: Origin::Electron,
        direction: Direction::OneWay,
        payload: Payload::Empty,
        reply: Reply::Empty,
        max_bytes: 0,
        max_total_bytes: 0,
        budget: Some(Budget {
            burst: 50,
            per_second: 1,
            burst_bytes: 0,
            bytes_per_second: 0,
        }),
        effect: "Notes that the renderer's SDK runs. Whatever a former page of the same renderer \
                 contributed to the scope is forgotten.",
        method: Method {
            name: "sendRendererStart",
            signature: "(): void",
            doc: "Says that the page's SDK has started. The SDK calls it once.",
        },
    },
    Declaration {
        channel: Channel::Scope,
        name: "scope",
        origin: Origin::Electron,
        direction: Direction::OneWay,
        payload: Payload::Scope,
        reply: Reply::Empty,
        max_bytes: SCOPE_MESSAGE_BYTES,
        max_total_bytes: SCOPE_MESSAGE_BYTES as u64,
        budget: Some(Budget {
            burst: 10_000,
            per_second: 2_000,
            burst_bytes: mib(32),
            bytes_per_second: mib(4),
        }),
        effect: "Updates what the renderer contributes to the scope of every event: user, tags, \
                 extra, contexts, attributes, level, fingerprint, transaction, breadcrumbs, bounded \
                 attachments. It can neither see nor clear what another process contributed.",
        method: Method {
            name: "sendScope",
            signature: "(scope: string): void",
            doc: "Replaces what this page contributes to the scope. `scope` is the JSON of the whole \
                  scope; its breadcrumbs are added to those already sent.",
        },
    },
    Declaration {
        channel: Channel::Envelope,
        name: "envelope",
        origin: Origin::Electron,
        direction: Direction::OneWay,
        payload: Payload::Envelope,
        reply: Reply::Empty,
        max_bytes: ENVELOPE_MESSAGE_BYTES,
        max_total_bytes: ENVELOPE_MESSAGE_BYTES as u64,
        budget: Some(Budget {
            burst: 10_000,
            per_second: 2_000,
            burst_bytes: mib(256),
            bytes_per_second: mib(32),
        }),
        effect: "Merges the scope of all processes into the events of the envelope and queues it \
                 for Sentry. Items that a renderer may not send (sessions, client reports, check-ins, \
                 minidumps) are refused and counted.",
        method: Method {
            name: "sendEnvelope",
            signature: "(envelope: string | Uint8Array): void",
            doc: "Hands over an envelope for Sentry, as text or, if it holds binary attachments, as \
                  bytes.",
        },
    },
    Declaration {
        channel: Channel::Feedback,
        name: "feedback",
        origin: Origin::Electron,
        direction: Direction::Request,
        payload: Payload::Envelope,
        reply: Reply::Feedback,
        max_bytes: ENVELOPE_MESSAGE_BYTES,
        max_total_bytes: ENVELOPE_MESSAGE_BYTES as u64,
        budget: Some(Budget {
            burst: 20,
            per_second: 1,
            burst_bytes: mib(64),
            bytes_per_second: mib(2),
        }),
        effect: "As for an envelope, but tries to send it at once and answers with what Sentry said. \
                 Only envelopes with a feedback item are taken.",
        method: Method {
            name: "sendFeedback",
            signature: "(envelope: string | Uint8Array): Promise<FeedbackResult>",
            doc: "Hands over an envelope with user feedback. The promise resolves with what became \
                  of it, and never rejects because of Sentry's answer.",
        },
    },
    Declaration {
        channel: Channel::Status,
        name: "status",
        origin: Origin::Electron,
        direction: Direction::OneWay,
        payload: Payload::Status,
        reply: Reply::Empty,
        max_bytes: SMALL_MESSAGE_BYTES,
        max_total_bytes: SMALL_MESSAGE_BYTES as u64,
        budget: Some(Budget {
            burst: 200,
            per_second: 50,
            burst_bytes: mib(1),
            bytes_per_second: mib(1) / 4,
        }),
        effect: "Sets back the watch for a renderer that does not respond; a hidden page is not \
                 watched.",
        method: Method {
            name: "sendStatus",
            signature: "(status: RendererStatus): void",
            doc: "The heartbeat of the page's thread, by which main notices that it hangs.",
        },
    },
    Declaration {
        channel: Channel::StructuredLog,
        name: "structured-log",
        origin: Origin::Electron,
        direction: Direction::OneWay,
        payload: Payload::Log,
        reply: Reply::Empty,
        max_bytes: TELEMETRY_ITEM_BYTES,
        max_total_bytes: TELEMETRY_ITEM_BYTES as u64,
        budget: Some(Budget {
            burst: 5_000,
            per_second: 1_000,
            burst_bytes: mib(16),
            bytes_per_second: mib(2),
        }),
        effect: "Adds main's attributes (release, environment, process, device) and batches the log \
                 for Sentry.",
        method: Method {
            name: "sendStructuredLog",
            signature: "(log: SerializedLog): void",
            doc: "Hands over one log.",
        },
    },
    Declaration {
        channel: Channel::Metric,
        name: "metric",
        origin: Origin::Electron,
        direction: Direction::OneWay,
        payload: Payload::Metric,
        reply: Reply::Empty,
        max_bytes: TELEMETRY_ITEM_BYTES,
        max_total_bytes: TELEMETRY_ITEM_BYTES as u64,
        budget: Some(Budget {
            burst: 5_000,
            per_second: 1_000,
            burst_bytes: mib(16),
            bytes_per_second: mib(2),
        }),
        effect: "Adds main's attributes (release, environment, process, device) and batches the \
                 metric for Sentry.",
        method: Method {
            name: "sendMetric",
            signature: "(metric: SerializedMetric): void",
            doc: "Hands over one metric.",
        },
    },
    Declaration {
        channel: Channel::Flush,
        name: "flush",
        origin: Origin::Guardhouse,
        direction: Direction::Request,
        payload: Payload::Empty,
        reply: Reply::Flush,
        max_bytes: 0,
        max_total_bytes: 0,
        budget: Some(Budget {
            burst: 100,
            per_second: 10,
            burst_bytes: 0,
            bytes_per_second: 0,
        }),
        effect: "Makes everything that the renderer sent before durable, then answers. It does not \
                 wait for the network.",
        method: Method {
            name: "flush",
            signature: "(): Promise<FlushResult>",
            doc: "Resolves when everything that was handed over before is on disk, so that it \
                  reaches Sentry even if the application dies now.",
        },
    },
    Declaration {
        channel: Channel::Attachment,
        name: "attachment",
        origin: Origin::Guardhouse,
        direction: Direction::Stream,
        payload: Payload::Stream,
        reply: Reply::Stream,
        max_bytes: CHUNK_BYTES,
        max_total_bytes: STREAM_BYTES,
        budget: Some(Budget {
            burst: 2_000,
            per_second: 500,
            burst_bytes: mib(256),
            bytes_per_second: mib(64),
        }),
        effect: "Writes the bytes to disk as they come and queues them for Sentry as an attachment \
                 of the event that the opening names.",
        method: Method {
            name: "sendAttachment",
            signature: "(attachment: StreamOpening, data: Blob | ArrayBuffer | Uint8Array): \
                        Promise<StreamResult>",
            doc: "Hands over an attachment that is too large for an envelope, piece by piece. \
                  Resolves when all of it is on disk.",
        },
    },
    Declaration {
        channel: Channel::Config,
        name: "config",
        origin: Origin::Guardhouse,
        direction: Direction::Push,
        payload: Payload::Config,
        reply: Reply::Empty,
        max_bytes: SMALL_MESSAGE_BYTES,
        max_total_bytes: SMALL_MESSAGE_BYTES as u64,
        budget: None,
        effect: "The renderer pauses or resumes, samples, and drops logs below the level, as main \
                 says. Main enforces the same on what arrives.",
        method: Method {
            name: "onConfig",
            signature: "(listener: (config: Config) => void): () => void",
            doc: "Calls `listener` with main's present configuration and again whenever it changes. \
                  Call what it returns to stop listening.",
        },
    },
    Declaration {
        channel: Channel::Trace,
        name: "trace",
        origin: Origin::Guardhouse,
        direction: Direction::Push,
        payload: Payload::Trace,
        reply: Reply::Empty,
        max_bytes: TRACE_MESSAGE_BYTES,
        max_total_bytes: TRACE_MESSAGE_BYTES as u64,
        budget: None,
        effect: "The renderer continues the trace: main's own, or one that main relays from \
                 another renderer.",
        method: Method {
            name: "onTrace",
            signature: "(listener: (trace: Trace) => void): () => void",
            doc: "Calls `listener` with the trace that this page should continue, if there is one, \
                  and again whenever main relays another. Call what it returns to stop listening.",
        },
    },
];

// A row in the wrong place would give a channel another one's bounds: that must not compile.
const _: () = {
    let mut index = 0;
    while index < CONTRACT.len() {
        assert!(CONTRACT[index].channel as usize == index + 1);
        assert!(Channel::ALL[index] as usize == index + 1);
        index += 1;
    }
};

/// The types that the methods of the bridge speak of, in TypeScript.
pub const BRIDGE_TYPES: &[BridgeType] = &[
    BridgeType {
        name: "FeedbackResult",
        doc: "What became of user feedback. Empty if nothing was sent.",
        body: "{
  /** The status with which Sentry answered. */
  statusCode?: number;
  /** The headers of the answer that say how to go on. */
  headers?: {
    'x-sentry-rate-limits': string | null;
    'retry-after': string | null;
    [header: string]: string | null;
  };
}",
    },
    BridgeType {
        name: "FlushResult",
        doc: "Answer to `flush`.",
        body: "{
  /** Whether everything that was handed over before is on disk. */
  durable: boolean;
}",
    },
    BridgeType {
        name: "RendererStatus",
        doc: "Heartbeat of a page, with what its watch should look for.",
        body: "{
  /** `alive` is the heartbeat, the others say whether the page can be seen. */
  status: 'alive' | 'visible' | 'hidden';
  config: {
    /** Milliseconds between two heartbeats. */
    pollInterval: number;
    /** Milliseconds without a heartbeat after which the page counts as not responding. */
    anrThreshold: number;
    /** Whether to look for the stack of a page that does not respond. */
    captureStackTrace: boolean;
  };
}",
    },
    BridgeType {
        name: "SerializedAttributes",
        doc: "Attributes of a log or metric, each with its type.",
        body: "{
  [name: string]: { value?: unknown; type?: string; unit?: string };
}",
    },
    BridgeType {
        name: "SerializedLog",
        doc: "One log, as Sentry's JavaScript SDK serialises it. Members that are not named here are \
              kept.",
        body: "{
  /** Seconds since 1970. */
  timestamp: number;
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  body: unknown;
  trace_id?: string;
  severity_number?: number | undefined;
  attributes?: SerializedAttributes;
}",
    },
    BridgeType {
        name: "SerializedMetric",
        doc: "One metric, as Sentry's JavaScript SDK serialises it. Members that are not named here \
              are kept.",
        body: "{
  /** Seconds since 1970. */
  timestamp: number;
  name: string;
  type: 'counter' | 'gauge' | 'distribution';
  value: number;
  unit?: string;
  trace_id?: string;
  span_id?: string;
  attributes?: SerializedAttributes;
}",
    },
    BridgeType {
        name: "StreamOpening",
        doc: "What a stream of bytes is.",
        body: "{
  /** The name that the attachment gets in Sentry. */
  filename: string;
  /** The event that the attachment belongs to. */
  eventId: string;
  contentType?: string;
  attachmentType?: string;
}",
    },
    BridgeType {
        name: "StreamResult",
        doc: "How much of a stream has arrived.",
        body: "{
  /** Bytes that are on disk. */
  received: number;
  /** Whether that is all of it. */
  complete: boolean;
}",
    },
    BridgeType {
        name: "Config",
        doc: "How main wants a page to behave. What is missing stays as it is.",
        body: "{
  /** Whether to keep quiet until told otherwise. */
  paused?: boolean;
  /** Share of errors to report, 0 to 1. */
  sampleRate?: number;
  /** Share of traces to report, 0 to 1. */
  tracesSampleRate?: number;
  /** The least severe logs to report. */
  logLevel?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
}",
    },
    BridgeType {
        name: "Trace",
        doc: "A trace to continue, in the forms of the headers of the same names.",
        body: "{
  sentryTrace: string;
  baggage?: string;
}",
    },
];

/// A type that the methods of the bridge speak of.
#[derive(Clone, Copy, Debug)]
pub struct BridgeType {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its members, in TypeScript.
    pub body: &'static str,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_is_where_its_channel_looks_for_it() {
        for (row, channel) in CONTRACT.iter().zip(Channel::ALL) {
            assert_eq!(row.channel, channel);
            assert_eq!(channel.declaration().name, row.name);
        }
    }

    #[test]
    fn names_and_methods_are_unique() {
        let names: BTreeSet<_> = CONTRACT.iter().map(|row| row.name).collect();
        let methods: BTreeSet<_> = CONTRACT.iter().map(|row| row.method.name).collect();
        assert_eq!(
            (names.len(), methods.len()),
            (CONTRACT.len(), CONTRACT.len())
        );
    }

    #[test]
    fn whatever_a_renderer_says_has_a_budget_that_lets_the_largest_message_through() {
        for row in &CONTRACT {
            match row.budget {
                Some(budget) => {
                    assert!(row.direction.is_to_main(), "{}", row.name);
                    assert!(budget.burst > 0 && budget.per_second > 0, "{}", row.name);
                    assert!(budget.burst_bytes >= row.max_bytes as u64, "{}", row.name);
                }
                None => assert!(!row.direction.is_to_main(), "{}", row.name),
            }
        }
    }

    #[test]
    fn every_type_that_a_method_names_is_declared() {
        for row in &CONTRACT {
            let words = row
                .method
                .signature
                .split(|c: char| !c.is_ascii_alphanumeric());
            for word in words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase())) {
                let known = ["Promise", "Uint8Array", "ArrayBuffer", "Blob"].contains(&word)
                    || BRIDGE_TYPES.iter().any(|declared| declared.name == word);
                assert!(known, "{word} in {}", row.name);
            }
        }
    }
}
