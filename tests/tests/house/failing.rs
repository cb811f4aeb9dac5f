//! An application in which reporting cannot start says why, and runs on.

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::sentry::Sentry;

use super::desk;

const DSN: &str = "http://public@127.0.0.1:9/42";

/// How it fails with these options.
#[track_caller]
fn fails(cache: &Scratch, options: &[&str]) -> String {
    let mut desk = Desk::launch(env!("CARGO_BIN_EXE_desk"), cache.path(), DSN, options);
    desk.hear().unwrap()
}

#[test]
fn each_error_says_where_it_is_and_what_to_do() {
    let cache = Scratch::new();
    for (options, words) in [
        (
            &["--dsn", "nonsense"][..],
            &["`Options::dsn`", "copy it from the project's settings"][..],
        ),
        (&["--dsn", "http://127.0.0.1/42"], &["`Options::dsn`"]),
        (&["--namespace", "No Good"], &["namespace"]),
        (&["--namespace", ""], &["namespace"]),
        (&["--sample-rate", "1.5"], &["sample rate 1.5", "between 0 and 1"]),
        (&["--sample-rate", "NaN"], &["sample rate NaN", "between 0 and 1"]),
        (&["--sample-rate", "-1"], &["sample rate -1"]),
        (&["--tunnel", "nonsense"], &["`tunnel`"]),
        (&["--tunnel", "ftp://example.com/"], &["`tunnel`"]),
        (&["--spotlight", "nonsense"], &["`spotlight`"]),
        (&["--http-proxy", "ht tp://"], &["`http_proxy`"]),
    ] {
        let said = fails(&cache, options);
        assert!(said.starts_with("failed "), "{options:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{options:?} does not say {word:?}: {said}");
        }
        assert!(cache.files().is_empty(), "{options:?}: nothing was begun");
    }
}

#[test]
fn a_bad_dsn_of_the_environment_is_named_as_such() {
    let cache = Scratch::new();
    let mut command = Desk::command(env!("CARGO_BIN_EXE_desk"), cache.path());
    let mut desk = Desk::launch_as(command.env("SENTRY_DSN", "nonsense"));
    let said = desk.hear().unwrap();
    assert!(said.starts_with("failed the DSN of SENTRY_DSN is not valid"), "{said}");
}

#[test]
fn a_dsn_of_the_environment_is_taken_and_loses_against_the_option() {
    let (cache, sentry, other) = (Scratch::new(), Sentry::start(), Sentry::start());
    let start = |options: &[&str]| {
        let mut command = Desk::command(env!("CARGO_BIN_EXE_desk"), cache.path());
        command.args(options).env("SENTRY_DSN", sentry.dsn());
        let mut desk = Desk::launch_as(&mut command).started();
        desk.ask("capture hello");
        assert!(desk.ask("close 60000").starts_with("closed true"));
    };
    start(&["--no-session"]);
    assert_eq!(sentry.requests().len(), 1);
    start(&["--no-session", "--dsn", &other.dsn()]);
    assert_eq!((sentry.requests().len(), other.requests().len()), (1, 1));
    // An empty one of the option switches it off, too.
    start(&["--no-session", "--dsn", ""]);
    assert_eq!((sentry.requests().len(), other.requests().len()), (1, 1));
}

#[test]
fn a_file_in_the_place_of_the_directory_is_named() {
    let cache = Scratch::new();
    let file = cache.path().join("file");
    std::fs::write(&file, "here first").unwrap();
    let mut desk = Desk::launch(env!("CARGO_BIN_EXE_desk"), &file, DSN, &[]);
    let said = desk.hear().unwrap();
    assert!(said.starts_with("failed ") && said.contains(file.to_str().unwrap()), "{said}");
    assert!(said.contains("`Options::cache_dir`"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), b"here first");
}

#[test]
fn a_second_init_fails_and_the_first_goes_on() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut desk = desk(&cache, &sentry, &["--no-session"]);
    let said = desk.ask("again");
    assert!(said.starts_with("failed ") && said.contains("call `init` once"), "{said}");
    desk.ask("capture hello");
    assert!(desk.ask("close 60000").starts_with("closed true"));
    assert_eq!(sentry.requests().len(), 1);
}
