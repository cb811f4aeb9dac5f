//! What goes on channels of its own: logs, metrics, feedback, traces, and what main tells renderers.

use guardhouse_tests::sentry::status;

use crate::House;

/// The trace that a child says it continues.
fn trace_in(headers: &str) -> &str {
    let (_, value) = headers.split_once("sentry-trace=").expect("it continues one");
    &value[..32]
}

#[test]
fn logs_metrics_and_transactions_of_a_child_arrive_with_its_name() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &["--traces", "1"]);
    child.ask("log saved");
    child.ask("metric clicks 3");
    assert!(child.ask("transaction open").starts_with("trace "));
    assert!(child.close());
    house.close();
    let logs = house.sentry.items("log");
    let metrics = house.sentry.items("trace_metric");
    let transactions = house.sentry.items("transaction");
    assert_eq!((logs.len(), metrics.len(), transactions.len()), (1, 1, 1));
    assert_eq!(logs[0]["items"][0]["body"], "saved");
    assert_eq!(metrics[0]["items"][0]["name"], "clicks");
    assert_eq!(transactions[0]["transaction"], "open");
    assert_eq!(transactions[0]["tags"]["event.process"], "page");
    for item in [&logs[0]["items"][0], &metrics[0]["items"][0]] {
        assert_eq!(item["attributes"]["sentry.release"]["value"], "desk@5.1.0", "{item}");
    }
}

#[test]
fn feedback_is_answered_with_what_sentry_said() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &[]);
    assert_eq!(child.ask("feedback It works."), r#"feedback {"statusCode":200}"#);
    house.sentry.next(status(403));
    assert_eq!(child.ask("feedback It breaks."), r#"feedback {"statusCode":403}"#);
    assert!(child.close());
    house.close();
    assert_eq!(house.sentry.items("feedback").len(), 2);
}

#[test]
fn feedback_of_a_child_is_of_rust_and_belongs_to_the_trace_of_its_events() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &[]);
    let headers = child.ask("headers");
    assert_eq!(child.ask("feedback It works."), r#"feedback {"statusCode":200}"#);
    assert!(child.close());
    house.close();
    let feedback = &house.sentry.items("feedback")[0];
    assert_eq!(feedback["tags"]["event.origin"], "rust");
    assert_eq!(feedback["tags"]["event.process"], "page");
    assert_eq!(feedback["contexts"]["trace"]["trace_id"], trace_in(&headers));
    let requests = house.sentry.requests();
    let envelopes = requests.iter().filter_map(|request| request.envelope.as_ref().ok());
    let mut all = envelopes.filter(|envelope| envelope.items[0].kind() == "feedback");
    let header = &all.next().expect("it has arrived").header["trace"];
    assert_eq!(header["trace_id"], trace_in(&headers));
    assert_eq!(header["release"], "desk@5.1.0");
}

#[test]
fn a_child_continues_the_trace_of_main() {
    let mut house = House::start(&[]);
    let mut child = house.child("page", &[]);
    let headers = child.ask("headers");
    child.ask("capture of page");
    child.flush();
    house.desk.ask("capture of main");
    assert!(child.close());
    house.close();
    for message in ["of page", "of main"] {
        let event = house.event_saying(message);
        assert_eq!(event["contexts"]["trace"]["trace_id"], trace_in(&headers), "{message}");
    }
}

#[test]
fn what_main_pushes_reaches_renderers_on_either_way() {
    for mode in ["classic", "protocol"] {
        let own = ["--namespace", "app"];
        let mut house = House::start(&own);
        let mut child = house.child("page", &own);
        let of_main = child.ask("headers");
        // This one was not started by main, and has no trace until it is told of one.
        let mut other = house.foreign("other", &["--namespace", "app", "--mode", mode]);
        assert_eq!(other.ask(&format!("await {mode}")), format!("way {mode}"));
        assert_eq!(house.desk.ask(r#"config {"logLevel":"error","sampleRate":0.0}"#), "done");
        assert_eq!(house.desk.ask("share-trace"), "done");
        let told = loop {
            let headers = other.ask("headers");
            if headers != "headers" {
                break headers;
            }
        };
        assert_eq!(trace_in(&told), trace_in(&of_main), "{mode}");
        other.ask("capture not chosen");
        other.ask("log not wanted");
        assert!(other.ask("close 50000").starts_with("closed true"));
        assert!(child.close());
        house.close();
        assert_eq!(house.messages(), [""; 0], "{mode}");
        assert_eq!(house.sentry.items("log").len(), 0, "{mode}");
    }
}
