//! What is said of it on standard output and standard error: nothing, unless it is asked for.

use guardhouse_tests::desk::Scratch;
use guardhouse_tests::sentry::{Sentry, status};

use super::{desk, id};

/// Everything that there is something to be said about. What the process printed of its own accord.
fn a_troubled_run(options: &[&str]) -> (Vec<String>, String) {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.next(status(413));
    let mut desk = desk(&cache, &sentry, options);
    desk.ask("capture refused by the server");
    desk.ask("flush 60000");
    desk.ask(r#"envelope 1 {}\n{"type":"session"}\n{"sid":"x"}"#);
    desk.ask("scope 1 this is no JSON");
    desk.ask(&format!("event 1 {} fine", id(1)));
    sentry.refuse_connections();
    desk.ask("capture kept");
    desk.ask("flush 100");
    assert!(desk.ask("close 100").starts_with("closed "));
    let rest: Vec<_> = std::iter::from_fn(|| desk.hear()).collect();
    (rest, desk.stderr())
}

#[test]
fn without_debug_it_prints_nothing_at_all() {
    let (stdout, stderr) = a_troubled_run(&[]);
    assert_eq!((stdout, &*stderr), (vec!["left 1".to_owned()], ""));
}

#[test]
fn with_debug_it_says_what_was_refused_or_lost_and_why() {
    let (stdout, stderr) = a_troubled_run(&["--debug"]);
    assert_eq!(stdout, ["left 1"]);
    for said in [
        "Sentry refused an envelope with status 413",
        "an item of type `session` is not a renderer's to send",
        "renderer 00000000-0000-0000-0000-000000000001",
        "nothing could be sent",
    ] {
        assert!(stderr.contains(said), "it does not say {said:?}:\n{stderr}");
    }
}
