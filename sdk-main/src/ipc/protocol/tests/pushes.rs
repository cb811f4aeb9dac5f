//! What main pushes, and who hears it when.

use guardhouse_protocol::Config;

use super::main::Main;

fn paused(main: &Main, paused: bool) {
    main.house.pushes.configure(&Config { paused: Some(paused), ..Config::default() });
}

#[tokio::test]
async fn nothing_is_pushed_twice_and_no_change_is_missed() {
    let main = Main::start().await;
    let mut client = main.renderer().await;
    paused(&main, true);
    let said = client.ask("GET", "/config/sentry_key", b"").await;
    assert_eq!((said.status, said.text()), (200, r#"{"paused":true}"#));
    assert_eq!(said.header("guardhouse-cursor"), Some("1"));

    // Two changes while nobody asks: the last one counts.
    paused(&main, true);
    paused(&main, false);
    let after = "guardhouse-after: 1\r\n";
    let said = client.ask_with("GET", "/config/sentry_key", after, b"").await;
    assert_eq!((said.text(), said.header("guardhouse-cursor")), (r#"{"paused":false}"#, Some("3")));

    // Now there is nothing new, until there is.
    let request = client.request("GET", "/config/sentry_key", "guardhouse-after: 3\r\n", b"");
    client.send(&request).await;
    let mut other = main.another(&client).await;
    assert_eq!(other.ask("POST", "/status/sentry_key", b"{}").await.status, 200);
    paused(&main, true);
    let said = client.answer().await.unwrap();
    assert_eq!((said.text(), said.header("guardhouse-cursor")), (r#"{"paused":true}"#, Some("4")));
}

#[tokio::test]
async fn a_second_request_ends_the_first_and_only_that() {
    let main = Main::start().await;
    let mut first = main.renderer().await;
    let request = first.request("GET", "/config/sentry_key", "", b"");
    let mut trace = main.another(&first).await;
    let mut stranger = main.renderer().await;
    trace.send(&trace.request("GET", "/trace/sentry_key", "", b"")).await;
    stranger.send(&stranger.request("GET", "/config/sentry_key", "", b"")).await;
    first.send(&request).await;
    // Which of two requests main sees first is open; that the earlier one ends is not.
    let mut second = main.another(&first).await;
    second.send(&request).await;
    let ended = tokio::select! {
        said = first.answer() => said,
        said = second.answer() => said,
    };
    let ended = ended.unwrap();
    assert_eq!((ended.status, ended.header("content-length")), (204, None));

    paused(&main, true);
    assert_eq!(stranger.answer().await.unwrap().status, 200);
    // The renderer goes, and with it what waits for it.
    let mut last = main.another(&second).await;
    assert_eq!(last.ask("POST", "/goodbye/sentry_key", b"").await.status, 200);
    assert_eq!(trace.answer().await.unwrap().status, 204);
}

#[tokio::test]
async fn who_hangs_up_waits_no_longer() {
    let main = Main::start().await;
    let mut client = main.renderer().await;
    client.send(&client.request("GET", "/config/sentry_key", "", b"")).await;
    drop(client);
    main.hears("unlinked").await;
}

#[tokio::test]
async fn who_was_forgotten_while_it_waited_hears_nothing_more() {
    let main = Main::start().await;
    let mut client = main.renderer().await;
    client.send(&client.request("GET", "/config/sentry_key", "", b"")).await;
    let mut other = main.another(&client).await;
    assert_eq!(other.ask("POST", "/status/sentry_key", b"{}").await.status, 200);
    let renderers = &main.house.renderers;
    let id = guardhouse_process::lock(renderers).all()[0].id;
    guardhouse_process::lock(renderers).forget(id);
    paused(&main, true);
    assert_eq!(client.answer().await.unwrap().status, 401);
}
