//! How children end, how main ends, and what is known of it afterwards.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::Signal;
use serde_json::Value;

use crate::post::{Post, send, stop};
use crate::{House, crumbs, message_of};

/// A child ends. It was told to, and main has noticed.
#[track_caller]
fn ended(house: &mut House, name: &str, expected: &str) {
    assert_eq!(house.desk.ask(&format!("await-end {name}")), "done");
    assert_eq!(house.desk.ask(&format!("wait {name}")), format!("ended {expected}"));
}

/// The breadcrumb of an event that tells of the end of this process.
#[track_caller]
fn end_in<'e>(event: &'e Value, name: &str) -> &'e Value {
    let all = event["breadcrumbs"]["values"].as_array().or(event["breadcrumbs"].as_array());
    let mut ends = all.into_iter().flatten().filter(|crumb| crumb["data"]["name"] == name);
    let end = ends.next().unwrap_or_else(|| panic!("nothing of {name} in {event}"));
    assert!(ends.next().is_none(), "{name} ended twice");
    end
}

/// A main that says, after a child ended in this way, what it knows of it.
#[track_caller]
fn told_of(options: &[&str], end: impl FnOnce(&mut Post), expected: &str) -> House {
    let mut house = House::start(options);
    let mut child = house.child("page", &[]);
    child.ask("tag view accounts");
    child.ask("crumb opened");
    child.flush();
    end(&mut child);
    ended(&mut house, "page", expected);
    house.desk.ask("capture afterwards");
    house.close();
    house
}

#[track_caller]
fn reason_of(house: &House) -> String {
    let event = house.event_saying("afterwards");
    assert!(event["tags"].get("view").is_none(), "its scope is gone: {event}");
    let end = end_in(&event, "page");
    assert_eq!(end["category"], "child-process");
    end["data"]["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_renderer_that_is_killed_leaves_a_breadcrumb() {
    let house = told_of(&[], |child| child.signal(Signal::KILL), "by 9");
    assert_eq!(reason_of(&house), "killed");
    assert_eq!(house.messages(), ["afterwards"]);
    assert_eq!(end_in(&house.event_saying("afterwards"), "page")["data"]["signal"], 9);
}

#[test]
fn a_kill_that_is_asked_for_is_an_event_with_the_last_scope_of_the_renderer() {
    let house = told_of(&["--events", "killed"], |child| child.signal(Signal::KILL), "by 9");
    let event = house.event_saying("'page' process exited with 'killed'");
    assert_eq!(event["tags"]["view"], "accounts");
    assert_eq!(event["tags"]["event.process"], "page");
    assert_eq!(crumbs(&event), ["opened"]);
    assert_eq!(reason_of(&house), "killed");
}

#[test]
fn a_code_that_is_not_0_is_an_event_and_one_that_is_0_is_not() {
    let house = told_of(&[], |child| child.tell("exit 3"), "3");
    let event = house.event_saying("'page' process exited with 'abnormal-exit'");
    assert_eq!(event["contexts"]["exit"]["exitCode"], 3);
    assert_eq!(event["tags"]["view"], "accounts");
    assert_eq!(reason_of(&house), "abnormal-exit");

    let house = told_of(&[], |child| child.tell("exit 0"), "0");
    assert_eq!(reason_of(&house), "clean-exit");
    assert_eq!(house.messages(), ["afterwards"]);
}

#[test]
fn a_goodbye_is_a_clean_end() {
    let house = told_of(&[], |child| assert!(child.close()), "0");
    assert_eq!(reason_of(&house), "clean-exit");
    assert_eq!(house.messages(), ["afterwards"]);
}

#[test]
fn a_panic_that_aborts_is_a_crash_of_which_main_has_the_panic() {
    let house = told_of(&[], |child| child.tell("abort ouch"), "by 6");
    let event = house.event_saying("ouch");
    assert_eq!(event["tags"]["event.process"], "page");
    assert_eq!(event["tags"]["view"], "accounts");
    assert_eq!(reason_of(&house), "crashed");
}

#[test]
fn a_panic_of_the_main_thread_is_one_event_and_its_end_a_breadcrumb() {
    let house = told_of(&[], |child| child.tell("unwind ouch"), "101");
    assert_eq!(house.messages(), ["ouch", "afterwards"]);
    assert_eq!(house.event_saying("ouch")["level"], "fatal");
    assert_eq!(reason_of(&house), "abnormal-exit");
}

#[test]
fn an_end_that_no_panic_explains_is_an_event_of_its_own() {
    let end = "'page' process exited with 'abnormal-exit'";
    // As by a panic, but nobody has reported one.
    let house = told_of(&[], |child| child.tell("exit 101"), "101");
    assert_eq!(house.messages(), [end, "afterwards"]);
    // It has survived the panic of a thread, and ends for another reason.
    let end_after_panic = |child: &mut Post| {
        assert!(child.ask("panic ouch").starts_with("panicked"));
        child.tell("exit 3");
    };
    let house = told_of(&[], end_after_panic, "3");
    assert_eq!(house.messages(), ["ouch", end, "afterwards"]);
    // An error that somebody handled is no panic.
    let end_after_error = |child: &mut Post| {
        assert!(child.ask("error ouch").starts_with("captured"));
        child.flush();
        child.tell("exit 101");
    };
    let house = told_of(&[], end_after_error, "101");
    assert_eq!(house.messages(), ["ouch", end, "afterwards"]);
}

#[test]
fn a_utility_is_known_as_one() {
    let mut house = House::start(&["--events", "killed"]);
    let mut child = house.child("worker", &["--utility"]);
    child.flush();
    let (way, role, pid) = house.known("worker").unwrap();
    assert_eq!((way.as_str(), role.as_str(), pid), ("classic", "utility", child.id()));
    child.signal(Signal::KILL);
    ended(&mut house, "worker", "by 9");
    house.close();
    let event = house.event_saying("'worker' process exited with 'killed'");
    assert_eq!(event["contexts"]["exit"]["type"], "utility");
}

#[test]
fn what_a_renderer_captures_while_main_is_dead_is_taken_by_the_next_main() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &[]);
    child.ask("tag view accounts");
    child.ask("capture one");
    child.flush();
    house.desk.kill();
    assert_eq!(child.ask("await none"), "way none");
    child.ask("capture two");
    house.restart(&[]);
    assert_eq!(child.ask("await classic"), "way classic");
    child.ask("capture three");
    assert!(child.close());
    house.close();
    // Whether Sentry had it the first main has perhaps not seen. Then it comes again, under its id.
    let events = house.sentry.events();
    let events: BTreeSet<_> = events.iter().map(of).collect();
    let messages: Vec<_> = events.iter().map(|(message, _)| message.as_str()).collect();
    assert_eq!(messages, ["one", "three", "two"]);
    for event in house.sentry.events() {
        assert_eq!(event["tags"]["view"], "accounts", "{event}");
        assert_eq!(event["tags"]["event.process"], "page");
    }
}

#[test]
fn what_a_renderer_leaves_that_ends_while_main_is_dead_is_taken_by_the_next_main() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &[]);
    child.ask("tag view accounts");
    child.flush();
    house.desk.kill();
    child.ask("capture one");
    child.ask("capture two");
    assert!(!child.close());
    house.restart(&[]);
    house.close();
    assert_eq!(house.messages(), ["one", "two"]);
    for event in house.sentry.events() {
        assert_eq!(event["tags"]["view"], "accounts", "{event}");
    }
}

#[test]
fn a_renderer_that_is_killed_while_main_is_dead_has_left_what_it_could_not_say() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &[]);
    child.flush();
    house.desk.kill();
    child.ask("capture left");
    // There is no main to wait for, so it is written down.
    assert!(child.ask("flush 50000").starts_with("flushed false"));
    child.signal(Signal::KILL);
    assert_eq!(child.hear(), None);
    house.restart(&[]);
    house.close();
    assert_eq!(house.messages(), ["left"]);
}

#[test]
fn a_main_that_is_killed_while_it_takes_events_loses_none_and_invents_none() {
    const EVENTS: usize = 40;
    const ROUNDS: usize = 4;
    let mut house = House::start(&[]);
    for round in 0..ROUNDS {
        let mut child = house.child("page", &["--max-items", "5000"]);
        child.ask("await classic");
        child.tell(&format!("fill {EVENTS}"));
        // Wherever it is with them.
        house.wait_for_events(EVENTS * round + 1 + 5 * round);
        house.desk.kill();
        assert_eq!(child.hear().as_deref(), Some("done"));
        assert_eq!(child.ask("await none"), "way none");
        house.restart(&[]);
        assert_eq!(child.ask("await classic"), "way classic");
        assert!(child.close());
        house.wait_for_events(EVENTS * (round + 1));
    }
    house.close();
    // What it had and could not acknowledge any more comes again, and Sentry knows it by its id.
    let events = house.sentry.events();
    let ids: BTreeSet<_> = events.iter().map(|event| event["event_id"].to_string()).collect();
    assert_eq!(ids.len(), EVENTS * ROUNDS);
    let mut odd = BTreeMap::new();
    for (message, _) in events.iter().map(of).collect::<BTreeSet<_>>() {
        *odd.entry(message).or_insert(0) += 1;
    }
    odd.retain(|_, times| *times != ROUNDS);
    assert_eq!(odd, BTreeMap::new());
}

/// What it says, and its id.
fn of(event: &Value) -> (String, String) {
    (message_of(event).unwrap_or_default().to_owned(), event["event_id"].to_string())
}

#[test]
fn what_is_captured_while_main_is_stopped_is_there_once_when_it_goes_on() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &[]);
    child.flush();
    stop(house.desk.id());
    assert_eq!(child.ask("fill 100"), "done");
    assert!(child.ask("flush 300").starts_with("flushed false"));
    send(house.desk.id(), Signal::CONT);
    child.flush();
    assert!(child.close());
    house.close();
    let expected: Vec<String> = (0..100).map(|number| format!("fill {number}")).collect();
    assert_eq!(house.messages(), expected);
}

#[test]
fn a_thread_that_hangs_is_reported_once_and_one_that_pauses_never() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &["--threshold", "400"]);
    child.ask("tag view accounts");
    child.ask("watch idle");
    child.ask("beat idle");
    child.ask("pause idle");
    child.ask("watch ui");
    child.ask("beat ui");
    house.wait_for_events(1);
    child.ask("beat ui");
    assert!(child.close());
    house.close();
    let events = house.sentry.events();
    assert_eq!(events.len(), 1, "{events:?}");
    let exception = &events[0]["exception"]["values"][0];
    assert_eq!(exception["type"], "ApplicationNotResponding", "{}", events[0]);
    assert_eq!(events[0]["tags"]["view"], "accounts");
    assert!(events[0].to_string().contains("ui"), "{}", events[0]);
}

#[test]
fn a_renderer_that_is_stopped_does_not_hang() {
    let mut house = House::start(&[]);
    let mut stopped = house.child("stopped", &["--threshold", "100"]);
    let mut other = house.child("other", &["--threshold", "1000"]);
    stopped.ask("watch ui");
    stopped.ask("beat ui");
    stopped.flush();
    stop(stopped.id());
    // This one hangs for longer, so the other one would have been reported before.
    other.ask("watch ui");
    other.ask("beat ui");
    house.wait_for_events(1);
    stopped.signal(Signal::CONT);
    stopped.ask("unwatch ui");
    assert!(stopped.close() && other.close());
    house.close();
    let events = house.sentry.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["tags"]["event.process"], "other");
}
