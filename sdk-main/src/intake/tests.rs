use std::time::Duration;

use guardhouse_protocol::http::Answer;
use guardhouse_protocol::limits::{ENVELOPE_MESSAGE_BYTES, EVENT_BYTES, MIB};

use super::*;

const PAGE: RendererId = RendererId::new(Uuid::from_u128(1));
const OTHER: RendererId = RendererId::new(Uuid::from_u128(2));
const EVENT: &str = "{}\n{\"type\":\"event\"}\n{}\n";

fn intake() -> Intake {
    Intake::new(Intake::DEFAULT_MEMORY_BYTES)
}

fn say(intake: &mut Intake, channel: Channel, payload: impl Into<Bytes>, now: Instant) -> Outcome {
    intake.handle(PAGE, channel, payload.into(), Patience::Forgets, now)
}

#[track_caller]
fn taken(outcome: Outcome) -> Accepted {
    match outcome {
        Outcome::Taken(accepted) => *accepted,
        other => panic!("it was not taken: {other:?}"),
    }
}

#[track_caller]
fn refused(outcome: Outcome) -> Refused {
    match outcome {
        Outcome::Refused(refused) => refused,
        other => panic!("it was not refused: {other:?}"),
    }
}

fn envelope(items: &[(&str, &str)]) -> Bytes {
    let mut text = String::from("{}\n");
    for (header, payload) in items {
        text.push_str(&format!("{{\"type\":{header}}}\n{payload}\n"));
    }
    text.into()
}

/// The types of the items that are left.
fn left(accepted: &Accepted) -> Vec<String> {
    let (Message::Envelope(envelope) | Message::Feedback(envelope)) = &accepted.message else {
        panic!("it is no envelope");
    };
    envelope.items().iter().map(|item| item.item_type_name().into_owned()).collect()
}

#[test]
fn each_type_goes_through_or_is_taken_out_and_counted() {
    for (header, payload, may_pass) in [
        ("\"event\"", "{}", true),
        ("\"transaction\"", "{}", true),
        ("\"feedback\"", "{}", true),
        ("\"attachment\"", "x", true),
        ("\"profile\"", "{}", true),
        ("\"profile_chunk\"", "{}", true),
        ("\"replay_event\"", "{}", true),
        ("\"replay_recording\"", "x", true),
        ("\"span\"", "{}", true),
        ("\"log\",\"item_count\":1", "{\"items\":[{}]}", true),
        ("\"trace_metric\",\"item_count\":1", "{\"items\":[{}]}", true),
        ("\"new_in_2030\"", "?", true),
        ("\"session\"", "{}", false),
        ("\"sessions\"", "{}", false),
        ("\"client_report\"", "{}", false),
        ("\"check_in\"", "{}", false),
        ("\"statsd\"", "x", false),
        ("\"user_report\"", "{}", false),
        ("\"raw_security\"", "{}", false),
        ("\"unreal_report\"", "x", false),
        ("\"form_data\"", "x", false),
        ("\"attachment\",\"attachment_type\":\"event.minidump\"", "MDMP", false),
        ("\"attachment\",\"attachment_type\":\"event.applecrashreport\"", "x", false),
    ] {
        let mut intake = intake();
        let bytes = envelope(&[(header, payload), ("\"x_witness\"", "")]);
        let accepted = taken(say(&mut intake, Channel::Envelope, bytes, Instant::now()));
        let left = left(&accepted);
        assert_eq!(left.len() == 2, may_pass, "{header}: {left:?}");
        assert_eq!(left.last().map(String::as_str), Some("x_witness"));
        assert_eq!(accepted.taken_out.is_empty(), may_pass);
        let count = intake.refusals().of(PAGE, Refusal::ForbiddenItem);
        assert_eq!(count, u64::from(!may_pass), "{header}");
        // A client report is nobody's loss.
        let is_loss = !may_pass && !header.contains("client_report");
        assert_eq!(!intake.take_losses().is_empty(), is_loss, "{header}");
    }
}

#[test]
fn a_page_cannot_make_main_report_losses_that_never_were() {
    let mut intake = intake();
    let report = "{\"discarded_events\":[{\"category\":\"error\",\"reason\":\"before_send\",\
                  \"quantity\":1000000}]}";
    let bytes = envelope(&[("\"client_report\"", report)]);
    let refused = refused(say(&mut intake, Channel::Envelope, bytes.clone(), Instant::now()));
    assert_eq!(refused.refusal(), Refusal::NothingLeft);
    assert_eq!(refused.answer(), Answer::Forbidden);
    assert!(intake.take_losses().is_empty());
    let mut losses = Losses::new();
    for item in Envelope::parse(bytes).unwrap().items() {
        count(&mut losses, item, Reason::BufferOverflow);
    }
    assert!(losses.is_empty());
}

#[test]
fn a_forbidden_item_takes_nothing_away_from_the_others() {
    let mut intake = intake();
    let bytes = envelope(&[
        ("\"raw_security\"", "{}"),
        ("\"event\"", "{\"a\" : 1.0}"),
        ("\"session\"", "{}"),
        ("\"event\"", "{}"),
        ("\"attachment\"", "bytes"),
    ]);
    let accepted = taken(say(&mut intake, Channel::Envelope, bytes, Instant::now()));
    assert_eq!(left(&accepted), ["event", "attachment"]);
    let Message::Envelope(envelope) = &accepted.message else { unreachable!() };
    assert_eq!(envelope.items()[0].payload(), "{\"a\" : 1.0}");
    let why: Vec<_> = accepted.taken_out.iter().map(Refused::refusal).collect();
    assert_eq!(why, [Refusal::ForbiddenItem, Refusal::ForbiddenItem, Refusal::UnfitItem]);
    let losses = intake.take_losses();
    assert_eq!(losses.get(Category::Security, Reason::Invalid), 1);
    assert_eq!(losses.get(Category::Session, Reason::Invalid), 1);
    assert_eq!(losses.get(Category::Error, Reason::Invalid), 1, "the second event");
}

#[test]
fn what_is_too_large_or_too_many_is_taken_out() {
    let mut intake = intake();
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(EVENT_BYTES));
    let mut items = vec![("\"event\"", huge.as_str())];
    items.extend([("\"attachment\"", "x"); 32]);
    let accepted = taken(say(&mut intake, Channel::Envelope, envelope(&items), Instant::now()));
    assert_eq!(left(&accepted), ["attachment"; 30]);
    assert_eq!(
        accepted.taken_out[0].to_string(),
        "renderer 00000000-0000-0000-0000-000000000001, channel envelope: an item of type `event` \
         has at most 1048576 bytes; put less into it"
    );
    assert_eq!(intake.refusals().total(Refusal::TooManyAttachments), 2);
    let losses = intake.take_losses();
    assert_eq!(losses.get(Category::Error, Reason::Invalid), 1);
    assert_eq!(losses.get(Category::Attachment, Reason::Invalid), 2);
}

#[test]
fn feedback_is_feedback_and_what_belongs_to_it() {
    let mut intake = intake();
    let now = Instant::now();
    let refused = refused(say(&mut intake, Channel::Feedback, EVENT, now));
    assert_eq!(refused.refusal(), Refusal::NotFeedback);
    assert_eq!(intake.take_losses().get(Category::Error, Reason::Invalid), 1);
    let bytes = envelope(&[
        ("\"feedback\"", "{}"),
        ("\"attachment\"", "screenshot"),
        ("\"transaction\"", "{}"),
        ("\"new\"", ""),
    ]);
    let accepted = taken(say(&mut intake, Channel::Feedback, bytes, now));
    assert_eq!(left(&accepted), ["feedback", "attachment", "new"]);
}

#[test]
fn on_channels_of_main_and_beyond_the_size_nothing_is_looked_at() {
    let mut intake = intake();
    let now = Instant::now();
    for channel in Channel::ALL {
        let declaration = channel.declaration();
        let large = vec![b'{'; declaration.max_opening_bytes() + 1];
        let refused = refused(say(&mut intake, channel, large, now));
        let expected = match declaration.direction.is_to_main() {
            true => (Refusal::TooLarge, Answer::TooLarge),
            false => (Refusal::MainSpeaks, Answer::WrongMethod),
        };
        assert_eq!((refused.refusal(), refused.answer()), expected, "{channel}");
    }
    let losses = intake.take_losses();
    for category in
        [Category::Default, Category::Feedback, Category::LogItem, Category::TraceMetric]
    {
        assert_eq!(losses.get(category, Reason::Invalid), 1, "{category}");
    }
    assert_eq!(intake.held_bytes(), 0);
}

#[test]
fn a_page_that_floods_is_refused_and_a_process_waits() {
    let now = Instant::now();
    let mut intake = intake();
    let burst = Channel::Envelope.declaration().budget.unwrap().burst;
    for _ in 0..burst {
        taken(say(&mut intake, Channel::Envelope, EVENT, now));
    }
    let refused = refused(say(&mut intake, Channel::Envelope, EVENT, now));
    assert_eq!(refused.refusal(), Refusal::OverBudget);
    assert_eq!(refused.answer(), Answer::OverBudget);
    let until = refused.retry_at().unwrap();
    assert_eq!(until, now + Duration::from_micros(500));
    assert_eq!(intake.take_losses().get(Category::Error, Reason::BufferOverflow), 1);

    let event = || Bytes::from(EVENT);
    let outcome = intake.handle(PAGE, Channel::Envelope, event(), Patience::Waits, now);
    let Outcome::NotYet { payload, until: Some(again) } = outcome else { panic!("{outcome:?}") };
    assert_eq!((&payload[..], again), (EVENT.as_bytes(), until));
    assert!(intake.take_losses().is_empty(), "what waits is not lost");
    taken(intake.handle(PAGE, Channel::Envelope, payload, Patience::Waits, again));
    // When nobody else wants anything, it does not wait for the budget.
    taken(intake.handle(PAGE, Channel::Envelope, event(), Patience::Alone, again));
    // Another one is not affected, nor is another channel.
    taken(intake.handle(OTHER, Channel::Envelope, event(), Patience::Forgets, now));
    taken(say(&mut intake, Channel::Metric, "{}", now));
}

#[test]
fn feedback_is_refused_beyond_its_budget_even_of_those_who_could_wait() {
    let (mut intake, now) = (intake(), Instant::now());
    let feedback = envelope(&[("\"feedback\"", "{}")]);
    let mut say =
        |now| intake.handle(PAGE, Channel::Feedback, feedback.clone(), Patience::Waits, now);
    for _ in 0..20 {
        taken(say(now));
    }
    assert_eq!(refused(say(now)).retry_at(), Some(now + Duration::from_secs(1)));
    taken(say(now + Duration::from_secs(1)));
}

#[test]
fn of_heartbeats_beyond_the_budget_the_last_of_each_thread_has_an_effect() {
    let (mut intake, now) = (intake(), Instant::now());
    let status =
        |state, thread| Bytes::from(format!("{{\"status\":\"{state}\",\"thread\":\"{thread}\"}}"));
    for _ in 0..200 {
        taken(say(&mut intake, Channel::Status, status("alive", "main"), now));
    }
    assert_eq!(intake.poll_timeout(), None);
    for (state, thread) in
        [("alive", "main"), ("alive", "worker"), ("visible", "main"), ("hidden", "main")]
    {
        let outcome = say(&mut intake, Channel::Status, status(state, thread), now);
        assert!(matches!(outcome, Outcome::Coalesced), "{outcome:?}");
    }
    assert!(intake.poll(now).is_none());
    let first = intake.poll_timeout().unwrap();
    assert_eq!(first, now + Duration::from_millis(20));
    let heard = |accepted: Accepted| match accepted.message {
        Message::Status(status) => (status.thread().unwrap().to_owned(), format!("{status:?}")),
        other => panic!("{other:?}"),
    };
    let (thread, status_of_main) = heard(intake.poll(first).unwrap());
    assert_eq!(thread, "main");
    assert!(status_of_main.contains("Hidden"), "{status_of_main}");
    assert!(intake.poll(first).is_none(), "there is budget for one");
    let second = intake.poll_timeout().unwrap();
    assert!(second > first);
    // What is said within the budget before that makes the kept one old.
    taken(say(&mut intake, Channel::Status, status("alive", "worker"), second));
    assert_eq!((intake.poll_timeout(), intake.poll(second).is_none()), (None, true));
    assert_eq!(intake.held_bytes(), 0);
}

#[test]
fn what_is_held_is_bounded_and_a_part_of_it_is_for_others() {
    let (mut intake, now) = (Intake::new(0), Instant::now());
    let large = envelope(&[("\"attachment\"", &"x".repeat(ENVELOPE_MESSAGE_BYTES - 64))]);
    let accepted = taken(say(&mut intake, Channel::Envelope, large.clone(), now));
    assert!(intake.held_bytes() > ENVELOPE_MESSAGE_BYTES - 64);
    let refused = refused(say(&mut intake, Channel::Envelope, large.clone(), now));
    assert_eq!(refused.refusal(), Refusal::NoRoom);
    let outcome = intake.handle(PAGE, Channel::Envelope, large.clone(), Patience::Alone, now);
    let Outcome::NotYet { payload, until: None } = outcome else { panic!("{outcome:?}") };
    let of_other =
        taken(intake.handle(OTHER, Channel::Envelope, large.clone(), Patience::Forgets, now));
    // A renderer that is forgotten still holds what it holds.
    intake.forget(PAGE);
    drop(accepted);
    taken(intake.handle(PAGE, Channel::Envelope, payload, Patience::Waits, now));
    drop(of_other);
    assert_eq!(intake.held_bytes(), 0);

    let held: Vec<_> = (0..9)
        .filter_map(|number| {
            let id = RendererId::new(Uuid::from_u128(number));
            match intake.handle(id, Channel::Envelope, large.clone(), Patience::Forgets, now) {
                Outcome::Taken(accepted) => Some(accepted),
                _ => None,
            }
        })
        .collect();
    assert_eq!(held.len(), 4, "all together have a bound as well");
}

#[test]
fn empty_messages_cost_memory_too() {
    let (mut intake, now) = (Intake::new(0), Instant::now());
    let mut held = Vec::new();
    let mut at = now;
    loop {
        at += Duration::from_secs(1);
        match say(&mut intake, Channel::Flush, "", at) {
            Outcome::Taken(accepted) => held.push(accepted),
            outcome => break assert_eq!(refused(outcome).refusal(), Refusal::NoRoom),
        }
    }
    assert!(held.len() < 40_000);
}

#[test]
fn more_renderers_than_anybody_has_push_the_oldest_out_and_the_total_stays() {
    let (mut intake, now) = (intake(), Instant::now());
    for number in 0..2 * RENDERERS as u64 {
        let id = RendererId::new(Uuid::from_u128(number.into()));
        let at = now + Duration::from_nanos(number);
        let bad = Bytes::from_static(b"bad");
        refused(intake.handle(id, Channel::Envelope, bad, Patience::Forgets, at));
    }
    assert_eq!(intake.renderers.len(), RENDERERS);
    assert_eq!(intake.refusals().iter().count(), RENDERERS);
    assert_eq!(intake.refusals().total(Refusal::Malformed), 2 * RENDERERS as u64);
    assert_eq!(intake.take_losses().get(Category::Default, Reason::Invalid), 2 * RENDERERS as u64);
}

#[test]
fn refusals_are_readable() {
    let (mut intake, now) = (intake(), Instant::now());
    assert_eq!(intake.refusals().to_string(), "nothing was refused");
    let refused = refused(say(&mut intake, Channel::Metric, "[]", now));
    assert_eq!(
        refused.to_string(),
        "renderer 00000000-0000-0000-0000-000000000001: a message of the channel metric is \
         malformed: the JSON is not an object, at byte 0"
    );
    assert_eq!(
        intake.refusals().to_string(),
        "refused in all: malformed 1; of renderer 00000000-0000-0000-0000-000000000001: malformed 1"
    );
    intake.forget(PAGE);
    assert_eq!(intake.refusals().to_string(), "refused in all: malformed 1");
    assert_eq!(Refusal::ALL.len(), 11);
    const { assert!(Intake::DEFAULT_MEMORY_BYTES >= 4 * MIB) };
}
