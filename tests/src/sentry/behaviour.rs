//! What a server does with a request, if not what it should.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

/// What a server does with a request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// It answers so.
    Answer(Reply),
    /// It does nothing any more, from this stage on.
    Hang(Stage),
    /// It resets the connection when it has read the request.
    Reset,
    /// It resets the connection instead of reading the request.
    ResetAtOnce,
    /// It reads and answers as it should, a piece at a time, with this pause after each.
    Slowly(Duration),
    /// Its answer's body does not end, though it goes on.
    EndlessAnswer,
    /// Its answer has more headers than anybody needs.
    HugeHead,
    /// It answers something that is not HTTP.
    Garbage,
    /// It answers when it has seen the head of the request, and reads no more of it.
    AnswerEarly(Reply),
}

/// Where a server hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The connection is made, but nothing is read or said, no encryption agreed on.
    Connection,
    /// Before the request is read.
    Request,
    /// In the middle of the request's body.
    Body,
    /// Before the answer.
    Answer,
    /// In the middle of the answer's head.
    Head,
    /// In the middle of the answer's body.
    AnswerBody,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Answers with this status.
pub fn status(status: u16) -> Behaviour {
    Behaviour::Answer(Reply { status, headers: Vec::new(), body: b"{}".to_vec() })
}

/// Answers 429 with these limits in `X-Sentry-Rate-Limits`.
pub fn rate_limit(limits: &str) -> Behaviour {
    status(429).with_header("X-Sentry-Rate-Limits", limits)
}

/// Answers 429 with this in `Retry-After`.
pub fn retry_after(when: &str) -> Behaviour {
    status(429).with_header("Retry-After", when)
}

/// Sends the client elsewhere.
pub fn redirect(url: &str) -> Behaviour {
    status(307).with_header("Location", url)
}

/// Answers 200 with a body that is not the JSON it says it is.
pub fn bad_json() -> Behaviour {
    Behaviour::Answer(Reply { status: 200, headers: Vec::new(), body: b"{\"id\": <html>".to_vec() })
}

/// Does nothing any more, from this stage on.
pub fn hang(stage: Stage) -> Behaviour {
    Behaviour::Hang(stage)
}

/// Resets the connection when it has read the request.
pub fn reset() -> Behaviour {
    Behaviour::Reset
}

/// Reads and answers a piece at a time, with this pause after each.
pub fn slowly(pause: Duration) -> Behaviour {
    Behaviour::Slowly(pause)
}

impl Behaviour {
    /// The same, with one more header in the answer, if it is one.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer(reply) | Self::AnswerEarly(reply) = &mut self {
            reply.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The same answer, given before the request's body is read.
    #[must_use]
    pub fn early(self) -> Self {
        match self {
            Self::Answer(reply) => Self::AnswerEarly(reply),
            other => other,
        }
    }
}

/// What was asked of a server, for requests to come.
#[derive(Default)]
pub(super) struct Script {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: VecDeque<Behaviour>,
    always: Option<Behaviour>,
    hanging: Vec<TcpStream>,
}

impl Script {
    pub(super) fn next(&self, behaviour: Behaviour) {
        self.state.lock().unwrap().next.push_back(behaviour);
    }

    pub(super) fn always(&self, behaviour: Behaviour) {
        self.state.lock().unwrap().always = Some(behaviour);
    }

    /// Forgets everything and ends what hangs.
    pub(super) fn recover(&self) {
        let state = std::mem::take(&mut *self.state.lock().unwrap());
        for stream in state.hanging {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// What to do with the next request, if something was asked. If the connection is to hang, it
    /// ends on a recovery that comes at any time after this.
    pub(super) fn for_request(&self, stream: &TcpStream) -> Option<Behaviour> {
        let mut state = self.state.lock().unwrap();
        let behaviour = state.next.pop_front().or_else(|| state.always.clone());
        if matches!(behaviour, Some(Behaviour::Hang(_) | Behaviour::AnswerEarly(_))) {
            state.hanging.extend(stream.try_clone());
        }
        behaviour
    }

    /// Whether the next request is one whose connection hangs from its beginning.
    pub(super) fn hangs_at_connection(&self, stream: &TcpStream) -> bool {
        let is_meant =
            |behaviour: &Behaviour| matches!(behaviour, Behaviour::Hang(Stage::Connection));
        let mut state = self.state.lock().unwrap();
        let hangs = match state.next.front() {
            Some(next) => is_meant(next),
            None => state.always.as_ref().is_some_and(is_meant),
        };
        if hangs {
            state.next.pop_front();
            state.hanging.extend(stream.try_clone());
        }
        hangs
    }
}
