use super::*;

#[test]
fn a_replay_is_about_the_same_application() {
    let mut scene = Scene::new();
    scene.hear(
        Process::Main,
        r#"{"tags":{"a":"x"},"user":{"id":"m"},"breadcrumbs":[{}],"extra":{"e":1}}"#,
    );
    let replay = scene.item(
        "\"replay_event\"",
        r#"{"urls":["file:///opt/desk/a.html?sid=1","https://x/"],"request":{"url":"/opt/desk/a.html","headers":{"User-Agent":"w"}}}"#,
    );
    assert_eq!(at(&replay, &["urls"]), r#"["app:///a.html?sid=[Filtered]","https://x/"]"#);
    assert_eq!(
        at(&replay, &["request"]),
        r#"{"url":"app:///a.html","headers":{"User-Agent":"w"}}"#
    );
    assert_eq!(at(&replay, &["release"]), "\"desk@5\"");
    assert_eq!(at(&replay, &["tags", "a"]), "\"x\"");
    assert_eq!(at(&replay, &["user"]), r#"{"id":"m"}"#);
    assert_eq!(at(&replay, &["breadcrumbs"]), "nothing");
    assert_eq!(at(&replay, &["extra"]), "nothing");
}

#[test]
fn profiles_and_their_source_maps_get_the_names_of_events() {
    for header in ["\"profile\"", "\"profile_chunk\""] {
        let profile = Scene::new().item(
            header,
            r#"{"release":"page@1","profile":{"frames":[{"abs_path":"file:///opt/desk/a.js","lineno":1.0}]},
                "debug_meta":{"images":[{"type":"sourcemap","code_file":"/opt/desk/a.js"}]}}"#,
        );
        assert_eq!(at(&profile, &["release"]), "\"desk@5\"");
        assert_eq!(at(&profile, &["environment"]), "\"production\"");
        assert_eq!(
            at(&profile, &["profile", "frames"]),
            r#"[{"abs_path":"app:///a.js","lineno":1.0}]"#
        );
        assert!(profile.contains(r#""code_file":"app:///a.js""#));
    }
}

#[test]
fn a_span_on_its_own_says_where_it_is_from() {
    let span = Scene::new().item(
        "\"span\"",
        r#"{"description":"/opt/desk/a.js","data":{"url.full":"file:///opt/desk/?key=1","http.query":"pwd=1","n":1.0}}"#,
    );
    assert_eq!(
        span,
        r#"{"description":"app:///a.js","data":{"url.full":"app:///?key=[Filtered]","http.query":"pwd=[Filtered]","n":1.0,"release":"desk@5","environment":"production","event.process":"settings"}}"#
    );
}

#[test]
fn each_in_a_container_gets_attributes_and_nothing_else_changes() {
    let mut scene = Scene::new();
    scene
        .merge
        .identity_mut()
        .set_context("os", &Json::parse(br#"{"name":"Linux","version":"6.12"}"#).unwrap());
    scene.hear(
        Process::Main,
        r#"{"user":{"id":7},"attributes":{"a":1.5,"b":{"value":"x","type":"string"},"c":[1]}}"#,
    );
    for item_type in ["log", "trace_metric", "span"] {
        let container = scene.item(
            &format!("\"{item_type}\",\"item_count\":2"),
            r#"{"version":2,"ingest_settings":{"infer_ip":"auto","new":1},"items":[{"body":"m","new":1e0,"attributes":{"sentry.release":{"value":"page@1","type":"string"},"os.name":{"value":"mine","type":"string"},"client.address":{"value":"{{auto}}","type":"string"}}},7]}"#,
        );
        assert_eq!(at(&container, &["ingest_settings"]), r#"{"infer_ip":"never","new":1}"#);
        let items = Json::parse(at(&container, &["items"]).as_bytes()).unwrap();
        let items: Vec<_> =
            items.as_value().elements().unwrap().map(|item| item.text().to_owned()).collect();
        assert_eq!(items[1], "7");
        assert_eq!(at(&items[0], &["new"]), "1e0");
        for (name, value) in [
            ("sentry.release", "\"desk@5\""),
            ("sentry.environment", "\"production\""),
            ("sentry.sdk.name", "\"sentry.rust.guardhouse\""),
            ("event.process", "\"settings\""),
            ("os.name", "\"mine\""),
            ("os.version", "\"6.12\""),
            ("user.id", "\"7\""),
            ("a", "1.5"),
            ("b", "\"x\""),
            ("c", "nothing"),
            ("client.address", "nothing"),
        ] {
            assert_eq!(at(&items[0], &["attributes", name, "value"]), value, "{item_type} {name}");
        }
        assert_eq!(at(&items[0], &["attributes", "a", "type"]), "\"double\"");
    }
}

#[test]
fn spans_in_a_container_are_cleaned() {
    let container = Scene::new().item(
        "\"span\",\"item_count\":1",
        r#"{"items":[{"name":"/opt/desk/a.html","attributes":{"sentry.segment.name":{"value":"file:///opt/desk/a.html","type":"string"},"url.full":{"value":"https://a/?token=1","type":"string"}}}]}"#,
    );
    assert!(container.contains(r#""name":"app:///a.html""#));
    assert!(container.contains(r#""sentry.segment.name":{"value":"app:///a.html""#));
    assert!(container.contains(r#""url.full":{"value":"https://a/?token=[Filtered]""#));
}

#[test]
fn a_log_or_metric_on_its_own_is_merged_like_one_of_many() {
    let mut scene = Scene::new();
    let scope = scene.scopes.merged(page().process());
    let log = Log::parse(br#"{"body":"m","new":1e0}"#).unwrap();
    let log = scene.merge.log(log, &page(), &scope, now());
    assert!(log.text().starts_with(r#"{"body":"m","new":1e0,"attributes":{"sentry.release""#));
    let metric = Metric::parse(br#"{"value":1.50,"attributes":[]}"#).unwrap();
    let metric = scene.merge.metric(metric, &page(), &scope, now());
    assert_eq!(metric.text(), r#"{"value":1.50,"attributes":[]}"#, "of another shape");
}
