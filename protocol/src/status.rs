//! The heartbeat of a renderer.

use std::time::Duration;

use crate::PayloadError;
use crate::error::cut;
use crate::json::{Json, ObjectWriter, Value};
use crate::limits::{STATUS_MILLIS, THREAD_NAME_BYTES};
use crate::members::Members;

/// The heartbeat of a thread of a renderer, and what to watch for. A page has one thread; a native
/// renderer says which of its threads it is, if it watches more than one.
///
/// ```
/// use guardhouse_protocol::{RendererState, Status};
///
/// // As the bridge hands it over, and as the body of a request.
/// for body in [
///     &br#"{"status":"hidden","config":{"anrThreshold":400}}"#[..],
///     br#"{"status":{"status":"hidden","config":{"anrThreshold":400}}}"#,
/// ] {
///     let status = Status::parse(body)?;
///     assert_eq!(status.state, RendererState::Hidden);
///     assert_eq!(status.anr_threshold.as_millis(), 400);
/// }
///
/// let heartbeat = Status::new(RendererState::Alive).with_thread("ui");
/// assert_eq!(Status::parse(heartbeat.to_json().text().as_bytes())?, heartbeat);
/// # Ok::<(), guardhouse_protocol::PayloadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What the renderer says of itself.
    pub state: RendererState,
    /// Time between two heartbeats; a second, unless the renderer says otherwise.
    pub poll_interval: Duration,
    /// Time without a heartbeat after which the renderer counts as not responding; 5 seconds, unless
    /// it says otherwise.
    pub anr_threshold: Duration,
    /// Whether to look for the stack of a renderer that does not respond.
    pub capture_stack_trace: bool,
    thread: Option<Box<str>>,
}

/// What a renderer says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RendererState {
    /// Its thread runs.
    Alive,
    /// Its page can be seen.
    Visible,
    /// Its page cannot be seen, so browsers slow it down and it is not watched.
    Hidden,
}

impl RendererState {
    /// The state as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Visible => "visible",
            Self::Hidden => "hidden",
        }
    }
}

impl Status {
    /// A status with the times that the SDK in a page has by default, of no thread in particular.
    pub const fn new(state: RendererState) -> Self {
        Self {
            state,
            poll_interval: Duration::from_secs(1),
            anr_threshold: Duration::from_secs(5),
            capture_stack_trace: false,
            thread: None,
        }
    }

    /// The same status of the thread with this name. What is longer than [`THREAD_NAME_BYTES`] loses
    /// its end: a heartbeat is worth more than a name.
    #[must_use]
    pub fn with_thread(self, name: &str) -> Self {
        Self { thread: Some(cut(name, THREAD_NAME_BYTES).into()), ..self }
    }

    /// The name of the thread whose heartbeat it is, if the renderer says.
    pub fn thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }

    /// Reads either form. A missed heartbeat would look like a hang, so only one without a state is an
    /// error: what else is odd has its default, and times that are longer than a day count as a day.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        let outer = Members::read(body)?;
        let members = match outer.object("status") {
            Ok(inner) => inner,
            Err(_) => outer,
        };
        let state = match &*members.text("status")? {
            "alive" => RendererState::Alive,
            "visible" => RendererState::Visible,
            "hidden" => RendererState::Hidden,
            _ => {
                let why = "it is none of alive, visible and hidden";
                return Err(PayloadError::invalid("status", why));
            }
        };
        let mut status = Self::new(state);
        if let Ok(Some(thread)) = members.find_text("thread") {
            status = status.with_thread(&thread);
        }
        let Ok(config) = members.object("config") else { return Ok(status) };
        if let Some(interval) = config.find("pollInterval").and_then(duration) {
            status.poll_interval = interval;
        }
        if let Some(threshold) = config.find("anrThreshold").and_then(duration) {
            status.anr_threshold = threshold;
        }
        status.capture_stack_trace = config.flag("captureStackTrace").unwrap_or(false);
        Ok(status)
    }

    /// The payload of the `status` channel, as the bridge hands it over.
    pub fn to_json(&self) -> Json {
        let mut config = ObjectWriter::new();
        config
            .member("pollInterval", millis(self.poll_interval))
            .member("anrThreshold", millis(self.anr_threshold))
            .member("captureStackTrace", self.capture_stack_trace);
        let mut object = ObjectWriter::new();
        object.member("status", self.state.name());
        if let Some(thread) = self.thread() {
            object.member("thread", thread);
        }
        object.member("config", config.finish());
        object.finish()
    }
}

/// JavaScript's numbers may have a fraction.
fn duration(value: Value<'_>) -> Option<Duration> {
    let millis = value.as_f64().filter(|millis| *millis >= 0.0)?.min(STATUS_MILLIS as f64);
    Some(Duration::from_micros((millis * 1000.0).round() as u64))
}

fn millis(duration: Duration) -> Json {
    let longest = Duration::from_millis(STATUS_MILLIS);
    let micros = duration.min(longest).as_micros() as u64;
    match micros % 1000 {
        0 => Json::from(micros / 1000),
        _ => Json::number(micros as f64 / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SMALL_MESSAGE_BYTES;

    #[test]
    fn what_is_missing_has_the_sdks_defaults() {
        let status = Status::parse(br#"{"status":"alive"}"#).unwrap();
        assert_eq!(status.poll_interval, Duration::from_secs(1));
        assert_eq!(status.anr_threshold, Duration::from_secs(5));
        assert!(!status.capture_stack_trace);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, message) in [
            ("{}", "\"status\" is missing"),
            ("[]", "it cannot be read"),
            (r#"{"status":1}"#, "\"status\" is invalid: it is not a string"),
            (r#"{"status":"asleep"}"#, "\"status\" is invalid: it is none of"),
        ] {
            let error = Status::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn no_heartbeat_is_lost_because_something_in_it_is_odd() {
        let plain = Status::new(RendererState::Alive);
        for odd in [
            r#""config":1"#,
            r#""config":{"pollInterval":-1}"#,
            r#""config":{"anrThreshold":1e400,"pollInterval":"1"}"#,
            r#""config":{"captureStackTrace":1}"#,
            r#""thread":1"#,
        ] {
            let body = format!("{{\"status\":\"alive\",{odd}}}");
            assert_eq!(Status::parse(body.as_bytes()).as_ref(), Ok(&plain), "{odd}");
        }
    }

    #[test]
    fn writing_is_what_reading_undoes() {
        let mut status = Status::new(RendererState::Hidden).with_thread("compositor \"1\"");
        status.poll_interval = Duration::from_micros(16_667);
        status.anr_threshold = Duration::from_millis(400);
        status.capture_stack_trace = true;
        let json = status.to_json();
        assert_eq!(
            json.text(),
            r#"{"status":"hidden","thread":"compositor \"1\"","config":{"pollInterval":16.667,"anrThreshold":400,"captureStackTrace":true}}"#
        );
        assert_eq!(Status::parse(json.text().as_bytes()), Ok(status));
    }

    #[test]
    fn no_heartbeat_is_lost_because_it_says_too_much() {
        let day = Duration::from_secs(24 * 60 * 60);
        let body = r#"{"status":"alive","config":{"pollInterval":86400001,"anrThreshold":1e300}}"#;
        let status = Status::parse(body.as_bytes()).unwrap();
        assert_eq!((status.poll_interval, status.anr_threshold), (day, day));

        let mut endless = Status::new(RendererState::Alive).with_thread(&"\u{1}".repeat(10_000));
        assert_eq!(endless.thread().unwrap().len(), THREAD_NAME_BYTES);
        endless.anr_threshold = Duration::MAX;
        let json = endless.to_json();
        assert!(json.text().len() <= SMALL_MESSAGE_BYTES);
        assert_eq!(Status::parse(json.text().as_bytes()).unwrap().anr_threshold, day);
    }
}
