//! What was said about the scope and not taken.

use std::fmt;

listed! {
    /// Why a part of a scope message was not taken. The rest of the message was.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[non_exhaustive]
    pub enum Refusal {
        /// The key is longer than Sentry, or we, allow. Cutting it could make two keys one.
        KeyTooLong,
        /// The value is of a kind that the field cannot have, such as an object as a tag.
        WrongKind,
        /// The value is too large and cannot be cut, or nothing would be left of it.
        TooLarge,
        /// The value is nested too deeply.
        TooDeep,
        /// The process has as many keys of this kind as it may have.
        TooManyKeys,
        /// The process contributes as much as it may.
        Full,
        /// The message holds more changes than one may, so none of them was made. What is written
        /// by [`ScopeMessage::write`](super::ScopeMessage::write) never does.
        TooManyChanges,
        /// The attachment was cut on its way to us, so that it is not what was attached.
        CutAttachment,
        /// The attachment is of a type from which Sentry makes an event, as of a minidump. Only the
        /// process that watches over crashes may send such.
        ForbiddenAttachment,
        /// A change that this version does not know.
        Unknown,
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyTooLong => "the key is too long; use a shorter one",
            Self::WrongKind => "the value is of a kind that the field cannot have",
            Self::TooLarge => "the value is too large and cannot be cut",
            Self::TooDeep => "the value is nested too deeply; flatten it",
            Self::TooManyKeys => "the process has set too many keys; clear some first",
            Self::Full => "the process contributes too much to the scope; clear some of it first",
            Self::TooManyChanges => "the message holds too many changes; send several",
            Self::CutAttachment => {
                "the attachment was cut by the page's SDK; attach it to an event instead"
            }
            Self::ForbiddenAttachment => {
                "the attachment is of a type from which Sentry makes an event; leave the type out"
            }
            Self::Unknown => "this version does not know the change",
        })
    }
}

impl std::error::Error for Refusal {}

/// How often what was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    counts: [u32; Refusal::ALL.len()],
}

impl Refusals {
    /// Counts one.
    pub fn count(&mut self, refusal: Refusal) {
        let count = &mut self.counts[refusal as usize];
        *count = count.saturating_add(1);
    }

    /// Counts what did not work.
    pub(crate) fn note<T>(&mut self, result: Result<T, Refusal>) -> Option<T> {
        result.map_err(|refusal| self.count(refusal)).ok()
    }

    /// Adds another count.
    pub fn add(&mut self, other: Refusals) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
    }

    /// What is counted here beyond what is counted there.
    pub(super) fn beyond(mut self, other: &Refusals) -> Self {
        for (count, less) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_sub(less);
        }
        self
    }

    /// How often this was the reason.
    pub fn get(&self, refusal: Refusal) -> u32 {
        self.counts[refusal as usize]
    }

    /// Whether nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// The reasons that occurred, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u32)> + '_ {
        Refusal::ALL.into_iter().map(|refusal| (refusal, self.get(refusal))).filter(|(_, n)| *n > 0)
    }
}
