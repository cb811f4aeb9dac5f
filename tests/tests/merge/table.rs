//! The table of who wins, which is also the documentation.

use guardhouse_main::merge::{Identity, Merge, Process, Scopes};
use guardhouse_protocol::Envelope;
use guardhouse_protocol::json::{Json, ObjectWriter};

use super::{OTHER, PAGE, hear, merge};

const PAGE_OF_DOCS: &str = include_str!("../../../docs/merge.md");

struct Row<'a> {
    path: Vec<&'a str>,
    event: Option<&'a str>,
    own: Option<&'a str>,
    another: Option<&'a str>,
    main: Option<&'a str>,
    arrives: Option<&'a str>,
}

fn rows() -> Vec<Row<'static>> {
    let head = "| member | event | own process | another | main | arrives |";
    let table = PAGE_OF_DOCS.lines().skip_while(|line| *line != head).skip(2);
    table
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cell = |index: usize| {
                let cell = line.split('|').nth(index + 1).expect("a row has six cells").trim();
                (cell != "–").then(|| cell.trim_matches('`'))
            };
            let path = cell(0).expect("a row names a member").split('/').collect();
            let (event, own, another) = (cell(1), cell(2), cell(3));
            Row { path, event, own, another, main: cell(4), arrives: cell(5) }
        })
        .collect()
}

/// An object with a value at a path.
fn nested(path: &[&str], value: &str) -> Json {
    let value = Json::parse(value.as_bytes()).expect("the table holds JSON");
    path.iter().rev().fold(value, |value, key| {
        let mut object = ObjectWriter::new();
        object.member(key, value);
        object.finish()
    })
}

/// What a page's SDK calls a member of its scope.
fn scope(path: &[&str], value: &str) -> String {
    let path: Vec<&str> = path
        .iter()
        .map(|key| if *key == "transaction" { "transactionName" } else { key })
        .collect();
    nested(&path, value).text().to_owned()
}

#[test]
fn every_row_of_the_table_is_as_it_says() {
    let rows = rows();
    assert!(rows.len() > 40, "the table is there");
    for (number, row) in rows.iter().enumerate() {
        let mut identity = Identity::new("production").app_roots(["/opt/desk"]);
        if let Some(known) = row.main {
            let json = Json::parse(known.as_bytes()).unwrap();
            let text = json.as_value().as_str().unwrap_or_default().into_owned();
            identity = match *row.path {
                ["release"] => identity.release(&text),
                ["dist"] => identity.release("desk@5").dist(&text),
                ["environment"] => identity,
                ["contexts", name] => {
                    identity.set_context(name, &json);
                    identity
                }
                _ => panic!("row {number}: main knows nothing of the kind"),
            };
        }
        let mut scopes = Scopes::new(100);
        if let Some(own) = row.own {
            hear(&mut scopes, Process::Renderer(PAGE), 1, &scope(&row.path, own));
        }
        if let Some(another) = row.another {
            hear(&mut scopes, Process::Renderer(OTHER), 2, &scope(&row.path, another));
        }
        let event = match row.event {
            Some(value) => nested(&row.path, value).text().to_owned(),
            None => "{}".to_owned(),
        };
        let envelope = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n");
        let envelope = Envelope::parse(envelope.into_bytes()).unwrap();
        let merged = merge(&Merge::new(identity), &mut scopes, envelope).envelope.unwrap();
        let merged = merged.items()[0].json().unwrap();
        let there = merged.at(&row.path).map(|value| value.text().to_owned());
        assert_eq!(there.as_deref(), row.arrives, "row {}: {:?}", number + 1, row.path);
    }
}
