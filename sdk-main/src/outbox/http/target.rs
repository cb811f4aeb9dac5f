//! Where envelopes go: the URL and the key, of a DSN or of a tunnel.

use std::fmt;

use hyper::Uri;
use hyper::header::HeaderValue;
use sentry::types::Dsn;

use super::address::Address;
use super::error::HttpError;

/// What we call ourselves: nothing about the machine or the application.
pub(super) const AGENT: &str = concat!("guardhouse/", env!("CARGO_PKG_VERSION"));

/// Where envelopes go.
///
/// ```
/// use guardhouse_main::outbox::http::Target;
///
/// let target = Target::dsn(&"https://key@errors.example.com/42".parse()?)?;
/// assert_eq!(target.to_string(), "https://errors.example.com/api/42/envelope/");
/// assert!(Target::tunnel("ftp://example.com/").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Target {
    pub(super) secure: bool,
    pub(super) address: Address,
    /// The path and query that a request names.
    pub(super) path: String,
    /// The value of `X-Sentry-Auth`. A tunnel reads the DSN in the envelope's header instead.
    pub(super) auth: Option<HeaderValue>,
}

impl Target {
    /// The server and project of a DSN, with its key. An error only for a key that no header can
    /// hold.
    pub fn dsn(dsn: &Dsn) -> Result<Self, HttpError> {
        let mut target = Self::url(dsn.envelope_api_url().as_str())?;
        let auth = HeaderValue::try_from(dsn.to_auth(Some(AGENT)).to_string());
        let mut auth = auth.map_err(|_| HttpError::Key)?;
        auth.set_sensitive(true);
        target.auth = Some(auth);
        Ok(target)
    }

    /// A URL of the application's own that passes envelopes on. It gets no key: whoever writes the
    /// envelope's header puts the DSN there.
    pub fn tunnel(url: &str) -> Result<Self, HttpError> {
        Self::url(url)
    }

    fn url(url: &str) -> Result<Self, HttpError> {
        let uri: Uri = url.parse().map_err(|_| HttpError::Target)?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(HttpError::Target),
        };
        let authority = uri.authority().ok_or(HttpError::Target)?;
        if authority.as_str().contains('@') {
            return Err(HttpError::Target);
        }
        let address = Address::of(authority, secure).ok_or(HttpError::Target)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { secure, address, path, auth: None })
    }

    /// What stands in the `Host` header: the port only if it is not the usual one.
    pub(super) fn host_header(&self) -> String {
        if self.address.port == usual_port(self.secure) {
            self.address.host_in_url()
        } else {
            self.address.to_string()
        }
    }
}

/// The port of a URL that names none.
pub(super) const fn usual_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

impl fmt::Display for Target {
    /// Writes the URL, without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.host_header(), self.path)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dsn(text: &str) -> Target {
        Target::dsn(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_dsn_becomes_the_url_of_its_project() {
        let target = dsn("https://key@example.com:8443/some/path/7");
        assert_eq!(target.to_string(), "https://example.com:8443/some/path/api/7/envelope/");
        assert_eq!(dsn("http://key@[::1]:9000/1").address.host, "::1");
        assert_eq!(dsn("http://key@[::1]:9000/1").host_header(), "[::1]:9000");
        assert_eq!(dsn("http://key@example.com/1").host_header(), "example.com");
    }

    #[test]
    fn the_key_is_sent_and_never_shown() {
        let target = dsn("https://thekey:thesecret@example.com/7");
        let auth = target.auth.as_ref().unwrap().to_str().unwrap();
        assert!(auth.starts_with("Sentry sentry_key=thekey, sentry_version=7"), "{auth}");
        assert!(auth.contains("sentry_client=guardhouse/") && auth.contains("thesecret"));
        let shown = format!("{target} {target:?} {:?}", target.auth);
        assert!(!shown.contains("thekey") && !shown.contains("thesecret"), "{shown}");
    }

    #[test]
    fn a_tunnel_is_a_url_without_credentials() {
        let tunnel = Target::tunnel("http://localhost:8969/stream?x=1").unwrap();
        assert_eq!(tunnel.to_string(), "http://localhost:8969/stream?x=1");
        assert!(tunnel.auth.is_none());
        for bad in ["", "/stream", "localhost:8969", "http://user:pw@host/", "http://host:0x/"] {
            assert!(Target::tunnel(bad).is_err(), "{bad}");
        }
    }
}
