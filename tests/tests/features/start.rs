//! Starting, more than once and with bad options.

use guardhouse_main::{InitError, Options, app, init, sentry};
use guardhouse_tests::desk::Scratch;
use guardhouse_tests::sentry::{Sentry, an_event};

use crate::{PATIENCE, start, turn};

#[test]
fn a_second_init_is_an_error_and_the_first_goes_on() {
    let mut running = start(|options| options);
    let error = init(Options::new(app!())).unwrap_err();
    assert!(matches!(error, InitError::AlreadyRunning), "{error}");
    sentry::capture_message("still here", sentry::Level::Info);
    running.sentry.expect(an_event().with_message("still here").times(1));
    running.finish();
}

#[test]
fn after_the_guard_is_gone_another_init_works_and_sentry_does_nothing_in_between() {
    let _turn = turn();
    let mut sentries = Vec::new();
    for _ in 0..3 {
        let (sentry, cache) = (Sentry::start(), Scratch::new());
        let guard = init(Options::new(app!()).dsn(sentry.dsn()).cache_dir(cache.path())).unwrap();
        sentry::capture_message("once", sentry::Level::Info);
        assert!(guard.close(PATIENCE));
        sentry::capture_message("nobody hears it", sentry::Level::Info);
        guardhouse_main::set_tag("nobody", "hears it");
        sentry.expect(an_event().with_message("once").times(1).only());
        sentry.verify();
        sentries.push(sentry);
    }
    sentries.iter().for_each(Sentry::verify);
}

#[test]
fn after_each_error_the_application_and_sentry_go_on_and_a_good_init_works() {
    let _turn = turn();
    let (sentry, cache) = (Sentry::start(), Scratch::new());
    let file = cache.path().join("file");
    std::fs::write(&file, "").unwrap();
    let good = || Options::new(app!()).dsn(sentry.dsn()).cache_dir(cache.path().join("cache"));
    let is_as_expected = [
        (good().dsn("nonsense"), (|error| matches!(error, InitError::Dsn { .. })) as fn(_) -> _),
        (good().ipc_namespace("No"), |error| matches!(error, InitError::Namespace(_))),
        (good().sample_rate(2.0), |error| matches!(error, InitError::SampleRate(_))),
        (good().tunnel("nonsense"), |error| matches!(error, InitError::Address { .. })),
        (good().spotlight("nonsense"), |error| matches!(error, InitError::Address { .. })),
        (good().https_proxy("a b"), |error| matches!(error, InitError::Address { .. })),
        (good().cache_dir(&file), |error| matches!(error, InitError::CacheDir { .. })),
        (good().ca_certificates(cache.path().join("none")), |error| {
            matches!(error, InitError::Certificates { .. })
        }),
    ];
    for (number, (options, is_expected)) in is_as_expected.into_iter().enumerate() {
        let error = init(options).expect_err(&format!("number {number} is bad"));
        let text = error.to_string();
        assert!(is_expected(error), "{number}: {text}");
        sentry::capture_message("nobody hears it", sentry::Level::Info);
        guardhouse_main::set_tag("nobody", "hears it");
    }
    let guard = init(good()).unwrap();
    sentry::capture_message("at last", sentry::Level::Info);
    sentry.expect(an_event().with_message("at last").times(1).only());
    assert!(guard.close(PATIENCE));
    sentry.verify();
}
