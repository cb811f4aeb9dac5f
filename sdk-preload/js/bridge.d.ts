// Generated from protocol/src/contract.rs by `cargo xtask contract`. Do not edit.

/**
 * What a page may say to main, and hear from it: one named method for each channel of the contract,
 * and nothing that takes the name of a channel.
 *
 * The optional methods are Guardhouse's own. A page that may also run under the main of
 * `@sentry/electron` asks whether they are there: `bridge.flush?.()`.
 */
export interface Bridge {
  /**
   * Says that an SDK has started in the page. Each client of the SDK calls it once.
   */
  sendRendererStart(): void;

  /**
   * Replaces what this page contributes to the scope. `scope` is the JSON of the whole scope; its
   * breadcrumbs and attachments are added to those already sent.
   *
   * Main takes at most 6 MiB in one message.
   */
  sendScope(scope: string): void;

  /**
   * Hands over an envelope for Sentry, as text or, if it holds binary attachments, as bytes.
   *
   * Main takes at most 32 MiB in one message.
   */
  sendEnvelope(envelope: string | Uint8Array): void;

  /**
   * Hands over an envelope with user feedback. The promise resolves with what became of it, and
   * never rejects because of Sentry's answer.
   *
   * Main takes at most 32 MiB in one message.
   */
  sendFeedback(envelope: string | Uint8Array): Promise<FeedbackResult>;

  /**
   * The heartbeat of the page's thread, by which main notices that it hangs.
   *
   * Main takes at most 4 KiB in one message.
   */
  sendStatus(status: RendererStatus): void;

  /**
   * Hands over one log.
   *
   * Main takes at most 1 MiB in one message.
   */
  sendStructuredLog(log: SerializedLog): void;

  /**
   * Hands over one metric.
   *
   * Main takes at most 1 MiB in one message.
   */
  sendMetric(metric: SerializedMetric): void;

  /**
   * Resolves when everything that main got of the page before is on disk, so that it reaches Sentry
   * even if the application dies now; or with `durable: false` if not all of it could be written.
   */
  flush?(): Promise<FlushResult>;

  /**
   * Hands over an attachment that is too large for an envelope, piece by piece. Resolves when all
   * of it is on disk.
   *
   * Main takes at most 200 MiB.
   */
  sendAttachment?(attachment: StreamOpening, data: Blob | ArrayBuffer | Uint8Array): Promise<StreamResult>;

  /**
   * Calls `listener` with main's present configuration and again whenever it changes. Call what it
   * returns to stop listening.
   */
  onConfig?(listener: (config: Config) => void): () => void;

  /**
   * Calls `listener` with the trace that this page should continue, if there is one, and again
   * whenever main relays another. Call what it returns to stop listening.
   */
  onTrace?(listener: (trace: Trace) => void): () => void;
}

/**
 * What became of user feedback. Empty if nothing was sent yet.
 */
export interface FeedbackResult {
  /** The status with which Sentry answered; 429 also if main takes no more for now. */
  statusCode?: number;
  /** The headers of the answer that say how to go on. */
  headers?: {
    'x-sentry-rate-limits': string | null;
    'retry-after': string | null;
    [header: string]: string | null;
  };
}

/**
 * Answer to `flush`.
 */
export interface FlushResult {
  /** Whether everything that main got before is on disk. If not, main holds it in memory. */
  durable: boolean;
}

/**
 * Heartbeat of a page, with what its watch should look for.
 */
export interface RendererStatus {
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
}

/**
 * Attributes of a log or metric, each with its type.
 */
export interface SerializedAttributes {
  [name: string]: { value?: unknown; type?: string; unit?: string };
}

/**
 * One log, as Sentry's JavaScript SDK serialises it. Members that are not named here are kept.
 */
export interface SerializedLog {
  /** Seconds since 1970. */
  timestamp: number;
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  body: unknown;
  trace_id?: string;
  severity_number?: number | undefined;
  attributes?: SerializedAttributes;
}

/**
 * One metric, as Sentry's JavaScript SDK serialises it. Members that are not named here are kept.
 */
export interface SerializedMetric {
  /** Seconds since 1970. */
  timestamp: number;
  name: string;
  type: 'counter' | 'gauge' | 'distribution';
  value: number;
  unit?: string;
  trace_id?: string;
  span_id?: string;
  attributes?: SerializedAttributes;
}

/**
 * What a stream of bytes is.
 */
export interface StreamOpening {
  /** The name that the attachment gets in Sentry. */
  filename: string;
  /** The event that the attachment belongs to. */
  eventId: string;
  contentType?: string;
  /** None by which Sentry makes an event, such as `event.minidump`. */
  attachmentType?: string;
  /** Bytes in all. The bridge fills it in. */
  size?: number;
}

/**
 * How much of a stream has arrived.
 */
export interface StreamResult {
  /** Bytes that are on disk. */
  received: number;
  /** Whether that is all of it. */
  complete: boolean;
}

/**
 * How main wants a page to behave: all that it wants, each time. What is missing or `null`, or not
 * understood, is the page's own value.
 */
export interface Config {
  /** Whether to keep quiet until told otherwise. Anything but `false` and `null` means so. */
  paused?: boolean | null;
  /** Share of errors to report, 0 to 1. */
  sampleRate?: number | null;
  /** Share of traces to report, 0 to 1. */
  tracesSampleRate?: number | null;
  /** The least severe logs to report. */
  logLevel?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | null;
}

/**
 * A trace to continue, in the forms of the headers of the same names.
 */
export interface Trace {
  sentryTrace: string;
  baggage?: string;
}

// Not an augmentation of the global `Window`: `@sentry/electron` declares the same members there,
// with types of its own, and a program that holds both would not compile.

/**
 * What the window of a page holds. To get at a bridge, name its namespace:
 *
 * `(window as GuardhouseWindow).__SENTRY_IPC__?.['sentry-ipc']`
 */
export interface GuardhouseWindow {
  /**
   * The bridges, by namespace. Absent if the page has to talk the protocol instead.
   */
  readonly __SENTRY_IPC__?: Readonly<Record<string, Bridge>>;

  /**
   * Whether an SDK runs in the page already.
   */
  __SENTRY__RENDERER_INIT__?: boolean;

  /**
   * How a page that talks the protocol names itself to main.
   */
  __SENTRY_RENDERER_ID__?: string;
}
