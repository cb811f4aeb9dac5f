//! What main tells renderers.

use crate::json::{Json, ObjectWriter, Value};
use crate::limits::BAGGAGE_BYTES;
use crate::members::Members;
use crate::{EventId, PayloadError};

/// How main wants renderers to behave: all that it wants, each time. `None` is the renderer's own
/// value, as its application set it, whatever main wanted before.
///
/// What an older renderer does not understand it takes for `None`, one value at a time, so that the
/// rest still reaches it. Only of `paused`, on which consent depends, the careful reading counts:
/// whatever is there and is not `false` means that it shall pause.
///
/// ```
/// use guardhouse_protocol::Config;
///
/// let pause = Config { paused: Some(true), ..Config::default() };
/// assert_eq!(pause.to_json().text(), r#"{"paused":true}"#);
/// let newer = br#"{"paused":true,"logLevel":"notice","new_in_2030":1}"#;
/// assert_eq!(Config::parse(newer)?, pause);
/// # Ok::<(), guardhouse_protocol::PayloadError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Config {
    /// Whether to keep quiet until told otherwise.
    pub paused: Option<bool>,
    /// Share of errors to report, from 0 to 1.
    pub sample_rate: Option<f64>,
    /// Share of traces to report, from 0 to 1.
    pub traces_sample_rate: Option<f64>,
    /// The least severe logs to report.
    pub log_level: Option<LogLevel>,
}

listed! {
    /// How severe a log is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum LogLevel {
        /// Every step.
        Trace,
        /// What a developer wants to know.
        Debug,
        /// What happens.
        Info,
        /// What should not happen.
        Warn,
        /// What went wrong.
        Error,
        /// What ended the program.
        Fatal,
    }
}

impl LogLevel {
    /// The name, as logs say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The level with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

impl Config {
    /// Whether an event is among those of which this share is to be reported. The id decides, so
    /// renderers and main come to the same answer, and what one has chosen the other does not drop.
    ///
    /// ```
    /// use guardhouse_protocol::Config;
    ///
    /// let id = "40000000000000000000000000000000".parse()?;
    /// assert!(Config::chooses(0.26, id));
    /// assert!(!Config::chooses(0.25, id));
    /// # Ok::<(), guardhouse_protocol::EventIdError>(())
    /// ```
    pub fn chooses(rate: f64, id: EventId) -> bool {
        // What is not random in an id, its version, comes behind the first 48 bits.
        let (chance, _) = id.as_uuid().as_u64_pair();
        // A rate of 1 is above every fraction but the one that rounding makes of the last ids.
        rate >= 1.0 || (chance as f64 / 2.0_f64.powi(64)) < rate
    }

    /// Reads the payload of the `config` channel. It is an error only if it is no object at all.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        let members = Members::read(body)?;
        let rate = |member| {
            let rate = members.find(member)?.as_f64()?;
            (0.0..=1.0).contains(&rate).then_some(rate)
        };
        let log_level = members.find("logLevel").and_then(Value::as_str);
        Ok(Self {
            paused: members.find("paused").map(|paused| paused.as_bool() != Some(false)),
            sample_rate: rate("sampleRate"),
            traces_sample_rate: rate("tracesSampleRate"),
            log_level: log_level.and_then(|name| LogLevel::from_name(&name)),
        })
    }

    /// The payload of the `config` channel. A rate that is none from 0 to 1 is left out.
    pub fn to_json(&self) -> Json {
        let mut object = ObjectWriter::new();
        if let Some(paused) = self.paused {
            object.member("paused", paused);
        }
        for (name, rate) in
            [("sampleRate", self.sample_rate), ("tracesSampleRate", self.traces_sample_rate)]
        {
            if let Some(rate) = rate.filter(|rate| (0.0..=1.0).contains(rate)) {
                object.member(name, Json::number(rate));
            }
        }
        if let Some(level) = self.log_level {
            object.member("logLevel", level.name());
        }
        object.finish()
    }
}

/// A trace that a renderer should continue, in the forms of the headers of the same names.
///
/// ```
/// use guardhouse_protocol::Trace;
///
/// let header = "771a43a4192642f0b136d5159a501700-91595369230a4ca6-1";
/// let trace = Trace::new(header, Some("sentry-release=app%401.0"))?;
/// assert_eq!(Trace::parse(trace.to_json().text().as_bytes())?, trace);
/// assert!(Trace::new("771a43a4", None).is_err());
/// # Ok::<(), guardhouse_protocol::PayloadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    sentry_trace: Box<str>,
    baggage: Option<Box<str>>,
}

impl Trace {
    /// Checks the two headers.
    pub fn new(sentry_trace: &str, baggage: Option<&str>) -> Result<Self, PayloadError> {
        if !is_sentry_trace(sentry_trace) {
            let why = "it is not of the form {trace id}-{span id}, with or without -0 or -1";
            return Err(PayloadError::invalid("sentryTrace", why));
        }
        if let Some(baggage) = baggage {
            if baggage.len() > BAGGAGE_BYTES {
                let why = format!("it is longer than {BAGGAGE_BYTES} bytes");
                return Err(PayloadError::invalid("baggage", why));
            }
            if baggage.chars().any(char::is_control) {
                let why = "it has a control character, which a header cannot have";
                return Err(PayloadError::invalid("baggage", why));
            }
        }
        Ok(Self { sentry_trace: sentry_trace.into(), baggage: baggage.map(Into::into) })
    }

    /// The trace, the span to continue, and whether it is sampled.
    pub fn sentry_trace(&self) -> &str {
        &self.sentry_trace
    }

    /// What else is known of the trace.
    pub fn baggage(&self) -> Option<&str> {
        self.baggage.as_deref()
    }

    /// Reads the payload of the `trace` channel.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        let members = Members::read(body)?;
        Self::new(&members.text("sentryTrace")?, members.find_text("baggage")?.as_deref())
    }

    /// The payload of the `trace` channel.
    pub fn to_json(&self) -> Json {
        let mut object = ObjectWriter::new();
        object.member("sentryTrace", &*self.sentry_trace);
        if let Some(baggage) = self.baggage() {
            object.member("baggage", baggage);
        }
        object.finish()
    }
}

fn is_sentry_trace(header: &str) -> bool {
    let is_hex = |part: Option<&str>, length: usize| {
        part.is_some_and(|part| {
            part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let mut parts = header.split('-');
    is_hex(parts.next(), 32)
        && is_hex(parts.next(), 16)
        && matches!(parts.next(), None | Some("0" | "1"))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::TRACE_MESSAGE_BYTES;

    #[test]
    fn writing_is_what_reading_undoes() {
        let config = Config {
            paused: Some(false),
            sample_rate: Some(0.25),
            traces_sample_rate: Some(1.0),
            log_level: Some(LogLevel::Warn),
        };
        assert_eq!(Config::parse(config.to_json().text().as_bytes()), Ok(config));
        assert_eq!(Config::parse(b"{}"), Ok(Config::default()));
        assert_eq!(Config::parse(br#"{"paused":null}"#), Ok(Config::default()));
    }

    #[test]
    fn one_value_that_is_not_understood_costs_no_other() {
        for unknown in [
            r#""sampleRate":1.5"#,
            r#""sampleRate":"all""#,
            r#""tracesSampleRate":{"by":"route"}"#,
            r#""logLevel":"loud""#,
            r#""logLevel":5"#,
        ] {
            for paused in [true, false] {
                let body = format!(r#"{{{unknown},"paused":{paused}}}"#);
                let expected = Config { paused: Some(paused), ..Config::default() };
                assert_eq!(Config::parse(body.as_bytes()), Ok(expected), "{body}");
            }
        }
        assert!(Config::parse(b"[]").is_err());
    }

    #[test]
    fn whoever_cannot_tell_whether_to_pause_pauses() {
        for (paused, expected) in [
            ("true", Some(true)),
            ("false", Some(false)),
            ("null", None),
            ("1", Some(true)),
            (r#"{"until":"consent"}"#, Some(true)),
        ] {
            let body = format!(r#"{{"paused":{paused}}}"#);
            let config = Config::parse(body.as_bytes()).unwrap();
            assert_eq!(config.paused, expected, "{body}");
        }
    }

    #[test]
    fn nothing_is_written_that_is_not_read() {
        let config = Config {
            sample_rate: Some(f64::NAN),
            traces_sample_rate: Some(-1.0),
            ..Config::default()
        };
        assert_eq!(config.to_json().text(), "{}");
    }

    #[test]
    fn as_many_events_are_chosen_as_the_rate_says_and_more_with_a_higher_one() {
        let ids: Vec<_> = (0..10_000_u128)
            .map(|n| EventId::from_uuid(uuid::Uuid::from_u128(n * (u128::MAX / 10_000))))
            .collect();
        for rate in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let chosen = ids.iter().filter(|id| Config::chooses(rate, **id)).count() as f64;
            assert!((chosen - rate * 10_000.0).abs() <= 1.0, "{chosen} at {rate}");
        }
        let last = EventId::from_uuid(uuid::Uuid::max());
        assert!(Config::chooses(1.0, last) && !Config::chooses(0.999, last));
        assert!(!Config::chooses(0.0, EventId::from_uuid(uuid::Uuid::nil())));
    }

    #[test]
    fn a_trace_header_has_its_form() {
        let trace = "771a43a4192642f0b136d5159a501700-91595369230a4ca6";
        for (suffix, is_one) in
            [("", true), ("-0", true), ("-1", true), ("-2", false), ("-", false), ("-1-1", false)]
        {
            assert_eq!(Trace::new(&format!("{trace}{suffix}"), None).is_ok(), is_one, "{suffix}");
        }
        assert!(Trace::new(trace, Some("a\r\nx: y")).is_err());
        assert!(Trace::new(trace, Some(&"a".repeat(BAGGAGE_BYTES + 1))).is_err());
    }

    #[test]
    fn the_largest_trace_fits_its_message() {
        let trace = "771a43a4192642f0b136d5159a501700-91595369230a4ca6-1";
        for character in ["\"", "\\", "a"] {
            let trace = Trace::new(trace, Some(&character.repeat(BAGGAGE_BYTES))).unwrap();
            assert!(trace.to_json().text().len() <= TRACE_MESSAGE_BYTES);
        }
    }
}
