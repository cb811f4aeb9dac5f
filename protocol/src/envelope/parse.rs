//! Where the header, the items and their payloads are in the bytes of an envelope.
//!
//! The rules are Sentry's: lines end with a newline and nothing else; a payload with a length is that
//! long and then has a newline or the end behind it; one without goes up to the next newline. Where
//! the rules are silent and readers differ, blank lines are taken before a header and nowhere else.

use bytes::Bytes;

use super::error::{EnvelopeError, EnvelopeFault};
use super::{Ending, Envelope, Header, Item};
use crate::limits::{ENVELOPE_BYTES, ENVELOPE_ITEMS, HEADER_BYTES};

type Salvaged = (Envelope, Option<EnvelopeError>);

pub(super) fn parse(bytes: Bytes) -> Result<Salvaged, EnvelopeError> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.bytes.len() > ENVELOPE_BYTES {
        return Err(EnvelopeError::new(EnvelopeFault::TooLarge, ENVELOPE_BYTES, 0));
    }
    let blank_lines = reader.skip_blank_lines();
    let start = reader.at;
    let error = |fault| EnvelopeError::new(fault, start, 0);
    if reader.is_at_end() {
        return Err(error(EnvelopeFault::NoHeader));
    }
    let (line, has_newline) = reader.header_line().map_err(error)?;
    let header = Header::parse(line).map_err(error)?;
    let ending = if has_newline { Ending::Newline } else { Ending::Bare };
    let mut envelope = Envelope { blank_lines, header, items: Vec::new(), ending };

    while !reader.is_at_end() {
        match reader.item(envelope.items.len()) {
            Ok((item, ending)) => {
                envelope.items.push(item);
                envelope.ending = ending;
            }
            Err((fault, offset)) => {
                let error = EnvelopeError::new(fault, offset, envelope.items.len());
                return Ok((envelope, Some(error)));
            }
        }
    }
    Ok((envelope, None))
}

struct Reader {
    bytes: Bytes,
    at: usize,
}

impl Reader {
    fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn skip_blank_lines(&mut self) -> Bytes {
        let start = self.at;
        let blank = self.bytes[self.at..].iter().take_while(|byte| **byte == b'\n').count();
        self.at += blank;
        self.bytes.slice(start..self.at)
    }

    /// Takes a line that should be a header, and its newline if there is one.
    fn header_line(&mut self) -> Result<(Bytes, bool), EnvelopeFault> {
        let rest = &self.bytes[self.at..];
        // One more than is allowed, so that a header of exactly that length finds its newline.
        let window = &rest[..rest.len().min(HEADER_BYTES + 1)];
        let (length, has_newline) = match memchr::memchr(b'\n', window) {
            Some(length) => (length, true),
            None if window.len() < rest.len() => return Err(EnvelopeFault::HeaderTooLong),
            None => (window.len(), false),
        };
        let line = self.bytes.slice(self.at..self.at + length);
        self.at += length + usize::from(has_newline);
        Ok((line, has_newline))
    }

    /// Takes an item. An error comes with the place that it is about.
    fn item(&mut self, items: usize) -> Result<(Item, Ending), (EnvelopeFault, usize)> {
        let blank_lines = self.skip_blank_lines();
        let start = self.at;
        if self.is_at_end() {
            return Err((EnvelopeFault::TrailingNewlines, start - blank_lines.len()));
        }
        if items == ENVELOPE_ITEMS {
            return Err((EnvelopeFault::TooManyItems, start));
        }
        let (line, has_newline) = self.header_line().map_err(|fault| (fault, start))?;
        let item = Item::parse_header(line, blank_lines).map_err(|fault| (fault, start))?;

        let rest = &self.bytes[self.at..];
        let length = match item.length() {
            Some(length) if length > rest.len() => return Err((EnvelopeFault::Truncated, start)),
            Some(length) => length,
            None => memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
        };
        let ending = match rest.get(length) {
            Some(b'\n') => Ending::Newline,
            Some(_) => return Err((EnvelopeFault::MissingNewline, self.at + length)),
            None if has_newline => Ending::Bare,
            None => Ending::BareItemHeader,
        };
        let payload = self.bytes.slice(self.at..self.at + length);
        self.at += length + usize::from(ending == Ending::Newline);
        Ok((item.with_payload(payload), ending))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonFault;
    use crate::limits::HEADER_FIELDS;

    fn fault(bytes: &[u8]) -> (EnvelopeFault, usize, usize) {
        let error = Envelope::parse(bytes.to_vec()).unwrap_err();
        (error.fault(), error.offset(), error.items())
    }

    #[test]
    fn each_fault_is_named_with_its_place_and_what_is_good_before_it() {
        use EnvelopeFault::{
            Ambiguous, EventId, HeaderSpace, Length, MissingNewline, NoHeader, SentAt,
            TrailingNewlines, Truncated, Type,
        };
        let good = "{}\n{\"type\":\"event\"}\n{}\n";
        let after = |text: &str| format!("{good}{text}");
        for (text, expected) in [
            (String::new(), (NoHeader, 0, 0)),
            ("\n\n".into(), (NoHeader, 2, 0)),
            ("{} \n".into(), (HeaderSpace, 0, 0)),
            ("{}\r\n".into(), (HeaderSpace, 0, 0)),
            ("{\"event_id\":\"x\"}".into(), (EventId, 0, 0)),
            ("{\"event_id\":1}".into(), (EventId, 0, 0)),
            ("\n{\"sent_at\":\"now\"}".into(), (SentAt, 1, 0)),
            (after("{}\n"), (Type, 23, 1)),
            (after("{\"type\":1}\n"), (Type, 23, 1)),
            (after("{\"type\":\"a\",\"type\":\"a\"}\n"), (Ambiguous, 23, 1)),
            (after("{\"type\":\"a\",\"length\":null,\"length\":1}\n"), (Ambiguous, 23, 1)),
            (after("{\"type\":\"a\",\"length\":1.0}\n1"), (Length, 23, 1)),
            (after("{\"type\":\"a\",\"length\":-1}\n1"), (Length, 23, 1)),
            (after("{\"type\":\"a\",\"length\":\"1\"}\n1"), (Length, 23, 1)),
            (after("{\"type\":\"a\",\"length\":2}\n1"), (Truncated, 23, 1)),
            (after("{\"type\":\"a\",\"length\":18446744073709551615}\n1"), (Truncated, 23, 1)),
            (after("{\"type\":\"a\",\"length\":18446744073709551616}\n1"), (Length, 23, 1)),
            (after("{\"type\":\"a\",\"length\":1}"), (Truncated, 23, 1)),
            (after("{\"type\":\"a\",\"length\":1}\n123"), (MissingNewline, 48, 1)),
            (after("\n\n"), (TrailingNewlines, 23, 1)),
        ] {
            assert_eq!(fault(text.as_bytes()), expected, "{text}");
        }
        let header = fault(b"nope\n").0;
        assert!(
            matches!(header, EnvelopeFault::Header(error) if error.fault() == JsonFault::Unexpected)
        );
    }

    #[test]
    fn bounds_are_checked() {
        let fields = |count: usize| format!("{{{}}}", vec!["\"a\":0"; count].join(","));
        assert!(Envelope::parse(fields(HEADER_FIELDS).into_bytes()).is_ok());
        let too_many = fields(HEADER_FIELDS + 1);
        assert_eq!(fault(too_many.as_bytes()), (EnvelopeFault::TooManyFields, 0, 0));
        let header = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
        for end in ["", "\n"] {
            let fits = header(HEADER_BYTES) + end;
            assert!(Envelope::parse(fits.into_bytes()).is_ok());
            let too_long = header(HEADER_BYTES + 1) + end;
            assert_eq!(fault(too_long.as_bytes()), (EnvelopeFault::HeaderTooLong, 0, 0));
        }
        let items = |count: usize| "{}\n".to_owned() + &"{\"type\":\"x\"}\n\n".repeat(count);
        assert!(Envelope::parse(items(ENVELOPE_ITEMS).into_bytes()).is_ok());
        let (fault, _, good) = fault(items(ENVELOPE_ITEMS + 1).as_bytes());
        assert_eq!((fault, good), (EnvelopeFault::TooManyItems, ENVELOPE_ITEMS));
        let huge = Bytes::from(vec![b'\n'; ENVELOPE_BYTES + 1]);
        assert_eq!(Envelope::parse(huge).unwrap_err().fault(), EnvelopeFault::TooLarge);
    }

    #[test]
    fn what_is_good_before_a_fault_can_be_salvaged() {
        let torn =
            &b"{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"attachment\",\"length\":9}\nabc"[..];
        let (envelope, error) = Envelope::salvage(torn).unwrap();
        assert_eq!(error.unwrap().fault(), EnvelopeFault::Truncated);
        assert_eq!(envelope.to_bytes(), &torn[..23]);
        assert!(Envelope::salvage(&b"{\"torn\":"[..]).is_err());
    }
}
