//! Every file of the corpus has the outcome that its manifest says.

use guardhouse_protocol::json::Object;
use guardhouse_protocol::{Envelope, Verdict};
use guardhouse_tests::corpus::{self, Outcome};
use guardhouse_tests::oracle;

#[test]
fn every_real_envelope_is_read_and_written_back_byte_for_byte() {
    let corpus = corpus::real();
    assert!(corpus.len() > 100, "the corpus is there");
    for real in corpus {
        let envelope = Envelope::parse(real.bytes.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", real.file));
        assert_eq!(envelope.to_bytes(), real.bytes, "{}", real.file);

        let types: Vec<_> = envelope
            .items()
            .iter()
            .map(|item| item.item_type_name())
            .collect();
        assert_eq!(types, real.items, "{}", real.file);
        for (item, expected) in envelope.items().iter().zip(&real.item_headers) {
            assert_eq!(item.length().map(|n| n as u64), expected["length"].as_u64());
            assert_eq!(item.item_count(), expected["item_count"].as_u64());
            assert_eq!(item.filename().as_deref(), expected["filename"].as_str());
            assert_eq!(
                item.content_type().as_deref(),
                expected["content_type"].as_str()
            );
            assert_eq!(
                item.attachment_type().as_deref(),
                expected["attachment_type"].as_str()
            );
        }
    }
}

#[test]
fn every_real_item_is_what_its_type_says() {
    for real in corpus::real() {
        let envelope = Envelope::parse(real.bytes).unwrap();
        for (item, verdict) in envelope.items().iter().zip(envelope.assess()) {
            assert_eq!(
                verdict,
                Verdict::Sound,
                "{} in {}",
                item.item_type_name(),
                real.file
            );
        }
    }
}

#[test]
fn every_edge_case_has_the_outcome_that_its_manifest_says() {
    let cases = corpus::edge();
    assert!(cases.len() > 80, "the corpus is there");
    let mut wrong = Vec::new();
    for case in &cases {
        let expected = &case.expected;
        let (outcome, types) = match Envelope::salvage(case.bytes.clone()) {
            Err(_) => (Outcome::Reject, Vec::new()),
            Ok((envelope, fault)) => {
                let types = envelope
                    .items()
                    .iter()
                    .map(|item| item.item_type_name().into_owned())
                    .collect();
                let outcome = match fault {
                    Some(_) => Outcome::Reject,
                    None if envelope.assess().into_iter().all(Verdict::is_sound) => Outcome::Accept,
                    None => Outcome::Partial,
                };
                if fault_free(&case.bytes) {
                    assert_eq!(envelope.to_bytes(), case.bytes, "{}", case.file);
                }
                (outcome, types)
            }
        };
        let items = types.len();
        if (outcome, items) != (expected.outcome, expected.items)
            || !types
                .iter()
                .zip(&expected.types)
                .all(|(found, expected)| found == expected)
        {
            wrong.push(format!(
                "{}: {outcome:?} with {items} items {:?}, not {:?} with {} items: {}",
                case.file,
                types.iter().take(5).collect::<Vec<_>>(),
                expected.outcome,
                expected.items,
                case.why
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

fn fault_free(bytes: &bytes::Bytes) -> bool {
    Envelope::parse(bytes.clone()).is_ok()
}

#[test]
fn what_crossed_the_bridge_is_read() {
    let mut envelopes = 0;
    for message in corpus::bridge() {
        if message.file.ends_with(".bin") {
            envelopes += 1;
            let envelope = Envelope::parse(message.bytes.clone())
                .unwrap_or_else(|error| panic!("{}: {error}", message.file));
            assert_eq!(envelope.to_bytes(), message.bytes, "{}", message.file);
        } else if !message.bytes.is_empty() {
            Object::parse(&message.bytes)
                .unwrap_or_else(|error| panic!("{}: {error}", message.file));
        }
    }
    assert!(envelopes > 10, "the corpus is there");
}

#[test]
fn the_corpus_passes_what_any_bytes_must_pass() {
    for bytes in corpus::real().into_iter().map(|real| real.bytes) {
        oracle::envelope::envelope(&bytes);
    }
    for bytes in corpus::edge().into_iter().map(|edge| edge.bytes) {
        oracle::envelope::envelope(&bytes);
    }
}
