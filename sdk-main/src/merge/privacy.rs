//! What must not leave the machine: values whose names say that they are secrets.
//!
//! A header, a cookie or a key of a query whose name contains one of [`WORDS`] keeps its name and
//! loses its value. What this looks into is listed in `docs/merge.md`; whatever an application puts
//! into tags, extra, contexts, messages or bodies is its own decision and is not looked into.

use std::borrow::Cow;

use guardhouse_protocol::json::{Json, Object, Splice, Value};

use super::percent;

/// What stands in place of a secret.
pub const FILTERED: &str = "[Filtered]";

/// What the names of secrets contain, in any case.
pub const WORDS: [&str; 17] = [
    "auth",
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "key",
    "jwt",
    "bearer",
    "sso",
    "saml",
    "csrf",
    "xsrf",
    "credentials",
    "session",
    "sid",
    "identity",
];

/// Members of `data` and attributes that are URLs.
const URLS: [&str; 8] = [
    "url",
    "from",
    "to",
    "http.url",
    "http.target",
    "url.full",
    "http.request.header.referer",
    "document.referrer",
];

/// Members of `data` and attributes that are queries without the rest of the URL.
const QUERIES: [&str; 5] =
    ["http.query", "url.query", "query_string", "http.fragment", "url.fragment"];

/// Before the name of a header, in `data` and attributes.
const HEADERS: [&str; 2] = ["http.request.header.", "http.response.header."];

/// Whether what has this name is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// A query without its secrets; nothing if it has none.
pub(super) fn query(text: &str) -> Option<String> {
    pairs_of(text, &['&', ';'], |name| is_secret(&percent::decode(name)))
}

/// A URL without the secrets in its query, or in what stands behind `#`, which is written like one
/// when a page gets its token there.
pub(super) fn url(text: &str) -> Option<String> {
    if !text.contains('=') {
        return None;
    }
    let (front, fragment) = split_at(text, '#');
    let (path, question) = split_at(front, '?');
    let new = (query(question), query(fragment));
    if let (None, None) = new {
        return None;
    }
    let or = |new: Option<String>, old: &str| new.unwrap_or_else(|| old.to_owned());
    Some(format!("{path}{}{}", or(new.0, question), or(new.1, fragment)))
}

/// The value of `Cookie` and `Set-Cookie` without its secrets.
fn cookies(text: &str) -> Option<String> {
    pairs_of(text, &[';'], is_secret)
}

/// The value of a header without its secrets.
fn header(name: &str, text: &str) -> Option<String> {
    match name.to_ascii_lowercase().as_str() {
        "cookie" | "set-cookie" => cookies(text),
        "referer" => url(text),
        _ if text == FILTERED => None,
        name => is_secret(name).then(|| FILTERED.to_owned()),
    }
}

/// Takes the secrets out of an event's `request`, but for its `url`, which has more done to it.
pub(super) fn request<'t>(splice: &mut Splice<'t, '_>, request: &Object<'t>) {
    if let Some(headers) = request.get("headers") {
        for (name, value) in pairs(headers) {
            match value.as_str() {
                Some(text) => put(splice, value, header(&name, &text)),
                None if is_secret(&name) => put(splice, value, Some(FILTERED.to_owned())),
                None => {}
            }
        }
    }
    for (member, filter) in
        [("cookies", cookies as fn(&str) -> Option<String>), ("query_string", query)]
    {
        let Some(value) = request.get(member) else { continue };
        if let Some(text) = value.as_str() {
            put(splice, value, filter(&text));
            continue;
        }
        for (_, value) in pairs(value).filter(|(name, _)| is_secret(name)) {
            put(splice, value, Some(FILTERED.to_owned()));
        }
    }
}

/// Takes the secrets out of the `data` of a breadcrumb or a span, or out of attributes, whose values
/// are objects with a `value`.
pub(super) fn data<'t>(splice: &mut Splice<'t, '_>, data: Value<'t>) {
    if !may_hold_secrets(data.text()) {
        return;
    }
    let Some(object) = data.as_object() else { return };
    for member in object.members() {
        let value = member.value();
        let value = value.as_object().and_then(|object| object.get("value")).unwrap_or(value);
        let Some(text) = value.as_str() else { continue };
        let name = member.key();
        let new = if URLS.contains(&&*name) {
            url(&text)
        } else if QUERIES.contains(&&*name) {
            query(&text)
        } else {
            let of_header = HEADERS.iter().find_map(|prefix| name.strip_prefix(prefix));
            of_header.and_then(|name| header(name, &text))
        };
        put(splice, value, new);
    }
}

/// A breadcrumb without its secrets; nothing if it has none.
pub(super) fn breadcrumb(text: Value<'_>) -> Option<Json> {
    if !may_hold_secrets(text.text()) {
        return None;
    }
    let object = text.as_object()?;
    let values = object.get("data")?;
    let mut splice = Splice::new(object);
    data(&mut splice, values);
    splice.is_changed().then(|| Json::parse(splice.finish().as_bytes()).ok()).flatten()
}

/// A look that costs little: most have no query and no header in them.
pub(super) fn may_hold_secrets(text: &str) -> bool {
    // An escape may be that of either.
    text.contains('=') || text.contains('\\') || text.contains(".header.")
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

/// The text before a character, and the rest with it.
fn split_at(text: &str, at: char) -> (&str, &str) {
    text.split_at(text.find(at).unwrap_or(text.len()))
}

fn pairs_of(text: &str, between: &[char], is_secret: impl Fn(&str) -> bool) -> Option<String> {
    let mut out = String::new();
    let mut is_changed = false;
    for pair in text.split_inclusive(between) {
        let end = pair.len() - usize::from(pair.ends_with(between));
        let (name, value) = pair[..end].split_once('=').unwrap_or((pair, ""));
        let trimmed = name.trim_start_matches(['?', '#', ' ']);
        if value.is_empty() || value == FILTERED || !is_secret(trimmed) {
            out.push_str(pair);
            continue;
        }
        is_changed = true;
        out.push_str(name);
        out.push('=');
        out.push_str(FILTERED);
        out.push_str(&pair[end..]);
    }
    is_changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_lose_the_values_of_secrets_and_nothing_else() {
        for (before, after) in [
            ("a=1&b=2", None),
            ("?a=1&Access_Token=x&b=2", Some("?a=1&Access_Token=[Filtered]&b=2")),
            ("%74oken=x;a=1", Some("%74oken=[Filtered];a=1")),
            ("token=&token=[Filtered]&token", None),
            ("sid=a=b", Some("sid=[Filtered]")),
        ] {
            assert_eq!(query(before).as_deref(), after, "{before}");
        }
    }

    #[test]
    fn urls_lose_secrets_before_and_behind_the_hash() {
        for (before, after) in [
            ("https://a/token=1", None),
            ("https://a/?q=1#top", None),
            (
                "https://a/b?x=1&key=2#/c?pwd=3",
                Some("https://a/b?x=1&key=[Filtered]#/c?pwd=[Filtered]"),
            ),
            ("app:///cb#access_token=1&state=2", Some("app:///cb#access_token=[Filtered]&state=2")),
        ] {
            assert_eq!(url(before).as_deref(), after, "{before}");
        }
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
        ] {
            let object = Object::parse(before.as_bytes()).unwrap();
            let mut splice = Splice::new(object.clone());
            request(&mut splice, &object);
            assert_eq!(splice.finish(), after);
        }
    }

    #[test]
    fn breadcrumbs_keep_everything_but_secrets() {
        let filtered = |text: &str| {
            let json = Json::parse(text.as_bytes()).unwrap();
            breadcrumb(json.as_value()).map(|json| json.text().to_owned())
        };
        assert_eq!(filtered(r#"{"message":"token=1","data":{"url":"/a","x":"key=1"}}"#), None);
        assert_eq!(
            filtered(r#"{ "data":{"to":"/a?token=1","http.query":"?sid\u003d1","n":1.0} }"#),
            Some(
                r#"{ "data":{"to":"/a?token=[Filtered]","http.query":"?sid=[Filtered]","n":1.0} }"#
                    .into()
            )
        );
    }

    #[test]
    fn attributes_are_cleaned_by_their_value() {
        let text = r#"{"a":{"http.request.header.x-auth":{"value":"x","type":"string"},"url.full":{"value":"/?key=1","type":"string"}}}"#;
        let object = Object::parse(text.as_bytes()).unwrap();
        let mut splice = Splice::new(object.clone());
        data(&mut splice, object.get("a").unwrap());
        assert_eq!(
            splice.finish(),
            r#"{"a":{"http.request.header.x-auth":{"value":"[Filtered]","type":"string"},"url.full":{"value":"/?key=[Filtered]","type":"string"}}}"#
        );
    }
}
