//! A renderer without an SDK: it writes frames to main's socket, as fast as main reads them.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};

use bytes::BytesMut;
use guardhouse_process::meeting::{Meeting, NOTE_VARIABLE};
use guardhouse_protocol::frame::{Decoder, Frame, Hello, MessageId, RendererName, Role, Side};
use guardhouse_protocol::{Channel, Namespace};

use super::envelope;
use crate::child::{Speaker, serve};

/// What the child does.
pub(crate) fn speak(arguments: &[String]) {
    let note = std::env::var_os(NOTE_VARIABLE).expect("main has started this");
    let main = Meeting::read(Path::new(&note)).expect("the note can be read").expect("main lives");
    let socket = main.socket.expect("main has a socket");
    let stream = UnixStream::connect(socket).expect("main listens");
    let namespace = Namespace::new(&arguments[1]).expect("it is one");
    let name = RendererName::new("bench").expect("it is one");
    let hello = Hello::new(namespace, Role::Renderer, name, std::process::id(), main.proof);
    let mut renderer = ByHand::begin(stream, &hello);
    serve(&mut renderer);
    renderer.write(&Frame::Goodbye);
}

struct ByHand {
    stream: UnixStream,
    buffer: BytesMut,
    next_id: u64,
    unanswered: usize,
    /// Main's answers, some at a time.
    answers: Receiver<usize>,
}

impl ByHand {
    fn begin(stream: UnixStream, hello: &Hello) -> Self {
        let (sender, answers) = mpsc::channel();
        let mut reading = stream.try_clone().expect("there is a descriptor left");
        let mut renderer =
            Self { stream, buffer: BytesMut::new(), next_id: 1, unanswered: 0, answers };
        renderer.write(&Frame::Hello(hello.clone()));
        let mut decoder = Decoder::new(Side::Renderer);
        let mut piece = vec![0; 64 * 1024];
        let welcome = loop {
            match decoder.poll().expect("main keeps to the rules") {
                Some(Frame::Welcome(welcome)) => break welcome,
                Some(other) => panic!("main said {other:?}"),
                None => fill(&mut decoder, &mut reading, &mut piece),
            };
        };
        decoder.agree(hello.check(&welcome).expect("it was offered"));
        // Main writes answers while it reads, so somebody has to read while we write.
        std::thread::spawn(move || hear(&mut decoder, &mut reading, &mut piece, &sender));
        renderer
    }

    fn write(&mut self, frame: &Frame) {
        self.buffer.clear();
        frame.encode(Side::Renderer, &mut self.buffer).expect("it may be said");
        self.stream.write_all(&self.buffer).expect("main reads");
    }
}

fn fill(decoder: &mut Decoder, stream: &mut UnixStream, piece: &mut [u8]) -> bool {
    let length = stream.read(piece).unwrap_or(0);
    decoder.push(&piece[..length]);
    length > 0
}

fn hear(decoder: &mut Decoder, stream: &mut UnixStream, piece: &mut [u8], answers: &Sender<usize>) {
    loop {
        let mut count = 0;
        while let Some(frame) = decoder.poll().expect("main keeps to the rules") {
            match frame {
                Frame::Ack { .. } => count += 1,
                Frame::Declined { reason, .. } => panic!("main declined an envelope: {reason}"),
                _ => {}
            }
        }
        if count > 0 && answers.send(count).is_err() || !fill(decoder, stream, piece) {
            return;
        }
    }
}

impl Speaker for ByHand {
    type Words = Frame;

    fn think(&mut self, _number: u64) -> Frame {
        let id = MessageId::new(self.next_id);
        self.next_id += 1;
        Frame::Message { id, channel: Channel::Envelope, payload: envelope().into() }
    }

    fn say(&mut self, frame: Frame, _is_last: bool) {
        self.write(&frame);
        self.unanswered += 1;
    }

    fn wait(&mut self) {
        while self.unanswered > 0 {
            self.unanswered -= self.answers.recv().expect("main answers");
        }
    }
}
