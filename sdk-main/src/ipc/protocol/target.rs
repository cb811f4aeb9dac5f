//! What a request is about.

use guardhouse_protocol::Channel;
use guardhouse_protocol::contract::Direction;
use guardhouse_protocol::http::{Answer, GOODBYE_PATH, HELLO_PATH};
use hyper::Method;

use super::refusal::Refusal;

/// What its method and path say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A renderer introduces itself.
    Hello,
    /// A renderer goes.
    Goodbye,
    /// A message.
    Message(Channel),
    /// A stream's opening or a piece of one.
    Stream(Channel),
    /// A renderer asks for what main pushes.
    Push(Channel),
}

impl Target {
    pub(super) fn read(method: &Method, path: &str) -> Result<Self, Refusal> {
        if method == Method::OPTIONS {
            // Only a browser asks so, before it lets a page send something.
            let why = "no page of a browser may send anything here";
            return Err(Refusal::new(Answer::Forbidden, "method", why));
        }
        let target = match path {
            HELLO_PATH => Self::Hello,
            GOODBYE_PATH => Self::Goodbye,
            _ => {
                let channel = Channel::from_path(path).map_err(|error| {
                    Refusal::new(Answer::UnknownChannel, "path", error.to_string())
                })?;
                match channel.declaration().direction {
                    Direction::OneWay | Direction::Request => Self::Message(channel),
                    Direction::Stream => Self::Stream(channel),
                    Direction::Push | Direction::Relay => Self::Push(channel),
                }
            }
        };
        let (right, why) = match target {
            Self::Push(_) => ("GET", "only main speaks there: ask with `GET`"),
            _ => ("POST", "main does not speak there: send with `POST`"),
        };
        if method.as_str() == right {
            return Ok(target);
        }
        Err(Refusal::new(Answer::WrongMethod, "method", why).but_allows(right))
    }
}
