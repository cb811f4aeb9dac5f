//! One exchange with Sentry, over real sockets, with a Sentry that behaves in all ways.

use std::time::Duration;

use guardhouse_main::outbox::http::{
    Answer, Http, HttpOptions, Proxies, SendError, SendErrorKind, Target, Timeouts, Upload,
};
use guardhouse_tests::sentry::Sentry;
use tokio::runtime::Runtime;

mod bodies;
mod exchange;
mod hanging;
mod proxies;
mod trust;

/// What sends, and the runtime that it needs for its connections.
struct Client {
    http: Http,
    runtime: Runtime,
}

impl Client {
    fn new(options: HttpOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { http: Http::new(options).unwrap(), runtime }
    }

    /// One that uses no proxy and has much time.
    fn of(sentry: &Sentry) -> Self {
        Self::new(options(&sentry.dsn()))
    }

    fn send(&mut self, upload: Upload) -> Result<Answer, SendError> {
        self.runtime.block_on(self.http.send(upload))
    }

    fn status(&mut self) -> u16 {
        self.send(upload("hello")).unwrap().status
    }

    fn failure(&mut self) -> SendErrorKind {
        self.send(upload("hello")).unwrap_err().kind()
    }
}

fn options(dsn: &str) -> HttpOptions {
    HttpOptions::new(Target::dsn(&dsn.parse().unwrap()).unwrap()).proxies(Proxies::none())
}

/// Times that run out soon, but not of an exchange that goes on, also on a busy machine.
fn short() -> Timeouts {
    let soon = Duration::from_secs(2);
    Timeouts { connect: soon, total: soon, ..Timeouts::default() }
}

/// An envelope with an event of this message.
fn upload(message: &str) -> Upload {
    Upload::new(envelope(message))
}

fn envelope(message: &str) -> String {
    format!(
        "{{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\",\"sent_at\":\"2026-11-20T18:54:36Z\"}}\n\
         {{\"type\":\"event\"}}\n{{\"message\":\"{message}\"}}\n"
    )
}

/// Text that cannot be compressed much, so that it takes as many bytes on the way.
fn noise(bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = String::with_capacity(bytes);
    for _ in 0..bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push(char::from(LETTERS[(state >> 58) as usize]));
    }
    text
}
