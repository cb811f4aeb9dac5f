//! `cargo xtask demo`: what there is to see so far.
//!
//! There is a main process, which takes what it and its renderers report, and keeps and sends it. And
//! there is the contract between the processes, of which the demo plays both ends: what a real page
//! said, how it is read, changed and written, how a native process introduces itself, and what
//! somebody hears who does not keep to it. Whatever the demo claims it checks, and it fails if that
//! does not hold.

mod house;

use bytes::{Bytes, BytesMut};
use guardhouse_protocol::contract::{CONTRACT, Origin};
use guardhouse_protocol::frame::{
    Decoder, Frame, Gate, Hello, Proof, RendererName, Role, Side, Version, VersionRange, Welcome,
};
use guardhouse_protocol::json::Value;
use guardhouse_protocol::scope::{Contribution, Field, ScopeMessage};
use guardhouse_protocol::{Channel, Envelope, Item, ItemType, Message, Namespace, Timestamp};
use guardhouse_tests::corpus;

use crate::contract::text::bytes;
use crate::{Failure, packages};

/// Prints what exists.
pub(crate) fn run() -> Result<(), Failure> {
    packages::install()?;
    house::run()?;
    the_contract();
    a_page_reports()?;
    nothing_is_lost()?;
    a_process_introduces_itself()?;
    what_strangers_hear()?;
    println!(
        "\nThis is all that there is to see so far: no window opens, and the page that reported was \
         played by\nthe main process itself. What speaks the contract over a socket comes next; \
         README.md says what\nstate each part is in."
    );
    Ok(())
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}

fn the_contract() {
    heading("What renderers and main may say to each other");
    let namespace = Namespace::default();
    println!("{:<26} {:<34} {:>9}  {:>9}  made up by", "key", "who speaks", "message", "in all");
    for row in &CONTRACT {
        println!(
            "{:<26} {:<34} {:>9}  {:>9}  {}",
            row.channel.key(&namespace),
            row.direction.describe(),
            bytes(row.max_bytes as u64),
            bytes(row.max_total_bytes),
            match row.origin {
                Origin::Electron => "@sentry/electron",
                Origin::Guardhouse => "Guardhouse",
            }
        );
    }
    println!("\nWhat main does when it hears them, and what it refuses: docs/contract.md");
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
    println!("First it says its scope:");
    for (field, entry) in page.fields() {
        let key = field.key().map_or(String::new(), |key| format!(" {:?}", key.to_str()));
        println!("  {}{key} = {}", field.name(), shortened(entry.value().text()));
    }
    for (refusal, count) in refusals.iter() {
        println!("  not taken, {count} time(s): {refusal}");
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
    heading("What real SDKs sent is read and written back");
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
        "{} envelopes with {items} items, {} in all: every byte of them is as it was.",
        corpus.len(),
        bytes(size as u64)
    );
    Ok(())
}

fn a_process_introduces_itself() -> Result<(), Failure> {
    heading("A child process introduces itself");
    let proof = Proof::new([7; 32]);
    let gate = Gate::new(Namespace::default(), proof.clone());
    let name = RendererName::new("gpu helper").map_err(failed)?;
    let hello = Hello::new(Namespace::default(), Role::Utility, name, 4711, proof);

    let main = meet(&gate, &hello)?;
    check(matches!(main, Frame::Welcome(_)), "main does not welcome who may come in")?;
    println!("{:?} is answered with:\n  {main:?}", hello.name.as_str());

    let mut forged = hello.clone();
    forged.proof = Proof::new([8; 32]);
    println!("With another proof:\n  {}", refused(&gate, &forged)?);

    let version = |number| Version::new(number).unwrap_or(Version::ONE);
    let mut newer = hello;
    newer.versions = VersionRange::new(version(2), version(3)).unwrap_or(VersionRange::OURS);
    println!("Three years newer:\n  {}", refused(&gate, &newer)?);
    Ok(())
}

/// What main answers to a hello, over the bytes that would cross a socket.
fn meet(gate: &Gate, hello: &Hello) -> Result<Frame, Failure> {
    let across = |frame: Frame, from: Side| {
        let mut wire = BytesMut::new();
        frame.encode(from, &mut wire).map_err(failed)?;
        let mut decoder = Decoder::new(from.peer());
        decoder.push(&wire);
        decoder.poll().map_err(failed)?.ok_or_else(|| Failure::Failed("a frame got lost".into()))
    };
    let Frame::Hello(heard) = across(Frame::Hello(hello.clone()), Side::Renderer)? else {
        return Err(Failure::Failed("a hello became something else".into()));
    };
    let answer = match gate.admit(&heard) {
        Ok(version) => {
            Frame::Welcome(Welcome::new(version, Default::default(), Proof::new([9; 32])))
        }
        Err(rejection) => Frame::Refused(rejection),
    };
    across(answer, Side::Main)
}

fn refused(gate: &Gate, hello: &Hello) -> Result<String, Failure> {
    match meet(gate, hello)? {
        Frame::Refused(rejection) => Ok(rejection.to_string()),
        other => Err(Failure::Failed(format!("it should have been refused, but got {other:?}"))),
    }
}

fn what_strangers_hear() -> Result<(), Failure> {
    heading("What somebody hears who does not keep to the contract");
    let claims_2_gib = *b"\xff\xff\xff\x7f\x01\0\0\0GUARDIPC";
    for (who, said) in [
        ("A web browser on the socket", &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..]),
        ("A hello of 2 GiB", &claims_2_gib[..]),
    ] {
        let mut decoder = Decoder::new(Side::Main);
        decoder.push(said);
        match decoder.poll() {
            Err(error) => println!("{who}:\n  {error}"),
            Ok(frame) => return Err(Failure::Failed(format!("{who} was taken as {frame:?}"))),
        }
    }
    for (who, channel, said) in [
        (
            "An envelope cut in the middle",
            Channel::Envelope,
            "{}\n{\"type\":\"event\",\"length\":99}\n{",
        ),
        ("A status that is none", Channel::Status, "{\"status\":\"asleep\"}"),
    ] {
        match Message::parse(channel, Bytes::from_static(said.as_bytes())) {
            Err(error) => println!("{who}:\n  {error}"),
            Ok(message) => return Err(Failure::Failed(format!("{who} was taken as {message:?}"))),
        }
    }
    match Channel::from_key(&Namespace::default(), "sentry-ipc.run-program") {
        Err(error) => println!("A channel of its own invention:\n  {error}"),
        Ok(channel) => return Err(Failure::Failed(format!("it was taken for {channel}"))),
    }
    Ok(())
}

fn check(is_so: bool, otherwise: &str) -> Result<(), Failure> {
    if is_so { Ok(()) } else { Err(failed(otherwise)) }
}

fn shortened(text: &str) -> String {
    const CHARS: usize = 60;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("the demo does not do what it should: {error}"))
}
