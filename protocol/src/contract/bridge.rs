//! The types of the bridge, in TypeScript.

/// The types that the methods of the bridge speak of, in TypeScript.
pub const BRIDGE_TYPES: &[BridgeType] = &[
    BridgeType {
        name: "FeedbackResult",
        doc: "What became of user feedback. Empty if nothing was sent yet.",
        body: "{
  /** The status with which Sentry answered; 429 also if main takes no more for now. */
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
  /** Whether everything that main got before is on disk. If not, main holds it in memory. */
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
  /** None by which Sentry makes an event, such as `event.minidump`. */
  attachmentType?: string;
  /** Bytes in all. The bridge fills it in. */
  size?: number;
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
        doc: "How main wants a page to behave: all that it wants, each time. What is missing or \
              `null`, or not understood, is the page's own value.",
        body: "{
  /** Whether to keep quiet until told otherwise. Anything but `false` and `null` means so. */
  paused?: boolean | null;
  /** Share of errors to report, 0 to 1. */
  sampleRate?: number | null;
  /** Share of traces to report, 0 to 1. */
  tracesSampleRate?: number | null;
  /** The least severe logs to report. */
  logLevel?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | null;
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
