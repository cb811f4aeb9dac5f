//! What a renderer and main say to each other when all is well, and when main says no.

use bytes::Bytes;
use guardhouse_process::lock;
use guardhouse_protocol::frame::{Proof, Rejection, RejectionReason, Welcome};

use http_body_util::{BodyExt, Full};
use hyper::Request;

use super::super::answer::answer;
use super::super::door::Door;
use super::main::{Main, PROOF, hello};
use crate::ipc::{Service, Way};

#[tokio::test]
async fn a_renderer_says_hello_reports_and_goes_on_one_connection() {
    let main = Main::start().await;
    let mut client = main.renderer().await;
    let way = || lock(&main.house.renderers).all()[0].way;
    assert_eq!(way(), Some(Way::Protocol));
    for id in 1..=3 {
        let id = format!("guardhouse-message-id: {id}\r\n");
        let said = client.ask_with("POST", "/envelope/sentry_key", &id, b"{}").await;
        assert_eq!((said.status, said.text()), (200, ""));
        assert_eq!(said.header("cache-control"), Some("no-store"));
    }
    let said = client.ask("POST", "/status/sentry_key?1", b"{}").await;
    assert_eq!(said.status, 200);
    let said = client.ask("POST", "/goodbye/sentry_key", b"").await;
    assert_eq!((said.status, said.header("connection")), (200, Some("close")));
    client.is_closed().await;
    main.hears("unlinked").await;
    let expected = [
        "arrived",
        "envelope Some(1) 2",
        "envelope Some(2) 2",
        "envelope Some(3) 2",
        "status None 2",
        "left",
        "unlinked",
    ];
    assert_eq!(main.heard(), expected);
    assert_eq!(way(), None);
}

#[tokio::test]
async fn what_became_of_a_message_is_said_as_the_contract_has_it() {
    let main = Main::start().await;
    let mut client = main.renderer().await;
    for (channel, body, status, reply) in [
        ("flush", "", 200, r#"{"durable":true}"#),
        ("flush", "memory", 200, r#"{"durable":false}"#),
        ("feedback", "{}", 200, r#"{"statusCode":200}"#),
        ("feedback", "much", 429, r#"{"statusCode":429}"#),
        ("feedback", "ends", 503, "main takes nothing any more"),
        ("envelope", "much", 429, "much"),
        ("envelope", "memory", 503, "main has it, but cannot write it down yet"),
        ("envelope", "ends", 503, "main takes nothing any more"),
    ] {
        let said = client.ask("POST", &format!("/{channel}/sentry_key"), body.as_bytes()).await;
        assert_eq!((said.status, said.text()), (status, reply), "{channel} {body}");
        let kind =
            if reply.starts_with('{') { "application/json" } else { "text/plain; charset=utf-8" };
        assert_eq!(said.header("content-type"), Some(kind));
        assert_eq!(said.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(said.header("retry-after").is_some(), status != 200);
    }
}

#[tokio::test]
async fn a_stream_is_told_where_it_is() {
    let main = Main::start().await;
    let mut client = main.renderer().await;
    let opening = |name: &str| {
        format!(r#"{{"filename":"{name}","eventId":"9ec79c33ec9942ab8353589fcb2e04dc"}}"#)
    };
    for (chunk, body, status, reply) in [
        ("", opening("f"), 200, r#"{"received":0,"complete":false}"#),
        ("", opening("done"), 200, r#"{"received":9,"complete":true}"#),
        ("", opening("no"), 403, "it is not wanted"),
        ("", opening("../f"), 403, "filename"),
        ("", "x".repeat(4097), 413, "at most 4096 bytes"),
        (
            "guardhouse-chunk: 0",
            "x".repeat(262_144),
            200,
            r#"{"received":262144,"complete":false}"#,
        ),
        ("guardhouse-chunk: 3; last", "xyz".into(), 200, r#"{"received":6,"complete":true}"#),
        ("guardhouse-chunk: 7", "xyz".into(), 409, r#"{"received":3,"complete":false}"#),
        ("guardhouse-chunk: 8", "xyz".into(), 410, "no open stream"),
        ("guardhouse-chunk: 9", "xyz".into(), 503, "nothing any more"),
        ("guardhouse-chunk: x", "xyz".into(), 400, "whole number"),
        ("guardhouse-chunk: 0", "x".repeat(262_145), 413, "at most 262144 bytes"),
    ] {
        let more = if chunk.is_empty() { String::new() } else { format!("{chunk}\r\n") };
        let more = format!("guardhouse-message-id: 5\r\n{more}");
        let said = client.ask_with("POST", "/attachment/sentry_key", &more, body.as_bytes()).await;
        assert_eq!(said.status, status, "{chunk} {said:?}");
        assert!(said.text().contains(reply), "{chunk} {said:?}");
        if said.header("connection") == Some("close") {
            client = main.another(&client).await;
        }
    }
    let said = client.ask("POST", "/attachment/sentry_key", opening("f").as_bytes()).await;
    assert_eq!(said.status, 400, "a stream has an id");
    let chunk = "guardhouse-chunk: 0\r\n";
    let said = client.ask_with("POST", "/envelope/sentry_key", chunk, b"{}").await;
    assert_eq!(said.status, 400, "an envelope has no chunks");
}

#[tokio::test]
async fn a_hello_that_is_not_good_is_rejected_with_the_reason() {
    let main = Main::start().await;
    for (body, status, reason) in [
        (hello(Proof::new([2; 32])), 401, RejectionReason::Proof),
        (hello(Proof::new([0; 32])), 401, RejectionReason::Proof),
        (b"{}".to_vec(), 400, RejectionReason::Malformed),
        (b"\xff\0".to_vec(), 400, RejectionReason::Malformed),
    ] {
        let mut client = main.connect().await;
        let said = client.ask("POST", "/hello/sentry_key", &body).await;
        assert_eq!(said.status, status);
        assert_eq!(Rejection::parse(&said.body).unwrap().reason(), &reason);
    }
    assert_eq!((main.turned_away("proof"), main.turned_away("malformed")), (2, 2));
    let said = main.connect().await.ask("POST", "/hello/sentry_key", &[b' '; 4097]).await;
    assert_eq!(said.status, 413);
    assert!(main.heard().is_empty());
}

#[tokio::test]
async fn requests_may_come_in_one_piece_or_in_many() {
    let main = Main::start().await;
    let mut client = main.renderer().await;
    let request = |client: &super::main::Client, body: &[u8]| {
        client.request("POST", "/envelope/sentry_key", "", body)
    };
    let many: Vec<u8> = (1..=50).flat_map(|length| request(&client, &vec![b'x'; length])).collect();
    client.send(&many).await;
    for _ in 1..=50 {
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    let expected: Vec<_> = (1..=50).map(|length| format!("envelope None {length}")).collect();
    assert_eq!(main.heard()[1..], expected);

    for byte in request(&client, b"in pieces") {
        client.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.answer().await.unwrap().status, 200);
    let chunked = "POST /envelope/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\
        transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\ntrailer: x\r\n\r\n";
    client.send_head(chunked).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    main.hears("envelope None 5").await;
}

#[tokio::test]
async fn large_messages_arrive_whole_and_wait_for_each_other() {
    let main = Main::start().await;
    let first = main.renderer().await;
    let size = 5 << 20;
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(main.another(&first).await);
    }
    let sends = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            client.ask("POST", "/envelope/sentry_key", &vec![b'x'; size]).await.status
        })
    });
    for send in sends.collect::<Vec<_>>() {
        assert_eq!(send.await.unwrap(), 200);
    }
    let whole = format!("envelope None {size}");
    assert_eq!(main.heard().iter().filter(|heard| **heard == whole).count(), 6);
}

#[tokio::test]
async fn a_request_needs_no_socket() {
    let main = Main::start().await;
    let door = Door::new(Service::new(main.house.clone()), main.address);
    let caller = door.let_in(None).unwrap();
    let request = Request::post("/hello/sentry_key").header("host", main.address.to_string());
    let request = request.body(Full::new(Bytes::from(hello(PROOF)))).unwrap();
    let said = answer(&door, &caller, request).await;
    assert_eq!(said.status(), 200);
    let body = said.into_body().collect().await.unwrap().to_bytes();
    assert!(Welcome::parse(&body).is_ok());
}
