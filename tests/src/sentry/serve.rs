//! One connection to the mock Sentry, from its first request to its last.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use rustls::ServerConfig;

use super::behaviour::{Behaviour, Reply, Script, Stage};
use super::check::faults;
use super::envelope::Envelope;
use super::message::{Head, Requests};
use super::record::{Record, Request};
use super::stream::Stream;

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) script: Script,
    pub(super) record: Record,
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// Whether the connection can be used on.
type Goes = io::Result<bool>;

impl Shared {
    /// Serves a connection until it ends. What goes wrong with it is the client's to tell.
    pub(super) fn serve(&self, tcp: TcpStream, number: u64) {
        let Ok(mut stream) = Stream::new(tcp, self.tls.as_ref()) else { return };
        if self.script.hangs_at_connection(stream.tcp()) {
            self.hang(&mut stream);
            return;
        }
        let mut requests = Requests::new(stream);
        while let Ok(true) = self.request(&mut requests, number) {}
        requests.stream.get_mut().finish();
    }

    fn hang(&self, stream: &mut Stream) {
        self.record.hangs(true);
        stream.hang();
        self.record.hangs(false);
    }

    fn request(&self, requests: &mut Requests, number: u64) -> Goes {
        if !requests.wait()? {
            return Ok(false);
        }
        let arrived = Instant::now();
        let behaviour = self.script.for_request(requests.stream.get_ref().tcp());
        match behaviour {
            Some(Behaviour::Hang(Stage::Connection | Stage::Request)) => {
                self.hang(requests.stream.get_mut());
                return Ok(false);
            }
            Some(Behaviour::ResetAtOnce) => return reset(requests.stream.get_mut()),
            // Otherwise the system takes it all at once, and only the server is slow.
            Some(Behaviour::Slowly(_)) => requests.stream.get_ref().take_little_at_once(),
            _ => {}
        }
        let head = requests.head()?;
        if let Some(Behaviour::AnswerEarly(reply)) = &behaviour {
            let stream = requests.stream.get_mut();
            write_reply(stream, reply, true)?;
            // Closed with something unread, the connection would be reset and the answer lost.
            self.hang(stream);
            return Ok(false);
        }
        let body = requests.body(&head, |_| match behaviour {
            Some(Behaviour::Hang(Stage::Body)) => false,
            Some(Behaviour::Slowly(pause)) => {
                std::thread::sleep(pause);
                true
            }
            _ => true,
        })?;
        let stream = requests.stream.get_mut();
        let Some(body) = body else {
            self.hang(stream);
            return Ok(false);
        };
        let (content, envelope) = read(&head, &body);
        let faults = faults(&head, &envelope);
        record(&content);

        let usual = usual_reply(&envelope, &faults);
        let status = match &behaviour {
            Some(Behaviour::Answer(reply)) => Some(reply.status),
            None | Some(Behaviour::Slowly(_)) => Some(usual.status),
            Some(Behaviour::EndlessAnswer | Behaviour::Hang(Stage::AnswerBody)) => Some(200),
            Some(_) => None,
        };
        let closes = head.get("connection").is_some_and(|value| value == "close");
        let Head { method, target, headers } = head;
        self.record.add(Request {
            arrived,
            connection: number,
            method,
            target,
            headers,
            body,
            content,
            envelope,
            faults,
            status,
        });
        match behaviour {
            None => write_reply(stream, &usual, closes).inspect(|_| self.record.answers()),
            Some(Behaviour::Answer(reply)) => write_reply(stream, &reply, closes),
            Some(Behaviour::Slowly(pause)) => write_slowly(stream, &usual, pause),
            Some(Behaviour::Reset) => reset(stream),
            Some(Behaviour::EndlessAnswer) => write_endlessly(stream),
            Some(Behaviour::HugeHead) => write_huge_head(stream),
            Some(Behaviour::Garbage) => {
                stream.write_all(b"* OK IMAP4rev1 ready\r\n\r\n")?;
                Ok(false)
            }
            Some(Behaviour::Hang(Stage::Head)) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-")?;
                self.hang(stream);
                Ok(false)
            }
            Some(Behaviour::Hang(Stage::AnswerBody)) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":")?;
                self.hang(stream);
                Ok(false)
            }
            // What is left are the stages before the answer.
            Some(_) => {
                self.hang(stream);
                Ok(false)
            }
        }
    }
}

fn read(head: &Head, body: &[u8]) -> (Vec<u8>, Result<Envelope, String>) {
    let mut content = Vec::new();
    match head.get("content-encoding") {
        None => content.extend(body),
        Some("gzip") => {
            if let Err(error) = MultiGzDecoder::new(body).read_to_end(&mut content) {
                return (content, Err(format!("the body is not gzip: {error}")));
            }
        }
        Some(other) => return (content, Err(format!("the body's encoding is {other:?}"))),
    }
    let envelope = Envelope::parse(&content);
    (content, envelope)
}

/// Writes what arrived into the folder of `GUARDHOUSE_RECORD`, if there is one, for whoever wants to
/// look at all that tests send.
fn record(content: &[u8]) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let Some(folder) = std::env::var_os("GUARDHOUSE_RECORD") else { return };
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let file = Path::new(&folder).join(format!("{}-{number}", std::process::id()));
    std::fs::write(file, content).expect("the folder to record into is there");
}

/// What a Sentry answers that is well.
fn usual_reply(envelope: &Result<Envelope, String>, faults: &[String]) -> Reply {
    let id = envelope.as_ref().ok().and_then(Envelope::event_id);
    let (status, body) = match (faults, id) {
        ([], Some(id)) => (200, serde_json::json!({ "id": id })),
        ([], None) => (200, serde_json::json!({})),
        (faults, _) => (400, serde_json::json!({ "detail": faults })),
    };
    Reply { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}

fn text(reply: &Reply, closes: bool) -> Vec<u8> {
    let Reply { status, headers, body } = reply;
    let mut text = format!("HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if closes {
        text.push_str("Connection: close\r\n");
    }
    if *status == 204 {
        // Such an answer has no body.
        return (text + "\r\n").into_bytes();
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut text = text.into_bytes();
    text.extend(body);
    text
}

fn write_reply(stream: &mut Stream, reply: &Reply, closes: bool) -> Goes {
    stream.write_all(&text(reply, closes))?;
    Ok(!closes)
}

fn write_slowly(stream: &mut Stream, reply: &Reply, pause: Duration) -> Goes {
    for piece in text(reply, false).chunks(32) {
        stream.write_all(piece)?;
        std::thread::sleep(pause);
    }
    Ok(true)
}

fn write_endlessly(stream: &mut Stream) -> Goes {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    loop {
        stream.write_all(b"10\r\n                \r\n")?;
    }
}

fn write_huge_head(stream: &mut Stream) -> Goes {
    stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
    for number in 0..10_000 {
        stream.write_all(format!("X-Header-{number}: {:01000}\r\n", 0).as_bytes())?;
    }
    stream.write_all(b"Content-Length: 0\r\n\r\n")?;
    Ok(true)
}

fn reset(stream: &mut Stream) -> Goes {
    stream.reset();
    Err(io::ErrorKind::ConnectionReset.into())
}
