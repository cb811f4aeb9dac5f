//! Every file of the corpus has the outcome that its manifest says.

use guardhouse_protocol::{Envelope, Verdict};
use guardhouse_tests::corpus::{self, Outcome};
use guardhouse_tests::oracle;
use serde_json::Value;

#[test]
fn every_real_envelope_is_read_and_written_back_byte_for_byte() {
    let corpus = corpus::real();
    assert!(corpus.len() > 100, "the corpus is there");
    for real in corpus {
        let envelope = Envelope::parse(real.bytes.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", real.file));
        assert_eq!(envelope.to_bytes(), real.bytes, "{}", real.file);

        let types: Vec<_> = envelope.items().iter().map(|item| item.item_type_name()).collect();
        assert_eq!(types, real.items, "{}", real.file);
        assert_eq!(envelope.items().len(), real.item_headers.len());
        for (item, expected) in envelope.items().iter().zip(&real.item_headers) {
            assert_eq!(item.length().map(|n| n as u64), expected["length"].as_u64());
            assert_eq!(item.item_count(), expected["item_count"].as_u64());
            assert_eq!(item.filename().as_deref(), expected["filename"].as_str());
            assert_eq!(item.content_type().as_deref(), expected["content_type"].as_str());
            assert_eq!(item.attachment_type().as_deref(), expected["attachment_type"].as_str());
        }
    }
}

#[test]
fn the_views_of_a_header_show_what_it_says() {
    let (mut ids, mut dsns, mut times, mut traces) = (0, 0, 0, 0);
    for real in corpus::real() {
        let line = real.bytes.split(|byte| *byte == b'\n').next().unwrap();
        let said: Value = serde_json::from_slice(line).unwrap();
        let envelope = Envelope::parse(real.bytes.clone()).unwrap();
        let header = envelope.header();

        let id = header.event_id().map(|id| id.to_string());
        assert_eq!(id, said["event_id"].as_str().map(|id| id.replace('-', "")));
        assert_eq!(header.dsn().as_deref(), said["dsn"].as_str());
        // To the second, since SDKs write fractions of all lengths.
        let seconds = |time: &str| time[..19].to_owned();
        let sent_at = header.sent_at().map(|time| seconds(&time.to_string()));
        assert_eq!(sent_at, said["sent_at"].as_str().map(seconds));
        let trace_id = header.trace().and_then(|trace| trace.get("trace_id")?.as_str());
        assert_eq!(trace_id.as_deref(), said["trace"]["trace_id"].as_str());
        ids += usize::from(header.event_id().is_some());
        dsns += usize::from(header.dsn().is_some());
        times += usize::from(header.sent_at().is_some());
        traces += usize::from(header.trace().is_some());
    }
    assert!(ids > 50 && dsns > 10 && times > 50 && traces > 50, "{ids} {dsns} {times} {traces}");
}

#[test]
fn every_real_item_is_what_its_type_says() {
    for real in corpus::real() {
        let envelope = Envelope::parse(real.bytes).unwrap();
        for (item, verdict) in envelope.items().iter().zip(envelope.assess()) {
            assert_eq!(verdict, Verdict::Sound, "{} in {}", item.item_type_name(), real.file);
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
                let outcome = match fault {
                    Some(_) => Outcome::Reject,
                    None if envelope.assess().into_iter().all(Verdict::is_sound) => Outcome::Accept,
                    None => Outcome::Partial,
                };
                if fault.is_none() {
                    assert_eq!(envelope.to_bytes(), case.bytes, "{}", case.file);
                }
                let items = envelope.items().iter();
                (outcome, items.map(|item| item.item_type_name().into_owned()).collect())
            }
        };
        let items = types.len();
        // The manifest names the one type that all of very many items have once.
        let has_types = match &expected.types[..] {
            [only] => types.iter().all(|found| found == only),
            all => types == all,
        };
        if (outcome, items) != (expected.outcome, expected.items) || !has_types {
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
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn envelopes_that_crossed_the_bridge_are_written_back_byte_for_byte() {
    let envelopes: Vec<_> =
        corpus::bridge().into_iter().filter(|message| message.file.ends_with(".bin")).collect();
    assert!(envelopes.len() > 10, "the corpus is there");
    for message in envelopes {
        let envelope = Envelope::parse(message.bytes.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", message.file));
        assert_eq!(envelope.to_bytes(), message.bytes, "{}", message.file);
        assert!(envelope.assess().into_iter().all(Verdict::is_sound), "{}", message.file);
    }
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
