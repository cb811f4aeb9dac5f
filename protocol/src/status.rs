//! The heartbeat of a renderer.

use std::time::Duration;

use crate::PayloadError;
use crate::json::Value;
use crate::limits::STATUS_MILLIS;
use crate::members::Members;

/// The heartbeat of a renderer's main thread, and what to watch for.
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
/// # Ok::<(), guardhouse_protocol::PayloadError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Status {
    /// Reads either form.
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
        let config = members
            .find("config")
            .map(|_| members.object("config"))
            .transpose()?;
        let millis = |member: &'static str, default: u64| match config
            .as_ref()
            .and_then(|config| config.find(member))
        {
            Some(value) => duration(member, value),
            None => Ok(Duration::from_millis(default)),
        };
        Ok(Self {
            state,
            poll_interval: millis("pollInterval", 1000)?,
            anr_threshold: millis("anrThreshold", 5000)?,
            capture_stack_trace: match &config {
                Some(config) if config.find("captureStackTrace").is_some() => {
                    config.flag("captureStackTrace")?
                }
                _ => false,
            },
        })
    }
}

/// JavaScript's numbers may have a fraction.
fn duration(member: &'static str, value: Value<'_>) -> Result<Duration, PayloadError> {
    value
        .as_f64()
        .filter(|millis| (0.0..=STATUS_MILLIS as f64).contains(millis))
        .map(|millis| Duration::from_micros((millis * 1000.0) as u64))
        .ok_or_else(|| PayloadError::invalid(member, "it is not a time of up to a day"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (
                r#"{"status":1}"#,
                "\"status\" is invalid: it is not a string",
            ),
            (
                r#"{"status":"asleep"}"#,
                "\"status\" is invalid: it is none of",
            ),
            (r#"{"status":"alive","config":1}"#, "\"config\" is invalid"),
            (
                r#"{"status":"alive","config":{"pollInterval":-1}}"#,
                "\"pollInterval\" is invalid: it is not a time of up to a day",
            ),
            (
                r#"{"status":"alive","config":{"anrThreshold":1e400}}"#,
                "\"anrThreshold\" is invalid",
            ),
            (
                r#"{"status":"alive","config":{"captureStackTrace":1}}"#,
                "\"captureStackTrace\"",
            ),
        ] {
            let error = Status::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
