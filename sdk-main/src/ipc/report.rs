//! An event that main writes about a renderer, on its own in an envelope.
//!
//! It says only what is particular to it. The scope of the renderer and everything that main knows are
//! laid over it like over what the renderer reports itself, by [`merge`](crate::merge).

use guardhouse_protocol::json::{Json, ObjectWriter};
use guardhouse_protocol::{EditError, Envelope, EventId, Header, Item, Timestamp};

/// The event `id` of the time `at`, with the members that `about` adds. `name` is what the renderer is
/// called; `tags` go beside it.
///
/// It fails only if what the application calls the renderer is as large as an event may be.
pub(super) fn report(
    id: EventId,
    at: Timestamp,
    level: &str,
    name: &str,
    tags: &[(&str, &str)],
    about: impl FnOnce(&mut ObjectWriter),
) -> Result<Envelope, EditError> {
    let id = id.to_string();
    let mut all_tags = ObjectWriter::new();
    all_tags.member("event.process", name);
    for (tag, value) in tags {
        all_tags.member(tag, *value);
    }
    let mut event = ObjectWriter::new();
    // What happened to a process or one of its threads, whatever language it is written in.
    event
        .member("event_id", id.as_str())
        .member("timestamp", Json::number(at.as_seconds()))
        .member("platform", "native")
        .member("level", level)
        .member("tags", all_tags.finish());
    about(&mut event);

    let mut header = Header::new();
    header.set("event_id", id.as_str())?;
    let mut envelope = Envelope::new(header);
    envelope.push(Item::new("event", event.finish().text().to_owned())?)?;
    Ok(envelope)
}
