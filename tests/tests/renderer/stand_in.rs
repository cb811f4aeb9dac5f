//! A main that takes whatever it is told, on its socket alone, and lets a test see it.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use guardhouse_process::link::{Reader, Writer};
use guardhouse_process::meeting::Meeting;
use guardhouse_protocol::frame::{Frame, Hello, MessageId, Proof, Side, Version, Welcome};
use guardhouse_protocol::{
    Channel, FeedbackResult, FlushResult, Message, Namespace, StreamOpening, StreamResult,
};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

/// So long something is waited for that should come at once: only what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// See the [module](self). Dropping it ends it, as if main had been killed.
pub(crate) struct StandIn {
    heard: Receiver<Heard>,
    /// What it pushes; dropped first of all, which ends the thread.
    pushes: Option<UnboundedSender<(Channel, Bytes)>>,
    thread: Option<JoinHandle<()>>,
}

/// What it has heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A renderer has introduced itself, and was welcomed.
    Hello(Hello),
    /// It has said something.
    Said(Message),
    /// A stream is complete.
    Stream(StreamOpening, u64),
    /// It goes in good order.
    Goodbye,
    /// The connection is closed.
    Gone,
}

impl StandIn {
    /// Stands in for a main of this namespace, where a process with this `XDG_RUNTIME_DIR` looks for
    /// one.
    pub(crate) fn start(runtime_dir: &Path, namespace: &str) -> Self {
        let directory = runtime_dir.join("guardhouse");
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).unwrap();
        let mut meeting = Meeting::new(Namespace::new(namespace).unwrap(), Proof::new([7; 32]));
        let socket = directory.join(format!("{}.sock", Uuid::new_v4().simple()));
        meeting.socket = Some(socket.clone());
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let posted = meeting.post(&directory).unwrap();
        let (sender, heard) = mpsc::channel();
        let (pushes, mut to_push) = unbounded_channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = UnixListener::from_std(listener).unwrap();
                let welcome = Welcome::new(Version::ONE, Uuid::new_v4(), Proof::new([1; 32]));
                loop {
                    let stream = tokio::select! {
                        accepted = listener.accept() => accepted.unwrap().0,
                        none = to_push.recv() => match none {
                            Some(_) => continue,
                            None => break,
                        },
                    };
                    match serve(stream, &welcome, &sender, &mut to_push).await {
                        Ok(true) => drop(sender.send(Heard::Gone)),
                        Ok(false) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            drop(posted);
            let _ = std::fs::remove_file(socket);
        });
        Self { heard, pushes: Some(pushes), thread: Some(thread) }
    }

    /// The next that it hears.
    #[track_caller]
    pub(crate) fn hear(&self) -> Heard {
        self.heard.recv_timeout(PATIENCE).expect("there is something to hear")
    }

    /// Everything that it hears until the connection is closed.
    #[track_caller]
    pub(crate) fn hear_until_end(&self) -> Vec<Heard> {
        let mut heard = Vec::new();
        while !matches!(heard.last(), Some(Heard::Gone)) {
            heard.push(self.hear());
        }
        heard
    }

    /// The next that was said on a channel; what was said before it on others is passed over.
    #[track_caller]
    pub(crate) fn hear_on(&self, channel: Channel) -> Message {
        loop {
            match self.hear() {
                Heard::Said(message) if message.channel() == channel => return message,
                Heard::Gone => panic!("the renderer is gone"),
                _ => {}
            }
        }
    }

    /// The message of the next event.
    #[track_caller]
    pub(crate) fn hear_event(&self) -> serde_json::Value {
        let Message::Envelope(envelope) = self.hear_on(Channel::Envelope) else { unreachable!() };
        serde_json::from_slice(envelope.items()[0].payload()).unwrap()
    }

    /// Tells the renderer something.
    pub(crate) fn push(&self, channel: Channel, payload: impl Into<Bytes>) {
        self.pushes.as_ref().unwrap().send((channel, payload.into())).unwrap();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.pushes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves one connection. Says whether the renderer has ended it, or the test.
async fn serve(
    stream: UnixStream,
    welcome: &Welcome,
    heard: &Sender<Heard>,
    to_push: &mut UnboundedReceiver<(Channel, Bytes)>,
) -> io::Result<bool> {
    let (read, write) = stream.into_split();
    let (mut reader, mut writer) = (Reader::new(Side::Main, read), Writer::new(Side::Main, write));
    let mut streams = BTreeMap::new();
    let mut next_id = 1;
    loop {
        while let Some(frame) = reader.next_frame().map_err(io::Error::other)? {
            let is_hello = matches!(frame, Frame::Hello(_));
            if let Some(answer) = answer(frame, welcome, heard, &mut streams) {
                // A renderer that is dead hears nothing, and what it said counts nonetheless.
                let _ = writer.send(&answer).await;
            }
            if is_hello {
                reader.agree(welcome.version);
            }
        }
        let _ = writer.flush().await;
        tokio::select! {
            filled = reader.fill() => if !filled.unwrap_or(false) {
                return Ok(true);
            },
            push = to_push.recv() => {
                let Some((channel, payload)) = push else { return Ok(false) };
                let frame = Frame::Message { id: MessageId::new(next_id), channel, payload };
                next_id += 1;
                writer.send(&frame).await?;
            }
        }
    }
}

fn answer(
    frame: Frame,
    welcome: &Welcome,
    heard: &Sender<Heard>,
    streams: &mut BTreeMap<MessageId, StreamOpening>,
) -> Option<Frame> {
    let reply =
        |id, channel, payload: String| Some(Frame::Reply { id, channel, payload: payload.into() });
    let (what, answer) = match frame {
        Frame::Hello(hello) => (Heard::Hello(hello), Some(Frame::Welcome(welcome.clone()))),
        Frame::Message { id, channel, payload } => {
            let answer = match channel {
                Channel::Flush => {
                    reply(id, channel, FlushResult { durable: true }.to_json().to_string())
                }
                Channel::Feedback => {
                    let sent = FeedbackResult { status_code: Some(200), ..Default::default() };
                    reply(id, channel, sent.to_json().to_string())
                }
                _ => Some(Frame::Ack { id }),
            };
            (Heard::Said(Message::parse(channel, payload).unwrap()), answer)
        }
        Frame::StreamOpen { id, payload, .. } => {
            streams.insert(id, StreamOpening::parse(&payload).unwrap());
            return Some(Frame::StreamAck { id, received: 0 });
        }
        Frame::Chunk { id, channel, offset, last, data } => {
            assert!(data.iter().all(|byte| *byte == b'x'));
            let received = offset + data.len() as u64;
            if !last {
                return Some(Frame::StreamAck { id, received });
            }
            let result = StreamResult { received, complete: true };
            let opening = streams.remove(&id).expect("it was opened");
            (Heard::Stream(opening, received), reply(id, channel, result.to_json().to_string()))
        }
        Frame::Goodbye => (Heard::Goodbye, None),
        other => panic!("a renderer does not say {other:?}"),
    };
    // A test that has seen enough does not listen any more.
    let _ = heard.send(what);
    answer
}
