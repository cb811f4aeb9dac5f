//! What main and its renderers report arrives, with what all of them know.

use guardhouse_tests::desk::Scratch;
use guardhouse_tests::sentry::{Sentry, a_session, an_event};

use super::{desk, id};

#[test]
fn what_main_captures_arrives_with_what_renderers_know() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut desk = desk(&cache, &sentry, &[]);
    sentry.expect(
        an_event()
            .with_message("hello")
            .with_tag("from-page", "yes")
            .with_tag("from-main", "yes")
            .with_tag("event.process", "main")
            .with_breadcrumb("clicked")
            .with_breadcrumb("opened")
            .times(1),
    );
    let scope =
        r#"{"tags":{"from-page":"yes"},"breadcrumbs":[{"message":"clicked","timestamp":1}]}"#;
    assert_eq!(desk.ask(&format!("scope 1 {scope}")), "answer scope taken");
    desk.ask("tag from-main yes");
    desk.ask("crumb opened");
    assert!(desk.ask("capture hello").starts_with("captured "));
    assert!(desk.ask("flush 10000").starts_with("flushed true"));
    assert!(desk.ask("close 10000").starts_with("closed true"));
    sentry.verify();
    assert_eq!(cache.files(), Vec::<std::path::PathBuf>::new(), "nothing is left behind");
}

#[test]
fn what_a_renderer_reports_arrives_with_what_main_knows() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut desk = desk(&cache, &sentry, &[]);
    sentry.expect(
        an_event()
            .with_message("oops")
            .with_tag("from-main", "yes")
            .with_tag("from-sentry", "yes")
            .from_process("page-1")
            .with_breadcrumb("opened")
            .with_breadcrumb("by sentry")
            .with("/release", "desk@5.1.0")
            .with("/environment", "test")
            .with("/contexts/app/app_name", "guardhouse-tests")
            .times(1),
    );
    sentry.expect(a_session().with_status("exited").times(1));
    desk.ask("tag from-main yes");
    desk.ask("sentry-tag from-sentry yes");
    desk.ask("crumb opened");
    desk.ask("sentry-crumb by sentry");
    assert_eq!(desk.ask(&format!("event 1 {} oops", id(7))), format!("answer {} taken", id(7)));
    assert!(desk.ask("close 10000").starts_with("closed true"));
    sentry.verify();
}
