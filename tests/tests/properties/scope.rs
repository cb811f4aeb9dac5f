//! Scope messages: bounded, and the same on both sides.

use guardhouse_tests::corpus;
use guardhouse_tests::oracle::scope::scope;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::{config, json};

/// Values and members at the bounds, written as the [oracle](guardhouse_tests::oracle::scope) takes it.
fn extreme_value() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..25_000usize, select(vec!["x", "\\n", "\\ud83d", "☃"]))
            .prop_map(|(count, text)| format!("\"~{count}:{text}~\"")),
        (0..25_000usize).prop_map(|count| format!("1~{count}:0~")),
        (28..42usize).prop_map(|depth| format!("~{depth}:[~1~{depth}:]~")),
        (0..40usize, 0..20_000usize).prop_map(|(depth, count)| {
            format!("~{depth}:{{\"a\":~\"~{count}:x~\"~{depth}:,\"b\":1}}~")
        }),
        (0..600usize, extreme_member())
            .prop_map(|(count, member)| format!("{{~{count}:{member},~\"z\":0}}")),
        (0..2000usize, "[a-z]{0,40}").prop_map(|(count, text)| format!("[~{count}:\"{text}\",~0]")),
        // 20 and 300 KB.
        select(vec![20_000, 300_000])
            .prop_map(|count| format!("{{\"a\":\"~{count}:x~\",\"id\":7}}")),
    ]
}

fn extreme_member() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\"k#\":#".to_owned()),
        "[a-z]{0,80}".prop_map(|text| format!("\"{text}#\":\"{text}{text}\"")),
        Just("\"k#\":null".to_owned()),
        Just("\"k#\":{}".to_owned()),
    ]
}

fn extreme_breadcrumb() -> impl Strategy<Value = String> {
    let time =
        select(vec!["\"9999-12-31T23:59:59.999999999Z\"", "1", "\"?\"", "1795193675.123456"]);
    let time = prop_oneof![time.prop_map(str::to_owned), extreme_value()];
    (time, extreme_value(), extreme_value()).prop_map(|(time, message, data)| {
        format!("{{\"timestamp\":{time},\"message\":{message},\"data\":{data}}}")
    })
}

fn extreme_attachment() -> impl Strategy<Value = String> {
    let name = select(vec!["a", "b", "\u{e9}"]);
    let size = select(vec![0usize, 1, 3, 200_000, 900_000, 1_048_577]);
    let kind = select(vec!["event.attachment", "event.view_hierarchy", "event.minidump"]);
    (name, size, kind).prop_map(|(name, size, kind)| {
        format!("{{\"filename\":\"{name}\",\"data\":\"~{size}:x~\",\"attachmentType\":\"{kind}\"}}")
    })
}

fn extreme() -> impl Strategy<Value = String> {
    let section = select(vec!["tags", "extra", "contexts", "attributes"]);
    let single = select(vec!["user", "level", "fingerprint", "transactionName"]);
    let field = select(vec!["tag", "extra", "context", "attribute"]);
    let about = select(vec![
        "",
        ",{\"meta\":{\"a\":\"~4000:m~\"},\"at\":\"1999-12-31T23:59:59.999999999Z\"}",
        ",{\"meta\":{\"a\":\"~5000:m~\"}}",
        ",{\"meta\":~60:{\"a\":~1~60:}~}",
    ]);
    let list =
        |element: BoxedStrategy<String>| vec(element, 0..6).prop_map(|list| list.join(",")).boxed();
    let member = prop_oneof![
        (single, extreme_value()).prop_map(|(name, value)| format!("\"{name}\":{value}")),
        (section, 0..600usize, extreme_member()).prop_map(|(name, count, member)| {
            format!("\"{name}\":{{~{count}:{member},~\"z\":0}}")
        }),
        (1..40usize, 0..18_000usize).prop_map(|(count, size)| {
            let value = "x".repeat(size.min(64));
            format!("\"extra\":{{~{count}:\"k#\":\"{value}\",~\"z\":\"~{size}:x~\"}}")
        }),
        list(extreme_breadcrumb().boxed()).prop_map(|list| format!("\"breadcrumbs\":[{list}]")),
        list(extreme_attachment().boxed()).prop_map(|list| format!("\"attachments\":[{list}]")),
    ];
    let change = prop_oneof![
        (field, "[a-c]", extreme_value(), about.clone()).prop_map(|(field, key, value, about)| {
            format!("[\"set\",\"{field}\",\"{key}\",{value}{about}]")
        }),
        (extreme_breadcrumb(), about)
            .prop_map(|(breadcrumb, about)| format!("[\"breadcrumb\",{breadcrumb}{about}]")),
        extreme_attachment().prop_map(|attachment| format!("[\"attachment\",{attachment}]")),
        Just("[\"clear-attachments\"]".to_owned()),
    ];
    prop_oneof![
        vec(member, 1..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        vec(change, 1..6).prop_map(|changes| format!("[{}]", changes.join(","))),
    ]
}

fn whole() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        (select(vec!["tags", "extra", "contexts", "attributes", "user"]), json::object())
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
    let single = select(vec!["user", "level", "transaction", "fingerprint", "propagation"]);
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

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn what_is_at_the_bounds_is_bounded_and_can_be_told_on(
        messages in vec(extreme(), 1..4),
    ) {
        scope(messages.join("\n").as_bytes());
    }
}

#[test]
fn what_the_bridge_saw_is_bounded_and_can_be_told_on() {
    let messages = corpus::bridge().into_iter().filter(|message| message.file.contains("cope"));
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
