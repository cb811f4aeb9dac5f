//! What must be true of any bytes that are read as an envelope.

use bytes::Bytes;
use guardhouse_protocol::{Envelope, Item, Verdict};

use super::splice::same_json;

/// Reads `data` as an envelope and checks that nothing is lost, neither by reading nor by editing.
pub fn envelope(data: &[u8]) {
    let Ok((envelope, fault)) = Envelope::salvage(data.to_vec()) else {
        assert!(Envelope::parse(data.to_vec()).is_err());
        return;
    };
    let written = envelope.to_bytes();
    assert_eq!(written.len(), envelope.encoded_len());
    match fault {
        None => assert_eq!(
            written, data,
            "an envelope that was not changed is written as it was"
        ),
        Some(fault) => {
            assert!(
                data.starts_with(&written),
                "what is salvaged is what was in front of a fault"
            );
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
    let _ = (
        header.event_id(),
        header.sent_at(),
        header.dsn(),
        header.trace(),
    );
    let _ = format!("{envelope:?}");
    for item in envelope.items() {
        let name = item.item_type_name();
        assert_eq!(item.item_type().name().unwrap_or(&name), name);
        let _ = (
            item.filename(),
            item.attachment_type(),
            item.content_type(),
            item.item_count(),
        );
        assert!(
            item.length()
                .is_none_or(|length| length == item.payload().len())
        );
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
    // Only a header that is as long as headers may be refuses to grow.
    let has_header = edited.header_mut().set("dsn", "https://a@b/1").is_ok();
    if has_header {
        assert_eq!(edited.header().dsn().as_deref(), Some("https://a@b/1"));
    }
    let touched: Vec<_> = edited
        .items_mut()
        .iter_mut()
        .map(|item| {
            item.edit(|payload| payload.set(&["release"], "app@1.0\n"))
                .is_ok()
        })
        .collect();

    let reread = Envelope::parse(edited.to_bytes()).expect("an edited envelope can be read");
    assert_eq!(reread.items().len(), envelope.items().len());
    for ((before, after), touched) in envelope.items().iter().zip(reread.items()).zip(touched) {
        assert_eq!(before.item_type(), after.item_type());
        if !touched {
            assert_eq!(before.payload(), after.payload());
            assert_eq!(before.get("type"), after.get("type"));
            continue;
        }
        let object = after.json().expect("an edited payload can be read");
        assert!(object.get("release").unwrap().is_str("app@1.0\n"));
        if let Ok(mut model) = serde_json::from_slice::<serde_json::Value>(before.payload()) {
            model["release"] = "app@1.0\n".into();
            assert!(same_json(after.payload(), &model));
        }
    }
}

fn items_can_come_and_go(envelope: &Envelope) {
    let mut edited = envelope.clone();
    edited.push(Item::new("x_added", Bytes::from_static(b"one\ntwo")).unwrap());
    let mut index = 0;
    let removed = edited.retain(|_| {
        index += 1;
        index % 2 == 1
    });
    assert_eq!(
        removed.len() + edited.items().len(),
        envelope.items().len() + 1
    );
    match Envelope::parse(edited.to_bytes()) {
        Ok(reread) => {
            let payloads = |envelope: &Envelope| -> Vec<Bytes> {
                envelope
                    .items()
                    .iter()
                    .map(|item| item.payload().clone())
                    .collect()
            };
            assert_eq!(payloads(&reread), payloads(&edited));
        }
        Err(error) => panic!("an envelope with other items can be read: {error}"),
    }
}
