//! Whatever comes and however the server behaves, what the [world](crate::world) checks holds.

use std::time::{Duration, Instant};

use guardhouse_main::losses::Reason;
use guardhouse_main::outbox::dispatcher::{
    Answer, Categories, Config, Dispatcher, Outcome, Poll, Queued,
};
use guardhouse_main::outbox::{EntryId, Priority};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as ProptestConfig, RngSeed};

use crate::server::{Reply, category, reply};
use crate::world::{Arrival, Event, Phase, World};

/// The same cases in every run, as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES");
    ProptestConfig {
        cases: asked.ok().and_then(|n| n.parse().ok()).unwrap_or(400),
        rng_seed: RngSeed::Fixed(0x6a_7e),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let primary = vec(category(), 1..3).prop_map(Categories::from_iter);
    let secondary = vec(category(), 0..3).prop_map(Categories::from_iter);
    let priority = prop_oneof![
        1 => Just(Priority::Crash),
        1 => Just(Priority::Session),
        3 => Just(Priority::Normal),
    ];
    (priority, primary, secondary, proptest::bool::weighted(0.3), proptest::bool::weighted(0.05))
        .prop_map(|(priority, primary, secondary, is_stored, is_heavy)| {
            let secondary = secondary.without(primary);
            Arrival { priority, primary, secondary, is_stored, is_heavy }
        })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => arrival().prop_map(Event::Arrival),
        3 => (category(), select(Reason::ALL), 1..9_u64)
            .prop_map(|(category, reason, quantity)| Event::Loss(category, reason, quantity)),
        1 => Just(Event::Eviction),
        1 => Just(Event::Pause),
        2 => Just(Event::Resume),
        1 => Just(Event::Hurry),
    ]
}

/// Times of all lengths: at once, soon after, and hours later.
fn time() -> impl Strategy<Value = Duration> {
    let millis = prop_oneof![Just(0_u64), 0..300_u64, 0..60_000_u64, 0..20_000_000_u64];
    millis.prop_map(Duration::from_millis)
}

fn phase() -> impl Strategy<Value = Phase> {
    let replies = prop_oneof![
        Just(vec![Reply::OK]),
        Just(vec![Reply::Failure]),
        vec(reply(), 1..2),
        vec(reply(), 1..12),
    ];
    (time(), replies).prop_map(|(lasts, replies)| Phase { lasts, replies })
}

/// What may stand in a header: something like what should, or anything.
fn header() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(prop_oneof![
        "([0-9.e+-]{0,7}(:[a-z_;]{0,12}){0,4},? ?){0,4}",
        "[A-Z][a-z]{2}, [0-9]{1,2} (Jan|Feb|Xxx) [0-9]{1,5} [0-9:]{8} GMT",
        ".*",
    ])
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_lost_uncounted_nor_sent_while_limited_nor_in_a_busy_loop(
        seed in any::<u64>(),
        events in vec((time(), event()), 0..60),
        phases in vec(phase(), 0..8),
        durations in vec((0..5000_u64).prop_map(Duration::from_millis), 1..20),
    ) {
        World::new(seed, events, phases).run(&durations);
    }

    #[test]
    fn no_header_silences_a_client_for_more_than_a_day(
        status in any::<u16>(),
        rate_limits in header(),
        retry_after in header(),
        date in header(),
    ) {
        let now = Instant::now();
        let mut dispatcher = Dispatcher::new(Config::DEFAULT, 0);
        let queued = Queued {
            id: EntryId::new(1),
            priority: Priority::Normal,
            primary: Categories::ALL,
            secondary: Categories::NONE,
            stored: false,
        };
        dispatcher.add(now, queued);
        dispatcher.poll(now);
        dispatcher.handle_outcome(now, Outcome::Answer(Answer {
            status,
            rate_limits: rate_limits.as_deref(),
            retry_after: retry_after.as_deref(),
            date: date.as_deref(),
        }));
        dispatcher.add(now, queued);
        let day = now + Duration::from_secs(24 * 60 * 60);
        let is_sent = matches!(dispatcher.poll(day), Poll::Send { without: Categories::NONE, .. });
        prop_assert!(is_sent);
    }
}
