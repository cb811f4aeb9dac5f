//! What the unmodified renderer of `@sentry/electron` says is understood, and means what the page did.

use guardhouse_protocol::contract::CONTRACT;
use guardhouse_protocol::scope::{
    Attachment, AttachmentIdentity, Contribution, Field, Refusal, Refusals, ScopeMessage,
};
use guardhouse_protocol::{Channel, Envelope, Message, Timestamp};
use guardhouse_tests::corpus::{self, Bridge};

/// The channel of a method of the bridge, or the one that a URL names.
fn channel(message: &Bridge) -> Channel {
    let is_meant = |name: &str, method: &str| match &*message.via {
        "bridge" => method == message.method,
        "protocol" => name == message.method,
        other => panic!("{} came over {other}", message.file),
    };
    let row = CONTRACT.iter().find(|row| is_meant(row.name, row.method.name));
    row.unwrap_or_else(|| panic!("{} has no channel", message.file)).channel
}

#[test]
fn everything_that_the_page_said_is_understood() {
    let corpus = corpus::bridge();
    assert!(corpus.len() > 120, "the corpus is there");
    let mut heard = Vec::new();
    for said in corpus {
        let channel = channel(&said);
        let message = Message::parse(channel, said.bytes.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", said.file));
        assert_eq!(message.channel(), channel, "{}", said.file);
        match message {
            Message::Start => assert!(said.bytes.is_empty(), "{}", said.file),
            Message::Scope(scope) => assert!(matches!(scope, ScopeMessage::Whole(_))),
            Message::Envelope(envelope) | Message::Feedback(envelope) => {
                assert_eq!(envelope.to_bytes(), said.bytes, "{}", said.file);
            }
            // The bridge hands over what is inside of the request's body.
            Message::Status(status) => {
                assert_eq!(status.anr_threshold.as_millis(), 400, "{}", said.file);
                let is_wrapped = said.bytes.starts_with(br#"{"status":{"#);
                assert_eq!(is_wrapped, said.via == "protocol", "{}", said.file);
            }
            Message::Log(_) | Message::Metric(_) => {}
            other => panic!("{} is {other:?}", said.file),
        }
        heard.push(channel);
    }
    for row in
        CONTRACT.iter().filter(|row| row.origin == guardhouse_protocol::contract::Origin::Electron)
    {
        assert!(heard.contains(&row.channel), "{} is in the corpus", row.name);
    }
}

/// The `n`th whole scope of the corpus.
fn scope(n: usize) -> ScopeMessage {
    let file = format!("sendScope-{n:03}.json");
    let mut corpus = corpus::bridge().into_iter();
    let said = corpus.find(|said| said.file == file);
    ScopeMessage::parse(&said.expect("it is in the corpus").bytes).unwrap()
}

fn at(n: usize) -> Timestamp {
    Timestamp::from_unix(1_795_193_700 + n as i64, 0)
}

/// What a page contributes: its fields as `name key value`, but for the trace, whose ids are random;
/// how many breadcrumbs; the names of its attachments.
fn told(page: &Contribution) -> (Vec<String>, usize, Vec<&str>) {
    let fields = page.fields().filter(|(field, _)| **field != Field::Propagation);
    let fields = fields.map(|(field, entry)| {
        let key = field.key().map(|key| key.to_str().into_owned());
        let (name, value) = (field.name(), entry.value().text());
        key.map_or(format!("{name} {value}"), |key| format!("{name} {key} {value}"))
    });
    let attachments = page.attachments().iter().map(Attachment::filename);
    (fields.collect(), page.breadcrumbs().len(), attachments.collect())
}

/// What the corpus shows of one page: what is different from the step before.
struct Step {
    /// Which message.
    n: usize,
    /// What the page did, as the manifest says.
    did: &'static str,
    gone: &'static [&'static str],
    new: &'static [&'static str],
    breadcrumbs: usize,
    attachments: &'static [&'static str],
    refused: &'static [(Refusal, u32)],
}

const fn step(n: usize, did: &'static str) -> Step {
    Step { n, did, gone: &[], new: &[], breadcrumbs: 0, attachments: &[], refused: &[] }
}

const USER: &str = r#"user {"id":42,"email":"zoe@example.com","username":"Zoë 🦀"}"#;
const NESTED: &str = r#"extra nested {"a":[1,2.5,null,{"b":"c"}],"nan":"[NaN]","lone":"x\ud83d","deep":{"a":{"b":{"c":{"d":{"e":1}}}}}}"#;
const DOCUMENT: &str = r#"context document {"pages":3,"name":"plan\u0000.pdf"}"#;
const FINGERPRINT: &str = r#"fingerprint ["a","{{ default }}"]"#;
const LEVEL: &str = r#"level "warning""#;
const TRANSACTION: &str = r#"transaction "open_document""#;
const PROFILE: &str = r#"context profile {"profile_id":"13408521c6c64c4990dfe749f4dbe7ae","start_timestamp":1795193677695.7002}"#;
const INDEX: &str = r#"transaction "/index.html""#;
const BOTH: &[&str] = &["trace.bin", "note.txt"];
const OTHER: &[&str] = &["trace \"ü\".bin"];

/// The first page: it sets, changes and clears each part of its scope.
const FIRST: [Step; 22] = [
    Step { new: &[USER], ..step(1, "setUser({id,email,username})") },
    Step { new: &[r#"tag channel "beta""#], ..step(2, "setTag") },
    // `null` means that there is none.
    Step { new: &["tag b true", "tag n 1"], ..step(3, "setTags with null/undefined") },
    Step { new: &[NESTED], ..step(4, "setExtra nested") },
    Step { new: &[DOCUMENT], ..step(5, "setContext") },
    Step { gone: &[DOCUMENT], ..step(6, "setContext null") },
    Step { breadcrumbs: 1, ..step(7, "addBreadcrumb 1") },
    Step { breadcrumbs: 2, ..step(8, "addBreadcrumb 2") },
    Step { breadcrumbs: 3, ..step(9, "addBreadcrumb 3") },
    Step { breadcrumbs: 4, ..step(10, "three breadcrumbs in one task") },
    Step { breadcrumbs: 5, ..step(11, "three breadcrumbs in one task") },
    Step { breadcrumbs: 6, ..step(12, "three breadcrumbs in one task") },
    // Attachments were added to two scopes, one of them too large for the page's SDK.
    Step {
        new: &[FINGERPRINT],
        breadcrumbs: 6,
        attachments: BOTH,
        refused: &[(Refusal::CutAttachment, 1)],
        ..step(13, "setFingerprint")
    },
    // The page has forgotten `note.txt`, which is not taken back, and says the others again.
    Step { new: &[LEVEL], breadcrumbs: 6, attachments: BOTH, ..step(14, "setLevel") },
    Step {
        new: &[TRANSACTION],
        breadcrumbs: 6,
        attachments: BOTH,
        ..step(15, "setTransactionName")
    },
    Step {
        new: &[r#"tag global "yes""#],
        breadcrumbs: 6,
        attachments: BOTH,
        ..step(16, "global scope setTag")
    },
    Step {
        new: &["attribute a 1", r#"attribute b "s""#],
        breadcrumbs: 6,
        attachments: BOTH,
        ..step(17, "setAttributes")
    },
    Step { breadcrumbs: 7, attachments: BOTH, ..step(18, "captureMessage (event carries scope)") },
    // Nothing says that the page has cleared its breadcrumbs: they are always empty once sent.
    Step { breadcrumbs: 7, attachments: BOTH, ..step(19, "clearBreadcrumbs") },
    Step { gone: &[USER], breadcrumbs: 7, attachments: BOTH, ..step(20, "setUser(null)") },
    Step {
        gone: &[LEVEL, TRANSACTION, FINGERPRINT, "attribute a 1", r#"attribute b "s""#],
        breadcrumbs: 7,
        attachments: BOTH,
        ..step(21, "clear current scope")
    },
    Step {
        gone: &["tag b true", r#"tag channel "beta""#, "tag n 1", NESTED],
        breadcrumbs: 7,
        attachments: BOTH,
        ..step(22, "clear isolation scope")
    },
];

/// The pages after it, each of which starts anew.
const LATER: [&[Step]; 4] = [
    &[
        Step { breadcrumbs: 1, ..step(23, "captureException linked") },
        Step { breadcrumbs: 2, ..step(24, "unhandled error") },
        Step { breadcrumbs: 3, ..step(25, "unhandled rejection") },
        Step { breadcrumbs: 4, ..step(26, "captureMessage") },
        Step { breadcrumbs: 5, attachments: OTHER, ..step(27, "event with binary attachment") },
        Step { breadcrumbs: 6, attachments: OTHER, ..step(28, "captureFeedback") },
        Step { breadcrumbs: 7, attachments: OTHER, ..step(29, "captureFeedback with attachment") },
        Step { breadcrumbs: 8, attachments: OTHER, ..step(30, "sendFeedback") },
    ],
    &[
        Step { new: &[PROFILE], ..step(31, "Sentry.init tx") },
        Step { new: &[INDEX], ..step(32, "Sentry.init tx") },
        Step { breadcrumbs: 1, ..step(33, "idle") },
    ],
    &[Step { new: &[INDEX], ..step(34, "Sentry.init stream") }],
    &[Step { breadcrumbs: 1, ..step(35, "replay") }],
];

#[test]
fn each_step_of_the_page_means_what_it_did() {
    let notes: Vec<_> = corpus::bridge()
        .into_iter()
        .filter(|said| said.method == "sendScope")
        .map(|said| said.note)
        .collect();
    let pages = [&FIRST[..]].into_iter().chain(LATER);
    let mut steps = 0;
    for page in pages {
        let mut contribution = Contribution::new(100);
        let mut fields: Vec<String> = Vec::new();
        for step in page {
            let (n, note) = (step.n, &notes[step.n - 1]);
            assert!(note.ends_with(&format!(": {}", step.did)), "{n}: {note}");
            let refusals = contribution.hear(scope(n), at(n));
            let (now, breadcrumbs, attachments) = told(&contribution);
            for gone in step.gone {
                assert!(fields.iter().any(|field| field == gone), "{n}: {gone} was there");
            }
            fields.retain(|field| !step.gone.contains(&&**field));
            fields.extend(step.new.iter().map(|new| (*new).to_owned()));
            let sorted = |mut fields: Vec<String>| {
                fields.sort();
                fields
            };
            assert_eq!(sorted(now), sorted(fields.clone()), "{n}");
            assert_eq!(breadcrumbs, step.breadcrumbs, "{n}");
            assert_eq!(attachments, step.attachments, "{n}");
            assert_eq!(refusals.iter().collect::<Vec<_>>(), step.refused, "{n}");
            assert!(contribution.get(&Field::Propagation).is_some(), "{n}");
            steps += 1;
        }
    }
    assert_eq!(steps, notes.len());
}

#[test]
fn what_stays_keeps_its_time_and_breadcrumbs_have_their_own() {
    let mut page = Contribution::new(100);
    for n in 1..=12 {
        page.hear(scope(n), at(n));
    }
    let time = |field: &Field| page.get(field).unwrap().at();
    assert_eq!(time(&Field::User), at(1));
    assert_eq!(time(&Field::tag("channel").unwrap()), at(2));
    assert_eq!(time(&Field::tag("n").unwrap()), at(3));
    let breadcrumbs = page.breadcrumbs();
    let times: Vec<_> = breadcrumbs.map(|b| b.timestamp().unwrap().to_string()).collect();
    // In the order in which they came: the page's SDK sends a burst in another than it happened.
    let seconds: Vec<_> = times.iter().map(|time| &time[17..23]).collect();
    assert_eq!(seconds, ["35.010", "35.052", "35.099", "35.145", "35.142", "35.146"]);
}

#[test]
fn an_attachment_that_the_event_carries_already_can_be_told() {
    let mut page = Contribution::new(100);
    let mut refusals = Refusals::default();
    for n in 13..=18 {
        refusals.add(page.hear(scope(n), at(n)));
    }
    let mut corpus = corpus::bridge().into_iter();
    let event = corpus.find(|said| said.file == "sendEnvelope-001.bin").unwrap();
    let envelope = Envelope::parse(event.bytes).unwrap();
    let is_carried = |attachment: &&Attachment| {
        envelope.items().iter().any(|item| {
            let (name, content_type) = (item.filename(), item.content_type());
            let attachment_type = item.attachment_type();
            attachment.identity()
                == AttachmentIdentity::new(
                    &name.unwrap_or_default(),
                    content_type.as_deref(),
                    attachment_type.as_deref(),
                    item.payload(),
                )
        })
    };
    let carried = page.attachments().iter().filter(is_carried);
    let carried: Vec<_> = carried.map(Attachment::filename).collect();
    assert_eq!(carried, ["trace.bin"]);
    // What was cut on the bridge was said six times and lost once; the envelope carries all of it.
    assert_eq!(refusals.get(Refusal::CutAttachment), 1);
    let mut items = envelope.items().iter();
    let whole = items.find(|item| item.filename().as_deref() == Some("large.bin"));
    assert_eq!(whole.unwrap().payload().len(), 4000);
}
