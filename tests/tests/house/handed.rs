//! What main hands over besides what it captures: feedback and large attachments, as its children can.

use guardhouse_protocol::limits::MIB;
use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::sentry::{Item, Sentry, a_feedback, an_item, message_of, status};
use serde_json::Value;

use super::desk;

/// Main captures an event, and attaches what the words say. What it says of that.
#[track_caller]
fn attach(desk: &mut Desk, words: &str) -> String {
    let captured = desk.ask("capture with more");
    let event = captured.strip_prefix("captured ").unwrap();
    desk.ask(&format!("attach {event} {words}"))
}

/// The only attachment that arrived: its envelope's and its own header, and how long it was.
#[track_caller]
fn attached(sentry: &Sentry) -> (Value, Value, usize) {
    let requests = sentry.requests();
    let envelopes = requests.iter().filter_map(|request| request.envelope.as_ref().ok());
    let all = envelopes.flat_map(|envelope| envelope.items.iter().map(move |it| (envelope, it)));
    let mut attached = all.filter(|(_, item)| item.kind() == "attachment");
    let (envelope, item) = attached.next().expect("it has arrived");
    assert!(attached.next().is_none(), "it came twice");
    assert!(item.payload.iter().all(|byte| *byte == b'x'));
    (envelope.header.clone(), item.header.clone(), item.payload.len())
}

#[test]
fn feedback_of_main_is_answered_with_what_sentry_said_and_is_part_of_its_trace() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.expect(
        a_feedback()
            .from_process("main")
            .with_tag("event.origin", "rust")
            .with("/contexts/feedback/message", "It works.")
            .times(1),
    );
    let mut desk = desk(&cache, &sentry, &[]);
    assert_eq!(desk.ask("own-feedback It works."), r#"feedback {"statusCode":200}"#);
    sentry.next(status(403));
    assert_eq!(desk.ask("own-feedback It breaks."), r#"feedback {"statusCode":403}"#);
    desk.ask("capture beside it");
    assert!(desk.ask("close 60000").starts_with("closed true"));
    sentry.verify();
    let trace = &sentry.events()[0]["contexts"]["trace"]["trace_id"];
    assert_eq!(trace, &sentry.items("feedback")[0]["contexts"]["trace"]["trace_id"]);
    let requests = sentry.requests();
    let envelopes = requests.iter().filter_map(|request| request.envelope.as_ref().ok());
    let mut all = envelopes.filter(|envelope| envelope.items[0].kind() == "feedback");
    let envelope = all.next().expect("it has arrived");
    assert_eq!(&envelope.header["trace"]["trace_id"], trace);
    assert_eq!(envelope.header["trace"]["release"], "desk@5.1.0");
}

#[test]
fn feedback_that_cannot_be_sent_now_is_answered_with_nothing_and_arrives_later() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut first = desk(&cache, &sentry, &["--consent"]);
    assert_eq!(first.ask("own-feedback It works."), "feedback {}");
    first.ask("give-consent");
    assert!(first.ask("close 60000").starts_with("closed true"));
    assert_eq!(sentry.items("feedback").len(), 1);
}

#[test]
fn what_main_attaches_arrives_and_is_never_in_memory() {
    const BYTES: usize = 100 * MIB;
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut desk = desk(&cache, &sentry, &[]);
    assert!(desk.ask("capture first").starts_with("captured"));
    assert!(desk.ask("flush 60000").starts_with("flushed true"));
    let before = desk.memory("VmHWM");
    let words = format!("{BYTES} name=export.log type=text/plain size={BYTES}");
    assert_eq!(attach(&mut desk, &words), format!("attached taken {BYTES}"));
    assert!(desk.ask("flush 60000").starts_with("flushed true"));
    if let (Some(before), Some(after)) = (before, desk.memory("VmHWM")) {
        let grown = after - before;
        assert!(grown < 32 * MIB as u64, "{} MiB", grown / MIB as u64);
    }
    assert!(desk.ask("close 60000").starts_with("closed true"));
    let (envelope, item, bytes) = attached(&sentry);
    assert_eq!(
        (&item["filename"], &item["content_type"]),
        (&"export.log".into(), &"text/plain".into())
    );
    assert_eq!(bytes, BYTES);
    let event = sentry.events().into_iter().find(|it| message_of(it) == Some("with more")).unwrap();
    assert_eq!(envelope["event_id"], event["event_id"]);
}

/// Nobody waits for the receipt here.
#[test]
fn a_flush_waits_for_what_is_being_attached_and_so_does_the_end() {
    for end in ["flush 60000", "close 60000"] {
        let (cache, sentry) = (Scratch::new(), Sentry::start());
        let mut desk = desk(&cache, &sentry, &[]);
        let captured = desk.ask("capture with more");
        let event = captured.strip_prefix("captured ").unwrap();
        desk.tell(&format!("attach {event} {}", 20 * MIB));
        desk.tell(end);
        let said = [desk.hear(), desk.hear()].map(|said| said.expect("it lives"));
        assert!(
            said.iter().any(|said| *said == format!("attached taken {}", 20 * MIB)),
            "{said:?}"
        );
        assert!(said.iter().any(|said| said.contains("ed true ")), "{said:?}");
        assert_eq!(attached(&sentry).2, 20 * MIB);
    }
}

#[test]
fn what_is_wrong_with_an_attachment_its_receipt_says() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut desk = desk(&cache, &sentry, &[]);
    for (words, expected) in [
        ("10 name=a/b", "attached declined \"filename\""),
        ("10 name=", "attached declined \"filename\""),
        ("10 kind=event.minidump", "attached declined \"attachmentType\""),
        ("10 size=999999999", "attached declined \"size\""),
        ("10 size=5", "attached declined it is longer than the 5 bytes"),
        ("10 size=50", "attached declined it ends after 10 bytes"),
        ("fails", "attached lost"),
        ("panics", "attached lost"),
        ("0", "attached taken 0"),
    ] {
        let said = attach(&mut desk, words);
        assert!(said.starts_with(expected), "{words}: {said}");
    }
    assert!(desk.ask("close 60000").starts_with("closed true"));
    // What was half written is gone, and only what is whole has arrived.
    assert!(cache.files().is_empty(), "{:?}", cache.files());
    assert_eq!(attached(&sentry).2, 0);
    sentry.expect(an_item("attachment").times(1));
}

#[test]
fn promise_5_a_source_that_hangs_holds_up_neither_flush_nor_end_nor_what_else_is_captured() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut desk = desk(&cache, &sentry, &[]);
    let captured = desk.ask("capture with more");
    let event = captured.strip_prefix("captured ").unwrap();
    for _ in 0..5 {
        desk.tell(&format!("attach {event} hangs"));
    }
    desk.ask("capture beside it");
    assert!(desk.ask("flush 300").starts_with("flushed false"));
    let is_event = |item: &Item| item.kind() == "event";
    sentry.wait_until(|requests| {
        let envelopes = requests.iter().filter_map(|request| request.envelope.as_ref().ok());
        envelopes.flat_map(|envelope| &envelope.items).filter(|item| is_event(item)).count() == 2
    });
    desk.tell("close 500");
    // The threads that hang are left, which the process would wait for to say so.
    let said: Vec<_> = std::iter::from_fn(|| desk.hear()).take(6).collect();
    assert_eq!(said.iter().filter(|said| *said == "attached lost").count(), 5, "{said:?}");
    assert!(said.iter().any(|said| said.starts_with("closed false")), "{said:?}");
}
