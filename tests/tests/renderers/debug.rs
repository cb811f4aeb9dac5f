//! What main and a child say of themselves, held against what happened.

use crate::House;

/// The id of what was captured, as it is said.
fn id(captured: &str) -> String {
    captured.strip_prefix("captured ").expect("it was captured").replace('-', "")
}

/// All lines of both: they share their standard error.
fn lines(house: &mut House) -> Vec<String> {
    let said = house.desk.stderr();
    assert!(!said.contains("public"), "that is the DSN's key:\n{said}");
    said.lines().map(str::to_owned).collect()
}

/// How often a process says something.
#[track_caller]
fn count(lines: &[String], process: &str, words: &str) -> usize {
    let prefix = format!("[guardhouse {process}] ");
    let says = |line: &&String| line.strip_prefix(&prefix).is_some_and(|it| it.contains(words));
    lines.iter().filter(says).count()
}

#[test]
fn debug_says_of_each_envelope_what_became_of_it_and_each_line_says_who_speaks() {
    let mut house = House::start(&["--debug", "--namespace", "my-app", "--no-session"]);
    let mut child = house.child("settings", &["--debug"]);
    child.ask("await classic");
    let of_child = id(&child.ask("capture of the child"));
    child.flush();
    let of_main = id(&house.desk.ask("capture of main"));
    assert!(house.desk.ask("flush 50000").starts_with("flushed true"));
    // This one has to wait for Sentry.
    house.sentry.refuse_connections();
    let waiting = id(&house.desk.ask("capture waiting"));
    house.desk.ask("flush 100");
    house.sentry.recover();
    child.ask("crumb nobody is told of each of these");
    assert!(child.close());
    house.close();
    assert_eq!(house.messages().len(), 3);

    let lines = lines(&mut house);
    for line in &lines {
        let is_named = ["main", "settings"]
            .iter()
            .any(|name| line.starts_with(&format!("[guardhouse {name}] ")));
        assert!(is_named, "{line:?} does not say who speaks");
    }
    for (process, words) in [
        ("settings", "starts as renderer and reports through main, in the namespace \"my-app\""),
        ("settings", "connected to a new main"),
        ("settings", &format!("took event {of_child}")),
        ("settings", &format!("main has event {of_child}")),
        ("main", &format!("took event {of_child}; it is on disk")),
        ("main", &format!("sent event {of_child}")),
        ("main", &format!("took event {of_main}; it is on disk")),
        ("main", &format!("sent event {of_main}")),
        ("main", &format!("took event {waiting}; it is on disk")),
        ("main", &format!("sent event {waiting}")),
        ("main", "\"settings\", process"),
    ] {
        assert_eq!(count(&lines, process, words), 1, "{process}: {words}\n{}", lines.join("\n"));
    }
    let fails = format!("event {waiting} could not be sent, and waits: ");
    assert!(count(&lines, "main", &fails) >= 1, "{}", lines.join("\n"));
    assert!(
        !lines.iter().any(|line| line.contains("nobody is told")),
        "no line for each breadcrumb"
    );
}

#[test]
fn debug_says_where_a_child_looks_for_main_and_what_waits_for_it() {
    let mut house = House::start(&["--namespace", "my-app"]);
    let options = ["--debug", "--namespace", "elsewhere"];
    let mut child = house.foreign("lost", &options);
    let event = id(&child.ask("capture nobody hears it"));
    assert!(child.ask("close 100").starts_with("closed false"));
    while child.hear().is_some() {}
    let said = child.stderr();
    let lines: Vec<String> = said.lines().map(str::to_owned).collect();
    assert!(
        count(&lines, "lost", "in the namespace \"elsewhere\" there is no main") >= 1,
        "{said}"
    );
    assert_eq!(
        count(&lines, "lost", &format!("took event {event}; it waits for main")),
        1,
        "{said}"
    );
    assert_eq!(count(&lines, "lost", &format!("event {event} is left")), 1, "{said}");
    house.close();
}
