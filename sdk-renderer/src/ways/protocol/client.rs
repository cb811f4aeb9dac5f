//! Requests over one connection, which is made when it is needed and again when it is gone.
//!
//! Each connection is one to main: when it is there, and before anything is said on it, main's note has
//! to be that of a main that lives. A main that lives then has its port still, so nobody else can be at
//! the other end; asked before, it could die in between, and whoever took the port would hear our
//! secret and what is private.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use guardhouse_process::meeting::Meeting;
use guardhouse_protocol::frame::Welcome;
use guardhouse_protocol::http::{Answer, CURSOR_HEADER, RequestHead, parse_cursor};
use guardhouse_protocol::limits::KIB;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, RETRY_AFTER};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::PATIENCE;

/// No reply of the contract is longer.
const BODY_BYTES: usize = 64 * KIB;

/// How long to leave main alone that does not say so.
const PAUSE: Duration = Duration::from_secs(1);
/// How long at most, whatever it says.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Client {
    address: SocketAddr,
    /// The note of main, which says that address as long as main lives.
    note: PathBuf,
    /// What every request shows.
    head: RequestHead,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// What main answered.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    /// Nothing for a status that is none of ours.
    pub(super) answer: Option<Answer>,
    pub(super) body: Bytes,
    pub(super) cursor: Option<u64>,
    /// When to come again, if it has to be.
    pub(super) pause: Duration,
}

impl Client {
    pub(super) fn new(address: SocketAddr, note: &Path, head: RequestHead) -> Self {
        Self { address, note: note.to_owned(), head, connection: None }
    }

    /// From now on each request shows who it is from.
    pub(super) fn introduce(&mut self, welcome: &Welcome) {
        self.head.renderer_id = Some(welcome.renderer_id);
        self.head.secret = Some(welcome.secret.clone());
    }

    /// One with a connection of its own.
    pub(super) fn another(&self) -> Self {
        Self::new(self.address, &self.note, self.head.clone())
    }

    pub(super) async fn connect(&mut self) -> Result<(), String> {
        if let Some(connection) = &mut self.connection
            && connection.ready().await.is_ok()
        {
            return Ok(());
        }
        self.connection = None;
        let address = self.address;
        let connecting = timeout(PATIENCE, TcpStream::connect(address)).await;
        let stream = connecting.map_err(|_| format!("{address} does not answer"))?;
        let stream = stream.map_err(|error| format!("{address}: {error}"))?;
        if !self.is_main_there() {
            return Err(format!("the main that listened at {address} has ended"));
        }
        let _ = stream.set_nodelay(true);
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("{address}: {error}"))?;
        // It ends when the sender is dropped.
        tokio::spawn(connection);
        self.connection = Some(sender);
        Ok(())
    }

    /// Whether main lives, and listens where it did. Of one that was asked after a connection was made
    /// it is known that the connection is to it.
    fn is_main_there(&self) -> bool {
        let main = Meeting::read(&self.note);
        matches!(main, Ok(Some(main)) if main.address == Some(self.address))
    }

    pub(super) async fn post(
        &mut self,
        path: &str,
        head: &RequestHead,
        body: Bytes,
    ) -> Result<Got, String> {
        self.ask(Method::POST, path, head, body).await
    }

    pub(super) async fn get(&mut self, path: &str, head: &RequestHead) -> Result<Got, String> {
        self.ask(Method::GET, path, head, Bytes::new()).await
    }

    /// Asks, once more over a new connection if the one that was kept turns out to be gone: under its id
    /// a message is taken once.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        head: &RequestHead,
        body: Bytes,
    ) -> Result<Got, String> {
        let was_kept = self.connection.is_some();
        self.connect().await?;
        let request = || self.request(&method, path, head, body.clone());
        let (first, second) = (request()?, request()?);
        match self.exchange(first).await {
            Err(_) if was_kept => {
                self.connection = None;
                self.connect().await?;
                self.exchange(second).await
            }
            got => got,
        }
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Got, String> {
        let connection = self.connection.as_mut().ok_or("there is no connection")?;
        let answer = connection.send_request(request).await;
        let answer = answer.map_err(|error| {
            self.connection = None;
            format!("{}: {error}", self.address)
        })?;
        let status = answer.status().as_u16();
        let cursor = answer.headers().get(CURSOR_HEADER);
        let cursor = cursor.and_then(|value| parse_cursor(value.as_bytes()).ok());
        let pause = pause(answer.headers());
        let body = Limited::new(answer.into_body(), BODY_BYTES).collect().await;
        let body = body.map_err(|error| {
            self.connection = None;
            format!("{}: {error}", self.address)
        })?;
        let answer = Answer::from_status(status);
        Ok(Got { status, answer, body: body.to_bytes(), cursor, pause })
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        head: &RequestHead,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(HOST, self.address.to_string());
        if *method == Method::POST {
            request = request.header(CONTENT_LENGTH, body.len());
        }
        for (name, value) in self.head.to_headers().into_iter().chain(head.to_headers()) {
            request = request.header(name, value);
        }
        request.body(Full::new(body)).map_err(|error| error.to_string())
    }
}

impl Got {
    /// What the body says to a person.
    pub(super) fn words(&self) -> String {
        let words = String::from_utf8_lossy(&self.body).trim().to_owned();
        match self.answer {
            Some(answer) if words.is_empty() => answer.describe().to_owned(),
            _ => words,
        }
    }
}

fn pause(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    seconds.map_or(PAUSE, |seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE))
}
