//! The SDK of child processes as a process has it: what it captures reaches main, and whatever becomes
//! of main, the process runs on.
#![cfg(unix)]

mod stand_in;

use guardhouse_process::offline_file::{LeftFile, find};
use guardhouse_protocol::frame::Role;
use guardhouse_protocol::scope::{Contribution, Field};
use guardhouse_protocol::{Channel, Item, ItemType, Message, RendererState, Timestamp};
use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::helm;
use serde_json::Value;
use stand_in::{Heard, StandIn};

const HELM: &str = env!("CARGO_BIN_EXE_helm");
const NAMESPACE: &str = "helm-test";
const TRACE: &str = "771a43a4192642f0b136d5159a501700-91595369230a4ca6-1";

fn start(scratch: &Scratch, options: &[&str]) -> Desk {
    let options = [&["--namespace", NAMESPACE], options].concat();
    helm::start(HELM, scratch.path(), "settings", &options)
}

/// A main, and a child process that has found it.
fn met(options: &[&str]) -> (Scratch, StandIn, Desk) {
    let scratch = Scratch::new();
    let main = StandIn::start(scratch.path(), NAMESPACE);
    let helm = start(&scratch, options);
    (scratch, main, helm)
}

/// What main knows of the scope when it hears of the next event, and the event.
fn hear_scope_and_event(main: &StandIn) -> (Contribution, Value) {
    let mut contribution = Contribution::new(100);
    loop {
        match main.hear() {
            Heard::Said(Message::Scope(message)) => {
                assert!(contribution.hear(message, Timestamp::from_unix(1, 0)).is_empty());
            }
            Heard::Said(Message::Envelope(envelope)) => {
                let event = serde_json::from_slice(envelope.items()[0].payload()).unwrap();
                return (contribution, event);
            }
            _ => {}
        }
    }
}

fn tag(contribution: &Contribution, name: &str) -> Option<String> {
    contribution.get(&Field::tag(name).unwrap()).map(|entry| entry.value().to_string())
}

/// Waits until the end, which should be a good one.
fn ended(helm: Desk) -> Vec<String> {
    let (status, lines) = helm.wait();
    assert!(status.success(), "{status} {lines:?}");
    lines
}

#[test]
fn what_a_child_captures_reaches_main_behind_its_scope() {
    let (_scratch, main, mut helm) = met(&["--utility"]);
    helm.ask("tag view accounts");
    helm.ask("sentry-tag color red");
    helm.ask("crumb clicked");
    let captured = helm.ask("capture hello");

    let Heard::Hello(hello) = main.hear() else { panic!("it begins with a hello") };
    assert_eq!(
        (hello.name.as_str(), hello.role, hello.pid),
        ("settings", Role::Utility, helm.id())
    );
    let (contribution, event) = hear_scope_and_event(&main);
    assert_eq!(event["message"], "hello");
    let id = event["event_id"].as_str().unwrap().replace('-', "");
    assert_eq!(captured.replace('-', ""), format!("captured {id}"));
    assert!(event.get("release").is_none() && event.get("environment").is_none());
    assert!(event.get("server_name").is_none(), "nobody asked for the name of the host");

    assert_eq!(tag(&contribution, "view").as_deref(), Some("\"accounts\""));
    assert_eq!(tag(&contribution, "color").as_deref(), Some("\"red\""));
    assert_eq!(contribution.breadcrumbs().count(), 1);

    assert!(helm.ask("close 30000").starts_with("closed true"));
    assert_eq!(ended(helm), ["left 1"]);
    assert!(matches!(main.hear_until_end()[..], [.., Heard::Goodbye, Heard::Gone]));
}

#[test]
fn logs_metrics_and_feedback_have_their_own_channels() {
    let (_scratch, main, mut helm) = met(&[]);
    helm.ask("log saved");
    helm.ask("metric clicks 3");
    helm.tell("flush 30000");
    let Message::Log(log) = main.hear_on(Channel::StructuredLog) else { unreachable!() };
    assert_eq!(log.get("body").unwrap().text(), "\"saved\"");
    let Message::Metric(metric) = main.hear_on(Channel::Metric) else { unreachable!() };
    assert_eq!(metric.get("name").unwrap().text(), "\"clicks\"");
    assert!(helm.hear().unwrap().starts_with("flushed true"));
    assert_eq!(helm.ask("feedback It breaks."), r#"feedback {"statusCode":200}"#);
    assert!(matches!(main.hear_on(Channel::Feedback), Message::Feedback(_)));
}

#[test]
fn an_attachment_goes_piece_by_piece() {
    let (_scratch, main, mut helm) = met(&[]);
    let event = "9ec79c33ec9942ab8353589fcb2e04dc";
    assert_eq!(helm.ask(&format!("attach {event} 5000000")), "attached taken 5000000");
    loop {
        if let Heard::Stream(opening, received) = main.hear() {
            assert_eq!((opening.filename(), received), ("attached.bin", 5_000_000));
            assert_eq!(opening.event_id().to_string(), event);
            break;
        }
    }
}

#[test]
fn a_panic_that_ends_the_process_is_on_mains_disk() {
    let (_scratch, main, mut helm) = met(&[]);
    helm.tell("abort ouch");
    let event = main.hear_event();
    assert_eq!(event["exception"]["values"][0]["value"], "ouch");
    assert!(matches!(main.hear_on(Channel::Flush), Message::Flush));
    let heard = main.hear_until_end();
    assert!(matches!(heard[..], [Heard::Gone]), "there is no goodbye: {heard:?}");
    let (status, _) = helm.wait();
    assert!(!status.success());
}

#[test]
fn a_panic_of_the_main_thread_is_no_end_in_good_order() {
    let (_scratch, main, mut helm) = met(&[]);
    helm.tell("unwind ouch");
    assert_eq!(main.hear_event()["exception"]["values"][0]["value"], "ouch");
    let heard = main.hear_until_end();
    let is_goodbye = |heard: &Heard| matches!(heard, Heard::Goodbye);
    assert!(!heard.iter().any(is_goodbye), "main judges by the exit code: {heard:?}");
    assert_eq!(helm.wait().0.code(), Some(101));
}

#[test]
fn a_child_without_main_runs_on_and_ends_without_it() {
    let scratch = Scratch::new();
    let mut helm = start(&scratch, &["--shutdown", "200"]);
    assert!(helm.ask("capture hello").starts_with("captured"));
    assert_eq!(helm.ask("way"), "way none");
    assert!(helm.ask("flush 30000").starts_with("flushed false"));
    assert!(helm.ask("again").starts_with("failed guardhouse is running in this process already"));
    assert_eq!(helm.ask("headers"), "headers");
    helm.tell("drop");
    assert!(helm.hear().unwrap().starts_with("dropped"));
    assert_eq!(ended(helm), ["left 1"]);
}

#[test]
fn what_was_captured_before_main_came_reaches_it() {
    let scratch = Scratch::new();
    let mut helm = start(&scratch, &[]);
    helm.ask("capture early");
    let main = StandIn::start(scratch.path(), NAMESPACE);
    assert_eq!(main.hear_event()["message"], "early");
    assert_eq!(helm.ask("await classic"), "way classic");
}

#[test]
fn a_main_that_is_new_hears_the_whole_scope_and_what_the_former_has_not_taken() {
    let (scratch, former, mut helm) = met(&[]);
    helm.ask("tag view accounts");
    helm.ask("capture one");
    assert_eq!(former.hear_event()["message"], "one");
    assert!(helm.ask("flush 30000").starts_with("flushed true"));
    drop(former);
    // What was there before the former main was missed is taken for another instance's.
    assert_eq!(helm.ask("await none"), "way none");
    helm.ask("capture two");
    let main = StandIn::start(scratch.path(), NAMESPACE);
    let (contribution, event) = hear_scope_and_event(&main);
    assert_eq!(event["message"], "two");
    assert_eq!(tag(&contribution, "view").as_deref(), Some("\"accounts\""));
    assert!(helm.ask("close 30000").starts_with("closed true"));
    for heard in main.hear_until_end() {
        assert!(!matches!(heard, Heard::Said(Message::Envelope(_))), "{heard:?}");
    }
}

#[test]
fn what_no_main_took_is_left_in_the_offline_file() {
    let scratch = Scratch::new();
    let spool = scratch.path().join("spool");
    let mut helm = start(&scratch, &["--spool", spool.to_str().unwrap()]);
    helm.ask("tag view accounts");
    helm.ask("capture hello");
    assert!(helm.ask("close 10000").starts_with("closed false"));
    assert_eq!(ended(helm), ["left 1"]);

    let files = find(&spool);
    assert_eq!(files.len(), 1, "{files:?}");
    let mut file = LeftFile::open(&files[0]).unwrap().expect("its writer is dead");
    assert_eq!(file.name(), "settings");
    let left = std::iter::from_fn(|| file.next_message().unwrap());
    let channels: Vec<_> = left.map(|left| left.channel).collect();
    assert_eq!(channels, [Channel::Scope, Channel::Envelope]);
}

#[test]
fn each_error_names_the_value_and_says_what_to_do_once() {
    let scratch = Scratch::new();
    let file = scratch.path().join("file");
    std::fs::write(&file, "here first").unwrap();
    let (file, below) = (file.to_str().unwrap(), file.join("below"));
    for (name, options, words) in [
        ("", &[][..], &["\"\" has 0 bytes", "1 to 200", "`Options::new`", "give another"][..]),
        ("two\nlines", &[], &["\"two\\nlines\"", "control character", "give another"]),
        ("a", &["--namespace", "No"], &["`Options::ipc_namespace`", "\"No\"", "use 1 to 64"]),
        ("a", &["--traces", "2"], &["sample rate 2 ", "`Options::sentry`", "between 0 and 1"]),
        ("a", &["--max-items", "0"], &["0 cannot", "`Options::max_items`", "give more"]),
        ("a", &["--max-bytes", "0"], &["0 cannot", "`Options::max_bytes`", "give more"]),
        ("a", &["--spool", file], &["is a file", "`Options::spool_dir`", "name a directory"]),
        ("a", &["--spool", below.to_str().unwrap()], &["below", "is a file", "name a directory"]),
        ("a", &["--spool", ""], &["its name is empty", "`Options::spool_dir`"]),
    ] {
        let mut command = helm::command(HELM, scratch.path(), name);
        let mut helm = Desk::launch_as(command.args(options));
        let said = helm.hear().unwrap();
        assert!(said.starts_with("failed "), "{options:?}: {said}");
        for word in words {
            assert_eq!(said.matches(word).count(), 1, "{word:?} in {said:?}");
        }
    }
}

#[test]
fn main_says_which_trace_is_continued_and_how_much_is_reported() {
    let scratch = Scratch::new();
    let main = StandIn::start(scratch.path(), NAMESPACE);
    let mut command = helm::command(HELM, scratch.path(), "settings");
    command.args(["--namespace", NAMESPACE, "--traces", "1"]).env("SENTRY_TRACE", TRACE);
    let mut helm = Desk::launch_as(&mut command).started();

    let (trace, span) = (&TRACE[..32], &TRACE[33..49]);
    assert_eq!(helm.ask("headers"), format!("headers sentry-trace={TRACE}"));
    assert!(helm.ask("transaction open").starts_with(&format!("trace {trace}-")));
    helm.ask("capture hello");
    let transaction = main.hear_event();
    assert_eq!(transaction["contexts"]["trace"]["trace_id"], *trace);
    assert_eq!(transaction["contexts"]["trace"]["parent_span_id"], *span);
    let event = main.hear_event();
    assert_eq!(event["contexts"]["trace"]["trace_id"], *trace);
    assert_eq!(event["contexts"]["trace"]["parent_span_id"], *span);

    // What is pushed later is heard later, so with the trace the rest is known, too.
    main.push(Channel::Config, r#"{"sampleRate":0.0,"logLevel":"error"}"#);
    let other = TRACE.replace("771a", "881b");
    main.push(Channel::Trace, format!(r#"{{"sentryTrace":"{other}"}}"#));
    while helm.ask("headers") != format!("headers sentry-trace={other}") {}
    helm.ask("capture not chosen");
    helm.ask("log not wanted");
    helm.tell("close 30000");
    for heard in main.hear_until_end() {
        if let Heard::Said(Message::Envelope(envelope)) = heard {
            let types: Vec<_> = envelope.items().iter().map(Item::item_type).collect();
            assert_eq!(types, [ItemType::ClientReport]);
        } else {
            assert!(!matches!(heard, Heard::Said(Message::Log(_))), "{heard:?}");
        }
    }
}

#[test]
fn main_hears_of_a_thread_that_beats_and_of_one_that_waits_on_purpose() {
    let (_scratch, main, mut helm) = met(&["--threshold", "60000"]);
    let hear = || {
        let Message::Status(status) = main.hear_on(Channel::Status) else { unreachable!() };
        (status.thread().map(str::to_owned), status.state, status.anr_threshold.as_secs())
    };
    let ui = |state| (Some("ui".to_owned()), state, 60);
    assert_eq!(helm.ask("await classic"), "way classic");
    helm.ask("watch ui");
    helm.ask("beat ui");
    assert_eq!(hear(), ui(RendererState::Alive));
    helm.ask("pause ui");
    assert_eq!(hear(), ui(RendererState::Hidden));
    helm.ask("resume ui");
    assert_eq!(hear(), ui(RendererState::Alive));
    helm.ask("unwatch ui");
    assert_eq!(hear(), ui(RendererState::Hidden));
}
