//! Secrets in URLs: who logs in with which password, and the values of keys that say they are secret.

use memchr::memmem;

use super::FILTERED;
use super::names::is_secret;
use crate::merge::percent;

/// What ends a URL inside of a text.
const BETWEEN: [char; 6] = ['"', '\'', '`', '<', '>', '|'];

/// A URL without its secrets; nothing if it has none. What stands behind `#` is written like a query
/// when a page gets its token there.
pub(in crate::merge) fn url(text: &str) -> Option<String> {
    let without_login = logins(text);
    let filtered = queries(without_login.as_deref().unwrap_or(text));
    filtered.or(without_login)
}

/// A text without the secrets of the URLs in it; nothing if it has none.
pub(in crate::merge) fn text(text: &str) -> Option<String> {
    if !text.contains("://") {
        return None;
    }
    each_word(text, |word| if word.contains("://") { url(word) } else { None })
}

/// The same for what often is a URL without its host: the name of a transaction, or what a span is
/// about.
pub(in crate::merge) fn description(text: &str) -> Option<String> {
    if !text.contains("://") && !text.contains(['?', '#']) {
        return None;
    }
    each_word(text, url)
}

/// A query without its secrets; nothing if it has none.
pub(in crate::merge) fn query(text: &str) -> Option<String> {
    pairs_of(text, &['&', ';'], |name| is_secret(&percent::decode(name)))
}

/// The value of `Cookie` and `Set-Cookie` without its secrets.
pub(super) fn cookies(text: &str) -> Option<String> {
    pairs_of(text, &[';'], is_secret)
}

/// Whether JSON may hold a text of which [`text`] changes something. It is a look that costs little, for
/// what is long and hardly ever does.
pub(in crate::merge) fn may_be_in(json: &str) -> bool {
    // A slash may be escaped.
    if json.contains(r":\/") {
        return true;
    }
    let bytes = json.as_bytes();
    memmem::find_iter(bytes, "://").any(|at| {
        let url = bytes[at + 3..].iter();
        let mut url = url.take_while(|next| **next != b'"' && !next.is_ascii_whitespace());
        url.any(|next| matches!(next, b'@' | b'=' | b'\\'))
    })
}

/// Puts `change` of each word in its place.
fn each_word(text: &str, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut is_changed = false;
    let is_between = |next: char| next.is_whitespace() || BETWEEN.contains(&next);
    for piece in text.split_inclusive(is_between) {
        let word = piece.trim_end_matches(is_between);
        match change(word) {
            Some(changed) => {
                is_changed = true;
                out.push_str(&changed);
                out.push_str(&piece[word.len()..]);
            }
            None => out.push_str(piece),
        }
    }
    is_changed.then_some(out)
}

/// Takes out the user and the password that stand before a host.
fn logins(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    let mut is_changed = false;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        out.push_str(before);
        rest = behind;
        let Some(login) = login(behind) else { continue };
        let filtered = match login.split_once(':') {
            Some((user, password)) if [user, password] != [FILTERED; 2] => {
                format!("{FILTERED}:{FILTERED}")
            }
            None if !login.is_empty() && login != FILTERED => FILTERED.to_owned(),
            _ => continue,
        };
        is_changed = true;
        out.push_str(&filtered);
        rest = &behind[login.len()..];
    }
    out.push_str(rest);
    is_changed.then_some(out)
}

/// What stands before the `@` of a host.
fn login(text: &str) -> Option<&str> {
    let end = text.find(['/', '?', '#', '\\', ',']).unwrap_or(text.len());
    let host = &text[..end];
    if let Some(at) = host.rfind('@') {
        return Some(&host[..at]);
    }
    // A password that was not encoded may hold what ends a host. What is behind the colon is no port.
    let (_, port) = host.split_once(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let at = text.rfind('@').filter(|_| !is_port && !port.is_empty())?;
    Some(&text[..at])
}

/// Takes the secrets out of what stands behind `?` and `#`.
fn queries(text: &str) -> Option<String> {
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
        // Behind `#` may be a route with a query of its own.
        let plain = name.rsplit(['?', '#']).next().unwrap_or(name).trim_start();
        if value.is_empty() || value == FILTERED || !is_secret(plain) {
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
            ("/a?token=1", Some("/a?token=[Filtered]")),
            ("app:///#/session/1?page=2", None),
        ] {
            assert_eq!(url(before).as_deref(), after, "{before}");
        }
    }

    #[test]
    fn urls_lose_who_logs_in_with_which_password() {
        for (before, after) in [
            ("https://zoe:pw@a/b", Some("https://[Filtered]:[Filtered]@a/b")),
            ("https://zoe@a", Some("https://[Filtered]@a")),
            ("https://:pw@a:80/?q=x@y", Some("https://[Filtered]:[Filtered]@a:80/?q=x@y")),
            ("postgres://u:p@w@db/x", Some("postgres://[Filtered]:[Filtered]@db/x")),
            ("redis://u:p/w?d#x@db:1/2", Some("redis://[Filtered]:[Filtered]@db:1/2")),
            ("https://[Filtered]:[Filtered]@a/", None),
            ("https://a/@scope/b:c@d", None),
            ("https://a:8080/x@y", None),
            ("https://a?x=b@c", None),
            (
                "a://x:y@h,b://x:y@h?key=1",
                Some("a://[Filtered]:[Filtered]@h,b://[Filtered]:[Filtered]@h?key=[Filtered]"),
            ),
        ] {
            assert_eq!(url(before).as_deref(), after, "{before}");
        }
    }

    #[test]
    fn texts_lose_the_secrets_of_their_urls_and_nothing_else() {
        for (before, after) in [
            ("token=1 and /a?token=2", None),
            (
                "see https://u:p@h/ or (https://h/?jwt=1)",
                Some("see https://[Filtered]:[Filtered]@h/ or (https://h/?jwt=[Filtered]"),
            ),
            ("\"https://h/?sid=1\" 'x'", Some("\"https://h/?sid=[Filtered]\" 'x'")),
            ("mail zoe@example.com, https://h/", None),
        ] {
            assert_eq!(text(before).as_deref(), after, "{before}");
            assert!(after.is_none() || may_be_in(&format!("{before:?}")), "{before}");
        }
        for (before, after) in [
            ("GET /a?token=2&b=1", Some("GET /a?token=[Filtered]&b=1")),
            (
                "GET https://u:p@h/a?token=2",
                Some("GET https://[Filtered]:[Filtered]@h/a?token=[Filtered]"),
            ),
            ("SELECT * FROM users WHERE token = ? AND key=?", None),
            ("/users/:id", None),
        ] {
            assert_eq!(description(before).as_deref(), after, "{before}");
        }
    }

    #[test]
    fn a_look_is_enough_for_what_has_no_login_and_no_query() {
        for json in [r#"{"a":"https://a/b"}"#, r#"{"a":"x@y","b":"c=d"}"#, "{}"] {
            assert!(!may_be_in(json), "{json}");
        }
        assert!(may_be_in(r#"{"a":"https:\/\/u:p@h"}"#));
    }
}
