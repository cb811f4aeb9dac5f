//! What main lays over a renderer's envelope, and that it touches nothing else: the table of
//! `docs/merge.md` row by row, and every envelope of the corpus.

mod corpus;
mod privacy;
mod table;

use guardhouse_main::merge::{Identity, Merge, Merged, Process, Scopes, Sender};
use guardhouse_protocol::json::Json;
use guardhouse_protocol::scope::ScopeMessage;
use guardhouse_protocol::{Envelope, Timestamp};
use uuid::Uuid;

const PAGE: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

fn now() -> Timestamp {
    Timestamp::from_unix(1_795_193_700, 0)
}

fn page() -> Sender {
    Sender::renderer(PAGE, "settings")
}

fn hear(scopes: &mut Scopes, process: Process, seconds: i64, text: &str) {
    let message = ScopeMessage::parse(text.as_bytes()).unwrap();
    let refusals = scopes.hear(process, message, Timestamp::from_unix(1_795_193_600 + seconds, 0));
    assert!(refusals.is_empty(), "{text}");
}

fn merge(merge: &Merge, scopes: &mut Scopes, envelope: Envelope) -> Merged {
    let page = page();
    merge.renderer(envelope, &page, &scopes.merged(page.process()), now(), 0.5)
}

fn identity() -> Identity {
    Identity::new("production")
        .release("desk@5.1.0")
        .dist("7")
        .public_key("0123456789abcdef0123456789abcdef")
        .app_roots(["/opt/desk"])
}

/// A main that knows a lot, and processes that have said a lot.
fn rich() -> (Merge, Scopes) {
    let mut identity = identity();
    for (name, context) in [
        ("os", r#"{"name":"Linux","version":"6.12"}"#),
        ("device", r#"{"family":"Desktop","arch":"x86_64"}"#),
        ("app", r#"{"app_name":"Desk","app_version":"5.1.0"}"#),
        ("guardhouse", r#"{"mode":"both"}"#),
    ] {
        identity.set_context(name, &Json::parse(context.as_bytes()).unwrap());
    }
    let mut scopes = Scopes::new(100);
    hear(
        &mut scopes,
        Process::Main,
        1,
        r#"{"tags":{"shared":"main","of-main":"1"},"contexts":{"state":{"a":1}},"extra":{"e":[1]},
            "level":"warning","fingerprint":["x"],"transactionName":"/main","user":{"id":"m"},
            "breadcrumbs":[{"message":"main began","timestamp":193000.5}],"attributes":{"at":1}}"#,
    );
    hear(
        &mut scopes,
        Process::Renderer(PAGE),
        2,
        r#"{"tags":{"shared":"page"},"breadcrumbs":[{"message":"clicked","timestamp":193100}],
            "attachments":[{"filename":"page.txt","data":"hello"}]}"#,
    );
    hear(
        &mut scopes,
        Process::Renderer(OTHER),
        3,
        r#"{"tags":{"shared":"other","of-other":true},"contexts":{"other":{"b":2.50}},
            "breadcrumbs":[{"message":"elsewhere","timestamp":193200,"data":{"url":"/a?token=1"}}]}"#,
    );
    (Merge::new(identity), scopes)
}
