//! Something that happened before an event.

use super::{Refusal, Trimmed, trim};
use crate::Timestamp;
use crate::json::{Json, Kind, Object, Splice, Value};
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
    json: Json,
    meta: Option<Json>,
    timestamp: Option<Timestamp>,
}

impl Breadcrumb {
    /// Takes a breadcrumb as an SDK writes it. A message that is too long is cut; then `data`, and at
    /// last the whole, until it fits.
    pub fn new(value: Value<'_>) -> Result<Self, Refusal> {
        let object = value.as_object().ok_or(Refusal::WrongKind)?;
        let timestamp = object.get("timestamp").and_then(Timestamp::from_json);
        let room = if timestamp.is_some() {
            0
        } else {
            ROOM_FOR_TIMESTAMP
        };
        let Trimmed { value: json, meta } =
            fit(&object, BREADCRUMB_BYTES - room).ok_or(Refusal::TooLarge)?;
        Ok(Self {
            json,
            meta,
            timestamp,
        })
    }

    /// The breadcrumb as it goes into an event.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// What the event's `_meta` has to say about the breadcrumb, if something was cut.
    pub fn meta(&self) -> Option<&Json> {
        self.meta.as_ref()
    }

    /// When it happened; for a breadcrumb that does not say, when it arrived.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// Says when it arrived. If it does not say itself when it happened, or nothing that is a time,
    /// which Sentry would discard, it says that from now on: so it keeps its place among the others
    /// wherever it is told on.
    pub(super) fn arrived(&mut self, at: Timestamp) {
        if self.timestamp.is_some() {
            return;
        }
        let seconds = Json::number(at.as_seconds());
        self.timestamp = Timestamp::from_json(seconds.as_value()).or(Some(at));
        let Some(object) = self.json.as_object() else {
            return;
        };
        let mut splice = Splice::new(object);
        if splice.set(&["timestamp"], &seconds).is_ok()
            && let Ok(json) = Json::parse(splice.finish().as_bytes())
        {
            self.json = json;
        }
    }

    /// Takes over what the process that cut the breadcrumb says about it.
    pub(super) fn with_meta(mut self, meta: Option<Json>) -> Self {
        self.meta = self.meta.or(meta);
        self
    }

    pub(super) fn size(&self) -> usize {
        let meta = self.meta.as_ref().map_or(0, |meta| meta.text().len());
        size_of::<Self>() + self.json.text().len() + meta
    }
}

/// What the member `timestamp` needs at the most.
const ROOM_FOR_TIMESTAMP: usize = 48;

fn fit(object: &Object<'_>, max_bytes: usize) -> Option<Trimmed> {
    let whole = object.as_value();
    let mut splice = Splice::new(object.clone());
    let mut meta = Splice::new(Object::EMPTY);

    let message = object.get("message").and_then(|message| {
        trim::string(message, BREADCRUMB_MESSAGE_CHARS).filter(|trimmed| trimmed.meta.is_some())
    });
    let mut length = whole.text().len();
    if let Some(trimmed) = message {
        length -= object.get("message")?.text().len() - trimmed.value.text().len();
        splice.set(&["message"], trimmed.value).ok()?;
        meta.set(&["message"], trimmed.meta?).ok()?;
    }
    if length > max_bytes {
        let excess = length - max_bytes;
        let data = object
            .get("data")
            .filter(|data| data.kind() == Kind::Object);
        let trimmed =
            data.and_then(|data| trim::value(data, data.text().len().checked_sub(excess)?));
        if let Some(trimmed) = trimmed {
            splice.set(&["data"], trimmed.value).ok()?;
            meta.set(&["data"], trimmed.meta?).ok()?;
        }
    }
    if !splice.is_changed() {
        return trim::value(whole, max_bytes);
    }
    let edited = Json::parse(splice.finish().as_bytes()).ok()?;
    if edited.text().len() > max_bytes {
        return trim::value(edited.as_value(), max_bytes);
    }
    Some(Trimmed {
        value: edited,
        meta: Json::parse(meta.finish().as_bytes()).ok(),
    })
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
        assert_eq!(
            breadcrumb.timestamp().unwrap().unix_seconds(),
            1_795_193_675
        );
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
        assert_eq!(
            meta.at(&["data", "b", "", "len"]).unwrap().as_u64(),
            Some(50_000)
        );
    }

    #[test]
    fn one_without_a_time_says_when_it_arrived() {
        let at = Timestamp::from_unix(1_795_193_675, 500_000_000);
        for (before, after) in [
            ("{}", r#"{"timestamp":1795193675.5}"#),
            (
                r#"{"timestamp":"?","a":1}"#,
                r#"{"timestamp":1795193675.5,"a":1}"#,
            ),
            (r#"{"timestamp":1,"a":1}"#, r#"{"timestamp":1,"a":1}"#),
        ] {
            let mut breadcrumb = breadcrumb(before);
            breadcrumb.arrived(at);
            assert_eq!(breadcrumb.json().text(), after);
            assert_eq!(
                Breadcrumb::new(breadcrumb.json().as_value()),
                Ok(breadcrumb)
            );
        }
        let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(50_000));
        let mut breadcrumb = self::breadcrumb(&large);
        breadcrumb.arrived(at);
        assert!(breadcrumb.json().text().len() <= BREADCRUMB_BYTES);
    }

    #[test]
    fn whatever_else_is_large_is_cut_as_well() {
        let text = format!(r#"{{"x":"{}","message":"m"}}"#, "x".repeat(50_000));
        assert!(breadcrumb(&text).json().text().len() <= BREADCRUMB_BYTES);
    }
}
