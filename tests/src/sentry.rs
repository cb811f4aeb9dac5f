//! A Sentry on this computer, for tests.
//!
//! [`Sentry`] is a real HTTP/1.1 server. It checks what Sentry checks, keeps everything that arrives
//! and tells a test whether that was what it [expected](Sentry::expect). It can be told to
//! [behave](Behaviour) badly in all ways that servers and networks do. It shares no code with what
//! it tests: it reads HTTP and envelopes in its own, simple ways.
//!
//! Nothing here waits for a time to pass: it waits for what is to happen, and a deadline only ends
//! what would never end.
//!
//! ```
//! use std::io::{Read, Write};
//!
//! use guardhouse_tests::sentry::{Sentry, an_event, status};
//!
//! let sentry = Sentry::start();
//! sentry.expect(an_event().with_message("hello").times(1));
//! sentry.next(status(500));
//!
//! let envelope = "{\"sent_at\":\"2026-11-20T18:54:36Z\"}\n\
//!     {\"type\":\"event\"}\n{\"message\":\"hello\"}\n";
//! for _ in 0..2 {
//!     let mut stream = std::net::TcpStream::connect(sentry.address())?;
//!     write!(
//!         stream,
//!         "POST /api/42/envelope/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
//!          X-Sentry-Auth: Sentry sentry_key=public, sentry_version=7, sentry_client=test\r\n\
//!          Content-Type: application/x-sentry-envelope\r\nContent-Length: {}\r\n\r\n{envelope}",
//!         envelope.len(),
//!     )?;
//!     stream.read_to_end(&mut Vec::new())?;
//! }
//! assert_eq!(sentry.requests()[0].status, Some(500));
//! sentry.verify();
//! # Ok::<(), std::io::Error>(())
//! ```

mod authority;
mod behaviour;
mod check;
mod envelope;
mod expect;
mod message;
mod proxy;
mod record;
mod schema;
mod serve;
mod server;
mod stream;

pub use authority::Authority;
pub use behaviour::{
    Behaviour, Reply, Stage, bad_json, hang, rate_limit, redirect, reset, retry_after, slowly,
    status,
};
pub use envelope::{Envelope, Item, message_of};
pub use expect::{
    Expectation, a_client_report, a_feedback, a_session, a_transaction, an_event, an_item,
};
pub use proxy::{Asked, Proxy, ProxyOptions};
pub use record::Request;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use behaviour::Script;
use record::Record;
use serve::Shared;
use server::Server;

/// A Sentry on this computer. Dropping it closes everything and ends its threads.
pub struct Sentry {
    server: Server,
    shared: Arc<Shared>,
    expectations: Mutex<Vec<Expectation>>,
}

impl Sentry {
    /// Starts one on a port of its own.
    pub fn start() -> Self {
        Self::start_as(None)
    }

    /// Starts one that is spoken to over TLS, with a certificate of this authority for `localhost`,
    /// `127.0.0.1` and `sentry.test`.
    pub fn start_tls(authority: &Authority) -> Self {
        Self::start_as(Some(authority))
    }

    fn start_as(authority: Option<&Authority>) -> Self {
        let tls = authority.map(Authority::server);
        let shared = Arc::new(Shared { script: Script::default(), record: Record::default(), tls });
        let serving = shared.clone();
        let server = Server::start(move |tcp, number| serving.serve(tcp, number));
        Self { server, shared, expectations: Mutex::default() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The DSN of a project of it.
    pub fn dsn(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://public@{}/42", self.address())
    }

    /// How it treats the next request for which nothing else was said yet.
    pub fn next(&self, behaviour: Behaviour) {
        self.shared.script.next(behaviour);
    }

    /// How it treats all requests for which nothing else was said.
    pub fn from_now_on(&self, behaviour: Behaviour) {
        self.shared.script.always(behaviour);
    }

    /// Closes its listening socket and all connections, as if it was not there.
    pub fn refuse_connections(&self) {
        self.server.refuse();
    }

    /// Forgets all that was asked of it: it listens, what hangs is closed, and requests are treated
    /// as they should be.
    pub fn recover(&self) {
        self.shared.script.recover();
        self.server.listen();
    }

    /// Closes all connections, and returns when that is done.
    pub fn close_connections(&self) {
        self.server.close_connections();
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> u64 {
        self.server.accepted()
    }

    /// Waits until nobody is connected.
    #[track_caller]
    pub fn wait_until_unconnected(&self) {
        let open = self.server.wait_until_unconnected();
        assert_eq!(open, 0, "connections that were not closed");
    }

    /// All events that have arrived, in the order in which they came.
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.items("event")
    }

    /// All items of a type that have arrived, as JSON, in the order in which they came.
    pub fn items(&self, kind: &str) -> Vec<serde_json::Value> {
        let requests = self.requests();
        let envelopes = requests.iter().filter_map(|request| request.envelope.as_ref().ok());
        let items = envelopes.flat_map(|envelope| &envelope.items);
        items.filter(|item| item.kind() == kind).map(Item::json).collect()
    }

    /// What has arrived.
    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.shared.record.all()
    }

    /// Waits until so many requests have arrived.
    #[track_caller]
    pub fn wait_for(&self, requests: usize) -> Vec<Arc<Request>> {
        self.wait_until(|arrived| arrived.len() >= requests)
    }

    /// Waits until what has arrived is enough.
    #[track_caller]
    pub fn wait_until(&self, enough: impl FnMut(&[Arc<Request>]) -> bool) -> Vec<Arc<Request>> {
        let (requests, is_enough) = self.shared.record.wait_until(enough);
        assert!(is_enough, "not enough arrived:\n{}", record::describe(&requests));
        requests
    }

    /// Waits until a connection hangs as [it was told to](Behaviour::Hang).
    #[track_caller]
    pub fn wait_until_hanging(&self) {
        assert!(self.shared.record.wait_until_hanging(), "nothing came that could hang");
    }

    /// How many requests were answered as a Sentry does that is well, up to the last byte.
    pub fn answered(&self) -> usize {
        self.shared.record.answered()
    }

    /// Waits until that are so many, and says whether it came to that.
    pub fn wait_until_answered(&self, answers: usize) -> bool {
        self.shared.record.wait_until_answered(answers)
    }

    /// Expects something to arrive and be taken; whether it did, [`verify`](Self::verify) says.
    pub fn expect(&self, expectation: Expectation) {
        self.expectations.lock().unwrap().push(expectation);
    }

    /// Waits until everything that is expected has arrived.
    ///
    /// # Panics
    ///
    /// If that takes too long, if there was more than was expected, or if a request was not as
    /// Sentry wants them. The message says what was expected and what did arrive.
    #[track_caller]
    pub fn verify(&self) {
        let expectations = self.expectations.lock().unwrap();
        let (requests, _) = self.shared.record.wait_until(|requests| {
            expectations.iter().all(|expected| expected.has_enough(requests))
        });
        let mut complaints: Vec<_> =
            expectations.iter().filter_map(|expected| expected.complaint(&requests)).collect();
        drop(expectations);
        let faults = requests.iter().flat_map(|request| request.faults.iter().cloned());
        complaints.extend(faults);
        assert!(
            complaints.is_empty(),
            "{}\nWhat arrived:\n{}",
            complaints.join("\n"),
            record::describe(&requests)
        );
    }

    /// The event ids of envelopes that it took more than once.
    pub fn duplicates(&self) -> Vec<String> {
        record::duplicates(&self.requests())
    }

    /// What client reports told of a category and a reason, together.
    pub fn lost(&self, category: &str, reason: &str) -> u64 {
        record::lost(&self.requests(), category, reason)
    }
}
