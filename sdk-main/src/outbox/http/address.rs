//! A host and a port.

use std::fmt;

use hyper::http::uri::Authority;

use super::target::usual_port;

/// What a connection is made to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A name, or an IP address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// The host and port of a URL's authority, if it has a host.
    pub(super) fn of(authority: &Authority, secure: bool) -> Option<Self> {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str().ends_with(authority.host()) => usual_port(secure),
            // What stands there is no port.
            None => return None,
        };
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
    }

    /// The host as it stands in a URL.
    pub(super) fn host_in_url(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host_in_url(), self.port)
    }
}
