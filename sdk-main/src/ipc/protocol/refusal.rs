//! Why a request is not done.

use std::borrow::Cow;

use guardhouse_protocol::http::Answer;
use guardhouse_protocol::json::Json;

use super::door::Door;

/// What is answered instead, and under which name it is counted.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) answer: Answer,
    /// Nothing if whoever refused it has counted it.
    counted: Option<&'static str>,
    /// A sentence for a person, if there is nothing for a program.
    pub(super) why: Cow<'static, str>,
    /// What the contract has for a program, where it does.
    pub(super) body: Option<Json>,
    /// Whether the connection is closed, since there is more to come on it that nobody wants.
    pub(super) hangs_up: bool,
    /// The method that would have been right.
    pub(super) allowed: Option<&'static str>,
}

impl Refusal {
    /// One that is counted under this name.
    pub(super) fn new(
        answer: Answer,
        counted: &'static str,
        why: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { counted: Some(counted), ..Self::uncounted(answer, why) }
    }

    /// One that is counted elsewhere, or is no refusal to a program.
    pub(super) fn uncounted(answer: Answer, why: impl Into<Cow<'static, str>>) -> Self {
        Self { answer, counted: None, why: why.into(), body: None, hangs_up: false, allowed: None }
    }

    /// Main takes nothing any more.
    pub(super) fn closed() -> Self {
        Self::uncounted(Answer::Busy, "main takes nothing any more")
    }

    /// The same, with something for a program.
    pub(super) fn with_body(self, body: Json) -> Self {
        Self { body: Some(body), ..self }
    }

    /// The same, with the method that would have been right.
    pub(super) fn but_allows(self, method: &'static str) -> Self {
        Self { allowed: Some(method), ..self }
    }

    /// The same, and the connection is closed.
    pub(super) fn and_hangs_up(self) -> Self {
        Self { hangs_up: true, ..self }
    }

    /// Counts it and explains it to whoever develops the application.
    pub(super) fn count(&self, door: &Door) {
        if let Some(counted) = self.counted {
            let Self { answer, why, .. } = self;
            let status = answer.status();
            door.service
                .turn_away(counted, format_args!("a request was answered with {status}: {why}"));
        }
    }
}
