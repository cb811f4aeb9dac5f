//! The scope of an application laid over the events of its pages.
//!
//! Both sides read an envelope, lay twenty tags, eight contexts, a user and a hundred breadcrumbs over
//! the event in it, and write it. The peer is the route through the types of the `sentry` crate, with
//! its own scope. Both work on those events of the corpus that a browser sent and that the types can
//! read. That ours also rewrites paths, takes out secrets and moves breadcrumbs by time is in its time.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use guardhouse_main::merge::{Identity, Merge, Process, Scopes, Sender};
use guardhouse_protocol::json::Json;
use guardhouse_protocol::scope::{Field, ScopeUpdate};
use guardhouse_protocol::{Envelope, ItemType, Timestamp};
use guardhouse_tests::corpus;
use sentry::protocol as typed;
use sentry::{Client, ClientOptions, Hub, Scope};
use uuid::Uuid;

use super::RELEASE;
use crate::measure::{Measure, Settings, Subject};

/// Measures the row.
pub(crate) fn run(settings: &Settings) -> Vec<Measure> {
    let envelopes: Vec<Bytes> = corpus::real()
        .into_iter()
        .map(|real| real.bytes)
        .filter(|bytes| is_event_of_a_page(bytes) && typed::Envelope::from_slice(bytes).is_ok())
        .collect();
    let measure = |name, has_news| {
        let (mut ours, peer) = (Ours::new(), Peer::new());
        let subject = Subject { name, peer: "sentry_types + sentry::Scope", goal: 0.2 };
        settings.time(
            subject,
            || envelopes.iter().for_each(|bytes| ours.merge(bytes, has_news)),
            || envelopes.iter().for_each(|bytes| peer.merge(bytes, has_news)),
        )
    };
    vec![
        measure("merge: the scope as it was", false),
        measure("merge: a breadcrumb before each event", true),
    ]
}

fn is_event_of_a_page(bytes: &Bytes) -> bool {
    let envelope = Envelope::parse(bytes.clone()).expect("the corpus is good");
    envelope.items().iter().any(|item| {
        let platform = |event: guardhouse_protocol::json::Object<'_>| {
            event.get("platform").is_some_and(|platform| platform.is_str("javascript"))
        };
        item.item_type() == ItemType::Event && item.json().is_ok_and(platform)
    })
}

const TAGS: usize = 20;
const CONTEXTS: usize = 8;
const BREADCRUMBS: usize = 100;
const AT: i64 = 1_795_193_675;

fn context(index: usize) -> String {
    format!(r#"{{"type":"state","name":"part {index}","version":"5.{index}","is_open":true}}"#)
}

fn breadcrumb(index: usize) -> String {
    format!(
        r#"{{"timestamp":{},"type":"http","category":"fetch","level":"info","message":"GET /api/items/{index}","data":{{"method":"GET","url":"https://example.com/api/items/{index}","status_code":200}}}}"#,
        AT + index as i64
    )
}

struct Ours {
    merge: Merge,
    scopes: Scopes,
    page: Sender,
    news: ScopeUpdate,
}

impl Ours {
    fn new() -> Self {
        let at = Timestamp::from_unix(AT + 1000, 0);
        let mut scopes = Scopes::new(BREADCRUMBS);
        let mut apply = |update| {
            scopes.apply(Process::Main, update, at).expect("there is room");
        };
        for index in 0..TAGS {
            let tag = Field::tag(&format!("tag-{index}")).expect("a good key");
            apply(ScopeUpdate::set(tag, format!("value {index}")).expect("a good value"));
        }
        for index in 0..CONTEXTS {
            let field = Field::context(&format!("part-{index}")).expect("a good key");
            let json = Json::parse(context(index).as_bytes()).expect("good JSON");
            apply(ScopeUpdate::set(field, json).expect("a good value"));
        }
        let user = Json::parse(br#"{"id":"7","username":"zoe"}"#).expect("good JSON");
        apply(ScopeUpdate::set(Field::User, user).expect("a good value"));
        let crumb = |index| {
            let json = Json::parse(breadcrumb(index).as_bytes()).expect("good JSON");
            ScopeUpdate::add_breadcrumb(json.as_value()).expect("a good breadcrumb")
        };
        (0..BREADCRUMBS).for_each(|index| apply(crumb(index)));
        Self {
            merge: Merge::new(
                Identity::new("production").release(RELEASE).app_roots(["/opt/desk"]),
            ),
            scopes,
            page: Sender::renderer(Uuid::from_u128(1), "renderer"),
            news: crumb(BREADCRUMBS),
        }
    }

    fn merge(&mut self, bytes: &Bytes, has_news: bool) {
        let now = Timestamp::from_unix(AT + 2000, 0);
        if has_news {
            let added = self.scopes.apply(Process::Main, self.news.clone(), now);
            added.expect("there is room");
        }
        let envelope = Envelope::parse(black_box(bytes).clone()).expect("the corpus is good");
        let scope = self.scopes.merged(self.page.process());
        let merged = self.merge.renderer(envelope, &self.page, &scope, now, 0.0);
        black_box(merged.envelope.expect("nothing is dropped").to_bytes());
    }
}

struct Peer {
    hub: Hub,
    news: typed::Breadcrumb,
}

impl Peer {
    fn new() -> Self {
        let client = Client::from(ClientOptions::default());
        let hub = Hub::new(Some(Arc::new(client)), Arc::new(Scope::default()));
        hub.configure_scope(|scope| {
            for index in 0..TAGS {
                scope.set_tag(&format!("tag-{index}"), format!("value {index}"));
            }
            for index in 0..CONTEXTS {
                let context: typed::Map<String, typed::Value> =
                    serde_json::from_str(&context(index)).expect("good JSON");
                scope.set_context(&format!("part-{index}"), typed::Context::Other(context));
            }
            let user = typed::User {
                id: Some("7".into()),
                username: Some("zoe".into()),
                ..typed::User::default()
            };
            scope.set_user(Some(user));
        });
        let crumb = |index| -> typed::Breadcrumb {
            serde_json::from_str(&breadcrumb(index)).expect("good JSON")
        };
        (0..BREADCRUMBS).for_each(|index| hub.add_breadcrumb(crumb(index)));
        Self { hub, news: crumb(BREADCRUMBS) }
    }

    fn merge(&self, bytes: &Bytes, has_news: bool) {
        if has_news {
            self.hub.add_breadcrumb(self.news.clone());
        }
        let envelope = typed::Envelope::from_slice(black_box(bytes)).expect("only what it takes");
        let mut merged = typed::Envelope::new().with_headers(envelope.headers().clone());
        for item in envelope.into_items() {
            match item {
                typed::EnvelopeItem::Event(mut event) => {
                    event.release = Some(RELEASE.into());
                    event.environment = Some("production".into());
                    event.tags.insert("event.process".into(), "renderer".into());
                    let event = self.hub.configure_scope(|scope| scope.apply_to_event(*event));
                    merged.add_item(event.expect("nothing is dropped"));
                }
                other => merged.add_item(other),
            }
        }
        let mut written = Vec::with_capacity(bytes.len() + 32 * 1024);
        merged.to_writer(&mut written).expect("a vector takes everything");
        black_box(written);
    }
}
