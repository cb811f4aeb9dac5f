//! One HTTP/1.1 connection, which works only while somebody waits for it.
//!
//! There is no task behind it: whoever drops it, or the future that uses it, has closed it. While
//! nothing is sent it does nothing.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::header::{HOST, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::address::Address;
use super::body::{Body, Unreadable};
use super::error::SendErrorKind;
use super::proxy::Proxy;

/// What an answer's head may have.
const HEAD_BYTES: usize = 64 * 1024;
const HEADERS: usize = 100;
/// So much of an answer's body is read, only to be able to use the connection again.
const BODY_BYTES: usize = 64 * 1024;

/// Bytes both ways: TCP, TLS, or one in the other.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A failure of a connection, told by what it was.
pub(super) type Failure = (SendErrorKind, String);

type Wire = Connection<TokioIo<Box<dyn Stream>>, Body>;

/// A connection that requests can be sent over, one after the other.
pub(super) struct Line {
    sender: SendRequest<Body>,
    /// Nothing when it has ended.
    wire: Option<Pin<Box<Wire>>>,
}

/// What became of a request.
pub(super) enum Asked {
    /// An answer has begun.
    Answered(Response<Incoming>),
    /// The connection had ended before anything of the request was sent.
    Unsent(Box<Request<Body>>),
    Failed(Failure),
}

impl Line {
    pub(super) async fn open(stream: Box<dyn Stream>) -> Result<Self, Failure> {
        let (sender, wire) = builder().handshake(TokioIo::new(stream)).await.map_err(failure)?;
        Ok(Self { sender, wire: Some(Box::pin(wire)) })
    }

    /// Whether it can still be used, as far as this side has heard.
    pub(super) async fn is_open(&mut self) -> bool {
        // Whether the server closed it is news that the runtime has to fetch first.
        tokio::task::yield_now().await;
        let Self { sender, wire } = self;
        drive(wire, std::future::ready(())).await;
        wire.is_some() && sender.is_ready()
    }

    pub(super) async fn ask(&mut self, request: Request<Body>) -> Asked {
        let Self { sender, wire } = self;
        match drive(wire, sender.try_send_request(request)).await {
            Ok(response) => Asked::Answered(response),
            Err(mut error) => match error.take_message() {
                Some(request) => Asked::Unsent(Box::new(request)),
                None => Asked::Failed(failure(error.into_error())),
            },
        }
    }

    /// Reads what is left of an answer; whether it ended before it was too much.
    pub(super) async fn finish(&mut self, mut body: Incoming) -> bool {
        let mut left = BODY_BYTES;
        loop {
            match drive(&mut self.wire, body.frame()).await {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(frame)) => {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    let Some(rest) = left.checked_sub(length) else { return false };
                    left = rest;
                }
            }
        }
    }
}

/// Has a proxy connect us with an address.
pub(super) async fn tunnel(
    stream: Box<dyn Stream>,
    proxy: &Proxy,
    address: &Address,
) -> Result<Box<dyn Stream>, Failure> {
    let (mut sender, wire) = builder().handshake(TokioIo::new(stream)).await.map_err(failure)?;
    let mut wire = Some(Box::pin(wire.with_upgrades()));
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(address.to_string())
        .header(HOST, address.to_string());
    if let Some(authorization) = &proxy.authorization {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| (SendErrorKind::Proxy, error.to_string()))?;
    let response = drive(&mut wire, sender.send_request(request)).await.map_err(failure)?;
    if !response.status().is_success() {
        return Err((SendErrorKind::Proxy, format!("it answered {}", response.status())));
    }
    let upgraded = drive(&mut wire, hyper::upgrade::on(response)).await.map_err(failure)?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.max_buf_size(HEAD_BYTES).max_headers(HEADERS);
    builder
}

/// Waits for `future`, which needs the connection to work meanwhile.
async fn drive<W: Future, F: Future>(wire: &mut Option<Pin<Box<W>>>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        // One that has ended is dropped, so that what waits for it hears of that.
        if wire.as_mut().is_some_and(|wire| wire.as_mut().poll(context).is_ready()) {
            *wire = None;
        }
        future.as_mut().poll(context)
    })
    .await
}

/// What a failure of a connection was.
pub(super) fn failure(error: hyper::Error) -> Failure {
    let kind = if is_of::<Unreadable>(&error) {
        SendErrorKind::Body
    } else if is_of::<rustls::Error>(&error) {
        SendErrorKind::Tls
    } else if error.is_parse() {
        SendErrorKind::NotHttp
    } else {
        SendErrorKind::BrokenOff
    };
    (kind, with_causes(&error))
}

/// What a failure of encryption was.
pub(super) fn tls_failure(error: &io::Error) -> Failure {
    let kind =
        if is_of::<rustls::Error>(error) { SendErrorKind::Tls } else { SendErrorKind::BrokenOff };
    (kind, error.to_string())
}

/// Whether an error, or one that it comes from, is a `T`.
fn is_of<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<T>()
        || inside.is_some_and(|inner| is_of::<T>(inner))
        || error.source().is_some_and(is_of::<T>)
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
