//! Of each field the value that counts, and the objects that are laid over events.

use std::collections::BTreeMap;

use guardhouse_protocol::json::{Fragment, Json, Kind, ObjectWriter, Value};
use guardhouse_protocol::scope::{Contribution, Entry, Field, Key};

use super::Process;

/// The fields of all contributions, merged for the events of one process.
#[derive(Debug)]
pub(in crate::merge) struct Fields {
    pub(in crate::merge) winners: BTreeMap<Field, Entry>,
    pub(in crate::merge) tags: Json,
    /// Whether some process has set one of those tags that say where an event is from.
    pub(in crate::merge) claims_origin: bool,
    pub(in crate::merge) extra: Json,
    /// The contexts that the event's own process has set, and those of others, which are given up
    /// before them.
    pub(in crate::merge) own_contexts: Json,
    pub(in crate::merge) other_contexts: Json,
    /// As logs, metrics and spans have them: each with its type.
    pub(in crate::merge) attributes: Json,
}

impl Fields {
    pub(super) fn of(contributions: &BTreeMap<Process, Contribution>, own: Process) -> Self {
        let mut winners: BTreeMap<&Field, (&Entry, bool)> = BTreeMap::new();
        // Main's own events have from `sentry` what main has told it.
        let counts = |process: Process| own != Process::Main || process != Process::MainHub;
        for (process, contribution) in contributions.iter().filter(|(it, _)| counts(**it)) {
            let is_own = *process == own;
            for (field, entry) in contribution.fields() {
                let is_better = winners.get(field).is_none_or(|(other, other_is_own)| {
                    is_own || (!other_is_own && entry.at() > other.at())
                });
                if is_better {
                    winners.insert(field, (entry, is_own));
                }
            }
        }
        let object = |is_in: &dyn Fn(&Field, bool) -> bool| {
            let members = winners.iter().filter(|(field, (_, is_own))| is_in(field, *is_own));
            object_of(members.filter_map(|(field, (entry, _))| Some((field.key()?, entry.value()))))
        };
        let attributes: Vec<_> = winners
            .iter()
            .filter(|(field, _)| matches!(field, Field::Attribute(_)))
            .filter_map(|(field, (entry, _))| {
                Some((field.key()?, attribute(entry.value().as_value())?))
            })
            .collect();
        let claims_origin = winners.keys().any(|field| match field {
            Field::Tag(key) => key.as_json_body().starts_with("event."),
            _ => false,
        });
        Self {
            claims_origin,
            tags: object(&|field, _| matches!(field, Field::Tag(_))),
            extra: object(&|field, _| matches!(field, Field::Extra(_))),
            own_contexts: object(&|field, own| matches!(field, Field::Context(_)) && own),
            other_contexts: object(&|field, own| matches!(field, Field::Context(_)) && !own),
            attributes: object_of(attributes.iter().map(|(key, value)| (*key, value))),
            winners: winners
                .into_iter()
                .map(|(field, (entry, _))| (field.clone(), entry.clone()))
                .collect(),
        }
    }

    /// The value of a field that has no key.
    pub(in crate::merge) fn value(&self, field: &Field) -> Option<&Json> {
        self.winners.get(field).map(Entry::value)
    }

    /// What `_meta` has to say about the fields, with the place of each in an event.
    pub(in crate::merge) fn metas(&self) -> impl Iterator<Item = (Vec<String>, &Json, &Json)> {
        self.winners.iter().filter_map(|(field, entry)| {
            let meta = entry.meta()?;
            let member = match field {
                Field::User => "user",
                Field::Level => "level",
                Field::Transaction => "transaction",
                Field::Fingerprint => "fingerprint",
                Field::Tag(_) => "tags",
                Field::Extra(_) => "extra",
                Field::Context(_) => "contexts",
                _ => return None,
            };
            let key = field.key().map(|key| key.to_str().into_owned());
            let path = std::iter::once(member.to_owned()).chain(key).collect();
            Some((path, entry.value(), meta))
        })
    }
}

/// Keys may hold what no Rust string can, so the text is put together from how they are written.
fn object_of<'a>(members: impl Iterator<Item = (&'a Key, &'a Json)>) -> Json {
    let members: Vec<String> = members
        .map(|(key, value)| format!("\"{}\":{}", key.as_json_body(), value.text()))
        .collect();
    let text = format!("{{{}}}", members.join(","));
    let json = Json::parse(text.as_bytes());
    debug_assert!(json.is_ok(), "keys and values were checked when they came in");
    json.unwrap_or_else(|_| ObjectWriter::new().finish())
}

/// An attribute with its type, as `setAttributes` takes it with or without.
fn attribute(value: Value<'_>) -> Option<Json> {
    let kind = match value.kind() {
        Kind::Object if value.as_object()?.get("value").is_some() => return Some(value.to_json()),
        Kind::String => "string",
        Kind::Bool => "boolean",
        Kind::Number if value.text().contains(['.', 'e', 'E']) => "double",
        Kind::Number => "integer",
        Kind::Null | Kind::Array | Kind::Object => return None,
    };
    let mut attribute = ObjectWriter::new();
    attribute.member("value", Fragment::from(value)).member("type", kind);
    Some(attribute.finish())
}
