//! Secrets are planted in all places that `docs/merge.md` lists, and nothing of them may arrive.

use guardhouse_main::merge::{FILTERED, Merge, Process, Scopes, WORDS};
use guardhouse_protocol::Envelope;
use serde_json::{Value, json};

use super::{OTHER, hear, identity, merge, now, rich};

const PAGE_OF_DOCS: &str = include_str!("../../../docs/merge.md");

/// What must not arrive. Nothing in it ends a URL or a query.
const SECRET: &str = "canary5ecret";

/// The rows of the table: item, place, what is looked for.
fn rows() -> Vec<[&'static str; 3]> {
    let head = "| item | place | looked for |";
    let table = PAGE_OF_DOCS.lines().skip_while(|line| *line != head).skip(2);
    let cells = |line: &'static str| {
        let mut cells = line.split('|').skip(1).map(|cell| cell.trim().trim_matches('`'));
        std::array::from_fn(|_| cells.next().expect("a row has three cells"))
    };
    table.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The words, as the page lists them.
fn words() -> Vec<String> {
    let list = PAGE_OF_DOCS.split("in any case: ").nth(1).expect("the list is there");
    let list = list.split('.').next().expect("it ends");
    list.split(',').map(|word| word.trim().to_owned()).collect()
}

/// What is put at a place, with one word.
fn planted(looked_for: &str, word: &str) -> Vec<Value> {
    let header = format!("X-{word}-Y");
    let fields = match word {
        "key" => ["api_key".to_owned(), "privateKey".to_owned()],
        _ => [format!("user_{word}"), word.to_uppercase()],
    };
    let login = format!("https://zoe:{SECRET}@h/a");
    let url = format!("https://h/a?a=1&x_{word}={SECRET}#{word}={SECRET}");
    match looked_for {
        "names of HTTP" => vec![
            json!({&header: SECRET, "Accept": "*"}),
            json!({&header: [SECRET]}),
            json!([[&header, SECRET], ["Accept", "*"]]),
        ],
        "names of fields" => {
            let mut all: Vec<Value> = Vec::new();
            for name in &fields {
                all.push(json!({name: SECRET, "a": 1}));
                all.push(json!({"a": {"b": [{name: {"c": SECRET}}]}}));
            }
            all.push(json!({"headers": {&header: SECRET}, "cookies": {word: SECRET}}));
            all.push(json!({"any": format!("see {login} and {url}")}));
            all
        }
        "attributes" => {
            let value = json!({"value": SECRET, "type": "string"});
            let url = json!({"value": url, "type": "string"});
            vec![
                json!({&fields[0]: value, &fields[1]: value}),
                json!({format!("http.request.header.{header}"): value}),
                json!({"url.full": url, "any": {"value": login, "type": "string"}}),
            ]
        }
        "URL" => vec![json!(login), json!(url), json!(format!("/a?{word}={SECRET}"))],
        "query" => vec![json!(format!("a=1&x_{word}={SECRET}"))],
        "cookies" => vec![json!(format!("a=1; x_{word}={SECRET}"))],
        "text" => vec![json!(format!("see {login}, '{login}' and {url}"))],
        "description" => {
            vec![json!(format!("GET {login} {url}")), json!(format!("GET /a?{word}={SECRET}&b=2"))]
        }
        other => panic!("nobody knows what {other} is"),
    }
}

/// JSON with a value at a place.
fn nested(place: &str, value: &Value) -> Value {
    place.rsplit('/').fold(value.clone(), |value, step| match step {
        "0" => json!([value]),
        key => json!({key: value}),
    })
}

fn envelope(item: &str, payload: &Value) -> Envelope {
    let container = |name: &str| json!({"type": name, "item_count": 1});
    let header = match item {
        "containers of spans" => container("span"),
        "containers of logs" => container("log"),
        "containers of metrics" => container("trace_metric"),
        name => json!({"type": name}),
    };
    let text = format!("{{}}\n{header}\n{payload}\n");
    Envelope::parse(text.into_bytes()).unwrap()
}

fn is_clean(envelope: &Envelope, what: &str) {
    let text = String::from_utf8(envelope.to_bytes().to_vec()).unwrap();
    assert!(!text.contains(SECRET), "{what} arrives:\n{text}");
    assert!(text.contains(FILTERED), "{what} is gone, and not filtered:\n{text}");
}

#[test]
fn promise_10_every_word_of_the_list_is_filtered_in_every_place_of_the_table() {
    let (rows, words) = (rows(), words());
    assert!(rows.len() > 40, "the table is there");
    assert_eq!(words, WORDS, "the page and the code say the same");
    // A scope that is filtered itself would hide that an event is not.
    let (merged_by, mut scopes) = (Merge::new(identity()), Scopes::new(100));
    for [item, place, looked_for] in rows {
        for word in &words {
            for planted in planted(looked_for, word) {
                let payload = nested(place, &planted);
                let what = format!("{item} {payload}");
                let merged = merge(&merged_by, &mut scopes, envelope(item, &payload));
                is_clean(&merged.envelope.unwrap(), &what);
                if item == "replay_event" {
                    // Main has no pages to record.
                    continue;
                }
                let scope = scopes.merged(Process::Main);
                let own = merged_by.main(envelope(item, &payload), &scope, now());
                is_clean(&own.envelope.unwrap(), &format!("of main: {what}"));
            }
        }
    }
}

#[test]
fn promise_10_what_is_set_in_a_scope_is_filtered_as_well() {
    for word in WORDS {
        for scope in [
            json!({"extra": {"any": &planted("names of fields", word)[0]}}),
            json!({"contexts": {"any": &planted("names of fields", word)[1]}}),
            json!({"breadcrumbs": [{"timestamp": 1, "data": &planted("names of fields", word)[0]}]}),
            json!({"breadcrumbs": [{"timestamp": 1, "message": &planted("text", word)[0]}]}),
            json!({"tags": {"any": format!("https://u:{SECRET}@h")}}),
            json!({"transactionName": &planted("description", word)[1]}),
        ] {
            let (merged_by, mut scopes) = (Merge::new(identity()), Scopes::new(100));
            hear(&mut scopes, Process::Renderer(OTHER), 1, &scope.to_string());
            let event = envelope("event", &json!({"level": "info"}));
            let merged = merge(&merged_by, &mut scopes, event);
            is_clean(&merged.envelope.unwrap(), &scope.to_string());
        }
    }
}

#[test]
fn what_is_no_secret_arrives_as_it_was() {
    let (merged_by, mut scopes) = rich();
    for payload in [
        json!({"extra": {"author": "zoe", "key": "Enter", "token_count": 3, "inside": "a=b"}}),
        json!({"breadcrumbs": [{"timestamp": 1, "message": "mail zoe@example.com", "data": {"url": "https://h/a?page=2"}}]}),
        json!({"message": "see https://h:80/@scope/a?page=2 and /a?b=c"}),
        json!({"contexts": {"session": {"name": "a"}, "keyboard": {"layout": "de"}}}),
        json!({"request": {"headers": {"Accept": "*"}, "env": {"SERVER_NAME": "h"}, "data": "a b=c"}}),
    ] {
        let merged = merge(&merged_by, &mut scopes, envelope("event", &payload));
        let arrived = merged.envelope.unwrap().items()[0].json().unwrap().text().to_owned();
        let arrived: Value = serde_json::from_str(&arrived).unwrap();
        // The scope lays something over each; what the event says itself is all there.
        let told = |member: &str| match member {
            "extra" => {
                payload["extra"].as_object().unwrap().keys().fold(json!({}), |mut told, key| {
                    told[key] = arrived["extra"][key].clone();
                    told
                })
            }
            "contexts" => {
                json!({"session": arrived["contexts"]["session"], "keyboard": arrived["contexts"]["keyboard"]})
            }
            "breadcrumbs" => json!([arrived["breadcrumbs"][0]]),
            member => arrived[member].clone(),
        };
        for (member, value) in payload.as_object().unwrap() {
            assert_eq!(&told(member), value, "{member}");
        }
    }
}
