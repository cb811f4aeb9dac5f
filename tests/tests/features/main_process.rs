//! What an application does with `sentry` in main: everything of it arrives, with everything else.

use guardhouse_main::sentry::protocol::{Context, Map, User};
use guardhouse_main::sentry::{self, Breadcrumb, ClientOptions, Hub, Level};
use guardhouse_tests::sentry::{Item, a_transaction, an_event};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

use crate::{attribute, start, telemetry};

fn crumb(message: &str) -> Breadcrumb {
    Breadcrumb { message: Some(message.to_owned()), ..Breadcrumb::default() }
}

/// The messages of an event's breadcrumbs, in order.
fn breadcrumbs(item: &Item) -> Vec<String> {
    let event = item.json();
    let list = event["breadcrumbs"].as_array().or(event["breadcrumbs"]["values"].as_array());
    let messages = list.into_iter().flatten().filter_map(|it| it["message"].as_str());
    messages.map(str::to_owned).collect()
}

/// Listens to `tracing` on this thread, as long as it is not dropped.
fn listening() -> tracing::subscriber::DefaultGuard {
    use sentry::integrations::tracing::{BreadcrumbLayer, ErrorLayer, LogLayer, SpanLayer};
    let subscriber = tracing_subscriber::registry()
        .with(SpanLayer::new())
        .with(BreadcrumbLayer::new())
        .with(ErrorLayer::new().with_filter(LevelFilter::ERROR))
        .with(LogLayer::new());
    tracing::subscriber::set_default(subscriber)
}

#[test]
fn breadcrumbs_of_all_ways_are_on_every_event_in_order_of_time() {
    let mut running = start(|options| options.max_breadcrumbs(1000));
    let _listening = listening();
    sentry::add_breadcrumb(crumb("one"));
    tracing::info!("two");
    guardhouse_main::add_breadcrumb(crumb("three"));
    let scope = r#"{"breadcrumbs":[{"message":"zero","timestamp":1}]}"#;
    running.post(2, guardhouse_main::Channel::Scope, scope);
    sentry::add_breadcrumb(crumb("four"));
    // Enough that one which is not known again, by the way in which times are written, would show.
    let more: Vec<_> = (5..500).map(|number| number.to_string()).collect();
    more.iter().for_each(|message| sentry::add_breadcrumb(crumb(message)));
    let first = ["zero", "one", "two", "three", "four"];
    let order: Vec<_> = first.map(str::to_owned).into_iter().chain(more).collect();
    running.event(1, r#"{"message":"of a page"}"#);
    sentry::capture_message("of main", Level::Info);
    for message in ["of a page", "of main"] {
        let order = order.clone();
        let in_order = move |_: &_, item: &Item| breadcrumbs(item) == order;
        let event = an_event().with_message(message);
        running.sentry.expect(event.that("with all breadcrumbs in order", in_order).times(1));
    }
    running.finish();
}

#[test]
fn max_breadcrumbs_holds_for_those_of_all_processes_together() {
    let mut running = start(|options| options.max_breadcrumbs(3));
    for number in 0..10 {
        sentry::add_breadcrumb(crumb(&format!("main {number}")));
    }
    let scope = r#"{"breadcrumbs":[{"message":"page"}]}"#;
    running.post(2, guardhouse_main::Channel::Scope, scope);
    running.event(1, r#"{"message":"of a page"}"#);
    sentry::capture_message("of main", Level::Info);
    // An event keeps its own, and main's has three.
    for (message, expected) in
        [("of a page", ["main 8", "main 9", "page"]), ("of main", ["main 7", "main 8", "main 9"])]
    {
        let is_so = move |_: &_, item: &Item| breadcrumbs(item) == expected;
        let event = an_event().with_message(message);
        running.sentry.expect(event.that("with the newest three", is_so).times(1));
    }
    running.sentry.expect(an_event().times(2));
    running.finish();
}

#[test]
fn before_breadcrumb_has_its_say_on_all_of_main() {
    let mut running = start(|options| {
        options.sentry(ClientOptions::new().before_breadcrumb(|mut breadcrumb| {
            let message = breadcrumb.message.take()?;
            breadcrumb.message = Some(message.to_uppercase());
            (message != "drop").then_some(breadcrumb)
        }))
    });
    sentry::add_breadcrumb(crumb("a"));
    sentry::add_breadcrumb(crumb("drop"));
    guardhouse_main::add_breadcrumb(crumb("b"));
    guardhouse_main::add_breadcrumb(crumb("drop"));
    running.event(1, r#"{"message":"of a page"}"#);
    sentry::capture_message("of main", Level::Info);
    let as_changed = |_: &_, item: &Item| breadcrumbs(item) == ["A", "B"];
    running.sentry.expect(an_event().that("with those that were let through", as_changed).times(2));
    running.finish();
}

#[test]
fn the_initial_scope_and_all_that_is_said_later_is_on_every_event() {
    let mut running = start(|options| {
        options.initial_scope(|scope| {
            scope.set_tag("initial", "yes");
            scope.set_user(Some(User { id: Some("7".into()), ..User::default() }));
        })
    });
    guardhouse_main::set_extra("documents", 3.into());
    let project = Map::from([("kind".to_owned(), "sheet".into())]);
    guardhouse_main::set_context("project", Context::Other(project));
    running.event(1, r#"{"message":"of a page"}"#);
    sentry::capture_message("of main", Level::Info);
    running.sentry.expect(
        an_event()
            .with_tag("initial", "yes")
            .with("/user/id", "7")
            .with("/extra/documents", 3)
            .with("/contexts/project/kind", "sheet")
            .times(2)
            .only(),
    );
    running.finish();
}

#[test]
fn what_the_main_threads_hub_knows_is_on_renderers_events() {
    let mut running = start(|options| options);
    Hub::main().configure_scope(|scope| scope.set_tag("of-the-hub", "yes"));
    running.event(1, r#"{"message":"of a page"}"#);
    Hub::main().configure_scope(|scope| scope.remove_tag("of-the-hub"));
    running.sentry.expect(an_event().with_tag("of-the-hub", "yes").times(1));
    running.finish();
}

#[test]
fn errors_of_anyhow_and_of_tracing_arrive() {
    let mut running = start(|options| options);
    let _listening = listening();
    let error = anyhow::anyhow!("the disk is full").context("saving failed");
    sentry::integrations::anyhow::capture_anyhow(&error);
    tracing::error!(code = 7, "the lamp broke");
    let both = |_: &_, item: &Item| {
        let event = item.json();
        let values = event["exception"]["values"].as_array().cloned().unwrap_or_default();
        let texts: Vec<_> = values.iter().filter_map(|it| it["value"].as_str()).collect();
        texts == ["the disk is full", "saving failed"]
    };
    running.sentry.expect(an_event().that("with the chain of errors", both).times(1));
    running.sentry.expect(an_event().with_message("the lamp broke").times(1));
    running.finish();
}

#[test]
fn transactions_of_main_arrive_with_their_spans_and_the_scope_of_all() {
    let mut running = start(|options| options.sentry(ClientOptions::new().traces_sample_rate(1.0)));
    guardhouse_main::set_tag("from-main", "yes");
    running.post(2, guardhouse_main::Channel::Scope, r#"{"tags":{"from-page":"yes"}}"#);
    let transaction = sentry::start_transaction(sentry::TransactionContext::new("save", "task"));
    transaction.start_child("db", "write").finish();
    transaction.finish();
    running.sentry.expect(
        a_transaction()
            .with("/transaction", "save")
            .with("/spans/0/op", "db")
            .with("/contexts/trace/op", "task")
            .with_tag("from-main", "yes")
            .with_tag("from-page", "yes")
            .with_tag("event.process", "main")
            .times(1)
            .only(),
    );
    running.finish();
}

#[test]
fn logs_and_metrics_of_main_arrive_in_batches_with_attributes() {
    let mut running = start(|options| options.release("app@1"));
    let _listening = listening();
    for number in 0..99 {
        sentry::logger_info!(number = number, "of sentry");
    }
    tracing::warn!("of tracing");
    for _ in 0..100 {
        sentry::metrics::counter("clicks", 1).attribute("button", "save").capture();
    }
    running.finish();
    let logs = telemetry(&running.sentry, "log");
    let metrics = telemetry(&running.sentry, "trace_metric");
    let of_sentry = logs.iter().filter(|log| log["body"] == "of sentry");
    let numbers: Vec<_> = of_sentry.filter_map(|log| attribute(log, "number").as_u64()).collect();
    assert_eq!(numbers, (0..99).collect::<Vec<_>>());
    assert_eq!(logs.iter().filter(|log| log["body"] == "of tracing").count(), 1);
    let clicks = metrics.iter().filter(|metric| attribute(metric, "button") == "save");
    assert_eq!(clicks.count(), 100);
    for one in logs.iter().chain(&metrics) {
        assert_eq!(attribute(one, "event.process"), "main");
        assert_eq!(attribute(one, "sentry.release"), "app@1");
        assert_eq!(attribute(one, "sentry.sdk.name"), "sentry.rust.guardhouse");
    }
}

#[test]
fn a_scope_of_sentry_is_its_threads_own() {
    let mut running = start(|options| options);
    sentry::with_scope(
        |scope| scope.set_tag("inner", "yes"),
        || sentry::capture_message("inside", Level::Info),
    );
    sentry::capture_message("outside", Level::Info);
    let without = |_: &_, item: &Item| item.json()["tags"].get("inner").is_none();
    running.sentry.expect(an_event().with_message("inside").with_tag("inner", "yes").times(1));
    running.sentry.expect(an_event().with_message("outside").that("without it", without).times(1));
    running.finish();
}

#[test]
fn an_attachment_of_the_scope_goes_with_events_of_all_processes() {
    let mut running = start(|options| {
        let attachment = guardhouse_main::Attachment::new("notes.txt", b"hello".to_vec()).unwrap();
        options.initial_scope(move |scope| {
            scope.add_attachment(attachment.clone());
        })
    });
    running.event(1, r#"{"message":"of a page"}"#);
    sentry::capture_message("of main", Level::Info);
    running.sentry.expect(an_event().with_attachment("notes.txt").times(2).only());
    running.finish();
}

#[test]
fn events_of_all_threads_arrive_with_the_scope_of_main() {
    let mut running = start(|options| options);
    guardhouse_main::set_tag("everywhere", "yes");
    let threads: Vec<_> = (0..4)
        .map(|number| {
            std::thread::spawn(move || {
                for event in 0..25 {
                    sentry::capture_message(&format!("{number} {event}"), Level::Info);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    running.sentry.expect(an_event().with_tag("everywhere", "yes").times(100).only());
    running.finish();
}
