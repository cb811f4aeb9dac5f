//! Every envelope of the corpus goes through the merge. What may not change is byte-identical.

use guardhouse_main::merge::{FILTERED, Merge, Process, Scopes};
use guardhouse_protocol::json::{Object, Value};
use guardhouse_protocol::{Envelope, Item, ItemType, Log, Metric};
use guardhouse_tests::corpus;
use guardhouse_tests::oracle::plain::Tree;

use super::{OTHER, PAGE, hear, merge, now, page, rich};

/// Members that the merge may set, change or take out, by item. What is not named has to be as it was.
fn may_change(item: &Item) -> Vec<Vec<&'static str>> {
    let release = ["release", "dist", "environment"].map(|key| vec![key]);
    let sdk = ["name", "version", "packages"].map(|key| vec!["sdk", key]);
    let tags =
        ["event.process", "event.origin", "event.environment", "shared", "of-main", "of-other"]
            .map(|key| vec!["tags", key]);
    let address = [
        vec!["sdk", "settings", "infer_ip"],
        vec!["sdk", "settings"],
        vec!["server_name"],
        vec!["message"],
        vec!["logentry", "formatted"],
        vec!["user", "ip_address"],
        vec!["user", "id"],
    ];
    let contexts =
        ["os", "device", "app", "guardhouse", "state", "other"].map(|key| vec!["contexts", key]);
    let rest = [
        vec!["breadcrumbs"],
        vec!["level"],
        vec!["fingerprint"],
        vec!["transaction"],
        vec!["extra", "e"],
        vec!["request", "headers", "User-Agent"],
        vec!["request", "headers", "user-agent"],
    ];
    let mut paths = Vec::new();
    match item.item_type() {
        ItemType::Event | ItemType::Transaction | ItemType::Feedback => {
            paths.extend(release);
            paths.extend(sdk);
            paths.extend(tags);
            paths.extend(address);
            paths.extend(contexts);
            paths.extend(rest);
        }
        ItemType::ReplayEvent => {
            paths.extend(release);
            paths.extend(sdk);
            paths.extend(tags);
            paths.extend(address);
        }
        ItemType::Profile | ItemType::ProfileChunk => paths.extend(release),
        ItemType::Span if !item.is_container() => {
            paths.extend(["release", "environment", "event.process"].map(|key| vec!["data", key]));
        }
        _ => {}
    }
    paths
}

/// Attributes that the merge may set.
const ATTRIBUTES: [&str; 9] = [
    "sentry.release",
    "sentry.environment",
    "sentry.sdk.name",
    "sentry.sdk.version",
    "event.process",
    "os.name",
    "os.version",
    "device.family",
    "user.id",
];

/// JSON as the merge has to leave it, which says U+FFFD where half a surrogate pair is.
fn mended(json: &str) -> String {
    let unit = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix(r"\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut out, mut at) = (String::new(), 0);
    while at < json.len() {
        let units = [unit(at), unit(at + 6)].into_iter().map_while(|unit| unit);
        let is_escaped = json[at..].starts_with('\\');
        let (length, is_half) = match char::decode_utf16(units).next() {
            Some(Ok(character)) => (6 * character.len_utf16(), false),
            Some(Err(_)) => (6, true),
            None if is_escaped => (2, false),
            None => (json[at..].chars().next().map_or(0, char::len_utf8), false),
        };
        out.push_str(if is_half { r"\ufffd" } else { &json[at..at + length] });
        at += length;
    }
    out
}

/// Both texts without the members that may change are the same text.
fn is_untouched_but_for(paths: &[Vec<&str>], before: &str, after: &str, what: &str) {
    let (mut plain_before, mut plain_after) = (Tree::parse(before), Tree::parse(after));
    let original = Object::parse(before.as_bytes()).unwrap();
    for path in paths {
        // An object that was made for a member goes with it.
        let made = (1..=path.len())
            .find(|length| original.at(&path[..*length]).is_none_or(Value::is_null));
        let path = &path[..made.unwrap_or(path.len())];
        plain_before.remove(path).unwrap();
        plain_after.remove(path).unwrap();
    }
    let (before, after) = (plain_before.text(), plain_after.text());
    assert!(is_same_but_for_secrets(&before, &after), "{what}\n{before}\n{after}");
}

/// Whether `after` is `before` with nothing but some values filtered.
fn is_same_but_for_secrets(before: &str, after: &str) -> bool {
    let mut pieces = after.split(FILTERED);
    let Some(mut rest) = pieces.next().and_then(|first| before.strip_prefix(first)) else {
        return false;
    };
    let mut is_at_end = rest.is_empty();
    for piece in pieces {
        is_at_end = rest.ends_with(piece);
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    is_at_end
}

fn each_is_untouched(before: &Item, after: &Item, what: &str) {
    let (before, after) = (before.json().unwrap(), after.json().unwrap());
    let paths: Vec<Vec<&str>> = ATTRIBUTES.iter().map(|key| vec!["attributes", key]).collect();
    let elements = |container: &Object<'_>| -> Vec<String> {
        let elements = container.get("items").unwrap().elements().unwrap();
        elements.map(|element| element.text().to_owned()).collect()
    };
    let (each_before, each_after) = (elements(&before), elements(&after));
    assert_eq!(each_before.len(), each_after.len(), "{what}");
    for (before, after) in each_before.iter().zip(&each_after) {
        is_untouched_but_for(
            &[paths.clone(), vec![vec!["attributes", "at"]]].concat(),
            &mended(before),
            after,
            what,
        );
        let object = Object::parse(after.as_bytes()).unwrap();
        let process = object.at(&["attributes", "event.process", "value"]).unwrap();
        assert!(process.is_str("settings"), "{what}");
    }
    let around = [vec!["items"], vec!["ingest_settings", "infer_ip"]];
    is_untouched_but_for(&around, &mended(before.text()), after.text(), what);
}

/// The event's own breadcrumbs are all there, as they were written.
fn breadcrumbs_are_kept(before: &Object<'_>, after: &Object<'_>, what: &str) {
    let list = |event: &Object<'_>| -> Vec<String> {
        let value = event.at(&["breadcrumbs", "values"]).or_else(|| event.get("breadcrumbs"));
        let elements = value.and_then(Value::elements).into_iter().flatten();
        elements.map(|element| element.text().to_owned()).collect()
    };
    let (before, after) = (list(before), list(after));
    let mut rest = after.iter();
    for own in &before {
        let is_kept = rest.any(|crumb| crumb == own);
        assert!(is_kept || own.contains("=") || before.len() + 3 > 100, "{what}: {own}");
    }
    assert!(after.len() >= 3.min(before.len() + 3), "{what}");
}

fn goes_through(merged_by: &Merge, scopes: &mut Scopes, bytes: bytes::Bytes, what: &str) {
    let before = Envelope::parse(bytes).unwrap();
    let verdicts = before.assess();
    let merged = merge(merged_by, scopes, before.clone());
    assert!(merged.losses.is_empty(), "{what}: {:?}", merged.losses);
    let Some(after) = merged.envelope else {
        return assert!(before.items().is_empty(), "{what}");
    };
    // It can be read again, and is as good as it was.
    let after = Envelope::parse(after.to_bytes()).unwrap();
    assert_eq!(after.assess()[..verdicts.len()], verdicts, "{what}");

    let header = after.header();
    assert_eq!((header.sent_at(), header.dsn()), (None, None), "{what}");
    let paths = [
        vec!["sent_at"],
        vec!["dsn"],
        vec!["sdk", "name"],
        vec!["sdk", "version"],
        vec!["sdk", "packages"],
        vec!["trace", "release"],
        vec!["trace", "environment"],
        vec!["trace", "public_key"],
    ];
    let line = |envelope: &Envelope| envelope.header().as_object().text().to_owned();
    is_untouched_but_for(&paths, &line(&before), &line(&after), what);
    if let Some(trace) = header.trace() {
        assert!(trace.get("release").unwrap().is_str("desk@5.1.0"), "{what}");
    }

    for (old, new) in before.items().iter().zip(after.items()) {
        let what = format!("{what}: {}", old.item_type_name());
        assert_eq!(old.item_type_name(), new.item_type_name(), "{what}");
        match old.item_type() {
            ItemType::Event
            | ItemType::Transaction
            | ItemType::Feedback
            | ItemType::ReplayEvent
            | ItemType::Profile
            | ItemType::ProfileChunk => {
                let (old_event, new_event) = (old.json().unwrap(), new.json().unwrap());
                let mended = mended(old_event.text());
                is_untouched_but_for(&may_change(old), &mended, new_event.text(), &what);
                assert!(new_event.get("release").unwrap().is_str("desk@5.1.0"), "{what}");
                assert!(new_event.get("environment").unwrap().is_str("production"), "{what}");
                let is_profile =
                    matches!(old.item_type(), ItemType::Profile | ItemType::ProfileChunk);
                if !is_profile {
                    let process = new_event.at(&["tags", "event.process"]).unwrap();
                    assert!(process.is_str("settings"), "{what}");
                }
                if !is_profile && old.item_type() != ItemType::ReplayEvent {
                    breadcrumbs_are_kept(&old_event, &new_event, &what);
                    assert!(new_event.at(&["contexts", "other", "b"]).unwrap().text() == "2.50");
                }
            }
            ItemType::Span | ItemType::Log | ItemType::TraceMetric if old.is_container() => {
                each_is_untouched(old, new, &what);
            }
            ItemType::Span => {
                let (old, new_span) = (old.json().unwrap(), new.json().unwrap());
                is_untouched_but_for(&may_change(new), &mended(old.text()), new_span.text(), &what);
            }
            _ => {
                assert_eq!(old.header().text(), new.header().text(), "{what}");
                assert_eq!(old.payload(), new.payload(), "{what}");
            }
        }
    }
    let attached = &after.items()[before.items().len()..];
    let has_event = before.items().iter().any(|item| item.item_type() == ItemType::Event);
    assert_eq!(attached.len(), usize::from(has_event), "{what}");
}

/// Merges those of the corpus that `is_meant` picks, and says how many there were.
fn all_go_through(is_meant: impl Fn(&Envelope) -> bool) -> usize {
    let (merged_by, mut scopes) = rich();
    let real = corpus::real().into_iter().map(|real| (real.file, real.bytes));
    let bridge = corpus::bridge().into_iter();
    let bridge = bridge
        .filter(|said| {
            ["sendEnvelope", "sendFeedback", "envelope", "feedback"].contains(&&*said.method)
        })
        .map(|said| (said.file, said.bytes));
    let mut count = 0;
    for (file, bytes) in real.chain(bridge) {
        if is_meant(&Envelope::parse(bytes.clone()).unwrap()) {
            goes_through(&merged_by, &mut scopes, bytes, &file);
            count += 1;
        }
    }
    count
}

fn has(envelope: &Envelope, item_type: ItemType, holds: &str) -> bool {
    envelope.items().iter().any(|item| {
        let payload = String::from_utf8_lossy(item.payload());
        item.item_type() == item_type && payload.contains(holds)
    })
}

#[test]
fn every_envelope_of_the_corpus_is_merged_and_nothing_else_changes() {
    assert!(all_go_through(|_| true) > 120);
}

#[test]
fn browser_transactions_are_merged_and_nothing_else_changes() {
    assert!(all_go_through(|it| has(it, ItemType::Transaction, r#""platform":"javascript""#)) > 2);
}

#[test]
fn events_with_debug_ids_are_merged_and_nothing_else_changes() {
    assert!(all_go_through(|it| has(it, ItemType::Event, r#""debug_id""#)) > 0);
}

#[test]
fn replays_are_merged_and_nothing_else_changes() {
    assert!(all_go_through(|it| has(it, ItemType::ReplayEvent, "")) > 2);
    assert!(all_go_through(|it| has(it, ItemType::ReplayRecording, "")) > 2);
}

#[test]
fn feedback_is_merged_and_nothing_else_changes() {
    assert!(all_go_through(|it| has(it, ItemType::Feedback, "")) > 2);
}

#[test]
fn profiles_are_merged_and_nothing_else_changes() {
    assert!(all_go_through(|it| has(it, ItemType::Profile, "")) > 0);
    assert!(all_go_through(|it| has(it, ItemType::ProfileChunk, "")) > 0);
}

#[test]
fn logs_metrics_and_spans_are_merged_and_nothing_else_changes() {
    for item_type in [ItemType::Log, ItemType::TraceMetric, ItemType::Span] {
        assert!(all_go_through(|it| has(it, item_type, "")) > 0, "{item_type:?}");
    }
}

#[test]
fn promise_8_what_this_version_does_not_understand_arrives_unchanged() {
    let (merged_by, mut scopes) = rich();
    let event = r#"{ "a" : 1.0, "new\u0020one":{"b":[1e400,"\ud83d",{"tags":{}}], "b": -0},
        "tags": {"x":1 ,"y":null},"user":{"id":18446744073709551616,"n":{}}, "exception":{"values":[{"value":"v",
        "mechanism":{"exception_id":3,"parent_id":1e0}}],"new":[]},"z":"/opt/desk/file?token=1", "contexts":{"new":[1]} }"#;
    let items = [
        ("{\"type\":\"x_new\",\"y\":1e0}", "\u{1}not json"),
        ("{\"type\":\"attachment\",\"filename\":\"a\"}", "{\"release\":\"page\"}"),
        ("{\"type\":\"replay_recording\"}", "{\"segment_id\":0} \u{0}"),
        ("{\"type\":\"session\"}", "{\"sid\":\"x\",\"attrs\":{}}"),
    ];
    let mut text = format!(
        "\n{{ \"new\":{{\"z\":1.0}},\"event_id\":\"9EC79C33-EC99-42AB-8353-589FCB2E04DC\"}}\n\
         {{\"type\":\"event\",\"new\":[1.0],\"length\":{}}}\n{event}\n",
        event.len()
    );
    for (header, payload) in items {
        text.push_str(&format!("{header}\n{payload}\n"));
    }
    let before = Envelope::parse(text.into_bytes()).unwrap();
    let after = merge(&merged_by, &mut scopes, before.clone()).envelope.unwrap();
    let after = Envelope::parse(after.to_bytes()).unwrap();

    assert_eq!(after.header().get("new").unwrap().text(), "{\"z\":1.0}");
    let id = after.header().get("event_id").unwrap().text();
    assert_eq!(id, "\"9EC79C33-EC99-42AB-8353-589FCB2E04DC\"");
    for (old, new) in before.items().iter().zip(after.items()).skip(1) {
        assert_eq!(old.header().text(), new.header().text());
        assert_eq!(old.payload(), new.payload());
    }
    let (old, new) = (before.items()[0].json().unwrap(), after.items()[0].json().unwrap());
    for path in [
        &["a"][..],
        &["new one"],
        &["tags", "x"],
        &["user", "id"],
        &["user", "n"],
        &["exception"],
        &["z"],
        &["contexts", "new"],
    ] {
        let old = old.at(path).unwrap().text().replace(r"\ud83d", r"\ufffd");
        assert_eq!(new.at(path).unwrap().text(), old, "{path:?}");
    }
    let mended = mended(old.text());
    is_untouched_but_for(&may_change(&before.items()[0]), &mended, new.text(), "the event");
}

#[test]
fn promise_8_half_a_surrogate_pair_becomes_the_replacement_character_and_nothing_else_changes() {
    let (merged_by, mut scopes) = rich();
    hear(&mut scopes, Process::Renderer(OTHER), 4, r#"{"tags":{"half":"\ud83d"}}"#);
    let json =
        r#"{"m\uD800":"\ud83d \uD83D\uDE00 \ude00 \\ud800 \u00e9","items":[{"body":"\udc00x"}]}"#;
    let mended = r#""m\ufffd":"\ufffd \uD83D\uDE00 \ufffd \\ud800 \u00e9""#;
    let is_edited = [
        "event",
        "transaction",
        "feedback",
        "replay_event",
        "profile",
        "profile_chunk",
        "span",
        "log",
        "trace_metric",
    ];
    for name in is_edited.into_iter().chain(["session", "user_report", "check_in", "x_new"]) {
        let text = format!("{{}}\n{{\"type\":\"{name}\",\"x\":\"\\ud800\"}}\n{json}\n");
        let before = Envelope::parse(text.into_bytes()).unwrap();
        let after = merge(&merged_by, &mut scopes, before.clone()).envelope.unwrap();
        let (before, after) = (&before.items()[0], &after.items()[0]);
        assert_eq!(before.header().get("x"), after.header().get("x"), "{name}");
        if is_edited.contains(&name) {
            let text = std::str::from_utf8(after.payload()).unwrap();
            assert!(text.contains(mended), "{name}: {text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{name}: {text}");
        } else {
            assert_eq!(before.payload(), after.payload(), "{name}");
        }
    }
    let (page, scope) = (page(), scopes.merged(Process::Renderer(PAGE)));
    let log = Log::parse(br#"{"body":"\ud83d","attributes":{"\udc00":{"value":"\ud83d\ude00"}}}"#)
        .unwrap();
    let log = merged_by.log(log, &page, &scope, now());
    assert!(
        log.text()
            .starts_with(r#"{"body":"\ufffd","attributes":{"\ufffd":{"value":"\ud83d\ude00"}"#)
    );
    let metric = Metric::parse(br#"{"name":"\udc00","type":"counter","value":1}"#).unwrap();
    let metric = merged_by.metric(metric, &page, &scope, now());
    assert!(metric.text().starts_with(r#"{"name":"\ufffd""#), "{}", metric.text());
}

#[test]
fn whatever_is_broken_the_merge_makes_it_no_worse() {
    let (merged_by, mut scopes) = rich();
    let mut count = 0;
    for edge in corpus::edge() {
        let Ok(before) = Envelope::parse(edge.bytes.clone()) else { continue };
        let verdicts = before.assess();
        let Some(after) = merge(&merged_by, &mut scopes, before).envelope else { continue };
        let after = Envelope::parse(after.to_bytes()).unwrap();
        let after = after.assess();
        if after.len() >= verdicts.len() {
            for (old, new) in verdicts.iter().zip(&after) {
                assert!(!old.is_sound() || new.is_sound(), "{}: {new:?}", edge.file);
            }
        }
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn no_secret_of_a_breadcrumb_arrives() {
    let (merged_by, mut scopes) = rich();
    let envelope = Envelope::parse("{}\n{\"type\":\"event\"}\n{}\n").unwrap();
    let after = merge(&merged_by, &mut scopes, envelope).envelope.unwrap();
    let text = after.items()[0].json().unwrap().text().to_owned();
    assert!(text.contains(&format!("/a?token={FILTERED}")), "{text}");
}
