//! Whose process is at the other end of a connection.
//!
//! The system tells it at a socket, but not on the loopback interface. There a hello says it, and whether
//! that is true can be looked up on Linux: the process has the other end among its open files. Only what
//! a hello says is looked up, never all processes that there are, so a lie is found out as fast as a truth.

use std::net::SocketAddr;

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(super) peer: SocketAddr,
    pub(super) own: SocketAddr,
}

impl Ends {
    /// Whether the process with this id has the other end. `false` also where it cannot be told. It reads
    /// small files that the kernel makes, on a thread of its own if there is one.
    #[cfg(target_os = "linux")]
    pub(super) async fn are_of(self, pid: u32) -> bool {
        let looked_up = guardhouse_process::helper_thread::run(move || linux::has(pid, self));
        match looked_up {
            Ok(has) => has.await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// Elsewhere it cannot be told.
    #[cfg(not(target_os = "linux"))]
    pub(super) async fn are_of(self, _pid: u32) -> bool {
        let Self { peer: _, own: _ } = self;
        false
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{BufRead, BufReader, Read};
    use std::net::{Ipv4Addr, SocketAddr};

    use super::Ends;

    /// So much of the list of all connections is read, which is some ten thousands of them.
    const LIST_BYTES: u64 = 4 << 20;
    /// So many open files of a process are looked at.
    const FILES: usize = 4096;

    pub(super) fn has(pid: u32, ends: Ends) -> bool {
        let Some(inode) = inode(ends) else { return false };
        let wanted = format!("socket:[{inode}]");
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut links = files.take(FILES).filter_map(|file| std::fs::read_link(file.path()).ok());
        links.any(|link| link.as_os_str() == wanted.as_str())
    }

    /// The inode of the peer's socket, if it is one of this user.
    fn inode(ends: Ends) -> Option<u64> {
        let (SocketAddr::V4(peer), SocketAddr::V4(own)) = (ends.peer, ends.own) else {
            return None;
        };
        let word = |octets: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(octets));
        let address = |ip: &Ipv4Addr, port: u16| format!("{}:{port:04X}", word(ip.octets()));
        let peer = address(peer.ip(), peer.port());
        let own = address(own.ip(), own.port());
        // A socket for addresses of both kinds is in the other list.
        let mapped = format!("{}{}", "0".repeat(16), word([0, 0, 0xff, 0xff]));
        find("/proc/net/tcp", &peer, &own).or_else(|| {
            find("/proc/net/tcp6", &format!("{mapped}{peer}"), &format!("{mapped}{own}"))
        })
    }

    fn find(list: &str, peer: &str, own: &str) -> Option<u64> {
        let user = rustix::process::geteuid().as_raw().to_string();
        let lines = BufReader::new(File::open(list).ok()?.take(LIST_BYTES)).lines();
        lines.map_while(Result::ok).find_map(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            if words.next() != Some(peer) || words.next() != Some(own) {
                return None;
            }
            // State, queues, timer and retransmits lie between.
            let mut words = words.skip(4);
            if words.next() != Some(&user) {
                return None;
            }
            words.nth(1)?.parse().ok()
        })
    }

    #[cfg(test)]
    mod tests {
        use std::net::{TcpListener, TcpStream};

        use super::*;

        #[test]
        fn a_process_is_known_by_its_end_of_a_connection() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let own = listener.local_addr().unwrap();
            let client = TcpStream::connect(own).unwrap();
            let ends = Ends { peer: client.local_addr().unwrap(), own };
            assert!(has(std::process::id(), ends));
            assert!(!has(1, ends), "another process");
            assert!(!has(u32::MAX, ends), "no process");
            drop(client);
            assert!(!has(std::process::id(), ends), "it is closed");
        }
    }
}
