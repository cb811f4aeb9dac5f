//! What is said of it on standard output and standard error: nothing, unless it is asked for.

use guardhouse_tests::desk::{Desk, Scratch};
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
        // The first that came, which was not what was captured.
        "Sentry refused session with status 413",
        "an item of type `session` is not a renderer's to send",
        "renderer 00000000-0000-0000-0000-000000000001",
        " could not be sent, and waits: ",
    ] {
        assert!(stderr.contains(said), "it does not say {said:?}:\n{stderr}");
    }
}

#[test]
fn at_the_start_it_says_how_it_is_set_up_and_what_was_left() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let options = ["--debug", "--namespace", "my-app", "--mode", "classic"];
    let mut first = desk(&cache, &sentry, &options);
    sentry.refuse_connections();
    first.ask("capture kept");
    first.ask("flush 100");
    first.kill();
    let said = first.stderr();
    for (line, parts) in [
        ("starts", &["process ", " of guardhouse-tests", "\"desk@5.1.0\"", "\"test\""][..]),
        ("it sends to", &["127.0.0.1 (project 42)", cache.path().to_str().unwrap()]),
        ("renderers reach it", &["\"my-app\"", "classic"]),
        ("former runs", &["nothing"]),
    ] {
        let lines: Vec<_> = said.lines().filter(|said| said.contains(line)).collect();
        assert_eq!(lines.len(), 1, "{line:?} in\n{said}");
        for part in parts {
            assert!(lines[0].contains(part), "{part:?} in {:?}", lines[0]);
        }
    }
    assert!(!said.contains("public"), "that is the key:\n{said}");

    sentry.recover();
    let mut second = desk(&cache, &sentry, &options);
    assert!(second.ask("close 60000").starts_with("closed true"));
    while second.hear().is_some() {}
    let said = second.stderr();
    // The event, and how the session of the killed run ended.
    assert!(said.contains("former runs have left "), "{said}");
    assert!(said.contains("sent envelope of a former run"), "{said}");
}

#[test]
fn without_a_dsn_it_says_that_nothing_is_sent() {
    let cache = Scratch::new();
    let mut command = Desk::command(env!("CARGO_BIN_EXE_desk"), cache.path());
    let mut desk = Desk::launch_as(command.args(["--debug", "--dsn", ""])).started();
    let captured = desk.ask("capture hello");
    let id = captured.strip_prefix("captured ").unwrap().replace('-', "");
    desk.ask("close 60000");
    while desk.hear().is_some() {}
    let said = desk.stderr();
    assert!(said.contains("there is no DSN, so nothing is kept or sent; set one with"), "{said}");
    assert!(said.contains(&format!("event {id} is not sent, since there is no DSN")), "{said}");
}
