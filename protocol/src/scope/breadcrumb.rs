//! Something that happened before an event.

use super::{Refusal, Trimmed, trim};
use crate::Timestamp;
use crate::json::{Json, Object, ObjectWriter, Splice, Value};
use crate::limits::{BREADCRUMB_BYTES, BREADCRUMB_MESSAGE_CHARS};

/// A breadcrumb: the JSON object that it came as, made to fit, and its time.
///
/// ```
/// use guardhouse_protocol::json::Json;
/// use guardhouse_protocol::scope::Breadcrumb;
///
/// let json = Json::parse(br#"{"timestamp":1795193675.01,"category":"ui.click"}"#)?;
/// let breadcrumb = Breadcrumb::new(json.as_value())?;
/// assert_eq!(breadcrumb.timestamp().unwrap().to_string(), "2026-11-20T16:54:35.010Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breadcrumb {
    trimmed: Trimmed,
    /// The time in the JSON.
    stated: Option<Timestamp>,
    /// The time by which it is ordered, if that is another.
    counted: Option<Timestamp>,
}

impl Breadcrumb {
    /// Takes a breadcrumb as an SDK writes it. A message that is too long is cut; then the largest
    /// members, until it fits.
    pub fn new(value: Value<'_>) -> Result<Self, Refusal> {
        trim::check(value)?;
        let object = value.as_object().ok_or(Refusal::WrongKind)?;
        let mut trimmed = fit(&object, BREADCRUMB_BYTES).ok_or(Refusal::TooLarge)?;
        let room = BREADCRUMB_BYTES - ROOM_FOR_TIMESTAMP;
        if stated(&trimmed).is_none() && trimmed.value().text().len() > room {
            trimmed = fit(&object, room).ok_or(Refusal::TooLarge)?;
        }
        Ok(Self { stated: stated(&trimmed), trimmed, counted: None })
    }

    /// The breadcrumb as it goes into an event.
    pub fn json(&self) -> &Json {
        self.trimmed.value()
    }

    /// What the event's `_meta` has to say about the breadcrumb, if something was cut.
    pub fn meta(&self) -> Option<&Json> {
        self.trimmed.meta()
    }

    /// The time by which it is ordered among the breadcrumbs of all processes: when it happened, as it
    /// says; when it arrived, if it does not say, or says that it happened after it arrived.
    /// Otherwise a process whose clock is wrong could push out those of all others.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.counted.or(self.stated)
    }

    /// Says when it arrived. If it does not say itself when it happened, or nothing that is a time,
    /// which Sentry would discard, it says that from now on. What it says stays.
    pub(super) fn arrived(&mut self, at: Timestamp) {
        let time = self.timestamp().map_or(at, |time| time.min(at));
        if self.stated.is_none() {
            self.state(at);
        }
        self.count_as(time);
    }

    /// Takes over what the process that told it on says about it: what was cut, and the time by which
    /// it is ordered.
    pub(super) fn told_on(mut self, meta: Option<Json>, counted: Option<Timestamp>) -> Self {
        self.trimmed = self.trimmed.cut_before(meta);
        if let Some(time) = counted {
            self.count_as(time);
        }
        self
    }

    /// The time by which it is ordered, if its JSON states another.
    pub(super) fn counted(&self) -> Option<Timestamp> {
        self.counted
    }

    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.trimmed.size()
    }

    fn count_as(&mut self, time: Timestamp) {
        self.counted = Some(time).filter(|time| self.stated != Some(*time));
    }

    fn state(&mut self, at: Timestamp) {
        let Some(object) = self.json().as_object() else {
            return;
        };
        let mut splice = Splice::new(object);
        if splice.set(&["timestamp"], Json::number(at.as_seconds())).is_ok()
            && let Ok(json) = Json::parse(splice.finish().as_bytes())
        {
            self.trimmed.replace(json);
            self.stated = stated(&self.trimmed);
        }
    }
}

/// What the member `timestamp` needs at the most.
const ROOM_FOR_TIMESTAMP: usize = 48;

fn stated(breadcrumb: &Trimmed) -> Option<Timestamp> {
    let object = breadcrumb.value().as_object()?;
    object.get("timestamp").and_then(Timestamp::from_json)
}

fn fit(object: &Object<'_>, max_bytes: usize) -> Option<Trimmed> {
    let message =
        object.get("message").and_then(|message| trim::string(message, BREADCRUMB_MESSAGE_CHARS));
    let Some((message, cut)) = message.as_ref().and_then(|m| Some((m.value(), m.meta()?))) else {
        return trim::value(object.as_value(), max_bytes);
    };
    let mut splice = Splice::new(object.clone());
    splice.set(&["message"], message).ok()?;
    let edited = Json::parse(splice.finish().as_bytes()).ok()?;
    let mut about = ObjectWriter::new();
    about.member("message", cut);
    let trimmed = trim::value(edited.as_value(), max_bytes)?;
    Some(trimmed.cut_before(Some(about.finish())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breadcrumb(text: &str) -> Breadcrumb {
        Breadcrumb::new(Json::parse(text.as_bytes()).unwrap().as_value()).unwrap()
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let text = r#"{ "timestamp":"2026-11-20T16:54:35Z","data":{"\ud83d":1.0} }"#;
        let breadcrumb = breadcrumb(text);
        assert_eq!(breadcrumb.json().text(), text);
        assert_eq!(breadcrumb.meta(), None);
        assert_eq!(breadcrumb.timestamp().unwrap().unix_seconds(), 1_795_193_675);
        assert!(Breadcrumb::new(Json::from("x").as_value()).is_err());
    }

    #[test]
    fn a_long_message_is_cut_and_marked() {
        let text = format!(r#"{{"message":"{}","level":"info"}}"#, "m".repeat(10_000));
        let breadcrumb = breadcrumb(&text);
        let object = breadcrumb.json().as_object().unwrap();
        assert_eq!(object.get("message").unwrap().as_str().unwrap().len(), 8192);
        assert!(object.get("level").unwrap().is_str("info"));
        assert_eq!(
            breadcrumb.meta().unwrap().text(),
            r#"{"message":{"":{"rem":[["!limit","s",8189,8192]],"len":10000}}}"#
        );
    }

    #[test]
    fn data_makes_room_for_the_rest() {
        let text = format!(
            r#"{{"data":{{"a":1,"b":"{}"}},"message":"m","timestamp":1}}"#,
            "d".repeat(50_000)
        );
        let breadcrumb = breadcrumb(&text);
        assert!(breadcrumb.json().text().len() <= BREADCRUMB_BYTES);
        let object = breadcrumb.json().as_object().unwrap();
        assert!(object.get("message").unwrap().is_str("m"));
        assert_eq!(object.at(&["data", "a"]).unwrap().as_u64(), Some(1));
        let meta = breadcrumb.meta().unwrap().as_object().unwrap();
        assert_eq!(meta.at(&["data", "b", "", "len"]).unwrap().as_u64(), Some(50_000));
    }

    #[test]
    fn two_cuts_are_both_told_with_the_lengths_that_there_were() {
        for data in [20_000, 200_000] {
            let (message, data) = ("m".repeat(10_000), "d".repeat(data));
            let text =
                format!(r#"{{"message":"{message}","level":"info","data":{{"x":"{data}"}}}}"#);
            let breadcrumb = breadcrumb(&text);
            assert!(breadcrumb.json().text().len() <= BREADCRUMB_BYTES);
            let object = breadcrumb.json().as_object().unwrap();
            assert!(object.get("level").unwrap().is_str("info"));
            let meta = breadcrumb.meta().unwrap().as_object().unwrap();
            let length = |path: &[&str]| meta.at(path).unwrap().as_u64();
            assert_eq!(length(&["message", "", "len"]), Some(10_000));
            assert_eq!(length(&["data", "x", "", "len"]), Some(data.len() as u64));
        }
        // The message is cut twice: to what Sentry keeps, and to what there is room for.
        let text = format!(
            r#"{{"message":"{}","other":"{}"}}"#,
            r"\u0001".repeat(10_000),
            "o".repeat(50_000)
        );
        let breadcrumb = breadcrumb(&text);
        let meta = breadcrumb.meta().unwrap().as_object().unwrap();
        assert_eq!(meta.at(&["message", "", "len"]).unwrap().as_u64(), Some(10_000));
        assert_eq!(meta.at(&["other", "", "len"]).unwrap().as_u64(), Some(50_000));
    }

    #[test]
    fn what_is_too_deep_or_far_too_large_is_refused() {
        let new = |text: &str| Breadcrumb::new(Json::parse(text.as_bytes()).unwrap().as_value());
        let nested =
            |depth: usize| format!("{{\"data\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(new(&nested(31)).is_ok());
        assert_eq!(new(&nested(32)), Err(Refusal::TooDeep));
        let large = format!("{{\"data\":\"{}\"}}", "x".repeat(300_000));
        assert_eq!(new(&large), Err(Refusal::TooLarge));
    }

    #[test]
    fn one_without_a_time_says_when_it_arrived() {
        let at = Timestamp::from_unix(1_795_193_675, 500_000_000);
        for (before, after) in [
            ("{}", r#"{"timestamp":1795193675.5}"#),
            (r#"{"timestamp":"?","a":1}"#, r#"{"timestamp":1795193675.5,"a":1}"#),
            (r#"{"timestamp":1,"a":1}"#, r#"{"timestamp":1,"a":1}"#),
        ] {
            let mut breadcrumb = breadcrumb(before);
            breadcrumb.arrived(at);
            assert_eq!(breadcrumb.json().text(), after);
            let again = Breadcrumb::new(breadcrumb.json().as_value());
            assert_eq!(again.as_ref(), Ok(&breadcrumb));
        }
        let long = format!("{{\"message\":\"{}\"}}", "\u{1f600}".repeat(4096));
        let mut breadcrumb = breadcrumb(&long);
        breadcrumb.arrived(Timestamp::from_unix(i64::from(u32::MAX), 123_456_789));
        assert!(breadcrumb.json().text().len() <= BREADCRUMB_BYTES);
    }

    #[test]
    fn one_from_the_future_is_ordered_when_it_arrived_and_says_what_it_said() {
        let at = Timestamp::from_unix(1_795_193_675, 123_456_789);
        let text = r#"{"timestamp":"9999-12-31T23:59:59Z"}"#;
        let mut breadcrumb = breadcrumb(text);
        breadcrumb.arrived(at);
        assert_eq!(breadcrumb.timestamp(), Some(at));
        assert_eq!(breadcrumb.json().text(), text);
        // Whoever hears of it later does not order it later.
        breadcrumb.arrived(Timestamp::from_unix(1_800_000_000, 0));
        assert_eq!(breadcrumb.timestamp(), Some(at));
    }
}
