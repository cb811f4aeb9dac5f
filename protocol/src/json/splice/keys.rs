//! Finding members of large objects.
//!
//! Looking at one key after the other is fastest for what people send. A hostile page can send an
//! object with very many members, and make each of many changes to it slow: so after some lookups in a
//! large object there is an index. A member that was taken out stays in it; who looks has to check.

use std::collections::HashMap;

use super::{Node, Place};
use crate::json::{Object, text};

/// Up to so many members are looked at one after the other.
const SMALL: usize = 64;

/// So many lookups cost about as much as making the index.
const PATIENCE: usize = 16;

#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    lookups: usize,
    /// By the canonical bodies of the keys, where the last member is that has it.
    index: Option<HashMap<Box<str>, Place>>,
}

impl Keys {
    /// The index, if it is worth having one by now.
    pub(super) fn lookup(
        &mut self,
        object: &Object<'_>,
        added: &[(Box<str>, Option<Node<'_, '_>>)],
    ) -> Option<&HashMap<Box<str>, Place>> {
        if object.len() + added.len() <= SMALL {
            return None;
        }
        self.lookups += 1;
        if self.index.is_none() && self.lookups > PATIENCE {
            let original = object.members().enumerate().map(|(index, member)| {
                (Box::from(text::canonical_body(member.raw_key())), Place::Original(index))
            });
            let added = added
                .iter()
                .enumerate()
                .map(|(index, (key, _))| (key.clone(), Place::Added(index)));
            self.index = Some(original.chain(added).collect());
        }
        self.index.as_ref()
    }

    /// A member was added.
    pub(super) fn add(&mut self, key: &str, place: Place) {
        if let Some(index) = &mut self.index {
            index.insert(key.into(), place);
        }
    }
}
