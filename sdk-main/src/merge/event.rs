//! What is laid over events, transactions and feedback.

mod clean;
mod tags;

use guardhouse_protocol::Item;
use guardhouse_protocol::json::{Json, Object, Precedence, Splice, Value};
use guardhouse_protocol::scope::Field;

use super::breadcrumbs::Carried;
use super::identity::object;
use super::room::{Room, meta_of_length};
use super::{Facts, Laying, MergedScope, if_possible};
use crate::losses::Reason;
use crate::session::Severity;

/// What kind of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Event,
    Transaction,
    Feedback,
}

/// The contexts of which the event's and main's members are put together. Of others the event's is
/// taken as it is: half of one machine's and half of another's is nobody's.
const MEMBERWISE: [&str; 2] = ["app", "device"];

/// Lays everything over an event, and says what it means for the session. An event that cannot be read
/// stays as it is. One that is too large even without the scope is dropped.
pub(super) fn lay(
    item: &mut Item,
    kind: Kind,
    laying: &Laying<'_>,
    facts: &mut Facts,
) -> Result<Option<Severity>, Reason> {
    let max_bytes = item.item_type().max_bytes();
    let Ok(event) = item.json() else { return Ok(None) };
    let carried = Carried::by(&event);
    let mut room = Room::default();
    let (text, severity) = loop {
        let mut splice = Splice::new(event.clone());
        laying.event(&mut splice, kind, carried.as_ref(), &room);
        let text = splice.finish();
        let excess = text.len().saturating_sub(max_bytes);
        if excess == 0 {
            let scope = (!room.without_scope).then_some(laying.scope);
            break (text, severity_of(&event, scope));
        }
        let sizes = carried.as_ref().map_or_else(Vec::new, Carried::sizes);
        if !room.give_up(excess, laying.scope, &sizes) {
            return Err(Reason::Invalid);
        }
    };
    facts.left_out += room.left_out(laying.scope);
    item.set_payload(text).map_err(|_| Reason::Invalid)?;
    Ok(severity)
}

/// What an event means for the session that is not laid over, with the level that it would have got.
pub(super) fn severity(item: &Item, scope: Option<&MergedScope>) -> Option<Severity> {
    severity_of(&item.json().ok()?, scope)
}

fn severity_of(event: &Object<'_>, scope: Option<&MergedScope>) -> Option<Severity> {
    let own = event.get("level").filter(|level| !level.is_null());
    let laid = || scope?.fields.value(&Field::Level).map(Json::as_value);
    Severity::of_reported(own.or_else(laid), event.get("exception"))
}

/// The elements of what SDKs write as `{"values": […]}`, as a list or, if there is one, as it is.
pub(super) fn values_of(value: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    let values = match value.as_object() {
        Some(object) => object.get("values"),
        None => Some(value),
    };
    let listed = values.and_then(Value::elements);
    let single = (values.is_none() && !value.is_null()).then_some(value);
    listed.into_iter().flatten().chain(single)
}

impl Laying<'_> {
    fn event<'t, 'v>(
        &'v self,
        splice: &mut Splice<'t, 'v>,
        kind: Kind,
        carried: Option<&Carried<'t>>,
        room: &Room,
    ) {
        let event = splice.original().clone();
        self.clean(splice, &event);
        self.release(splice);
        self.sdk(splice);
        self.tags(splice, &event, room);
        self.contexts(splice, &event, room);
        if !room.without_scope {
            self.user(splice, &event);
            self.singles(splice, kind);
        }
        if !room.without_extra {
            offer(splice, &event, "extra", &self.scope.fields.extra);
        }
        if let Some(carried) = carried {
            self.breadcrumbs(splice, carried, room);
        }
        self.user_agent(splice, &event);
        self.address(splice);
        if kind == Kind::Event && !self.has_hooks {
            Self::message(splice, &event);
        }
        self.metas(splice, &event, room);
    }

    /// The release is main's, and what belongs to it; so is the environment, which a page does not
    /// know.
    pub(super) fn release<'v>(&'v self, splice: &mut Splice<'_, 'v>) {
        let identity = self.identity;
        self.fact(splice, &["release"], identity.release.as_deref());
        match (&identity.release, &identity.dist) {
            (Some(_), Some(dist)) => if_possible(splice.set(&["dist"], dist.as_str())),
            // It is of another release.
            (Some(_), None) => if_possible(splice.remove(&["dist"])),
            (None, _) => self.fact(splice, &["dist"], None),
        }
        self.fact(splice, &["environment"], identity.environment.as_deref());
    }

    fn contexts<'t, 'v>(&'v self, splice: &mut Splice<'t, 'v>, event: &Object<'t>, room: &Room) {
        let fields = &self.scope.fields;
        let is_in = |is_left_out: bool, json: &'v Json| {
            if is_left_out { Object::EMPTY } else { object(json) }
        };
        let sources = [
            is_in(room.without_scope, &fields.own_contexts),
            is_in(room.without_other_contexts, &fields.other_contexts),
            is_in(room.without_scope, &self.identity.contexts),
        ];
        for source in &sources {
            if_possible(splice.merge(&["contexts"], source, Precedence::Present));
        }
        for name in MEMBERWISE {
            let offers = sources.iter().filter_map(|source| source.get(name));
            let offers: Vec<Value<'v>> = offers.collect();
            if offers.is_empty() {
                continue;
            }
            let has_own = event.at(&["contexts", name]).is_some_and(|own| !own.is_null());
            // The first that has it was taken as it is.
            let behind = usize::from(!has_own);
            for offer in offers.into_iter().skip(behind).filter_map(Value::as_object) {
                if_possible(splice.merge(&["contexts", name], &offer, Precedence::Present));
            }
        }
    }

    /// The event's own user, or the scope's. Two are never mixed; but an address alone is nobody.
    pub(super) fn user<'t, 'v>(&'v self, splice: &mut Splice<'t, 'v>, event: &Object<'t>) {
        let Some(user) = self.scope.fields.value(&Field::User) else { return };
        let own = event.get("user").filter(|own| !own.is_null());
        let is_nobody = own.is_none_or(|own| {
            own.as_object().is_some_and(|own| {
                own.members().all(|member| matches!(&*member.key(), "ip_address" | "geo"))
            })
        });
        if is_nobody {
            offer(splice, event, "user", user);
        }
    }

    /// What there is one of.
    fn singles<'v>(&'v self, splice: &mut Splice<'_, 'v>, kind: Kind) {
        let mut fields = vec![];
        if kind == Kind::Event {
            fields.extend([(Field::Level, "level"), (Field::Fingerprint, "fingerprint")]);
        }
        if kind != Kind::Transaction {
            fields.push((Field::Transaction, "transaction"));
        }
        for (field, member) in fields {
            if let Some(value) = self.scope.fields.value(&field) {
                if_possible(splice.insert(&[member], value));
            }
        }
    }

    /// Says what was cut or left out of what the scope adds.
    fn metas<'t, 'v>(&'v self, splice: &mut Splice<'t, 'v>, event: &Object<'t>, room: &Room) {
        let fields = &self.scope.fields;
        for (path, value, meta) in fields.metas() {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            // What the event has itself was not laid over it.
            let is_ours = event.at(&path).is_none_or(Value::is_null)
                && splice.get(&path).is_some_and(|there| there == value.text());
            if is_ours {
                let place: Vec<&str> = std::iter::once("_meta").chain(path).collect();
                if_possible(splice.insert(&place, meta));
            }
        }
        for (is_left_out, member, left_out) in [
            (room.without_extra, "extra", &fields.extra),
            (room.without_other_contexts, "contexts", &fields.other_contexts),
        ] {
            let left_out = object(left_out).len();
            if is_left_out && left_out > 0 {
                let kept = splice
                    .get(&[member])
                    .and_then(|text| Some(Object::parse(text.as_bytes()).ok()?.len()));
                let length = meta_of_length(kept.unwrap_or(0) + left_out);
                if_possible(splice.set(&["_meta", member, ""], length));
            }
        }
    }
}

/// Lays the members of an object under those of the event's member.
fn offer<'t, 'v>(splice: &mut Splice<'t, 'v>, event: &Object<'t>, member: &str, offered: &'v Json) {
    let offered_object = object(offered);
    if offered_object.is_empty() {
        return;
    }
    if event.get(member).is_none_or(Value::is_null) {
        if_possible(splice.set(&[member], offered));
    } else {
        if_possible(splice.merge(&[member], &offered_object, Precedence::Present));
    }
}
