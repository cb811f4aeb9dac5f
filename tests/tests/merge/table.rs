//! The table of who wins, which is also the documentation.

use guardhouse_main::merge::{Identity, Merge, Process, Scopes};
use guardhouse_protocol::json::{Json, ObjectWriter, Value};
use guardhouse_protocol::{Envelope, Timestamp};

use super::{OTHER, PAGE, hear, merge, page};

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

/// A row about breadcrumbs: the event's time, its own, those of others, from and to when the clock was
/// set back, and those that arrive.
struct Crumbs<'a> {
    time: Option<&'a str>,
    own: Vec<&'a str>,
    others: Vec<&'a str>,
    set_back: Option<(i64, i64)>,
    arrive: Vec<&'a str>,
}

fn rows_about_breadcrumbs() -> Vec<Crumbs<'static>> {
    let head = "| the event's time | its own | others | the clock was set back | arrive |";
    let table = PAGE_OF_DOCS.lines().skip_while(|line| *line != head).skip(2);
    table
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cell = |index: usize| line.split('|').nth(index + 1).expect("five cells").trim();
            let list = |index: usize| -> Vec<&str> {
                let words = cell(index).split_whitespace().filter(|word| *word != "–");
                words.map(|word| word.trim_matches('`')).collect()
            };
            let set_back = cell(3).strip_prefix("from ").map(|words| {
                let (from, to) = words.split_once(" to ").expect("from and to");
                (from.parse().unwrap(), to.parse().unwrap())
            });
            let time = list(0).first().copied();
            Crumbs { time, own: list(1), others: list(2), set_back, arrive: list(4) }
        })
        .collect()
}

#[test]
fn every_row_about_breadcrumbs_is_as_it_says() {
    let rows = rows_about_breadcrumbs();
    assert!(rows.len() > 10, "the table is there");
    let at = |seconds| Timestamp::from_unix(seconds, 0);
    for (number, row) in rows.iter().enumerate() {
        let crumbs = |times: &[&str]| {
            let crumbs: Vec<_> =
                times.iter().map(|time| format!("{{\"timestamp\":{time}}}")).collect();
            crumbs.join(",")
        };
        let mut scopes = Scopes::new(3);
        let told = format!("{{\"breadcrumbs\":[{}]}}", crumbs(&row.others));
        hear(&mut scopes, Process::Renderer(OTHER), 100, &told);
        scopes.set_times_twice(row.set_back.map(|(from, to)| at(to)..at(from)));
        let time = row.time.map(|time| format!("\"timestamp\":{time},")).unwrap_or_default();
        let event = format!("{{{time}\"breadcrumbs\":[{}]}}", crumbs(&row.own));
        let envelope = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n");
        let envelope = Envelope::parse(envelope.into_bytes()).unwrap();
        let page = page();
        let merged = Merge::new(Identity::new("production")).renderer(
            envelope,
            &page,
            &scopes.merged(page.process()),
            at(100),
            0.5,
        );
        let merged = merged.envelope.unwrap();
        let event = merged.items()[0].json().unwrap();
        let arrived: Vec<String> = event
            .get("breadcrumbs")
            .and_then(Value::elements)
            .expect("it is a list")
            .map(|crumb| crumb.as_object().unwrap().get("timestamp").unwrap().text().to_owned())
            .collect();
        assert_eq!(arrived, row.arrive, "row {}", number + 1);
    }
}
