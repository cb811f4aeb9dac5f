//! Envelopes that are passed on as they came.
//!
//! An [`Envelope`] knows where its header, its items and their payloads are, and holds them as slices
//! of the one buffer that they came in. Nothing is decoded until somebody asks, and what nobody
//! changes is written back byte for byte: unknown items, unknown header fields, their order, number
//! formats, even blank lines. The framing is checked strictly, since two readers that disagree about
//! where an item ends are how forged items get in.
//!
//! Whether the payloads are what their types say is another question, answered by
//! [`Envelope::assess`]. What a renderer may send at all is left to main's intake.

mod assess;
mod error;
mod header;
mod item;
mod item_type;
mod parse;

pub use assess::{Concern, Verdict};
pub use error::{EditError, EnvelopeError, EnvelopeFault};
pub use header::Header;
pub use item::Item;
pub use item_type::ItemType;

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits::{ENVELOPE_BYTES, ENVELOPE_ITEMS};

/// A Sentry envelope, parsed without copying and written back without loss.
///
/// ```
/// use guardhouse_protocol::{Envelope, ItemType};
///
/// let bytes = &b"{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}\n\
///     {\"type\":\"event\"}\n\
///     {\"message\":\"hi\",\"new_in_2030\":1e0}\n"[..];
/// let mut envelope = Envelope::parse(bytes)?;
/// assert_eq!(envelope.items()[0].item_type(), ItemType::Event);
/// assert_eq!(envelope.to_bytes(), bytes);
///
/// envelope.items_mut()[0].edit(|event| event.set(&["release"], "app@1.0"))?;
/// assert!(envelope.to_bytes().ends_with(
///     b"{\"message\":\"hi\",\"new_in_2030\":1e0,\"release\":\"app@1.0\"}\n"
/// ));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Bounds
///
/// An envelope, a header line and the number of items are bounded as
/// [`limits`](crate::limits) says; a length is compared with the bytes that are there before it is
/// used. What is kept is an index of the items; payloads stay where they are.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Blank lines before the header.
    blank_lines: Bytes,
    header: Header,
    items: Vec<Item>,
    ending: Ending,
}

/// How the last line of an envelope ends. All other lines end with a newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Newline,
    /// The last payload, or the header of an envelope without items, has no newline behind it.
    Bare,
    /// The last item's header has none, and so there is no payload.
    BareItemHeader,
}

impl Envelope {
    /// An envelope without items.
    pub fn new(header: Header) -> Self {
        Self { blank_lines: Bytes::new(), header, items: Vec::new(), ending: Ending::Newline }
    }

    /// Parses an envelope. Payloads stay slices of `bytes`.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, EnvelopeError> {
        match Self::salvage(bytes)? {
            (envelope, None) => Ok(envelope),
            (_, Some(error)) => Err(error),
        }
    }

    /// Parses as much of an envelope as is good: the items before the first fault, and the fault.
    /// Without a good header there is nothing to salvage.
    ///
    /// This is for what was cut off, as a disk may do in a power cut. It sees a cut in a header and in
    /// a payload with a length; a payload without one goes up to the end, so what is to be salvaged
    /// has to be written with lengths. What a renderer sends is good as a whole or not at all.
    pub fn salvage(
        bytes: impl Into<Bytes>,
    ) -> Result<(Self, Option<EnvelopeError>), EnvelopeError> {
        parse::parse(bytes.into())
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The header, to be changed.
    pub fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    /// The items, in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The items, to be changed.
    pub fn items_mut(&mut self) -> &mut [Item] {
        &mut self.items
    }

    /// The header and the items, to be put together in another way.
    pub fn into_parts(self) -> (Header, Vec<Item>) {
        (self.header, self.items)
    }

    /// Puts an item behind the others. An envelope that has as many items, or bytes, as can be read
    /// again takes no more.
    pub fn push(&mut self, item: Item) -> Result<(), EditError> {
        self.insert(self.items.len(), item)
    }

    /// Puts an item before the one at `index`, or behind all if there is none. Otherwise as
    /// [`push`](Self::push).
    pub fn insert(&mut self, index: usize, item: Item) -> Result<(), EditError> {
        if self.items.len() >= ENVELOPE_ITEMS {
            return Err(EditError::Unreadable(EnvelopeFault::TooManyItems));
        }
        // The two newlines of the item, and two that may be missing at the end so far.
        let more = item.header_line().len() + item.payload().len() + item.blank_lines().len() + 4;
        if self.encoded_len() + more > ENVELOPE_BYTES {
            return Err(EditError::Unreadable(EnvelopeFault::TooLarge));
        }
        self.end_with_payload();
        self.items.insert(index.min(self.items.len()), item);
        Ok(())
    }

    /// Keeps the items for which `keep` says so, and hands back the others.
    pub fn retain(&mut self, mut keep: impl FnMut(&Item) -> bool) -> Vec<Item> {
        let (kept, removed) =
            std::mem::take(&mut self.items).into_iter().partition(|item| keep(item));
        self.items = kept;
        self.end_with_payload();
        removed
    }

    /// Whether the last line ends with a newline. An item without a length that was cut has none; of
    /// one that was not, it says nothing.
    pub fn ends_with_newline(&self) -> bool {
        self.ending == Ending::Newline
    }

    /// Ends the last line with a newline if it has none, so that an item can be written behind it without
    /// a look at what is there.
    pub fn end_line(&mut self) {
        self.ending = Ending::Newline;
    }

    /// From now on the last item is another one, perhaps, and has a payload.
    fn end_with_payload(&mut self) {
        if self.ending == Ending::BareItemHeader {
            self.ending = Ending::Bare;
        }
    }

    /// How many bytes the envelope is when written. Edits can make it larger than
    /// [`ENVELOPE_BYTES`], which Sentry would refuse and [`parse`](Self::parse) does.
    pub fn encoded_len(&self) -> usize {
        let mut length = 0;
        self.for_each_piece(|piece| length += piece.len());
        length
    }

    /// Writes the envelope.
    pub fn write(&self, out: &mut impl BufMut) {
        self.for_each_piece(|piece| out.put_slice(piece));
    }

    /// The envelope as it is written.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_len());
        self.write(&mut out);
        out.freeze()
    }

    /// Hands out the pieces that the envelope is written from, in order. A writer that can gather
    /// needs no copy of a large attachment.
    pub fn for_each_piece<'e>(&'e self, mut piece: impl FnMut(&'e [u8])) {
        let mut piece = |bytes: &'e [u8]| {
            if !bytes.is_empty() {
                piece(bytes);
            }
        };
        let newline = |is_there: bool| if is_there { &b"\n"[..] } else { b"" };
        let ends_with_newline = newline(self.ending == Ending::Newline);

        piece(&self.blank_lines);
        piece(self.header.line());
        let Some((last, before)) = self.items.split_last() else {
            return piece(ends_with_newline);
        };
        piece(b"\n");
        for item in before {
            piece(item.blank_lines());
            piece(item.header_line());
            piece(b"\n");
            piece(item.payload());
            piece(b"\n");
        }
        piece(last.blank_lines());
        piece(last.header_line());
        if self.ending == Ending::BareItemHeader && last.payload().is_empty() {
            return;
        }
        piece(b"\n");
        piece(last.payload());
        piece(ends_with_newline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    fn parse(text: &str) -> Envelope {
        Envelope::parse(text.as_bytes().to_vec()).unwrap()
    }

    fn written(envelope: &Envelope) -> String {
        let bytes = envelope.to_bytes();
        let reread = Envelope::parse(bytes.clone()).unwrap();
        assert_eq!(reread.items().len(), envelope.items().len());
        assert_eq!(bytes.len(), envelope.encoded_len());
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn every_way_to_end_is_kept() {
        for text in [
            "{}",
            "{}\n",
            "\n\n{ \"a\" : 1.0 }\n",
            "{}\n{\"type\":\"x\"}",
            "{}\n{\"type\":\"x\"}\n",
            "{}\n{\"type\":\"x\"}\n\n",
            "{}\n{\"type\":\"x\",\"length\":0}\n",
            "{}\n{\"type\":\"x\",\"length\":0}\n\n",
            "{}\n{\"type\":\"x\"}\npayload",
            "{}\n{\"type\":\"x\"}\npayload\n\n\n{\"length\":1,\"type\":\"y\"}\n\n\n",
        ] {
            assert_eq!(written(&parse(text)), text);
        }
    }

    #[test]
    fn payloads_are_slices_of_the_buffer() {
        let bytes = Bytes::from_static(b"{}\n{\"type\":\"x\"}\npayload\n");
        let envelope = Envelope::parse(bytes.clone()).unwrap();
        let payload = envelope.items()[0].payload();
        assert!(bytes.as_ptr_range().contains(&payload.as_ptr()));
    }

    #[test]
    fn items_come_and_go_whatever_the_ending() {
        for (text, expected) in [
            ("{}", "{}\n{\"type\":\"y\",\"length\":1}\nz"),
            ("{}\n{\"type\":\"x\"}", "{}\n{\"type\":\"x\"}\n\n{\"type\":\"y\",\"length\":1}\nz"),
            (
                "{}\n{\"type\":\"x\"}\na\n",
                "{}\n{\"type\":\"x\"}\na\n{\"type\":\"y\",\"length\":1}\nz\n",
            ),
        ] {
            let mut envelope = parse(text);
            let item = Item::new("y", Bytes::from_static(b"z")).unwrap();
            envelope.push(item).unwrap();
            assert_eq!(written(&envelope), expected);
            let removed = envelope.retain(|item| item.item_type_name() != "y");
            assert_eq!(removed.len(), 1);
            written(&envelope);
            envelope.retain(|_| false);
            written(&envelope);
        }
    }

    #[test]
    fn edits_touch_only_what_they_name() {
        let mut envelope = parse(
            "{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\", \"x\":1.0}\n\
             {\"length\":9,\"type\":\"event\",\"y\":2e0}\n{\"a\": 1 }\n\
             {\"type\":\"attachment\"}\nabc",
        );
        envelope.header_mut().set("sent_at", "2026-11-20T16:00:00Z").unwrap();
        envelope.items_mut()[0].edit(|event| event.set(&["b"], "c")).unwrap();
        envelope.items_mut()[1].set_header("filename", "f.txt").unwrap();
        assert_eq!(
            written(&envelope),
            "{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\", \"x\":1.0,\
             \"sent_at\":\"2026-11-20T16:00:00Z\"}\n\
             {\"length\":17,\"type\":\"event\",\"y\":2e0}\n{\"a\": 1,\"b\":\"c\" }\n\
             {\"type\":\"attachment\",\"filename\":\"f.txt\"}\nabc",
        );
    }

    #[test]
    fn a_payload_with_a_newline_gets_a_length() {
        let mut envelope = parse("{}\n{\"type\":\"event\",\"length\":null}\n{}\n");
        let pretty = Json::parse(b"[\n1]").unwrap();
        envelope.items_mut()[0].edit(|event| event.set(&["a"], pretty.clone())).unwrap();
        assert_eq!(written(&envelope), "{}\n{\"type\":\"event\",\"length\":10}\n{\"a\":[\n1]}\n");
    }

    #[test]
    fn a_header_stays_one_line_and_what_frames_it_is_not_up_for_change() {
        let mut envelope = parse("{}\n{\"type\":\"x\",\"length\":3}\nabc\n");
        let pretty = Json::parse(b"{\n\"a\":1}").unwrap();
        envelope.header_mut().set("trace", &pretty).unwrap();
        envelope.items_mut()[0].set_header("meta", &pretty).unwrap();
        assert_eq!(
            written(&envelope),
            "{\"trace\":{ \"a\":1}}\n{\"type\":\"x\",\"length\":3,\"meta\":{ \"a\":1}}\nabc\n"
        );
        for reserved in ["type", "length"] {
            assert!(envelope.items_mut()[0].set_header(reserved, 1_u64).is_err());
            assert!(envelope.items_mut()[0].remove_header(reserved).is_err());
        }
        assert!(envelope.header_mut().set("event_id", "nope").is_err());
        assert!(envelope.header_mut().set("sent_at", "yesterday").is_err());
        let huge = "x".repeat(crate::limits::HEADER_BYTES);
        assert!(envelope.header_mut().set("huge", huge.as_str()).is_err());
        written(&envelope);
    }

    #[test]
    fn what_could_not_be_read_again_is_not_made() {
        let items = "{}\n".to_owned() + &"{\"type\":\"x\"}\n\n".repeat(ENVELOPE_ITEMS);
        let mut full = parse(&items);
        let item = Item::new("x", Bytes::new()).unwrap();
        let error = full.push(item.clone()).unwrap_err();
        assert_eq!(error, EditError::Unreadable(EnvelopeFault::TooManyItems));
        assert_eq!(full.to_bytes(), items);

        let mut large = Envelope::new(Header::new());
        let half = Item::new("attachment", vec![b'x'; ENVELOPE_BYTES / 2]).unwrap();
        large.push(half.clone()).unwrap();
        let error = large.push(half).unwrap_err();
        assert_eq!(error, EditError::Unreadable(EnvelopeFault::TooLarge));
        large.push(item).unwrap();

        let event = Item::new("event", vec![b'x'; crate::limits::EVENT_BYTES + 1]);
        assert!(matches!(event, Err(EditError::TooLarge { .. })));
    }

    #[test]
    fn items_are_put_where_they_are_wanted() {
        let mut envelope = parse("{}\n{\"type\":\"x\"}");
        envelope.insert(0, Item::new("event", "{}").unwrap()).unwrap();
        envelope.insert(9, Item::new("y", "z").unwrap()).unwrap();
        assert_eq!(
            written(&envelope),
            "{}\n{\"type\":\"event\",\"length\":2}\n{}\n{\"type\":\"x\"}\n\n\
             {\"type\":\"y\",\"length\":1}\nz"
        );
        let (_, items) = envelope.into_parts();
        assert_eq!(items.len(), 3);
    }

    #[test]
    fn of_header_fields_that_stand_twice_a_change_leaves_one() {
        let mut envelope = parse(
            "{\"dsn\":\"https://evil@x/1\",\"\\u0064sn\":\"https://a@b/1\",\"x\":1,\"x\":2}\n\
             {\"filename\":\"a\",\"type\":\"x\",\"filename\":\"b\"}\n\n",
        );
        envelope.header_mut().set("dsn", "https://main@c/2").unwrap();
        envelope.items_mut()[0].set_header("platform", "rust").unwrap();
        assert_eq!(
            written(&envelope),
            "{\"\\u0064sn\":\"https://main@c/2\",\"x\":2}\n\
             {\"type\":\"x\",\"filename\":\"b\",\"platform\":\"rust\"}\n\n"
        );
    }

    #[test]
    fn blank_lines_are_one_piece() {
        let text = "\n".repeat(10_000) + "{}\n" + &"\n".repeat(10_000) + "{\"type\":\"x\"}\n\n";
        let envelope = parse(&text);
        let mut pieces = 0;
        envelope.for_each_piece(|_| pieces += 1);
        assert!(pieces < 10, "{pieces}");
        assert_eq!(written(&envelope), text);
    }
}
