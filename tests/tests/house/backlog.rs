//! An application that ends while much that it has captured waits to be merged.

use std::collections::BTreeMap;

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::sentry::{Envelope, Sentry, Stage, hang};
use serde_json::Value;

use super::desk;

/// How long the application waits for its end, and how much longer that may take on a busy machine, in
/// milliseconds. What promise 5 says to the millisecond, `promise_5` shows.
const SHUTDOWN: u64 = 1000;
const BUSY: u64 = 30_000;

/// With room for everything, so that what is lost is lost by the end alone.
const ROOMY: [&str; 4] = ["--max-items", "100000", "--shutdown", "1000"];

/// How Sentry is while the application ends.
#[derive(Clone, Copy, Debug)]
enum Weather {
    Fine,
    Refusing,
    Hanging,
}

const WEATHERS: [Weather; 3] = [Weather::Fine, Weather::Refusing, Weather::Hanging];

impl Weather {
    fn set(self, sentry: &Sentry) {
        match self {
            Self::Fine => sentry.recover(),
            Self::Refusing => sentry.refuse_connections(),
            Self::Hanging => sentry.from_now_on(hang(Stage::Answer)),
        }
    }
}

/// Ends it at once, and within the time that it has.
#[track_caller]
fn drop_now(mut run: Desk, what: &str) {
    let dropped = run.ask("drop");
    let millis: u64 = dropped.strip_prefix("dropped ").expect("it is dropped").parse().unwrap();
    assert!(millis <= SHUTDOWN + BUSY, "{what}: the end took {millis} ms");
    run.wait();
}

/// Whether something waits to be merged.
fn is_unmerged(cache: &Scratch) -> bool {
    cache.files().iter().any(|path| path.extension().is_some_and(|it| it == "unmerged"))
}

/// What became of what was captured.
#[derive(Default)]
struct Book {
    /// The events that Sentry has, or that are on disk, ready to be sent.
    events: BTreeMap<String, Vec<Value>>,
    /// How many events were counted as lost.
    lost: u64,
}

impl Book {
    /// Lets the next run merge what is left, and one after that send some of it: what earlier runs left
    /// goes at a pace for which there is no time here.
    #[track_caller]
    fn balance(cache: &Scratch, sentry: &Sentry, options: &[&str]) -> Self {
        sentry.refuse_connections();
        let options = [&ROOMY[..], &["--release", "desk@6"], options].concat();
        let mut next = desk(cache, sentry, &options);
        // It is answered when there is no more to merge.
        assert!(next.ask("flush 50000").starts_with("flushed false"));
        next.kill();
        assert!(!is_unmerged(cache), "all of it is merged");
        let mut book = Self::default();
        for path in cache.files() {
            if path.extension().is_some_and(|it| it == "envelope") {
                book.enter(&Envelope::parse(&std::fs::read(path).unwrap()).unwrap());
            }
        }
        sentry.recover();
        let mut last = desk(cache, sentry, &options);
        last.ask("flush 2000");
        last.kill();
        for request in sentry.requests().iter().filter(|request| request.was_taken()) {
            book.enter(request.envelope.as_ref().expect("it has the right form"));
        }
        book
    }

    fn enter(&mut self, envelope: &Envelope) {
        for item in &envelope.items {
            let json = item.json();
            match item.kind() {
                "event" => {
                    let texts = ["/logentry/formatted", "/logentry/message", "/message"];
                    let text = texts.iter().find_map(|text| json.pointer(text)?.as_str());
                    let message = text.unwrap_or("an exception").to_owned();
                    self.events.entry(message).or_default().push(json);
                }
                "client_report" => {
                    let entries = json["discarded_events"].as_array().into_iter().flatten();
                    let errors = entries.filter(|entry| entry["category"] == "error");
                    self.lost += errors.filter_map(|entry| entry["quantity"].as_u64()).sum::<u64>();
                }
                _ => {}
            }
        }
    }

    /// Looks whether each of so many events is there or counted, and none there as two events.
    #[track_caller]
    fn check(&self, count: u64, what: &str) {
        let there = self.events.len() as u64;
        assert_eq!(there + self.lost, count, "{what}: {there} are there, {} counted", self.lost);
        for (message, events) in &self.events {
            let is_same = events.iter().all(|event| event["event_id"] == events[0]["event_id"]);
            assert!(is_same, "{what}: {message} is there as two events");
        }
    }
}

/// How the sessions of a release ended, with their errors.
fn outcomes(sentry: &Sentry, release: &str) -> Vec<(String, u64)> {
    let mut ends = BTreeMap::new();
    for session in sentry.items("session") {
        if session["attrs"]["release"] == release && session["status"] != "ok" {
            let status = session["status"].as_str().unwrap().to_owned();
            ends.insert(session.to_string(), (status, session["errors"].as_u64().unwrap()));
        }
    }
    ends.into_values().collect()
}

#[test]
fn promise_7_an_orderly_end_with_a_backlog_is_orderly_and_loses_nothing_uncounted() {
    for weather in WEATHERS {
        // The larger number where it is hardest: Sentry neither takes it nor says so.
        let counts: &[u64] = match weather {
            Weather::Hanging => &[1500, 6000],
            _ => &[1500],
        };
        for &count in counts {
            let what = format!("{count}, {weather:?}");
            let (cache, sentry) = (Scratch::new(), Sentry::start());
            weather.set(&sentry);
            let mut run = desk(&cache, &sentry, &ROOMY);
            run.ask(&format!("fill {count} error"));
            drop_now(run, &what);
            Book::balance(&cache, &sentry, &[]).check(count, &what);
            assert_eq!(outcomes(&sentry, "desk@5.1.0"), [("exited".to_owned(), count)], "{what}");
        }
    }
}

#[test]
fn promise_7_a_crash_in_the_backlog_is_the_end_of_its_session() {
    for weather in WEATHERS {
        let what = format!("{weather:?}");
        let (cache, sentry) = (Scratch::new(), Sentry::start());
        weather.set(&sentry);
        let mut run = desk(&cache, &sentry, &ROOMY);
        run.ask("fill 3000 error");
        run.ask("unhandled boom");
        run.ask("fill 1000 error later");
        drop_now(run, &what);
        Book::balance(&cache, &sentry, &[]).check(4001, &what);
        assert_eq!(outcomes(&sentry, "desk@5.1.0"), [("crashed".to_owned(), 3001)], "{what}");
        let requests = sentry.requests();
        let is_together = requests.iter().any(|request| {
            let items = &request.envelope.as_ref().unwrap().items;
            let is = |kind: &str| items.iter().any(|item| item.kind() == kind);
            is("session") && is("event")
        });
        assert!(is_together, "{what}: the end of the session goes with the crash");
    }
}

/// What is merged at the next start is what would have been merged in its own run.
#[test]
fn what_is_merged_at_the_next_start_is_of_its_own_run_and_has_no_secrets() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.refuse_connections();
    let mut run = desk(&cache, &sentry, &[&ROOMY[..], &["--drop-with", "fill 77"]].concat());
    run.ask("tag channel beta");
    run.ask("fill 1500");
    run.ask("request https://example.com/?token=abc&page=2");
    run.ask("fill 1500 info later");
    drop_now(run, "refusing");
    assert!(is_unmerged(&cache), "there was too little time to merge all");

    let book = Book::balance(&cache, &sentry, &["--drop-with", "none of them"]);
    // What the hook has dropped is counted, too.
    book.check(3001, "refusing");
    assert!(!book.events.contains_key("fill 77"), "a hook of its run has dropped it");
    for (message, event) in
        book.events.iter().flat_map(|(it, all)| all.iter().map(move |e| (it, e)))
    {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        assert_eq!(text("/release"), Some("desk@5.1.0"), "{message}");
        assert_eq!(text("/environment"), Some("test"), "{message}");
        assert_eq!(text("/tags/channel"), Some("beta"), "{message}");
        assert_eq!(text("/tags/event.process"), Some("main"), "{message}");
        assert_eq!(text("/sdk/name"), Some("sentry.rust.guardhouse"), "{message}");
    }
    let url = book.events["request"][0]["request"]["url"].as_str();
    assert_eq!(url, Some("https://example.com/?token=[Filtered]&page=2"));
}

#[test]
fn promise_9_a_backlog_waits_for_consent() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let options = [&ROOMY[..], &["--consent"]].concat();
    let mut run = desk(&cache, &sentry, &options);
    run.ask("fill 4000");
    drop_now(run, "no consent");
    let mut second = desk(&cache, &sentry, &options);
    assert!(second.ask("flush 50000").starts_with("flushed false"));
    second.kill();
    assert!(!is_unmerged(&cache), "all of it is merged");
    assert_eq!(sentry.connections(), 0, "nobody was asked");

    let mut last = desk(&cache, &sentry, &options);
    last.ask("give-consent");
    last.ask("flush 1000");
    last.kill();
    assert!(sentry.connections() > 0, "now it is sent");
    Book::balance(&cache, &sentry, &[]).check(4000, "consent");
}
