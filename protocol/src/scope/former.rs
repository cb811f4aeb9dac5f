//! What a page said in its former message, so that what it repeats counts once.
//!
//! A page says its whole scope each time that a part of it changes, and with it what was refused of it
//! before. Client reports are made of the counts; so what was refused in the former message too, for
//! the same reason, does not count again. What comes back after it was gone does.
//!
//! The same goes for breadcrumbs: the page forgets those that it has sent, but not those of a scope
//! that it opened with `withScope`, which it says again until that scope is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Refusal, Refusals};
use crate::limits::SCOPE_REFUSED;

/// What a whole scope said that the next one may repeat. All of it is kept as hashes, so that it is
/// small whatever it was; a page that makes two of its own collide hides one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Former {
    pub(super) refused: Refused,
    /// Those breadcrumbs that say when they happened. Of others, two that are equal may be two.
    pub(super) breadcrumbs: BTreeSet<u64>,
}

/// What was refused of a whole scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused {
    things: BTreeMap<u64, Refusal>,
    /// Of more things than are remembered one by one, only the number.
    beyond: Refusals,
}

/// What is the same has the same hash, also in the next message.
pub(super) fn hash(thing: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

impl Refused {
    /// Notes that `thing` was refused. The same one counts once.
    pub(super) fn note(&mut self, thing: impl Hash, refusal: Refusal) {
        let hash = hash((thing, refusal));
        if self.things.len() < SCOPE_REFUSED || self.things.contains_key(&hash) {
            self.things.insert(hash, refusal);
        } else {
            self.beyond.count(refusal);
        }
    }

    /// How much was refused that was not in the `former` scope.
    pub(super) fn since(&self, former: &Self) -> Refusals {
        let mut refusals = self.beyond.beyond(&former.beyond);
        for (hash, refusal) in &self.things {
            if !former.things.contains_key(hash) {
                refusals.count(*refusal);
            }
        }
        refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_counts_once_until_it_was_gone() {
        let refused = |things: &[&str]| {
            let mut refused = Refused::default();
            for thing in things {
                refused.note(thing, Refusal::TooLarge);
            }
            refused
        };
        let count = |new: &Refused, former| new.since(former).get(Refusal::TooLarge);
        let (nothing, both, one) = (refused(&[]), refused(&["a", "b", "a"]), refused(&["b"]));
        assert_eq!(count(&both, &nothing), 2);
        assert_eq!(count(&both, &both), 0);
        assert_eq!(count(&one, &both), 0);
        assert_eq!(count(&both, &one), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut many = Refused::default();
        for thing in 0..3 * SCOPE_REFUSED {
            many.note(thing, Refusal::WrongKind);
        }
        assert_eq!(many.things.len(), SCOPE_REFUSED);
        let all = many.since(&Refused::default()).get(Refusal::WrongKind);
        assert_eq!(all as usize, 3 * SCOPE_REFUSED);
        assert!(many.since(&many).is_empty());
    }
}
