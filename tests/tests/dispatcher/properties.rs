//! Whatever comes and however the server behaves, what the [world](crate::world) checks holds.

use std::time::Duration;

use guardhouse_main::losses::Reason;
use guardhouse_main::outbox::Priority;
use guardhouse_main::outbox::dispatcher::Categories;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed};

use crate::server::{Reply, category, reply};
use crate::world::{Arrival, Event, Phase, World};

/// The same cases in every run, as many as `PROPTEST_CASES` says.
fn config() -> Config {
    let asked = std::env::var("PROPTEST_CASES");
    Config {
        cases: asked.ok().and_then(|n| n.parse().ok()).unwrap_or(400),
        rng_seed: RngSeed::Fixed(0x6a_7e),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
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
}
