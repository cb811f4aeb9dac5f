//! What an event means for the session.

use guardhouse_protocol::json::{Object, Value};

/// What an event means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The session goes on with an error more.
    Error,
    /// The session ends with it.
    Crash,
}

impl Severity {
    /// What an event means, if anything, that came to be in main (`is_of_main`) or in a renderer.
    ///
    /// An event is an error if it has an exception and its level is `error` or `fatal`, or not said,
    /// which means `error`. A message is none, whatever its level, as Sentry asks. It is a crash if
    /// nobody handled the exception, which only in main ends the application: a page goes on, and what a
    /// renderer says is not to be trusted with it. Native crashes are events of their own, for which
    /// whoever composes them says [`Crash`](Self::Crash).
    ///
    /// Ask it of events that the application's hooks did not drop: what it chooses to ignore is no
    /// error. What is dropped because it was not sampled is one.
    ///
    /// ```
    /// use guardhouse_main::session::Severity;
    /// use guardhouse_protocol::json::Object;
    ///
    /// let event = Object::parse(
    ///     br#"{"exception":{"values":[{"type":"panic","mechanism":{"handled":false}}]}}"#,
    /// )?;
    /// assert_eq!(Severity::of(&event, true), Some(Severity::Crash));
    /// assert_eq!(Severity::of(&event, false), Some(Severity::Error));
    /// assert_eq!(Severity::of(&Object::parse(br#"{"message":"hi"}"#)?, true), None);
    /// # Ok::<(), guardhouse_protocol::json::JsonError>(())
    /// ```
    pub fn of(event: &Object<'_>, is_of_main: bool) -> Option<Self> {
        let level = event.get("level").filter(|level| !level.is_null());
        if level.is_some_and(|level| !level.is_str("error") && !level.is_str("fatal")) {
            return None;
        }
        let exceptions = exceptions(event.get("exception")?);
        if exceptions.is_empty() {
            return None;
        }
        let is_unhandled = |exception: &Object<'_>| {
            exception.at(&["mechanism", "handled"]).and_then(Value::as_bool) == Some(false)
        };
        let is_crash = is_of_main && exceptions.iter().any(is_unhandled);
        Some(if is_crash { Self::Crash } else { Self::Error })
    }
}

/// They stand in `values`, or bare, many or one.
fn exceptions(exception: Value<'_>) -> Vec<Object<'_>> {
    let object = exception.as_object();
    let values = match &object {
        Some(object) => object.get("values"),
        None => Some(exception),
    };
    match (values.and_then(Value::elements), object) {
        (Some(values), _) => values.filter_map(Value::as_object).collect(),
        (None, Some(single)) if !single.is_empty() && values.is_none() => vec![single],
        _ => Vec::new(),
    }
}
