//! A connection, from its first request until it is closed.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use guardhouse_crash::fork::Own;
use guardhouse_protocol::limits::{KIB, MIB};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::answer;
use super::caller::{Caller, Unwelcome};
use super::door::Door;
use super::pace::{Pace, Paced};

/// So many headers a request has at most. An ordinary client sends six, and ours are five more.
const HEADERS: usize = 32;
/// So much is read ahead, and so long is a head at most.
const AHEAD_BYTES: usize = 16 * KIB;
/// So long what a client still sends is read after the last answer, and thrown away. If main closed at
/// once, the system would throw away the answer, and the client never learn that there was one.
const LINGER: Duration = Duration::from_secs(2);
/// And so much: more than the largest message, so that whoever sends one too large hears it.
const LINGER_BYTES: u64 = 64 * MIB as u64;

/// Answers requests until one of the two hangs up.
pub(super) async fn serve(door: Arc<Door>, caller: Arc<Caller>, stream: TcpStream) {
    // Without it an answer waits for the acknowledgement of the one before. Failing, it is only slow.
    let _ = stream.set_nodelay(true);
    let pace = Pace::default();
    let io = TokioIo::new(Paced::new(Own::new(stream), pace.clone()));
    let service = service_fn(|request: Request<Incoming>| {
        let (door, caller, pace) = (door.clone(), caller.clone(), pace.clone());
        async move {
            let _answering = pace.answering();
            let _request = caller.asks();
            Ok::<_, Infallible>(answer(&door, &caller, request).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(HEADERS)
        .max_buf_size(AHEAD_BYTES)
        .auto_date_header(false)
        .serve_connection(io, service)
        .without_shutdown();
    tokio::select! {
        // What has come in time counts, however late it is looked at.
        biased;
        outcome = connection => match outcome {
            Ok(parts) => linger(parts.io.into_inner().into_inner()).await,
            Err(error) => explain(&door, &error),
        },
        unwelcome = caller.unwelcome() => match unwelcome {
            Unwelcome::Slow => door.service.turn_away(
                "slow",
                format_args!("a connection was closed that did not show in time whose it is"),
            ),
            // It was counted when its place was given away.
            Unwelcome::Crowded => {}
        },
    }
}

/// Closes the connection when the client has had time to read the last answer.
async fn linger(mut stream: Own<TcpStream>) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = stream.take(LINGER_BYTES);
    let mut scrap = [0; 4 * KIB];
    let finish = async { while matches!(rest.read(&mut scrap).await, Ok(1..)) {} };
    // Whoever goes on sending has had its time.
    let _ = timeout(LINGER, finish).await;
}

/// Counts what was no HTTP. A connection that breaks off is nobody's fault.
fn explain(door: &Door, error: &hyper::Error) {
    if error.is_parse() {
        door.service.turn_away(
            "headers",
            format_args!(
                "a connection was closed on which something else than HTTP/1 came: {error}"
            ),
        );
    } else if is_late(error) {
        door.service.turn_away(
            "slow",
            format_args!("a connection was closed on which the head of a request did not end"),
        );
    }
}

fn is_late(error: &hyper::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
