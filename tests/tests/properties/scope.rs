//! Scope messages: bounded, and the same on both sides.

use guardhouse_tests::corpus;
use guardhouse_tests::oracle::scope::scope;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::{config, json};

fn whole() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        (
            select(vec!["tags", "extra", "contexts", "attributes", "user"]),
            json::object()
        )
            .prop_map(|(name, value)| format!("\"{name}\":{value}")),
        (
            select(vec![
                "tags",
                "extra",
                "contexts",
                "user",
                "level",
                "fingerprint",
                "transactionName",
                "propagationContext",
                "breadcrumbs",
                "attachments",
                "newInTwoYears",
            ]),
            json::value(),
        )
            .prop_map(|(name, value)| format!("\"{name}\":{value}")),
        vec(json::object(), 0..4).prop_map(|list| format!("\"breadcrumbs\":[{}]", list.join(","))),
    ];
    vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(",")))
}

fn changes() -> impl Strategy<Value = String> {
    let keyed = select(vec!["tag", "extra", "context", "attribute"]);
    let single = select(vec![
        "user",
        "level",
        "transaction",
        "fingerprint",
        "propagation",
    ]);
    let change = prop_oneof![
        (keyed.clone(), json::key(), json::value())
            .prop_map(|(field, key, value)| format!("[\"set\",\"{field}\",{key},{value}]")),
        (single, json::value()).prop_map(|(field, v)| format!("[\"set\",\"{field}\",null,{v}]")),
        (keyed, json::key()).prop_map(|(field, key)| format!("[\"unset\",\"{field}\",{key}]")),
        json::object().prop_map(|breadcrumb| format!("[\"breadcrumb\",{breadcrumb}]")),
        json::value(),
    ];
    vec(change, 0..8).prop_map(|changes| format!("[{}]", changes.join(",")))
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn whatever_is_said_is_bounded_and_can_be_told_on(
        messages in vec(prop_oneof![whole(), changes()], 1..5),
    ) {
        scope(messages.join("\n").as_bytes());
    }
}

#[test]
fn what_the_bridge_saw_is_bounded_and_can_be_told_on() {
    let messages = corpus::bridge()
        .into_iter()
        .filter(|message| message.file.contains("cope"));
    let bytes: Vec<_> = messages.map(|message| message.bytes).collect();
    assert!(bytes.len() > 50, "the corpus is there");
    scope(&bytes.join(&b'\n'));
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn what_the_bridge_saw_can_be_broken_anywhere(message in any::<Index>(), at in any::<Index>(), byte in any::<u8>()) {
        let messages = corpus::bridge();
        let scopes: Vec<_> =
            messages.iter().filter(|message| message.file.contains("cope")).collect();
        let mut bytes = scopes[message.index(scopes.len())].bytes.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        scope(&bytes);
    }
}
