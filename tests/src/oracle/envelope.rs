//! What must be true of any bytes that are read as an envelope.

use bytes::Bytes;
use guardhouse_protocol::json::Object;
use guardhouse_protocol::{Envelope, Item, Verdict};

use super::plain::Tree;

/// Reads `data` as an envelope and checks that nothing is lost, neither by reading nor by editing.
pub fn envelope(data: &[u8]) {
    let Ok((envelope, fault)) = Envelope::salvage(data.to_vec()) else {
        assert!(Envelope::parse(data.to_vec()).is_err());
        return;
    };
    let written = envelope.to_bytes();
    assert_eq!(written.len(), envelope.encoded_len());
    match fault {
        None => assert_eq!(written, data, "an envelope that was not changed is written as it was"),
        Some(fault) => {
            assert!(data.starts_with(&written), "what is salvaged is what was in front of a fault");
            assert_eq!(fault.items(), envelope.items().len());
            assert!(fault.offset() <= data.len());
            assert_eq!(Envelope::parse(data.to_vec()).unwrap_err(), fault);
            // What was salvaged is good on its own.
            Envelope::parse(written).unwrap();
        }
    }
    look_at_everything(&envelope);
    edits_touch_only_what_they_name(&envelope);
    items_can_come_and_go(&envelope);
}

fn look_at_everything(envelope: &Envelope) {
    let header = envelope.header();
    let _ = (header.event_id(), header.sent_at(), header.dsn(), header.trace());
    let _ = format!("{envelope:?}");
    for item in envelope.items() {
        let name = item.item_type_name();
        assert_eq!(item.item_type().name().unwrap_or(&name), name);
        let _ = (item.filename(), item.attachment_type(), item.content_type(), item.item_count());
        assert!(item.length().is_none_or(|length| length == item.payload().len()));
    }
    let verdicts = envelope.assess();
    assert_eq!(verdicts.len(), envelope.items().len());
    for (item, verdict) in envelope.items().iter().zip(verdicts) {
        if verdict == Verdict::Sound && item.item_type().is_json() {
            assert!(item.json().is_ok());
        }
    }
}

fn edits_touch_only_what_they_name(envelope: &Envelope) {
    let mut edited = envelope.clone();
    let mut header = plain_header(&envelope.header().as_object());
    header.set(&["dsn"], "\"https://a@b/1\"").expect("a header is an object");
    // Only a header that is as large as headers may be refuses to grow.
    let header = match edited.header_mut().set("dsn", "https://a@b/1") {
        Ok(()) => header.text(),
        Err(_) => envelope.header().as_object().text().to_owned(),
    };
    let touched: Vec<_> = edited
        .items_mut()
        .iter_mut()
        .map(|item| item.edit(|payload| payload.set(&["release"], "app@1.0\n")).is_ok())
        .collect();

    let reread = Envelope::parse(edited.to_bytes()).expect("an edited envelope can be read");
    assert_eq!(reread.header().as_object().text(), header);
    assert_eq!(reread.items().len(), envelope.items().len());
    for ((before, after), touched) in envelope.items().iter().zip(reread.items()).zip(touched) {
        let mut header = before.header().text().to_owned();
        let mut payload = before.payload().to_vec();
        if touched {
            let text = std::str::from_utf8(&payload).expect("what was edited is text");
            let mut plain = Tree::parse(text);
            plain.set(&["release"], "\"app@1.0\\n\"").expect("it is an object");
            payload = plain.text().into_bytes();
            let needs_length = match before.length() {
                Some(length) => length != payload.len(),
                None => payload.contains(&b'\n'),
            };
            if needs_length {
                let mut plain = plain_header(&before.header());
                plain.set(&["length"], &payload.len().to_string()).expect("it is an object");
                header = plain.text();
            }
        }
        assert_eq!(after.payload(), &payload);
        assert_eq!(after.header().text(), header);
    }
}

/// A header that is changed keeps one of fields that stand twice.
fn plain_header(header: &Object<'_>) -> Tree {
    let mut plain = Tree::parse(header.text());
    plain.drop_duplicates();
    plain
}

fn items_can_come_and_go(envelope: &Envelope) {
    let payloads = |envelope: &Envelope| -> Vec<Bytes> {
        envelope.items().iter().map(|item| item.payload().clone()).collect()
    };
    let item = Item::new("x_added", Bytes::from_static(b"one\ntwo")).unwrap();
    let mut edited = envelope.clone();
    if edited.insert(envelope.items().len() / 2, item.clone()).is_ok() {
        let _ = edited.push(item);
    }
    let reread = Envelope::parse(edited.to_bytes()).expect("what can be put in can be read");
    assert_eq!(payloads(&reread), payloads(&edited));

    let mut index = 0;
    let removed = edited.retain(|_| {
        index += 1;
        index % 2 == 1
    });
    assert_eq!(removed.len() + edited.items().len(), index);
    let reread = Envelope::parse(edited.to_bytes()).expect("what was thinned out can be read");
    assert_eq!(payloads(&reread), payloads(&edited));
}
