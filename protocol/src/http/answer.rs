//! What the status of an answer means.

use crate::frame::RejectionReason;

listed! {
    /// What main answers to a request: its status. Unless something else is said, the body of an answer
    /// other than 200 is a sentence for a person.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[non_exhaustive]
    #[repr(u16)]
    pub enum Answer {
        /// Main has done what the contract promises for the channel; the body is the channel's reply.
        Taken = 200,
        /// Main has nothing new to push, and lets the request wait no longer. Ask again, unless another
        /// request waits already.
        NothingNew = 204,
        /// What was sent cannot be understood. The fault is with the sender.
        Malformed = 400,
        /// The secret is missing or wrong, or main does not know the renderer: it is a new main. Say
        /// hello, then send it again.
        Unproven = 401,
        /// It is nothing that a renderer may send, or comes from a web page that is none.
        Forbidden = 403,
        /// The URL or path names no channel.
        UnknownChannel = 404,
        /// A channel on which main speaks was posted to, or another one asked with `GET`.
        WrongMethod = 405,
        /// The chunk is not the next one of its stream. The body is a
        /// [`StreamResult`](crate::StreamResult), which says where to go on.
        OutOfPlace = 409,
        /// The chunk belongs to no stream that is open. Open it again under its id.
        NotOpen = 410,
        /// The body is larger than the channel allows.
        TooLarge = 413,
        /// The budget of the channel is used up: it was refused and counted. Only who cannot be made to
        /// wait is answered so. `Retry-After` says in how many seconds there is budget again.
        OverBudget = 429,
        /// Main has no room now. `Retry-After` says when to come again.
        Busy = 503,
    }
}

impl Answer {
    /// The number of the status.
    pub const fn status(self) -> u16 {
        self as u16
    }

    /// The answer with this status. One that is not here comes from a newer main or from somebody
    /// else; treat it as [`Busy`](Self::Busy).
    pub fn from_status(status: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|answer| answer.status() == status)
    }

    /// What main answers to a hello that it rejects. The body is the rejection, and says better than
    /// the status whether to try again.
    pub const fn of_rejection(reason: &RejectionReason) -> Self {
        match reason {
            RejectionReason::Proof => Self::Unproven,
            RejectionReason::Busy => Self::Busy,
            RejectionReason::Malformed => Self::Malformed,
            RejectionReason::Namespace | RejectionReason::Version | RejectionReason::Other(_) => {
                Self::Forbidden
            }
        }
    }

    /// Whether the renderer may forget what it sent: main has it, or will never take it. Otherwise
    /// it is worth sending again, under the same id.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Unproven | Self::OutOfPlace | Self::NotOpen | Self::Busy)
    }

    /// The answer as a person reads it.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Taken => "main has done what the channel promises; the body is the reply",
            Self::NothingNew => "there is nothing new to push; ask again",
            Self::Malformed => "what was sent cannot be understood",
            Self::Unproven => {
                "the secret is missing or wrong, or main does not know the renderer: say hello, \
                 then send it again"
            }
            Self::Forbidden => {
                "nothing that a renderer may send, or from a web page that is no renderer"
            }
            Self::UnknownChannel => "there is no such channel",
            Self::WrongMethod => "`POST` where main speaks, or `GET` where it does not",
            Self::OutOfPlace => {
                "the chunk is not the next one; the body says where the stream goes on"
            }
            Self::NotOpen => "the chunk belongs to no open stream: open it again under its id",
            Self::TooLarge => "the body is larger than the channel allows",
            Self::OverBudget => {
                "the budget is used up, and this was counted; `Retry-After` says when there is some again"
            }
            Self::Busy => "main has no room now; `Retry-After` says when to come again",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_found_by_its_status() {
        for answer in Answer::ALL {
            assert_eq!(Answer::from_status(answer.status()), Some(answer));
        }
        assert_eq!(Answer::from_status(500), None);
        assert!(Answer::Taken.is_final() && !Answer::Busy.is_final());
    }
}
