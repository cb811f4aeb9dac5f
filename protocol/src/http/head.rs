//! What stands in the head of a request, each header checked.

use std::fmt;

use uuid::Uuid;

use super::{
    AFTER_HEADER, Answer, CHUNK_HEADER, CURSOR_HEADER, MESSAGE_ID_HEADER, RENDERER_ID_HEADER,
    SECRET_HEADER,
};
use crate::frame::{MessageId, Proof};
use crate::limits::STREAM_BYTES;

const BEARER: &str = "Bearer";
const LAST: &str = "last";

/// What the headers of a request say.
///
/// ```
/// use guardhouse_protocol::frame::MessageId;
/// use guardhouse_protocol::http::{Place, RequestHead};
///
/// let head = RequestHead {
///     message_id: Some(MessageId::new(7)),
///     chunk: Some(Place { offset: 262_144, last: true }),
///     ..RequestHead::default()
/// };
/// let headers = head.to_headers();
/// assert_eq!(headers[0], ("guardhouse-message-id", "7".to_owned()));
/// assert_eq!(headers[1], ("guardhouse-chunk", "262144; last".to_owned()));
///
/// let read = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
/// assert_eq!(RequestHead::parse(read)?, head);
///
/// let error = RequestHead::parse([("Guardhouse-Message-Id", &b"-7"[..])]).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the header guardhouse-message-id is not a whole number"
/// );
/// # Ok::<(), guardhouse_protocol::http::HeaderError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// Which renderer sent it. Of a page it is only what the page says.
    pub renderer_id: Option<Uuid>,
    /// What shows that a native renderer is the one with that id.
    pub secret: Option<Proof>,
    /// The id of the message or stream.
    pub message_id: Option<MessageId>,
    /// The place of the body in its stream, if the body is a piece of one.
    pub chunk: Option<Place>,
    /// Which push the renderer has already.
    pub after: Option<u64>,
}

/// The place of a piece in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where in the stream the piece begins.
    pub offset: u64,
    /// Whether the stream ends with it.
    pub last: bool,
}

impl RequestHead {
    /// Reads the headers of this module from all headers of a native renderer's request. Names are
    /// read without regard to case, and other headers are ignored.
    pub fn parse<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, HeaderError> {
        let mut head = Self::default();
        for (name, value) in headers {
            let is = |header: &str| name.eq_ignore_ascii_case(header);
            if is(RENDERER_ID_HEADER) {
                once(RENDERER_ID_HEADER, &mut head.renderer_id, uuid, value)?;
            } else if is(SECRET_HEADER) {
                once(SECRET_HEADER, &mut head.secret, bearer, value)?;
            } else if is(MESSAGE_ID_HEADER) {
                once(MESSAGE_ID_HEADER, &mut head.message_id, message_id, value)?;
            } else if is(CHUNK_HEADER) {
                once(CHUNK_HEADER, &mut head.chunk, place, value)?;
            } else if is(AFTER_HEADER) {
                once(AFTER_HEADER, &mut head.after, number, value)?;
            }
        }
        Ok(head)
    }

    /// Reads the headers of a request from a page. Of all headers of this module a page sends one;
    /// others of the same names are the application's, as it may put its own `authorization` on
    /// whatever its page requests.
    pub fn parse_page<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, HeaderError> {
        let is_id = |(name, _): &(&str, &[u8])| name.eq_ignore_ascii_case(RENDERER_ID_HEADER);
        Self::parse(headers.into_iter().filter(is_id))
    }

    /// The headers that say it.
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let place = |place: Place| match place.last {
            true => format!("{}; {LAST}", place.offset),
            false => place.offset.to_string(),
        };
        let id = self.renderer_id.map(|id| id.to_string());
        let secret = self.secret.as_ref();
        [
            (RENDERER_ID_HEADER, id),
            (SECRET_HEADER, secret.map(|secret| format!("{BEARER} {}", secret.to_hex()))),
            (MESSAGE_ID_HEADER, self.message_id.map(|id| id.number().to_string())),
            (CHUNK_HEADER, self.chunk.map(place)),
            (AFTER_HEADER, self.after.map(|after| after.to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// Reads the value of [`CURSOR_HEADER`]: what to say in [`AFTER_HEADER`] next.
pub fn parse_cursor(value: &[u8]) -> Result<u64, HeaderError> {
    number(CURSOR_HEADER, text(CURSOR_HEADER, value)?)
}

fn once<T>(
    header: &'static str,
    slot: &mut Option<T>,
    read: impl FnOnce(&'static str, &str) -> Result<T, HeaderError>,
    value: &[u8],
) -> Result<(), HeaderError> {
    let why = "is there twice";
    match slot.replace(read(header, text(header, value)?)?) {
        None => Ok(()),
        Some(_) => Err(HeaderError { header, why }),
    }
}

fn text<'a>(header: &'static str, value: &'a [u8]) -> Result<&'a str, HeaderError> {
    let why = "is not text";
    match str::from_utf8(value) {
        Ok(text) => Ok(text.trim_ascii()),
        Err(_) => Err(HeaderError { header, why }),
    }
}

fn uuid(header: &'static str, value: &str) -> Result<Uuid, HeaderError> {
    let why = "is not an id of 32 hexadecimal digits, with or without dashes";
    // The parser of `uuid` also knows braces and URNs, which nobody sends.
    match Uuid::try_parse(value) {
        Ok(id) if matches!(value.len(), 32 | 36) => Ok(id),
        _ => Err(HeaderError { header, why }),
    }
}

fn bearer(header: &'static str, value: &str) -> Result<Proof, HeaderError> {
    let error =
        || HeaderError { header, why: "is not `Bearer` and a secret in hexadecimal digits" };
    let (scheme, secret) = value.split_once(' ').ok_or_else(error)?;
    if !scheme.eq_ignore_ascii_case(BEARER) {
        return Err(error());
    }
    secret.trim_ascii().parse().map_err(|_| error())
}

fn place(header: &'static str, value: &str) -> Result<Place, HeaderError> {
    let (offset, last) = match value.split_once(';') {
        None => (value, false),
        Some((offset, LAST | " last")) => (offset, true),
        Some(_) => {
            let why = "says something else than `last` behind the offset";
            return Err(HeaderError { header, why });
        }
    };
    let offset = number(header, offset)?;
    if offset > STREAM_BYTES {
        let why = "is beyond the end of the largest stream";
        return Err(HeaderError { header, why });
    }
    Ok(Place { offset, last })
}

fn message_id(header: &'static str, value: &str) -> Result<MessageId, HeaderError> {
    number(header, value).map(MessageId::new)
}

fn number(header: &'static str, value: &str) -> Result<u64, HeaderError> {
    let why = "is not a whole number";
    // `parse` would take a sign too.
    let is_digits = value.bytes().all(|digit| digit.is_ascii_digit());
    match value.parse() {
        Ok(number) if is_digits => Ok(number),
        _ => Err(HeaderError { header, why }),
    }
}

/// A header of ours that says nothing. The fault is with whoever sent the request. It does not
/// repeat what was given, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderError {
    header: &'static str,
    why: &'static str,
}

impl HeaderError {
    /// The header.
    pub fn header(&self) -> &'static str {
        self.header
    }

    /// What to answer.
    pub fn answer(&self) -> Answer {
        match self.header {
            SECRET_HEADER => Answer::Unproven,
            _ => Answer::Malformed,
        }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the header {} {}", self.header, self.why)
    }
}

impl std::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, value: &[u8]) -> Result<RequestHead, HeaderError> {
        RequestHead::parse([("host", &b"127.0.0.1:4711"[..]), (name, value)])
    }

    #[test]
    fn what_is_written_is_read_back() {
        let whole = RequestHead {
            renderer_id: Some(Uuid::from_u128(7)),
            secret: Some(Proof::new([0xa5; 32])),
            message_id: Some(MessageId::new(u64::MAX)),
            chunk: Some(Place { offset: 0, last: false }),
            after: Some(3),
        };
        for head in [whole, RequestHead::default()] {
            let headers = head.to_headers();
            let read = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
            assert_eq!(RequestHead::parse(read), Ok(head));
        }
    }

    #[test]
    fn what_the_sdk_in_a_page_sends_is_an_id_and_no_more() {
        let head =
            parse("Sentry-Electron-Renderer-Id", b"00000000000000000000000000000007").unwrap();
        let expected =
            RequestHead { renderer_id: Some(Uuid::from_u128(7)), ..RequestHead::default() };
        assert_eq!(head, expected);
    }

    #[test]
    fn what_an_application_adds_to_the_requests_of_its_page_changes_nothing() {
        let headers = [
            ("authorization", &b"Basic abc"[..]),
            ("sentry-electron-renderer-id", b"00000000000000000000000000000007"),
            ("guardhouse-chunk", b"?"),
        ];
        let head = RequestHead::parse_page(headers).unwrap();
        let expected =
            RequestHead { renderer_id: Some(Uuid::from_u128(7)), ..RequestHead::default() };
        assert_eq!(head, expected);
        assert!(RequestHead::parse(headers).is_err());
    }

    #[test]
    fn a_bearer_is_written_as_others_write_it() {
        let secret = "A5".repeat(32);
        for value in [format!("bearer {secret}"), format!(" Bearer  {secret} ")] {
            let head = parse("Authorization", value.as_bytes()).unwrap();
            assert_eq!(head.secret, Some(Proof::new([0xa5; 32])));
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_repeated() {
        for (name, value, message, answer) in [
            (RENDERER_ID_HEADER, "me", "is not an id", 400),
            (RENDERER_ID_HEADER, "{00000000-0000-0000-0000-000000000007}", "is not an id", 400),
            (SECRET_HEADER, "5ec2e7", "is not `Bearer`", 401),
            (SECRET_HEADER, "Basic 5ec2e7", "is not `Bearer`", 401),
            (SECRET_HEADER, "Bearer 5ec2e7", "is not `Bearer`", 401),
            (MESSAGE_ID_HEADER, "", "is not a whole number", 400),
            (MESSAGE_ID_HEADER, "+1", "is not a whole number", 400),
            (MESSAGE_ID_HEADER, "18446744073709551616", "is not a whole number", 400),
            (MESSAGE_ID_HEADER, "\u{661}", "is not a whole number", 400),
            (CHUNK_HEADER, "last", "is not a whole number", 400),
            (CHUNK_HEADER, "1; first", "says something else", 400),
            (CHUNK_HEADER, "209715201; last", "is beyond the end", 400),
            (AFTER_HEADER, "1.0", "is not a whole number", 400),
        ] {
            let error = parse(name, value.as_bytes()).unwrap_err();
            assert_eq!((error.header(), error.answer().status()), (name, answer));
            let text = error.to_string();
            assert!(text.contains(message) && !text.contains("5ec2e7"), "{text}");
        }
        let error = parse(AFTER_HEADER, b"\xff").unwrap_err();
        assert_eq!(error.to_string(), "the header guardhouse-after is not text");
        let twice = [(AFTER_HEADER, &b"1"[..]), ("Guardhouse-After", &b"1"[..])];
        assert_eq!(
            RequestHead::parse(twice).unwrap_err().to_string(),
            "the header guardhouse-after is there twice"
        );
        assert_eq!(parse_cursor(b"12"), Ok(12));
        assert!(parse_cursor(b"").is_err());
    }
}
