//! What others put in place of our files: nobody reads it, waits for it or follows it.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::*;

const PLANTS: [&str; 5] = ["zero", "fifo", "folder", "socket", "dangling"];

fn plant(what: &str, path: &Path) {
    match what {
        "zero" => symlink("/dev/zero", path).unwrap(),
        "dangling" => symlink("/nowhere", path).unwrap(),
        "folder" => std::fs::create_dir(path).unwrap(),
        "socket" => {
            // Its path may not be as long as ours are.
            let short = std::env::temp_dir()
                .join(RunId::new(uuid::Uuid::new_v4().as_u64_pair().0).to_string());
            drop(UnixListener::bind(&short).unwrap());
            std::fs::rename(short, path).unwrap();
        }
        _ => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
    }
}

#[test]
fn what_is_planted_among_the_files_of_a_dead_run_is_left_alone() {
    for what in PLANTS {
        let cache = Cache::new();
        let mut dead = cache.open();
        put(&mut dead, "sound");
        let planted = put(&mut dead, "planted");
        dead.write_side(&key("session"), b"{}").unwrap();
        let envelope = dead.table.get(planted).unwrap().name.envelope();
        let folder = cache.path_of(&dead, "");
        dead.die();
        for file in [&envelope, "losses", "side-session", "1.stream", "1.tmp", "1.corrupt"] {
            let _ = std::fs::remove_file(folder.join(file));
            plant(what, &folder.join(file));
        }
        plant(what, &cache.0.join("runs").join("00000000000000ab.lock"));
        let mut spool = cache.open();
        assert_eq!(adopt_all(&mut spool, at(0)).len(), 1, "{what}");
        assert_eq!(messages(&mut spool), ["sound"]);
        assert_eq!(spool.dead_runs().count(), 0);
        assert!(folder.join(&envelope).symlink_metadata().is_ok(), "{what} is nobody's to remove");
    }
}

#[test]
fn what_is_planted_in_place_of_an_envelope_is_not_read_and_that_is_counted() {
    for what in PLANTS {
        let cache = Cache::new();
        let mut spool = cache.open();
        let (read, lost) = (put(&mut spool, "read"), put(&mut spool, "lost"));
        for file in cache.files_that_end_with(".envelope") {
            let path = cache.path_of(&spool, &file);
            std::fs::remove_file(&path).unwrap();
            plant(what, &path);
        }
        assert!(matches!(spool.read(read), Err(ReadError::Gone)), "{what}");
        spool.lose(lost, Reason::SendError);
        assert_eq!(errors_lost(&spool), 2, "{what}");
    }
}

#[test]
fn a_file_that_is_longer_than_its_name_says_is_not_read_into_memory() {
    let cache = Cache::new();
    let mut spool = cache.open();
    let id = put(&mut spool, "x");
    let file = &cache.files_that_end_with(".envelope")[0];
    let path = cache.path_of(&spool, file);
    // Nothing of it is on disk; reading it would take all memory.
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(spool.read(id), Err(ReadError::Broken { salvaged: None })));
    assert_eq!(errors_lost(&spool), 1);
}
