use guardhouse_protocol::limits::EVENT_BYTES;

use super::*;

/// A scope of about 700 KiB.
fn large_scope(scene: &mut Scene) {
    for process in 0..3_u128 {
        let process = Process::Renderer(Uuid::from_u128(10 + process));
        let crumbs: Vec<String> = (0..30)
            .map(|n| format!(r#"{{"timestamp":{n},"data":{{"x":"{}"}}}}"#, "x".repeat(5_000)))
            .collect();
        let extra: Vec<String> =
            (0..10).map(|n| format!(r#""e{n}":"{}""#, "e".repeat(10_000))).collect();
        scene.hear(
            process,
            &format!(
                r#"{{"breadcrumbs":[{}],"extra":{{{}}},"contexts":{{"c":{{"x":"{}"}}}},"tags":{{"t":"1"}}}}"#,
                crumbs.join(","),
                extra.join(","),
                "c".repeat(10_000)
            ),
        );
    }
}

fn event_of(bytes: usize) -> String {
    format!(r#"{{"message":"{}","breadcrumbs":[{{"timestamp":99}}]}}"#, "m".repeat(bytes))
}

#[test]
fn the_least_important_makes_room_first_and_meta_says_so() {
    let mut scene = Scene::new();
    large_scope(&mut scene);
    let mut former = (usize::MAX, true, true, true);
    for bytes in [100, 500_000, 800_000, 950_000, 1_030_000, 1_047_500] {
        let text = format!("{{}}\n{{\"type\":\"event\"}}\n{}\n", event_of(bytes));
        let merged = scene.merged(&text);
        assert!(merged.losses.is_empty());
        let envelope = merged.envelope.unwrap();
        assert!(envelope.items()[0].payload().len() <= EVENT_BYTES);
        let event = envelope.items()[0].json().unwrap();
        let crumbs = event.get("breadcrumbs").unwrap().elements().unwrap().count();
        let has = |path: &[&str]| event.at(path).is_some();
        let now = (crumbs, has(&["extra"]), has(&["contexts", "c"]), has(&["tags", "t"]));
        assert!(now <= former, "{bytes}: {now:?} after {former:?}");
        assert!(now.0 == 1 || now.1, "breadcrumbs go first: {now:?}");
        assert!(now.1 <= now.2 && now.2 <= now.3, "{now:?}");
        if crumbs < 91 {
            let length = event.at(&["_meta", "breadcrumbs", "", "len"]).unwrap().as_u64();
            assert_eq!(length, Some(91));
            assert!(merged.facts.left_out > 0);
        }
        if !now.1 {
            assert_eq!(event.at(&["_meta", "extra", "", "len"]).unwrap().as_u64(), Some(10));
        }
        // What makes it main's is always there.
        assert!(event.get("release").is_some() && has(&["tags", "event.process"]));
        former = now;
    }
    assert_eq!(former, (1, false, false, true));
}

#[test]
fn an_event_without_room_for_anything_gives_up_its_oldest_breadcrumbs_or_is_dropped() {
    let mut scene = Scene::new();
    let crumbs = r#"{"timestamp":1,"m":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#;
    let crumbs = vec![crumbs; 40].join(",");
    let around = EVENT_BYTES - crumbs.len() - 40;
    let full = format!(r#"{{"message":"{}","breadcrumbs":[{crumbs}]}}"#, "m".repeat(around));
    assert!(full.len() <= EVENT_BYTES);
    let merged = scene.merged(&format!("{{}}\n{{\"type\":\"event\"}}\n{full}\n"));
    let envelope = merged.envelope.unwrap();
    let event = envelope.items()[0].json().unwrap();
    let left = event.get("breadcrumbs").unwrap().elements().unwrap().count();
    assert!((1..40).contains(&left), "{left}");
    assert_eq!(event.at(&["_meta", "breadcrumbs", "", "len"]).unwrap().as_u64(), Some(40));

    let full = format!(r#"{{"message":"{}"}}"#, "m".repeat(EVENT_BYTES - 14));
    let merged = scene.merged(&format!("{{}}\n{{\"type\":\"event\"}}\n{full}\n"));
    assert!(merged.envelope.is_none());
    assert_eq!(merged.losses.get(Category::Error, Reason::Invalid), 1);
}

#[test]
fn a_container_without_room_gets_only_what_is_mains() {
    let mut scene = Scene::new();
    scene.hear(Process::Main, &format!(r#"{{"attributes":{{"large":"{}"}}}}"#, "x".repeat(15_000)));
    let logs = vec![r#"{"body":"m"}"#; 100].join(",");
    let container = scene.item("\"log\",\"item_count\":100", &format!("{{\"items\":[{logs}]}}"));
    assert!(container.len() < EVENT_BYTES);
    assert_eq!(container.matches("sentry.release").count(), 100);
    assert!(!container.contains("large"));
}

#[test]
fn what_is_merged_is_made_anew_only_when_something_changed() {
    let mut scene = Scene::new();
    scene.hear(Process::Main, r#"{"tags":{"a":"1"},"breadcrumbs":[{"timestamp":1}]}"#);
    let own = Process::Renderer(PAGE);
    let (first, again) = (scene.scopes.merged(own), scene.scopes.merged(own));
    assert!(std::sync::Arc::ptr_eq(&first.fields, &again.fields));
    assert!(std::sync::Arc::ptr_eq(&first.trail, &again.trail));
    scene.hear(own, r#"{"breadcrumbs":[{"timestamp":2}]}"#);
    let later = scene.scopes.merged(own);
    assert!(std::sync::Arc::ptr_eq(&first.fields, &later.fields));
    assert_eq!((first.breadcrumbs().count(), later.breadcrumbs().count()), (1, 2));
    scene.scopes.remove(Process::Main);
    assert_eq!(scene.scopes.merged(own).fields().count(), 0);
}
