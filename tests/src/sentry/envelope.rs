//! Envelopes, read in the simplest way.

use serde_json::Value;

/// An envelope that arrived.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The envelope's header.
    pub header: Value,
    /// The items, as they came.
    pub items: Vec<Item>,
}

/// An item of an envelope.
#[derive(Clone, Debug)]
pub struct Item {
    /// The item's header.
    pub header: Value,
    /// The item's payload.
    pub payload: Vec<u8>,
}

impl Envelope {
    /// Reads an envelope; what is wrong with it, if it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut rest = bytes;
        let header = object(line(&mut rest)).ok_or("the envelope's header is no object")?;
        let mut items = Vec::new();
        while !rest.is_empty() {
            let number = items.len();
            let head = line(&mut rest);
            if head.is_empty() {
                continue;
            }
            let header =
                object(head).ok_or_else(|| format!("the header of item {number} is no object"))?;
            let payload = match header.get("length") {
                None => line(&mut rest),
                Some(length) => {
                    let length = length.as_u64().and_then(|length| usize::try_from(length).ok());
                    let parts = length.and_then(|length| rest.split_at_checked(length));
                    let Some((payload, behind)) = parts else {
                        return Err(format!("item {number} is shorter than its length"));
                    };
                    rest = behind;
                    if !line(&mut rest).is_empty() {
                        return Err(format!("item {number} is longer than its length"));
                    }
                    payload
                }
            };
            items.push(Item { header, payload: payload.to_vec() });
        }
        Ok(Self { header, items })
    }

    /// The event's id, as the header says it.
    pub fn event_id(&self) -> Option<&str> {
        self.header.get("event_id")?.as_str()
    }
}

impl Item {
    /// Its type; empty if it does not say.
    pub fn kind(&self) -> &str {
        self.header.get("type").and_then(Value::as_str).unwrap_or("")
    }

    /// Its payload as JSON; null if it is not (also if it holds half of a surrogate pair, which this
    /// reader does not take).
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or(Value::Null)
    }
}

/// What an event says: its own message, under either of its names, or what its first exception says.
pub fn message_of(event: &Value) -> Option<&str> {
    let places = ["/message", "/logentry/formatted", "/exception/values/0/value"];
    places.into_iter().find_map(|place| event.pointer(place)?.as_str())
}

fn object(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().filter(Value::is_object)
}

/// Takes a line off, without its end.
fn line<'b>(rest: &mut &'b [u8]) -> &'b [u8] {
    let end = rest.iter().position(|byte| *byte == b'\n');
    let (line, behind) = match end {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (*rest, &[][..]),
    };
    *rest = behind;
    line
}
