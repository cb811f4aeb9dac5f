//! Which namespace a child has that main has started, and what it is told if it wants another.

use std::io::Read;

use guardhouse_process::meeting;
use guardhouse_protocol::Namespace;
use guardhouse_tests::desk::{Desk, Scratch, runtime_of};

use crate::{DESK, House, child_of, launch_child};

/// What a child says that does not start.
fn refusal(house: &mut House, options: &[&str]) -> String {
    let (mut stream, _) = launch_child(&mut house.desk, &house.cache, "other", options);
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it is text");
    said
}

#[test]
fn a_child_has_the_namespace_of_its_main_unless_it_sets_one() {
    for mode in ["classic", "protocol"] {
        let options = ["--namespace", "my-app"];
        let mut house = House::start(&options);
        let mut child = house.child("page", &["--mode", mode]);
        child.ask("capture of the first");
        child.flush();
        // It counts as chosen, so a main that was started anew is its own, wherever it keeps things.
        assert!(house.desk.ask("close 50000").starts_with("closed true"));
        let elsewhere = Scratch::new();
        let mut command = Desk::command(DESK, elsewhere.path());
        command.env("XDG_RUNTIME_DIR", runtime_of(house.cache.path()));
        command.args(["--dsn", &house.sentry.dsn()]).args(options);
        house.desk = Desk::launch_as(&mut command).started();
        house.await_way("page", mode);
        child.ask("capture of the second");
        assert!(child.close());
        house.close();
        house.event_saying("of the first");
        house.event_saying("of the second");
    }
}

#[test]
fn two_namespaces_that_differ_are_an_error_that_names_both() {
    for (main, options) in [("a", &["--namespace", "a"][..]), ("sentry-ipc", &[])] {
        let mut house = House::start(options);
        let said = refusal(&mut house, &["--namespace", "b"]);
        for part in ["failed ", "\"b\"", &format!("{main:?}"), "Options::ipc_namespace"] {
            assert!(said.contains(part), "{part} in {said:?}");
        }
        assert_eq!(house.desk.ask("renderers"), "renderers ");
    }
}

/// An application that another one has started has its environment. Its own children that it starts
/// without a word to us find it all the same.
#[test]
fn the_environment_of_another_application_is_none_of_a_childs_business() {
    let mut other = House::start(&["--namespace", "other"]);
    let mut house = House::start(&["--namespace", "mine"]);
    let namespace = Namespace::new("other").unwrap();
    let found = meeting::find(&runtime_of(other.cache.path()).join("guardhouse"), &namespace);
    let note = format!("GUARDHOUSE_NOTE={}", found[0].0.display());
    let options = ["--no-socket", "GUARDHOUSE_NAMESPACE=other", &note, "--namespace", "mine"];
    let mut child = child_of(&mut house.desk, &house.cache, "page", &options);
    child.ask("capture mine");
    assert!(child.close());
    house.close();
    house.event_saying("mine");
    assert_eq!(other.desk.ask("turned-away"), "turned-away ");
}
