//! Servers that are away, or unwilling: what arrives then, in which order, and what is counted.

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::sentry::{
    Behaviour, Envelope, Request, Sentry, a_session, a_transaction, an_event, message_of,
    rate_limit, reset, retry_after, status,
};

use super::{desk, id};

/// What the envelopes that were taken are, in the order in which they came.
fn taken(sentry: &Sentry) -> Vec<String> {
    let requests = sentry.requests();
    let taken = requests.iter().filter(|request| request.was_taken());
    let envelopes = taken.filter_map(|request| request.envelope.as_ref().ok());
    let what = |envelope: &Envelope| {
        let first = envelope.items.first()?;
        let json = first.json();
        let says = message_of(&json).or(json["status"].as_str());
        Some(format!("{} {}", first.kind(), says.unwrap_or_default()))
    };
    envelopes.filter_map(what).collect()
}

#[track_caller]
fn ends(desk: &mut Desk) {
    assert!(desk.ask("close 60000").starts_with("closed true"));
}

#[test]
fn when_the_server_comes_back_everything_arrives_once_the_worst_first() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.refuse_connections();
    let mut first = desk(&cache, &sentry, &[]);
    for message in ["one", "two"] {
        first.ask(&format!("capture {message}"));
    }
    first.ask(&format!("event 1 {} page", id(1)));
    first.ask("panic boom");
    first.kill();

    sentry.recover();
    // What the next run says of its own session may well come before what others left is known.
    let mut second = desk(&cache, &sentry, &["--no-session"]);
    ends(&mut second);
    let order = ["event boom", "session ok", "event one", "event two", "event page"];
    assert_eq!(taken(&sentry), order);
    for message in ["one", "two", "page", "boom"] {
        sentry.expect(an_event().with_message(message).times(1));
    }
    sentry.expect(a_session().with_status("crashed").times(1));
    sentry.expect(a_session().with_status("abnormal").times(0));
    sentry.verify();
}

/// Lets the server treat one event so, and all that comes later as it should. What comes later takes
/// the counts along.
fn after(treatment: Behaviour, once: usize) -> (Sentry, u64) {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    for _ in 0..once {
        sentry.next(treatment.clone());
    }
    let mut desk = desk(&cache, &sentry, &["--no-session"]);
    desk.ask("capture treated");
    sentry
        .wait_until(|requests| !requests.is_empty() || matches!(treatment, Behaviour::ResetAtOnce));
    desk.ask("capture later");
    ends(&mut desk);
    assert!(cache.files().is_empty(), "nothing is left behind: {:?}", cache.files());
    sentry.expect(an_event().with_message("later").times(1));
    sentry.verify();
    let lost = sentry.lost("error", "send_error");
    (sentry, lost)
}

#[test]
fn what_is_too_large_for_the_server_is_given_up_and_counted_once() {
    let (sentry, lost) = after(status(413), 1);
    assert_eq!(lost, 1);
    sentry.expect(an_event().with_message("treated").times(0));
    sentry.verify();
}

#[test]
fn what_the_server_cannot_take_now_or_whose_connection_is_reset_is_sent_again() {
    for treatment in [status(503), reset(), Behaviour::ResetAtOnce, Behaviour::Garbage] {
        let (sentry, lost) = after(treatment.clone(), 1);
        assert_eq!(lost, 0, "{treatment:?}");
        sentry.expect(an_event().with_message("treated").times(1));
        sentry.verify();
    }
}

#[test]
fn promise_2_a_429_that_names_no_limit_of_sentry_loses_nothing() {
    for treatment in [retry_after("1"), retry_after("0")] {
        let (sentry, lost) = after(treatment.clone(), 1);
        assert_eq!(lost, 0, "{treatment:?}");
        sentry.expect(an_event().with_message("treated").times(1));
        sentry.verify();
    }
}

#[test]
fn promise_2_a_429_of_sentry_costs_what_got_it_which_sentry_has_counted() {
    let (sentry, lost) = after(rate_limit("1:error:key"), 1);
    assert_eq!(lost, 0, "it would be counted twice");
    assert_eq!(sentry.lost("error", "ratelimit_backoff"), 0);
    sentry.expect(an_event().with_message("treated").times(0));
    sentry.verify();
}

#[test]
fn promise_2_crashes_and_sessions_that_got_a_429_of_sentry_arrive_when_the_limit_is_over() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.next(rate_limit("2:session:key"));
    let mut desk = desk(&cache, &sentry, &[]);
    sentry.wait_until(|requests| !requests.is_empty());
    sentry.next(rate_limit("2:error:key"));
    desk.ask("panic boom");
    ends(&mut desk);
    let refused = sentry.requests().iter().filter(|request| !request.was_taken()).count();
    assert_eq!(refused, 2, "each of them once");
    sentry.expect(a_session().with_status("ok").times(1));
    sentry.expect(an_event().with_message("boom").times(1));
    sentry.verify();
    assert_eq!(sentry.lost("error", "ratelimit_backoff"), 0);
    assert!(cache.files().is_empty());
}

#[test]
fn what_the_server_stumbles_over_is_as_the_rules_say() {
    let (sentry, lost) = after(status(500), 1);
    let arrived = taken(&sentry).iter().filter(|what| *what == "event treated").count() as u64;
    assert_eq!(arrived + lost, 1, "either it arrives or it is counted");
}

#[test]
fn what_a_limit_forbids_waits_on_disk_while_all_else_goes_on() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut first = desk(&cache, &sentry, &["--no-session", "--debug"]);
    // The first is refused with the limit, and Sentry counts it itself.
    sentry.next(rate_limit("600:error:key"));
    first.ask("capture limited");
    assert!(first.ask("flush 60000").starts_with("flushed true"));
    first.ask("capture kept back");
    first.ask(TRANSACTION);
    sentry.expect(a_transaction().times(1));
    sentry.verify();
    // All that may be sent has been, and nobody waits for the rest.
    assert!(first.ask("flush 60000").starts_with("flushed true"));
    assert!(first.ask("close 60000").starts_with("closed true"));
    assert_eq!(sentry.requests().len(), 2);
    assert_eq!(first.hear().as_deref(), Some("left 1"));
    let stderr = first.stderr();
    for said in
        ["Sentry limits what it takes: error until 2", "held back by Sentry's limits: error"]
    {
        assert!(stderr.contains(said), "it does not say {said:?}:\n{stderr}");
    }

    sentry.expect(an_event().with_message("kept back").times(1).only());
    let mut second = desk(&cache, &sentry, &["--no-session"]);
    ends(&mut second);
    sentry.verify();
    assert!(sentry.requests().iter().all(|request| reports(request) == 0), "nothing was lost");
    assert!(cache.files().is_empty());
}

/// A transaction of two spans beside its own.
const TRANSACTION: &str = r#"envelope 1 {}\n{"type":"transaction"}\n{"transaction":"t","timestamp":2,"start_timestamp":1,"contexts":{"trace":{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef"}},"spans":[{"span_id":"1123456789abcdef"},{"span_id":"2123456789abcdef"}]}"#;

#[test]
fn a_limit_of_a_day_gathers_no_bulk_over_many_runs() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let day = "86400:transaction;log_item;log_byte:organization:quota";
    for run in 1..=3 {
        sentry.next(rate_limit(day));
        let mut desk = desk(&cache, &sentry, &["--no-session", "--debug"]);
        for _ in 0..3 {
            desk.ask(TRANSACTION);
        }
        let log = r#"{"items":[{"body":"one"},{"body":"two"}]}"#;
        desk.ask(&format!(r#"envelope 1 {{}}\n{{"type":"log","item_count":2}}\n{log}"#));
        assert!(desk.ask("flush 60000").starts_with("flushed true"), "all is sent that may be");
        // It takes the counts along.
        desk.ask("capture hello");
        ends(&mut desk);
        let said = "it holds only what Sentry limits";
        assert!(desk.stderr().contains(said));
        assert!(cache.files().is_empty(), "nothing is left behind: {:?}", cache.files());
        let lost = |category| sentry.lost(category, "ratelimit_backoff");
        assert_eq!(lost("transaction"), 2 * run, "Sentry has counted the first itself");
        assert_eq!(lost("span"), 3 * 2 * run, "the spans and their transaction");
        assert_eq!(lost("log_item"), 2 * run);
        assert!(lost("log_byte") > 0);
    }
    sentry.expect(a_transaction().times(0));
    sentry.expect(an_event().with_message("hello").times(3));
    sentry.verify();
}

#[test]
fn a_flush_waits_for_the_end_of_a_limit_that_is_over_in_time() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.next(status(200).with_header("X-Sentry-Rate-Limits", "2:error:key"));
    let mut desk = desk(&cache, &sentry, &["--no-session"]);
    desk.ask("capture first");
    sentry.wait_until(|requests| !requests.is_empty());
    desk.ask("capture second");
    assert!(desk.ask("flush 60000").starts_with("flushed true"));
    sentry.expect(an_event().with_message("second").times(1));
    sentry.verify();
    ends(&mut desk);
}

#[test]
fn a_session_that_is_limited_beside_a_crash_goes_when_it_may() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut desk = desk(&cache, &sentry, &[]);
    sentry.wait_until(|requests| !requests.is_empty());
    sentry.next(status(200).with_header("X-Sentry-Rate-Limits", "2:session:key"));
    desk.ask("capture first");
    sentry.wait_until(|requests| requests.len() > 1);
    desk.ask("panic boom");
    ends(&mut desk);
    sentry.expect(an_event().with_message("boom").times(1));
    sentry.expect(a_session().with_status("crashed").times(1));
    sentry.verify();
    assert_eq!(sentry.lost("session", "ratelimit_backoff"), 0);
    assert!(cache.files().is_empty());
}

fn reports(request: &Request) -> usize {
    let items = request.envelope.as_ref().map_or(&[][..], |envelope| &envelope.items);
    items.iter().filter(|item| item.kind() == "client_report").count()
}

#[test]
fn what_is_lost_in_an_outage_is_counted_when_it_is_over() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.refuse_connections();
    let options = ["--no-session", "--max-items", "3"];
    let mut first = desk(&cache, &sentry, &options);
    first.ask("fill 10");
    first.ask(&format!("event 1 {} last", id(1)));
    first.kill();
    sentry.recover();
    let mut second = desk(&cache, &sentry, &options);
    ends(&mut second);
    let arrived = taken(&sentry);
    // The newest are kept, but for one that was on its way when others had to go.
    assert_eq!(arrived.len(), 3, "{arrived:?}");
    assert_eq!(arrived[1..], ["event fill 9", "event last"]);
    let lost = sentry.lost("error", "cache_overflow") + sentry.lost("error", "queue_overflow");
    assert_eq!(lost, 8);
}
