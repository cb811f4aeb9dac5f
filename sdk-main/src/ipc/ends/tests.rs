use guardhouse_protocol::Item;
use guardhouse_protocol::json::Value;
use guardhouse_protocol::scope::ScopeMessage;
use uuid::Uuid;

use super::*;
use crate::merge::{Hooks, Identity, Merge, Merged, Process, Scopes, Sender};
use crate::options::{App, Options};

const PAGE: Uuid = Uuid::from_u128(1);
const ID: Uuid = Uuid::from_u128(0x9ec7_9c33_ec99_42ab_8353_589f_cb2e_04dc);
const NOBODY: OomKills = OomKills { before: Some(3), after: Some(3) };

fn now() -> Timestamp {
    Timestamp::from_unix(1_795_193_700, 500_000_000)
}

fn ended(end: Status, reason: ExitReason) -> Ended {
    Ended { name: "settings".to_owned(), role: Role::Renderer, pid: Some(4711), end, reason }
}

fn signal(number: i32) -> Status {
    Status::Signal { number, core_dumped: false }
}

fn merged(merge: &Merge, scopes: &mut Scopes, envelope: Envelope) -> Merged {
    let page = Sender::renderer(PAGE, "settings");
    merge.renderer(envelope, &page, &scopes.merged(page.process()), now(), 0.5)
}

fn text(item: &Item) -> &str {
    std::str::from_utf8(item.payload()).unwrap()
}

#[test]
fn a_goodbye_settles_it_whatever_comes_next() {
    let more = OomKills { before: Some(0), after: Some(1) };
    for end in [Status::Code(0), Status::Code(3), signal(9), signal(11), Status::Unknown] {
        assert_eq!(judge(true, end, more), ExitReason::CleanExit, "{end:?}");
    }
}

#[test]
fn a_code_says_whether_the_end_was_clean() {
    assert_eq!(judge(false, Status::Code(0), NOBODY), ExitReason::CleanExit);
    for code in [1, 3, 101, 137, 255, -1] {
        assert_eq!(judge(false, Status::Code(code), NOBODY), ExitReason::AbnormalExit, "{code}");
    }
}

#[test]
fn windows_says_more_by_a_code() {
    for (code, reason) in [
        (0xC000_0005_u32, ExitReason::Crashed),
        (0xC000_001D, ExitReason::Crashed),
        (0xC000_0409, ExitReason::Crashed),
        (0x8000_0003, ExitReason::Crashed),
        (0xE06D_7363, ExitReason::Crashed),
        (0xC000_0017, ExitReason::Oom),
        (0xC000_013A, ExitReason::Killed),
        (0xC000_0135, ExitReason::LaunchFailed),
        (0xC000_0428, ExitReason::IntegrityFailure),
        (0xFFFF_FFFF, ExitReason::AbnormalExit),
    ] {
        let end = Status::Code(code.cast_signed());
        assert_eq!(judge(false, end, NOBODY), reason, "{code:#x}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_says_who_wanted_the_end() {
    use rustix::process::Signal;

    for crash in [
        Signal::SEGV,
        Signal::ABORT,
        Signal::BUS,
        Signal::ILL,
        Signal::FPE,
        Signal::TRAP,
        Signal::SYS,
    ] {
        assert_eq!(judge(false, signal(crash.as_raw()), NOBODY), ExitReason::Crashed, "{crash:?}");
    }
    for by_others in [
        Signal::KILL,
        Signal::TERM,
        Signal::INT,
        Signal::HUP,
        Signal::QUIT,
        Signal::USR1,
        Signal::PIPE,
        Signal::XCPU,
    ] {
        for core_dumped in [false, true] {
            let end = Status::Signal { number: by_others.as_raw(), core_dumped };
            assert_eq!(judge(false, end, NOBODY), ExitReason::Killed, "{by_others:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_kill_is_for_want_of_memory_if_the_kernel_has_killed_for_it_meanwhile() {
    let kills = |before, after| OomKills { before, after };
    let more = kills(Some(3), Some(4));
    assert_eq!(judge(false, signal(9), more), ExitReason::Oom);
    assert_eq!(judge(false, signal(15), more), ExitReason::Killed);
    assert_eq!(judge(false, signal(11), more), ExitReason::Crashed);
    assert_eq!(judge(false, Status::Unknown, more), ExitReason::Killed);
    for unknown in [NOBODY, kills(None, Some(4)), kills(Some(3), None), kills(None, None)] {
        assert_eq!(judge(false, signal(9), unknown), ExitReason::Killed);
    }
}

#[test]
fn the_kernel_says_how_often_it_has_killed() {
    let vmstat = "pgmajfault 12\noom_kill_disable 7\noom_kill 5\nnuma_pte_updates 0\n";
    assert_eq!(oom_kills_in(vmstat), Some(5));
    assert_eq!(oom_kills_in("pgmajfault 12\n"), None);
}

#[test]
fn an_application_that_loses_the_race_is_accused_of_nothing() {
    // It kills its renderer and waits for it, before main could ask.
    let reason = judge(false, Status::Unknown, NOBODY);
    let options = Options::new(App::new("desk", "5"));
    assert!(!options.renderer_events.contains(&reason));
    assert!(options.renderer_breadcrumbs.contains(&reason));
}

#[test]
fn the_defaults_are_those_of_electron() {
    let options = Options::new(App::new("desk", "5"));
    let names = |reasons: &[ExitReason]| reasons.iter().map(|it| it.name()).collect::<Vec<_>>();
    assert_eq!(
        names(&options.renderer_breadcrumbs),
        [
            "clean-exit",
            "abnormal-exit",
            "killed",
            "crashed",
            "oom",
            "launch-failed",
            "integrity-failure"
        ]
    );
    assert_eq!(
        names(&options.renderer_events),
        ["abnormal-exit", "launch-failed", "integrity-failure"]
    );
}

#[test]
fn each_end_has_the_level_that_electron_gives_it() {
    for (reason, level) in ExitReason::ALL
        .into_iter()
        .zip(["debug", "warning", "warning", "fatal", "fatal", "fatal", "fatal"])
    {
        let event = event(&ended(Status::Unknown, reason), now(), EventId::from_uuid(ID)).unwrap();
        let json = event.items()[0].json().unwrap();
        assert!(json.get("level").unwrap().is_str(level), "{reason}");
        let message = format!("'settings' process exited with '{reason}'");
        assert!(json.get("message").unwrap().is_str(&message), "{reason}");
    }
}

#[test]
fn the_end_of_a_renderer_is_a_breadcrumb_of_what_others_report() {
    let ended = ended(signal(9), ExitReason::Killed);
    let mut scopes = Scopes::new(100);
    scopes.apply(Process::Main, breadcrumb(&ended, now()).unwrap(), now()).unwrap();
    let crumbs: Vec<String> =
        scopes.merged(Process::Main).breadcrumbs().map(|it| it.value().text().to_owned()).collect();
    assert_eq!(
        crumbs,
        [
            r#"{"timestamp":1795193700.5,"type":"process","category":"child-process","message":"'settings' process exited with 'killed'","level":"warning","data":{"reason":"killed","signal":9,"name":"settings","pid":4711,"type":"renderer"}}"#
        ]
    );
}

#[test]
fn the_event_says_what_electron_says_and_how_it_ended() {
    let mut ended = ended(Status::Code(3), ExitReason::AbnormalExit);
    ended.role = Role::Utility;
    let envelope = event(&ended, now(), EventId::from_uuid(ID)).unwrap();
    assert_eq!(envelope.header().event_id(), Some(EventId::from_uuid(ID)));
    assert_eq!(
        text(&envelope.items()[0]),
        r#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","timestamp":1795193700.5,"platform":"native","level":"warning","tags":{"event.process":"settings"},"message":"'settings' process exited with 'abnormal-exit'","contexts":{"exit":{"reason":"abnormal-exit","exitCode":3,"name":"settings","pid":4711,"type":"utility"}}}"#
    );
}

#[test]
fn the_event_gets_the_last_scope_of_the_renderer_and_keeps_its_level() {
    let identity = || Identity::new("production").release("desk@5");
    for merge in
        [Merge::new(identity()), Merge::new(identity()).with_hooks(Hooks::new().before_send(Some))]
    {
        let mut scopes = Scopes::new(100);
        let message =
            br#"{"tags":{"view":"fonts"},"level":"fatal","breadcrumbs":[{"timestamp":1}]}"#;
        let message = ScopeMessage::parse(message).unwrap();
        scopes.hear(Process::Renderer(PAGE), message, now());
        let ended = ended(Status::Code(3), ExitReason::AbnormalExit);
        let envelope = event(&ended, now(), EventId::from_uuid(ID)).unwrap();

        let merged = merged(&merge, &mut scopes, envelope).envelope.unwrap();
        let json = merged.items()[0].json().unwrap();
        for (path, expected) in [
            (&["tags", "event.process"][..], r#""settings""#),
            (&["tags", "event.origin"], r#""native""#),
            (&["tags", "event.environment"], r#""native""#),
            (&["tags", "view"], r#""fonts""#),
            (&["level"], r#""warning""#),
            (&["release"], r#""desk@5""#),
            (&["breadcrumbs"], r#"{"values":[{"timestamp":1}]}"#),
            (&["contexts", "exit", "exitCode"], "3"),
        ] {
            let found = json.at(path).map(Value::text);
            assert_eq!(found, Some(expected), "{path:?}");
        }
        assert!(json.at(&["logentry", "formatted"]).unwrap().is_str(&ended.message()));
    }
}

#[test]
fn a_name_that_is_no_name_is_an_error_and_no_panic() {
    let mut endless = ended(Status::Code(1), ExitReason::AbnormalExit);
    endless.name = "x".repeat(1024 * 1024);
    assert!(event(&endless, now(), EventId::from_uuid(ID)).is_err());
    assert!(breadcrumb(&endless, now()).is_err());
    endless.name.truncate(20_000);
    assert!(event(&endless, now(), EventId::from_uuid(ID)).is_ok());
    assert!(breadcrumb(&endless, now()).is_ok());
}
