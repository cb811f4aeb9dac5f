//! A main process that is killed while Sentry cannot be reached, and its next start.
//!
//! The processes are real, and so is the server: the mock Sentry of the tests, over a socket.

use std::path::Path;

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::sentry::{Item, Sentry, message_of};
use serde_json::Value;

use super::{check, failed, heading, shortened};
use crate::Failure;
use crate::workspace::{cargo, succeeds, target};

/// The id of the event that all of it is about.
const EVENT: &str = "0123456789abcdef0123456789abcdef";

/// Plays it.
pub(super) fn run() -> Result<(), Failure> {
    heading("A main process is killed while Sentry cannot be reached");
    let binary = build()?;
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.refuse_connections();

    let mut desk = start(&binary, cache.path(), &sentry)?;
    println!("Main runs as process {}. Sentry refuses connections.", desk.id());
    let scope = r#"{"user":{"id":"7"},"breadcrumbs":[{"message":"the page: clicked save"}]}"#;
    tell(&mut desk, "main:  sets the tag channel=beta", "tag channel beta")?;
    tell(&mut desk, "main:  leaves a breadcrumb", "crumb main: opened sheet-7")?;
    tell(&mut desk, "page:  says its scope, a user and a breadcrumb", &format!("scope 1 {scope}"))?;
    let answer = tell(
        &mut desk,
        "page:  reports an error",
        &format!("event 1 {EVENT} the sheet could not be saved"),
    )?;
    check(answer.ends_with("taken"), "main does not take the event")?;
    let answer = tell(&mut desk, "main:  flushes, for half a second at most", "flush 500")?;
    check(answer.starts_with("flushed false"), "something was sent to nobody")?;
    desk.kill();
    let left = cache.files().len();
    println!("It is killed (SIGKILL). What it has acknowledged is on disk, in {left} files.");

    heading("Sentry is back, and the application starts again");
    sentry.recover();
    let mut desk = start(&binary, cache.path(), &sentry)?;
    println!("Main runs as process {}.", desk.id());
    let answer = tell(&mut desk, "main:  ends", "close 10000")?;
    check(answer.starts_with("closed true"), "not everything was sent")?;
    println!("What arrived at Sentry:");
    let requests = sentry.requests();
    let items: Vec<&Item> = requests
        .iter()
        .filter_map(|request| request.envelope.as_ref().ok())
        .flat_map(|envelope| &envelope.items)
        .collect();
    for item in &items {
        describe(item);
    }
    let events: Vec<Value> =
        items.iter().filter(|item| item.kind() == "event").map(|item| item.json()).collect();
    let [event] = &events[..] else { return Err(failed("it is not one event that arrived")) };
    check(event["event_id"] == EVENT, "it is another event")?;
    let crumbs = breadcrumbs(event);
    for wanted in ["main: opened sheet-7", "the page: clicked save"] {
        check(crumbs.iter().any(|crumb| crumb == wanted), "a breadcrumb is missing")?;
    }
    let ends: Vec<Value> =
        items.iter().filter(|item| item.kind() == "session").map(|item| item.json()).collect();
    for status in ["abnormal", "exited"] {
        let count = ends.iter().filter(|session| session["status"] == status).count();
        check(count == 1, "a session has not its one outcome")?;
    }
    check(cache.files().is_empty(), "something was left behind")?;
    println!("Nothing is left on disk.");
    Ok(())
}

fn build() -> Result<String, Failure> {
    let mut command = cargo(["build", "--locked", "-p", "guardhouse-tests", "--bin", "desk"]);
    if !succeeds(&mut command).map_err(failed)? {
        return Err(failed("the application of the demo does not compile"));
    }
    let binary = target().join("debug").join(format!("desk{}", std::env::consts::EXE_SUFFIX));
    Ok(binary.display().to_string())
}

fn start(binary: &str, cache: &Path, sentry: &Sentry) -> Result<Desk, Failure> {
    let mut desk = Desk::launch(binary, cache, &sentry.dsn(), &[]);
    match desk.hear() {
        Some(line) if line == "ready" => Ok(desk),
        other => Err(failed(format!("main does not start: {}", other.unwrap_or_default()))),
    }
}

/// Tells the process something, and shows that.
fn tell(desk: &mut Desk, what: &str, words: &str) -> Result<String, Failure> {
    desk.tell(words);
    let answer = desk.hear().ok_or_else(|| failed(format!("main died of {words:?}")))?;
    println!("  {what:<52} → {}", shortened(&answer));
    Ok(answer)
}

fn describe(item: &Item) {
    let json = item.json();
    match item.kind() {
        "event" => {
            println!("  event {:?}, release {}", message_of(&json), json["release"]);
            println!("    tags   {}", json["tags"]);
            println!("    user   {}", json["user"]);
            for crumb in breadcrumbs(&json) {
                println!("    crumb  {crumb}");
            }
        }
        "session" => println!(
            "  session {}… {}",
            json["sid"].as_str().and_then(|sid| sid.get(..8)).unwrap_or_default(),
            json["status"],
        ),
        other => println!("  {other}"),
    }
}

fn breadcrumbs(event: &Value) -> Vec<String> {
    let crumbs = &event["breadcrumbs"];
    let crumbs = crumbs["values"].as_array().or_else(|| crumbs.as_array());
    let message = |crumb: &Value| crumb["message"].as_str().map(str::to_owned);
    crumbs.into_iter().flatten().filter_map(message).collect()
}
