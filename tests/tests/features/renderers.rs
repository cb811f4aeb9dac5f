//! What renderers may, and what becomes of it.

use guardhouse_main::sentry::{self, Level};
use guardhouse_main::{Channel, FeedbackResult, MessageAnswer, Uuid};
use guardhouse_tests::sentry::{Expectation, a_feedback, an_event, an_item, rate_limit};

use crate::{Running, attribute, start, telemetry};

fn has_no_tag(event: Expectation, tag: &'static str) -> Expectation {
    event.that(format!("without the tag {tag}"), move |_, item| {
        item.json()["tags"].get(tag).is_none()
    })
}

#[test]
fn the_scope_of_a_renderer_is_for_all_until_it_is_cleared_or_the_renderer_is_gone() {
    let mut running = start(|options| options);
    running.post(1, Channel::Scope, r#"{"tags":{"one":"yes"},"user":{"id":"1"}}"#);
    running.post(2, Channel::Scope, r#"{"tags":{"two":"yes"}}"#);
    running.event(3, r#"{"message":"both"}"#);
    running.post(1, Channel::Scope, r#"{"tags":{}}"#);
    running.event(3, r#"{"message":"cleared"}"#);
    running.guard().renderer_gone(Uuid::from_u128(2));
    running.event(3, r#"{"message":"gone"}"#);
    sentry::capture_message("of main", Level::Info);
    let both = an_event().with_message("both").with_tag("one", "yes").with_tag("two", "yes");
    running.sentry.expect(both.with("/user/id", "1").times(1));
    let cleared = an_event().with_message("cleared").with_tag("two", "yes");
    running.sentry.expect(has_no_tag(cleared, "one").times(1));
    for message in ["gone", "of main"] {
        let event = has_no_tag(has_no_tag(an_event().with_message(message), "one"), "two");
        running.sentry.expect(event.times(1));
    }
    running.finish();
}

const FEEDBACK: &str = "{\"event_id\":\"00000000000000000000000000000007\"}\n\
    {\"type\":\"feedback\"}\n{\"contexts\":{\"feedback\":{\"message\":\"I like it\"}}}\n";

fn feedback(running: &Running) -> FeedbackResult {
    match running.post(1, Channel::Feedback, FEEDBACK) {
        MessageAnswer::Feedback(result) => result,
        other => panic!("feedback is answered with {other:?}"),
    }
}

#[test]
fn feedback_is_answered_with_what_sentry_says() {
    let mut running = start(|options| options);
    running.sentry.expect(a_feedback().with_message("I like it").times(1));
    assert_eq!(feedback(&running).status_code, Some(200));
    running.sentry.verify();
    running.sentry.next(rate_limit("1:replay:key"));
    let limited = feedback(&running);
    assert_eq!(limited.status_code, Some(429));
    assert_eq!(limited.rate_limits.as_deref(), Some("1:replay:key"));
    running.finish();
}

#[test]
fn feedback_is_answered_at_once_when_nobody_can_be_reached_and_is_sent_later() {
    let mut running = start(|options| options);
    running.sentry.refuse_connections();
    assert_eq!(feedback(&running), FeedbackResult::default());
    assert_eq!(feedback(&running).to_json().to_string(), "{}");
    running.sentry.recover();
    running.sentry.expect(a_feedback().with_message("I like it").times(2).only());
    running.finish();
}

#[test]
fn what_is_not_a_renderers_to_send_is_taken_out_and_counted_and_the_rest_goes_on() {
    let mut running = start(|options| options);
    // What is nothing but that is refused as a whole, and the answer says why.
    let session = "{}\n{\"type\":\"session\"}\n{\"sid\":\"x\"}\n";
    match running.post(1, Channel::Envelope, session) {
        MessageAnswer::Refused { why, .. } => assert!(why.contains("`session`"), "{why}"),
        other => panic!("a session is answered with {other:?}"),
    }
    // Anything else goes on, and takes the counts along.
    let dump =
        r#"{"type":"attachment","attachment_type":"event.minidump","filename":"d","length":4}"#;
    let envelope = format!(
        "{{}}\n{{\"type\":\"event\"}}\n{{\"message\":\"fine\"}}\n{{\"type\":\"session\"}}\n{{\"sid\":\"x\"}}\n\
         {{\"type\":\"client_report\"}}\n{{\"discarded_events\":[]}}\n{{\"type\":\"check_in\"}}\n{{}}\n\
         {dump}\nMDMP\n"
    );
    assert_eq!(running.post(1, Channel::Envelope, &envelope), MessageAnswer::Taken);
    running.sentry.expect(an_event().with_message("fine").times(1));
    for kind in ["session", "check_in", "attachment"] {
        running.sentry.expect(an_item(kind).times(0));
    }
    running.finish();
    assert_eq!(running.sentry.lost("session", "invalid"), 2);
    assert_eq!(running.sentry.lost("monitor", "invalid"), 1);
    // Of a forged dump the bytes are counted, and the event that Sentry would have made of it.
    assert_eq!(running.sentry.lost("error", "invalid"), 1);
    assert_eq!(running.sentry.lost("attachment", "invalid"), 4);
}

#[test]
fn logs_and_metrics_of_renderers_arrive_in_batches_with_attributes() {
    let mut running = start(|options| options.release("app@1"));
    for number in 0..150 {
        let log = format!(
            r#"{{"body":"{number}","level":"info","attributes":{{"own":{{"type":"boolean","value":true}}}}}}"#
        );
        let metric = format!(r#"{{"name":"{number}","type":"counter","value":1}}"#);
        assert_eq!(running.post(1, Channel::StructuredLog, &log), MessageAnswer::Taken);
        assert_eq!(running.post(1, Channel::Metric, &metric), MessageAnswer::Taken);
    }
    running.finish();
    for (kind, name) in [("log", "body"), ("trace_metric", "name")] {
        let all = telemetry(&running.sentry, kind);
        let names: Vec<_> = all.iter().filter_map(|one| one[name].as_str()).collect();
        let expected: Vec<_> = (0..150).map(|number| number.to_string()).collect();
        assert_eq!(names, expected);
        for one in &all {
            assert_eq!(attribute(one, "event.process"), "page-1");
            assert_eq!(attribute(one, "sentry.release"), "app@1");
            assert_eq!(attribute(one, "own").as_bool(), (kind == "log").then_some(true));
        }
    }
}
