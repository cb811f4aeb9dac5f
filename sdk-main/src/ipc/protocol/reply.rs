//! What is answered, as HTTP.

use bytes::Bytes;
use guardhouse_protocol::http::{Answer, CURSOR_HEADER};
use guardhouse_protocol::json::Json;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::refusal::Refusal;

/// When main has no room, it has some again as soon as it has written down what it has: that is soon,
/// and this is the shortest that can be said.
const SOON: HeaderValue = HeaderValue::from_static("1");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What is answered to a request that was done.
#[derive(Debug)]
pub(super) enum Reply {
    /// There is nothing to say but that it is done.
    Done,
    /// It was the last request.
    Farewell,
    /// The channel's reply.
    Json(Json),
    /// What main pushes, and its number.
    Push(u64, Bytes),
    /// There is nothing to push, and another request waits.
    Nothing,
}

impl Reply {
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        match self {
            Self::Done => response(Answer::Taken, None, Bytes::new()),
            Self::Farewell => closing(response(Answer::Taken, None, Bytes::new())),
            Self::Json(json) => response(Answer::Taken, Some(JSON), bytes(&json)),
            Self::Push(cursor, payload) => {
                let mut response = response(Answer::Taken, Some(JSON), payload);
                let name = HeaderName::from_static(CURSOR_HEADER);
                response.headers_mut().insert(name, cursor.into());
                response
            }
            Self::Nothing => response(Answer::NothingNew, None, Bytes::new()),
        }
    }
}

impl Refusal {
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let Self { answer, why, body, hangs_up, allowed, .. } = self;
        let mut response = match body {
            Some(json) => response(answer, Some(JSON), bytes(&json)),
            None => response(answer, Some(TEXT), Bytes::from(why.into_owned())),
        };
        let headers = response.headers_mut();
        if matches!(answer, Answer::OverBudget | Answer::Busy) {
            headers.insert(RETRY_AFTER, SOON);
        }
        if let Some(method) = allowed {
            headers.insert(ALLOW, HeaderValue::from_static(method));
        }
        if hangs_up { closing(response) } else { response }
    }
}

fn response(answer: Answer, kind: Option<HeaderValue>, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    // Each answer is the number of a status, so the fallback is never taken.
    *response.status_mut() =
        StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(kind) = kind {
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

fn closing(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn bytes(json: &Json) -> Bytes {
    Bytes::copy_from_slice(json.text().as_bytes())
}
