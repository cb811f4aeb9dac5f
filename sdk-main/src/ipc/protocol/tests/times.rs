//! Who takes too long, and who may.

use super::main::Main;

#[tokio::test]
async fn whoever_is_slow_is_closed_and_whoever_is_idle_is_not() {
    let main = Main::start().await;
    let mut idle = main.renderer().await;
    let mut waiting = main.another(&idle).await;
    waiting.send(&waiting.request("GET", "/config/sentry_key", "", b"")).await;

    let mut silent = main.connect().await;
    let mut refused = main.connect().await;
    assert_eq!(refused.ask("POST", "/status/sentry_key", b"").await.status, 401);
    let mut slow_hello = main.connect().await;
    let head = "POST /hello/sentry_key HTTP/1.1\r\nhost: {host}\r\ncontent-length: 9\r\n\r\n{";
    slow_hello.send_head(head).await;
    let mut slow_head = main.renderer().await;
    slow_head.send_head("POST /status/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}").await;
    let mut slow_body = main.renderer().await;
    let head = "POST /envelope/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\
        content-length: 90\r\n\r\n{";
    slow_body.send_head(head).await;

    let mut slow_large = main.renderer().await;
    let head = "POST /envelope/sentry_key HTTP/1.1\r\nhost: {host}\r\n{head}\
        content-length: 9000000\r\n\r\n";
    slow_large.send_head(head).await;
    slow_large.send(&[b'x'; 100_000]).await;

    let said = slow_body.answer().await.unwrap();
    assert_eq!((said.status, said.header("connection")), (503, Some("close")));
    slow_body.is_closed().await;
    assert_eq!(slow_large.answer().await.unwrap().status, 503);
    slow_head.is_closed().await;
    silent.is_closed().await;
    refused.is_closed().await;
    drop(slow_hello.answer().await);
    assert_eq!(main.turned_away("slow"), 6);

    assert_eq!(idle.ask("POST", "/status/sentry_key", b"{}").await.status, 200);
    main.house.pushes.configure(&guardhouse_protocol::Config::default());
    assert_eq!(waiting.answer().await.unwrap().status, 200);
}
