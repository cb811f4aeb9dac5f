//! The classic way, frame by frame.

use guardhouse_protocol::frame::{Frame, MessageId, Proof, RejectionReason};
use guardhouse_protocol::{Channel, FeedbackResult, FlushResult};
use guardhouse_tests::wire::{self, Wire};

use crate::House;

const ID: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn an_event_is_acknowledged_when_it_is_on_disk_and_arrives_with_the_scope_said_before() {
    let mut house = House::start(&[]);
    let mut renderer = house.renderer("helper");
    renderer.say(Channel::Scope, r#"[["set","tag","color","red"]]"#);
    let answer = renderer.ask(Channel::Envelope, wire::event(ID, "hello"));
    assert!(matches!(answer, Frame::Ack { .. }), "{answer:?}");
    assert!(house.desk.ask("close 10000").starts_with("closed true"));
    let events = house.sentry.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["tags"]["color"], "red");
    assert_eq!(events[0]["tags"]["event.process"], "helper");
}

#[test]
fn what_comes_twice_is_taken_once_and_answered_twice() {
    let mut house = House::start(&[]);
    let mut renderer = house.renderer("helper");
    for _ in 0..2 {
        renderer.say_as(MessageId::new(7), Channel::Envelope, wire::event(ID, "hello"));
        assert_eq!(renderer.hear(), Some(Frame::Ack { id: MessageId::new(7) }));
    }
    let Frame::Reply { payload, .. } = renderer.ask(Channel::Flush, "") else { panic!("no reply") };
    assert!(FlushResult::parse(&payload).unwrap().durable);
    assert!(house.desk.ask("close 10000").starts_with("closed true"));
    assert_eq!(house.sentry.events().len(), 1);
}

#[test]
fn feedback_is_answered_with_what_sentry_said() {
    let house = House::start(&[]);
    let mut renderer = house.renderer("helper");
    let feedback = format!(
        "{{\"event_id\":\"{ID}\"}}\n{{\"type\":\"feedback\"}}\n\
         {{\"event_id\":\"{ID}\",\"contexts\":{{\"feedback\":{{\"message\":\"good\"}}}}}}\n"
    );
    let Frame::Reply { payload, .. } = renderer.ask(Channel::Feedback, feedback) else {
        panic!("no reply")
    };
    assert_eq!(FeedbackResult::parse(&payload).unwrap().status_code, Some(200));
}

#[test]
fn a_wrong_proof_and_another_namespace_are_refused_and_told_why() {
    let house = House::start(&[]);
    let note = house.note();
    let mut forged = Wire::connect(&note);
    let hello = wire::hello_with(&note, "helper", Proof::new([0; 32]));
    let rejection = forged.greet(&hello).unwrap_err();
    assert_eq!(rejection.reason(), &RejectionReason::Proof);
    assert_eq!(forged.hear(), None);

    let mut hello = wire::hello(&note, "helper");
    hello.namespace = guardhouse_protocol::Namespace::new("other").unwrap();
    let rejection = Wire::connect(&note).greet(&hello).unwrap_err();
    assert_eq!(rejection.reason(), &RejectionReason::Namespace);
}
