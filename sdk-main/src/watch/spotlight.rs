//! Everything that is captured, mirrored to a Spotlight sidecar for whoever develops the application.
//!
//! It is a courtesy: what cannot be delivered at once is dropped and not counted, since the outbox
//! has it all.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use guardhouse_protocol::limits::MIB;

use crate::outbox::http::{Http, HttpOptions, Upload};

/// So many bytes wait at most.
const BYTES: usize = 16 * MIB;

/// The way to the sidecar.
pub(super) struct Spotlight {
    options: HttpOptions,
    waiting: VecDeque<Bytes>,
    http: Option<Http>,
    exchange: Option<Pin<Box<dyn Future<Output = Http> + Send>>>,
}

impl Spotlight {
    pub(super) fn new(options: HttpOptions) -> Self {
        Self { options, waiting: VecDeque::new(), http: None, exchange: None }
    }

    /// Mirrors an envelope.
    pub(super) fn mirror(&mut self, envelope: Bytes) {
        self.waiting.push_back(envelope);
        while self.waiting.iter().map(Bytes::len).sum::<usize>() > BYTES && self.waiting.len() > 1 {
            self.waiting.pop_front();
        }
    }

    /// Sends if there is something to send.
    pub(super) fn step(&mut self) {
        if self.exchange.is_some() || self.waiting.is_empty() {
            return;
        }
        let http = self.http.take().map_or_else(|| Http::new(self.options.clone()), Ok);
        if let (Ok(mut http), Some(envelope)) = (http, self.waiting.pop_front()) {
            self.exchange = Some(Box::pin(async move {
                // Whether the sidecar is there is not ours to tell.
                let _ = http.send(Upload::new(envelope)).await;
                http
            }));
        }
    }

    /// Ends when what is being sent has come to an end; never if nothing is.
    pub(super) async fn sent(&mut self) {
        let Some(exchange) = &mut self.exchange else { return std::future::pending().await };
        self.http = Some(exchange.as_mut().await);
        self.exchange = None;
    }
}
