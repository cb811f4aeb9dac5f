//! What was refused, for people: why, of whom, and what they can do.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use guardhouse_protocol::http::Answer;
use guardhouse_protocol::{Channel, Concern, ItemType, MessageError};

use super::{RENDERERS, RendererId};

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// Why something was refused. The fault is with the renderer, except for
        /// [`NoRoom`](Self::NoRoom), which a slow disk or other renderers can cause.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Refusal { $($(#[$doc])* $variant,)+ }

        impl Refusal {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name, as it stands in debug output.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

refusals! {
    /// It is a channel on which main speaks.
    MainSpeaks = "main-speaks",
    /// The message is larger than the contract allows on the channel.
    TooLarge = "too-large",
    /// The renderer's budget for the channel is used up.
    OverBudget = "over-budget",
    /// Too much of what was accepted is still in memory.
    NoRoom = "no-room",
    /// The bytes mean nothing.
    Malformed = "malformed",
    /// It came as feedback, and there is none in it.
    NotFeedback = "not-feedback",
    /// An item is not a renderer's to send. The rest of its envelope goes on.
    ForbiddenItem = "forbidden-item",
    /// An item is larger than Sentry takes. The rest of its envelope goes on.
    LargeItem = "large-item",
    /// An item is not what its type says, so that Sentry would refuse it. The rest of its envelope goes
    /// on.
    UnfitItem = "unfit-item",
    /// There are more attachments than Sentry takes with an event. The others go on.
    TooManyAttachments = "too-many-attachments",
    /// Nothing is left of the envelope, or nothing was in it.
    NothingLeft = "nothing-left",
}

/// Something that was refused, and is counted already.
#[derive(Clone, Debug)]
pub struct Refused {
    renderer: RendererId,
    channel: Channel,
    refusal: Refusal,
    detail: Detail,
}

/// What else is to be said about it.
#[derive(Clone, Debug)]
pub(super) enum Detail {
    None,
    Message(Box<MessageError>),
    Item(ItemType, Option<Concern>),
    /// When there is budget again.
    Until(Instant),
    /// What was in it, each with its own reason.
    TakenOut(Vec<Refused>),
}

impl Refused {
    pub(super) fn new(
        renderer: RendererId,
        channel: Channel,
        refusal: Refusal,
        detail: Detail,
    ) -> Self {
        Self { renderer, channel, refusal, detail }
    }

    /// Whose it was.
    pub fn renderer(&self) -> RendererId {
        self.renderer
    }

    /// On which channel it was said.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// Why it was refused.
    pub fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// When the renderer has budget again, if it had none.
    pub fn retry_at(&self) -> Option<Instant> {
        match self.detail {
            Detail::Until(at) => Some(at),
            _ => None,
        }
    }

    /// What the sender is answered over the protocol, if the whole message was refused.
    pub fn answer(&self) -> Answer {
        match self.refusal {
            Refusal::MainSpeaks => Answer::WrongMethod,
            Refusal::TooLarge => Answer::TooLarge,
            // It was counted as lost, so the sender must not think that it may come again.
            Refusal::OverBudget | Refusal::NoRoom => Answer::OverBudget,
            Refusal::Malformed => Answer::Malformed,
            _ => Answer::Forbidden,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { renderer, channel, detail, .. } = self;
        if let Detail::Message(error) = detail {
            // It names the channel.
            return write!(f, "renderer {renderer}: {error}");
        }
        write!(f, "renderer {renderer}, channel {channel}: ")?;
        self.say_why(f)
    }
}

impl Refused {
    fn say_why(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, refusal, detail, .. } = self;
        let declaration = channel.declaration();
        let item = match detail {
            Detail::Item(item_type, _) => item_type.name().unwrap_or("of a new kind"),
            _ => "",
        };
        match refusal {
            Refusal::MainSpeaks => f.write_str("only main speaks there; send nothing"),
            Refusal::TooLarge => {
                let max_bytes = declaration.max_opening_bytes();
                write!(f, "a message has at most {max_bytes} bytes; send less at once")
            }
            Refusal::OverBudget => {
                f.write_str("the budget is used up; look for a loop that sends without end")
            }
            Refusal::NoRoom => f.write_str(
                "too much of what was accepted is still in memory; the disk is slow, or a renderer \
                 sends too much",
            ),
            Refusal::Malformed => f.write_str("the message is malformed"),
            Refusal::NotFeedback => {
                f.write_str("there is no feedback in it; send it on the channel envelope")
            }
            Refusal::ForbiddenItem => write!(
                f,
                "an item of type `{item}` is not a renderer's to send; turn off what sends it there, \
                 main does it itself"
            ),
            Refusal::LargeItem => match detail {
                Detail::Item(_, Some(Concern::TooLarge { max_bytes })) => write!(
                    f,
                    "an item of type `{item}` has at most {max_bytes} bytes; put less into it"
                ),
                _ => write!(f, "an item of type `{item}` is too large; put less into it"),
            },
            Refusal::UnfitItem => {
                write!(f, "an item of type `{item}` is none that Sentry takes: ")?;
                f.write_str(match detail {
                    Detail::Item(_, Some(concern)) => describe(concern),
                    _ => "it is not what its type says",
                })
            }
            Refusal::TooManyAttachments => {
                f.write_str("there are more attachments than Sentry takes; attach fewer")
            }
            Refusal::NothingLeft => {
                f.write_str("there is nothing in the envelope to be sent")?;
                let Detail::TakenOut(items) = detail else { return Ok(()) };
                for item in items {
                    f.write_str("; ")?;
                    item.say_why(f)?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.detail {
            Detail::Message(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}

fn describe(concern: &Concern) -> &'static str {
    match concern {
        Concern::NotAnObject(_) => "it is not a JSON object",
        Concern::Header => "its header has a field twice or of a wrong kind",
        Concern::Duplicate => "its envelope has another one; send each in an envelope of its own",
        Concern::CountMismatch => "it holds another number of items than its header says",
        _ => "it is not what its type says",
    }
}

/// How often what was refused: of each renderer that is remembered, and in all.
///
/// Its text is for debug output.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    total: BTreeMap<Refusal, u64>,
    renderers: BTreeMap<RendererId, BTreeMap<Refusal, u64>>,
}

impl Refusals {
    pub(super) fn count(&mut self, renderer: RendererId, refusal: Refusal) {
        *self.total.entry(refusal).or_default() += 1;
        if self.renderers.len() < RENDERERS || self.renderers.contains_key(&renderer) {
            *self.renderers.entry(renderer).or_default().entry(refusal).or_default() += 1;
        }
    }

    pub(super) fn forget(&mut self, renderer: RendererId) {
        self.renderers.remove(&renderer);
    }

    /// How often this was refused, of all renderers that ever were.
    pub fn total(&self, refusal: Refusal) -> u64 {
        self.total.get(&refusal).copied().unwrap_or(0)
    }

    /// How often this was refused of a renderer that is remembered.
    pub fn of(&self, renderer: RendererId, refusal: Refusal) -> u64 {
        self.renderers.get(&renderer).and_then(|counts| counts.get(&refusal)).copied().unwrap_or(0)
    }

    /// The counts of all renderers that are remembered.
    pub fn iter(&self) -> impl Iterator<Item = (RendererId, Refusal, u64)> + '_ {
        self.renderers.iter().flat_map(|(&renderer, counts)| {
            counts.iter().map(move |(&refusal, &count)| (renderer, refusal, count))
        })
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.total.is_empty() {
            return f.write_str("nothing was refused");
        }
        f.write_str("refused in all:")?;
        for (refusal, count) in &self.total {
            write!(f, " {} {count}", refusal.name())?;
        }
        for (renderer, counts) in &self.renderers {
            write!(f, "; of renderer {renderer}:")?;
            for (refusal, count) in counts {
                write!(f, " {} {count}", refusal.name())?;
            }
        }
        Ok(())
    }
}
