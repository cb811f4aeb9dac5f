//! What main itself has captured, through the `sentry` crate.
//!
//! The scope of all processes was laid over main's events when they were captured, and the
//! application's hooks have seen them; so it is not laid over them again, which would bring back what
//! a hook has taken out. What `sentry` shows to no integration, such as transactions and logs, gets it
//! here.

use guardhouse_protocol::json::{Object, Precedence, Splice, Value};
use guardhouse_protocol::{Envelope, Item, ItemType, Timestamp};

use super::event::{self, Kind};
use super::identity::object;
use super::{
    Facts, Laying, Merge, Merged, MergedScope, Sender, attributes, if_possible, items, privacy,
};
use crate::losses::Losses;

impl Merge {
    /// Merges what main has captured. `scope` is what [`Scopes::merged`](super::Scopes::merged) says
    /// for main.
    pub fn main(&self, mut envelope: Envelope, scope: &MergedScope, now: Timestamp) -> Merged {
        let from = Sender::main();
        let laying = Laying { identity: &self.identity, from: &from, scope, now };
        laying.header(envelope.header_mut());
        let (mut losses, mut facts) = (Losses::new(), Facts::default());
        let mut dropped = None;
        let mut has_event = false;
        for (index, item) in envelope.items_mut().iter_mut().enumerate() {
            let laid = match item.item_type() {
                ItemType::Event => {
                    has_event = true;
                    laying.own_event(item);
                    Ok(())
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
            if let Err(reason) = laid {
                dropped = Some((index, reason));
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
    /// What only main's own knowledge can say of an event. One that cannot take it goes as it is.
    fn own_event(&self, item: &mut Item) {
        let edited = item.edit(|splice| {
            let event = splice.original().clone();
            self.clean(splice, &event);
            // Those of other events are cleaned where breadcrumbs are put together.
            let breadcrumbs = event.get("breadcrumbs").into_iter().flat_map(event::values_of);
            for breadcrumb in breadcrumbs.filter_map(Value::as_object) {
                if let Some(data) = breadcrumb.get("data") {
                    privacy::data(splice, data);
                }
            }
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
            self.address(splice);
            Ok(())
        });
        drop(edited);
    }

    /// In the first moments of a run the contexts were not known yet when the event was captured.
    /// Later they were, and what is missing now was taken out by the application.
    fn first_contexts<'t, 'v>(&'v self, splice: &mut Splice<'t, 'v>, event: &Object<'t>) {
        let known = object(&self.identity.contexts);
        let its = event.get("contexts").and_then(Value::as_object).unwrap_or(Object::EMPTY);
        if !known.members().any(|member| its.get(&member.key()).is_some()) {
            if_possible(splice.merge(&["contexts"], &known, Precedence::Present));
        }
    }
}
