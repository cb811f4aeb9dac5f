//! One exchange with Sentry over HTTP.
//!
//! [`Http`] posts envelopes, one at a time, over one connection that it keeps and makes anew when it
//! is no longer good. It promises that an exchange ends in bounded time whatever the server does
//! ([`Timeouts`]), and that dropping its future leaves nothing behind: there is no task and no
//! thread, so the connection is closed by then. Only asking for a name's address may block a thread
//! of the runtime's pool for longer; whoever owns the runtime ends it with `shutdown_background`.
//!
//! What an answer means, when to try again, what to delete: all that is left to the
//! [`dispatcher`](super::dispatcher). So redirects are not followed, they are answers.
//!
//! # Once or twice
//!
//! A kept connection may have been closed by the server. If that is known, or nothing of the request
//! was sent, the same request goes over a new one. Otherwise the server may have taken the envelope,
//! and the exchange fails: the caller tries again as after any failure, later, and Sentry takes an
//! event only once by its id. Within one call an envelope is never sent twice.
//!
//! As soon as the head of an answer is there, it counts. If its body never ends, or breaks off, only
//! the connection is given up.

mod address;
mod body;
mod bypass;
mod connect;
mod deadline;
mod dial;
mod error;
mod line;
mod options;
mod proxy;
mod target;
mod tls;

pub use body::Upload;
pub use deadline::Timeouts;
pub use error::{BadProxy, HttpError, SendError, SendErrorKind, Stage};
pub use options::HttpOptions;
pub use proxy::Proxies;
pub use target::Target;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use body::Body;
use deadline::{Deadline, Progress};
use hyper::header::{
    CONTENT_ENCODING, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHORIZATION, RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request, StatusCode};
use line::{Asked, Line};
use tls::Tls;
use tokio::time::{Instant, timeout_at};

const X_SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");
const X_SENTRY_RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");

/// A connection that was not used for so long is not used again. Many things on the way forget one
/// after a minute without telling.
const KEEP: Duration = Duration::from_secs(50);
/// So long is waited for the end of an answer that counts already.
const FINISH: Duration = Duration::from_secs(1);

/// Posts envelopes to a [`Target`].
///
/// ```no_run
/// use guardhouse_main::outbox::http::{Http, HttpOptions, Target, Upload};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let target = Target::dsn(&"https://key@errors.example.com/42".parse()?)?;
/// let mut http = Http::new(HttpOptions::new(target))?;
/// let answer = http.send(Upload::new(&b"{}\n{\"type\":\"event\"}\n{}\n"[..])).await?;
/// assert!(answer.is_success());
/// # Ok(())
/// # }
/// ```
pub struct Http {
    target: Target,
    proxies: Proxies,
    timeouts: Timeouts,
    tls: Tls,
    /// The connection of the last exchange, and when that ended.
    kept: Option<(Line, Instant)>,
}

/// What the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `X-Sentry-Rate-Limits`. Several such headers are joined by commas.
    pub rate_limits: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// `Date`: the server's clock, by which a `Retry-After` that is a date is to be read.
    pub date: Option<String>,
}

impl Answer {
    /// Whether the server took the envelope.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

impl Http {
    /// Reads the options. It connects to nobody and reads no file.
    pub fn new(options: HttpOptions) -> Result<Self, HttpError> {
        let HttpOptions { target, proxies, timeouts, trust } = options;
        let timeouts = timeouts.bounded();
        Ok(Self { target, proxies, timeouts, tls: Tls::new(trust), kept: None })
    }

    /// Sends an envelope and waits for the answer.
    ///
    /// Must be called within a tokio runtime that has its I/O and time enabled. May be dropped at
    /// any time; whether the server took the envelope is then not known.
    pub async fn send(&mut self, upload: Upload) -> Result<Answer, SendError> {
        let start = Instant::now();
        let progress = Arc::new(Progress::new(start));
        let (body, is_compressed) = body::prepare(upload, progress.clone())
            .map_err(|error| self.error((SendErrorKind::Body, error.to_string())))?;
        let mut request = self.request(body, is_compressed)?;

        if let Some((mut line, since)) = self.kept.take()
            && since.elapsed() < KEEP
            && line.is_open().await
        {
            match self.ask(line, request, &progress).await? {
                Ok(answer) => return Ok(answer),
                Err(unsent) => request = *unsent,
            }
        }
        let Self { target, proxies, timeouts, tls, .. } = self;
        let deadline = Deadline::new(start, timeouts.connect.min(timeouts.total));
        let line = connect::connect(target, proxies, tls, &deadline).await?;
        self.ask(line, request, &progress).await?.map_err(|_unsent| {
            let detail = "it closed a connection just made".to_owned();
            self.error((SendErrorKind::BrokenOff, detail))
        })
    }

    /// Closes the kept connection, for example because nothing will be sent for a while.
    pub fn disconnect(&mut self) {
        self.kept = None;
    }

    /// Sends a request over `line` and keeps that for the next if it can be used again. Hands the
    /// request back if nothing of it was sent.
    async fn ask(
        &mut self,
        mut line: Line,
        request: Request<Body>,
        progress: &Progress,
    ) -> Result<Result<Answer, Box<Request<Body>>>, SendError> {
        let asked = progress.hold(&self.timeouts, &self.target.address, line.ask(request)).await?;
        let response = match asked {
            Asked::Answered(response) => response,
            Asked::Unsent(request) => return Ok(Err(request)),
            Asked::Failed(failure) => return Err(self.error(failure)),
        };
        let answer = answer(response.status(), response.headers());
        let is_complete = progress.is_complete();
        if answer.is_success() && !is_complete {
            let detail = "it answered before it had the whole envelope".to_owned();
            return Err(self.error((SendErrorKind::BrokenOff, detail)));
        }
        self.check_proxy(response.status())?;

        let until = progress.deadline(&self.timeouts).min(Instant::now() + FINISH);
        let finished = timeout_at(until, line.finish(response.into_body())).await;
        if is_complete && finished == Ok(true) {
            self.kept = Some((line, Instant::now()));
        }
        Ok(Ok(answer))
    }

    fn request(&self, body: Body, is_compressed: bool) -> Result<Request<Body>, SendError> {
        let Target { path, auth, .. } = &self.target;
        let mut request = Request::builder()
            .method(Method::POST)
            .header(HOST, self.target.host_header())
            .header(USER_AGENT, target::AGENT)
            .header(CONTENT_TYPE, "application/x-sentry-envelope");
        if let Some(auth) = auth {
            request = request.header(X_SENTRY_AUTH, auth);
        }
        if is_compressed {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        // A proxy is told the whole URL of what is not encrypted.
        let proxy = self.proxies.for_target(&self.target);
        request = match proxy {
            Ok(Some(proxy)) if !self.target.secure => {
                if let Some(authorization) = &proxy.authorization {
                    request = request.header(PROXY_AUTHORIZATION, authorization);
                }
                request.uri(self.target.to_string())
            }
            _ => request.uri(path),
        };
        request.body(body).map_err(|error| self.error((SendErrorKind::Body, error.to_string())))
    }

    /// Tells a refusal of the proxy from an answer: only a proxy asks for its own credentials.
    fn check_proxy(&self, status: StatusCode) -> Result<(), SendError> {
        match self.proxies.for_target(&self.target) {
            Ok(Some(proxy)) if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let detail = format!("it answered {status}");
                Err(SendError::new(SendErrorKind::Proxy, proxy, detail))
            }
            _ => Ok(()),
        }
    }

    fn error(&self, (kind, detail): line::Failure) -> SendError {
        SendError::new(kind, &self.target.address, detail)
    }
}

fn answer(status: StatusCode, headers: &HeaderMap) -> Answer {
    let read = |name| {
        let values = headers.get_all(name).iter().filter_map(|value: &HeaderValue| {
            let value = value.to_str().ok()?;
            (!value.is_empty()).then_some(value)
        });
        let values: Vec<_> = values.collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    Answer {
        status: status.as_u16(),
        rate_limits: read(&X_SENTRY_RATE_LIMITS),
        retry_after: read(&RETRY_AFTER),
        date: read(&DATE),
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("target", &self.target)
            .field("proxies", &self.proxies)
            .field("timeouts", &self.timeouts)
            .field("is_connected", &self.kept.is_some())
            .finish_non_exhaustive()
    }
}
