//! A server that takes the connection and never answers: how long `flush` and the end take.
//!
//! The peer is the stock transport of `sentry` (with `ureq`). Both have captured a burst of events,
//! more than the peer's queue holds, are asked to flush within 200 ms, and then to close; whatever of
//! the peer has not returned after a while is written down as that while, so its number is a lower
//! bound.

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use guardhouse_main::{Options, app, sentry};
use sentry::{Client, ClientOptions, Hub, Level};

use super::scratch;
use crate::measure::{Better, Measure, Settings, Subject};

/// How many events were captured before. The peer keeps 30, and drops the rest.
const BURST: usize = 100;
/// What both are asked to keep to.
const TIMEOUT: Duration = Duration::from_millis(200);
/// How long the peer is waited for. It would take longer, but whoever measures should not have to.
const PATIENCE: Duration = Duration::from_secs(5);

/// Measures the row.
pub(crate) fn run(_settings: &Settings) -> Vec<Measure> {
    // Nobody ever reads what comes there.
    let hung = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let port = hung.local_addr().expect("it is bound").port();
    let dsn = format!("http://key@127.0.0.1:{port}/1");
    let (our_flush, our_end) = ours(&dsn, &hung);
    let (peer_flush, peer_end) = peer(&dsn, &hung);
    let measure = |name, ours: Duration, peer: Duration| {
        Measure::of_samples(
            Subject { name, peer: "sentry's transport, at least", goal: 0.1 },
            "ms",
            Better::Lower,
            vec![ours.as_secs_f64() * 1e3],
            vec![peer.as_secs_f64() * 1e3],
        )
    };
    vec![
        measure("flush(200 ms), hung server", our_flush, peer_flush),
        measure("drop within 200 ms, hung server", our_end, peer_end),
    ]
}

fn ours(dsn: &str, hung: &TcpListener) -> (Duration, Duration) {
    let directory = scratch("flush");
    let options = Options::new(app!()).dsn(dsn).cache_dir(&directory).shutdown_timeout(TIMEOUT);
    let guard = guardhouse_main::init(options).expect("the directory is ours");
    sentry::capture_message("hello", Level::Info);
    // The first is on its way when the burst comes.
    let _connection = hung.accept();
    for _ in 0..BURST {
        sentry::capture_message("hello", Level::Info);
    }
    let start = Instant::now();
    guard.flush(TIMEOUT);
    let flush = start.elapsed();
    let start = Instant::now();
    drop(guard);
    let end = start.elapsed();
    let _ = std::fs::remove_dir_all(directory);
    (flush, end)
}

/// On a thread of its own, which is left behind: that is the point.
fn peer(dsn: &str, hung: &TcpListener) -> (Duration, Duration) {
    let mut options = ClientOptions::new().dsn(dsn).shutdown_timeout(TIMEOUT);
    options.transport = Some(std::sync::Arc::new(sentry::transports::DefaultTransportFactory));
    let (sender, times) = mpsc::channel();
    let (on_its_way, burst) = mpsc::channel();
    std::thread::spawn(move || {
        let client = std::sync::Arc::new(Client::from(options));
        let hub = Hub::new(Some(client.clone()), std::sync::Arc::default());
        hub.capture_message("hello", Level::Info);
        let _ = burst.recv();
        for _ in 0..BURST {
            hub.capture_message("hello", Level::Info);
        }
        for end in [
            |client: &Client| client.flush(Some(TIMEOUT)),
            |client: &Client| client.close(Some(TIMEOUT)),
        ] {
            let start = Instant::now();
            end(&client);
            if sender.send(start.elapsed()).is_err() {
                return;
            }
        }
    });
    let _connection = hung.accept();
    let _ = on_its_way.send(());
    let wait = || times.recv_timeout(PATIENCE).unwrap_or(PATIENCE);
    (wait(), wait())
}
