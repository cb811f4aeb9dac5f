//! Many renderers at once, and several mains beside each other.

use std::collections::BTreeMap;

use guardhouse_tests::desk::{Desk, Scratch, runtime_of};
use guardhouse_tests::helm;
use guardhouse_tests::sentry::Sentry;

use crate::{DESK, HELM, House, child_of, messages};

#[test]
fn of_fifty_renderers_at_once_everything_arrives_and_breadcrumbs_are_in_order_of_time() {
    const RENDERERS: usize = 50;
    const MESSAGES: usize = 40;
    let mut house = House::start(&["--max-items", "20000", "--shutdown", "60000"]);
    let names: Vec<String> = (0..RENDERERS).map(|number| format!("page-{number}")).collect();
    let mut children: Vec<_> = names.iter().map(|name| house.child(name, &[])).collect();
    for child in &mut children {
        child.tell(&format!("fill {MESSAGES}"));
    }
    for child in &mut children {
        assert_eq!(child.hear().as_deref(), Some("done"));
    }
    // One after another, so each comes after the one before.
    for (number, child) in children.iter_mut().enumerate() {
        assert_eq!(child.ask(&format!("crumb {number}")), "done");
    }
    for child in &mut children {
        child.tell("flush 240000");
    }
    for child in &mut children {
        assert!(child.hear().is_some_and(|said| said.starts_with("flushed true")));
    }
    house.desk.ask("capture of main");
    for child in &mut children {
        child.tell("close 240000");
    }
    for child in &mut children {
        assert!(child.hear().is_some_and(|said| said.starts_with("closed true")));
    }
    house.close();

    let expected: Vec<String> = (0..RENDERERS).map(|number| number.to_string()).collect();
    assert_eq!(crate::crumbs(&house.event_saying("of main")), expected);
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in house.sentry.events() {
        let name = event["tags"]["event.process"].as_str().unwrap_or("main").to_owned();
        said.entry(name).or_default().push(crate::message_of(&event).unwrap().to_owned());
    }
    let expected: Vec<String> = (0..MESSAGES).map(|number| format!("fill {number}")).collect();
    for name in &names {
        assert_eq!(said[name], expected, "{name}");
    }
}

/// A main beside others: all of them leave their notes in the same directory.
struct Beside {
    sentry: Sentry,
    cache: Scratch,
    desk: Desk,
}

impl Beside {
    #[track_caller]
    fn start(runtime: &std::path::Path, namespace: &str) -> Self {
        let (sentry, cache) = (Sentry::start(), Scratch::new());
        let mut command = Desk::command(DESK, cache.path());
        command.env("XDG_RUNTIME_DIR", runtime);
        command.args(["--dsn", &sentry.dsn(), "--namespace", namespace]);
        let desk = Desk::launch_as(&mut command).started();
        Self { sentry, cache, desk }
    }
}

#[test]
fn mains_beside_each_other_are_never_mixed_up() {
    let shared = Scratch::new();
    let runtime = runtime_of(shared.path());
    // Two applications, and two instances of each.
    let namespaces = ["one", "two", "one", "two"];
    let mut mains: Vec<_> = namespaces.iter().map(|it| Beside::start(&runtime, it)).collect();
    let mut children = Vec::new();
    for (number, main) in mains.iter_mut().enumerate() {
        for (name, options) in [("own", &[][..]), ("noted", &["--no-socket"])] {
            let namespace = ["--namespace", namespaces[number]];
            let options = [options, &namespace].concat();
            children.push((number, child_of(&mut main.desk, &main.cache, name, &options)));
        }
    }
    for (number, child) in &mut children {
        child.ask(&format!("tag mine {number}"));
        child.ask(&format!("capture of {number}"));
        child.flush();
    }
    // Whoever was not started by any of them finds the latest of its namespace.
    for namespace in ["one", "two"] {
        let mut foreign = helm::start(HELM, &runtime, "foreign", &["--namespace", namespace]);
        foreign.ask(&format!("capture foreign {namespace}"));
        assert!(foreign.ask("close 240000").starts_with("closed true"));
    }
    let mut nobodys = helm::start(HELM, &runtime, "nobodys", &["--namespace", "three"]);
    nobodys.ask("capture nobody's");
    assert!(nobodys.ask("close 240000").starts_with("closed false"));
    for (_, child) in &mut children {
        assert!(child.close());
    }
    for (number, main) in mains.iter_mut().enumerate() {
        assert!(main.desk.ask("close 240000").starts_with("closed true"));
        let mut expected = vec![format!("of {number}"); 2];
        if number >= 2 {
            expected.insert(0, format!("foreign {}", namespaces[number]));
        }
        let mut arrived = messages(&main.sentry);
        arrived.sort();
        assert_eq!(arrived, expected, "main {number}");
        for event in main.sentry.events() {
            let tag = event["tags"]["mine"].as_str();
            let is_mixed_up = tag.is_some_and(|tag| tag != number.to_string());
            assert!(!is_mixed_up, "{event}");
        }
    }
}
