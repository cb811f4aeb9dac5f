//! The peers: a socket that moves the same bytes, and one behind which each message becomes a file.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use super::{BYTES, Round, envelope};
use crate::child::{Child, Speaker, command, serve};
use crate::measure::Settings;

/// Which socket.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Unix,
    Tcp,
}

/// A round of a bare socket, and of one with files.
pub(super) fn both(kind: Kind, fresh: impl Fn() -> PathBuf, settings: &Settings) -> (Round, Round) {
    (round(kind, fresh(), false, settings), round(kind, fresh(), true, settings))
}

fn round(kind: Kind, folder: PathBuf, with_files: bool, settings: &Settings) -> Round {
    let kept = with_files.then(|| folder.clone());
    let heard = Arc::new(AtomicUsize::new(0));
    let counted = heard.clone();
    let (name, address, hearing) = match kind {
        Kind::Unix => {
            let path = folder.join("socket");
            let listener = UnixListener::bind(&path).expect("the folder is ours");
            let hearing = thread::spawn(move || {
                let (stream, _) = listener.accept().expect("the child comes");
                hear(&stream, &stream, kept.as_deref(), &counted);
            });
            ("unix", path.display().to_string(), hearing)
        }
        Kind::Tcp => {
            let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
            let address = listener.local_addr().expect("it is bound").to_string();
            let hearing = thread::spawn(move || {
                let (stream, _) = listener.accept().expect("the child comes");
                stream.set_nodelay(true).expect("it can be set");
                hear(&stream, &stream, kept.as_deref(), &counted);
            });
            ("tcp", address, hearing)
        }
    };
    let (mut speaker, _) = Child::start(command("socket", &[name, &address]));
    let round = Round::of(&mut speaker, settings, || heard.load(Ordering::Acquire));
    drop(speaker);
    hearing.join().expect("it heard to the end");
    round
}

/// Hears messages until there are no more. Each begins with a byte that says whether to answer.
fn hear(from: impl Read, mut to: impl Write, kept: Option<&Path>, counted: &AtomicUsize) {
    let mut from = BufReader::with_capacity(64 * 1024, from);
    let mut message = vec![0; 1 + BYTES];
    for number in 0.. {
        if from.read_exact(&mut message).is_err() {
            return;
        }
        if let Some(kept) = kept {
            let file: PathBuf = kept.join(number.to_string());
            fs::write(file, &message[1..]).expect("a file can be written");
        }
        counted.fetch_add(1, Ordering::AcqRel);
        if message[0] == 1 {
            to.write_all(&[1]).expect("the child reads");
        }
    }
}

/// What the child does.
pub(crate) fn speak(arguments: &[String]) {
    match arguments[0].as_str() {
        "unix" => {
            let stream = UnixStream::connect(&arguments[1]).expect("the parent listens");
            serve(&mut Socket(stream));
        }
        _ => {
            let stream = TcpStream::connect(&arguments[1]).expect("the parent listens");
            stream.set_nodelay(true).expect("it can be set");
            serve(&mut Socket(stream));
        }
    }
}

struct Socket<S>(S);

impl<S: Read + Write> Speaker for Socket<S> {
    type Words = Vec<u8>;

    fn think(&mut self, _number: u64) -> Vec<u8> {
        let mut message = vec![0];
        message.extend(envelope());
        message
    }

    fn say(&mut self, mut message: Vec<u8>, is_last: bool) {
        message[0] = u8::from(is_last);
        self.0.write_all(&message).expect("the parent reads");
    }

    fn wait(&mut self) {
        self.0.read_exact(&mut [0]).expect("the parent answers");
    }
}
