//! Data of any shape: what its names and its texts say is secret.

use std::borrow::Cow;

use guardhouse_protocol::json::{Json, Object, Splice, Value};

use super::names::{is_address, is_secret, is_secret_field};
use super::urls::{cookies, description, may_be_in, query, text, url};
use super::{FILTERED, put};

/// Members that are URLs.
const URLS: [&str; 9] = [
    "url",
    "from",
    "to",
    "http.url",
    "http.target",
    "url.full",
    "http.request.header.referer",
    "document.referrer",
    "href",
];

/// Members that are queries without the rest of the URL.
const QUERIES: [&str; 7] = [
    "http.query",
    "url.query",
    "query_string",
    "query",
    "http.fragment",
    "url.fragment",
    "fragment",
];

/// Members that hold headers, cookies or variables under names of their own, without what is a
/// separator.
const OF_HTTP: [&str; 12] = [
    "headers",
    "requestheaders",
    "responseheaders",
    "cookies",
    "requestcookies",
    "query",
    "querystring",
    "searchparams",
    "params",
    "queryparams",
    "env",
    "environ",
];

/// Before the name of a header.
const HEADERS: [&str; 2] = ["http.request.header.", "http.response.header."];

/// How deep data is looked into. What SDKs send is cut to ten levels or less.
const DEPTH: usize = 16;

/// How names are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// As those of fields, which are called anything.
    Fields,
    /// As those of headers, cookies and keys of queries.
    Http,
}

/// Takes the secrets out of data of any shape, such as that of a breadcrumb or a span, or of attributes,
/// whose values are objects with a `value`.
pub(in crate::merge) fn fields<'t>(splice: &mut Splice<'t, '_>, data: Value<'t>) {
    let mut found = Vec::new();
    look_into(&mut found, data, Names::Fields, DEPTH);
    put_all(splice, found);
}

/// What is to stand in place of a value. Most data holds no secret, and then nothing is made for it.
type Found<'t> = Vec<(Value<'t>, String)>;

/// Takes the secrets out of all contexts. The name of a context is no name of a field; and of a trace
/// all but two members are ids and names of Sentry's.
pub(in crate::merge) fn contexts<'t>(splice: &mut Splice<'t, '_>, contexts: &Object<'t>) {
    for context in contexts.members() {
        let trace = context.value().as_object().filter(|_| context.key() == "trace");
        let Some(trace) = trace else {
            fields(splice, context.value());
            continue;
        };
        if let Some(data) = trace.get("data") {
            fields(splice, data);
        }
        if let Some(about) = trace.get("description") {
            put(splice, about, about.as_str().and_then(|about| description(&about)));
        }
    }
}

/// A breadcrumb without its secrets; nothing if it has none.
pub(in crate::merge) fn breadcrumb(breadcrumb: Value<'_>) -> Option<Json> {
    let object = breadcrumb.as_object()?;
    let mut found = Vec::new();
    if let Some(message) = object.get("message").filter(|message| may_be_in(message.text())) {
        let new = message.as_str().and_then(|message| text(&message));
        found.extend(new.map(|new| (message, new)));
    }
    if let Some(data) = object.get("data") {
        look_into(&mut found, data, Names::Fields, DEPTH);
    }
    changed(object, found)
}

/// An object with what was found in it changed; nothing if nothing was.
fn changed<'t>(object: Object<'t>, found: Found<'t>) -> Option<Json> {
    if found.is_empty() {
        return None;
    }
    let mut splice = Splice::new(object);
    put_all(&mut splice, found);
    Json::parse(splice.finish().as_bytes()).ok()
}

fn put_all<'t>(splice: &mut Splice<'t, '_>, found: Found<'t>) {
    for (value, new) in found {
        put(splice, value, Some(new));
    }
}

/// Data that stands alone, without its secrets; nothing if it has none. `name` is what it is called.
pub(in crate::merge) fn field(name: &str, value: Value<'_>) -> Option<Json> {
    // A splice is one of an object.
    let wrapped = Json::parse(format!("{{\"\":{}}}", value.text()).as_bytes()).ok()?;
    let object = wrapped.as_object()?;
    let value = object.get("")?;
    let mut found = Vec::new();
    member(&mut found, name, value, Names::Fields, DEPTH);
    Some(changed(object, found)?.as_object()?.get("")?.to_json())
}

fn look_into<'t>(found: &mut Found<'t>, data: Value<'t>, names: Names, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    if let Some(text) = data.as_str() {
        found.extend(of_text("", &text, names).map(|new| (data, new)));
        return;
    }
    if let Some(object) = data.as_object() {
        for each in object.members() {
            member(found, &each.key(), each.value(), names, depth);
        }
        return;
    }
    let Some(elements) = data.elements() else { return };
    for element in elements {
        match pair(element).filter(|_| names == Names::Http) {
            Some((name, value)) => member(found, &name, value, names, depth),
            None => look_into(found, element, names, depth),
        }
    }
}

fn member<'t>(found: &mut Found<'t>, name: &str, value: Value<'t>, names: Names, depth: usize) {
    let of_header = HEADERS.iter().find_map(|prefix| name.strip_prefix(prefix));
    let is_of_header = names == Names::Http || of_header.is_some();
    let header = of_header.unwrap_or(name);
    let is_hidden = match is_of_header {
        true => is_address(header) || (is_secret(header) && !is_cookie(header)),
        false => is_secret_field(name),
    };
    // An attribute says its value and its type.
    let attribute = value.as_object().and_then(|object| {
        object.get("type").filter(|kind| kind.as_str().is_some())?;
        object.get("value")
    });
    let value = attribute.unwrap_or(value);
    if is_hidden {
        let is_nothing = value.is_null() || value.as_bool().is_some();
        if !is_nothing && !value.is_str("") && !value.is_str(FILTERED) {
            found.push((value, FILTERED.to_owned()));
        }
        return;
    }
    match value.as_str() {
        Some(text) => found.extend(of_text(header, &text, names).map(|new| (value, new))),
        None => {
            let names = if is_of_http(name) { Names::Http } else { names };
            look_into(found, value, names, depth);
        }
    }
}

/// A text that is called so, without its secrets.
fn of_text(name: &str, value: &str, names: Names) -> Option<String> {
    if is_cookie(name) {
        return cookies(value);
    }
    if names == Names::Fields {
        if URLS.contains(&name) {
            return url(value);
        }
        if QUERIES.contains(&name) {
            return query(value);
        }
        if name == "description" {
            return description(value);
        }
    } else if name.eq_ignore_ascii_case("referer") {
        return url(value);
    }
    text(value)
}

fn is_cookie(name: &str) -> bool {
    ["cookie", "set-cookie", "cookies", "http_cookie"]
        .iter()
        .any(|cookie| name.eq_ignore_ascii_case(cookie))
}

fn is_of_http(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|next| next.to_ascii_lowercase())
        .collect();
    OF_HTTP.contains(&&*plain)
}

/// A name and a value that stand in a list.
fn pair(element: Value<'_>) -> Option<(Cow<'_, str>, Value<'_>)> {
    let mut elements = element.elements()?;
    let (name, value) = (elements.next()?.as_str()?, elements.next()?);
    elements.next().is_none().then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(text: &str) -> String {
        let object = Object::parse(text.as_bytes()).unwrap();
        let mut splice = Splice::new(object.clone());
        fields(&mut splice, object.as_value());
        splice.finish()
    }

    #[test]
    fn secrets_are_found_however_deep_and_whatever_holds_them() {
        for (before, after) in [
            (r#"{"a":{"b":[{"password":"x"}]}}"#, r#"{"a":{"b":[{"password":"[Filtered]"}]}}"#),
            (
                r#"{"apiKey":7,"token":null,"has":{"token":true}}"#,
                r#"{"apiKey":"[Filtered]","token":null,"has":{"token":true}}"#,
            ),
            (r#"{"credentials":{"user":"a","x":["b"]}}"#, r#"{"credentials":"[Filtered]"}"#),
            (
                r#"{"headers":{"X-My-Keys":"x","Accept":"y"}}"#,
                r#"{"headers":{"X-My-Keys":"[Filtered]","Accept":"y"}}"#,
            ),
            (
                r#"{"request":{"headers":[["Authorization","x"],["X-Forwarded-For","1.2.3.4"]]}}"#,
                r#"{"request":{"headers":[["Authorization","[Filtered]"],["X-Forwarded-For","[Filtered]"]]}}"#,
            ),
            (
                r#"{"request_headers":{"Cookie":"a=1; sid=2"}}"#,
                r#"{"request_headers":{"Cookie":"a=1; sid=[Filtered]"}}"#,
            ),
            (
                r#"{"env":{"REMOTE_ADDR":"1.2.3.4","PATH":"/bin"}}"#,
                r#"{"env":{"REMOTE_ADDR":"[Filtered]","PATH":"/bin"}}"#,
            ),
            (
                r#"{"note":"at https://u:p@h/","list":["x","db://u:p@h"]}"#,
                r#"{"note":"at https://[Filtered]:[Filtered]@h/","list":["x","db://[Filtered]:[Filtered]@h"]}"#,
            ),
            (
                r#"{"url":"/a?token=1","http.query":"?sid\u003d1"}"#,
                r#"{"url":"/a?token=[Filtered]","http.query":"?sid=[Filtered]"}"#,
            ),
            (
                r#"{"http.request.header.x-auth":{"value":"x","type":"string"}}"#,
                r#"{"http.request.header.x-auth":{"value":"[Filtered]","type":"string"}}"#,
            ),
            (
                r#"{"user.password":{"value":"x","type":"string"}}"#,
                r#"{"user.password":{"value":"[Filtered]","type":"string"}}"#,
            ),
        ] {
            assert_eq!(cleaned(before), after);
            assert_eq!(cleaned(after), after, "once is enough");
        }
    }

    #[test]
    fn all_else_stays_as_it_is() {
        for text in [
            r#"{ "key":"a","cache.key":"x", "n":1.0,"message":"token=1","z":[["token","x"]],"b":"key=1"}"#,
            r#"{"author":"zoe","deep":[[[[1e400]]]],"url":"https://a/b?page=2"}"#,
        ] {
            assert_eq!(cleaned(text), text);
        }
    }

    #[test]
    fn what_is_nested_without_end_is_looked_into_a_little() {
        let deep = |levels: usize| {
            format!(
                "{}\"password\":\"x\"{}",
                r#"{"a":"#.repeat(levels) + "{",
                "}".repeat(levels + 1)
            )
        };
        assert!(cleaned(&deep(DEPTH - 1)).contains(FILTERED));
        assert_eq!(cleaned(&deep(60)), deep(60));
    }

    #[test]
    fn breadcrumbs_keep_everything_but_secrets() {
        let filtered = |text: &str| {
            let json = Json::parse(text.as_bytes()).unwrap();
            breadcrumb(json.as_value()).map(|json| json.text().to_owned())
        };
        assert_eq!(filtered(r#"{"message":"token=1","data":{"url":"/a","x":"key=1"}}"#), None);
        assert_eq!(
            filtered(r#"{ "data":{"to":"/a?token=1","n":1.0},"message":"GET https://u:p@h" }"#),
            Some(
                r#"{ "data":{"to":"/a?token=[Filtered]","n":1.0},"message":"GET https://[Filtered]:[Filtered]@h" }"#
                    .into()
            )
        );
    }

    #[test]
    fn a_field_alone_is_understood_by_its_name() {
        let alone = |name: &str, text: &str| {
            let json = Json::parse(text.as_bytes()).unwrap();
            field(name, json.as_value()).map(|json| json.text().to_owned())
        };
        assert_eq!(alone("api_key", r#""x""#).as_deref(), Some(r#""[Filtered]""#));
        assert_eq!(alone("a", r#"{"jwt":"x"}"#).as_deref(), Some(r#"{"jwt":"[Filtered]"}"#));
        assert_eq!(alone("a", r#"{"b":"x"}"#), None);
    }
}
