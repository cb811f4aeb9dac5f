//! Where consent is required, nothing leaves before it is given, and nothing is lost meanwhile.

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::sentry::{Sentry, Stage, a_session, an_event, hang};

use super::{desk, id};

/// Whatever is asked of it, it says at once that nothing was sent.
#[track_caller]
fn sends_nothing(desk: &mut Desk, sentry: &Sentry) {
    assert!(desk.ask("flush 600000").starts_with("flushed false"));
    assert_eq!(sentry.connections(), 0, "nobody was asked");
}

#[test]
fn promise_9_nothing_connects_before_consent_and_then_everything_arrives() {
    let (cache, sentry, spotlight) = (Scratch::new(), Sentry::start(), Sentry::start());
    let sidecar = format!("http://{}/stream", spotlight.address());
    let options = ["--consent", "--spotlight", &sidecar];

    // A run that ends, one that is killed, and one that crashes.
    let mut first = desk(&cache, &sentry, &options);
    first.ask("capture first");
    assert_eq!(first.ask(&format!("event 1 {} page", id(1))), format!("answer {} taken", id(1)));
    sends_nothing(&mut first, &sentry);
    assert!(first.ask("close 600000").starts_with("closed false"));
    let mut second = desk(&cache, &sentry, &options);
    second.ask("capture second");
    sends_nothing(&mut second, &sentry);
    second.kill();
    let mut third = desk(&cache, &sentry, &options);
    third.ask("panic third");
    sends_nothing(&mut third, &sentry);
    third.kill();
    assert_eq!((sentry.connections(), spotlight.connections()), (0, 0));

    let mut last = desk(&cache, &sentry, &options);
    last.ask("capture last");
    sends_nothing(&mut last, &sentry);
    for message in ["first", "page", "second", "third", "last"] {
        sentry.expect(an_event().with_message(message).times(1));
    }
    last.ask("give-consent");
    assert!(last.ask("flush 600000").starts_with("flushed true"));
    assert!(last.ask("close 600000").starts_with("closed true"));
    sentry.expect(a_session().with_status("exited").times(2));
    sentry.expect(a_session().with_status("abnormal").times(1));
    sentry.expect(a_session().with_status("crashed").times(1));
    sentry.verify();
    assert!(sentry.duplicates().is_empty());
    assert_eq!(spotlight.requests().len(), 0, "what was captured before is not mirrored");
}

#[test]
fn promise_9_consent_is_remembered_and_so_is_that_it_was_taken_back() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut first = desk(&cache, &sentry, &["--consent", "--no-session"]);
    first.ask("give-consent");
    assert!(first.ask("close 60000").starts_with("closed true"));

    sentry.expect(an_event().with_message("second").times(1));
    let mut second = desk(&cache, &sentry, &["--consent", "--no-session"]);
    second.ask("capture second");
    assert!(second.ask("flush 60000").starts_with("flushed true"));
    sentry.verify();
    second.ask("revoke-consent");
    assert!(second.ask("flush 600000").starts_with("flushed"), "so it has been heard");
    second.kill();

    let before = sentry.connections();
    let mut third = desk(&cache, &sentry, &["--consent", "--no-session"]);
    third.ask("capture third");
    assert!(third.ask("flush 600000").starts_with("flushed false"));
    assert!(third.ask("close 600000").starts_with("closed false"));
    assert_eq!(sentry.connections(), before, "nobody was asked");
}

#[test]
fn promise_9_taking_consent_back_stops_what_is_on_its_way_and_loses_nothing() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut first = desk(&cache, &sentry, &["--consent", "--no-session"]);
    first.ask("give-consent");
    sentry.from_now_on(hang(Stage::Body));
    first.ask("capture on its way");
    // It hangs in the middle of the body: then there is a connection.
    while sentry.connections() == 0 {
        assert!(first.ask("flush 20").starts_with("flushed false"));
    }
    first.ask("revoke-consent");
    sentry.wait_until_unconnected();

    sentry.recover();
    let before = sentry.connections();
    first.ask("capture later");
    assert!(first.ask("flush 600000").starts_with("flushed false"));
    assert_eq!(sentry.connections(), before, "nobody was asked");
    first.kill();

    let mut second = desk(&cache, &sentry, &["--consent", "--no-session"]);
    assert!(second.ask("flush 600000").starts_with("flushed false"));
    assert_eq!(sentry.connections(), before, "nobody was asked");
    sentry.expect(an_event().with_message("on its way").times(1));
    sentry.expect(an_event().with_message("later").times(1));
    second.ask("give-consent");
    assert!(second.ask("close 60000").starts_with("closed true"));
    sentry.verify();
}

/// The id of the installation that the sessions have said of which Sentry knows, each once.
fn installations(sentry: &Sentry) -> Vec<Option<String>> {
    let sessions = sentry.items("session");
    let mut ids: Vec<_> = sessions.iter().map(|it| it["did"].as_str().map(String::from)).collect();
    ids.dedup();
    ids
}

#[test]
fn promise_9_there_is_no_id_of_the_installation_before_consent_nor_after_it_is_taken_back() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let file = cache.path().join("installation");
    let mut first = desk(&cache, &sentry, &["--consent"]);
    first.ask("flush 600000");
    assert!(!file.exists(), "nobody has agreed");
    first.ask("give-consent");
    assert!(first.ask("close 60000").starts_with("closed true"));
    // The session began without one, and says the same of itself to its end.
    assert_eq!(installations(&sentry), [None]);
    let id = std::fs::read_to_string(&file).unwrap().trim_end().to_owned();

    for _ in 0..2 {
        let mut next = desk(&cache, &sentry, &["--consent"]);
        assert!(next.ask("close 60000").starts_with("closed true"));
    }
    assert_eq!(installations(&sentry), [None, Some(id.clone())]);

    let mut last = desk(&cache, &sentry, &["--consent"]);
    last.ask("revoke-consent");
    last.ask("flush 600000");
    assert!(!file.exists(), "it may not be told any more");
    last.ask("give-consent");
    last.ask("flush 600000");
    let other = std::fs::read_to_string(&file).unwrap().trim_end().to_owned();
    assert_ne!(other, id, "nobody can tell who comes back");
}

#[test]
fn sessions_say_of_which_installation_they_are() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    for _ in 0..2 {
        let mut run = desk(&cache, &sentry, &[]);
        run.ask("error oops");
        assert!(run.ask("close 60000").starts_with("closed true"));
    }
    let mut killed = desk(&cache, &sentry, &[]);
    killed.kill();
    let mut last = desk(&cache, &sentry, &[]);
    assert!(last.ask("close 60000").starts_with("closed true"));
    let sessions = sentry.items("session");
    let runs: std::collections::BTreeSet<_> =
        sessions.iter().map(|it| it["sid"].to_string()).collect();
    assert_eq!(runs.len(), 4);
    let file = std::fs::read_to_string(cache.path().join("installation")).unwrap();
    assert_eq!(installations(&sentry), [Some(file.trim_end().to_owned())]);
}
