//! What arrived at Sentry from the application of `examples/native`: shown event by event, and each
//! held against what it should be.

use guardhouse_protocol::Timestamp;
use guardhouse_tests::sentry::Sentry;
use serde_json::Value;

use super::native::shown;
use super::{check, failed, heading};
use crate::Failure;

/// All breadcrumbs, in the order of time, and the process that each is from.
const TRAIL: [(&str, &str); 5] = [
    ("main", "opened budget.sheet"),
    ("settings", "the user clicked Save"),
    ("worker", "began to index 41 sheets"),
    ("main", "'worker' process exited with 'abnormal-exit'"),
    ("main", "'settings' process exited with 'killed'"),
];

/// All tags that a process sets, and which.
const TAGS: [(&str, &str, &str); 3] =
    [("main", "channel", "beta"), ("settings", "view", "accounts"), ("worker", "job", "index")];

/// An event that should arrive.
struct Expected {
    /// What it is, to a person.
    what: &'static str,
    process: &'static str,
    text: &'static str,
    /// Which of [`TRAIL`] are in it. Those of a process that is gone are gone with it.
    trail: &'static [usize],
    /// Of which processes it has the tags: those that live at that moment, and its own.
    living: &'static [&'static str],
}

const EXPECTED: [Expected; 5] = [
    Expected {
        what: "The error in settings",
        process: "settings",
        text: "the disk is full",
        trail: &[0, 1],
        living: &["main", "settings"],
    },
    Expected {
        what: "The panic in worker",
        process: "worker",
        text: "sheet 42 has no columns",
        trail: &[0, 1, 2],
        living: &["main", "settings", "worker"],
    },
    Expected {
        what: "The end of worker, as main saw it",
        process: "worker",
        text: "'worker' process exited with 'abnormal-exit'",
        trail: &[0, 1, 2],
        living: &["main", "settings", "worker"],
    },
    Expected {
        what: "The end of settings, as main saw it",
        process: "settings",
        text: "'settings' process exited with 'killed'",
        trail: &[0, 1, 3],
        living: &["main", "settings"],
    },
    Expected {
        what: "What main reports itself, alone by now",
        process: "main",
        text: "both renderers are gone",
        trail: &[0, 3, 4],
        living: &["main"],
    },
];

/// Shows and checks it.
pub(super) fn show(sentry: &Sentry) -> Result<(), Failure> {
    heading("What arrived at Sentry, all of it sent by main");
    let requests = sentry.requests();
    if let Some(fault) = requests.iter().flat_map(|request| &request.faults).next() {
        return Err(failed(format!("a request was not as Sentry wants it: {fault}")));
    }
    let events = sentry.events();
    for expected in &EXPECTED {
        let is_meant = |event: &&Value| text(event) == expected.text;
        let found: Vec<&Value> = events.iter().filter(is_meant).collect();
        let [event] = found[..] else {
            return Err(failed(format!("{} arrived {} times", expected.text, found.len())));
        };
        print(expected, event);
        println!();
        judge(expected, event).map_err(|error| failed(format!("{}: {error}", expected.text)))?;
    }
    check(events.len() == EXPECTED.len(), "there is an event more than there should be")?;
    check(sentry.items("client_report").is_empty(), "something was lost, says a client report")?;
    the_session(sentry)
}

fn print(expected: &Expected, event: &Value) {
    println!("{}: {}", expected.what, text(event));
    let tags: Vec<String> = TAGS
        .iter()
        .filter_map(|(by, key, _)| Some(format!("{key}={} ({by})", event["tags"][key].as_str()?)))
        .collect();
    println!("  process {}", shown(plain(&event["tags"]["event.process"])));
    println!("  tags    {}", tags.join(", "));
    println!("  user    {} (main)", plain(&event["user"]["id"]));
    let crumbs = breadcrumbs(event);
    let begin = crumbs.first().map_or(0.0, time);
    for crumb in crumbs {
        let message = crumb["message"].as_str().unwrap_or_default();
        let by = whose(message).map_or("?", shown);
        let millis = (time(crumb) - begin) * 1000.0;
        let begin = if millis == 0.0 { "crumbs" } else { "" };
        println!("  {begin:<8}{millis:>4.0} ms  {by:<20}{message}");
    }
}

/// Whether an event is as it should be, and if not, what is wrong.
fn judge(expected: &Expected, event: &Value) -> Result<(), String> {
    let process = &event["tags"]["event.process"];
    if process != expected.process {
        return Err(format!("it should be from {}, but says {process}", expected.process));
    }
    for (by, key, value) in TAGS {
        let tag = event["tags"][key].as_str();
        let should = expected.living.contains(&by).then_some(value);
        if tag != should {
            return Err(format!("the tag {key} of {by} should be {should:?}, but is {tag:?}"));
        }
    }
    if event["user"]["id"] != "7" {
        return Err("the user that main has set is missing".into());
    }
    let crumbs = breadcrumbs(event);
    let said: Vec<&str> = crumbs.iter().filter_map(|crumb| crumb["message"].as_str()).collect();
    let should: Vec<&str> = expected.trail.iter().map(|place| TRAIL[*place].1).collect();
    if said != should {
        return Err(format!("its breadcrumbs should be {should:?}, but are {said:?}"));
    }
    if !crumbs.is_sorted_by_key(time) {
        return Err("its breadcrumbs are not in the order of time".into());
    }
    Ok(())
}

fn the_session(sentry: &Sentry) -> Result<(), Failure> {
    let updates = sentry.items("session");
    let told: Vec<String> = updates
        .iter()
        .map(|update| format!("{} with {} errors", plain(&update["status"]), update["errors"]))
        .collect();
    println!("The session of the run: {}", told.join(", then "));
    let ids: Vec<&Value> = updates.iter().map(|update| &update["sid"]).collect();
    check(ids.windows(2).all(|pair| pair[0] == pair[1]), "there is more than one session")?;
    let last = updates.last().ok_or_else(|| failed("there is no session"))?;
    check(last["status"] == "exited", "the session has not ended as the run did")?;
    // The error, the panic, and the message of main, whose level is `error`.
    check(last["errors"] == 3, "the session does not know of three errors")
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// What a person calls the event: its message, or that of its exception.
fn text(event: &Value) -> &str {
    let exceptions = list(&event["exception"]);
    let exception = exceptions.last().map_or(&Value::Null, |exception| &exception["value"]);
    let places = [&event["message"], &event["logentry"]["formatted"], exception];
    places.into_iter().find_map(Value::as_str).unwrap_or_default()
}

fn breadcrumbs(event: &Value) -> &[Value] {
    list(&event["breadcrumbs"])
}

fn list(value: &Value) -> &[Value] {
    value.as_array().or_else(|| value["values"].as_array()).map_or(&[], Vec::as_slice)
}

fn whose(message: &str) -> Option<&'static str> {
    TRAIL.iter().find(|(_, crumb)| *crumb == message).map(|(process, _)| *process)
}

/// When it was, in seconds.
fn time(crumb: &Value) -> f64 {
    let time = &crumb["timestamp"];
    let text = || Some(Timestamp::parse_rfc3339(time.as_str()?)?.as_seconds());
    time.as_f64().or_else(text).unwrap_or(f64::NAN)
}
