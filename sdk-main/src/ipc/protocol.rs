//! The protocol: HTTP/1.1 on the loopback interface.
//!
//! [`listen`] takes whoever connects, and answers its requests until it hangs up. The rules are those
//! of [`guardhouse_protocol::http`]; here they meet sockets. It promises that nobody who has shown no
//! secret makes main read a body, or holds a connection for long; that nothing is set aside for what
//! a request only claims to bring; and that whatever is refused is counted. What a message means, and
//! whether it is taken, it leaves to the [`Service`]; what HTTP is, to hyper.
//!
//! [`answer`](answer::answer) knows no socket: whoever has a request from elsewhere can have it
//! answered too.

mod answer;
mod body;
mod caller;
mod door;
mod line;
mod pace;
mod peer;
mod refusal;
mod reply;
mod seats;
mod target;
mod waiting;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use door::Door;
use peer::Ends;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, yield_now};

use super::Service;

/// So long main waits when it cannot take a connection, and then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// But never longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Takes connections for ever. Dropping it closes all of them.
pub(crate) async fn listen(service: Service, listener: TcpListener) {
    let address = match listener.local_addr() {
        Ok(address) => address,
        Err(error) => {
            return service.say_in_debug(format_args!(
                "renderers cannot use the protocol: its socket has no address ({error})"
            ));
        }
    };
    #[cfg(unix)]
    let _kept = guardhouse_crash::fork::keep(&listener);
    let door = Arc::new(Door::new(service, address));
    let mut connections = JoinSet::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                match door.let_in(Some(Ends { peer, own: address })) {
                    Some(caller) => {
                        connections.spawn(line::serve(door.clone(), caller, stream));
                    }
                    None => turn_away(&door, &stream),
                }
                // A crowd at the door should not keep those waiting who are inside, nor push out a
                // newcomer before its first request was looked at.
                yield_now().await;
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                door.service.say_in_debug(format_args!(
                    "no connection can be taken at the moment ({error}); main tries again in \
                     {pause:?}"
                ));
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

/// Whether it is a connection that failed, and not the listening.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Says that there is no room, if the system takes it at once: it is worth no waiting.
fn turn_away(door: &Door, stream: &TcpStream) {
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
        connection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 51\r\n\r\n\
        there are as many connections as main takes already";
    door.service.turn_away(
        "connections",
        format_args!(
            "a connection was not taken, since there are as many as main takes; look for a renderer \
             that opens one for each request and closes none"
        ),
    );
    let _ = stream.try_write(FULL);
}
