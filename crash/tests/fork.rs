//! A child that an application forks, and which lives on, keeps nothing of it.
//!
//! It is here because forking is `unsafe`, and that stays in this crate.
#![cfg(unix)]

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use guardhouse_process::file_lock::FileLock;

const PATH: &str = "GUARDHOUSE_TEST_FORK";

fn lock(path: &Path) -> Option<FileLock> {
    FileLock::open(path, OpenOptions::new().create(true).truncate(false).write(true)).unwrap()
}

/// Takes the lock, and forks a child that lives until nobody holds the other end of its input.
#[test]
fn forking_worker() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let _held = lock(Path::new(&path)).expect("nobody else has it");
    // SAFETY: The child only reads and ends, which it may do whatever other threads did meanwhile.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let _ = std::io::stdin().read(&mut [0]);
        // SAFETY: It ends this process at once.
        unsafe { libc::_exit(0) };
    }
    let mut out = std::io::stdout();
    writeln!(out, "\nforked {child}").unwrap();
    out.flush().unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_forked_child_does_not_keep_a_lock_of_its_parent() {
    let path = std::env::temp_dir().join(format!("guardhouse-fork-{}", std::process::id()));
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "forking_worker", "--nocapture"])
        .env(PATH, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = parent.stdin.take();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let forked = lines.map(|line| line.unwrap()).find(|line| line.starts_with("forked "));
    let child: i32 = forked.unwrap()["forked ".len()..].parse().unwrap();
    assert!(lock(&path).is_none(), "the parent lives");
    parent.kill().unwrap();
    parent.wait().unwrap();
    // SAFETY: It sends nothing, and says whether there is such a process.
    assert_eq!(unsafe { libc::kill(child, 0) }, 0, "the child lives");
    assert!(lock(&path).is_some());
    drop(input);
    std::fs::remove_file(path).unwrap();
}
