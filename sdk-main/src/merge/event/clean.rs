//! What an event must not say: where on the machine the application is, whose machine it is, secrets.

use guardhouse_protocol::json::{Object, Splice, Value};

use super::values_of;
use crate::merge::{Laying, Process, if_possible, privacy};

impl Laying<'_> {
    /// Paths that are the same everywhere, and no secrets.
    pub(in crate::merge) fn clean<'t>(&self, splice: &mut Splice<'t, '_>, event: &Object<'t>) {
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
        privacy::request(splice, &request);
        if let Some(url) = request.get("url") {
            self.rewrite(splice, url, |text| self.url(text));
        }
    }

    /// A URL as it leaves the machine.
    pub(in crate::merge) fn url(&self, text: &str) -> Option<String> {
        let rewritten = self.identity.roots.rewrite(text);
        privacy::url(rewritten.as_deref().unwrap_or(text)).or(rewritten)
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
        if_possible(splice.set(&["sdk", "settings", "infer_ip"], "never"));
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
