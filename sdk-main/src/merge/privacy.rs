//! What must not leave the machine: values whose names say that they are secrets, and logins in URLs.
//!
//! What is called as in the [list](WORDS) keeps its name and loses its value. `docs/merge.md` says where
//! is looked and where is not, and how names are understood: those of headers, cookies and queries
//! strictly, those of fields by whole words. Whatever an application writes into messages is looked
//! through for URLs only.

mod fields;
mod names;
mod urls;

use std::borrow::Cow;

use guardhouse_protocol::json::{Json, Object, Splice, Value};

pub(super) use fields::{breadcrumb, contexts, field, fields};
pub use names::WORDS;
use names::{is_address, is_secret};
pub(super) use urls::{description, may_be_in, query, text, url};

/// What stands in place of a secret.
pub const FILTERED: &str = "[Filtered]";

/// Takes the secrets out of an event's `request`, but for its `url`, which has more done to it. Unless
/// `with_addresses`, it does not tell who sent it from where either.
pub(super) fn request<'t>(splice: &mut Splice<'t, '_>, request: &Object<'t>, with_addresses: bool) {
    for member in ["headers", "env"] {
        let Some(value) = request.get(member) else { continue };
        for (name, value) in pairs(value) {
            let new = if is_address(&name) && !is_secret(&name) {
                let is_there = !value.is_null() && !value.is_str(FILTERED);
                (is_there && !with_addresses).then(|| FILTERED.to_owned())
            } else {
                match value.as_str() {
                    Some(text) => header(&name, &text),
                    None => is_secret(&name).then(|| FILTERED.to_owned()),
                }
            };
            put(splice, value, new);
        }
    }
    for (member, filter) in [
        ("cookies", urls::cookies as fn(&str) -> Option<String>),
        ("query_string", query),
        ("fragment", query),
    ] {
        let Some(value) = request.get(member) else { continue };
        if let Some(text) = value.as_str() {
            put(splice, value, filter(&text));
            continue;
        }
        for (_, value) in pairs(value).filter(|(name, _)| is_secret(name)) {
            put(splice, value, Some(FILTERED.to_owned()));
        }
    }
    if let Some(body) = request.get("data") {
        match body.as_str() {
            Some(text) => put(splice, body, of_body(&text)),
            None => fields(splice, body),
        }
    }
}

/// The value of a header without its secrets.
fn header(name: &str, value: &str) -> Option<String> {
    match name.to_ascii_lowercase().as_str() {
        "cookie" | "set-cookie" | "http_cookie" => urls::cookies(value),
        "referer" | "http_referer" => url(value),
        _ if value == FILTERED => None,
        name if is_secret(name) => Some(FILTERED.to_owned()),
        _ => text(value),
    }
}

/// A body without its secrets, if it is JSON or a form.
fn of_body(body: &str) -> Option<String> {
    if body.trim_start().starts_with(['{', '[']) {
        let json = Json::parse(body.as_bytes()).ok()?;
        return Some(field("", json.as_value())?.text().to_owned());
    }
    let is_form = !body.contains(char::is_whitespace);
    if is_form { query(body) } else { text(body) }
}

/// Names and values, which SDKs write as an object or as a list of pairs.
pub(super) fn pairs(value: Value<'_>) -> impl Iterator<Item = (Cow<'_, str>, Value<'_>)> {
    let object = value.as_object();
    let members: Vec<_> = object
        .iter()
        .flat_map(|object| object.members())
        .map(|member| (member.key(), member.value()))
        .collect();
    let listed = value.elements().into_iter().flatten().filter_map(|pair| {
        let mut pair = pair.elements()?;
        Some((pair.next()?.as_str()?, pair.next()?))
    });
    members.into_iter().chain(listed)
}

fn put<'t>(splice: &mut Splice<'t, '_>, value: Value<'t>, new: Option<String>) {
    if let Some(new) = new {
        super::if_possible(splice.replace(value, new));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(before: &str, with_addresses: bool) -> String {
        let object = Object::parse(before.as_bytes()).unwrap();
        let mut splice = Splice::new(object.clone());
        request(&mut splice, &object, with_addresses);
        splice.finish()
    }

    #[test]
    fn requests_are_cleaned_in_every_shape_that_sdks_write() {
        for (before, after) in [
            (
                r#"{"headers":{"Authorization":"x","Accept":"*/*","Cookie":"a=1; sid=2"}}"#,
                r#"{"headers":{"Authorization":"[Filtered]","Accept":"*/*","Cookie":"a=1; sid=[Filtered]"}}"#,
            ),
            (
                r#"{"headers":[["X-Api-Key",["a"]],["Referer","/?jwt=1"]]}"#,
                r#"{"headers":[["X-Api-Key","[Filtered]"],["Referer","/?jwt=[Filtered]"]]}"#,
            ),
            (
                r#"{"cookies":{"session":"1","a":"b"},"query_string":[["pwd","1"],["b","c"]]}"#,
                r#"{"cookies":{"session":"[Filtered]","a":"b"},"query_string":[["pwd","[Filtered]"],["b","c"]]}"#,
            ),
            (
                r#"{"cookies":[["sso","1"]],"query_string":"saml=1&b=2"}"#,
                r#"{"cookies":[["sso","[Filtered]"]],"query_string":"saml=[Filtered]&b=2"}"#,
            ),
            (
                r#"{"data":"user=zoe&password=1","fragment":"access_token=1"}"#,
                r#"{"data":"user=zoe&password=[Filtered]","fragment":"access_token=[Filtered]"}"#,
            ),
            (
                r#"{"data":"{\"user\":\"zoe\",\"password\":\"1\"}"}"#,
                r#"{"data":"{\"user\":\"zoe\",\"password\":\"[Filtered]\"}"}"#,
            ),
            (
                r#"{"data":{"user":"zoe","login":{"password":"1"}}}"#,
                r#"{"data":{"user":"zoe","login":{"password":"[Filtered]"}}}"#,
            ),
        ] {
            assert_eq!(cleaned(before, true), after);
        }
    }

    #[test]
    fn who_sent_a_request_is_told_only_if_that_is_wanted() {
        let before = r#"{"headers":{"X-Forwarded-For":"1.2.3.4","Via":"x"},"env":{"REMOTE_ADDR":"1.2.3.4","SERVER_NAME":"s","HTTP_AUTHORIZATION":"x"}}"#;
        assert_eq!(
            cleaned(before, false),
            r#"{"headers":{"X-Forwarded-For":"[Filtered]","Via":"[Filtered]"},"env":{"REMOTE_ADDR":"[Filtered]","SERVER_NAME":"s","HTTP_AUTHORIZATION":"[Filtered]"}}"#
        );
        assert_eq!(
            cleaned(before, true),
            r#"{"headers":{"X-Forwarded-For":"1.2.3.4","Via":"x"},"env":{"REMOTE_ADDR":"1.2.3.4","SERVER_NAME":"s","HTTP_AUTHORIZATION":"[Filtered]"}}"#
        );
    }
}
