//! What of the scope a main hears that comes late.

use super::*;
use crate::courier::changes::ITEMS;

#[test]
fn changes_of_the_scope_do_not_pile_up_without_a_main() {
    let mut courier = courier();
    let amount = |courier: &Courier| courier.waiting.iter().filter(|it| it.is_change()).count();
    for value in 0..5000 {
        set(&mut courier, value);
        capture(&mut courier, &format!("{value} {value}"));
        courier.make_room();
        assert!(amount(&courier) <= 4 * BOUNDS.items);
    }
    courier.connect(Uuid::max(), false);
    for value in 5000..10_000 {
        set(&mut courier, value);
        courier.state_scope();
        assert!(amount(&courier) <= 4 * BOUNDS.items);
    }
    assert!(courier.unsaid_changes().bytes() < MIB);
    let taken = laid(std::iter::from_fn(|| courier.say()));
    assert_eq!(taken.len(), BOUNDS.items);
    assert!(taken.iter().all(|(_, said, laid)| said == laid));
}

#[test]
fn large_changes_between_many_events_are_bounded_too() {
    let mut courier = courier();
    let large = "x".repeat(15_000);
    for value in 0..2000 {
        let field = Field::extra(&(value % 30).to_string()).unwrap();
        let update = ScopeUpdate::set(field, format!("{value} {large}").as_str()).unwrap();
        courier.change(update, Timestamp::EPOCH).unwrap();
        courier.push(Channel::Metric, Bytes::new(), None);
        if value % 3 == 0 {
            capture(&mut courier, "0 0");
        }
        courier.state_scope();
        courier.put_scope();
        assert!(courier.unsaid_changes().bytes() <= 20 * MIB);
    }
}

#[test]
fn an_event_that_waited_finds_the_scope_of_its_time() {
    let mut courier = courier();
    let mut main = Main::new(1);
    courier.connect(main.id, false);
    set(&mut courier, 1);
    courier.state_scope();
    while let Some(frame) = courier.say() {
        let ack = main.take(frame);
        courier.handle(ack);
    }
    // Main hears of the next change, but has no answer for the event in front of it.
    capture(&mut courier, "1 1");
    set(&mut courier, 2);
    courier.state_scope();
    let _event = courier.say().unwrap();
    let ack = main.take(courier.say().unwrap());
    courier.handle(ack);
    courier.disconnect();
    capture(&mut courier, "2 2");
    set(&mut courier, 3);
    capture(&mut courier, "3 3");
    set(&mut courier, 4);
    assert_eq!(laid(courier.file()), [(1, 1, 1), (2, 2, 2), (3, 3, 3)]);
    capture(&mut courier, "4 4");
    set(&mut courier, 5);

    for number in 2..4 {
        // The second one finds the same, though the first has taken nothing.
        let mut main = Main::new(number);
        courier.connect(main.id, false);
        courier.state_scope();
        let frames: Vec<_> = std::iter::from_fn(|| courier.say()).collect();
        frames.into_iter().for_each(|frame| drop(main.take(frame)));
        assert_eq!(main.taken, [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)]);
        assert_eq!(main.tag(), 5);
    }
}

#[test]
fn a_change_is_said_alone_however_many_have_no_answer() {
    let mut courier = courier();
    courier.connect(Uuid::max(), false);
    while courier.say().is_some() {}
    for value in 0..2 * ITEMS {
        set(&mut courier, value);
        courier.state_scope();
        let Some(Frame::Message { payload, .. }) = courier.say() else { panic!() };
        assert_eq!(payload.iter().filter(|byte| **byte == b'[').count(), 2, "{payload:?}");
        assert_eq!(courier.say(), None);
    }
}
