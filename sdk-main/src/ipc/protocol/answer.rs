//! What becomes of a request.
//!
//! The cheapest refusals come first: a request from a web page, or to another address, is refused by
//! its head, and no body is read of somebody who has shown no secret.

use std::fmt::Display;

use bytes::Bytes;
use guardhouse_protocol::frame::{Hello, MessageId, Rejection, RejectionReason};
use guardhouse_protocol::http::{Answer, Place, RequestHead};
use guardhouse_protocol::limits::{CHUNK_BYTES, HELLO_BYTES};
use guardhouse_protocol::{Channel, FeedbackResult, FlushResult, StreamResult};
use http_body_util::Full;
use hyper::body::Body;
use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Request, Response};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::body::{Taken, take};
use super::caller::Caller;
use super::door::Door;
use super::refusal::Refusal;
use super::reply::Reply;
use super::target::Target;
use crate::house::MessageAnswer;
use crate::ipc::renderers::Entrance;
use crate::ipc::room::{HELLO_TIME, LARGE_TIME, LargeShare};
use crate::ipc::service::StreamAnswer;

/// Browsers say with it from where a request comes, also where they say no `Origin`.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Does what a request asks for, and says what came of it.
pub(crate) async fn answer<B>(
    door: &Door,
    caller: &Caller,
    request: Request<B>,
) -> Response<Full<Bytes>>
where
    B: Body,
    B::Error: Display,
{
    match reply(door, caller, request).await {
        Ok(reply) => reply.into_response(),
        Err(refusal) => {
            refusal.count(door);
            refusal.into_response()
        }
    }
}

async fn reply<B>(door: &Door, caller: &Caller, request: Request<B>) -> Result<Reply, Refusal>
where
    B: Body,
    B::Error: Display,
{
    let (parts, body) = request.into_parts();
    is_from_no_page(door, &parts)?;
    let target = Target::read(&parts.method, parts.uri.path())?;
    let head = read(&parts.headers)?;
    let renderer = || {
        let renderer = recognise(door, &head)?;
        caller.is_known(door, renderer)?;
        Ok(renderer)
    };
    match target {
        Target::Hello => hello(door, caller, body).await,
        Target::Message(channel) => message(door, renderer()?, &head, channel, body).await,
        Target::Stream(channel) => stream(door, renderer()?, &head, channel, body).await,
        Target::Push(channel) => push(door, renderer()?, &head, channel).await,
        Target::Goodbye => {
            let renderer = renderer()?;
            door.service.leave(renderer);
            door.waiting.end(renderer);
            Ok(Reply::Farewell)
        }
    }
}

/// A page can be made to send to any address, but not to keep its browser from saying so: neither where
/// it comes from, nor by which name it found the address.
fn is_from_no_page(door: &Door, parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let is_host = |host: &str| host == door.host;
    let is_ours = hosts.next().is_some_and(|host| host.as_bytes() == door.host.as_bytes())
        && hosts.next().is_none()
        && parts.uri.authority().is_none_or(|authority| is_host(authority.as_str()));
    if !is_ours {
        let why = format!("`Host` is not {}, where main listens", door.host);
        return Err(Refusal::new(Answer::Forbidden, "host", why));
    }
    if parts.headers.contains_key(ORIGIN) || parts.headers.contains_key(SEC_FETCH_SITE) {
        let why = "it comes from a web page, and none may send anything here";
        return Err(Refusal::new(Answer::Forbidden, "origin", why));
    }
    Ok(())
}

fn read(headers: &HeaderMap) -> Result<RequestHead, Refusal> {
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    RequestHead::parse(headers).map_err(|error| {
        let answer = error.answer();
        let counted = if answer == Answer::Unproven { "secret" } else { "headers" };
        Refusal::new(answer, counted, error.to_string())
    })
}

fn recognise(door: &Door, head: &RequestHead) -> Result<Uuid, Refusal> {
    let renderer = head.renderer_id.zip(head.secret.as_ref());
    renderer
        .filter(|(id, secret)| door.service.recognises(*id, secret))
        .map(|(id, _)| id)
        .ok_or_else(unproven)
}

fn unproven() -> Refusal {
    Refusal::new(Answer::Unproven, "secret", Answer::Unproven.describe())
}

async fn hello<B>(door: &Door, caller: &Caller, body: B) -> Result<Reply, Refusal>
where
    B: Body,
    B::Error: Display,
{
    // Until it is known, the connection itself has less time than this.
    let Taken { bytes, .. } =
        take((door.service.room(), Uuid::nil()), body, HELLO_BYTES, LARGE_TIME).await?;
    let hello = Hello::parse(&bytes).map_err(|error| {
        let why = error.to_string();
        let rejection = Rejection::new(RejectionReason::Malformed, &why);
        Refusal::new(Answer::Malformed, "malformed", why).with_body(rejection.to_json())
    })?;
    // Whose it is matters only for somebody new, who takes a place.
    let pid = if door.service.is_new(&hello) { caller.process(hello.pid).await } else { None };
    match door.service.welcome(&hello, Entrance::Protocol { pid }) {
        Ok((welcome, replaced)) => {
            door.close(&replaced);
            caller.is_known(door, welcome.renderer_id)?;
            Ok(Reply::Json(welcome.to_json()))
        }
        Err(rejection) => {
            let answer = Answer::of_rejection(rejection.reason());
            let refusal = Refusal::uncounted(answer, rejection.message().to_owned());
            Err(refusal.with_body(rejection.to_json()))
        }
    }
}

async fn message<B>(
    door: &Door,
    renderer: Uuid,
    head: &RequestHead,
    channel: Channel,
    body: B,
) -> Result<Reply, Refusal>
where
    B: Body,
    B::Error: Display,
{
    if head.chunk.is_some() {
        let why = format!("the channel {channel} has no streams, so nothing there is a chunk");
        return Err(Refusal::new(Answer::Malformed, "headers", why));
    }
    let max_bytes = channel.declaration().max_opening_bytes();
    let Taken { bytes, large } =
        take((door.service.room(), renderer), body, max_bytes, HELLO_TIME).await?;
    let is_flush = channel == Channel::Flush;
    match door.service.say(renderer, head.message_id, channel, bytes, large).await {
        MessageAnswer::Feedback(result) => Ok(Reply::Json(result.to_json())),
        MessageAnswer::Taken if is_flush => {
            Ok(Reply::Json(FlushResult { durable: true }.to_json()))
        }
        MessageAnswer::NotDurable if is_flush => {
            Ok(Reply::Json(FlushResult { durable: false }.to_json()))
        }
        MessageAnswer::Taken => Ok(Reply::Done),
        MessageAnswer::NotDurable => {
            // An answer would promise that it is.
            let why = "main has it, but cannot write it down yet";
            Err(Refusal::uncounted(Answer::Busy, why))
        }
        MessageAnswer::Refused { status, why } => {
            let answer = Answer::from_status(status).unwrap_or(Answer::Busy);
            let refusal = Refusal::uncounted(answer, why);
            if channel == Channel::Feedback && answer == Answer::OverBudget {
                let result = FeedbackResult { status_code: Some(status), ..Default::default() };
                return Err(refusal.with_body(result.to_json()));
            }
            Err(refusal)
        }
    }
}

async fn stream<B>(
    door: &Door,
    renderer: Uuid,
    head: &RequestHead,
    channel: Channel,
    body: B,
) -> Result<Reply, Refusal>
where
    B: Body,
    B::Error: Display,
{
    let Some(id) = head.message_id else {
        let why = "a stream needs an id, which is the message id of all its requests";
        return Err(Refusal::new(Answer::Malformed, "headers", why));
    };
    let max_bytes = match head.chunk {
        Some(_) => CHUNK_BYTES,
        None => channel.declaration().max_opening_bytes(),
    };
    let Taken { bytes, large } =
        take((door.service.room(), renderer), body, max_bytes, HELLO_TIME).await?;
    let answer =
        ask(door, renderer, id, head.chunk, bytes, large).await.ok_or_else(Refusal::closed)?;
    let result = |received, complete| StreamResult { received, complete }.to_json();
    match answer {
        StreamAnswer::At(received) => Ok(Reply::Json(result(received, false))),
        StreamAnswer::Complete(received) => Ok(Reply::Json(result(received, true))),
        StreamAnswer::OutOfPlace(received) => {
            let refusal = Refusal::uncounted(Answer::OutOfPlace, Answer::OutOfPlace.describe());
            Err(refusal.with_body(result(received, false)))
        }
        StreamAnswer::NotOpen => {
            Err(Refusal::uncounted(Answer::NotOpen, Answer::NotOpen.describe()))
        }
        StreamAnswer::Declined(why) => Err(Refusal::uncounted(Answer::Forbidden, why)),
    }
}

/// What became of a stream's opening or piece. Nothing if main takes nothing any more.
async fn ask(
    door: &Door,
    renderer: Uuid,
    id: MessageId,
    place: Option<Place>,
    bytes: Bytes,
    large: Option<LargeShare>,
) -> Option<StreamAnswer> {
    let shares = door.service.room().message(renderer, bytes.len(), large).await?;
    let (tell, told) = oneshot::channel();
    // What it takes up it takes up until main has answered, whether anybody waits for that or not.
    let tell = move |answer| {
        drop(shares);
        drop(tell.send(answer));
    };
    match place {
        None => door.service.open_stream(renderer, id, &bytes, tell),
        Some(Place { offset, last }) => {
            door.service.take_chunk(renderer, id, (offset, last), bytes, tell);
        }
    }
    told.await.ok()
}

async fn push(
    door: &Door,
    renderer: Uuid,
    head: &RequestHead,
    channel: Channel,
) -> Result<Reply, Refusal> {
    let Some(mut pushes) = door.service.pushes(channel) else { return Err(Refusal::closed()) };
    let wait = door.waiting.begin(renderer, channel);
    loop {
        let news = pushes.borrow_and_update().news_for(renderer, head.after.unwrap_or(0));
        if let Some((cursor, payload)) = news {
            return Ok(Reply::Push(cursor, payload));
        }
        tokio::select! {
            biased;
            () = wait.ended() => return Ok(Reply::Nothing),
            changed = pushes.changed() => changed.map_err(|_| Refusal::closed())?,
        }
        // It may have been forgotten in the meantime.
        recognise(door, head)?;
    }
}
