//! What Sentry would throw an item away for: halves of surrogate pairs in its strings.

use guardhouse_protocol::json::replace_lone_surrogates;
use guardhouse_protocol::{Item, ItemType};

/// Writes U+FFFD in their place, in the items that are edited anyway. All others, and what is not JSON,
/// stay as they are.
pub(super) fn replace(item: &mut Item) {
    let is_edited = matches!(
        item.item_type(),
        ItemType::Event
            | ItemType::Transaction
            | ItemType::Feedback
            | ItemType::ReplayEvent
            | ItemType::Profile
            | ItemType::ProfileChunk
            | ItemType::Span
            | ItemType::Log
            | ItemType::TraceMetric
    );
    if !is_edited {
        return;
    }
    if let Some(replaced) = replace_lone_surrogates(item.payload())
        && item.json().is_ok()
    {
        // It is as long as it was, so it fits.
        drop(item.set_payload(replaced));
    }
}
