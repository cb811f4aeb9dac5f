//! What can go wrong: with the options, and with one exchange.

use std::fmt;
use std::time::Duration;

/// An option that cannot be used. The fault is the application's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// The DSN or the tunnel is no URL that envelopes can be posted to.
    Target,
    /// The key in the DSN has characters that no header can hold.
    Key,
    /// A proxy's URL is not one that can be used.
    Proxy(BadProxy),
    /// The certificates that were given as additional authorities are not PEM, or there are none.
    Authorities,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target => f.write_str(
                "it is no URL to post to; give one that begins with http:// or https:// and names a \
                 host, without user and password",
            ),
            Self::Key => f.write_str(
                "its key has characters that no HTTP header can hold; copy the DSN anew from the \
                 project's settings in Sentry",
            ),
            Self::Proxy(error) => error.fmt(f),
            Self::Authorities => f.write_str(
                "there is no certificate in it between BEGIN CERTIFICATE and END CERTIFICATE that can \
                 be read",
            ),
        }
    }
}

impl std::error::Error for HttpError {}

impl From<BadProxy> for HttpError {
    fn from(error: BadProxy) -> Self {
        Self::Proxy(error)
    }
}

/// A proxy's URL that cannot be used. It may hold a password, so it is not repeated here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadProxy {
    /// The environment variable that it stands in; nothing if it was an option.
    pub(super) variable: Option<&'static str>,
}

impl fmt::Display for BadProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variable {
            Some(variable) => write!(f, "the environment variable {variable} holds no proxy")?,
            None => f.write_str("it is no proxy")?,
        }
        f.write_str(
            " that can be used; give host:port, http://host:port or https://host:port, \
             with user:password@ before the host if need be (SOCKS is not spoken)",
        )
    }
}

impl std::error::Error for BadProxy {}

/// Where an exchange was when its time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Asking for the address of a name.
    Resolve,
    /// Making the connection.
    Connect,
    /// Asking the proxy to connect us.
    Proxy,
    /// Agreeing on encryption.
    Tls,
    /// Sending the envelope.
    Send,
    /// Waiting for the answer.
    Answer,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving its name",
            Self::Connect => "connecting",
            Self::Proxy => "waiting for the proxy",
            Self::Tls => "agreeing on encryption",
            Self::Send => "sending the envelope",
            Self::Answer => "waiting for the answer",
        })
    }
}

/// What kind of failure a [`SendError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The name has no address, or nobody could be asked.
    Resolve,
    /// Nobody listens there, or there is no way to it.
    Connect,
    /// It took longer than it may.
    Timeout(Stage),
    /// The certificate is not trusted, or no encryption could be agreed on.
    Tls,
    /// The proxy refused, or its settings cannot be used.
    Proxy,
    /// The connection ended in the middle.
    BrokenOff,
    /// What answered does not speak HTTP as a server of Sentry does.
    NotHttp,
    /// The envelope could not be read from its file. The fault is ours, not the network's.
    Body,
}

/// An exchange that brought no answer. The envelope stays with the caller.
///
/// Its text says what happened and what can be done. It names the server and the proxy, never a key
/// or a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    kind: SendErrorKind,
    /// Whom we spoke to.
    peer: String,
    detail: String,
}

impl SendError {
    pub(super) fn new(
        kind: SendErrorKind,
        peer: impl fmt::Display,
        detail: impl fmt::Display,
    ) -> Self {
        Self { kind, peer: peer.to_string(), detail: detail.to_string() }
    }

    pub(super) fn timeout(stage: Stage, peer: impl fmt::Display, after: Duration) -> Self {
        Self::new(SendErrorKind::Timeout(stage), peer, format_args!("no progress for {after:?}"))
    }

    /// The same failure as one of the proxy, if it is one of getting there.
    pub(super) fn of_proxy(self, proxy: impl fmt::Display) -> Self {
        match self.kind {
            SendErrorKind::Timeout(_) => Self { peer: format!("the proxy {proxy}"), ..self },
            _ => Self::new(SendErrorKind::Proxy, proxy, self.detail),
        }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }

    /// Whether the fault is with the network or the server, so that the same envelope may go through
    /// later, and not with what was to be sent.
    pub fn is_network(&self) -> bool {
        self.kind != SendErrorKind::Body
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, peer, detail } = self;
        match kind {
            SendErrorKind::Resolve => write!(
                f,
                "{peer} has no address ({detail}): check the host in the DSN, and the network"
            ),
            SendErrorKind::Connect => write!(
                f,
                "{peer} cannot be reached ({detail}): check the network, and whether a proxy must \
                 be set"
            ),
            SendErrorKind::Timeout(stage) => {
                write!(f, "{peer} took too long, we were {stage} ({detail}): it is tried again")
            }
            SendErrorKind::Tls => write!(
                f,
                "no trusted connection to {peer} ({detail}): if its certificate comes from an \
                 authority of your own, give that as an additional authority in the options"
            ),
            SendErrorKind::Proxy => write!(
                f,
                "the proxy {peer} did not connect us ({detail}): check the proxy options or the \
                 variables HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY"
            ),
            SendErrorKind::BrokenOff => {
                write!(f, "{peer} broke the connection off ({detail}): it is tried again")
            }
            SendErrorKind::NotHttp => write!(
                f,
                "what answers at {peer} is no server of Sentry ({detail}): check host and port in \
                 the DSN"
            ),
            SendErrorKind::Body => write!(
                f,
                "an envelope on its way to {peer} could not be read ({detail}): check the disk \
                 that holds the cache directory"
            ),
        }
    }
}

impl std::error::Error for SendError {}
