//! From a name to an open connection.
//!
//! A name often has addresses of both kinds, and one kind may lead nowhere. Waiting for one after
//! the other would use up all the time there is, so the next address is tried as well when the one
//! before has not answered soon, and the first connection wins.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use guardhouse_process::helper_thread;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::address::Address;
use super::deadline::Deadline;
use super::error::{SendError, SendErrorKind, Stage};

/// How long an address has before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);
/// How many addresses of a name are tried.
const ADDRESSES: usize = 16;
/// How much the system may take from us that it has not sent yet. More would look like progress of a
/// body that does not move.
const UNSENT: u32 = 256 * 1024;

type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Connects to an address by name or number.
pub(super) async fn dial(address: &Address, deadline: &Deadline) -> Result<TcpStream, SendError> {
    let found = look_up(address.host.clone(), address.port);
    let found = deadline.hold(Stage::Resolve, address, found).await?.map(in_turns);
    let found = found.map_err(|error| SendError::new(SendErrorKind::Resolve, address, error))?;

    let stream = deadline.hold(Stage::Connect, address, race(found)).await?;
    stream.map_err(|error| SendError::new(SendErrorKind::Connect, address, error))
}

/// The addresses of a name. The system may take its time for that.
async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(number) = host.parse() {
        return Ok(vec![SocketAddr::new(number, port)]);
    }
    let found = helper_thread::run(move || {
        let found = (host.as_str(), port).to_socket_addrs();
        found.map(|found| found.take(ADDRESSES).collect())
    });
    let found = found.map_err(|(error, _)| error)?;
    found.await.unwrap_or_else(|_| Err(io::Error::other("the system's lookup has panicked")))
}

/// Addresses of both kinds in turns, beginning with the kind that the system put first.
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv4() == first_is_v4);
    let mut turns = Vec::with_capacity(addresses.len());
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    while turns.len() < addresses.len() {
        turns.extend(one.next());
        turns.extend(other.next());
    }
    turns
}

async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut running: Vec<Attempt> = Vec::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "it has no addresses");
    let mut timer = pin!(sleep_until(Instant::now()));
    poll_fn(|context| {
        loop {
            let mut index = 0;
            while let Some(attempt) = running.get_mut(index) {
                match attempt.as_mut().poll(context) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        failure = error;
                        drop(running.swap_remove(index));
                    }
                    Poll::Pending => index += 1,
                }
            }
            let is_next_due = running.is_empty() || timer.as_mut().poll(context).is_ready();
            let next = if is_next_due { waiting.next() } else { None };
            match next {
                Some(address) => running.push(Box::pin(open(address))),
                None if running.is_empty() => {
                    let failure = std::mem::replace(&mut failure, io::ErrorKind::NotFound.into());
                    return Poll::Ready(Err(failure));
                }
                None => return Poll::Pending,
            }
            timer.as_mut().reset(Instant::now() + HEAD_START);
        }
    })
    .await
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    let _ = socket.set_send_buffer_size(UNSENT);
    // What is sent is sent in large pieces; the last one must not wait for the one before.
    let _ = socket.set_nodelay(true);
    // Whoever drops a connection is done with it. Closed in the usual way, the system would go on
    // sending what it has, for minutes if the other side does not read.
    let _ = socket.set_zero_linger();
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_take_turns() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let given = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"].map(parse);
        let turns = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"].map(parse);
        assert_eq!(in_turns(given.to_vec()), turns);
        assert_eq!(in_turns(Vec::new()), []);
    }

    #[test]
    fn an_address_that_refuses_is_followed_by_the_next() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let open = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stream = race(vec![closed, open]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), open);
            assert!(race(vec![closed, closed]).await.is_err());
            assert!(race(Vec::new()).await.is_err());
        });
    }
}
