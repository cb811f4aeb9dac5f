//! Nobody's secrets: what leaves the machine says nothing of it or its user, unless asked for.

use std::path::{Path, PathBuf};
use std::process::Command;

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::sentry::{Item, Request, Sentry, Stage, an_event, hang};

use super::id;

const USER: &str = "canary-zoe";
const SECRET: &str = "canary-0b5e55ed";

/// The application on somebody's machine: the sources that it was built from are in the home
/// directory.
fn command(cache: &Scratch, dsn: &str) -> Command {
    command_of(cache, dsn, &sources())
}

/// The application of somebody with this home directory.
fn command_of(cache: &Scratch, dsn: &str, home: &Path) -> Command {
    let mut command = Desk::command(env!("CARGO_BIN_EXE_desk"), cache.path());
    command
        .args(["--dsn", dsn])
        .env("HOME", home)
        .env("USERPROFILE", home)
        .env("USER", USER)
        .env("LOGNAME", USER)
        .env("USERNAME", USER)
        .env("HOSTNAME", "canary-machine")
        .env("COMPUTERNAME", "canary-machine")
        .env("CANARY", SECRET);
    command
}

/// The directory of this workspace.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The name of this machine, if it is one.
fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    (name.len() > 3 && name != "localhost").then_some(name)
}

/// Everything that must not be found.
fn secrets() -> Vec<String> {
    let mut secrets = vec![USER.to_owned(), SECRET.to_owned(), "canary".to_owned()];
    secrets.extend(host_name());
    secrets.push(sources().to_str().unwrap().to_owned());
    secrets.extend(["/home/", "/Users/"].map(str::to_owned));
    secrets
}

/// Everything that a request says, as text.
fn text(request: &Request) -> String {
    let headers: String =
        request.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("{}\n{headers}\n{}", request.target, String::from_utf8_lossy(&request.content))
}

#[track_caller]
fn nothing_is_told(sentry: &Sentry, secrets: &[String]) {
    for request in sentry.requests() {
        let text = text(&request);
        for secret in secrets {
            let at = text.find(secret.as_str());
            let around = at.map(|at| {
                let start = (0..=at.saturating_sub(80)).rev().find(|at| text.is_char_boundary(*at));
                text[start.unwrap_or(0)..].chars().take(200).collect::<String>()
            });
            assert_eq!(around, None, "{secret:?} leaves the machine");
        }
    }
}

/// An event of a page that says everything that a page must not say.
fn page(message: &str) -> String {
    let home = "file:///home/canary-zoe/page.html";
    let event = format!(
        r#"{{"event_id":"{}","message":"{message}","platform":"javascript","server_name":"canary-machine","user":{{"id":"7","ip_address":"{{{{auto}}}}"}},"sdk":{{"name":"sentry.javascript.browser","version":"10.0.0","settings":{{"infer_ip":"auto"}}}},"request":{{"url":"{home}?token={SECRET}","headers":{{"User-Agent":"{SECRET}","Authorization":"{SECRET}","X-Api-Key":"{SECRET}","Accept":"fine"}},"cookies":"session={SECRET}; colour=red","query_string":"password={SECRET}&page=1"}},"exception":{{"values":[{{"type":"Error","value":"oops","stacktrace":{{"frames":[{{"filename":"{home}","abs_path":"{home}","function":"f"}}]}}}}]}},"breadcrumbs":[{{"timestamp":1,"category":"fetch","data":{{"url":"https://example.com/?token={SECRET}"}}}}]}}"#,
        id(7)
    );
    format!(r#"envelope 1 {{"event_id":"{}"}}\n{{"type":"event"}}\n{event}"#, id(7))
}

#[test]
fn promise_10_nothing_that_leaves_tells_of_the_machine_its_user_or_the_environment() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut desk = Desk::launch_as(&mut command(&cache, &sentry.dsn())).started();
    let breadcrumb = format!(
        r#"{{"breadcrumbs":[{{"timestamp":2,"message":"asked","data":{{"url":"https://example.com/?api_key={SECRET}"}}}}]}}"#
    );
    assert_eq!(desk.ask(&format!("scope 1 {breadcrumb}")), "answer scope taken");
    desk.ask("capture hello");
    desk.ask("error broken");
    assert_eq!(desk.ask(&page("page")), "answer envelope taken");
    // It is refused, and so there is a client report.
    desk.ask(r#"envelope 1 {}\n{"type":"session"}\n{"sid":"x"}"#);
    desk.ask("panic boom");
    assert!(desk.ask("close 60000").starts_with("closed true"));

    for message in ["hello", "broken", "boom"] {
        // Of native events Sentry infers nothing, and strict servers take no `settings`.
        let is_silent = |_: &_, item: &Item| item.json()["sdk"].get("settings").is_none();
        let event = an_event().with_message(message).that("without settings", is_silent);
        sentry.expect(event.times(1));
    }
    sentry.expect(
        an_event()
            .with_message("page")
            .with("/sdk/settings/infer_ip", "never")
            .with("/user/id", "7")
            .with("/request/headers/Accept", "fine")
            .with("/request/headers/Authorization", "[Filtered]")
            .with("/request/query_string", "password=[Filtered]&page=1")
            .with("/request/url", "~/page.html?token=[Filtered]")
            .with("/request/cookies", "session=[Filtered]; colour=red")
            .that("without a machine, an address or a browser", |_, item| {
                let event = item.json();
                event.get("server_name").is_none()
                    && event.pointer("/user/ip_address").is_none()
                    && event.pointer("/request/headers/User-Agent").is_none()
            })
            .times(1),
    );
    sentry.verify();
    assert!(sentry.lost("session", "ignored") + sentry.lost("session", "invalid") > 0);
    let requests = sentry.requests();
    let stacks = requests.iter().filter(|request| text(request).contains("\"abs_path\"")).count();
    assert!(stacks > 1, "there are stacks in which names could be");
    nothing_is_told(&sentry, &secrets());
}

#[test]
fn promise_10_an_application_in_the_home_directory_does_not_tell_of_it() {
    let home = Path::new(env!("CARGO_BIN_EXE_desk")).parent().unwrap();
    // The executable is in the application's directory, or only in the home directory.
    for (options, shown) in
        [(&[][..], "\"app:///desk\""), (&["--app-root", "/opt/elsewhere"], "\"~/desk\"")]
    {
        let (cache, sentry) = (Scratch::new(), Sentry::start());
        let mut command = command_of(&cache, &sentry.dsn(), home);
        let mut desk = Desk::launch_as(command.args(options)).started();
        desk.ask("error broken");
        desk.ask("panic boom");
        assert!(desk.ask("close 60000").starts_with("closed true"));
        let event = an_event().with_message("boom");
        sentry.expect(event.that(format!("with the executable {shown}"), move |_, item| {
            String::from_utf8_lossy(&item.payload).contains(shown)
        }));
        sentry.verify();
        nothing_is_told(&sentry, &[home.to_str().unwrap().to_owned()]);
    }
}

#[test]
fn promise_10_what_a_dead_run_left_tells_no_more() {
    let (cache, silent, sentry) = (Scratch::new(), Sentry::start(), Sentry::start());
    silent.from_now_on(hang(Stage::Request));
    let mut first = Desk::launch_as(&mut command(&cache, &silent.dsn())).started();
    first.ask("error broken");
    first.ask(&page("page"));
    first.kill();
    let mut second = Desk::launch_as(&mut command(&cache, &sentry.dsn())).started();
    assert!(second.ask("close 60000").starts_with("closed true"));
    sentry.expect(an_event().with_message("broken").times(1));
    sentry.expect(an_event().with_message("page").times(1));
    sentry.verify();
    nothing_is_told(&sentry, &secrets());
}

#[test]
fn promise_10_what_is_asked_for_is_sent() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut command = command(&cache, &sentry.dsn());
    command.args(["--server-name", "machine-7", "--pii", "--no-session"]);
    let mut desk = Desk::launch_as(&mut command).started();
    desk.ask("capture hello");
    assert_eq!(desk.ask(&page("page")), "answer envelope taken");
    assert!(desk.ask("close 60000").starts_with("closed true"));
    sentry.expect(an_event().with_message("hello").with("/server_name", "machine-7").times(1));
    sentry.expect(
        an_event()
            .with_message("page")
            .with("/server_name", "canary-machine")
            .with("/user/ip_address", "{{auto}}")
            .with("/sdk/settings/infer_ip", "auto")
            .with(
                "/exception/values/0/stacktrace/frames/0/abs_path",
                "file:///home/canary-zoe/page.html",
            )
            // Secrets are nobody's identity.
            .with("/request/headers/Authorization", "[Filtered]")
            .times(1),
    );
    sentry.verify();
    nothing_is_told(&sentry, &[SECRET.to_owned()]);
}

#[test]
fn promise_10_an_own_server_name_is_no_permission_for_anything_else() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    let mut command = command(&cache, &sentry.dsn());
    command.args(["--server-name", "machine-7", "--no-session"]);
    let mut desk = Desk::launch_as(&mut command).started();
    desk.ask("error broken");
    assert_eq!(desk.ask(&page("page")), "answer envelope taken");
    assert!(desk.ask("close 60000").starts_with("closed true"));
    sentry.expect(an_event().with_message("broken").with("/server_name", "machine-7").times(1));
    sentry.verify();
    nothing_is_told(&sentry, &secrets());
}
