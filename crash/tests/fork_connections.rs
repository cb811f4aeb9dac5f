//! What a forked child has of its parent's connections.
#![cfg(unix)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use guardhouse_crash::fork::keep;

/// A child that lives until the other end of the connection is closed, or until it has said everything.
fn child_that_waits(mut until: UnixStream) -> i32 {
    // SAFETY: The child makes system calls only, and ends without running anything of the parent's.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let mut byte = [0];
        let _ = until.read(&mut byte);
        // SAFETY: It takes nothing but a number.
        unsafe { libc::_exit(0) }
    }
    pid
}

fn is_at_its_end(stream: &mut UnixStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    matches!(stream.read(&mut [0]), Ok(0))
}

#[test]
fn what_is_kept_from_children_ends_with_the_parents_end_of_it() {
    let (mine, mut peer) = UnixStream::pair().unwrap();
    let (other, mut its_peer) = UnixStream::pair().unwrap();
    let kept = keep(&mine);
    drop(keep(&other));
    let (mut end, until) = UnixStream::pair().unwrap();
    // So that the child ends also if this test fails.
    let _kept_end = keep(&end);
    let pid = child_that_waits(until);
    drop(kept);
    drop((mine, other));
    // It only bounds a hang: the child takes a moment to come to it.
    peer.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(peer.read(&mut [0]).ok(), Some(0), "the child has it");
    assert!(!is_at_its_end(&mut its_peer), "what is not kept from it the child has");
    end.write_all(b"x").unwrap();
    let mut status = 0;
    // SAFETY: The status is ours to write to.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0);
    assert!(is_at_its_end(&mut its_peer));
}
