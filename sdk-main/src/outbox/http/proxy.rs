//! Through whom a connection goes: the proxies of the options and of the environment.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use hyper::Uri;
use hyper::header::HeaderValue;

use super::address::Address;
use super::bypass::Bypass;
use super::error::BadProxy;
use super::target::Target;

/// Which proxies there are, and which hosts need none.
///
/// ```
/// use guardhouse_main::outbox::http::Proxies;
///
/// let proxies = Proxies::none().https("http://user:secret@proxy:3128")?.except("*.local, 10.0.0.0/8");
/// assert!(!format!("{proxies:?}").contains("secret"));
/// assert!(Proxies::none().http("socks5://proxy").is_err());
/// # Ok::<(), guardhouse_main::outbox::http::HttpError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Result<Proxy, BadProxy>>,
    https: Option<Result<Proxy, BadProxy>>,
    bypass: Bypass,
}

impl Proxies {
    /// Every connection is a direct one.
    pub fn none() -> Self {
        Self::default()
    }

    /// What the environment of this process says: `HTTPS_PROXY`, `HTTP_PROXY` and for both
    /// `ALL_PROXY`, without those hosts that `NO_PROXY` lists; each also in small letters, which
    /// count more. This computer itself is never reached through a proxy from there.
    ///
    /// A variable that holds no proxy which can be used is an error of each exchange that would need
    /// it: going around a proxy that somebody wanted is not ours to decide.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`from_environment`](Self::from_environment), of variables that the caller looks up.
    pub fn from_variables(look_up: impl Fn(&str) -> Option<String>) -> Self {
        let one_of = |names: [&'static str; 4]| {
            names.into_iter().find_map(|name| {
                let url = look_up(name).filter(|url| !url.trim().is_empty())?;
                Some(Proxy::parse(&url).ok_or(BadProxy { variable: Some(name) }))
            })
        };
        let no_proxy = look_up("no_proxy").or_else(|| look_up("NO_PROXY")).unwrap_or_default();
        Self {
            http: one_of(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            https: one_of(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            bypass: Bypass::parse(&format!("{no_proxy},localhost,127.0.0.0/8,::1")),
        }
    }

    /// The proxy for targets that begin with `http://`.
    pub fn http(self, url: &str) -> Result<Self, super::HttpError> {
        let proxy = Proxy::parse(url).ok_or(BadProxy { variable: None })?;
        Ok(Self { http: Some(Ok(proxy)), ..self })
    }

    /// The proxy for targets that begin with `https://`.
    pub fn https(self, url: &str) -> Result<Self, super::HttpError> {
        let proxy = Proxy::parse(url).ok_or(BadProxy { variable: None })?;
        Ok(Self { https: Some(Ok(proxy)), ..self })
    }

    /// The hosts that need no proxy, in place of those that were listed before: names (with all names
    /// below them), IP addresses, ranges like `10.0.0.0/8`, each also with a port, or `*` for all;
    /// separated by commas or spaces.
    #[must_use]
    pub fn except(self, hosts: &str) -> Self {
        Self { bypass: Bypass::parse(hosts), ..self }
    }

    /// The proxy to go through, if one is to be gone through.
    pub(super) fn for_target(&self, target: &Target) -> Result<Option<&Proxy>, BadProxy> {
        let proxy = if target.secure { &self.https } else { &self.http };
        match proxy {
            Some(proxy) if !self.bypass.covers(&target.address) => match proxy {
                Ok(proxy) => Ok(Some(proxy)),
                Err(error) => Err(error.clone()),
            },
            _ => Ok(None),
        }
    }
}

/// One proxy.
#[derive(Clone)]
pub(super) struct Proxy {
    /// Whether it is itself spoken to over TLS.
    pub(super) secure: bool,
    pub(super) address: Address,
    /// The value of `Proxy-Authorization`.
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxy {
    fn parse(url: &str) -> Option<Self> {
        let url = url.trim();
        let (secure, rest) = match url.split_once("://") {
            None => (false, url),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some(_) => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, authority),
        };
        let uri: Uri = host.parse().ok()?;
        let address = Address::of(uri.authority()?, secure)?;
        let authorization = match credentials {
            Some(credentials) => Some(basic(credentials)?),
            None => None,
        };
        Some(Self { secure, address, authorization })
    }
}

impl fmt::Display for Proxy {
    /// Writes where it is, without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.address)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// The header for `user:password` as it stands in a URL.
fn basic(credentials: &str) -> Option<HeaderValue> {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let mut plain = percent_decoded(user);
    plain.push(b':');
    plain.extend(percent_decoded(password));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(&plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let hex = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
        bytes = rest;
        if let (b'%', [high, low, rest @ ..]) = (first, rest)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high << 4 | low);
            bytes = rest;
        } else {
            decoded.push(*first);
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &'static [(&'static str, &'static str)]) -> Proxies {
        Proxies::from_variables(|name| {
            variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn used(proxies: &Proxies, target: &str) -> String {
        match proxies.for_target(&Target::tunnel(target).unwrap()) {
            Ok(Some(proxy)) => proxy.to_string(),
            Ok(None) => "none".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme() {
        let all = proxies(&[("ALL_PROXY", "all:1"), ("https_proxy", "https://small:2")]);
        assert_eq!(used(&all, "http://example.com/"), "http://all:1");
        assert_eq!(used(&all, "https://example.com/"), "https://small:2");
        assert_eq!(used(&all, "http://localhost:8969/"), "none", "this computer needs no proxy");
        assert_eq!(used(&all, "http://127.1.2.3/"), "none");
        assert_eq!(used(&proxies(&[("HTTP_PROXY", " ")]), "http://example.com/"), "none");
    }

    #[test]
    fn small_letters_count_more() {
        let both = proxies(&[("HTTPS_PROXY", "large:1"), ("https_proxy", "small:1")]);
        assert_eq!(used(&both, "https://example.com/"), "http://small:1");
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_no_reason_to_go_around_it() {
        let socks = proxies(&[("ALL_PROXY", "socks5://me:secret@tor:9050"), ("NO_PROXY", "free")]);
        let error = used(&socks, "https://example.com/");
        assert!(error.contains("ALL_PROXY") && !error.contains("secret"), "{error}");
        assert_eq!(used(&socks, "https://free/"), "none");
    }

    #[test]
    fn credentials_are_decoded_and_sent_as_basic() {
        let sent = |url| {
            let proxy = Proxy::parse(url).unwrap();
            proxy.authorization.unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(sent("http://Aladdin:open%20sesame@p:1"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(sent("user@p:1"), "Basic dXNlcjo=");
        assert_eq!(sent("http://a:b@c@p:1"), "Basic YTpiQGM=", "the last @ ends the password");
        assert_eq!(sent("http://a:100%@p:1"), "Basic YToxMDAl");
    }

    #[test]
    fn a_proxy_has_a_host() {
        for bad in ["", "http://", "ftp://host", "http://host:port", "http://a b/"] {
            assert!(Proxy::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(Proxy::parse("[::1]:3128").unwrap().to_string(), "http://[::1]:3128");
        assert_eq!(Proxy::parse("HTTPS://host/").unwrap().to_string(), "https://host:443");
    }
}
