//! How much one process may contribute in fields.

use super::kind::Kind;
use super::{Field, Refusal, Trimmed};
use crate::limits::{CONTRIBUTION_BYTES, SCOPE_KEYS};

/// What the fields of one process take of what they may take: keys of each kind, and bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget {
    keys: [usize; Kind::ALL.len()],
    bytes: usize,
}

impl Budget {
    /// Takes what a field needs that had no value, unless it would be too much.
    pub(super) fn take(&mut self, field: &Field, value: &Trimmed) -> Result<(), Refusal> {
        self.has_room_for_key(field)?;
        let bytes = self.bytes + size(field, value);
        if bytes > CONTRIBUTION_BYTES {
            return Err(Refusal::Full);
        }
        self.keys[field.kind() as usize] += 1;
        self.bytes = bytes;
        Ok(())
    }

    /// Gives back what a field took that has no value any more.
    pub(super) fn give_back(&mut self, field: &Field, value: &Trimmed) {
        self.keys[field.kind() as usize] -= 1;
        self.bytes -= size(field, value);
    }

    /// Refuses one more field of this one's kind if there are as many as there may be.
    pub(super) fn has_room_for_key(&self, field: &Field) -> Result<(), Refusal> {
        if self.keys[field.kind() as usize] == SCOPE_KEYS {
            Err(Refusal::TooManyKeys)
        } else {
            Ok(())
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// About as much as the field and its value take in memory, beside what they say.
const OVERHEAD: usize = 128;

fn size(field: &Field, value: &Trimmed) -> usize {
    let key = field.key().map_or(0, |key| key.as_json_body().len());
    OVERHEAD + key + value.size()
}
