//! The protocol way in detail: what stands in the head of a request, and what a status means.
//!
//! A channel goes over the protocol as an HTTP request: for a page to a custom scheme that its
//! webview answers, for a native renderer to a socket on the loopback interface.
//! [`Channel`](crate::Channel) writes and reads the URLs and paths; this module adds headers and
//! statuses. It promises that what it reads is checked, and that each header is there once or not
//! at all. It leaves HTTP itself, time limits and the looking up of renderers to whoever owns the
//! socket or the webview.
//!
//! # Who speaks
//!
//! Where a request arrives says who sent it, and nothing in the request changes that:
//!
//! - On the custom scheme there are **pages**. The unmodified SDK in a page sends
//!   [`RENDERER_ID_HEADER`] and no other header of this module, and [`RequestHead::parse_page`]
//!   looks at no other. The id proves nothing: the host asks its webviews which of their pages
//!   holds that id in [`RENDERER_ID_GLOBAL`](crate::channel::RENDERER_ID_GLOBAL), once for each id,
//!   and refuses a request whose `Origin` is not that page's. Channels that need more than an id,
//!   which are those that answer with a stream or push, a page has on the classic way only.
//!   Browsers ask with `OPTIONS` before they send the header; the host answers that without asking
//!   main.
//! - On the loopback interface there are **native renderers**. Each begins with a `POST` of a
//!   [`Hello`](crate::frame::Hello) to [`HELLO_PATH`], and is answered with a
//!   [`Welcome`](crate::frame::Welcome) or, with the status that [`Answer::of_rejection`] says, a
//!   [`Rejection`](crate::frame::Rejection). Every other request shows id and secret of the
//!   welcome: `sentry-electron-renderer-id: …` and `authorization: Bearer …`. One that was welcomed
//!   over a classic connection shows those of that welcome, and needs no other; nor does it the
//!   other way round, when it [resumes](crate::frame::Resume). Its last request is a `POST` to
//!   [`GOODBYE_PATH`]. `Host` has to be the address and port that main listens on, and `Origin`
//!   absent: a web page that found the port is refused.
//!
//! # Messages
//!
//! A `POST` to the path of a channel is a message of it, answered when the channel's
//! [acknowledgement](crate::contract::Acknowledgement) is due. With [`MESSAGE_ID_HEADER`] it has
//! the id that it would have in a frame, with the [same rules](crate::frame#ids): main takes what
//! comes under one id once, on whatever way, and answers each time. A message without an id, as the
//! SDK in a page sends it, is a new one each time.
//!
//! A native renderer that wants its messages taken in order sends the next one when it has the
//! answer to the last: requests on several connections overtake each other.
//!
//! # Streams
//!
//! All requests of a stream carry the stream's id as their message id. The first, without
//! [`CHUNK_HEADER`], has a [`StreamOpening`](crate::StreamOpening) for its body; those with it have
//! bytes. Each is answered with a [`StreamResult`](crate::StreamResult), which says how much is
//! durable and so where to go on; so is a chunk whose place is not the next one, with status 409,
//! as a frame in its place is answered with what is durable. Opening a stream again under its id is
//! how to ask where it is. One that main declines is answered with 403. Of more
//! than [`STREAMS`](crate::limits::STREAMS) at once main gives up the one that rests the longest, whose
//! next chunk is answered with 410.
//!
//! # What main pushes
//!
//! A `GET` of the channel's path asks for what main pushes there, and is kept waiting until there
//! is something new. What is pushed is always all there is to say, so only the newest counts and
//! none has to be queued. Main numbers them, and answers with the number in [`CURSOR_HEADER`]; the
//! next `GET` says that number in [`AFTER_HEADER`], and so gets nothing twice and misses no change,
//! even if one happened while nobody asked. Without the header, main answers with what holds now.
//! Numbers are those of one welcome: after another the renderer begins without.
//!
//! Main sets no time for the waiting, so that nobody wakes up for nothing. A renderer has one such
//! request for each channel: when another comes, main answers the one that waits with 204, as it
//! may whenever it has to, and the renderer asks again unless it has done so.

mod answer;
mod head;

pub use answer::Answer;
pub use head::{HeaderError, Place, RequestHead, parse_cursor};

/// Says which renderer sent a request.
pub const RENDERER_ID_HEADER: &str = "sentry-electron-renderer-id";

/// Shows that a native renderer is the one with the id: `Bearer` and the secret of its welcome.
pub const SECRET_HEADER: &str = "authorization";

/// Says the [id](crate::frame::MessageId) of a message or stream, in decimal digits.
pub const MESSAGE_ID_HEADER: &str = "guardhouse-message-id";

/// Says that the body is a piece of a stream, and its [place](Place).
pub const CHUNK_HEADER: &str = "guardhouse-chunk";

/// Says which push the renderer has already, in decimal digits.
pub const AFTER_HEADER: &str = "guardhouse-after";

/// Says in an answer which push its body is, in decimal digits.
pub const CURSOR_HEADER: &str = "guardhouse-cursor";

/// Where a native renderer introduces itself.
pub const HELLO_PATH: &str = "/hello/sentry_key";

/// Where a native renderer says that it goes in good order.
pub const GOODBYE_PATH: &str = "/goodbye/sentry_key";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Channel;
    use crate::channel::URL_TAIL;

    #[test]
    fn hello_and_goodbye_are_no_channels() {
        for path in [HELLO_PATH, GOODBYE_PATH] {
            assert!(path.ends_with(URL_TAIL));
            assert!(Channel::from_path(path).is_err());
        }
    }
}
