//! The body of a request, no more of it than there is room for.

use std::fmt::Display;
use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, Bytes};
use guardhouse_process::fair_timeout::timeout_at;
use guardhouse_protocol::http::Answer;
use guardhouse_protocol::limits::MIB;
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::time::Instant;
use uuid::Uuid;

use super::refusal::Refusal;
use crate::ipc::room::{LARGE_TIME, LargeShare, Room, SMALL_BYTES};

/// So many bytes of a large body come in a second at least, once it has its place. There are few such
/// places, and whoever only holds one should not keep others waiting.
const SLOWEST_BYTES: u64 = MIB as u64;

/// A body that has been read.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) bytes: Bytes,
    /// Of a large one, what it takes up among the large ones. Keep it until main has answered.
    pub(super) large: Option<LargeShare>,
}

/// Reads a body of at most so many bytes. What is claimed of its length may refuse it, and nothing is
/// set aside for it before it comes.
///
/// It may take `time`; if it is a large one, it waits for room as soon as it shows that it is, has the
/// same time once more, and more for what comes, up to [`LARGE_TIME`].
pub(super) async fn take<B>(
    (room, renderer): (&Room, Uuid),
    body: B,
    max_bytes: usize,
    time: Duration,
) -> Result<Taken, Refusal>
where
    B: Body,
    B::Error: Display,
{
    let claimed = body.size_hint();
    if claimed.lower() > max_bytes as u64 {
        return Err(too_large(max_bytes));
    }
    // It fits, as it is not larger than a `usize` that does.
    let end = claimed.exact().map_or(max_bytes, |exact| exact as usize);
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    let mut large = None;
    let mut begun = Instant::now();
    let mut until = begun + time;
    loop {
        let frame = match timeout_at(until, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => {
                let why = format!("the body of the request broke off: {error}");
                return Err(Refusal::new(Answer::Malformed, "body", why).and_hangs_up());
            }
            Err(_) => {
                let why = "the body of the request did not end in time; send it again";
                return Err(Refusal::new(Answer::Busy, "slow", why).and_hangs_up());
            }
        };
        // What else there is behind a body says nothing to us.
        let Ok(mut data) = frame.into_data() else { continue };
        let sum = bytes.len() + data.remaining();
        if sum > max_bytes {
            return Err(too_large(max_bytes));
        }
        if sum > SMALL_BYTES && large.is_none() {
            large = Some(room.large(renderer).await.ok_or_else(Refusal::closed)?);
            begun = Instant::now();
        }
        if large.is_some() {
            let earned = Duration::from_secs(sum as u64 / SLOWEST_BYTES);
            until = begun + LARGE_TIME.min(time + earned);
        }
        if sum > bytes.capacity() {
            // Twice as much each time, but no more than there can be.
            let capacity = sum.max((2 * bytes.len()).min(end));
            bytes.reserve_exact(capacity - bytes.len());
        }
        while data.has_remaining() {
            let piece = data.chunk();
            bytes.extend_from_slice(piece);
            let length = piece.len();
            data.advance(length);
        }
    }
    Ok(Taken { bytes: Bytes::from(bytes), large })
}

fn too_large(max_bytes: usize) -> Refusal {
    let why =
        format!("the body of such a request has at most {max_bytes} bytes; send less at once");
    Refusal::new(Answer::TooLarge, "too-large", why).and_hangs_up()
}
