//! What an event must not say: where on the machine the application is, whose machine it is, secrets.

use guardhouse_protocol::json::{Object, Splice, Value};

use super::values_of;
use crate::merge::{Laying, Process, if_possible, privacy};

/// The platforms of whose events Sentry takes the sender's address for the user's unless they forbid
/// it. Of all others it does so only if the event asks for it, with `{{auto}}` or with an address in
/// `request.env`.
const INFERRING: [&str; 3] = ["javascript", "cocoa", "objc"];

/// The platform of what the `sentry` crate and we ourselves make.
const NATIVE: &str = "native";

impl Laying<'_> {
    /// Paths that are the same everywhere, and no secrets.
    pub(in crate::merge) fn clean<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
        self.stacks(splice, event);
        self.images(splice, event);
        if let Some(name) = event.get("transaction") {
            self.rewrite(splice, name, |text| self.description(text));
        }
        self.texts(splice, event);
        self.request(splice, event);
        if let Some(contexts) = event.get("contexts").and_then(Value::as_object) {
            privacy::contexts(splice, &contexts);
            if let Some(url) = contexts.at(&["feedback", "url"]) {
                self.rewrite(splice, url, |text| self.url(text));
            }
        }
        if let Some(extra) = event.get("extra") {
            privacy::fields(splice, extra);
        }
        let spans = event.get("spans").and_then(Value::elements);
        for span in spans.into_iter().flatten().filter_map(Value::as_object) {
            if let Some(description) = span.get("description") {
                self.rewrite(splice, description, |text| self.description(text));
            }
            if let Some(data) = span.get("data") {
                privacy::fields(splice, data);
            }
        }
    }

    /// What the event says in words, in which URLs may be.
    fn texts<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
        let found = |member| event.get(member).filter(|value| privacy::may_be_in(value.text()));
        if let Some(message) = found("message") {
            privacy::fields(splice, message);
        }
        if let Some(entry) = found("logentry") {
            privacy::fields(splice, entry);
        }
        for exception in found("exception").into_iter().flat_map(values_of) {
            let value = exception.as_object().and_then(|exception| exception.get("value"));
            if let Some(value) = value {
                self.rewrite(splice, value, privacy::text);
            }
        }
        if let Some(tags) = found("tags") {
            for (_, value) in privacy::pairs(tags) {
                self.rewrite(splice, value, privacy::text);
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
    pub(in crate::merge) fn frames<'t>(
        &self,
        splice: &mut Splice<'t, '_>,
        frames: impl Iterator<Item = Value<'t>>,
    ) {
        for frame in frames {
            let Some(frame) = frame.as_object() else { continue };
            for member in ["filename", "abs_path", "package"] {
                if let Some(path) = frame.get(member) {
                    self.rewrite(splice, path, |text| self.identity.roots.rewrite_path(text));
                }
            }
        }
    }

    /// The scripts that frames are in: Sentry finds their source maps by the same name. Of native
    /// libraries it finds the symbols by their ids and file names, whatever the directory.
    pub(in crate::merge) fn images<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
        let roots = &self.identity.roots;
        let meta = event.get("debug_meta").filter(|meta| roots.may_be_in(meta.text()));
        let images = meta.and_then(|meta| meta.as_object()?.get("images")?.elements());
        for image in images.into_iter().flatten().filter_map(Value::as_object) {
            for file in ["code_file", "debug_file", "name"] {
                if let Some(path) = image.get(file) {
                    self.rewrite(splice, path, |text| roots.rewrite_path(text));
                }
            }
        }
    }

    /// Where a page is, and what it sent along.
    pub(in crate::merge) fn request<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
        let Some(request) = event.get("request").and_then(Value::as_object) else { return };
        privacy::request(splice, &request, self.identity.send_default_pii);
        if let Some(url) = request.get("url") {
            self.rewrite(splice, url, |text| self.url(text));
        }
    }

    /// A URL as it leaves the machine.
    pub(in crate::merge) fn url(&self, text: &str) -> Option<String> {
        let rewritten = self.identity.roots.rewrite(text);
        privacy::url(rewritten.as_deref().unwrap_or(text)).or(rewritten)
    }

    /// A message as Sentry's schema of events has it. `sentry` writes it as it was called long ago, which
    /// Sentry still takes, and strict servers do not. Only after the hooks, which know `message`.
    pub(in crate::merge) fn message(splice: &mut Splice<'_, '_>, event: &Object<'_>) {
        let is_native = event.get("platform").is_some_and(|platform| platform.is_str(NATIVE));
        let message = event.get("message");
        let has_entry = event.get("logentry").is_some_and(|entry| !entry.is_null());
        if let Some(text) = message.filter(|_| is_native && !has_entry).and_then(Value::as_str) {
            if_possible(splice.set(&["logentry", "formatted"], text.into_owned()));
            if_possible(splice.remove(&["message"]));
        }
    }

    /// The name of a transaction, or what a span is about, as it leaves the machine.
    pub(in crate::merge) fn description(&self, text: &str) -> Option<String> {
        let rewritten = self.identity.roots.rewrite(text);
        privacy::description(rewritten.as_deref().unwrap_or(text)).or(rewritten)
    }

    /// Puts what `change` makes of a string in its place.
    pub(in crate::merge) fn rewrite<'t>(
        &self,
        splice: &mut Splice<'t, '_>,
        value: Value<'t>,
        change: impl Fn(&str) -> Option<String>,
    ) {
        if let Some(changed) = value.as_str().and_then(|text| change(&text)) {
            if_possible(splice.replace(value, changed));
        }
    }

    /// Nobody's address, nor the name of the machine, unless the application asked for it.
    pub(in crate::merge) fn address(&self, splice: &mut Splice<'_, '_>) {
        if self.identity.send_default_pii {
            return;
        }
        if splice.get(&["user", "ip_address"]).is_some_and(|address| address == r#""{{auto}}""#) {
            if_possible(splice.remove(&["user", "ip_address"]));
        }
        // Main says it only if the application has set it.
        if self.from.process() != Process::Main {
            if_possible(splice.remove(&["server_name"]));
        }
        self.no_inference(splice);
    }

    /// Sentry must not take the sender's address for the user's. Where it would not do so anyway, the
    /// event says nothing of it: Sentry's schema of events has no `sdk.settings`, and servers that are
    /// strict refuse what is not in the schema.
    fn no_inference(&self, splice: &mut Splice<'_, '_>) {
        let event = splice.original();
        let platform = event.get("platform").and_then(Value::as_str);
        if platform.is_none_or(|platform| INFERRING.contains(&&*platform)) {
            if_possible(splice.set(&["sdk", "settings", "infer_ip"], "never"));
            return;
        }
        let settings = event.at(&["sdk", "settings"]).and_then(Value::as_object);
        let has_others = settings
            .is_some_and(|settings| settings.members().any(|member| member.key() != "infer_ip"));
        let path: &[&str] =
            if has_others { &["sdk", "settings", "infer_ip"] } else { &["sdk", "settings"] };
        if_possible(splice.remove(path));
    }

    /// Sentry would take the machine for what the webview says it is.
    pub(super) fn user_agent<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
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
}
