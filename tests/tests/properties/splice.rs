//! Changes to JSON: the same as on a tree, and nothing else touched.

use guardhouse_protocol::json::Object;
use guardhouse_tests::oracle::splice::{Change, check, splice};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{config, json};

fn change() -> impl Strategy<Value = Change> {
    let path = vec(select(vec!["a", "b", "c", "tags", "release", "new"]), 1..4);
    (select(vec!['s', 's', 'i', 'r', 'o', 'u']), path, json::value()).prop_map(
        |(letter, path, value)| {
            let line = format!("{letter}{} {value}", path.join("/"));
            Change::parse(line.as_bytes()).expect("a generated change can be read")
        },
    )
}

/// An object with so many members that there is an index of them, and changes to it.
fn large() -> impl Strategy<Value = (String, Vec<Change>)> {
    let key = || (0..140_u32).prop_map(|n| format!("k{n}"));
    let members = vec((key(), any::<bool>(), 0..9_u32), 70..130);
    let text = members.prop_map(|members| {
        let members: Vec<_> = members
            .iter()
            .map(|(key, is_escaped, value)| match is_escaped {
                true => format!("\"\\u006b{}\":{value}", &key[1..]),
                false => format!("\"{key}\":{value}"),
            })
            .collect();
        format!("{{{}}}", members.join(","))
    });
    let change = (select(vec!['s', 'i', 'r', 'r']), key()).prop_map(|(letter, key)| {
        Change::parse(format!("{letter}{key} 1").as_bytes()).expect("it can be read")
    });
    (text, vec(change, 20..60))
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn changes_to_large_objects_are_no_different((text, changes) in large()) {
        check(text.as_bytes(), &changes);
    }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn changes_have_the_result_that_they_have_on_a_tree(
        text in json::object(),
        changes in vec(change(), 0..6),
    ) {
        check(text.as_bytes(), &changes);
    }

    #[test]
    fn text_that_is_nearly_json_is_judged_as_serde_json_judges_it(
        text in json::object(),
        at in any::<prop::sample::Index>(),
        replacement in prop_oneof![
            select(vec!["", "\"", "\\", "{", "}", "[", "]", ",", ":", "0", "-", ".", "e", "n", "\u{1}"])
                .prop_map(str::to_owned),
            any::<char>().prop_map(String::from),
        ],
    ) {
        let mut broken: Vec<char> = text.chars().collect();
        let at = at.index(broken.len());
        broken.splice(at..=at, replacement.chars());
        let broken = String::from_iter(broken);
        splice(broken.replace('\n', " ").as_bytes());
    }

    #[test]
    fn members_are_found_as_serde_json_finds_them(text in json::object()) {
        let object = Object::parse(text.as_bytes()).unwrap();
        prop_assume!(object.is_decodable());
        let tree: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (key, expected) in tree.as_object().unwrap() {
            let found = object.get(key).expect("a member that is there is found");
            let found: serde_json::Value = serde_json::from_str(found.text()).unwrap();
            prop_assert_eq!(&found, expected);
        }
    }
}
