//! Envelopes: read as what they were written from, and edited like a plain model of one.

use bytes::Bytes;
use guardhouse_protocol::json::{Object, Value};
use guardhouse_protocol::{Envelope, Item};
use guardhouse_tests::oracle::{self, plain::Tree};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::{config, json};

/// An envelope done plainly: strings that are put together.
#[derive(Clone, Debug)]
struct Model {
    header: Vec<(String, String)>,
    items: Vec<ModelItem>,
    ends_with_newline: bool,
}

#[derive(Clone, Debug)]
struct ModelItem {
    blank_lines: usize,
    /// The members of the header, `type` and perhaps `length` among them.
    header: Vec<(String, String)>,
    payload: Vec<u8>,
}

impl Model {
    fn write(&self) -> Vec<u8> {
        let mut out = write_object(&self.header).into_bytes();
        for item in &self.items {
            out.push(b'\n');
            out.extend(std::iter::repeat_n(b'\n', item.blank_lines));
            out.extend(write_object(&item.header).into_bytes());
            out.push(b'\n');
            out.extend(&item.payload);
        }
        if self.ends_with_newline {
            out.push(b'\n');
        }
        out
    }
}

impl ModelItem {
    fn get(&self, name: &str) -> Option<&str> {
        self.header.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn set_payload(&mut self, payload: Vec<u8>) {
        let is_right = match self.get("length").filter(|length| *length != "null") {
            Some(length) => length == payload.len().to_string(),
            None => !payload.contains(&b'\n'),
        };
        if !is_right {
            set(&mut self.header, "length", payload.len() as u64);
        }
        self.payload = payload;
    }
}

fn write_object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn extra_members() -> impl Strategy<Value = Vec<(String, String)>> {
    vec(
        (select(vec!["x", "y", "filename", "platform"]).prop_map(str::to_owned), json::value()),
        0..3,
    )
}

fn item() -> impl Strategy<Value = ModelItem> {
    let payload = prop_oneof![
        json::object().prop_map(String::into_bytes),
        vec(any::<u8>(), 0..40),
        Just(Vec::new()),
    ];
    let item_type = select(vec!["event", "attachment", "log", "x_new", "transaction"]);
    (0..3_usize, extra_members(), item_type, any::<bool>(), extra_members(), payload).prop_map(
        |(blank_lines, mut header, item_type, has_length, after, payload)| {
            header.push(("type".into(), format!("\"{item_type}\"")));
            // Without a length there can be no newline in the payload.
            if has_length || payload.contains(&b'\n') {
                header.push(("length".into(), payload.len().to_string()));
            }
            header.extend(after);
            ModelItem { blank_lines, header, payload }
        },
    )
}

fn model() -> impl Strategy<Value = Model> {
    (extra_members(), option::of("[0-9a-f]{32}"), vec(item(), 0..5), any::<bool>()).prop_map(
        |(mut header, event_id, items, ends_with_newline)| {
            if let Some(id) = event_id {
                header.push(("event_id".into(), format!("\"{id}\"")));
            }
            Model { header, items, ends_with_newline }
        },
    )
}

#[derive(Clone, Debug)]
enum Edit {
    SetPayload(Index, Vec<u8>),
    SetMember(Index, &'static str, u64),
    Push(Vec<u8>),
    Remove(Index),
    SetHeader(&'static str, u64),
    RemoveMember(Index, &'static str),
    RemoveHeader(&'static str),
    InPayload(Index, &'static str, u64),
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = || select(vec!["x", "y", "z"]);
    prop_oneof![
        (any::<Index>(), vec(any::<u8>(), 0..20)).prop_map(|(i, bytes)| Edit::SetPayload(i, bytes)),
        (any::<Index>(), name(), any::<u64>()).prop_map(|(i, name, n)| Edit::SetMember(i, name, n)),
        vec(any::<u8>(), 0..20).prop_map(Edit::Push),
        any::<Index>().prop_map(Edit::Remove),
        (name(), any::<u64>()).prop_map(|(name, n)| Edit::SetHeader(name, n)),
        (any::<Index>(), name()).prop_map(|(i, name)| Edit::RemoveMember(i, name)),
        name().prop_map(Edit::RemoveHeader),
        (any::<Index>(), select(vec!["a", "tags", "new"]), any::<u64>())
            .prop_map(|(i, name, n)| Edit::InPayload(i, name, n)),
    ]
}

/// Sets the last member of a name, or adds one behind the others. A header that is changed keeps one
/// of those that stand twice.
fn set(members: &mut Vec<(String, String)>, name: &str, value: u64) {
    match members.iter_mut().rev().find(|(key, _)| key == name) {
        Some((_, there)) => *there = value.to_string(),
        None => members.push((name.into(), value.to_string())),
    }
    drop_duplicates(members);
}

fn drop_duplicates(members: &mut Vec<(String, String)>) {
    let all = members.clone();
    let mut index = 0;
    members.retain(|(key, _)| {
        index += 1;
        all[index..].iter().all(|(later, _)| later != key)
    });
}

impl Edit {
    fn apply(&self, model: &mut Model, envelope: &mut Envelope) {
        match self {
            Self::SetPayload(index, payload) if !model.items.is_empty() => {
                let index = index.index(model.items.len());
                model.items[index].set_payload(payload.clone());
                envelope.items_mut()[index].set_payload(payload.clone()).unwrap();
            }
            Self::SetMember(index, name, value) if !model.items.is_empty() => {
                let index = index.index(model.items.len());
                set(&mut model.items[index].header, name, *value);
                envelope.items_mut()[index].set_header(name, *value).unwrap();
            }
            Self::Push(payload) => {
                let mut item = ModelItem {
                    blank_lines: 0,
                    header: vec![("type".into(), "\"pushed\"".into())],
                    payload: Vec::new(),
                };
                set(&mut item.header, "length", payload.len() as u64);
                item.set_payload(payload.clone());
                model.items.push(item);
                let pushed = Item::new("pushed", Bytes::from(payload.clone())).unwrap();
                envelope.push(pushed).unwrap();
            }
            Self::Remove(index) if !model.items.is_empty() => {
                let remove = index.index(model.items.len());
                model.items.remove(remove);
                let mut index = 0;
                envelope.retain(|_| {
                    index += 1;
                    index - 1 != remove
                });
            }
            Self::SetHeader(name, value) => {
                set(&mut model.header, name, *value);
                envelope.header_mut().set(name, *value).unwrap();
            }
            Self::RemoveMember(index, name) if !model.items.is_empty() => {
                let index = index.index(model.items.len());
                let header = &mut model.items[index].header;
                header.retain(|(key, _)| key != name);
                drop_duplicates(header);
                envelope.items_mut()[index].remove_header(name).unwrap();
            }
            Self::RemoveHeader(name) => {
                model.header.retain(|(key, _)| key != name);
                drop_duplicates(&mut model.header);
                envelope.header_mut().remove(name).unwrap();
            }
            Self::InPayload(index, name, value) if !model.items.is_empty() => {
                let index = index.index(model.items.len());
                let item = &mut envelope.items_mut()[index];
                let is_made = item.edit(|payload| payload.set(&[name], *value)).is_ok();
                let model = &mut model.items[index];
                let text = String::from_utf8(model.payload.clone()).ok();
                let plain = text.filter(|text| Object::parse(text.as_bytes()).is_ok());
                assert_eq!(is_made, plain.is_some());
                if let Some(text) = plain {
                    let mut plain = Tree::parse(&text);
                    plain.set(&[name], &value.to_string()).unwrap();
                    model.set_payload(plain.text().into_bytes());
                }
            }
            Self::SetPayload(..)
            | Self::SetMember(..)
            | Self::Remove(_)
            | Self::RemoveMember(..)
            | Self::InPayload(..) => {}
        }
    }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn what_is_read_is_what_was_written(model in model()) {
        let bytes = model.write();
        let envelope = Envelope::parse(bytes.clone()).unwrap();
        prop_assert_eq!(envelope.to_bytes(), bytes);
        prop_assert_eq!(envelope.items().len(), model.items.len());
        for (item, model) in envelope.items().iter().zip(&model.items) {
            prop_assert_eq!(item.get("type").unwrap().text(), model.get("type").unwrap());
            prop_assert_eq!(item.get("length").map(Value::text), model.get("length"));
            prop_assert_eq!(item.payload(), &model.payload);
        }
    }

    #[test]
    fn edits_have_the_result_that_they_have_on_a_plain_model(
        model in model(),
        edits in vec(edit(), 1..8),
    ) {
        let mut model = model;
        let mut envelope = Envelope::parse(model.write()).unwrap();
        for edit in &edits {
            edit.apply(&mut model, &mut envelope);
        }
        prop_assert_eq!(envelope.to_bytes(), model.write());
    }

    #[test]
    fn whatever_is_broken_nothing_is_lost_or_made_up(
        model in model(),
        at in any::<Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = model.write();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        oracle::envelope::envelope(&bytes);
    }
}
