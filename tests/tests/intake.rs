//! Intake under whatever renderers say: one by one, in any order, and in floods.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use guardhouse_main::intake::{
    Accepted, Intake, Outcome, Patience, Refusal, RendererId, may_be_sent,
};
use guardhouse_protocol::limits::ENVELOPE_MESSAGE_BYTES;
use guardhouse_protocol::{Channel, Envelope};
use guardhouse_tests::{corpus, oracle};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed};
use uuid::Uuid;

fn config(cases: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES");
    Config {
        cases: asked.ok().and_then(|n| n.parse().ok()).unwrap_or(cases),
        rng_seed: RngSeed::Fixed(0x6a_7e),
        failure_persistence: None,
        ..Config::default()
    }
}

fn renderer(number: u8) -> RendererId {
    RendererId::new(Uuid::from_u128(number.into()))
}

fn channel() -> impl Strategy<Value = Channel> {
    select(Channel::ALL.to_vec())
}

fn patience() -> impl Strategy<Value = Patience> {
    select(vec![Patience::Forgets, Patience::Waits, Patience::Alone])
}

/// Something that may mean something on some channel.
fn payload() -> impl Strategy<Value = Bytes> {
    let item = select(vec![
        "{\"type\":\"event\"}\n{}\n",
        "{\"type\":\"event\",\"length\":2}\n{}\n",
        "{\"type\":\"event\"}\n[]\n",
        "{\"type\":\"transaction\"}\n{\"spans\":[{},{}]}\n",
        "{\"type\":\"session\"}\n{}\n",
        "{\"type\":\"client_report\"}\n{\"discarded_events\":[{}]}\n",
        "{\"type\":\"check_in\"}\n{}\n",
        "{\"type\":\"feedback\"}\n{}\n",
        "{\"type\":\"attachment\"}\nx\n",
        "{\"type\":\"attachment\",\"attachment_type\":\" Event.Minidump\"}\nMDMP\n",
        "{\"type\":\"attachment\",\"filename\":1}\nx\n",
        "{\"type\":\"log\",\"item_count\":1}\n{\"items\":[{}]}\n",
        "{\"type\":\"log\",\"item_count\":2}\n{\"items\":[{}]}\n",
        "{\"type\":\"new_in_2030\"}\n?\n",
        "{\"type\":\"\\u0073ession\"}\n{}\n",
        "{\"type\":\"event\",\"type\":\"session\"}\n{}\n",
        "{\"type\":\"event\",\"length\":99}\n{}\n",
    ]);
    let envelope =
        vec(item, 0..5).prop_map(|items| Bytes::from(format!("{{}}\n{}", items.concat())));
    prop_oneof![
        8 => envelope,
        2 => select(vec!["{}", "[]", "{\"status\":\"alive\"}", "{\"status\":\"hidden\"}", ""])
            .prop_map(Bytes::from),
        2 => vec(any::<u8>(), 0..200).prop_map(Bytes::from),
    ]
}

/// What a renderer does.
#[derive(Clone, Debug)]
struct Step {
    renderer: u8,
    channel: Channel,
    patience: Patience,
    payload: Bytes,
    /// How often it says it.
    times: usize,
    millis: u64,
    /// Whether main takes what it holds on before.
    is_taken_on: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let times = prop_oneof![5 => 1..3_usize, 1 => 100..400_usize];
    let large = Just(Bytes::from_iter(
        b"{}\n{\"type\":\"attachment\"}\n".iter().copied().chain(vec![b'x'; 5 << 20]),
    ));
    let said = prop_oneof![10 => payload(), 1 => large];
    (0..4_u8, channel(), patience(), said, times, 0..3000_u64, any::<bool>()).prop_map(
        |(renderer, channel, patience, payload, times, millis, is_taken_on)| {
            let is_large = payload.len() > 1 << 20;
            let times = if is_large { times.min(9) } else { times };
            Step { renderer, channel, patience, payload, times, millis, is_taken_on }
        },
    )
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn what_is_taken_may_be_sent_and_the_rest_is_counted(
        channel in channel(),
        patience in patience(),
        payload in payload(),
    ) {
        oracle::intake::said(channel, payload, patience);
    }

    #[test]
    fn a_message_that_is_broken_anywhere_harms_nobody(
        payload in payload(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        how in any::<u8>(),
    ) {
        let mut bytes = payload.to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.insert(0, how);
        oracle::intake::intake(&bytes);
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn budgets_and_memory_have_the_bounds_that_the_contract_says(steps in vec(step(), 1..40)) {
        let memory = 4 * (ENVELOPE_MESSAGE_BYTES + 1024);
        let mut intake = Intake::new(memory);
        let start = Instant::now();
        let mut now = start;
        let mut held: Vec<Accepted> = Vec::new();
        let mut refused = BTreeMap::<Refusal, u64>::new();
        // Messages and bytes that were taken within the budget.
        let mut within = BTreeMap::<(RendererId, Channel), (u64, u64)>::new();
        for step in &steps {
            now += Duration::from_millis(step.millis);
            if step.is_taken_on {
                held.clear();
                // What was coalesced is still to come.
                prop_assert!(intake.held_bytes() < 64 * 1024);
            }
            let id = renderer(step.renderer);
            for _ in 0..step.times {
                let said = step.payload.clone();
                let bytes = said.len() as u64;
                match intake.handle(id, step.channel, said, step.patience, now) {
                    Outcome::Taken(accepted) => {
                        for out in &accepted.taken_out {
                            *refused.entry(out.refusal()).or_default() += 1;
                        }
                        held.push(*accepted);
                        if step.patience != Patience::Alone {
                            let taken = within.entry((id, step.channel)).or_default();
                            *taken = (taken.0 + 1, taken.1 + bytes);
                        }
                    }
                    Outcome::NotYet { payload, until } => {
                        prop_assert!(step.patience != Patience::Forgets);
                        prop_assert_eq!(&payload, &step.payload);
                        prop_assert!(until.is_none_or(|until| until > now), "no busy waiting");
                    }
                    Outcome::Refused(out) => {
                        if out.refusal() != Refusal::NothingLeft {
                            *refused.entry(out.refusal()).or_default() += 1;
                        }
                        prop_assert!(out.retry_at().is_none_or(|at| at > now));
                    }
                    Outcome::Coalesced => {}
                }
            }
            let mut polled = 0;
            while let Some(accepted) = intake.poll(now) {
                polled += 1;
                prop_assert!(polled < 1000);
                drop(accepted);
            }
            prop_assert!(intake.poll_timeout().is_none_or(|at| at > now), "no busy waiting");

            prop_assert!(intake.held_bytes() <= memory);
            for number in 0..4 {
                let of_one: usize = held
                    .iter()
                    .filter(|accepted| accepted.renderer == renderer(number))
                    .map(|accepted| accepted.hold.bytes())
                    .sum();
                prop_assert!(of_one <= memory / 4);
            }
            let elapsed = now.duration_since(start).as_secs_f64();
            for ((_, channel), (messages, bytes)) in &within {
                let terms = channel.declaration().budget.unwrap();
                let at_most = |burst: f64, rate: f64| burst + rate * elapsed + 1e-6;
                let messages_at_most = at_most(terms.burst.into(), terms.per_second.into());
                let bytes_at_most = at_most(terms.burst_bytes as f64, terms.bytes_per_second as f64);
                prop_assert!(*messages as f64 <= messages_at_most);
                prop_assert!(*bytes as f64 <= bytes_at_most);
            }
        }
        for (refusal, count) in refused {
            // Those of an envelope with nothing left are counted one by one as well.
            prop_assert!(intake.refusals().total(refusal) >= count, "{:?}", refusal);
        }
    }

    #[test]
    fn promise_6_a_flood_of_one_changes_nothing_for_another(steps in vec(step(), 1..40)) {
        let start = Instant::now();
        let hear = |with_flood: bool| {
            let mut intake = Intake::new(0);
            let mut now = start;
            let mut outcomes = Vec::new();
            // Of the flood nothing is ever taken on.
            let mut flood = Vec::new();
            let mut held = Vec::new();
            for step in &steps {
                now += Duration::from_millis(step.millis);
                if step.renderer != 0 {
                    for _ in 0..if with_flood { 3 * step.times } else { 0 } {
                        let said = step.payload.clone();
                        flood.push(intake.handle(renderer(1), step.channel, said, step.patience, now));
                    }
                    continue;
                }
                if step.is_taken_on {
                    held.clear();
                }
                for _ in 0..step.times {
                    let said = step.payload.clone();
                    let outcome = intake.handle(renderer(0), step.channel, said, step.patience, now);
                    outcomes.push(match &outcome {
                        Outcome::Taken(accepted) => format!("{:?}", accepted.message),
                        other => format!("{other:?}"),
                    });
                    held.push(outcome);
                }
            }
            outcomes
        };
        prop_assert_eq!(hear(false), hear(true));
    }
}

#[test]
fn what_real_pages_send_goes_through_but_for_what_is_mains() {
    let mut intake = Intake::new(Intake::DEFAULT_MEMORY_BYTES);
    let now = Instant::now();
    for real in corpus::real() {
        let before = Envelope::parse(real.bytes.clone()).expect("a real envelope");
        let allowed = before.items().iter().filter(|item| may_be_sent(item)).count();
        let page = RendererId::new(Uuid::from_u128(7));
        let said = real.bytes.clone();
        match intake.handle(page, Channel::Envelope, said, Patience::Forgets, now) {
            Outcome::Taken(accepted) => {
                assert_eq!(accepted.taken_out.len(), before.items().len() - allowed);
                for out in &accepted.taken_out {
                    assert_eq!(out.refusal(), Refusal::ForbiddenItem, "{}: {out}", real.file);
                }
            }
            Outcome::Refused(refused) => {
                assert_eq!(
                    (refused.refusal(), allowed),
                    (Refusal::NothingLeft, 0),
                    "{}",
                    real.file
                );
            }
            outcome => panic!("{}: {outcome:?}", real.file),
        }
    }
    assert_eq!(intake.refusals().total(Refusal::UnfitItem), 0);
}
