//! Replays, profiles and spans on their own.

use guardhouse_protocol::Item;
use guardhouse_protocol::json::{Splice, SpliceError, Value};

use super::room::Room;
use super::{Laying, if_possible, privacy};

/// What a replay is about. The recordings stay as they are.
pub(super) fn replay(item: &mut Item, laying: &Laying<'_>) {
    edit(item, |splice| {
        let event = splice.original().clone();
        for url in event.get("urls").and_then(Value::elements).into_iter().flatten() {
            laying.rewrite(splice, url, |text| laying.url(text));
        }
        laying.request(splice, &event);
        laying.release(splice);
        laying.sdk(splice);
        laying.tags(splice, &event, &Room::default());
        laying.user(splice, &event);
        laying.address(splice);
        Ok(())
    });
}

/// The profile of a transaction, or a piece of a continuous one.
pub(super) fn profile(item: &mut Item, laying: &Laying<'_>) {
    edit(item, |splice| {
        let profile = splice.original().clone();
        let frames = profile.at(&["profile", "frames"]).and_then(Value::elements);
        laying.frames(splice, frames.into_iter().flatten());
        laying.images(splice, &profile);
        laying.release(splice);
        Ok(())
    });
}

/// A span that is not in a transaction or a container.
pub(super) fn span(item: &mut Item, laying: &Laying<'_>) {
    edit(item, |splice| {
        let span = splice.original().clone();
        if let Some(description) = span.get("description") {
            laying.rewrite(splice, description, |text| laying.description(text));
        }
        if let Some(data) = span.get("data") {
            privacy::fields(splice, data);
            let data = data.as_object();
            let value = |name| data.as_ref().and_then(|data| data.get(name));
            for name in ["transaction", "sentry.segment.name"] {
                if let Some(value) = value(name) {
                    laying.rewrite(splice, value, |text| laying.description(text));
                }
            }
            for name in ["url.full", "url"] {
                if let Some(value) = value(name) {
                    laying.rewrite(splice, value, |text| laying.url(text));
                }
            }
        }
        let identity = laying.identity;
        laying.fact(splice, &["data", "release"], identity.release.as_deref());
        laying.fact(splice, &["data", "environment"], identity.environment.as_deref());
        if_possible(splice.set(&["data", "event.process"], laying.from.name.as_str()));
        Ok(())
    });
}

/// An item that cannot be read, or takes no more, stays as it is.
fn edit<'v>(
    item: &mut Item,
    change: impl for<'t> FnOnce(&mut Splice<'t, 'v>) -> Result<(), SpliceError>,
) {
    drop(item.edit(change));
}
