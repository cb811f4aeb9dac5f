//! What each kind of change does to the text.

use super::*;
use crate::json::Json;
use crate::limits::JSON_MEMBERS;

fn splice<'v>(text: &str) -> Splice<'_, 'v> {
    Splice::new(Object::parse(text.as_bytes()).unwrap())
}

#[test]
fn without_changes_every_byte_stays() {
    for text in [" { } ", r#"{"a" :1.0e0,"a":[ ],"\u0062":"\ud83d"}"#] {
        assert_eq!(splice(text).finish(), text);
    }
}

#[test]
fn a_value_is_replaced_where_it_stands() {
    let mut s = splice(r#"{ "a" : 1 , "b":2 }"#);
    s.set(&["a"], "x").unwrap();
    assert_eq!(s.finish(), r#"{ "a" : "x" , "b":2 }"#);
    s.set(&["a"], true).unwrap();
    s.set(&["b"], Json::null()).unwrap();
    assert_eq!(s.finish(), r#"{ "a" : true , "b":null }"#);
}

#[test]
fn new_members_come_last() {
    for (text, expected) in [
        ("{}", r#"{"a":1,"b":2}"#),
        ("{ }", r#"{"a":1,"b":2 }"#),
        (r#"{"c":3}"#, r#"{"c":3,"a":1,"b":2}"#),
        ("{ \"c\": 3\n}\n", "{ \"c\": 3,\"a\":1,\"b\":2\n}\n"),
    ] {
        let mut s = splice(text);
        s.set(&["a"], 1_u64).unwrap();
        s.set(&["b"], 2_u64).unwrap();
        assert_eq!(s.finish(), expected);
    }
}

#[test]
fn members_go_with_what_separates_them() {
    let text = r#"{ "a":1, "b":2 , "c":3 }"#;
    for (keys, expected) in [
        (&["a"][..], r#"{ "b":2 , "c":3 }"#),
        (&["b"], r#"{ "a":1, "c":3 }"#),
        (&["c"], r#"{ "a":1, "b":2 }"#),
        (&["a", "b"], r#"{ "c":3 }"#),
        (&["b", "c"], r#"{ "a":1 }"#),
        (&["a", "c"], r#"{ "b":2 }"#),
        (&["c", "a", "b"], r#"{  }"#),
    ] {
        let mut s = splice(text);
        for key in keys {
            assert!(s.remove(&[key]).unwrap());
            assert!(!s.remove(&[key]).unwrap());
        }
        assert_eq!(s.finish(), expected);
        s.set(&["n"], 0_u64).unwrap();
        Object::parse(s.finish().as_bytes()).unwrap();
    }
}

#[test]
fn of_several_the_last_is_replaced_and_all_are_removed() {
    let text = r#"{"a":1,"b":2,"\u0061":3}"#;
    let mut s = splice(text);
    s.set(&["a"], 4_u64).unwrap();
    assert_eq!(s.finish(), r#"{"a":1,"b":2,"\u0061":4}"#);
    s.remove(&["a"]).unwrap();
    assert_eq!(s.finish(), r#"{"b":2}"#);
    s.set(&["a"], 5_u64).unwrap();
    assert_eq!(s.finish(), r#"{"b":2,"a":5}"#);
}

#[test]
fn paths_open_and_make_objects() {
    let mut s = splice(r#"{"tags":{ "a":"1" },"contexts":null}"#);
    s.set(&["tags", "b"], "2").unwrap();
    s.set(&["contexts", "device", "name"], "x").unwrap();
    s.set(&["new", "deep"], 1_u64).unwrap();
    assert_eq!(
        s.finish(),
        r#"{"tags":{ "a":"1","b":"2" },"contexts":{"device":{"name":"x"}},"new":{"deep":1}}"#
    );
    assert_eq!(s.get(&["contexts", "device", "name"]).as_deref(), Some(r#""x""#));
    assert_eq!(s.get(&["tags"]).as_deref(), Some(r#"{ "a":"1","b":"2" }"#));
    assert_eq!(s.get(&["tags", "c"]), None);
}

#[test]
fn changes_see_the_changes_before_them() {
    let object = Json::parse(br#"{"x":1,"y":{"z":2}}"#).unwrap();
    let mut s = splice(r#"{"a":{"b":0}}"#);
    s.set(&["a"], &object).unwrap();
    s.set(&["a", "y", "z"], 3_u64).unwrap();
    s.set(&["n"], &object).unwrap();
    s.remove(&["n", "x"]).unwrap();
    assert_eq!(s.finish(), r#"{"a":{"x":1,"y":{"z":3}},"n":{"y":{"z":2}}}"#);
    s.set(&["a"], 0_u64).unwrap();
    assert_eq!(s.finish(), r#"{"a":0,"n":{"y":{"z":2}}}"#);
}

#[test]
fn insert_leaves_what_is_there() {
    let mut s = splice(r#"{"a":1,"n":null}"#);
    assert!(!s.insert(&["a"], 2_u64).unwrap());
    assert!(s.insert(&["n"], 3_u64).unwrap());
    assert!(s.insert(&["o", "p"], 4_u64).unwrap());
    assert!(!s.insert(&["o", "p"], 5_u64).unwrap());
    assert_eq!(s.finish(), r#"{"a":1,"n":3,"o":{"p":4}}"#);
}

#[test]
fn a_merge_asks_who_wins() {
    let text = r#"{"u":{"id":1,"name":null,"\ud83d":1}}"#;
    let other = Object::parse(br#"{"id":2,"name":"Z","x":true,"\uD83D":2}"#).unwrap();
    for (precedence, expected) in [
        (Precedence::Present, r#"{"u":{"id":1,"name":"Z","\ud83d":1,"x":true}}"#),
        (Precedence::Incoming, r#"{"u":{"id":2,"name":"Z","\ud83d":2,"x":true}}"#),
    ] {
        let mut s = splice(text);
        s.merge(&["u"], &other, precedence).unwrap();
        assert_eq!(s.finish(), expected);
    }
    let twice = Object::parse(br#"{"x":1,"x":2}"#).unwrap();
    for precedence in [Precedence::Present, Precedence::Incoming] {
        let mut s = splice("{}");
        s.merge(&[], &twice, precedence).unwrap();
        assert_eq!(s.finish(), r#"{"x":2}"#);
    }
    let mut s = splice("{}");
    s.merge(&["n"], &other, Precedence::Present).unwrap();
    s.merge(&[], &Object::parse(b"{\"m\":1}").unwrap(), Precedence::Present).unwrap();
    assert_eq!(s.finish(), r#"{"n":{"id":2,"name":"Z","x":true,"\ud83d":2},"m":1}"#);
}

#[test]
fn what_is_no_object_is_left_alone_and_named() {
    let text = r#"{"tags":[["a","1"]],"a":{"b":"c"}}"#;
    let mut s = splice(text);
    for (path, named) in [
        (&["tags", "x"][..], "tags"),
        (&["a", "b", "c"], "a / b"),
        (&["a", "b", "c", "d"], "a / b"),
    ] {
        for error in [
            s.set(path, true).unwrap_err(),
            s.insert(path, true).unwrap_err(),
            s.remove(path).unwrap_err(),
        ] {
            assert!(error.is_not_an_object());
            assert_eq!(
                error.to_string(),
                format!(
                    "cannot change what is inside `{named}`: it is not an object, or too large"
                )
            );
        }
    }
    let other = Object::parse(b"{\"m\":1}").unwrap();
    let error = s.merge(&["tags"], &other, Precedence::Incoming).unwrap_err();
    assert!(error.to_string().contains("`tags`"), "{error}");
    let error = s.merge(&["a", "b"], &other, Precedence::Incoming).unwrap_err();
    assert!(error.to_string().contains("`a / b`"), "{error}");
    assert!(s.set(&[], true).is_err());
    assert_eq!(s.finish(), text);
}

#[test]
fn the_result_is_never_too_deep_to_be_read() {
    let nested = "[".repeat(JSON_DEPTH - 1) + &"]".repeat(JSON_DEPTH - 1);
    let nested = Json::parse(nested.as_bytes()).unwrap();
    let mut s = splice("{}");
    assert!(s.set(&["a", "b"], &nested).is_err());
    s.set(&["a"], &nested).unwrap();
    Object::parse(s.finish().as_bytes()).unwrap();
}

#[test]
fn looking_is_no_change() {
    let mut s = splice(r#"{"tags":{"a":1},"n":null}"#);
    assert!(!s.remove(&["tags", "b"]).unwrap());
    assert!(!s.remove(&["n", "b"]).unwrap());
    assert!(!s.insert(&["tags", "a"], 2_u64).unwrap());
    assert!(!s.is_changed());
}

#[test]
fn what_a_change_has_put_there_is_changed_like_the_text() {
    let object = Json::parse(br#"{"b":2, "\u0061":1, "b":3}"#).unwrap();
    let mut s = splice("{}");
    s.set(&["n"], &object).unwrap();
    s.set(&["n", "b"], 4_u64).unwrap();
    s.set(&["n", "c"], 5_u64).unwrap();
    assert_eq!(s.finish(), r#"{"n":{"b":2, "\u0061":1, "b":4,"c":5}}"#);
}

#[test]
fn values_are_replaced_wherever_they_stand() {
    let text = r#"{"a":[{"f":"1","g":[ 2 ]},{"f":"1"}],"b":{"f":"1"}, "c":"1"}"#;
    let object = Object::parse(text.as_bytes()).unwrap();
    let mut s = Splice::new(object.clone());
    let frames: Vec<_> = object.get("a").unwrap().elements().unwrap().collect();
    let file = |index: usize| frames[index].as_object().unwrap().get("f").unwrap();
    s.replace(file(1), "second").unwrap();
    s.replace(file(0), "first").unwrap();
    s.replace(object.at(&["b", "f"]).unwrap(), "third").unwrap();
    s.replace(object.get("c").unwrap(), "gone").unwrap();
    assert_eq!(
        s.finish(),
        r#"{"a":[{"f":"first","g":[ 2 ]},{"f":"second"}],"b":{"f":"third"}, "c":"gone"}"#
    );
    // Other changes win over what stands in what they change.
    s.set(&["b", "x"], 1_u64).unwrap();
    s.remove(&["c"]).unwrap();
    s.replace(frames[0], "whole").unwrap();
    assert_eq!(s.finish(), r#"{"a":["whole",{"f":"second"}],"b":{"f":"third","x":1}}"#);
    s.set(&["a"], 0_u64).unwrap();
    assert_eq!(s.finish(), r#"{"a":0,"b":{"f":"third","x":1}}"#);

    let other = Object::parse(br#"{"a":1}"#).unwrap();
    assert!(s.replace(other.get("a").unwrap(), 1_u64).is_err());
}

#[test]
fn members_of_large_objects_are_found_like_those_of_small_ones() {
    let members: Vec<_> = (0..500).map(|n| format!("\"k{n}\":{n}")).collect();
    let text = format!("{{{},\"k7\":\"last\",\"\\u006b8\":\"last\"}}", members.join(","));
    let mut s = splice(&text);
    for n in 0..200 {
        let (key, new) = (format!("k{n}"), format!("new{n}"));
        if n == 100 {
            // By now there is an index, which has to follow.
            s.set(&["late"], 1_u64).unwrap();
            assert!(!s.insert(&["late"], 2_u64).unwrap());
            assert!(s.remove(&["late"]).unwrap() && !s.remove(&["late"]).unwrap());
            s.set(&["late"], 3_u64).unwrap();
        }
        match n % 4 {
            0 => s.set(&[&key], n).unwrap(),
            1 => assert!(s.remove(&[&key]).unwrap()),
            2 => assert!(!s.insert(&[&key], true).unwrap()),
            _ => s.set(&[&new], n).unwrap(),
        }
    }
    assert!(s.insert(&["k1"], "back").unwrap());
    assert!(s.remove(&["new3"]).unwrap());
    s.set(&["new7"], "again").unwrap();
    let text = s.finish();
    let object = Object::parse(text.as_bytes()).unwrap();
    let keys: std::collections::HashSet<_> = object.members().map(|member| member.key()).collect();
    // But for the two keys that stood twice before, and still do.
    assert_eq!(object.len(), keys.len() + 2);
    for (key, value) in [
        ("late", Some("3")),
        ("k0", Some("0")),
        ("k1", Some("\"back\"")),
        ("k2", Some("2")),
        ("k5", None),
        ("k7", Some("\"last\"")),
        ("k8", Some("8")),
        ("new3", None),
        ("new7", Some("\"again\"")),
        ("new199", Some("199")),
    ] {
        assert_eq!(object.get(key).map(Value::text), value, "{key}");
    }
}

#[test]
fn room_is_made_for_the_result_and_not_for_every_level_of_it() {
    let nested = "{\"a\":".repeat(100) + "0" + &"}".repeat(100);
    let text = nested.replacen('0', &format!("{{\"x\":\"{}\"}}", "y".repeat(10_000)), 1);
    let mut s = splice(&text);
    let path: Vec<_> = vec!["a"; 100].into_iter().chain(["new"]).collect();
    s.set(&path, 1_u64).unwrap();
    assert!(s.finish().capacity() < 2 * text.len());
}

#[test]
fn a_replacement_is_lost_only_to_what_takes_it_apart() {
    let text = r#"{"b":{"f":"1","g":"2"},"c":"3"}"#;
    let object = Object::parse(text.as_bytes()).unwrap();
    let mut s = Splice::new(object.clone());
    s.replace(object.get("b").unwrap(), "whole").unwrap();
    s.replace(object.get("c").unwrap(), "first").unwrap();
    s.replace(object.get("c").unwrap(), "second").unwrap();
    assert_eq!(s.finish(), r#"{"b":"whole","c":"second"}"#);
    s.set(&["b", "x"], 1_u64).unwrap();
    s.replace(object.at(&["b", "f"]).unwrap(), "new").unwrap();
    assert_eq!(s.finish(), r#"{"b":{"f":"new","g":"2","x":1},"c":"second"}"#);
    // The object itself is not replaced by a part of itself.
    assert!(s.replace(object.as_value(), "x").is_err());
}

#[test]
fn no_merge_and_no_replacement_makes_the_result_too_deep_to_be_read() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    for (depth, fits) in [(JSON_DEPTH - 2, true), (JSON_DEPTH - 1, false)] {
        let other = format!("{{\"x\":{}}}", nested(depth));
        let other = Object::parse(other.as_bytes()).unwrap();
        let mut s = splice("{}");
        assert_eq!(s.merge(&["a"], &other, Precedence::Incoming).is_ok(), fits, "{depth}");
        Object::parse(s.finish().as_bytes()).unwrap();

        let value = Json::parse(nested(depth).as_bytes()).unwrap();
        let object = Object::parse(br#"{"a":[1]}"#).unwrap();
        let mut s = Splice::new(object.clone());
        let one = object.get("a").unwrap().elements().unwrap().next().unwrap();
        assert_eq!(s.replace(one, &value).is_ok(), fits, "{depth}");
        Object::parse(s.finish().as_bytes()).unwrap();
    }
}

#[test]
fn no_change_makes_more_members_than_can_be_read() {
    let full = format!("{{{}}}", vec!["\"\":0"; JSON_MEMBERS].join(","));
    let text = format!("{{\"n\":{full}}}");
    let more = Object::parse(br#"{"":1,"x":2}"#).unwrap();
    let mut s = splice(&full);
    assert!(s.set(&["x"], 1_u64).is_err());
    assert!(s.set(&["x", "y"], 1_u64).is_err());
    assert!(s.insert(&["x"], 1_u64).is_err());
    assert!(s.merge(&[], &more, Precedence::Incoming).is_err());
    assert!(!s.is_changed());
    s.set(&[""], 1_u64).unwrap();
    Object::parse(s.finish().as_bytes()).unwrap();
    s.drop_duplicates();
    s.set(&["x"], 1_u64).unwrap();
    assert_eq!(s.finish(), r#"{"":1,"x":1}"#);

    let mut nested = splice(&text);
    let error = nested.set(&["n", "x"], 1_u64).unwrap_err();
    assert!(error.to_string().contains("`n / x`"), "{error}");
    Object::parse(nested.finish().as_bytes()).unwrap();
}
