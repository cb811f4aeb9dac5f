//! Promise 7: every run has exactly one session outcome.

use std::collections::{BTreeMap, BTreeSet};

use guardhouse_main::outbox::spool::Step;
use guardhouse_tests::sentry::{Item, Sentry};
use serde_json::Value;

use crate::campaign::{End, ROUNDS, Series, Weather, at_once, show};
use crate::life::Life;
use crate::{World, setting};

/// The outcomes of all sessions of a release, in the order in which they started, when each has one
/// beginning and one end, if `is_all`, or at most that, since updates may have been lost.
///
/// What arrives twice must be the same to the byte; when it may, [`book`](crate::book) says.
#[track_caller]
fn outcomes(sentry: &Sentry, is_all: bool, context: &str) -> BTreeMap<String, Vec<String>> {
    let mut sessions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for request in sentry.requests().iter().filter(|request| request.was_taken()) {
        let items = request.envelope.as_ref().map_or(&[][..], |envelope| &envelope.items);
        for update in items.iter().filter(|item| item.kind() == "session").map(Item::json) {
            let sid = update["sid"].as_str().expect("a session has an id").to_owned();
            sessions.entry(sid).or_default().push(update);
        }
    }
    let mut starts: Vec<(String, String, Option<String>)> = Vec::new();
    for updates in sessions.into_values() {
        let different: BTreeSet<String> = updates.iter().map(Value::to_string).collect();
        let count = |is_meant: fn(&Value) -> bool| {
            different.iter().filter(|text| is_meant(&serde_json::from_str(text).unwrap())).count()
        };
        let inits = count(|update| update["init"] == true);
        let ends = count(|update| update["status"] != "ok");
        assert!(inits == 1 || inits == 0 && !is_all, "{context}: {inits} beginnings: {updates:#?}");
        assert!(ends == 1 || ends == 0 && !is_all, "{context}: {ends} ends: {updates:#?}");
        let first = &updates[0];
        for update in &updates {
            assert_eq!(update["started"], first["started"], "{context}: {updates:#?}");
            assert_eq!(update["attrs"], first["attrs"], "{context}: {updates:#?}");
            assert_eq!(update["init"] == true, update["seq"] == 0, "{context}: {updates:#?}");
        }
        let text = |value: &Value| value.as_str().expect("it is text").to_owned();
        let end = updates.iter().find(|update| update["status"] != "ok");
        let end = end.map(|update| text(&update["status"]));
        starts.push((text(&first["attrs"]["release"]), text(&first["started"]), end));
    }
    starts.sort();
    let mut outcomes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (release, _, outcome) in starts {
        outcomes.entry(release).or_default().extend(outcome);
    }
    outcomes
}

/// Looks whether each run has the outcome that fits to what it has said.
#[track_caller]
pub(crate) fn check(sentry: &Sentry, lives: &[Life], is_all: bool, context: &str) {
    let outcomes = outcomes(sentry, is_all, context);
    for life in lives {
        let allowed = life.outcomes();
        let release = &life.release;
        match outcomes.get(release).map_or(&[][..], Vec::as_slice) {
            // What was killed while it began may have no session.
            [] => assert!(!life.is_ready || !is_all, "{context}: {release} has no outcome"),
            [one] => {
                let is_allowed = allowed.contains(&one.as_str());
                assert!(is_allowed, "{context}: {release} is {one} and should be {allowed:?}");
            }
            more => panic!("{context}: {release} has the outcomes {more:?}"),
        }
    }
}

/// What a run does at its end, and the outcome that it has.
const ENDS: [(&[&str], &str); 8] = [
    (&["close 300"], "exited"),
    (&["drop"], "exited"),
    // Whoever drives it is gone, and `main` returns.
    (&[], "exited"),
    // Without dropping the guard: nobody could say anything.
    (&["exit"], "abnormal"),
    (&["kill"], "abnormal"),
    (&["panic boom", "close 300"], "crashed"),
    (&["panic boom", "exit"], "crashed"),
    (&["panic boom", "kill"], "crashed"),
];

#[test]
fn promise_7_every_run_has_exactly_one_session_outcome() {
    let world = World::new();
    let mut expected = Vec::new();
    for is_up in [true, false] {
        if !is_up {
            world.sentry.refuse_connections();
        }
        for (words, outcome) in ENDS {
            let mut life = world.start(&["--shutdown", "1000"]);
            // It is known to be handled when what comes behind it is.
            life.tell("error oops");
            life.report(1, "00000000000000000000000000000001");
            assert!(life.hear_of("00000000000000000000000000000001"));
            for word in words {
                match word.split_once(' ') {
                    _ if *word == "kill" => life.kill(),
                    Some(("panic", message)) => {
                        life.panic(message);
                        assert!(life.hear_until("panicked"));
                    }
                    _ => life.tell(word),
                }
            }
            life.hang_up();
            life.end();
            expected.push((life.release, vec![outcome.to_owned()]));
        }
        world.sentry.recover();
    }
    let crashed = expected.iter().filter(|(_, outcomes)| outcomes[0] == "crashed");
    let crashed: BTreeSet<String> = crashed.map(|(release, _)| release.clone()).collect();
    for life in world.drain("at last") {
        expected.push((life.release, vec!["exited".to_owned()]));
    }
    assert_eq!(outcomes(&world.sentry, true, "at last"), expected.into_iter().collect());

    // The end of a session that crashed is where the event is that it crashed of, which may arrive
    // twice if the process was killed when Sentry had it.
    let mut beside = BTreeSet::new();
    for request in world.sentry.requests().iter().filter(|request| request.was_taken()) {
        let items = &request.envelope.as_ref().expect("it has the right form").items;
        let of_kind = |kind: &str| items.iter().find(|item| item.kind() == kind).map(Item::json);
        if let (Some(event), Some(session)) = (of_kind("event"), of_kind("session")) {
            assert_eq!(event.pointer("/exception/values/0/value"), Some(&"boom".into()));
            assert_eq!((&session["status"], &session["errors"]), (&"crashed".into(), &3.into()));
            assert_eq!(session["attrs"]["release"], event["release"]);
            beside.insert(event["release"].as_str().expect("it is text").to_owned());
        }
    }
    assert_eq!(beside, crashed);
}

/// A killed run is concluded by one that is killed while it does so, and by one after that.
#[test]
fn promise_7_holds_if_those_who_conclude_a_killed_run_are_killed_as_well() {
    let tally = at_once(Step::ALL.len() as u64, |number| {
        let step = Step::ALL[number as usize];
        let mut series = Series::new(number, false);
        series.live(Weather::Refusing, End::Acknowledged, false);
        series.live(Weather::Fine, End::Step(step, 1), false);
        series.live(Weather::Refusing, End::Step(step, 2), false);
        series.conclude(&format!("{step:?}"))
    });
    show("concluding", &tally);
}

#[test]
fn promise_7_holds_for_runs_that_are_killed_at_any_time() {
    let (rounds, seed) = (setting("KILL_ROUNDS", 40), setting("KILL_SEED", 1));
    let tally = at_once(rounds.div_ceil(ROUNDS), |number| {
        let seed = seed + number;
        let mut series = Series::new(seed, false);
        for _ in 0..ROUNDS {
            series.round();
        }
        series.conclude(&format!("KILL_SEED={seed} KILL_ROUNDS={ROUNDS}"))
    });
    show("at any time", &tally);
}

/// A thing that happens in a window session, and the outcomes that the sessions of the run have then.
type Story = (&'static [&'static str], &'static [&'static str]);

/// With no time in the background, so that a session ends when the focus is lost.
const STORIES: [Story; 8] = [
    (&["close 300"], &[]),
    (&["kill"], &[]),
    (&["focus on", "close 300"], &["exited"]),
    (&["focus on", "kill"], &["abnormal"]),
    (&["focus on", "focus off", "kill"], &["exited"]),
    (&["focus on", "focus off", "focus on", "kill"], &["exited", "abnormal"]),
    (&["focus on", "panic boom", "focus off", "focus on", "close 300"], &["crashed", "exited"]),
    (&["focus on", "panic boom", "kill"], &["crashed"]),
];

#[test]
fn promise_7_every_session_of_a_window_has_exactly_one_outcome() {
    let world = World::new();
    let mut expected = BTreeMap::new();
    for (is_up, background) in [(true, "0"), (false, "3600000")] {
        if !is_up {
            world.sentry.refuse_connections();
        }
        for (words, outcomes) in STORIES {
            let mut life = world.start(&["--background", background, "--shutdown", "1000"]);
            for (number, word) in words.iter().enumerate() {
                match word.split_once(' ') {
                    _ if *word == "kill" => life.kill(),
                    Some(("panic", message)) => {
                        life.panic(message);
                        assert!(life.hear_until("panicked"));
                    }
                    _ => {
                        life.tell(word);
                        // Whether the time in the background is over is looked at with every
                        // error, and what comes behind is acknowledged when that is written.
                        life.tell("error oops");
                        let id = format!("{number:032x}");
                        life.report(1, &id);
                        assert!(life.hear_of(&id) || word.starts_with("close"));
                    }
                }
            }
            life.end();
            let outcomes = match (background, outcomes) {
                // There is time to come back, so it is the same session.
                ("3600000", ["exited", last]) => &[*last][..],
                ("3600000", ["exited"]) if words.last() == Some(&"kill") => &["abnormal"],
                (_, outcomes) => outcomes,
            };
            if !outcomes.is_empty() {
                let outcomes = outcomes.iter().map(|outcome| (*outcome).to_owned()).collect();
                expected.insert(life.release, outcomes);
            }
        }
        world.sentry.recover();
    }
    for life in world.drain("at last") {
        expected.insert(life.release, vec!["exited".to_owned()]);
    }
    assert_eq!(outcomes(&world.sentry, true, "at last"), expected);
}
