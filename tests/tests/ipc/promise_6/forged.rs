//! Renderers that claim to be somebody, and messages that claim to be new.

use guardhouse_protocol::frame::{Frame, MessageId, Proof, RejectionReason};
use guardhouse_protocol::{Channel, Namespace};
use guardhouse_tests::wire::{self, Wire};

use super::campaign;
use super::street::{Street, stolen};

#[test]
fn promise_6_who_forges_a_proof_or_names_another_namespace_is_turned_away_each_time() {
    let mut street = Street::start();
    let before = (street.turned_away("proof"), street.turned_away("namespace"));
    for round in 0..campaign() {
        // The empty proof is good for a socket that main has handed over, and this is none.
        let proof = Proof::new([(round % 3) as u8; 32]);
        let mut hello = wire::hello_with(&street.note, "bad", proof);
        let expected = if round % 4 == 3 {
            hello = wire::hello(&street.note, "bad");
            hello.namespace = Namespace::new("other").unwrap();
            RejectionReason::Namespace
        } else {
            RejectionReason::Proof
        };
        let rejection = Wire::connect(&street.note).greet(&hello).unwrap_err();
        assert_eq!(rejection.reason(), &expected);
    }
    let after = (street.turned_away("proof"), street.turned_away("namespace"));
    assert_eq!(after.0 + after.1 - before.0 - before.1, campaign());
    let there = street.house.desk.ask("renderers");
    assert_eq!(there.split_whitespace().count(), 3, "the two good ones: {there}");
    street.verify("forged proofs");
}

#[test]
fn promise_6_another_renderers_id_without_its_secret_makes_nobody_that_renderer() {
    let street = Street::start();
    let (mut victim, hello) = street.bad();
    let own = hello.resume.clone().expect("it was let in");
    for round in 0..20 {
        let secret = Proof::new([round; 32]);
        let mut thief = Wire::connect(&street.note);
        let welcome = thief.greet(&stolen(&hello, secret)).expect("the proof is right");
        assert_ne!(welcome.renderer_id, own.renderer_id);
        // It goes, and the one that it wanted to be is still there.
        thief.send(&Frame::Goodbye);
        thief.finish();
    }
    let answer = victim.ask(Channel::Scope, r#"[["set","tag","still","there"]]"#);
    assert!(matches!(answer, Frame::Ack { .. }), "{answer:?}");
    let again = Wire::connect(&street.note).greet(&hello).expect("its secret is right");
    assert_eq!(again.renderer_id, own.renderer_id);
    street.verify("stolen ids");
}

#[test]
fn promise_6_ids_that_come_again_or_out_of_order_are_answered_and_nobody_elses_matter() {
    let street = Street::start();
    let (mut bad, _) = street.bad();
    let mut sent = 0;
    let mut ask = |wire: &mut Wire, id: u64| {
        sent += 1;
        let event = wire::event(&format!("{:032x}", (1_u128 << 90) + sent), "again");
        wire.say_as(MessageId::new(id), Channel::Envelope, event);
        loop {
            match wire.hear().expect("main goes on") {
                Frame::Ack { id: answered } if answered.number() == id => return,
                Frame::Message { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    };
    // The good ones use these ids, too.
    for _ in 0..5 * campaign() {
        ask(&mut bad, 1);
    }
    for id in (1..=campaign()).rev() {
        ask(&mut bad, id + 1000);
    }
    ask(&mut bad, u64::MAX);
    for id in [0, 1, u64::MAX, u64::MAX - 1, 7] {
        ask(&mut bad, id);
    }
    let sentry = street.verify("replayed ids");
    // The first, the descending ones, the highest and its neighbour: what is far below counts as seen.
    let expected = 1 + campaign() + 1 + 1;
    assert_eq!(sentry.others.len() as u64, expected);
}
