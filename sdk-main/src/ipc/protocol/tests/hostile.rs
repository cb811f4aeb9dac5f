//! What nobody should send, and what becomes of it.

use std::collections::VecDeque;

use super::super::seats::{CONNECTIONS_EACH, OF_UNKNOWN};
use super::main::{Client, Main, PROOF, hello};
use crate::ipc::room::{CONNECTIONS, UNPROVEN};

const FINE: &str =
    "POST /status/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}content-length: 0\r\n\r\n";

#[tokio::test]
async fn each_refusal_has_its_status_and_is_counted() {
    let main = Main::start().await;
    let post = "POST /status/sentry_key HTTP/1.1";
    let cases: &[(&str, u16, &str)] = &[
        (&format!("{post}\r\n{{head}}\r\n"), 403, "host"),
        (&format!("{post}\r\nhost: localhost:1\r\n{{head}}\r\n"), 403, "host"),
        (&format!("{post}\r\nhost: evil.example\r\n{{head}}\r\n"), 403, "host"),
        (&format!("{post}\r\nhost: 127.0.0.1\r\n{{head}}\r\n"), 403, "host"),
        (&format!("{post}\r\nhost: {{host}}\r\nhost: {{host}}\r\n{{head}}\r\n"), 403, "host"),
        ("POST /status/sentry_key HTTP/1.0\r\n{head}\r\n", 403, "host"),
        (
            "POST http://evil.example/status/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\r\n",
            403,
            "host",
        ),
        ("CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n{head}\r\n", 404, "path"),
        ("CONNECT evil.example:443 HTTP/1.1\r\nhost: {host}\r\n{head}\r\n", 403, "host"),
        (&format!("{post}\r\nhost: {{host}}\r\norigin: null\r\n{{head}}\r\n"), 403, "origin"),
        (
            &format!("{post}\r\nhost: {{host}}\r\nOrigin: http://{{host}}\r\n{{head}}\r\n"),
            403,
            "origin",
        ),
        (
            &format!("{post}\r\nhost: {{host}}\r\nsec-fetch-site: none\r\n{{head}}\r\n"),
            403,
            "origin",
        ),
        ("OPTIONS /status/sentry_key HTTP/1.1\r\nhost: {host}\r\n\r\n", 403, "method"),
        ("OPTIONS * HTTP/1.1\r\nhost: {host}\r\n\r\n", 403, "method"),
        ("GET /status/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\r\n", 405, "method"),
        ("PUT /config/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\r\n", 405, "method"),
        ("POST /config/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\r\n", 405, "method"),
        ("BREW /hello/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\r\n", 405, "method"),
        ("POST /nothing/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\r\n", 404, "path"),
        ("POST /status/../status/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\r\n", 404, "path"),
        ("POST /%73tatus/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\r\n", 404, "path"),
        ("POST / HTTP/1.1\r\nhost: {host}\r\n{head}\r\n", 404, "path"),
        (&format!("{post}\r\nhost: {{host}}\r\n\r\n"), 401, "secret"),
        (&format!("{post}\r\nhost: {{host}}\r\nauthorization: Bearer x\r\n\r\n"), 401, "secret"),
        (&format!("{post}\r\nhost: {{host}}\r\n{{head}}{{head}}\r\n"), 400, "headers"),
        (
            &format!("{post}\r\nhost: {{host}}\r\n{{head}}guardhouse-message-id: -1\r\n\r\n"),
            400,
            "headers",
        ),
        (
            &format!("{post}\r\nhost: {{host}}\r\n{{head}}content-length: 4097\r\n\r\n"),
            413,
            "too-large",
        ),
        (
            &format!("{post}\r\nhost: {{host}}\r\n{{head}}content-length: 99999999999999\r\n\r\n"),
            413,
            "too-large",
        ),
    ];
    for (head, status, counted) in cases {
        let mut client = main.renderer().await;
        let before = main.turned_away(counted);
        client.send_head(head).await;
        let said = client.answer().await.unwrap();
        assert_eq!(said.status, *status, "{head}\n{said:?}");
        assert_eq!(main.turned_away(counted), before + 1, "{head}");
        assert!(!said.head.contains("access-control"), "{said:?}");
        assert_eq!(said.header("allow").is_some(), *status == 405);
    }
    assert!(!main.heard().iter().any(|heard| heard.starts_with("status")));
}

#[tokio::test]
async fn what_is_no_http_is_closed_and_costs_nobody_else_anything() {
    let main = Main::start().await;
    let mut good = main.renderer().await;
    let many = (0..40).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let long = format!("GET /{} HTTP/1.1\r\nhost: {{host}}\r\n\r\n", "x".repeat(100_000));
    let wide = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let post = "POST /status/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}";
    for (head, statuses) in [
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[][..]),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{7f}\x03\x03", &[400]),
        ("\0\0\0\0\r\n\r\n", &[400]),
        ("GET\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nx\0: y\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\n: y\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nx: y\r\n folded\r\n\r\n", &[400]),
        ("GET / HTTP/9.9\r\n\r\n", &[400]),
        (&format!("{post}{many}\r\n"), &[431]),
        (&long, &[414, 431]),
        (&wide, &[431]),
        (&format!("{post}content-length: 1\r\ncontent-length: 2\r\n\r\nx"), &[400]),
        (&format!("{post}content-length: -1\r\n\r\n"), &[400]),
        (&format!("{post}transfer-encoding: gzip\r\n\r\n"), &[400]),
    ] {
        let mut client = main.another(&good).await;
        let before = main.turned_away("headers");
        client.send_head(head).await;
        if let Some(said) = client.answer().await {
            assert!(statuses.contains(&said.status), "{head:.100}\n{said:?}");
        }
        client.is_closed().await;
        assert_eq!(main.turned_away("headers"), before + 1, "{head:.100}");
    }
    good.send_head(FINE).await;
    assert_eq!(good.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn main_says_what_was_wrong_even_to_whom_sends_on() {
    let main = Main::start().await;
    let renderer = main.renderer().await;
    let body = vec![b'x'; 40 << 20];
    let mut client = main.another(&renderer).await;
    assert_eq!(client.ask("POST", "/envelope/sentry_key", &body).await.status, 413);
    let mut stranger = main.connect().await;
    assert_eq!(stranger.ask("POST", "/envelope/sentry_key", &body).await.status, 401);
    let mut chunks = main.another(&renderer).await;
    let head = "POST /status/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\
        transfer-encoding: chunked\r\n\r\n";
    chunks.send_head(head).await;
    for _ in 0..100 {
        chunks.send(b"64\r\n").await;
        chunks.send(&[b'x'; 100]).await;
        chunks.send(b"\r\n").await;
    }
    assert_eq!(chunks.answer().await.unwrap().status, 413);
    assert_eq!(main.turned_away("too-large"), 2);
}

#[tokio::test]
async fn a_chunked_body_that_is_none_is_refused() {
    let main = Main::start().await;
    let mut client = main.renderer().await;
    let head = "POST /status/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\
        transfer-encoding: chunked\r\n\r\nffffffffffffffffffff\r\n";
    client.send_head(head).await;
    assert_eq!(client.answer().await.unwrap().status, 400);
    client.is_closed().await;
    assert_eq!(main.turned_away("body"), 1);
}

#[tokio::test]
async fn nobody_is_told_to_go_on_who_has_shown_no_secret() {
    let main = Main::start().await;
    let mut known = main.renderer().await;
    let head = "POST /status/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\
        content-length: 2\r\nexpect: 100-continue\r\n\r\n";
    let mut stranger = main.connect().await;
    stranger.send_head(head).await;
    assert_eq!(stranger.answer().await.unwrap().status, 401);
    known.send_head(head).await;
    assert_eq!(known.answer().await.unwrap().status, 100);
    known.send(b"{}").await;
    assert_eq!(known.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn another_ones_id_is_no_use_without_its_secret() {
    let main = Main::start().await;
    let (one, mut two) = (main.renderer().await, main.renderer().await);
    let line = |head: &str, at: usize| format!("{}\r\n", head.lines().nth(at).unwrap());
    let forged = line(one.head(), 0) + &line(two.head(), 1);
    let head = format!("POST /status/sentry_key HTTP/1.1\r\nhost: {{host}}\r\n{forged}\r\n");
    two.send_head(&head).await;
    assert_eq!(two.answer().await.unwrap().status, 401);
}

#[tokio::test]
async fn a_crowd_at_the_door_keeps_nobody_out() {
    let main = Main::start().await;
    let mut inside = main.renderer().await;
    let mut crowd = VecDeque::new();
    for _ in 0..1000 {
        crowd.push_back(main.connect().await);
        if crowd.len() > 2 * UNPROVEN {
            // So many others have come after it that its place is another's.
            crowd.pop_front().unwrap().is_closed().await;
        }
    }
    inside.send_head(FINE).await;
    assert_eq!(inside.answer().await.unwrap().status, 200);
    let mut newcomer = main.renderer().await;
    newcomer.send_head(FINE).await;
    assert_eq!(newcomer.answer().await.unwrap().status, 200);
    let turned_away = main.turned_away("connections");
    assert!((900..=1000).contains(&turned_away), "{turned_away}");
}

/// So many connections as there may be of processes of which nothing is known.
async fn crowd(main: &Main) -> Vec<Client> {
    let mut inside = Vec::new();
    while inside.len() < OF_UNKNOWN {
        let client = main.renderer().await;
        for _ in 1..CONNECTIONS_EACH {
            let mut another = main.another(&client).await;
            another.send_head(FINE).await;
            assert_eq!(another.answer().await.unwrap().status, 200);
            inside.push(another);
        }
        inside.push(client);
    }
    inside
}

#[tokio::test]
async fn when_there_is_no_room_who_rests_the_longest_makes_some() {
    let main = Main::start().await;
    let mut inside = crowd(&main).await;
    let mut late = main.connect().await;
    let said = late.ask("POST", "/hello/sentry_key", &hello(PROOF)).await;
    assert_eq!((said.status, said.header("retry-after")), (503, Some("1")));
    late.is_closed().await;
    // With as many who have shown nothing yet there is no place left.
    let mut silent = Vec::new();
    while inside.len() + silent.len() < CONNECTIONS {
        silent.push(main.connect().await);
    }
    let mut newcomer = main.connect().await;
    newcomer.send_head(FINE).await;
    assert_eq!(newcomer.answer().await.unwrap().status, 401, "it is let in, and shows nothing");
    inside[0].is_closed().await;
    inside[1].send_head(FINE).await;
    assert_eq!(inside[1].answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn when_there_is_no_room_and_nobody_rests_main_says_so() {
    let main = Main::start().await;
    let mut inside = crowd(&main).await;
    for client in &mut inside {
        client
            .send_head(
                "POST /status/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\
                 expect: 100-continue\r\ncontent-length: 2\r\n\r\n",
            )
            .await;
        assert_eq!(client.answer().await.unwrap().status, 100);
    }
    let mut silent = Vec::new();
    while inside.len() + silent.len() < CONNECTIONS {
        silent.push(main.connect().await);
    }
    let mut late = main.connect().await;
    let said = late.answer().await.unwrap();
    assert_eq!((said.status, said.header("retry-after")), (503, Some("1")));
    assert_eq!(said.text(), "there are as many connections as main takes already");
    late.is_closed().await;
}

#[tokio::test]
async fn one_renderer_cannot_have_all_connections() {
    let main = Main::start().await;
    let mut first = main.renderer().await;
    let mut inside = Vec::new();
    for _ in 1..CONNECTIONS_EACH {
        let mut client = main.another(&first).await;
        client.send_head(FINE).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
        inside.push(client);
    }
    let mut late = main.another(&first).await;
    late.send_head(FINE).await;
    let said = late.answer().await.unwrap();
    assert_eq!((said.status, said.header("retry-after")), (503, Some("1")));
    late.is_closed().await;
    assert_eq!(main.turned_away("connections"), 1);
    first.send_head(FINE).await;
    assert_eq!(first.answer().await.unwrap().status, 200);
}
