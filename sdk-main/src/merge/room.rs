//! What is given up when an event has no room for all that the scope holds.
//!
//! Sentry refuses an event of more than a mebibyte, so the least important goes first: the oldest
//! breadcrumbs of the scope, then its extra, then contexts that other processes have set, then all of
//! it, at last the oldest breadcrumbs of the event itself. What is left out, `_meta` and the facts
//! tell.

use guardhouse_protocol::json::{Json, ObjectWriter};
use guardhouse_protocol::limits::ATTACHMENTS;
use guardhouse_protocol::scope::Attachment;
use guardhouse_protocol::{EditError, Envelope, EnvelopeFault, Item, ItemType};

use super::MergedScope;
use super::identity::object;

/// What of the scope an event has room for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    /// How many of the scope's breadcrumbs are left out, the oldest.
    pub(super) without_breadcrumbs: usize,
    pub(super) without_extra: bool,
    pub(super) without_other_contexts: bool,
    pub(super) without_scope: bool,
    /// How many of the event's own breadcrumbs are left out, the oldest.
    pub(super) without_own_breadcrumbs: usize,
}

impl Room {
    /// Gives up more, so that at least one byte of `excess` goes. Says whether there was any more.
    pub(super) fn give_up(&mut self, excess: usize, scope: &MergedScope, own: &[usize]) -> bool {
        if self.without_breadcrumbs < scope.trail.len() {
            let sizes = scope.trail.crumbs().map(|crumb| crumb.value().text().len() + 1);
            self.without_breadcrumbs = enough(sizes, self.without_breadcrumbs, excess);
        } else if !self.without_extra {
            self.without_extra = true;
        } else if !self.without_other_contexts {
            self.without_other_contexts = true;
        } else if !self.without_scope {
            self.without_scope = true;
        } else if self.without_own_breadcrumbs < own.len() {
            let sizes = own.iter().copied();
            self.without_own_breadcrumbs = enough(sizes, self.without_own_breadcrumbs, excess);
        } else {
            return false;
        }
        true
    }

    /// How many parts of the scope are left out.
    pub(super) fn left_out(&self, scope: &MergedScope) -> u64 {
        let fields = &scope.fields;
        let count = |is_out, json| if is_out { object(json).len() } else { 0 };
        let parts = self.without_breadcrumbs
            + self.without_own_breadcrumbs
            + count(self.without_extra, &fields.extra)
            + count(self.without_other_contexts, &fields.other_contexts)
            + count(self.without_scope, &fields.own_contexts)
            + count(self.without_scope, &fields.tags);
        parts as u64
    }
}

/// How many have to go so that `excess` bytes do, after those that are gone already.
fn enough(sizes: impl Iterator<Item = usize>, gone: usize, excess: usize) -> usize {
    let mut freed = 0;
    let more = sizes.skip(gone).take_while(|size| {
        let is_needed = freed < excess;
        freed += size;
        is_needed
    });
    gone + more.count()
}

/// What `_meta` says of an object or array that had more members before some were left out.
pub(super) fn meta_of_length(length: usize) -> Json {
    let mut about = ObjectWriter::new();
    about.member("len", length);
    about.finish()
}

/// Puts an attachment into the envelope, unless there are as many as Sentry takes.
pub(super) fn attachment(
    envelope: &mut Envelope,
    attachment: &Attachment,
) -> Result<(), EditError> {
    let is_attachment = |item: &&Item| item.item_type() == ItemType::Attachment;
    let count = envelope.items().iter().filter(is_attachment).count();
    if count >= ATTACHMENTS {
        return Err(EditError::Unreadable(EnvelopeFault::TooManyItems));
    }
    let mut item = Item::new("attachment", attachment.bytes().clone())?;
    let fields = [
        ("filename", Some(attachment.filename())),
        ("content_type", attachment.content_type()),
        ("attachment_type", attachment.attachment_type()),
    ];
    item.edit_header(|header| {
        for (field, value) in fields {
            if let Some(value) = value {
                header.set(&[field], value)?;
            }
        }
        Ok(())
    })?;
    envelope.push(item)
}
