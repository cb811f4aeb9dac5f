//! The words in which the rows of the contract are written.

use crate::limits::{FEEDBACK_REPLY_BYTES, SMALL_MESSAGE_BYTES};

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
    /// Main tells a renderer. What it tells is always all there is to say: the newest replaces what
    /// it told before, so that whoever missed one has missed nothing. A renderer that has just come
    /// is told what holds now.
    Push,
    /// Main tells a renderer what it has of another one, or of itself: the way from renderer to
    /// renderer, for which the rules of a push hold too. No renderer addresses another, and none
    /// knows who there is. What one says to main it says to main only; main decides what of it
    /// others get to know.
    Relay,
    /// A renderer sends main pieces of something large, and main acknowledges them.
    Stream,
}

impl Direction {
    /// Whether it is a renderer that speaks.
    pub const fn is_to_main(self) -> bool {
        !matches!(self, Self::Push | Self::Relay)
    }

    /// The direction as a person reads it.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::OneWay => "renderer → main, one-way",
            Self::Request => "renderer → main, request/response",
            Self::Push => "main → renderer, push",
            Self::Relay => "renderer → main → renderer, relay",
            Self::Stream => "renderer → main, chunked stream",
        }
    }
}

/// What the messages of a channel consist of. Each is a type of this crate that the bytes are parsed
/// into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// Nothing. What is sent nevertheless is not looked at: the SDK in a page may send an empty
    /// object, and a later version may have something to say here.
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
            Self::Empty => "nothing; whatever is sent is not looked at",
            Self::Scope => {
                "JSON: the whole merged scope as an object, or an array of changes to it"
            }
            Self::Envelope => "a Sentry envelope, as text or bytes",
            Self::Status => {
                "JSON: `{\"status\", \"config\", \"thread\"}`; as a request's body the same inside of `{\"status\": …}`"
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

/// What main answers on a channel. Over the protocol they are the body of the answer with status
/// [200](crate::http::Answer::Taken).
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
    /// Most bytes of it.
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Feedback => FEEDBACK_REPLY_BYTES,
            Self::Flush | Self::Stream => SMALL_MESSAGE_BYTES,
        }
    }

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

/// What it means that main has acknowledged a message, by a frame or with status 200, or has replied
/// to it, and so when main does: not before it is true. Whoever sent the message may forget it then.
/// Feedback that is refused, and a [`FlushResult`](crate::FlushResult) that says that not all could be
/// written, are replies too: they say themselves what has become of it.
///
/// "On disk" is written to a file, so that it outlives every process at once, and a power cut within
/// a second. A page's classic one-way message is not acknowledged; for it the same holds a moment
/// after it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// What was said is on disk, or with Sentry already.
    Durable,
    /// Whatever main had got of the same renderer before is on disk.
    AllDurable,
    /// The bytes of the stream that are acknowledged are on disk.
    BytesDurable,
    /// What was said holds: main has taken it into its memory, and what belongs to the scope into
    /// its black box, which a crash report finds after main's death too. A new main knows nothing of
    /// it, and the renderer states it again. Logs and metrics wait there for others to go with them,
    /// for seconds; a [`flush`](crate::Channel::Flush) brings them to disk.
    Taken,
    /// Nobody acknowledges what main pushes.
    Never,
}

impl Acknowledgement {
    /// The meaning as a person reads it.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Durable => "it is on disk, or with Sentry already",
            Self::AllDurable => "all that main had got of the renderer before is on disk",
            Self::BytesDurable => "the acknowledged bytes are on disk",
            Self::Taken => {
                "it holds: main has it in memory, and what belongs to the scope in its black box"
            }
            Self::Never => "none is given",
        }
    }
}

/// How much one renderer may say on a channel: what it may say at once, how fast it may go on, and
/// what happens if it says more.
///
/// Budgets share main among renderers that all want something of it. They are no speed limit for a
/// healthy one: where more [waits](OverBudget::Wait), a renderer that has main for itself is read as
/// fast as main can write.
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
    /// What happens to more than that.
    pub over: OverBudget,
}

/// What happens to a message that exceeds its renderer's budget. Whatever it is, nothing changes for
/// other renderers, and nothing is dropped without being counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverBudget {
    /// It waits, if its sender can be held up: main reads on from a native renderer, over either
    /// way, when there is budget again, or before that if no renderer within its budget wants
    /// anything. Sockets fill, answers come late, and the renderer waits too; nothing is lost. As
    /// long as it is main that does not read, it does not take the renderer's silence for a hang.
    ///
    /// What a page says one-way can be held up by nothing, since the SDK in a page forgets it at
    /// once: beyond the budget it is refused and counted, over the protocol with status
    /// [429](crate::http::Answer::OverBudget).
    Wait,
    /// It is refused and counted, and the sender, who awaits an answer, hears so at once.
    Refuse,
    /// It is taken together with what was said before, and answered like it: of several of a kind
    /// only the last has an effect.
    Coalesce,
}

impl OverBudget {
    /// What happens, as a person reads it.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Wait => "waits; is refused and counted where the sender cannot be made to wait",
            Self::Refuse => "is refused and counted",
            Self::Coalesce => "only the last of a kind has an effect",
        }
    }
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
