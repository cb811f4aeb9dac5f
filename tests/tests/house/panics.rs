//! A panic is reported with what led to it, whatever becomes of the process then.

use guardhouse_tests::desk::Scratch;
use guardhouse_tests::sentry::{Sentry, Stage, a_session, an_event, hang};

use super::desk;

#[test]
fn a_panic_of_a_thread_is_reported_with_its_breadcrumbs_and_ends_the_session() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut desk = desk(&cache, &sentry, &[]);
    desk.ask("crumb opened");
    desk.ask("sentry-crumb clicked");
    desk.ask("tag colour red");
    assert_eq!(desk.ask("panic boom"), "panicked");
    assert!(desk.ask("close 60000").starts_with("closed true"));
    sentry.expect(
        an_event()
            .with_message("boom")
            .with_level("fatal")
            .with_breadcrumb("opened")
            .with_breadcrumb("clicked")
            .with_tag("colour", "red")
            .with_tag("event.process", "main")
            .beside("session")
            .times(1)
            .only(),
    );
    sentry.expect(a_session().with_status("crashed").times(1));
    sentry.expect(a_session().with_status("exited").times(0));
    sentry.verify();
}

#[test]
fn a_panic_survives_an_abort_right_behind_it_though_the_server_hangs() {
    let (cache, silent, sentry) = (Scratch::new(), Sentry::start(), Sentry::start());
    silent.from_now_on(hang(Stage::Answer));
    let mut first = desk(&cache, &silent, &[]);
    first.ask("crumb opened");
    first.tell("abort boom");
    let (status, _) = first.wait();
    assert!(!status.success());

    let mut second = desk(&cache, &sentry, &[]);
    assert!(second.ask("close 60000").starts_with("closed true"));
    sentry.expect(an_event().with_message("boom").with_breadcrumb("opened").times(1).only());
    sentry.expect(a_session().with_status("crashed").times(1));
    sentry.expect(a_session().with_status("abnormal").times(0));
    sentry.verify();
}

#[test]
fn a_crash_that_an_earlier_run_left_goes_without_being_asked_for() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.refuse_connections();
    let mut first = desk(&cache, &sentry, &["--no-session"]);
    first.ask("panic boom");
    first.kill();
    sentry.recover();
    let _second = desk(&cache, &sentry, &["--no-session"]);
    sentry.expect(an_event().with_message("boom").times(1).only());
    sentry.verify();
}

#[test]
fn a_flush_waits_for_a_crash_that_an_earlier_run_left() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.refuse_connections();
    let mut first = desk(&cache, &sentry, &["--no-session"]);
    first.ask("panic boom");
    first.kill();
    sentry.recover();
    let mut second = desk(&cache, &sentry, &["--no-session"]);
    assert!(second.ask("flush 60000").starts_with("flushed true"));
    assert_eq!(sentry.requests().len(), 1);
}
