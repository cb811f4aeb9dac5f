//! An application in which reporting cannot start says why, and runs on.

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::sentry::Sentry;

use super::desk;

const DSN: &str = "http://public@127.0.0.1:9/42";

/// How it fails with these options, and these variables in its environment.
#[track_caller]
fn fails(cache: &Scratch, options: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = Desk::command(env!("CARGO_BIN_EXE_desk"), cache.path());
    command.args(options).envs(variables.iter().copied());
    if variables.is_empty() && options[0] != "--dsn" {
        command.args(["--dsn", DSN]);
    }
    let mut desk = Desk::launch_as(&mut command);
    let said = desk.hear().unwrap();
    let said = said.strip_prefix("failed ").unwrap_or_else(|| panic!("{options:?}: {said}"));
    said.to_owned()
}

/// Each word is in the text, and once.
#[track_caller]
fn check(said: &str, words: &[&str]) {
    for word in words {
        assert_eq!(said.matches(word).count(), 1, "{word:?} in {said:?}");
    }
    // Why, and then what to do.
    assert!(said.contains("; ") || said.contains("has to"), "{said:?} does not say what to do");
}

/// What is given, where, what is wrong, and what to do.
#[test]
fn each_error_names_the_value_and_where_it_is_and_says_what_to_do_once() {
    let cache = Scratch::new();
    let long = "x".repeat(201);
    let no_file = cache.path().join("none.pem");
    let no_file = no_file.to_str().unwrap();
    let not_pem = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (options, words) in [
        (["--dsn", "nonsense"], &["`Options::dsn`", "copy it from the project's settings"][..]),
        (["--dsn", "http://127.0.0.1/42"], &["`Options::dsn`", "copy it"]),
        (["--namespace", "No Good"], &["`Options::ipc_namespace`", "\"No Good\"", "use 1 to 64"]),
        (["--namespace", ""], &["`Options::ipc_namespace`", "is empty", "use 1 to 64"]),
        (["--sample-rate", "1.5"], &["1.5", "`Options::sample_rate`", "between 0 and 1"]),
        (["--sample-rate", "NaN"], &["NaN", "between 0 and 1"]),
        (["--sample-rate", "-1"], &["sample rate -1 ", "between 0 and 1"]),
        (["--traces", "1.5"], &["\"1.5\"", "`Options::sentry`", "between 0 and 1"]),
        (["--tunnel", "nonsense"], &["\"nonsense\"", "`Options::tunnel`", "http://"]),
        (["--tunnel", "ftp://example.com/"], &["\"ftp://example.com/\"", "give one that begins"]),
        (["--tunnel", "http://me:secret@a/"], &["\"…@a/\"", "without user and password"]),
        (["--spotlight", "nonsense"], &["\"nonsense\"", "`Options::spotlight`", "give one that"]),
        (["--http-proxy", "socks5://me:secret@b"], &["`Options::http_proxy`", "\"…@b\"", "give "]),
        (
            ["--release", "my-app/1"],
            &["\"my-app/1\"", "`Options::release`", "'/'", "use something"],
        ),
        (["--release", "a\tb"], &["\"a\\tb\"", "`Options::release`", "'\\t'", "use something"]),
        (["--release", "a\nb"], &["\"a\\nb\"", "'\\n'", "at most 200 bytes"]),
        (["--release", " "], &["\" \"", "`Options::release`", "it is empty", "use something"]),
        (["--release", ".."], &["\"..\"", "Sentry means something else", "use something"]),
        (["--release", "Latest"], &["\"Latest\"", "Sentry means something else"]),
        (["--release", &long], &["it has 201 bytes", "at most 200"]),
        (["--environment", "a/b"], &["\"a/b\"", "`Options::environment`", "'/'", "use something"]),
        (["--environment", "a\nb"], &["\"a\\nb\"", "'\\n'", "at most 64 bytes"]),
        (["--environment", "None"], &["\"None\"", "Sentry means something else"]),
        (["--environment", ""], &["`Options::environment`", "it is empty"]),
        (["--environment", &long[..65]], &["it has 65 bytes", "at most 64"]),
        (["--dist", "1 2"], &["\"1 2\"", "`Options::dist`", "use 1 to 64"]),
        (["--max-items", "0"], &["max_items \"0\"", "`Options::max_items`", "give a larger one"]),
        (["--max-bytes", "0"], &["max_bytes \"0\"", "`Options::max_bytes`", "give a larger one"]),
        (["--max-item-bytes", "0"], &["`Options::max_item_bytes`", "give a larger one"]),
        (["--max-age", "0"], &["`Options::max_age`", "give a larger one"]),
        (["--cache-dir", ""], &["`Options::cache_dir`", "name a directory"]),
        (["--cache-dir", "/proc/none"], &["/proc/none", "`Options::cache_dir`", "choose another"]),
        (["--ca", no_file], &[no_file, "`Options::ca_certificates`", "No such file", "give a "]),
        (["--ca", not_pem], &[not_pem, "`Options::ca_certificates`", "BEGIN", "give a readable"]),
    ] {
        let said = fails(&cache, &options, &[]);
        check(&said, words);
        for other in ["secret", "tunnel", "DSN"] {
            let is_meant = options[0] == format!("--{}", other.to_lowercase());
            assert!(is_meant || !said.contains(other), "{options:?} blames {other}: {said}");
        }
    }
    assert!(cache.files().is_empty(), "nothing was begun");
}

#[test]
fn what_is_wrong_in_the_environment_is_named_as_such() {
    let cache = Scratch::new();
    for (variable, value, words) in [
        ("SENTRY_DSN", "nonsense", &["the DSN of SENTRY_DSN is not valid", "copy it"][..]),
        ("SENTRY_RELEASE", "a/b", &["\"a/b\" of SENTRY_RELEASE", "use something"]),
        ("SENTRY_ENVIRONMENT", "a/b", &["\"a/b\" of SENTRY_ENVIRONMENT", "use something"]),
    ] {
        check(&fails(&cache, &["--bare"], &[(variable, value)]), words);
    }
    // One that is empty is none, and what the application says wins.
    let sentry = Sentry::start();
    for (options, variables, expected) in [
        (&["--bare"][..], [("SENTRY_RELEASE", ""), ("SENTRY_ENVIRONMENT", "")], "development"),
        (&[], [("SENTRY_RELEASE", "a/b"), ("SENTRY_ENVIRONMENT", "c/d")], "test"),
    ] {
        let mut command = Desk::command(env!("CARGO_BIN_EXE_desk"), cache.path());
        command.args(options).envs(variables).args(["--dsn", &sentry.dsn()]);
        let mut desk = Desk::launch_as(&mut command).started();
        desk.ask("capture hello");
        assert!(desk.ask("close 60000").starts_with("closed true"));
        let event = sentry.events().pop().unwrap();
        assert_eq!(event["environment"], expected);
        assert!(event["release"].as_str().is_some_and(|it| it.contains('@')), "{event}");
    }
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
    check(
        said.strip_prefix("failed ").unwrap(),
        &[file.to_str().unwrap(), "is a file", "`Options::cache_dir`", "choose another"],
    );
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
