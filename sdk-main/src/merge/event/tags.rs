//! The tags of an event: its own, those of the scope, and those that say where it is from.

use guardhouse_protocol::json::{Json, Object, ObjectWriter, Precedence, Splice, Value};

use crate::merge::identity::object;
use crate::merge::room::Room;
use crate::merge::{Laying, if_possible};

impl Laying<'_> {
    /// Tags of the scope where the event has none of the name, and those that say where it is from.
    pub(in crate::merge) fn tags<'t, 'v>(
        &'v self,
        splice: &mut Splice<'t, 'v>,
        event: &Object<'t>,
        room: &Room,
    ) {
        let origin = Origin::of(event);
        let offered =
            [("event.origin", origin.name()), ("event.environment", origin.environment())];
        let tags = Some(&self.scope.fields.tags).filter(|_| !room.without_scope);
        let own = event.get("tags").filter(|own| !own.is_null());
        // Most events of pages have none: then they are written in one go.
        if own.is_none() && (room.without_scope || !self.scope.fields.claims_origin) {
            let all = self.all_tags(tags, &offered);
            return if_possible(splice.set(&["tags"], all));
        }
        let scope =
            if room.without_scope { Object::EMPTY } else { object(&self.scope.fields.tags) };
        if let Some(pairs) = own.and_then(Value::elements) {
            return self.tag_pairs(splice, pairs.collect(), &scope, &offered);
        }
        if_possible(splice.set(&["tags", "event.process"], self.from.name.as_str()));
        if_possible(splice.merge(&["tags"], &scope, Precedence::Present));
        for (key, value) in offered {
            if_possible(splice.insert(&["tags", key], value));
        }
    }

    /// The tags of an event that has none itself.
    fn all_tags(&self, scope: Option<&Json>, offered: &[(&str, &str)]) -> Json {
        let mut ours = ObjectWriter::new();
        ours.member("event.process", self.from.name.as_str());
        for (key, value) in offered {
            ours.member(key, *value);
        }
        let ours = ours.finish();
        // Two objects, of which the second has members.
        let scope = scope.and_then(|scope| scope.text().strip_suffix('}'));
        let scope = scope.filter(|scope| scope.len() > 1);
        let both = scope.map(|scope| format!("{scope},{}", &ours.text()[1..]));
        both.and_then(|both| Json::parse(both.as_bytes()).ok()).unwrap_or(ours)
    }

    /// Some SDKs write tags as a list of pairs.
    fn tag_pairs<'v>(
        &self,
        splice: &mut Splice<'_, 'v>,
        mut pairs: Vec<Value<'_>>,
        scope: &Object<'v>,
        offered: &[(&str, &str)],
    ) {
        let is = |pair: Value<'_>, key: &str| {
            pair.elements().and_then(|mut pair| pair.next()).is_some_and(|name| name.is_str(key))
        };
        pairs.retain(|pair| !is(*pair, "event.process"));
        let mut all: Vec<Json> = pairs.iter().copied().map(Value::to_json).collect();
        all.push(Json::array(["event.process", &self.from.name]));
        for member in scope.members() {
            let key = member.key();
            if !pairs.iter().any(|pair| is(*pair, &key)) && key != "event.process" {
                all.push(Json::array([Json::from(&*key), member.value().to_json()]));
            }
        }
        for (key, value) in offered {
            if !all.iter().any(|pair| is(pair.as_value(), key)) {
                all.push(Json::array([*key, *value]));
            }
        }
        if_possible(splice.set(&["tags"], Json::array(&all)));
    }
}

/// Which kind of code an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    JavaScript,
    Rust,
    Native,
}

impl Origin {
    /// By its platform, or by who reports it.
    fn of(event: &Object<'_>) -> Self {
        let platform = event.get("platform").and_then(Value::as_str);
        match platform.as_deref() {
            Some("javascript" | "node") => return Self::JavaScript,
            Some("rust") => return Self::Rust,
            _ => {}
        }
        let sdk = event.at(&["sdk", "name"]).and_then(Value::as_str).unwrap_or_default();
        match platform {
            _ if sdk.starts_with("sentry.rust") => Self::Rust,
            None if !sdk.starts_with("sentry.native") => Self::JavaScript,
            _ => Self::Native,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::JavaScript => "javascript",
            Self::Rust => "rust",
            Self::Native => "native",
        }
    }

    fn environment(self) -> &'static str {
        match self {
            Self::JavaScript => "javascript",
            Self::Rust | Self::Native => "native",
        }
    }
}
