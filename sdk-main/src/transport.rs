//! Where `sentry` hands over what main itself has captured.
//!
//! Nothing waits here: an envelope goes into the doorway or is counted as lost. `flush` waits, since
//! that is what it is for, but in a panic only until everything is on disk: the panic hook of `sentry`
//! flushes on the thread that panics, which an application may well survive.

use std::sync::Arc;
use std::time::Duration;

use guardhouse_process::doorway::deadline_in;
use sentry::Envelope;

use crate::house::House;

/// The transport of the client that [`init`](crate::init) makes.
#[derive(Debug)]
pub(crate) struct Transport(pub(crate) Arc<House>);

impl sentry::Transport for Transport {
    fn send_envelope(&self, envelope: Envelope) {
        self.0.capture(envelope);
    }

    fn flush(&self, timeout: Duration) -> bool {
        let deadline = deadline_in(timeout);
        if std::thread::panicking() { self.0.settle(deadline) } else { self.0.flush(deadline) }
    }

    fn shutdown(&self, timeout: Duration) -> bool {
        // The house outlives the client: who else closes the client does not close the house.
        self.flush(timeout)
    }
}
