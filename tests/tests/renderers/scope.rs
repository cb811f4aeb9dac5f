//! What a renderer sets is in the events of all, in order, and gone with it.

use crate::{House, crumbs};

#[test]
fn everything_in_the_scope_of_a_renderer_is_in_the_events_of_all_processes() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &[]);
    let mut other = house.child("other", &[]);
    for words in ["scope-all", "tag own yes", "sentry-tag theirs yes", "crumb clicked"] {
        assert_eq!(child.ask(words), "done");
    }
    child.ask("capture of page");
    child.flush();
    other.ask("capture of other");
    other.flush();
    house.desk.ask("capture of main");
    assert_eq!(child.ask("scope-nothing"), "done");
    child.flush();
    house.desk.ask("capture cleared");
    assert!(child.close() && other.close());
    house.close();

    for message in ["of page", "of other", "of main"] {
        let event = house.event_saying(message);
        assert_eq!(event["user"]["id"], "7", "{event}");
        assert_eq!(event["tags"]["own"], "yes", "{event}");
        assert_eq!(event["tags"]["theirs"], "yes", "{event}");
        assert_eq!(event["extra"]["depth"], 3, "{event}");
        assert_eq!(event["contexts"]["document"]["pages"], 12, "{event}");
        assert_eq!(event["fingerprint"][0], "mine", "{event}");
        assert_eq!(event["transaction"], "reading", "{event}");
        assert!(crumbs(&event).contains(&"clicked"), "{event}");
    }
    let cleared = house.event_saying("cleared");
    for gone in ["/user/id", "/extra/depth", "/contexts/document", "/fingerprint", "/transaction"] {
        assert!(cleared.pointer(gone).is_none(), "{gone} in {cleared}");
    }
    assert_eq!(house.event_saying("of page")["level"], "info", "its own counts more");
    let requests = house.sentry.requests();
    let envelopes = requests.iter().filter_map(|request| request.envelope.as_ref().ok());
    let attached: Vec<_> = envelopes
        .flat_map(|envelope| &envelope.items)
        .filter(|item| item.kind() == "attachment")
        .map(|item| (item.header["filename"].to_string(), item.payload.clone()))
        .collect();
    assert!(attached.len() >= 3, "{attached:?}");
    assert!(attached.iter().all(|it| *it == ("\"notes.txt\"".to_owned(), b"noted".to_vec())));
}

#[test]
fn what_a_renderer_has_set_is_gone_with_it() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &[]);
    child.ask("tag own yes");
    child.ask("sentry-tag theirs yes");
    child.flush();
    house.desk.ask("capture before");
    assert!(child.close());
    assert_eq!(house.desk.ask("await-end page"), "done");
    house.desk.ask("capture after");
    house.close();
    let before = house.event_saying("before");
    assert_eq!((&before["tags"]["own"], &before["tags"]["theirs"]), (&"yes".into(), &"yes".into()));
    let after = house.event_saying("after");
    assert!(after["tags"].get("own").is_none() && after["tags"].get("theirs").is_none(), "{after}");
}

#[track_caller]
fn each_event_carries_what_was_set_just_before(mode: &str) {
    const EVENTS: u32 = 100;
    let mut house = House::start(&[]);
    let mut child = house.child("page", &["--mode", mode]);
    for number in 0..EVENTS {
        let word = if number.is_multiple_of(2) { "tag" } else { "sentry-tag" };
        child.ask(&format!("{word} {word} {number}"));
        child.ask(&format!("capture {number}"));
    }
    assert!(child.close());
    house.close();
    let events = house.sentry.events();
    assert_eq!(events.len(), EVENTS as usize);
    for event in events {
        let number: u32 = crate::message_of(&event).unwrap().parse().unwrap();
        let own = number - number % 2;
        assert_eq!(event["tags"]["tag"], own.to_string(), "{mode}, event {number}: {event}");
        // What is set in `sentry` is on the event itself; where there was nothing yet, it may be found
        // that was set a moment later.
        if number > 0 {
            let of_sentry = number - 1 + number % 2;
            assert_eq!(event["tags"]["sentry-tag"], of_sentry.to_string(), "{mode}, {number}");
        }
    }
}

#[test]
fn each_event_carries_the_tag_that_was_set_just_before_it() {
    each_event_carries_what_was_set_just_before("classic");
    each_event_carries_what_was_set_just_before("protocol");
}
