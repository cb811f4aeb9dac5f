//! A native renderer by hand: frames and bytes on main's socket, as nobody's SDK would send them.
//!
//! It does what a test tells it, right or wrong, and shows every frame that main answers with. What a
//! real renderer does is shown with a real one.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use guardhouse_process::meeting::{self, Meeting};
use guardhouse_protocol::frame::{
    Decoder, Ending, Frame, HEAD_BYTES, Hello, MessageId, Proof, Rejection, RendererName, Role,
    Side, Welcome,
};
use guardhouse_protocol::{Channel, Namespace};

/// So long an answer is waited for that should come at once: only what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Main's note, in the runtime directory that a test gave its main.
///
/// # Panics
///
/// If there is none.
#[track_caller]
pub fn note(runtime: &Path) -> Meeting {
    note_of(runtime, &Namespace::DEFAULT)
}

/// The note of the latest main with this namespace.
///
/// # Panics
///
/// If there is none.
#[track_caller]
pub fn note_of(runtime: &Path, namespace: &Namespace) -> Meeting {
    let mut found = meeting::find(&runtime.join("guardhouse"), namespace).into_iter();
    found.next().expect("a main that lives has a note").1
}

/// A connection to main's socket.
#[derive(Debug)]
pub struct Wire {
    stream: UnixStream,
    decoder: Decoder,
    next: u64,
}

impl Wire {
    /// Connects, and says nothing yet.
    ///
    /// # Panics
    ///
    /// If main has no socket.
    #[track_caller]
    pub fn connect(note: &Meeting) -> Self {
        let socket = note.socket.as_ref().expect("main has the classic way");
        Self::over(UnixStream::connect(socket).expect("main listens"))
    }

    /// Takes a socket that is connected already.
    pub fn over(stream: UnixStream) -> Self {
        let _ = stream.set_read_timeout(Some(PATIENCE));
        Self { stream, decoder: Decoder::new(Side::Renderer), next: 1 }
    }

    /// Connects and is welcome.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[track_caller]
    pub fn welcome(note: &Meeting, name: &str) -> Self {
        let mut wire = Self::connect(note);
        wire.greet(&hello(note, name)).expect("the proof is right");
        wire
    }

    /// Says hello and hears what main thinks of it.
    ///
    /// # Panics
    ///
    /// If main hangs up without a word.
    #[track_caller]
    pub fn greet(&mut self, hello: &Hello) -> Result<Welcome, Rejection> {
        self.try_greet(hello).expect("neither a welcome nor a rejection")
    }

    /// The same; nothing if main hangs up without a word.
    ///
    /// # Panics
    ///
    /// If it says something else.
    #[track_caller]
    pub fn try_greet(&mut self, hello: &Hello) -> Option<Result<Welcome, Rejection>> {
        self.send(&Frame::Hello(hello.clone()));
        match self.hear()? {
            Frame::Welcome(welcome) => {
                self.decoder.agree(welcome.version);
                Some(Ok(welcome))
            }
            Frame::Refused(rejection) => Some(Err(rejection)),
            other => panic!("neither a welcome nor a rejection: {other:?}"),
        }
    }

    /// Sends a frame. If main has hung up it is lost.
    ///
    /// # Panics
    ///
    /// If main would refuse it. Send such a thing as [bytes](Self::send_bytes).
    #[track_caller]
    pub fn send(&mut self, frame: &Frame) {
        let mut bytes = BytesMut::new();
        frame.encode(Side::Renderer, &mut bytes).expect("a renderer may send it");
        self.send_bytes(&bytes);
    }

    /// Sends bytes. Says whether main still takes them.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next frame of main; nothing if it has hung up.
    ///
    /// # Panics
    ///
    /// If it hangs, or sends what it may not.
    #[track_caller]
    pub fn hear(&mut self) -> Option<Frame> {
        loop {
            match self.decoder.poll() {
                Ok(Some(frame)) => return Some(frame),
                Ok(None) => {}
                Err(error) => panic!("{error}"),
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece) {
                Ok(0) => {
                    assert!(matches!(
                        self.decoder.ending(),
                        Ok(Ending::Goodbye | Ending::Refused | Ending::Death { unfinished: 0 })
                    ));
                    return None;
                }
                Ok(length) => self.decoder.push(&piece[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("it hangs: {error}"),
            }
        }
    }

    /// Sends a message and returns its id, without waiting for an answer.
    #[track_caller]
    pub fn say(&mut self, channel: Channel, payload: impl Into<Bytes>) -> MessageId {
        let id = MessageId::new(self.next);
        self.next += 1;
        self.say_as(id, channel, payload);
        id
    }

    /// Sends a message under an id.
    #[track_caller]
    pub fn say_as(&mut self, id: MessageId, channel: Channel, payload: impl Into<Bytes>) {
        self.send(&Frame::Message { id, channel, payload: payload.into() });
    }

    /// Sends a message and waits for its answer.
    ///
    /// # Panics
    ///
    /// If main hangs up instead.
    #[track_caller]
    pub fn ask(&mut self, channel: Channel, payload: impl Into<Bytes>) -> Frame {
        let id = self.say(channel, payload);
        loop {
            let frame = self.hear().expect("main answers");
            let answered = match &frame {
                Frame::Ack { id } | Frame::Declined { id, .. } | Frame::Reply { id, .. } => *id,
                _ => continue,
            };
            if answered == id {
                return frame;
            }
        }
    }

    /// Says that nothing more comes, and reads until main has hung up, whatever it sends until then.
    ///
    /// # Panics
    ///
    /// If it does not hang up.
    #[track_caller]
    pub fn finish(mut self) -> usize {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        self.read_to_end()
    }

    /// Reads until main has hung up of itself. Says how many bytes came.
    ///
    /// # Panics
    ///
    /// If it does not hang up.
    #[track_caller]
    pub fn read_to_end(&mut self) -> usize {
        let (mut piece, mut total) = ([0; 4096], 0);
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return total,
                Ok(length) => total += length,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return total,
                Err(error) => panic!("it does not hang up: {error}"),
            }
        }
    }

    /// The socket itself.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }
}

/// The head of a frame with whatever it should not have: kind, channel, flags, id, length.
pub fn head(kind: u8, channel: u8, flags: u16, id: u64, length: u32) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4] = kind;
    head[5] = channel;
    head[6..8].copy_from_slice(&flags.to_le_bytes());
    head[8..].copy_from_slice(&id.to_le_bytes());
    head
}

/// The bytes of a frame that a renderer may send.
///
/// # Panics
///
/// If it may not.
#[track_caller]
pub fn bytes_of(frame: &Frame) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    frame.encode(Side::Renderer, &mut bytes).expect("a renderer may send it");
    bytes.to_vec()
}

/// A right hello to this main.
///
/// # Panics
///
/// If it is no name.
pub fn hello(note: &Meeting, name: &str) -> Hello {
    hello_with(note, name, note.proof.clone())
}

/// A hello with another proof.
///
/// # Panics
///
/// If it is no name.
pub fn hello_with(note: &Meeting, name: &str, proof: Proof) -> Hello {
    let name = RendererName::new(name).expect("it is a name");
    Hello::new(note.namespace.clone(), Role::Renderer, name, std::process::id(), proof)
}

/// Where main answers HTTP.
///
/// # Panics
///
/// If it does not.
pub fn address(note: &Meeting) -> SocketAddr {
    note.address.expect("main has the protocol")
}

/// An envelope with one event.
pub fn event(id: &str, message: &str) -> String {
    format!(
        "{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\"}}\n\
         {{\"event_id\":\"{id}\",\"message\":\"{message}\",\"platform\":\"native\"}}\n"
    )
}
