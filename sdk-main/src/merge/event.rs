//! What is laid over events, transactions and feedback.

use guardhouse_protocol::Item;
use guardhouse_protocol::json::{Json, Object, ObjectWriter, Precedence, Splice, Value};
use guardhouse_protocol::scope::Field;

use super::breadcrumbs::Carried;
use super::identity::object;
use super::room::{Room, meta_of_length};
use super::{Facts, Laying, Process, if_possible, privacy};
use crate::losses::Reason;

/// What kind of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Event,
    Transaction,
    Feedback,
}

/// The contexts of which the event's and main's members are put together. Of others the event's is
/// taken as it is: half of one machine's and half of another's is nobody's.
const MEMBERWISE: [&str; 2] = ["app", "device"];

/// Lays everything over an event, and says whether it is an error. An event that cannot be read stays
/// as it is. One that is too large even without the scope is dropped.
pub(super) fn lay(
    item: &mut Item,
    kind: Kind,
    laying: &Laying<'_>,
    facts: &mut Facts,
) -> Result<bool, Reason> {
    let max_bytes = item.item_type().max_bytes();
    let Ok(event) = item.json() else { return Ok(false) };
    let carried = Carried::by(&event);
    let mut room = Room::default();
    let (text, is_error) = loop {
        let mut splice = Splice::new(event.clone());
        laying.event(&mut splice, kind, carried.as_ref(), &room);
        let text = splice.finish();
        let excess = text.len().saturating_sub(max_bytes);
        if excess == 0 {
            let level = splice.get(&["level"]);
            break (text, is_error_of(level.as_deref(), event.get("exception")));
        }
        let sizes = carried.as_ref().map_or_else(Vec::new, Carried::sizes);
        if !room.give_up(excess, laying.scope, &sizes) {
            return Err(Reason::Invalid);
        }
    };
    facts.left_out += room.left_out(laying.scope);
    item.set_payload(text).map_err(|_| Reason::Invalid)?;
    Ok(is_error)
}

/// Whether a session counts it as an error.
pub(super) fn is_error(item: &Item) -> bool {
    item.json()
        .is_ok_and(|event| is_error_of(event.get("level").map(Value::text), event.get("exception")))
}

fn is_error_of(level: Option<&str>, exception: Option<Value<'_>>) -> bool {
    matches!(level, Some(r#""error""# | r#""fatal""#))
        || exception.is_some_and(|exception| values_of(exception).next().is_some())
}

/// The elements of what SDKs write as `{"values": […]}`, as a list or, if there is one, as it is.
pub(super) fn values_of(value: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    let values = match value.as_object() {
        Some(object) => object.get("values"),
        None => Some(value),
    };
    let listed = values.and_then(Value::elements);
    let single = (values.is_none() && !value.is_null()).then_some(value);
    listed.into_iter().flatten().chain(single)
}

impl Laying<'_> {
    fn event<'t, 'v>(
        &'v self,
        splice: &mut Splice<'t, 'v>,
        kind: Kind,
        carried: Option<&Carried<'t>>,
        room: &Room,
    ) {
        let event = splice.original().clone();
        self.clean(splice, &event);
        self.release(splice);
        self.sdk(splice);
        self.tags(splice, &event, room);
        self.contexts(splice, &event, room);
        if !room.without_scope {
            self.user(splice, &event);
            self.singles(splice, kind);
        }
        if !room.without_extra {
            offer(splice, &event, "extra", &self.scope.fields.extra);
        }
        if let Some(carried) = carried {
            self.breadcrumbs(splice, carried, room);
        }
        self.user_agent(splice, &event);
        self.address(splice);
        self.metas(splice, &event, room);
    }

    /// Paths that are the same everywhere, and no secrets.
    pub(super) fn clean<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
        let roots = &self.identity.roots;
        self.stacks(splice, event);
        self.images(splice, event);
        if let Some(name) = event.get("transaction") {
            self.rewrite(splice, name, |text| roots.rewrite(text));
        }
        self.request(splice, event);
        if let Some(contexts) = event.get("contexts").and_then(Value::as_object) {
            if let Some(url) = contexts.at(&["feedback", "url"]) {
                self.rewrite(splice, url, |text| self.url(text));
            }
            if let Some(data) = contexts.at(&["trace", "data"]) {
                privacy::data(splice, data);
            }
        }
        let spans = event.get("spans").and_then(Value::elements);
        for span in spans.into_iter().flatten().filter_map(Value::as_object) {
            if let Some(description) = span.get("description") {
                self.rewrite(splice, description, |text| roots.rewrite(text));
            }
            if let Some(data) = span.get("data") {
                privacy::data(splice, data);
            }
        }
    }

    fn stacks<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
        let mut frames_of = |holder: Object<'t>| {
            let frames = holder.get("frames").and_then(Value::elements);
            self.frames(splice, frames.into_iter().flatten());
        };
        let roots = &self.identity.roots;
        let found = |member| event.get(member).filter(|value| roots.may_be_in(value.text()));
        if let Some(stack) = found("stacktrace").and_then(Value::as_object) {
            frames_of(stack);
        }
        for member in ["exception", "threads"] {
            let values = found(member).into_iter().flat_map(values_of);
            for value in values.filter_map(Value::as_object) {
                if let Some(stack) = value.get("stacktrace").and_then(Value::as_object) {
                    frames_of(stack);
                }
            }
        }
    }

    /// The paths in frames, of stacks and of profiles.
    pub(super) fn frames<'t>(
        &self,
        splice: &mut Splice<'t, '_>,
        frames: impl Iterator<Item = Value<'t>>,
    ) {
        for frame in frames {
            let Some(frame) = frame.as_object() else { continue };
            for member in ["filename", "abs_path"] {
                if let Some(path) = frame.get(member) {
                    self.rewrite(splice, path, |text| self.identity.roots.rewrite_path(text));
                }
            }
            if let Some(library) = frame.get("package") {
                self.rewrite(splice, library, |text| self.identity.roots.rewrite_library(text));
            }
        }
    }

    /// The scripts that frames are in: Sentry finds their source maps by the same name. Of native
    /// libraries it finds the symbols by their ids and file names, whatever the directory.
    pub(super) fn images<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
        let roots = &self.identity.roots;
        let meta = event.get("debug_meta").filter(|meta| roots.may_be_in(meta.text()));
        let images = meta.and_then(|meta| meta.as_object()?.get("images")?.elements());
        for image in images.into_iter().flatten().filter_map(Value::as_object) {
            let is_script = image.get("type").is_some_and(|kind| kind.is_str("sourcemap"));
            for file in
                ["code_file", "debug_file", "name"].iter().filter_map(|file| image.get(file))
            {
                self.rewrite(splice, file, |text| match is_script {
                    true => roots.rewrite_path(text),
                    false => roots.rewrite_library(text),
                });
            }
        }
    }

    /// Where a page is, and what it sent along.
    pub(super) fn request<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
        let Some(request) = event.get("request").and_then(Value::as_object) else { return };
        privacy::request(splice, &request);
        if let Some(url) = request.get("url") {
            self.rewrite(splice, url, |text| self.url(text));
        }
    }

    /// A URL as it leaves the machine.
    pub(super) fn url(&self, text: &str) -> Option<String> {
        let rewritten = self.identity.roots.rewrite(text);
        privacy::url(rewritten.as_deref().unwrap_or(text)).or(rewritten)
    }

    /// Puts what `change` makes of a string in its place.
    pub(super) fn rewrite<'t>(
        &self,
        splice: &mut Splice<'t, '_>,
        value: Value<'t>,
        change: impl Fn(&str) -> Option<String>,
    ) {
        if let Some(changed) = value.as_str().and_then(|text| change(&text)) {
            if_possible(splice.replace(value, changed));
        }
    }

    /// The release is main's, and what belongs to it; so is the environment, which a page does not
    /// know.
    pub(super) fn release<'v>(&'v self, splice: &mut Splice<'_, 'v>) {
        let identity = self.identity;
        if let Some(release) = &identity.release {
            if_possible(splice.set(&["release"], release.as_str()));
            match &identity.dist {
                Some(dist) => if_possible(splice.set(&["dist"], dist.as_str())),
                // It is of another release.
                None => if_possible(splice.remove(&["dist"])),
            }
        }
        if_possible(splice.set(&["environment"], identity.environment.as_str()));
    }

    /// Tags of the scope where the event has none of the name, and those that say where it is from.
    pub(super) fn tags<'t, 'v>(
        &'v self,
        splice: &mut Splice<'t, 'v>,
        event: &Object<'t>,
        room: &Room,
    ) {
        let origin = Origin::of(event);
        let offered =
            [("event.origin", origin.name()), ("event.environment", origin.environment())];
        let scope = object(&self.scope.fields.tags);
        let scope = if room.without_scope { Object::EMPTY } else { scope };
        let own = event.get("tags").filter(|own| !own.is_null());
        if let Some(pairs) = own.and_then(Value::elements) {
            return self.tag_pairs(splice, pairs.collect(), &scope, &offered);
        }
        // Most events of pages have none: then they are written in one go.
        if own.is_none()
            && let Some(all) = self.all_tags(&scope, &offered)
        {
            return if_possible(splice.set(&["tags"], all));
        }
        if_possible(splice.set(&["tags", "event.process"], self.from.name.as_str()));
        if_possible(splice.merge(&["tags"], &scope, Precedence::Present));
        for (key, value) in offered {
            if_possible(splice.insert(&["tags", key], value));
        }
    }

    /// The tags of an event that has none itself, unless a process has set one that is not its to say.
    fn all_tags(&self, scope: &Object<'_>, offered: &[(&str, &str)]) -> Option<Json> {
        let mut ours = ObjectWriter::new();
        ours.member("event.process", self.from.name.as_str());
        for (key, value) in offered {
            ours.member(key, *value);
        }
        let is_clear = scope.members().all(|member| !member.raw_key().starts_with("event."));
        if scope.is_empty() {
            return Some(ours.finish());
        }
        let ours = ours.finish();
        // Both are objects with members.
        let text = format!("{},{}", scope.as_value().text().strip_suffix('}')?, &ours.text()[1..]);
        is_clear.then(|| Json::parse(text.as_bytes()).ok()).flatten()
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

    fn contexts<'t, 'v>(&'v self, splice: &mut Splice<'t, 'v>, event: &Object<'t>, room: &Room) {
        let fields = &self.scope.fields;
        let is_in = |is_left_out: bool, json: &'v Json| {
            if is_left_out { Object::EMPTY } else { object(json) }
        };
        let sources = [
            is_in(room.without_scope, &fields.own_contexts),
            is_in(room.without_other_contexts, &fields.other_contexts),
            is_in(room.without_scope, &self.identity.contexts),
        ];
        for source in &sources {
            if_possible(splice.merge(&["contexts"], source, Precedence::Present));
        }
        let own = event.get("contexts").and_then(Value::as_object);
        for name in MEMBERWISE {
            let has_own =
                own.as_ref().and_then(|own| own.get(name)).is_some_and(|own| !own.is_null());
            // The first that has it was taken as it is.
            let behind = usize::from(!has_own);
            for source in sources.iter().filter_map(|source| source.get(name)).skip(behind) {
                if let Some(source) = source.as_object() {
                    if_possible(splice.merge(&["contexts", name], &source, Precedence::Present));
                }
            }
        }
    }

    /// The event's own user, or the scope's. Two are never mixed; but an address alone is nobody.
    pub(super) fn user<'t, 'v>(&'v self, splice: &mut Splice<'t, 'v>, event: &Object<'t>) {
        let Some(user) = self.scope.fields.value(&Field::User) else { return };
        let own = event.get("user").filter(|own| !own.is_null());
        let is_nobody = own.is_none_or(|own| {
            own.as_object().is_some_and(|own| {
                own.members().all(|member| matches!(&*member.key(), "ip_address" | "geo"))
            })
        });
        if is_nobody {
            offer(splice, event, "user", user);
        }
    }

    /// What there is one of.
    fn singles<'v>(&'v self, splice: &mut Splice<'_, 'v>, kind: Kind) {
        let mut fields = vec![];
        if kind == Kind::Event {
            fields.extend([(Field::Level, "level"), (Field::Fingerprint, "fingerprint")]);
        }
        if kind != Kind::Transaction {
            fields.push((Field::Transaction, "transaction"));
        }
        for (field, member) in fields {
            if let Some(value) = self.scope.fields.value(&field) {
                if_possible(splice.insert(&[member], value));
            }
        }
    }

    /// Nobody's address, nor the name of the machine, unless the application asked for it.
    pub(super) fn address(&self, splice: &mut Splice<'_, '_>) {
        if self.identity.send_default_pii {
            return;
        }
        if splice.get(&["user", "ip_address"]).is_some_and(|address| address == r#""{{auto}}""#) {
            if_possible(splice.remove(&["user", "ip_address"]));
        }
        // Main says it only if the application has set it.
        if self.from.process != Process::Main {
            if_possible(splice.remove(&["server_name"]));
        }
        if_possible(splice.set(&["sdk", "settings", "infer_ip"], "never"));
    }

    /// Sentry would take the machine for what the webview says it is.
    fn user_agent<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
        let Some(headers) = event.at(&["request", "headers"]) else { return };
        for (name, value) in privacy::pairs(headers) {
            if !name.eq_ignore_ascii_case("User-Agent") {
                continue;
            }
            if headers.elements().is_some() {
                // What stands in a list cannot be taken out of it; this is no browser either.
                if_possible(splice.replace(value, privacy::FILTERED));
            } else {
                if_possible(splice.remove(&["request", "headers", &name]));
            }
        }
    }

    /// Says what was cut or left out of what the scope adds.
    fn metas<'t, 'v>(&'v self, splice: &mut Splice<'t, 'v>, event: &Object<'t>, room: &Room) {
        let fields = &self.scope.fields;
        for (path, value, meta) in fields.metas() {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            // What the event has itself was not laid over it.
            let is_ours = event.at(&path).is_none_or(Value::is_null)
                && splice.get(&path).is_some_and(|there| there == value.text());
            if is_ours {
                let place: Vec<&str> = std::iter::once("_meta").chain(path).collect();
                if_possible(splice.insert(&place, meta));
            }
        }
        for (is_left_out, member, left_out) in [
            (room.without_extra, "extra", &fields.extra),
            (room.without_other_contexts, "contexts", &fields.other_contexts),
        ] {
            let left_out = object(left_out).len();
            if is_left_out && left_out > 0 {
                let kept = splice
                    .get(&[member])
                    .and_then(|text| Some(Object::parse(text.as_bytes()).ok()?.len()));
                let length = meta_of_length(kept.unwrap_or(0) + left_out);
                if_possible(splice.set(&["_meta", member, ""], length));
            }
        }
    }
}

/// Lays the members of an object under those of the event's member.
fn offer<'t, 'v>(splice: &mut Splice<'t, 'v>, event: &Object<'t>, member: &str, offered: &'v Json) {
    let offered_object = object(offered);
    if offered_object.is_empty() {
        return;
    }
    if event.get(member).is_none_or(Value::is_null) {
        if_possible(splice.set(&[member], offered));
    } else {
        if_possible(splice.merge(&[member], &offered_object, Precedence::Present));
    }
}

/// Which kind of code an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    JavaScript,
    Rust,
    Native,
}

impl Origin {
    /// By its platform, or by who reports it.
    pub(super) fn of(event: &Object<'_>) -> Self {
        let sdk = event.at(&["sdk", "name"]).and_then(Value::as_str).unwrap_or_default();
        match event.get("platform").and_then(Value::as_str).as_deref() {
            Some("javascript" | "node") => Self::JavaScript,
            Some("rust") => Self::Rust,
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
