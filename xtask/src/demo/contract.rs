//! What processes say to main: what a real page said, how it is read, changed and written, and what
//! somebody hears who does not keep to the contract.

use bytes::Bytes;
use guardhouse_protocol::frame::{Decoder, Side};
use guardhouse_protocol::json::Value;
use guardhouse_protocol::scope::{Contribution, Field, ScopeMessage};
use guardhouse_protocol::{Channel, Envelope, Item, ItemType, Message, Namespace, Timestamp};
use guardhouse_tests::corpus;

use super::{check, failed, heading};
use crate::Failure;
use crate::contract::text::bytes;

/// Plays it.
pub(super) fn run() -> Result<(), Failure> {
    a_page_reports()?;
    nothing_is_lost()?;
    what_strangers_hear()
}

/// What the renderer SDK of `@sentry/electron` said when a page called `captureMessage`.
fn a_page_reports() -> Result<(), Failure> {
    heading("A page with the unmodified @sentry/electron reports a message");
    let said = |file: &str| {
        corpus::bridge()
            .into_iter()
            .find(|message| message.file == file)
            .map(|message| message.bytes)
            .ok_or_else(|| Failure::Failed(format!("{file} is missing in tests/corpus/bridge")))
    };

    let mut page = Contribution::new(100);
    let scope = ScopeMessage::parse(&said("sendScope-018.json")?).map_err(failed)?;
    let refusals = page.hear(scope, Timestamp::from_unix(1_795_193_675, 0));
    let user = page.get(&Field::User).map(|entry| entry.value().text());
    check(user.is_some_and(|user| user.contains("Zoë")), "the user is not in the scope")?;
    let user = user.unwrap_or_default();
    println!(
        "First it says its scope, {} values, among them the user:\n  {user}",
        page.fields().count()
    );
    for (refusal, _) in refusals.iter() {
        println!("  not taken: {refusal}");
    }

    let bytes = said("sendEnvelope-001.bin")?;
    let mut envelope = Envelope::parse(bytes.clone()).map_err(failed)?;
    println!("Then it sends an envelope of {} bytes:", bytes.len());
    for (item, verdict) in envelope.items().iter().zip(envelope.assess()) {
        println!("  {} of {} bytes: {verdict:?}", item.item_type_name(), item.payload().len());
    }
    for item in events(&mut envelope) {
        item.edit(|event| {
            event.set(&["release"], "desk@5.1.0")?;
            event.set(&["tags", "event.process"], "renderer")
        })
        .map_err(failed)?;
    }
    let written = envelope.to_bytes();
    for item in events(&mut envelope) {
        let event = item.json().map_err(failed)?;
        let release = event.get("release").and_then(Value::as_str);
        check(release.as_deref() == Some("desk@5.1.0"), "the release is not in the event")?;
        check(event.at(&["tags", "event.process"]).is_some(), "the tag is not in the event")?;
    }
    let same = bytes.iter().zip(&written).take_while(|(before, after)| before == after).count();
    println!(
        "Given main's release and a tag it has {} bytes, the first {same} of them as they were.",
        written.len()
    );
    Ok(())
}

fn events(envelope: &mut Envelope) -> impl Iterator<Item = &mut Item> {
    envelope.items_mut().iter_mut().filter(|item| item.item_type() == ItemType::Event)
}

fn nothing_is_lost() -> Result<(), Failure> {
    let corpus = corpus::real();
    let (mut items, mut size) = (0, 0);
    for real in &corpus {
        let envelope = Envelope::parse(real.bytes.clone()).map_err(failed)?;
        if envelope.to_bytes() != real.bytes {
            return Err(Failure::Failed(format!("{} was not written back as it was", real.file)));
        }
        items += envelope.items().len();
        size += real.bytes.len();
    }
    println!(
        "Read and written back, {} envelopes of real SDKs with {items} items, {} in all, are as\n\
         they were, byte for byte.",
        corpus.len(),
        bytes(size as u64)
    );
    Ok(())
}

fn what_strangers_hear() -> Result<(), Failure> {
    heading("What somebody hears who does not keep to the contract");
    let claims_2_gib = *b"\xff\xff\xff\x7f\x01\0\0\0GUARDIPC";
    for (who, said) in [
        ("A web browser on the socket", &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..]),
        ("One that claims to say hello with 2 GiB", &claims_2_gib[..]),
    ] {
        let mut decoder = Decoder::new(Side::Main);
        decoder.push(said);
        match decoder.poll() {
            Err(error) => println!("{who}:\n  {error}"),
            Ok(frame) => return Err(Failure::Failed(format!("{who} was taken as {frame:?}"))),
        }
    }
    let cut = "{}\n{\"type\":\"event\",\"length\":99}\n{";
    match Message::parse(Channel::Envelope, Bytes::from_static(cut.as_bytes())) {
        Err(error) => println!("An envelope cut in the middle:\n  {error}"),
        Ok(message) => return Err(failed(format!("an envelope cut was taken as {message:?}"))),
    }
    match Channel::from_key(&Namespace::default(), "sentry-ipc.run-program") {
        Err(error) => println!("A channel of its own invention:\n  {error}"),
        Ok(channel) => return Err(Failure::Failed(format!("it was taken for {channel}"))),
    }
    Ok(())
}
