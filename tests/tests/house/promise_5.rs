//! Nothing waits for a server: a hang costs what was allowed, and loses nothing.
//!
//! Only a hang is told from no hang here; how exact the times are, the benchmark `flush` shows.

use std::net::TcpListener;

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::sentry::{Authority, Behaviour, Sentry, Stage, a_session, an_event, hang};

use super::{desk, id};

const STAGES: [Stage; 6] =
    [Stage::Connection, Stage::Request, Stage::Body, Stage::Answer, Stage::Head, Stage::AnswerBody];

/// Flushes, and ends with these words. All of it comes back, and nothing of ours runs on.
#[track_caller]
fn comes_back(desk: &mut Desk, end: &str) {
    assert!(desk.ask("flush 200").starts_with("flushed "));
    let answer = desk.ask(end);
    assert!(answer.starts_with("closed ") || answer.starts_with("dropped "), "{answer}");
    assert_eq!(desk.hear().as_deref(), Some("left 1"), "threads are left");
}

#[test]
fn promise_5_a_server_that_hangs_at_any_stage_holds_nobody_up_and_costs_nothing() {
    for stage in STAGES {
        for end in ["close 200", "drop"] {
            let (cache, silent) = (Scratch::new(), Sentry::start());
            silent.from_now_on(hang(stage));
            let mut first = desk(&cache, &silent, &["--shutdown", "200"]);
            first.ask("capture kept");
            comes_back(&mut first, end);
            assert!(!cache.files().is_empty(), "{stage:?}: what was not sent is on disk");

            // The next start sends it, and says of this run that it ended as it should.
            let sentry = Sentry::start();
            sentry.expect(an_event().with_message("kept").times(1));
            sentry.expect(a_session().with_status("exited").times(2));
            let mut second = desk(&cache, &sentry, &[]);
            assert!(second.ask("flush 60000").starts_with("flushed true"), "{stage:?}");
            assert!(second.ask("close 60000").starts_with("closed true"), "{stage:?}");
            sentry.verify();
            assert!(cache.files().is_empty(), "{stage:?}: nothing is left behind");
        }
    }
}

#[test]
fn promise_5_an_answer_without_end_holds_nobody_up() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.from_now_on(Behaviour::EndlessAnswer);
    let mut desk = desk(&cache, &sentry, &[]);
    desk.ask("capture taken");
    // It has said that it has taken it; what else it says, nobody has to hear to the end.
    assert!(desk.ask("flush 60000").starts_with("flushed true"));
    comes_back(&mut desk, "close 60000");
    assert!(cache.files().is_empty());
}

#[test]
fn promise_5_a_server_that_never_accepts_holds_nobody_up() {
    // The system accepts for it, as long as its queue has room.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let dsn = format!("http://public@{}/42", deaf.local_addr().unwrap());
    let cache = Scratch::new();
    let mut first = Desk::start(env!("CARGO_BIN_EXE_desk"), cache.path(), &dsn, &[]);
    first.ask("capture kept");
    comes_back(&mut first, "close 200");

    drop(deaf);
    let sentry = Sentry::start();
    sentry.expect(an_event().with_message("kept").times(1));
    let mut second = desk(&cache, &sentry, &[]);
    assert!(second.ask("close 60000").starts_with("closed true"));
    sentry.verify();
}

#[test]
fn promise_5_a_handshake_that_never_ends_holds_nobody_up() {
    let sentry = Sentry::start_tls(&Authority::new());
    sentry.from_now_on(hang(Stage::Connection));
    let cache = Scratch::new();
    let mut desk = desk(&cache, &sentry, &[]);
    desk.ask("capture kept");
    comes_back(&mut desk, "close 200");
    assert!(!cache.files().is_empty());
}

#[test]
fn promise_5_the_end_waits_for_no_flush_of_another_thread() {
    for end in ["close 200", "drop"] {
        let (cache, sentry) = (Scratch::new(), Sentry::start());
        sentry.from_now_on(hang(Stage::Answer));
        let mut desk = desk(&cache, &sentry, &["--shutdown", "200"]);
        desk.ask("capture kept");
        desk.ask("beside flush 600000");
        // By now the other thread waits, too, or it never will.
        sentry.wait_for(1);
        comes_back(&mut desk, end);
    }
}

#[test]
fn promise_5_the_end_waits_for_no_hook_that_hangs() {
    for end in ["close 200", "drop"] {
        let (cache, sentry) = (Scratch::new(), Sentry::start());
        sentry.from_now_on(hang(Stage::Answer));
        let options = ["--shutdown", "200", "--hang-on", "hang"];
        let mut desk = desk(&cache, &sentry, &options);
        desk.ask("capture kept");
        desk.ask("beside capture hang");
        assert!(desk.ask("flush 200").starts_with("flushed false"));
        // The thread that hangs is the application's, and the one that waits for it cannot be ended.
        let answer = desk.ask(end);
        assert!(answer.starts_with("closed false") || answer.starts_with("dropped"), "{answer}");

        // What lives may still be at it, and nobody takes its directory from it.
        desk.kill();
        sentry.recover();
        sentry.expect(an_event().with_message("kept").times(1));
        let mut next = self::desk(&cache, &sentry, &[]);
        assert!(next.ask("close 60000").starts_with("closed true"));
        sentry.verify();
    }
}

#[test]
fn promise_5_a_hook_that_hangs_on_the_sdks_own_thread_holds_nobody_up() {
    for end in ["close 200", "drop"] {
        let (cache, sentry) = (Scratch::new(), Sentry::start());
        let options = ["--shutdown", "200", "--hang-on", "hang"];
        let mut desk = desk(&cache, &sentry, &options);
        // Nobody answers it: the hook has the event.
        desk.tell(&format!("event 1 {} hang", id(1)));
        assert!(desk.ask("flush 200").starts_with("flushed false"));
        let answer = desk.ask(end);
        assert!(answer.starts_with("closed false") || answer.starts_with("dropped"), "{answer}");
    }
}

#[test]
fn promise_5_a_flood_of_renderers_holds_nobody_up() {
    for end in ["close 200", "drop"] {
        let (cache, sentry) = (Scratch::new(), Sentry::start());
        sentry.from_now_on(hang(Stage::Answer));
        let mut desk = desk(&cache, &sentry, &["--shutdown", "200"]);
        desk.ask("flood 500");
        comes_back(&mut desk, end);
    }
}

#[test]
fn promise_5_init_waits_for_nothing_that_earlier_runs_left() {
    const LEFT: usize = 3000;
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.refuse_connections();
    let options = ["--max-items", "10000", "--no-session"];
    let mut first = desk(&cache, &sentry, &options);
    first.ask(&format!("fill {LEFT}"));
    // When it has come to this, everything before it is on disk.
    assert!(first.ask(&format!("event 1 {} last", id(1))).ends_with(" taken"));
    first.kill();
    assert!(cache.files().len() >= LEFT, "{} are on disk", cache.files().len());

    sentry.recover();
    sentry.from_now_on(hang(Stage::Answer));
    let mut second = desk(&cache, &sentry, &options);
    second.ask("capture new");
    comes_back(&mut second, "close 200");
    assert!(cache.files().len() > LEFT, "nothing is lost");
}
