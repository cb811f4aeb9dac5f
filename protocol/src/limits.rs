//! Every number that bounds something, in one place, each with where it comes from.
//!
//! A bound is checked before memory is set aside for what it bounds. Where a number is Sentry's, a
//! larger value would be refused by Sentry; where it is ours, the comment says what it protects.
//! What concerns one message is enforced in this crate; how many sessions, attachments, logs and
//! metrics go together is up to main, which puts them together.

/// One kibibyte.
pub const KIB: usize = 1024;
/// One mebibyte.
pub const MIB: usize = 1024 * KIB;

// --- Names -------------------------------------------------------------------------------------

/// Longest namespace, in characters. Ours: it becomes a URL scheme and part of a socket's name, and
/// socket paths hold about a hundred bytes.
pub const NAMESPACE_CHARS: usize = 64;

/// Longest renderer name, in bytes of UTF-8. It becomes the value of the tag `event.process`, so
/// Sentry's bound for tag values ([`TAG_VALUE_CHARS`]) would cut anything longer.
pub const RENDERER_NAME_BYTES: usize = 200;

// --- Envelopes ---------------------------------------------------------------------------------

/// Largest envelope, uncompressed. Sentry: 200 MiB decompressed.
pub const ENVELOPE_BYTES: usize = 200 * MIB;

/// Longest envelope header or item header line. Ours: real ones stay below 2 KiB; the bound is far
/// above the 600 kB that a test case of other readers has, and keeps a header that never ends from
/// being scanned for ever.
pub const HEADER_BYTES: usize = MIB;

/// Most fields in one header. Ours: real ones have up to six.
pub const HEADER_FIELDS: usize = 1000;

/// Most items in one envelope. Ours: Sentry bounds them by kind (30 attachments, 100 sessions); an
/// index entry of ours is about a hundred bytes, so this bounds the index to half a megabyte.
pub const ENVELOPE_ITEMS: usize = 4096;

/// Longest name of an item type. Ours: real ones stay below 32 bytes.
pub const ITEM_TYPE_BYTES: usize = 128;

/// Deepest nesting of arrays and objects in any JSON that is looked into. It is what `serde_json`
/// takes, and so what Sentry does: what passes here can be decoded there.
pub const JSON_DEPTH: usize = 127;

/// Most members of one JSON object that is looked into. Ours: real ones have dozens; the index of an
/// object takes 16 bytes a member, so this bounds it to a megabyte and a half.
pub const JSON_MEMBERS: usize = 100_000;

/// Largest event or transaction. Sentry: 1 MiB.
pub const EVENT_BYTES: usize = MIB;

/// Largest log, span or metric item, which may be a container of many. Sentry: 1 MiB.
pub const TELEMETRY_ITEM_BYTES: usize = MIB;

/// Largest attachment, and most for all of an envelope together. Sentry: 200 MiB.
pub const ATTACHMENT_BYTES: usize = 200 * MIB;

/// Most attachments in an envelope. Sentry: 30.
pub const ATTACHMENTS: usize = 30;

/// Largest attachment that is sent unless the application raises the bound. Ours.
pub const ATTACHMENT_DEFAULT_BYTES: usize = 20 * MIB;

/// Largest profile or profile chunk. Sentry: 50 MiB.
pub const PROFILE_BYTES: usize = 50 * MIB;

/// Largest replay event or recording, uncompressed. Sentry: 50 MiB.
pub const REPLAY_BYTES: usize = 50 * MIB;

/// Largest replay recording as it travels, compressed. Sentry: 10 MiB.
pub const REPLAY_COMPRESSED_BYTES: usize = 10 * MIB;

/// Largest check-in. Sentry: 100 KiB.
pub const CHECK_IN_BYTES: usize = 100 * KIB;

/// Largest client report. Sentry: 4 KiB.
pub const CLIENT_REPORT_BYTES: usize = 4 * KIB;

/// Most session items in an envelope. Sentry: 100.
pub const SESSIONS: usize = 100;

// --- Logs and metrics --------------------------------------------------------------------------

/// Most logs, or metrics, in one flush. Sentry: 100.
pub const TELEMETRY_PER_FLUSH: usize = 100;

/// Most logs, or metrics, that wait for a flush. Sentry: 1000.
pub const TELEMETRY_WAITING: usize = 1000;

/// Longest time that a log or metric waits, in seconds. Sentry: 5.
pub const TELEMETRY_FLUSH_SECONDS: u64 = 5;

// --- Scope -------------------------------------------------------------------------------------

/// Longest tag key, in characters. Sentry: 200 (its SDK documentation said 32 until May 2025).
/// Sentry discards a longer one, so we refuse and count it: cutting it would make two keys one.
pub const TAG_KEY_CHARS: usize = 200;

/// Longest tag value, in characters. Sentry: 200.
pub const TAG_VALUE_CHARS: usize = 200;

/// Longest key of an extra, a context or an attribute, in characters. Ours.
pub const SCOPE_KEY_CHARS: usize = 200;

/// Most keys in each of tags, extra, contexts and attributes. Ours: far above what people set, and
/// it keeps what one process can make main hold at a few megabytes.
pub const SCOPE_KEYS: usize = 500;

/// Largest user object. Ours: Sentry keeps 8 KiB of custom user data.
pub const USER_BYTES: usize = 16 * KIB;

/// Largest value of one extra. Sentry: 16 KiB is kept of a value.
pub const EXTRA_BYTES: usize = 16 * KIB;

/// Largest context. Sentry documents 8 KiB; its ingestion keeps more for some, so ours is twice it.
pub const CONTEXT_BYTES: usize = 16 * KIB;

/// Largest attribute value. Ours, as for extras.
pub const ATTRIBUTE_BYTES: usize = 16 * KIB;

/// Most bytes of one process's contribution to the scope, attachments apart. Ours: it has to fit
/// the event that it is merged into, which Sentry bounds at [`EVENT_BYTES`].
pub const CONTRIBUTION_BYTES: usize = 512 * KIB;

/// Most breadcrumbs that are read of one message; the newest count. Ours: a page sends those since
/// its last message, which are few.
pub const SCOPE_MESSAGE_BREADCRUMBS: usize = 1000;

/// Most changes in one message; one with more is refused. Ours: a process sends its changes as they
/// happen, and what is written here is split in time.
pub const SCOPE_MESSAGE_CHANGES: usize = 10_000;

/// Most parts of a fingerprint. Ours.
pub const FINGERPRINT_PARTS: usize = 32;

/// Longest part of a fingerprint, in characters. Ours.
pub const FINGERPRINT_CHARS: usize = 512;

/// Longest name of a level, in characters. Ours: the longest in use is `warning`.
pub const LEVEL_CHARS: usize = 32;

/// Longest transaction name, in characters. Sentry: 200.
pub const TRANSACTION_CHARS: usize = 200;

/// Largest propagation context. Ours: real ones stay below 1 KiB.
pub const PROPAGATION_BYTES: usize = 8 * KIB;

/// Most breadcrumbs that are kept of one process unless the application says otherwise. The default
/// of `max_breadcrumbs` in every Sentry SDK.
pub const BREADCRUMBS: usize = 100;

/// Longest message of a breadcrumb, in characters. Sentry: 8192.
pub const BREADCRUMB_MESSAGE_CHARS: usize = 8192;

/// Most bytes of all breadcrumbs of one process. Ours: the older ones make room, as they do for
/// [`BREADCRUMBS`]; together with [`CONTRIBUTION_BYTES`] they fit an event.
pub const BREADCRUMBS_BYTES: usize = 256 * KIB;

/// Largest breadcrumb, all of it. Ours: room for the longest message and some data. A hundred of this
/// size would not fit an event; [`BREADCRUMBS_BYTES`] bounds them together.
pub const BREADCRUMB_BYTES: usize = 16 * KIB;

/// Deepest nesting of a value or a breadcrumb in the scope. Ours: JavaScript's SDK flattens what is
/// deeper than 20. What is said in `_meta` about a value is four levels deeper than the value, and
/// both are wrapped in an update or an event, all of which has to stay within [`JSON_DEPTH`].
pub const SCOPE_DEPTH: usize = 32;

/// Largest object or array in the scope that is cut until it fits; a larger one is refused. Ours: what
/// is sixteen times too large is a mistake, and nobody shall make main take it apart.
pub const TRIMMABLE_BYTES: usize = 256 * KIB;

/// Most bytes of what is said in `_meta` about one value or breadcrumb. Ours: one cut takes about
/// sixty, and few values are cut in many places.
pub const SCOPE_META_BYTES: usize = 4 * KIB;

/// Most things that were refused of a page's scope that are remembered one by one until its next
/// message. Ours: far above what happens by mistake; beyond it only their number is remembered.
pub const SCOPE_REFUSED: usize = 1000;

/// Largest attachment that travels with the scope. Ours: what is larger goes through the
/// `attachment` stream, which needs no memory for it.
pub const SCOPE_ATTACHMENT_BYTES: usize = MIB;

/// Most attachments in one process's scope. Sentry takes no more with an event.
pub const SCOPE_ATTACHMENTS: usize = ATTACHMENTS;

/// Most bytes of all attachments in one process's scope. Ours.
pub const SCOPE_ATTACHMENTS_BYTES: usize = 4 * MIB;

/// Longest file name of an attachment, in bytes of UTF-8. Ours; file systems stop at 255.
pub const FILENAME_BYTES: usize = 255;

// --- Messages between processes ----------------------------------------------------------------

/// Largest envelope that a renderer may send in one message. Ours: an attachment of the default
/// size, a compressed replay and their event fit. What is larger is streamed.
pub const ENVELOPE_MESSAGE_BYTES: usize = 32 * MIB;

/// Largest scope message. Ours: a page's whole scope fits unless its attachments are large, and so
/// does the largest single change, an attachment of [`SCOPE_ATTACHMENT_BYTES`] in base64. More changes
/// are more messages.
pub const SCOPE_MESSAGE_BYTES: usize = 6 * MIB;

/// Largest message that carries only a few fields. Ours.
pub const SMALL_MESSAGE_BYTES: usize = 4 * KIB;

/// Largest trace that main hands to a renderer. W3C Baggage asks for at least 8192 bytes of baggage.
pub const TRACE_MESSAGE_BYTES: usize = 20 * KIB;

/// Each character of a baggage may need an escape.
const _: () = assert!(2 * BAGGAGE_BYTES + KIB <= TRACE_MESSAGE_BYTES);

/// Longest `baggage` that is handed on. W3C Baggage asks for at least 8192 bytes.
pub const BAGGAGE_BYTES: usize = 8192;

/// Longest time that the status of a renderer may name, in milliseconds: a day. Ours; a longer one
/// counts as this.
pub const STATUS_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// Largest piece of a stream. Ours: large enough that the frame around it costs nothing, small
/// enough that other messages are not held up behind it.
pub const CHUNK_BYTES: usize = 256 * KIB;

/// Most bytes of a stream that are under way without an acknowledgement. Ours: it bounds what the
/// receiving side holds of a stream whose disk is slow.
pub const STREAM_WINDOW_BYTES: usize = 4 * CHUNK_BYTES;

/// Most streams that one renderer has open at once. Ours: with [`STREAM_WINDOW_BYTES`] each, it bounds
/// what a renderer's streams hold of main.
pub const STREAMS: usize = 8;

/// How far below the highest id of a renderer's messages main still knows which it has taken. Ours: a
/// renderer has fewer than this without an answer, and each costs main a bit.
pub const MESSAGE_WINDOW: u64 = 4096;

/// Largest stream. Sentry would refuse a larger attachment.
pub const STREAM_BYTES: u64 = ATTACHMENT_BYTES as u64;

/// Largest opening of a stream. Ours: a [file name](FILENAME_BYTES), an event's id and two short
/// types fit, with all of it escaped.
pub const STREAM_OPENING_BYTES: usize = 4 * KIB;

/// Largest reply to feedback. Ours: a status, and the few headers with which Sentry says how to go
/// on.
pub const FEEDBACK_REPLY_BYTES: usize = 16 * KIB;

/// Longest reason for which main declines a message. Ours: it is one sentence.
pub const REASON_BYTES: usize = KIB;

/// Longest name of the thread whose heartbeat a status is, in bytes of UTF-8. Ours; operating
/// systems stop far below.
pub const THREAD_NAME_BYTES: usize = 128;

/// Largest first frame of a connection, which comes from somebody who has proved nothing yet.
pub const HELLO_BYTES: usize = 4 * KIB;

/// Longest sentence with which main refuses a renderer. Ours: it fits [`HELLO_BYTES`] beside the
/// reason even if every byte of both has to be escaped, which takes six.
pub const REJECTION_MESSAGE_BYTES: usize = 600;

/// Longest reason of a newer main, for programs, for which it refuses a renderer. Ours.
pub const REJECTION_REASON_BYTES: usize = 64;

/// Length of the secrets that native renderers show, in bytes. 256 bits cannot be guessed.
pub const PROOF_BYTES: usize = 32;
