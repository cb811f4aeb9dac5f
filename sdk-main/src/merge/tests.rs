//! What the merge does beyond the table of `docs/merge.md`, which `tests/tests/merge` goes through.

mod events;
mod items;
mod room;

use guardhouse_protocol::json::Json;
use guardhouse_protocol::scope::ScopeMessage;

use super::*;

const PAGE: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

/// A merge with what it is done with.
struct Scene {
    merge: Merge,
    scopes: Scopes,
}

impl Scene {
    fn new() -> Self {
        let identity = Identity::new("production").release("desk@5").app_roots(["/opt/desk"]);
        Self { merge: Merge::new(identity), scopes: Scopes::new(100) }
    }

    fn hooked(hooks: Hooks) -> Self {
        let Self { merge, scopes } = Self::new();
        Self { merge: merge.with_hooks(hooks), scopes }
    }

    fn hear(&mut self, process: Process, text: &str) {
        let message = ScopeMessage::parse(text.as_bytes()).unwrap();
        let refusals = self.scopes.hear(process, message, now());
        assert!(refusals.is_empty());
    }

    fn merged(&mut self, envelope: &str) -> Merged {
        let envelope = Envelope::parse(envelope.as_bytes().to_vec()).unwrap();
        let page = page();
        let scope = self.scopes.merged(page.process());
        self.merge.renderer(envelope, &page, &scope, now(), 0.5)
    }

    /// An item of this type alone, merged.
    fn item(&mut self, header: &str, payload: &str) -> String {
        let length = payload.len();
        let item = format!("{{\"type\":{header},\"length\":{length}}}\n{payload}");
        let merged = self.merged(&format!("{{}}\n{item}\n"));
        let payload = merged.envelope.unwrap().items()[0].payload().to_vec();
        String::from_utf8(payload).unwrap()
    }

    fn event(&mut self, payload: &str) -> String {
        self.item("\"event\"", payload)
    }
}

fn now() -> Timestamp {
    Timestamp::from_unix(1_795_193_700, 0)
}

fn page() -> Sender {
    Sender::renderer(PAGE, "settings")
}

fn at(json: &str, path: &[&str]) -> String {
    let json = Json::parse(json.as_bytes()).unwrap();
    let value = json.as_object().unwrap().at(path).map(|value| value.text().to_owned());
    value.unwrap_or_else(|| "nothing".into())
}
