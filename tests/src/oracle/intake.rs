//! What must be true of whatever a renderer says.

use std::time::Instant;

use bytes::Bytes;
use guardhouse_main::intake::{Accepted, Intake, Outcome, Patience, RendererId, may_be_sent};
use guardhouse_protocol::{Channel, Envelope, ItemType, Message, Verdict};
use uuid::Uuid;

const SENDER: RendererId = RendererId::new(Uuid::from_u128(1));
const OTHER: RendererId = RendererId::new(Uuid::from_u128(2));

/// Takes the first byte of `data` as the channel and the sender's patience, and the others as what is
/// said on it.
pub fn intake(data: &[u8]) {
    let (&how, payload) = data.split_first().unwrap_or((&0, &[]));
    let channel = Channel::ALL[usize::from(how) % Channel::ALL.len()];
    let patience = [Patience::Forgets, Patience::Waits, Patience::Alone]
        [usize::from(how) / Channel::ALL.len() % 3];
    said(channel, Bytes::copy_from_slice(payload), patience);
}

/// Checks what becomes of one message.
pub fn said(channel: Channel, payload: Bytes, patience: Patience) {
    let mut intake = Intake::new(Intake::DEFAULT_MEMORY_BYTES);
    let now = Instant::now();
    match intake.handle(SENDER, channel, payload.clone(), patience, now) {
        Outcome::Taken(accepted) => {
            is_sound(&intake, channel, &payload, patience, &accepted);
        }
        // It was nothing but a report of losses, which was taken over.
        Outcome::Coalesced if without_reports(&payload, patience).items().is_empty() => {}
        Outcome::Refused(refused) => {
            assert_eq!((refused.renderer(), refused.channel()), (SENDER, channel));
            assert!(intake.refusals().of(SENDER, refused.refusal()) >= 1, "it is counted");
            assert!(!refused.to_string().contains(char::is_control), "a person can read it");
            assert_eq!(refused.retry_at(), None);
        }
        outcome => panic!("there is budget and room for one message: {outcome:?}"),
    }
    assert_eq!(intake.held_bytes(), 0, "nothing is held any more");

    let event = Bytes::from_static(b"{}\n{\"type\":\"event\"}\n{}");
    let outcome = intake.handle(OTHER, Channel::Envelope, event, Patience::Forgets, now);
    assert!(matches!(outcome, Outcome::Taken(_)), "others are not concerned: {outcome:?}");
}

/// What was said, without the reports of losses that only a page must not send: those of others are
/// taken over.
fn without_reports(payload: &Bytes, patience: Patience) -> Envelope {
    let mut said = Envelope::parse(payload.clone()).expect("it was taken");
    if patience != Patience::Forgets {
        said.retain(|item| item.item_type() != ItemType::ClientReport);
    }
    said
}

/// What is taken may be sent, and is what was said.
fn is_sound(
    intake: &Intake,
    channel: Channel,
    payload: &Bytes,
    patience: Patience,
    accepted: &Accepted,
) {
    assert_eq!((accepted.renderer, accepted.message.channel()), (SENDER, channel));
    assert!(accepted.hold.bytes() >= payload.len());
    assert_eq!(intake.held_bytes(), accepted.hold.bytes());
    let (Message::Envelope(envelope) | Message::Feedback(envelope)) = &accepted.message else {
        assert!(accepted.taken_out.is_empty());
        return;
    };
    let said = without_reports(payload, patience);
    let (kept, taken_out) = (envelope.items(), &accepted.taken_out);
    assert_eq!(said.items().len(), kept.len() + taken_out.len(), "an item is kept or taken out");
    assert!(!kept.is_empty() && kept.iter().all(may_be_sent));
    assert!(envelope.assess().iter().all(|verdict| !matches!(verdict, Verdict::Unfit(_))));
    let mut before = said.items().iter();
    for item in kept {
        let is_same = before.any(|said| {
            said.header().text() == item.header().text() && said.payload() == item.payload()
        });
        assert!(is_same, "what is kept is as it was, and in the same order");
    }
    if taken_out.is_empty() {
        assert_eq!(envelope.to_bytes(), said.to_bytes());
    }
    let counted: u64 = intake.refusals().iter().map(|(_, _, count)| count).sum();
    assert_eq!(counted, taken_out.len() as u64);
    for refused in taken_out {
        assert!(!refused.to_string().contains(char::is_control));
    }
}
