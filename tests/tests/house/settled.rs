//! What is on disk when a flush returns that could not send it.

use guardhouse_tests::desk::{Desk, Scratch};
use guardhouse_tests::sentry::{Sentry, Stage, hang};

#[test]
fn a_flush_puts_everything_on_disk_before_it_waits_for_the_network() {
    let (cache, sentry) = (Scratch::new(), Sentry::start());
    sentry.from_now_on(hang(Stage::Answer));
    let mut desk = Desk::start(env!("CARGO_BIN_EXE_desk"), cache.path(), &sentry.dsn(), &[]);
    desk.ask("fill 200");
    assert!(desk.ask("flush 4000").starts_with("flushed false"));
    desk.kill();
    let files = cache.files();
    let names = files.iter().filter_map(|path| path.file_name()?.to_str());
    let is_event = |name: &&str| name.ends_with("-error.envelope");
    assert_eq!(names.filter(is_event).count(), 200);
}
