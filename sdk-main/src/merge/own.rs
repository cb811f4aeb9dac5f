//! What main itself has captured, through the `sentry` crate.
//!
//! The scope of all processes was laid over main's events when they were captured, and the
//! application's hooks have seen them; so it is not laid over them again, which would bring back what
//! a hook has taken out. What `sentry` shows to no integration, such as transactions and logs, gets it
//! here.

use guardhouse_protocol::json::{Object, Precedence, Splice};
use guardhouse_protocol::{Envelope, Item, ItemType, Timestamp};

use super::event::{self, Kind};
use super::identity::object;
use super::{
    Facts, Laying, Merge, Merged, MergedScope, Sender, attributes, if_possible, items, privacy,
    surrogates,
};
use crate::losses::{Losses, Reason};

/// The context in which we say something of ourselves.
pub(crate) const OWN_CONTEXT: &str = "guardhouse";
/// The member of it by which an event says that it was captured before the contexts were known.
pub(crate) const TOO_EARLY: &str = "too_early";

impl Merge {
    /// Merges what main has captured. `scope` is what [`Scopes::merged`](super::Scopes::merged) says
    /// for main.
    pub fn main(&self, envelope: Envelope, scope: &MergedScope, now: Timestamp) -> Merged {
        self.main_in_run(envelope, &Sender::main(), scope, now)
    }

    /// Merges what main has captured in an earlier run, of which `from` knows what it was.
    pub fn main_in_run(
        &self,
        mut envelope: Envelope,
        from: &Sender,
        scope: &MergedScope,
        now: Timestamp,
    ) -> Merged {
        let laying = Laying { has_hooks: false, ..self.laying(from, scope, now) };
        laying.header(envelope.header_mut());
        let (mut losses, mut facts) = (Losses::new(), Facts::default());
        let mut dropped = None;
        let mut has_event = false;
        for (index, item) in envelope.items_mut().iter_mut().enumerate() {
            let laid = match item.item_type() {
                ItemType::Event => {
                    has_event = true;
                    laying.own_event(item)
                }
                ItemType::Transaction => {
                    event::lay(item, Kind::Transaction, &laying, &mut facts).map(drop)
                }
                ItemType::Feedback => {
                    event::lay(item, Kind::Feedback, &laying, &mut facts).map(drop)
                }
                ItemType::Span if !item.is_container() => {
                    items::span(item, &laying);
                    Ok(())
                }
                ItemType::Span | ItemType::Log | ItemType::TraceMetric => {
                    attributes::container(item, &laying);
                    Ok(())
                }
                _ => Ok(()),
            };
            match laid {
                Ok(()) => surrogates::replace(item),
                Err(reason) => dropped = Some((index, reason)),
            }
        }
        if let Some((at, reason)) = dropped {
            let mut index = 0;
            for item in envelope.retain(|_| {
                index += 1;
                index - 1 != at
            }) {
                losses.count_item(&item, reason);
            }
        } else if has_event {
            laying.attach(&mut envelope, &mut losses);
        }
        let envelope = Some(envelope).filter(|envelope| !envelope.items().is_empty());
        Merged { envelope, losses, facts }
    }
}

impl Laying<'_> {
    /// What only main's own knowledge can say of an event. One that has no room for all of it gets at
    /// least no secrets into the world.
    fn own_event(&self, item: &mut Item) -> Result<(), Reason> {
        let all = item.edit(|splice| {
            let event = splice.original().clone();
            self.without_secrets(splice, &event);
            Self::message(splice, &event);
            self.sdk(splice);
            if let Some(dist) = &self.identity.dist {
                if_possible(splice.insert(&["dist"], dist.as_str()));
            }
            let tags = [
                ("event.process", "main"),
                ("event.origin", "rust"),
                ("event.environment", "native"),
            ];
            for (tag, value) in tags {
                if_possible(splice.insert(&["tags", tag], value));
            }
            self.first_contexts(splice, &event);
            Ok(())
        });
        let least = |item: &mut Item| {
            item.edit(|splice| {
                let event = splice.original().clone();
                self.without_secrets(splice, &event);
                Ok(())
            })
        };
        all.or_else(|_| least(item)).map_err(|_| Reason::Invalid)
    }

    fn without_secrets<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
        self.clean(splice, event);
        self.address(splice);
        for breadcrumb in event.get("breadcrumbs").into_iter().flat_map(event::values_of) {
            if let Some(clean) = privacy::breadcrumb(breadcrumb) {
                if_possible(splice.replace(breadcrumb, clean));
            }
        }
    }

    /// In the first moments of a run the contexts were not known yet when the event was captured; it
    /// says so by a mark. Otherwise what is missing was taken out by the application.
    fn first_contexts<'t, 'v>(&'v self, splice: &mut Splice<'t, 'v>, event: &Object<'t>) {
        if event.at(&["contexts", OWN_CONTEXT, TOO_EARLY]).is_some() {
            if_possible(splice.remove(&["contexts", OWN_CONTEXT]));
            let known = object(&self.identity.contexts);
            if_possible(splice.merge(&["contexts"], &known, Precedence::Present));
        }
    }
}
