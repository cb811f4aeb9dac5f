//! Which names say that a value is a secret, or somebody's address.

/// What the names of secrets contain, in any case: those of headers, cookies and keys of queries.
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

/// Those that say so of a field only as the last word of its name: `token_count` is no token.
const ONLY_LAST: [&str; 5] = ["auth", "token", "session", "sid", "identity"];

/// What makes a secret of a `key`, which alone may be that of a keyboard or of a cache.
const KEYS: [&str; 8] =
    ["api", "private", "secret", "access", "auth", "encryption", "signing", "master"];

/// What the names of headers and of variables contain that tell who sent a request, and from where.
const ADDRESSES: [&str; 5] = ["forwarded", "remote-", "-ip", "-user", "client-addr"];

/// Whether a header, a cookie or a key of a query with this name is a secret: whether the name contains
/// one of [`WORDS`].
pub(super) fn is_secret(name: &str) -> bool {
    words_in(name).next().is_some()
}

/// Whether a field of this name is a secret. Fields are called anything (`author`, `inside`,
/// `monkey`), so one of [`WORDS`] has to be a whole word of the name, however words are put together.
pub(super) fn is_secret_field(name: &str) -> bool {
    words_in(name).any(|(start, word)| {
        let (before, behind) = (&name[..start], &name[start + word.len()..]);
        match word {
            // These are part of no other word.
            "password" | "passwd" => true,
            "auth" if starts_with(behind, "orization") => is_start(name, start),
            "key" => is_end(name, start + 3) && KEYS.iter().any(|kind| ends_with(before, kind)),
            "session" if is_id(behind) => is_start(name, start),
            _ => {
                is_start(name, start)
                    && is_end(name, start + word.len())
                    && (behind.is_empty() || !ONLY_LAST.contains(&word))
            }
        }
    })
}

/// Whether a header or a variable of this name tells who sent a request, and from where.
pub(super) fn is_address(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    name == "via" || ADDRESSES.iter().any(|part| name.contains(part))
}

/// The words of secrets in a name, and where each begins. What is longer than any name is looked at
/// all the same.
fn words_in(name: &str) -> impl Iterator<Item = (usize, &'static str)> + '_ {
    name.bytes().enumerate().flat_map(move |(at, byte)| {
        let candidates: &[&'static str] = match byte.to_ascii_lowercase() {
            b'a' => &["auth"],
            b'b' => &["bearer"],
            b'c' => &["csrf", "credentials"],
            b'i' => &["identity"],
            b'j' => &["jwt"],
            b'k' => &["key"],
            b'p' => &["password", "passwd", "pwd"],
            b's' => &["secret", "sso", "saml", "session", "sid"],
            b't' => &["token"],
            b'x' => &["xsrf"],
            _ => &[],
        };
        let rest = &name.as_bytes()[at..];
        candidates
            .iter()
            .filter(move |word| {
                rest.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()))
            })
            .map(move |word| (at, *word))
    })
}

/// Whether a word begins here: at the start, behind what is no letter, or with a capital behind a small
/// letter.
fn is_start(name: &str, at: usize) -> bool {
    let (before, first) = (name[..at].bytes().next_back(), name.as_bytes().get(at));
    before.is_none_or(|before| {
        !before.is_ascii_alphabetic()
            || (before.is_ascii_lowercase() && first.is_some_and(u8::is_ascii_uppercase))
    })
}

/// Whether a word ends here.
fn is_end(name: &str, at: usize) -> bool {
    let bytes = name.as_bytes();
    bytes.get(at).is_none_or(|next| {
        !next.is_ascii_alphabetic()
            || (next.is_ascii_uppercase() && bytes[at - 1].is_ascii_lowercase())
    })
}

/// Whether what is left of the name of a session is that it is one's id.
fn is_id(behind: &str) -> bool {
    behind.trim_start_matches(['_', '-', '.', ' ']).eq_ignore_ascii_case("id")
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start))
}

/// Whether a name ends with a word, and perhaps with what separates it from the next.
fn ends_with(text: &str, end: &str) -> bool {
    let text = text.trim_end_matches(['_', '-', '.', ' ']);
    let start = text.len().saturating_sub(end.len());
    text.get(start..).is_some_and(|it| it.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_the_list_makes_a_secret_anywhere_in_the_name_of_a_header() {
        for word in WORDS {
            for name in
                [word.to_owned(), word.to_uppercase(), format!("x-{word}-y"), format!("my{word}s")]
            {
                assert!(is_secret(&name), "{name}");
            }
        }
        for name in ["Accept", "q", "", "page", "ключ", "Content-Type", "passw", "tok en"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn each_word_of_the_list_makes_a_secret_as_a_word_of_the_name_of_a_field() {
        for word in WORDS.iter().filter(|word| **word != "key") {
            let capital = format!("{}{}", word[..1].to_uppercase(), &word[1..]);
            let upper = word.to_uppercase();
            for name in
                [(*word).to_owned(), format!("user_{word}"), format!("user{capital}"), upper]
            {
                assert!(is_secret_field(&name), "{name}");
            }
        }
        for name in [
            "apiKey",
            "api_key",
            "APIKEY",
            "x-api-key",
            "privateKey",
            "aws.secret.access_key",
            "session_id",
            "sessionId",
            "authorization",
            "Authorization",
            "proxy-authorization",
            "dbpassword",
            "password_hash",
            "access-token",
            "csrfToken",
            "jwt_cookie",
        ] {
            assert!(is_secret_field(name), "{name}");
        }
    }

    #[test]
    fn what_only_sounds_like_a_secret_is_none() {
        for name in [
            "key",
            "cache.key",
            "public_key",
            "monkey",
            "keyboard",
            "author",
            "authority",
            "inside",
            "side",
            "president",
            "tokens",
            "token_count",
            "gen_ai.prompt_tokens.used",
            "session_count",
            "sessionsOpen",
            "identityProvider",
            "secretary",
            "assoc",
            "keyé",
            "",
        ] {
            assert!(!is_secret_field(name), "{name}");
        }
    }

    #[test]
    fn headers_and_variables_that_tell_who_asks_are_addresses() {
        for name in [
            "X-Forwarded-For",
            "Forwarded",
            "REMOTE_ADDR",
            "REMOTE_USER",
            "HTTP_X_FORWARDED_FOR",
            "X-Real-IP",
            "CF-Connecting-IP",
            "Via",
            "HTTP_CLIENT_IP",
        ] {
            assert!(is_address(name), "{name}");
        }
        for name in ["Accept", "Host", "SERVER_NAME", "aviation", "ip"] {
            assert!(!is_address(name), "{name}");
        }
    }
}
