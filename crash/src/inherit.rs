//! A connected socket for a child process: [`give`] in the parent, [`take`] in the child.
//!
//! The socket itself is not inherited. It waits as a message inside another one, the carrier, and
//! the carrier is what the child inherits. So the kernel sees to all that is promised here:
//!
//! - One process gets the socket and no second one does, whatever else inherits the carrier: a second
//!   child of the same [`Command`], or a grandchild. Whoever takes first has it. Usually that is the
//!   child; if the child is a shell or a launcher that knows nothing of Guardhouse, it is what runs
//!   behind it.
//! - The parent keeps no copy of the socket. The other end sees the end of the stream as soon as
//!   whoever took the socket is gone, even while the [`Command`] lives.
//! - A socket that nobody took is closed, and the other end told so, when the [`Command`] is dropped
//!   and the processes that inherited the carrier have ended or taken from it.
//! - A child that could not be started has taken nothing; the next attempt finds the socket.
//!
//! Other children of the parent, also those that are being started at the same moment, do not inherit
//! the carrier. On macOS they do in one case: if one is started by another thread while [`give`] runs,
//! since descriptors there cannot be made and marked as private in one step.
//!
//! On macOS the [`Command`] does keep a copy of the socket, because there a descriptor may break that
//! is closed everywhere else while it waits in a message. There the stream ends with the
//! [`Command`] and with whoever took the socket. Drop the [`Command`] when the child runs; that is
//! right everywhere. What is for macOS was compiled but not run.
//!
//! Windows has no such sockets. There a child finds its parent's named pipe.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::cmsg_space;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::sockopt::socket_type;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketType, recvmsg, sendmsg,
};

/// The lowest number that the carrier has in the child. Small ones are what launchers like to hand on
/// under a number of their own.
const LOWEST: RawFd = 10;

/// What goes with the socket, since a message has to have at least one byte.
const PARCEL: &[u8] = b"g";

/// Whether this process has taken already.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Lets the child that `command` starts take the socket; `variable` is the environment variable that
/// leads it there.
///
/// Set up the environment first: a later `env_clear` also clears the variable. For a command of
/// tokio, pass what its `as_std_mut()` returns. A prepared command starts its child by fork and exec,
/// also where the standard library has something faster.
///
/// # Errors
///
/// If there are no descriptors left; then nothing was changed about the command, and the socket is
/// closed.
///
/// ```no_run
/// use std::os::unix::net::UnixStream;
/// use std::process::Command;
///
/// let (ours, theirs) = UnixStream::pair()?;
/// let mut command = Command::new("renderer");
/// guardhouse_crash::inherit::give(&mut command, theirs.into(), "GUARDHOUSE_SOCKET")?;
/// let child = command.spawn()?;
/// # let _ = (ours, child);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn give(command: &mut Command, socket: OwnedFd, variable: &str) -> io::Result<()> {
    let (sender, carrier) = UnixStream::pair()?;
    post(&sender, socket.as_fd())?;
    let carrier = fcntl_dupfd_cloexec(&carrier, LOWEST)?;
    command.env(variable, Ticket::of(carrier.as_fd())?.to_string());

    // Closing the last copy while the message waits is what macOS may not survive.
    #[cfg(target_vendor = "apple")]
    let kept = socket;
    #[cfg(not(target_vendor = "apple"))]
    drop(socket);

    let inherit = move || {
        #[cfg(target_vendor = "apple")]
        let _ = &kept;
        // If it failed, the child would run without the socket, which is better than not at all.
        let _ = fcntl_setfd(&carrier, FdFlags::empty());
        Ok(())
    };
    // SAFETY: Between fork and exec the closure does one system call on a descriptor that it owns,
    // and returns. It neither allocates nor takes a lock, and what it captured is dropped in the
    // parent only.
    unsafe { command.pre_exec(inherit) };
    Ok(())
}

/// Takes the socket that the parent gave, if it gave one and nobody else has taken it.
///
/// What `variable` says is checked before anything is done with it: the descriptor that it names has
/// to be the carrier of the parent, by its identity, and what comes out of it a connected local
/// stream. Only the first call in a process that finds the variable set can succeed; `None` is the
/// answer to all others and to anything odd. The process's own children inherit the variable, but
/// neither carrier nor socket.
///
/// ```no_run
/// use std::os::unix::net::UnixStream;
///
/// let to_main = guardhouse_crash::inherit::take("GUARDHOUSE_SOCKET").map(UnixStream::from);
/// # let _ = to_main;
/// ```
pub fn take(variable: &str) -> Option<OwnedFd> {
    let ticket = Ticket::parse(&std::env::var(variable).ok()?)?;
    if TAKEN.swap(true, Ordering::SeqCst) {
        return None;
    }
    let socket = unpack(ticket.redeem()?.as_fd())?;
    is_connected(&socket).then_some(socket)
}

/// Which descriptor the carrier is, and which socket it has to be.
#[derive(Debug, PartialEq, Eq)]
struct Ticket {
    number: RawFd,
    device: u64,
    inode: u64,
}

impl Ticket {
    fn of(carrier: BorrowedFd<'_>) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        let (device, inode) = identity(carrier)?;
        Ok(Self { number: carrier.as_raw_fd(), device, inode })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let number = parts.next()?.parse().ok().filter(|&number| number >= LOWEST)?;
        let device = parts.next()?.parse().ok()?;
        let inode = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { number, device, inode })
    }

    /// The carrier, if it is still what the ticket says.
    fn redeem(&self) -> Option<OwnedFd> {
        // SAFETY: The number is only shown to the kernel, which refuses one that is not open, and is
        // not negative.
        let unchecked = unsafe { BorrowedFd::borrow_raw(self.number) };
        // What is no socket has no type of one.
        let is_stream = socket_type(unchecked).is_ok_and(|kind| kind == SocketType::STREAM);
        if !is_stream || identity(unchecked).ok()? != (self.device, self.inode) {
            return None;
        }
        // SAFETY: It is the very socket that `give` made to be owned by whoever takes it. Nobody else
        // in this process knows of it, and `TAKEN` lets one call come here.
        Some(unsafe { OwnedFd::from_raw_fd(self.number) })
    }
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.number, self.device, self.inode)
    }
}

/// By what the kernel tells one socket from all others.
// The types of both differ between systems.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
fn identity(fd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_dev as u64, stat.st_ino as u64))
}

/// Puts the socket into a message that waits in the other end.
fn post(sender: &UnixStream, socket: BorrowedFd<'_>) -> io::Result<()> {
    let sockets = [socket];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    sendmsg(sender, &[IoSlice::new(PARCEL)], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Takes the socket out of the carrier, if nobody was there before.
fn unpack(carrier: BorrowedFd<'_>) -> Option<OwnedFd> {
    let mut parcel = [0; PARCEL.len()];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    #[cfg(target_os = "linux")]
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = RecvFlags::DONTWAIT;
    recvmsg(carrier, &mut [IoSliceMut::new(&mut parcel)], &mut control, flags).ok()?;

    let mut sockets = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    let socket = sockets.next()?.next()?;
    // Where it cannot be received as private.
    fcntl_setfd(&socket, FdFlags::CLOEXEC).ok()?;
    Some(socket)
}

/// Whether it is a local stream that has another end.
fn is_connected(socket: &OwnedFd) -> bool {
    if !socket_type(socket).is_ok_and(|kind| kind == SocketType::STREAM) {
        return false;
    }
    // The standard library knows how each system describes an address without a name.
    socket.try_clone().map(UnixStream::from).is_ok_and(|stream| stream.peer_addr().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_survives_being_written() {
        let ticket = Ticket { number: 12, device: 8, inode: u64::MAX };
        assert_eq!(Ticket::parse(&ticket.to_string()), Some(ticket));
    }

    #[test]
    fn an_odd_ticket_is_none() {
        for text in ["", "12", "12:1", "-1:1:1", "2:1:1", "12:1:1:1", "12:1:x", "99999999999:1:1"] {
            assert_eq!(Ticket::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_ticket_for_another_socket_is_worth_nothing() {
        let (one, other) = UnixStream::pair().unwrap();
        let one = fcntl_dupfd_cloexec(&one, LOWEST).unwrap();
        let other = fcntl_dupfd_cloexec(&other, LOWEST).unwrap();
        let swapped = Ticket {
            number: Ticket::of(one.as_fd()).unwrap().number,
            ..Ticket::of(other.as_fd()).unwrap()
        };
        assert!(swapped.redeem().is_none());
    }

    #[test]
    fn a_ticket_for_a_number_that_is_not_open_is_worth_nothing() {
        assert!(Ticket { number: RawFd::MAX, device: 0, inode: 0 }.redeem().is_none());
    }

    #[test]
    fn what_waits_can_be_unpacked_once() {
        let (sender, carrier) = UnixStream::pair().unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        post(&sender, ours.as_fd()).unwrap();
        assert!(unpack(carrier.as_fd()).is_some_and(|socket| is_connected(&socket)));
        assert!(unpack(carrier.as_fd()).is_none());
    }

    #[test]
    fn a_file_is_no_socket() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(!is_connected(&file.into()));
    }
}
