//! The breadcrumbs of an event: its own and those of the scope, by time.

use std::collections::HashSet;

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::json::{Fragment, Json, Object, ObjectWriter, Splice, Value};

use super::room::{Room, meta_of_length};
use super::scopes::{Crumb, Mark};
use super::{Laying, if_possible, privacy};

/// Where an event has its breadcrumbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `"breadcrumbs": […]`
    Bare,
    /// `"breadcrumbs": {"values": […]}`
    Values,
}

impl Shape {
    fn path(self) -> &'static [&'static str] {
        match self {
            Self::Bare => &["breadcrumbs"],
            Self::Values => &["breadcrumbs", "values"],
        }
    }
}

/// The breadcrumbs that an event carries.
pub(super) struct Carried<'t> {
    shape: Shape,
    values: Vec<Value<'t>>,
}

impl<'t> Carried<'t> {
    /// Nothing if they are not what any SDK writes; then they stay as they are.
    pub(super) fn by(event: &Object<'t>) -> Option<Self> {
        let Some(value) = event.get("breadcrumbs").filter(|value| !value.is_null()) else {
            // Sentry takes both; the SDKs of either kind write theirs, and its schema has but one.
            let is_native = event.get("platform").is_some_and(|platform| platform.is_str("native"));
            let shape = if is_native { Shape::Values } else { Shape::Bare };
            return Some(Self { shape, values: Vec::new() });
        };
        if let Some(elements) = value.elements() {
            return Some(Self { shape: Shape::Bare, values: elements.collect() });
        }
        let object = value.as_object()?;
        let values = match object.get("values").filter(|values| !values.is_null()) {
            Some(values) => values.elements()?.collect(),
            None => Vec::new(),
        };
        Some(Self { shape: Shape::Values, values })
    }

    /// How many bytes each takes.
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.values.iter().map(|value| value.text().len() + 1).collect()
    }
}

/// One of those that will be in the event.
enum Piece<'a> {
    /// The event's own, with its former index.
    Own(usize, Value<'a>),
    /// The same without its secrets.
    Cleaned(usize, &'a Json),
    Scope(Crumb<'a>),
}

impl Piece<'_> {
    fn own_index(&self) -> Option<usize> {
        match self {
            Self::Own(index, _) | Self::Cleaned(index, _) => Some(*index),
            Self::Scope(_) => None,
        }
    }
}

impl Laying<'_> {
    /// Lays the scope's breadcrumbs among those of the event.
    pub(super) fn breadcrumbs<'t, 'v>(
        &'v self,
        splice: &mut Splice<'t, 'v>,
        carried: &Carried<'t>,
        room: &Room,
    ) {
        let trail = &*self.scope.trail;
        let path = carried.shape.path();
        let earlier = self.earlier_breadcrumbs(splice.original());
        let is_all = earlier == trail.len() && room.without_breadcrumbs == 0;
        if carried.values.is_empty() && is_all {
            if_possible(splice.set(path, &trail.list));
            for (index, meta) in trail.metas() {
                set_meta(splice, path, &index.to_string(), meta);
            }
            return;
        }

        let own = &carried.values[room.without_own_breadcrumbs.min(carried.values.len())..];
        let first_own = carried.values.len() - own.len();
        // A breadcrumb that the page has told main of, and puts into its event as well, is one.
        // What main was told is without secrets, too.
        let cleaned: Vec<Option<Json>> =
            own.iter().map(|value| privacy::breadcrumb(*value)).collect();
        let told = own
            .iter()
            .zip(&cleaned)
            .map(|(value, cleaned)| cleaned.as_ref().map_or(*value, Json::as_value));
        let marks: HashSet<Mark<'_>> =
            told.filter_map(|value| Mark::of(&value.as_object()?)).collect();
        let is_double = |crumb: &Crumb<'_>| {
            let is_marked =
                |object: &Object<'_>| Mark::of(object).is_some_and(|mark| marks.contains(&mark));
            crumb.from() == self.scope.own
                && crumb.value().as_object().as_ref().is_some_and(is_marked)
        };
        let mut pieces: Vec<(Timestamp, Piece<'_>)> = self
            .times(own)
            .into_iter()
            .zip(own.iter().zip(&cleaned))
            .enumerate()
            .map(|(index, (time, (value, cleaned)))| {
                let index = first_own + index;
                let piece = match cleaned {
                    Some(cleaned) => Piece::Cleaned(index, cleaned),
                    None => Piece::Own(index, *value),
                };
                (time, piece)
            })
            .collect();
        let crumbs = trail.crumbs().take(earlier).skip(room.without_breadcrumbs);
        let others: Vec<Crumb<'_>> = crumbs.filter(|crumb| !is_double(crumb)).collect();
        // The event's own stay, whatever others have done since.
        let surplus = (pieces.len() + others.len()).saturating_sub(trail.max).min(others.len());
        let added = others.into_iter().skip(surplus);
        pieces.extend(added.map(|crumb| (crumb.time(), Piece::Scope(crumb))));
        // Those that happened at the same time stay in the order in which they were told.
        pieces.sort_by_key(|(time, _)| *time);

        let is_as_it_was = pieces.len() == carried.values.len()
            && !pieces.is_empty()
            && pieces.iter().enumerate().all(
                |(index, (_, piece))| matches!(piece, Piece::Own(former, _) if *former == index),
            );
        if !is_as_it_was {
            self.move_meta(splice, path, &pieces);
            let list = Json::array(pieces.iter().map(|(_, piece)| match piece {
                Piece::Own(_, value) => Fragment::from(*value),
                Piece::Cleaned(_, json) => Fragment::from(*json),
                Piece::Scope(crumb) => Fragment::from(crumb.value()),
            }));
            if_possible(splice.set(path, list));
        }
        let left_out = room.without_breadcrumbs.min(earlier) + room.without_own_breadcrumbs;
        if left_out > 0 {
            set_meta(splice, path, "", meta_of_length(pieces.len() + left_out));
        }
    }

    /// How many of the scope's breadcrumbs are from before the event, as precisely as it says when it
    /// happened. If it does not say so, it is from before it arrived.
    fn earlier_breadcrumbs(&self, event: &Object<'_>) -> usize {
        let end = event.get("timestamp").and_then(Timestamp::end_from_json);
        end.map_or(self.scope.trail.len(), |end| self.scope.breadcrumbs_before(end))
    }

    /// By what the event's own are ordered: what they say, but not after now; without a time, with the
    /// one before, and at the start with the one behind.
    fn times(&self, own: &[Value<'_>]) -> Vec<Timestamp> {
        let stated: Vec<Option<Timestamp>> = own
            .iter()
            .map(|value| Timestamp::from_json(value.as_object()?.get("timestamp")?))
            .collect();
        let mut last = stated.iter().flatten().next().copied().unwrap_or(self.now);
        stated
            .into_iter()
            .map(|time| {
                last = time.unwrap_or(last).min(self.now);
                last
            })
            .collect()
    }

    /// What `_meta` says of breadcrumbs is found by their place, which is another one now.
    fn move_meta<'v>(
        &self,
        splice: &mut Splice<'_, 'v>,
        path: &[&str],
        pieces: &[(Timestamp, Piece<'_>)],
    ) {
        let place: Vec<&str> = std::iter::once("_meta").chain(path.iter().copied()).collect();
        let former = splice.original().at(&place).and_then(Value::as_object);
        let mut moved = ObjectWriter::new();
        for (index, (_, piece)) in pieces.iter().enumerate() {
            let index = index.to_string();
            match (piece, piece.own_index()) {
                (Piece::Scope(crumb), _) => {
                    if let Some(meta) = crumb.meta() {
                        moved.member(&index, meta);
                    }
                }
                (_, Some(own)) => {
                    let meta = former.as_ref().and_then(|former| former.get(&own.to_string()));
                    if let Some(meta) = meta {
                        moved.member(&index, meta);
                    }
                }
                _ => {}
            }
        }
        let about_all = former.as_ref().and_then(|former| former.get(""));
        if let Some(about_all) = about_all {
            moved.member("", about_all);
        }
        if former.is_some() || !moved.is_empty() {
            if_possible(splice.set(&place, moved.finish()));
        }
    }
}

fn set_meta<'v>(
    splice: &mut Splice<'_, 'v>,
    path: &[&str],
    key: &str,
    meta: impl Into<Fragment<'v>>,
) {
    let mut place = vec!["_meta"];
    place.extend(path);
    place.push(key);
    if_possible(splice.set(&place, meta));
}
