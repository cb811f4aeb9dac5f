//! The contract between renderers and main, as one table.
//!
//! Each row of [`CONTRACT`] declares a channel: who speaks, what is said, how large it may be, how
//! often it may be said and what happens beyond that, what main does with it, and what it means that
//! main has acknowledged it. Everything else is derived from these rows: the keys and URLs, the
//! bounds of the frame decoder, the budgets of intake, the declaration that pages are typed against
//! (`sdk-preload/js/bridge.d.ts`) and the page that answers what a renderer can make main do
//! (`docs/contract.md`).

mod bridge;
mod terms;

use crate::Channel;
use crate::limits::{
    CHUNK_BYTES, ENVELOPE_MESSAGE_BYTES, MIB, SCOPE_MESSAGE_BYTES, SMALL_MESSAGE_BYTES,
    STREAM_BYTES, STREAM_OPENING_BYTES, TELEMETRY_ITEM_BYTES, TRACE_MESSAGE_BYTES,
};

pub use bridge::{BRIDGE_TYPES, BridgeType};
pub use terms::{Acknowledgement, Budget, Direction, Method, Origin, OverBudget, Payload, Reply};

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
    /// What it means that a message was acknowledged or answered.
    pub acknowledgement: Acknowledgement,
    /// Most bytes of one message; of one chunk, where the channel is a stream.
    pub max_bytes: usize,
    /// Most bytes of everything that belongs together: a message, or a whole stream.
    pub max_total_bytes: u64,
    /// How much and how often one renderer may speak, and what happens beyond that. Nothing on the
    /// channels where main speaks.
    pub budget: Option<Budget>,
    /// What main does when it hears this; what a renderer does, where main speaks.
    pub effect: &'static str,
    /// How a page says it, or hears it.
    pub method: Method,
}

impl Declaration {
    /// Most bytes of what opens the channel's streams, if it has streams; else of a message.
    pub const fn max_opening_bytes(&self) -> usize {
        match self.direction {
            Direction::Stream => STREAM_OPENING_BYTES,
            _ => self.max_bytes,
        }
    }
}

const fn mib(count: u64) -> u64 {
    count * MIB as u64
}

/// The contract. A channel's row is at its [code](Channel::code) less one, which the build checks.
///
/// The budgets are ours. They let through at once what a page was seen to say in its worst moment,
/// which is 2,000 errors with their scopes, several times over, and go on at about the rate at which
/// a webview can speak at all.
pub static CONTRACT: [Declaration; Channel::ALL.len()] = [
    Declaration {
        channel: Channel::Start,
        name: "start",
        origin: Origin::Electron,
        direction: Direction::OneWay,
        payload: Payload::Empty,
        reply: Reply::Empty,
        acknowledgement: Acknowledgement::Taken,
        max_bytes: SMALL_MESSAGE_BYTES,
        max_total_bytes: SMALL_MESSAGE_BYTES as u64,
        budget: Some(Budget {
            burst: 50,
            per_second: 1,
            burst_bytes: mib(1),
            bytes_per_second: mib(1) / 4,
            over: OverBudget::Coalesce,
        }),
        effect: "Notes that the renderer's SDK runs, and nothing else: it neither adds to the scope \
                 nor clears any of it.",
        method: Method {
            name: "sendRendererStart",
            signature: "(): void",
            doc: "Says that an SDK has started in the page. Each client of the SDK calls it once.",
        },
    },
    Declaration {
        channel: Channel::Scope,
        name: "scope",
        origin: Origin::Electron,
        direction: Direction::OneWay,
        payload: Payload::Scope,
        reply: Reply::Empty,
        acknowledgement: Acknowledgement::Taken,
        max_bytes: SCOPE_MESSAGE_BYTES,
        max_total_bytes: SCOPE_MESSAGE_BYTES as u64,
        budget: Some(Budget {
            burst: 10_000,
            per_second: 2_000,
            burst_bytes: mib(128),
            bytes_per_second: mib(8),
            over: OverBudget::Wait,
        }),
        effect: "Updates what the renderer contributes to the scope of every event: user, tags, \
                 extra, contexts, attributes, level, fingerprint, transaction, breadcrumbs, bounded \
                 attachments. It can neither see nor clear what another process contributed. The \
                 contribution ends with its page or process: when the host says that the page has \
                 gone elsewhere or its process has ended, or the connection says so. Attachments by \
                 which Sentry makes an event, such as minidumps, are refused and counted.",
        method: Method {
            name: "sendScope",
            signature: "(scope: string): void",
            doc: "Replaces what this page contributes to the scope. `scope` is the JSON of the whole \
                  scope; its breadcrumbs and attachments are added to those already sent.",
        },
    },
    Declaration {
        channel: Channel::Envelope,
        name: "envelope",
        origin: Origin::Electron,
        direction: Direction::OneWay,
        payload: Payload::Envelope,
        reply: Reply::Empty,
        acknowledgement: Acknowledgement::Durable,
        max_bytes: ENVELOPE_MESSAGE_BYTES,
        max_total_bytes: ENVELOPE_MESSAGE_BYTES as u64,
        budget: Some(Budget {
            burst: 10_000,
            per_second: 2_000,
            burst_bytes: mib(256),
            bytes_per_second: mib(32),
            over: OverBudget::Wait,
        }),
        effect: "Merges the scope of all processes into the events of the envelope and queues it \
                 for Sentry. Items that a renderer may not send (sessions, check-ins, minidumps \
                 and other attachments by which Sentry makes an event; from a page also client \
                 reports) are refused and counted. What a native renderer's client report counts is \
                 added to what main has lost itself.",
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
        acknowledgement: Acknowledgement::Durable,
        max_bytes: ENVELOPE_MESSAGE_BYTES,
        max_total_bytes: ENVELOPE_MESSAGE_BYTES as u64,
        budget: Some(Budget {
            burst: 20,
            per_second: 1,
            burst_bytes: mib(64),
            bytes_per_second: mib(2),
            over: OverBudget::Refuse,
        }),
        effect: "As for an envelope, but tries to send it at once and answers with what Sentry said, \
                 or with an empty result if it could not be sent within a bounded time; then it is \
                 on disk and sent later. Only envelopes with a feedback item are taken. What is \
                 over the budget is answered with the status 429.",
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
        acknowledgement: Acknowledgement::Taken,
        max_bytes: SMALL_MESSAGE_BYTES,
        max_total_bytes: SMALL_MESSAGE_BYTES as u64,
        budget: Some(Budget {
            burst: 200,
            per_second: 50,
            burst_bytes: mib(1),
            bytes_per_second: mib(1) / 4,
            over: OverBudget::Coalesce,
        }),
        effect: "Sets back the watch for a renderer that does not respond, or for the thread of it \
                 that the status names; a hidden page is not watched.",
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
        acknowledgement: Acknowledgement::Taken,
        max_bytes: TELEMETRY_ITEM_BYTES,
        max_total_bytes: TELEMETRY_ITEM_BYTES as u64,
        budget: Some(Budget {
            burst: 5_000,
            per_second: 1_000,
            burst_bytes: mib(16),
            bytes_per_second: mib(2),
            over: OverBudget::Wait,
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
        acknowledgement: Acknowledgement::Taken,
        max_bytes: TELEMETRY_ITEM_BYTES,
        max_total_bytes: TELEMETRY_ITEM_BYTES as u64,
        budget: Some(Budget {
            burst: 5_000,
            per_second: 1_000,
            burst_bytes: mib(16),
            bytes_per_second: mib(2),
            over: OverBudget::Wait,
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
        acknowledgement: Acknowledgement::AllDurable,
        max_bytes: SMALL_MESSAGE_BYTES,
        max_total_bytes: SMALL_MESSAGE_BYTES as u64,
        budget: Some(Budget {
            burst: 1_000,
            per_second: 100,
            burst_bytes: mib(4),
            bytes_per_second: mib(1),
            over: OverBudget::Wait,
        }),
        effect: "Makes everything that main has got of the renderer before durable, then answers. \
                 It does not wait for the network.",
        method: Method {
            name: "flush",
            signature: "(): Promise<FlushResult>",
            doc: "Resolves when everything that main got of the page before is on disk, so that it \
                  reaches Sentry even if the application dies now; or with `durable: false` if not \
                  all of it could be written.",
        },
    },
    Declaration {
        channel: Channel::Attachment,
        name: "attachment",
        origin: Origin::Guardhouse,
        direction: Direction::Stream,
        payload: Payload::Stream,
        reply: Reply::Stream,
        acknowledgement: Acknowledgement::BytesDurable,
        max_bytes: CHUNK_BYTES,
        max_total_bytes: STREAM_BYTES,
        budget: Some(Budget {
            burst: 2_000,
            per_second: 500,
            burst_bytes: mib(256),
            bytes_per_second: mib(64),
            over: OverBudget::Wait,
        }),
        effect: "Writes the bytes to disk as they come and queues them for Sentry as an attachment \
                 of the event that the opening names. An attachment by which Sentry makes an event, \
                 such as a minidump, is refused and counted.",
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
        acknowledgement: Acknowledgement::Never,
        max_bytes: SMALL_MESSAGE_BYTES,
        max_total_bytes: SMALL_MESSAGE_BYTES as u64,
        budget: None,
        effect: "The renderer pauses or resumes, samples, and drops logs below the level, as main \
                 says, and goes back to its own values where main says nothing. Main enforces the \
                 same on what arrives.",
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
        direction: Direction::Relay,
        payload: Payload::Trace,
        reply: Reply::Empty,
        acknowledgement: Acknowledgement::Never,
        max_bytes: TRACE_MESSAGE_BYTES,
        max_total_bytes: TRACE_MESSAGE_BYTES as u64,
        budget: None,
        effect: "The renderer continues the trace: main's own, or that of another renderer, which \
                 main has from the other's scope.",
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_methods_are_unique() {
        let names: BTreeSet<_> = CONTRACT.iter().map(|row| row.name).collect();
        let methods: BTreeSet<_> = CONTRACT.iter().map(|row| row.method.name).collect();
        assert_eq!((names.len(), methods.len()), (CONTRACT.len(), CONTRACT.len()));
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
    fn what_would_be_lost_waits_and_what_is_pushed_is_acknowledged_by_nobody() {
        for row in &CONTRACT {
            let is_never = row.acknowledgement == Acknowledgement::Never;
            assert_eq!(is_never, !row.direction.is_to_main(), "{}", row.name);
            let over = row.budget.map(|budget| budget.over);
            match row.direction {
                // Its sender hears what became of it, and can say it again.
                Direction::Request => assert_ne!(over, Some(OverBudget::Coalesce), "{}", row.name),
                Direction::Stream => assert_eq!(over, Some(OverBudget::Wait), "{}", row.name),
                Direction::OneWay => assert_ne!(over, Some(OverBudget::Refuse), "{}", row.name),
                Direction::Push | Direction::Relay => assert_eq!(over, None, "{}", row.name),
            }
        }
    }

    #[test]
    fn every_type_that_a_method_names_is_declared() {
        for row in &CONTRACT {
            let words = row.method.signature.split(|c: char| !c.is_ascii_alphanumeric());
            for word in words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase())) {
                let known = ["Promise", "Uint8Array", "ArrayBuffer", "Blob"].contains(&word)
                    || BRIDGE_TYPES.iter().any(|declared| declared.name == word);
                assert!(known, "{word} in {}", row.name);
            }
        }
    }
}
