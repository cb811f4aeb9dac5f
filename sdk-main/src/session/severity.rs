//! What an event means for the session.

use guardhouse_protocol::json::{Object, Value};
use sentry::Level;
use sentry::protocol::Event;

/// What an event means for the session.
///
/// An event is an error if its level is `error` or `fatal`, or not said, which Sentry takes for
/// `error`; or if it has an exception, whatever its level. That is the definition of the `sentry` crate.
/// It is a crash if nobody handled one of its exceptions, which only in main ends the application: a page
/// goes on, and what a renderer says is not to be trusted with it. Native crashes are events of their
/// own, for which whoever composes them says [`Crash`](Self::Crash).
///
/// What the application's hooks drop is no error: the application chose to ignore it. What is left out
/// because it was not sampled is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The session goes on with an error more.
    Error,
    /// The session ends with it.
    Crash,
}

impl Severity {
    /// What an event means that main has captured.
    ///
    /// ```
    /// use guardhouse_main::sentry::Level;
    /// use guardhouse_main::sentry::protocol::Event;
    /// use guardhouse_main::session::Severity;
    ///
    /// let warning = Event { level: Level::Warning, ..Event::default() };
    /// assert_eq!(Severity::of_captured(&warning), None);
    /// let error = Event { level: Level::Error, ..Event::default() };
    /// assert_eq!(Severity::of_captured(&error), Some(Severity::Error));
    /// ```
    pub fn of_captured(event: &Event<'_>) -> Option<Self> {
        let is_unhandled = event.exception.values.iter().any(|exception| {
            exception.mechanism.as_ref().and_then(|mechanism| mechanism.handled) == Some(false)
        });
        let is_error = event.level >= Level::Error || !event.exception.values.is_empty();
        match (is_unhandled, is_error) {
            (true, _) => Some(Self::Crash),
            (false, true) => Some(Self::Error),
            (false, false) => None,
        }
    }

    /// What an event would mean in main that a renderer reports: its level, if it has any, and its
    /// exceptions as they stand in its JSON. A crash in a renderer is an error for the session.
    ///
    /// ```
    /// use guardhouse_main::session::Severity;
    /// use guardhouse_protocol::json::Object;
    ///
    /// let event = Object::parse(br#"{"message":"hi","level":"warning"}"#)?;
    /// assert_eq!(Severity::of_reported(event.get("level"), event.get("exception")), None);
    /// let event = Object::parse(br#"{"message":"hi"}"#)?;
    /// let severity = Severity::of_reported(event.get("level"), event.get("exception"));
    /// assert_eq!(severity, Some(Severity::Error));
    /// # Ok::<(), guardhouse_protocol::json::JsonError>(())
    /// ```
    pub fn of_reported(level: Option<Value<'_>>, exception: Option<Value<'_>>) -> Option<Self> {
        let exceptions = exception.map(exceptions).unwrap_or_default();
        let is_unhandled = |exception: &Object<'_>| {
            exception.at(&["mechanism", "handled"]).and_then(Value::as_bool) == Some(false)
        };
        if exceptions.iter().any(is_unhandled) {
            Some(Self::Crash)
        } else if is_error_level(level) || !exceptions.is_empty() {
            Some(Self::Error)
        } else {
            None
        }
    }
}

/// What is no level that Sentry knows counts as none, so it means `error`.
fn is_error_level(level: Option<Value<'_>>) -> bool {
    let below = ["debug", "info", "log", "warning"];
    !level.is_some_and(|level| below.iter().any(|name| level.is_str(name)))
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
