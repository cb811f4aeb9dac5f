//! Logs, metrics and spans with typed attributes, on their own or many in a container.

use guardhouse_protocol::json::{Fragment, Json, Object, ObjectWriter, Precedence, Splice, Value};
use guardhouse_protocol::scope::Field;
use guardhouse_protocol::{Item, ItemType};

use super::identity::object;
use super::{Laying, SDK_NAME, SDK_VERSION, if_possible, privacy};

/// Lays over each log, metric or span of a container what is laid over one. A container that cannot be
/// read stays as it is; one that would be too large gets only what main insists on.
pub(super) fn container(item: &mut Item, laying: &Laying<'_>) {
    let max_bytes = item.item_type().max_bytes();
    let Ok(container) = item.json() else { return };
    let Some(elements) = container.get("items").and_then(Value::elements) else { return };
    let is_span = item.item_type() == ItemType::Span;
    for offer in [laying.offered(), ObjectWriter::new().finish()] {
        let insisted = laying.insisted();
        let overlay = Overlay { insisted: object(&insisted), offered: object(&offer), is_span };
        let edited = elements.clone().map(|element| match element.as_object() {
            Some(object) => {
                overlay.lay(object, laying).map_or(Fragment::from(element), Fragment::from)
            }
            None => Fragment::from(element),
        });
        let mut splice = Splice::new(container.clone());
        if_possible(splice.set(&["items"], Json::array(edited)));
        let infers = container.at(&["ingest_settings", "infer_ip"]);
        if infers.is_some() && !laying.identity.send_default_pii {
            if_possible(splice.set(&["ingest_settings", "infer_ip"], "never"));
        }
        let text = splice.finish();
        if text.len() <= max_bytes {
            drop(item.set_payload(text));
            return;
        }
    }
}

/// A log or metric that came on its own, merged; nothing if it stays as it is.
pub(super) fn single(text: &str, laying: &Laying<'_>) -> Option<String> {
    let (insisted, offered) = (laying.insisted(), laying.offered());
    let overlay =
        Overlay { insisted: object(&insisted), offered: object(&offered), is_span: false };
    let json = overlay.lay(Object::parse(text.as_bytes()).ok()?, laying)?;
    Some(json.text().to_owned())
}

/// What is laid over each.
struct Overlay<'a> {
    insisted: Object<'a>,
    offered: Object<'a>,
    is_span: bool,
}

impl Overlay<'_> {
    fn lay(&self, object: Object<'_>, laying: &Laying<'_>) -> Option<Json> {
        let mut splice = Splice::new(object.clone());
        let attributes = object.get("attributes");
        if let Some(attributes) = attributes {
            privacy::fields(&mut splice, attributes);
        }
        if let Some(body) = object.get("body") {
            laying.rewrite(&mut splice, body, privacy::text);
        }
        let text = |name: &str| attributes?.as_object()?.at(&[name, "value"]);
        if self.is_span {
            for value in [object.get("name"), text("sentry.segment.name")].into_iter().flatten() {
                laying.rewrite(&mut splice, value, |text| laying.description(text));
            }
            for value in ["url.full", "url"].into_iter().filter_map(text) {
                laying.rewrite(&mut splice, value, |text| laying.url(text));
            }
        }
        if !laying.identity.send_default_pii {
            for name in ["client.address", "user.ip_address"] {
                if text(name).is_some_and(|value| value.is_str("{{auto}}")) {
                    if_possible(splice.remove(&["attributes", name]));
                }
            }
        }
        if laying.identity.is_unknown {
            for name in ["sentry.release", "sentry.environment"] {
                if_possible(splice.remove(&["attributes", name]));
            }
        }
        if_possible(splice.merge(&["attributes"], &self.insisted, Precedence::Incoming));
        if_possible(splice.merge(&["attributes"], &self.offered, Precedence::Present));
        splice.is_changed().then(|| Json::parse(splice.finish().as_bytes()).ok()).flatten()
    }
}

impl Laying<'_> {
    /// Attributes that are main's to say.
    fn insisted(&self) -> Json {
        let identity = self.identity;
        let mut attributes = ObjectWriter::new();
        for (name, value) in
            [("sentry.release", &identity.release), ("sentry.environment", &identity.environment)]
        {
            if let Some(value) = value {
                attributes.member(name, string(value));
            }
        }
        attributes.member("sentry.sdk.name", string(SDK_NAME));
        attributes.member("sentry.sdk.version", string(SDK_VERSION));
        attributes.member("event.process", string(&self.from.name));
        attributes.finish()
    }

    /// Attributes for those that have none of the name.
    fn offered(&self) -> Json {
        let mut offered = ObjectWriter::new();
        for (context, members) in
            [("os", &["name", "version"][..]), ("device", &["brand", "model", "family"])]
        {
            for member in members {
                if let Some(text) = self.identity.context_text(context, member) {
                    offered.member(&format!("{context}.{member}"), string(&text));
                }
            }
        }
        let user = self.scope.fields.value(&Field::User).and_then(Json::as_object);
        for (member, attribute) in
            [("id", "user.id"), ("username", "user.name"), ("email", "user.email")]
        {
            let value = user.as_ref().and_then(|user| user.get(member));
            // An id may be a number, but is a name all the same.
            let text = value.and_then(|value| match value.as_str() {
                Some(text) => Some(text.into_owned()),
                None => value.as_u64().map(|number| number.to_string()),
            });
            if let Some(text) = text {
                offered.member(attribute, string(&text));
            }
        }
        let scope = object(&self.scope.fields.attributes);
        let offered = offered.finish();
        let mut all = Splice::new(object(&offered));
        if_possible(all.merge(&[], &scope, Precedence::Incoming));
        Json::parse(all.finish().as_bytes()).unwrap_or_else(|_| ObjectWriter::new().finish())
    }
}

fn string(text: &str) -> Json {
    let mut attribute = ObjectWriter::new();
    attribute.member("value", text).member("type", "string");
    attribute.finish()
}
