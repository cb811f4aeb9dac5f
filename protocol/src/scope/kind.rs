//! The kinds of fields, in one table: what they are called and which keys they take.

use super::{Field, Key, Refusal};
use crate::limits::{SCOPE_KEY_CHARS, TAG_KEY_CHARS};

listed! {
    /// What kind of [`Field`] it is. Where there is not room for all that a whole scope says, the
    /// first of these get it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Kind {
        User,
        Level,
        Transaction,
        Fingerprint,
        Propagation,
        Tag,
        Extra,
        Context,
        Attribute,
    }
}

/// What is to know about a kind.
struct Row {
    /// What a change calls it.
    name: &'static str,
    /// The member of a whole scope that says it.
    member: &'static str,
    make: Make,
}

/// How a field of the kind comes to be.
enum Make {
    Single(Field),
    /// From a key that may have so many characters.
    Keyed(fn(Key) -> Field, usize),
}

impl Kind {
    #[rustfmt::skip]
    fn row(self) -> Row {
        use Make::{Keyed, Single};
        let row = |name, member, make| Row { name, member, make };
        match self {
            Self::User => row("user", "user", Single(Field::User)),
            Self::Level => row("level", "level", Single(Field::Level)),
            Self::Transaction => row("transaction", "transactionName", Single(Field::Transaction)),
            Self::Fingerprint => row("fingerprint", "fingerprint", Single(Field::Fingerprint)),
            Self::Propagation => row("propagation", "propagationContext", Single(Field::Propagation)),
            Self::Tag => row("tag", "tags", Keyed(Field::Tag, TAG_KEY_CHARS)),
            Self::Extra => row("extra", "extra", Keyed(Field::Extra, SCOPE_KEY_CHARS)),
            Self::Context => row("context", "contexts", Keyed(Field::Context, SCOPE_KEY_CHARS)),
            Self::Attribute => row("attribute", "attributes", Keyed(Field::Attribute, SCOPE_KEY_CHARS)),
        }
    }

    /// What a change calls it.
    pub(super) fn name(self) -> &'static str {
        self.row().name
    }

    /// The kind that a change calls so.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind that a whole scope says in this member.
    pub(super) fn from_member(member: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.row().member == member)
    }

    /// Whether there is a field of the kind for each key.
    pub(super) fn has_keys(self) -> bool {
        matches!(self.row().make, Make::Keyed(..))
    }

    /// The field of this kind with the key that was written so, if it takes one.
    pub(super) fn field(self, raw_key: Option<&str>) -> Result<Field, Refusal> {
        match self.row().make {
            Make::Single(field) => Ok(field),
            Make::Keyed(make, max_chars) => {
                Key::from_raw(raw_key.ok_or(Refusal::WrongKind)?, max_chars).map(make)
            }
        }
    }

    /// The field of this kind with a key.
    pub(super) fn keyed(self, key: &str) -> Result<Field, Refusal> {
        self.field(Some(&crate::json::text::body_of(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_makes_fields_of_its_kind_and_is_found_by_its_names() {
        for kind in Kind::ALL {
            let field = kind.keyed("a").unwrap();
            assert_eq!(field.kind(), kind);
            assert_eq!(field.key().is_some(), kind.has_keys());
            assert_eq!(kind.field(None).is_err(), kind.has_keys());
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            assert_eq!(Kind::from_member(kind.row().member), Some(kind));
        }
        assert_eq!(Kind::from_name("tags"), None);
        assert_eq!(Kind::from_member("tag"), None);
    }
}
