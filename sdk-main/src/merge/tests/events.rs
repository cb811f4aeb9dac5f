use guardhouse_protocol::scope::{Attachment, ScopeUpdate};

use super::*;
use crate::outbox::spool::RunFacts;

#[test]
fn breadcrumbs_of_all_are_by_time_and_their_meta_goes_with_them() {
    let mut scene = Scene::new();
    scene.scopes = Scopes::new(5);
    let long = "m".repeat(9000);
    scene.hear(Process::Main, r#"{"breadcrumbs":[{"timestamp":1},{"timestamp":4}]}"#);
    scene.hear(
        Process::Renderer(OTHER),
        &format!(r#"{{"breadcrumbs":[{{"timestamp":3,"message":"{long}"}}]}}"#),
    );
    let event = scene.event(
        r#"{"breadcrumbs":{"values":[{"timestamp":2},{"message":"then"},{"timestamp":"1970-01-01T00:00:05Z"}]},
            "_meta":{"breadcrumbs":{"values":{"1":{"":{"len":9}}}},"x":1}}"#,
    );
    let crumb = |index: usize| {
        let list = Json::parse(at(&event, &["breadcrumbs", "values"]).as_bytes()).unwrap();
        let crumb = list.as_value().elements().unwrap().nth(index).unwrap();
        crumb.text().chars().take(40).collect::<String>()
    };
    assert_eq!(crumb(0), r#"{"timestamp":2}"#);
    assert_eq!(crumb(1), r#"{"message":"then"}"#);
    assert!(crumb(2).starts_with(r#"{"timestamp":3"#));
    assert_eq!(crumb(3), r#"{"timestamp":4}"#);
    assert_eq!(crumb(4), r#"{"timestamp":"1970-01-01T00:00:05Z"}"#);
    let meta = |index: &str| at(&event, &["_meta", "breadcrumbs", "values", index]);
    assert_eq!(meta("1"), r#"{"":{"len":9}}"#);
    assert!(meta("2").contains(r#""len":9000"#));
    assert_eq!(meta("0"), "nothing");
    assert_eq!(at(&event, &["_meta", "x"]), "1");
}

#[test]
fn a_breadcrumb_from_the_future_or_without_a_time_pushes_nobody_out() {
    let mut scene = Scene::new();
    scene.hear(Process::Main, r#"{"breadcrumbs":[{"timestamp":5}]}"#);
    let event = scene.event(r#"{"breadcrumbs":[{"m":1},{"timestamp":9e9},{"timestamp":1}]}"#);
    assert_eq!(
        at(&event, &["breadcrumbs"]),
        r#"[{"timestamp":1},{"timestamp":5},{"m":1},{"timestamp":9e9}]"#
    );
}

#[test]
fn what_was_cut_of_a_field_is_told_where_the_field_is() {
    let mut scene = Scene::new();
    let long = "v".repeat(300);
    scene.hear(Process::Main, &format!(r#"{{"tags":{{"a":"{long}","b":"{long}"}}}}"#));
    let event = scene.event(r#"{"tags":{"b":"own"}}"#);
    assert!(at(&event, &["_meta", "tags", "a"]).contains(r#""len":300"#));
    assert_eq!(at(&event, &["_meta", "tags", "b"]), "nothing");
}

#[test]
fn tags_that_are_pairs_stay_pairs() {
    let mut scene = Scene::new();
    scene.hear(Process::Main, r#"{"tags":{"a":"x","b":"y"}}"#);
    let event =
        scene.event(r#"{"platform":"native","tags":[["a","own"],["event.process","forged"]]}"#);
    assert_eq!(
        at(&event, &["tags"]),
        r#"[["a","own"],["event.process","settings"],["b","y"],["event.origin","native"],["event.environment","native"]]"#
    );
}

#[test]
fn a_process_cannot_claim_to_be_another_by_its_scope() {
    let mut scene = Scene::new();
    scene.hear(Process::Main, r#"{"tags":{"event.process":"forged","event.origin":"mine"}}"#);
    let event = scene.event("{}");
    assert_eq!(at(&event, &["tags", "event.process"]), "\"settings\"");
    assert_eq!(at(&event, &["tags", "event.origin"]), "\"mine\"");
    assert_eq!(event.matches("event.process").count(), 1);
}

#[test]
fn shapes_that_nobody_expects_stay_and_the_rest_is_merged() {
    let mut scene = Scene::new();
    scene.hear(Process::Main, r#"{"tags":{"a":"x"},"extra":{"b":1},"user":{"id":"m"}}"#);
    let odd = r#"{"tags":7,"extra":"x","user":[1],"contexts":1,"breadcrumbs":"x","sdk":3,"_meta":[],
        "request":{"headers":1,"url":2},"exception":{"values":{"a":1}},"spans":{},"debug_meta":[]}"#;
    let event = scene.event(odd);
    for member in
        ["tags", "extra", "user", "contexts", "breadcrumbs", "_meta", "request", "exception"]
    {
        assert_eq!(at(&event, &[member]), at(odd, &[member]), "{member}");
    }
    assert_eq!(at(&event, &["release"]), "\"desk@5\"");
    assert_eq!(at(&event, &["sdk", "name"]), "\"sentry.rust.guardhouse\"");
}

#[test]
fn an_event_that_is_none_stays_as_it_is() {
    let mut scene = Scene::new();
    for payload in ["[]", "{\"a\":", "nope", ""] {
        assert_eq!(scene.event(payload), payload);
    }
}

#[test]
fn frames_and_their_source_maps_get_the_same_name() {
    let event = Scene::new().event(
        r#"{"exception":[{"stacktrace":{"frames":[{"filename":"file:///opt/desk/a%20b.js","abs_path":"/opt/desk/a b.js"},{"filename":"tauri://localhost/a.js"}]}}],
            "threads":{"values":[{"stacktrace":{"frames":[{"filename":"\/opt\/desk\/t.js"}]}}]},"stacktrace":{"frames":[{"filename":"/opt/desk/s.js"}]},
            "debug_meta":{"images":[{"type":"sourcemap","code_file":"file:///opt/desk/a%20b.js","debug_id":"x"},{"type":"elf","code_file":"/opt/desk/bin"}]},
            "transaction":"/opt/desk/index.html","contexts":{"feedback":{"url":"file:///opt/desk/?jwt=1"}}}"#,
    );
    for expected in [
        r#"{"filename":"app:///a b.js","abs_path":"app:///a b.js"},{"filename":"tauri://localhost/a.js"}"#,
        r#"{"filename":"app:///t.js"}"#,
        r#"{"filename":"app:///s.js"}"#,
        r#""code_file":"app:///a b.js","debug_id":"x""#,
        r#"{"type":"elf","code_file":"app:///bin"}"#,
        r#""transaction":"app:///index.html""#,
        r#""url":"app:///?jwt=[Filtered]""#,
    ] {
        assert!(event.contains(expected), "{expected}\n{event}");
    }
}

#[test]
fn with_personal_data_asked_for_addresses_and_names_stay() {
    let mut scene = Scene::new();
    let event = r#"{"user":{"id":1,"ip_address":"{{auto}}"},"server_name":"zoe","sdk":{"settings":{"infer_ip":"auto"}}}"#;
    let private = scene.event(event);
    assert_eq!(at(&private, &["user"]), r#"{"id":1}"#);
    assert_eq!(at(&private, &["server_name"]), "nothing");
    assert_eq!(at(&private, &["sdk", "settings", "infer_ip"]), "\"never\"");
    scene.merge = Merge::new(Identity::new("production").send_default_pii(true));
    let open = scene.event(event);
    assert_eq!(at(&open, &["user"]), r#"{"id":1,"ip_address":"{{auto}}"}"#);
    assert_eq!(at(&open, &["server_name"]), "\"zoe\"");
    assert_eq!(at(&open, &["sdk", "settings", "infer_ip"]), "\"auto\"");
}

#[test]
fn attachments_of_all_ride_along_once() {
    let mut scene = Scene::new();
    for (process, name) in
        [(Process::Main, "a"), (Process::Renderer(OTHER), "a"), (Process::Renderer(PAGE), "b")]
    {
        let attachment = Attachment::new(name, &b"bytes"[..]).unwrap();
        scene.scopes.apply(process, ScopeUpdate::AddAttachment(attachment), now()).unwrap();
    }
    let carried = "{\"type\":\"attachment\",\"filename\":\"b\"}\nbytes\n";
    let merged = scene.merged(&format!("{{}}\n{{\"type\":\"event\"}}\n{{}}\n{carried}"));
    let envelope = merged.envelope.unwrap();
    let names: Vec<_> = envelope.items()[1..].iter().filter_map(Item::filename).collect();
    assert_eq!(names, ["b", "a"]);
    // Only events have any.
    let merged = scene.merged("{}\n{\"type\":\"transaction\"}\n{}\n");
    assert_eq!(merged.envelope.unwrap().items().len(), 1);
    // Sentry takes thirty, and what is left out is counted.
    let merged = scene.merged(&format!(
        "{{}}\n{{\"type\":\"event\"}}\n{{}}\n{}",
        "{\"type\":\"attachment\",\"filename\":\"c\"}\nx\n".repeat(29)
    ));
    assert_eq!(merged.envelope.unwrap().items().len(), 31);
    assert_eq!(merged.losses.get(Category::Attachment, Reason::BufferOverflow), 5);
}

#[test]
fn hooks_change_what_they_see_and_keep_what_they_do_not() {
    let mut scene = Scene::hooked(Hooks::new().processor(|mut event| {
        event.tags.insert("hooked".into(), "1".into());
        event.breadcrumbs.values.retain(|crumb| crumb.message.as_deref() != Some("secret"));
        event.event_id = Uuid::nil();
        if let Some(exception) = event.exception.first_mut() {
            exception.value = Some("redacted".into());
        }
        Some(event)
    }));
    let event = scene.event(
        r#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","new":1e0,"exception":[{"value":"Zo\ud83d","mechanism":{"exception_id":1}}],
            "breadcrumbs":[{"message":"secret"},{"message":"kept","new":2e0}],"user":{"id":18446744073709551616}}"#,
    );
    assert_eq!(at(&event, &["tags", "hooked"]), "\"1\"");
    assert_eq!(at(&event, &["breadcrumbs"]), r#"[{"message":"kept","new":2e0}]"#);
    assert_eq!(
        at(&event, &["exception"]),
        r#"[{"value":"redacted","mechanism":{"exception_id":1}}]"#
    );
    assert_eq!(at(&event, &["event_id"]), "\"9ec79c33ec9942ab8353589fcb2e04dc\"");
    assert_eq!(at(&event, &["new"]), "1e0");
    assert_eq!(at(&event, &["user", "id"]), "18446744073709551616");
}

#[test]
fn a_hook_that_changes_nothing_leaves_every_byte() {
    let text = r#"{"exception":{"values":[{"value":"\ud83d"}]},"breadcrumbs":[{"a":1.0}],"level":"log","message":{"formatted":"x"}}"#;
    let plain = Scene::new().event(text);
    let hooked = Scene::hooked(Hooks::new().before_send(Some)).event(text);
    assert_eq!(plain, hooked);
}

#[test]
fn what_is_dropped_is_counted_for_who_dropped_it() {
    let envelope =
        "{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"attachment\"}\nbytes\n{\"type\":\"x_new\"}\n\n";
    for (hooks, reason) in [
        (Hooks::new().processor(|_| None).before_send(Some), Reason::EventProcessor),
        (Hooks::new().processor(Some).before_send(|_| None), Reason::BeforeSend),
        (Hooks::new().sample_rate(0.5).before_send(|_| None), Reason::SampleRate),
    ] {
        let merged = Scene::hooked(hooks).merged(envelope);
        let counts: Vec<_> = merged.losses.iter().collect();
        assert_eq!(counts, [(Category::Error, reason, 1), (Category::Attachment, reason, 5)]);
        assert_eq!(merged.facts.errors, 0);
        let left = merged.envelope.unwrap();
        assert_eq!(left.items().len(), 1);
        assert_eq!(left.items()[0].item_type_name(), "x_new");
    }
    let merged =
        Scene::hooked(Hooks::new().before_send(|_| None)).merged("{}\n{\"type\":\"event\"}\n{}\n");
    assert!(merged.envelope.is_none());
    // Transactions are not theirs.
    let merged = Scene::hooked(Hooks::new().before_send(|_| None).sample_rate(0.0))
        .merged("{}\n{\"type\":\"transaction\"}\n{}\n");
    assert!(merged.envelope.is_some() && merged.losses.is_empty());
}

#[test]
fn a_hook_that_panics_is_as_if_it_were_not_there() {
    let mut scene = Scene::hooked(Hooks::new().processor(|_| panic!("a fault of the application")));
    let merged = scene.merged("{}\n{\"type\":\"event\"}\n{\"message\":\"m\"}\n");
    assert_eq!(merged.facts.panics, 1);
    assert!(merged.losses.is_empty());
    let envelope = merged.envelope.unwrap();
    assert!(envelope.items()[0].json().unwrap().get("message").unwrap().is_str("m"));
}

#[test]
fn errors_are_counted_for_the_session() {
    for (event, errors) in [
        (r#"{"exception":{"values":[{}]},"level":"info"}"#, 1),
        (r#"{"level":"fatal"}"#, 1),
        (r#"{"level":"error"}"#, 1),
        (r#"{"exception":[],"level":"warning"}"#, 0),
        (r#"{"message":"m"}"#, 1),
        (r#"{"message":"m","level":"info"}"#, 0),
    ] {
        let text = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n");
        assert_eq!(Scene::new().merged(&text).facts.errors, errors, "{event}");
        let hooks = Hooks::new().before_send(Some);
        assert_eq!(Scene::hooked(hooks).merged(&text).facts.errors, errors, "{event}");
    }
}

#[test]
fn what_is_an_error_does_not_depend_on_whether_it_was_chosen() {
    for (level, errors) in [("error", 1), ("warning", 0)] {
        for event in [r#"{"message":"m"}"#, r#"{"message":"m","level":null}"#] {
            let text = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n");
            for rate in [1.0, 0.0] {
                let mut scene = Scene::hooked(Hooks::new().sample_rate(rate));
                scene.hear(Process::Renderer(PAGE), &format!(r#"{{"level":"{level}"}}"#));
                let facts = scene.merged(&text).facts;
                assert_eq!(
                    facts.errors + facts.errors_not_chosen,
                    errors,
                    "{level} {rate} {event}"
                );
            }
        }
    }
}

#[test]
fn the_header_is_mains_and_the_trace_is_kept() {
    let mut scene = Scene::new();
    scene.merge = Merge::new(Identity::new("production").release("desk@5").public_key("ours"));
    let merged = scene.merged(
        "{\"sent_at\":\"2026-11-20T16:00:00Z\",\"dsn\":\"https://a@b/1\",\"sdk\":{\"name\":\"x\",\"new\":1e0},\
         \"trace\":{\"trace_id\":\"t\",\"public_key\":\"theirs\",\"sample_rate\":0.50}}\n{\"type\":\"event\"}\n{}\n",
    );
    let header = merged.envelope.unwrap().header().as_object().text().to_owned();
    assert_eq!(
        at(&header, &["trace"]),
        r#"{"trace_id":"t","public_key":"ours","sample_rate":0.50,"release":"desk@5","environment":"production"}"#
    );
    for gone in ["sent_at", "dsn"] {
        assert_eq!(at(&header, &[gone]), "nothing");
    }
    assert_eq!(at(&header, &["sdk", "name"]), "\"sentry.rust.guardhouse\"");
    assert_eq!(at(&header, &["sdk", "new"]), "1e0");
}

#[test]
fn what_happened_in_an_earlier_run_gets_the_facts_of_that_run() {
    let mut identity =
        Identity::new("production").release("desk@5").dist("9").app_roots(["/opt/desk"]);
    let context = |text: &str| Json::parse(text.as_bytes()).unwrap();
    identity.set_context("app", &context(r#"{"app_version":"5"}"#));
    identity.set_context("os", &context(r#"{"name":"Linux"}"#));
    let facts = RunFacts {
        release: Some("desk@4".to_owned()),
        environment: Some("staging".to_owned()),
        dist: None,
    };
    let earlier = identity.in_run(Some(&facts));
    let unknown = identity.in_run(None);
    let merge = Merge::new(identity);
    let merged = |from: &Sender, header: &str, payload: &str| {
        let text = format!(
            "{{\"trace\":{{\"release\":\"page@1\"}}}}\n{{\"type\":\"{header}\"}}\n{payload}\n"
        );
        let envelope = Envelope::parse(text.into_bytes()).unwrap();
        let scope = Scopes::new(100).merged(from.process());
        let envelope = merge.renderer(envelope, from, &scope, now(), 0.5).envelope.unwrap();
        let trace =
            envelope.header().trace().unwrap().get("release").map(|it| it.text().to_owned());
        let trace = trace.unwrap_or_else(|| "nothing".into());
        (String::from_utf8(envelope.items()[0].payload().to_vec()).unwrap(), trace)
    };
    let event = r#"{"message":"m","release":"page@1","environment":"e","dist":"3"}"#;
    let span = r#"{"description":"d","data":{"release":"page@1","environment":"e"}}"#;
    let says = |json: &str, path: [&[&str]; 5]| path.map(|path| at(json, path));
    let of_event: [&[&str]; 5] = [
        &["release"],
        &["environment"],
        &["dist"],
        &["contexts", "app"],
        &["contexts", "os", "name"],
    ];

    let from = page().in_run(Arc::new(earlier));
    let (event_then, trace) = merged(&from, "event", event);
    let expected = [r#""desk@4""#, r#""staging""#, "nothing", "nothing", r#""Linux""#];
    assert_eq!(says(&event_then, of_event), expected);
    assert_eq!(trace, r#""desk@4""#);

    // Nobody knows which release it was: it is not today's, and not what a page says.
    let from = page().in_run(Arc::new(unknown));
    let (event_then, trace) = merged(&from, "event", event);
    let expected = ["nothing", "nothing", "nothing", "nothing", r#""Linux""#];
    assert_eq!(says(&event_then, of_event), expected);
    assert_eq!(trace, "nothing");
    let (span, _) = merged(&from, "span", span);
    assert_eq!(at(&span, &["data", "release"]), "nothing");
    assert_eq!(at(&span, &["data", "environment"]), "nothing");
    let log = r#"{"timestamp":1,"level":"info","body":"b","attributes":{"sentry.release":{"value":"page@1","type":"string"}}}"#;
    let scope = Scopes::new(100).merged(from.process());
    let log = merge.log(Log::parse(log.as_bytes()).unwrap(), &from, &scope, now());
    assert_eq!(at(log.text(), &["attributes", "sentry.release"]), "nothing");
}

#[test]
fn what_sentry_would_infer_is_forbidden_and_what_it_would_not_is_not_spoken_of() {
    let mut scene = Scene::new();
    let settings = |event: &str| at(event, &["sdk", "settings"]);
    for platform in [r#""platform":"javascript","#, r#""platform":"cocoa","#, ""] {
        let event = scene.event(&format!("{{{platform}\"sdk\":{{\"name\":\"x\"}}}}"));
        assert_eq!(settings(&event), r#"{"infer_ip":"never"}"#, "{platform}");
    }
    for (sent, arrives) in [
        (r#"{"name":"x"}"#, "nothing"),
        (r#"{"settings":{"infer_ip":"auto"}}"#, "nothing"),
        (r#"{"settings":{"infer_ip":"auto","new":1}}"#, r#"{"new":1}"#),
    ] {
        let event = scene.event(&format!("{{\"platform\":\"native\",\"sdk\":{sent}}}"));
        assert_eq!(settings(&event), arrives, "{sent}");
    }
}

#[test]
fn what_is_native_keeps_to_the_schema_of_events() {
    let native = r#"{"platform":"native","message":"hi \u00e9"}"#;
    let event = Scene::new().event(native);
    assert_eq!(at(&event, &["message"]), "nothing");
    assert_eq!(at(&event, &["logentry"]), r#"{"formatted":"hi é"}"#);
    assert_eq!(at(&event, &["breadcrumbs"]), r#"{"values":[]}"#);

    let hooks = Hooks::new().before_send(|mut event| {
        event.message = event.message.map(|message| format!("{message}, seen"));
        Some(event)
    });
    let event = Scene::hooked(hooks).event(native);
    assert_eq!(at(&event, &["message"]), "nothing");
    assert_eq!(at(&event, &["logentry", "formatted"]), r#""hi é, seen""#);

    for other in [
        r#"{"platform":"javascript","message":"hi"}"#,
        r#"{"platform":"native","message":"hi","logentry":{"message":"ho"}}"#,
        r#"{"platform":"native","message":{"formatted":"hi"}}"#,
    ] {
        let event = Scene::new().event(other);
        assert_ne!(at(&event, &["message"]), "nothing", "{other}");
    }
}
