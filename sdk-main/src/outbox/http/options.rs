//! How envelopes are to be sent.

use std::path::PathBuf;

use super::tls::{Trust, certificates};
use super::{HttpError, Proxies, Target, Timeouts};

/// How envelopes are to be sent. By default directly or by the proxies that the environment names,
/// trusting whom the computer trusts.
///
/// ```
/// use std::time::Duration;
///
/// use guardhouse_main::outbox::http::{Http, HttpOptions, Proxies, Target, Timeouts};
///
/// let target = Target::dsn(&"https://key@errors.example.com/42".parse()?)?;
/// let options = HttpOptions::new(target)
///     .proxies(Proxies::none())
///     .authorities_file("/etc/company/ca.pem")
///     .timeouts(Timeouts { connect: Duration::from_secs(5), ..Timeouts::default() });
/// let http = Http::new(options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HttpOptions {
    pub(super) target: Target,
    pub(super) proxies: Proxies,
    pub(super) timeouts: Timeouts,
    pub(super) trust: Trust,
}

impl HttpOptions {
    /// Sends to `target`, everything else as the computer is set up.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            proxies: Proxies::from_environment(),
            timeouts: Timeouts::default(),
            trust: Trust::default(),
        }
    }

    /// Which proxies to use, in place of those of the environment.
    #[must_use]
    pub fn proxies(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// How long things may take.
    #[must_use]
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Trusts these certificate authorities as well, given as PEM.
    pub fn authorities(mut self, pem: &[u8]) -> Result<Self, HttpError> {
        self.trust.authorities.extend(certificates(pem)?);
        Ok(self)
    }

    /// Trusts the certificate authorities in this PEM file as well. It is read when the first
    /// encrypted connection is made; if it cannot be, that fails with
    /// [`SendErrorKind::Tls`](super::SendErrorKind::Tls).
    #[must_use]
    pub fn authorities_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.trust.file = Some(file.into());
        self
    }

    /// Whether to take any certificate. Whoever sits on the way can then read and change what is
    /// sent, so this is for trying things out only.
    #[must_use]
    pub fn accept_invalid_certs(mut self, accept: bool) -> Self {
        self.trust.everybody = accept;
        self
    }
}
