//! A main that answers what a test wants, and a client that writes what no library would.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use guardhouse_process::lock;
use guardhouse_protocol::frame::{Hello, MessageId, Proof, RendererName, Role, Welcome};
use guardhouse_protocol::http::{Answer, RequestHead};
use guardhouse_protocol::{FeedbackResult, Namespace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::super::listen;
use crate::house::{House, MessageAnswer, Visit};
use crate::ipc::Service;
use crate::ipc::service::{Call, StreamAnswer};

pub(super) const PROOF: Proof = Proof::new([1; 32]);

/// A main with a listener. What is said in a message says how it is answered.
pub(super) struct Main {
    pub(super) house: Arc<House>,
    pub(super) address: SocketAddr,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    calls: Mutex<Vec<String>>,
    more: Notify,
}

impl Main {
    pub(super) async fn start() -> Self {
        allow_many_sockets();
        let house = House::new(false, 100, None, Vec::new(), (&Namespace::DEFAULT, PROOF));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Heard::default());
        tokio::spawn(listen(Service::new(house.clone()), listener));
        tokio::spawn(stand_in(house.clone(), heard.clone()));
        Self { house, address, heard }
    }

    /// A connection on which nothing was said.
    pub(super) async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.unwrap();
        Client { stream, read: Vec::new(), host: self.address.to_string(), head: String::new() }
    }

    /// A connection of a renderer that is welcome.
    pub(super) async fn renderer(&self) -> Client {
        let mut client = self.connect().await;
        let said = client.ask("POST", "/hello/sentry_key", &hello(PROOF)).await;
        assert_eq!(said.status, 200, "{said:?}");
        let welcome = Welcome::parse(&said.body).unwrap();
        client.show(&welcome);
        client
    }

    /// Another connection of the same renderer.
    pub(super) async fn another(&self, client: &Client) -> Client {
        Client { head: client.head.clone(), ..self.connect().await }
    }

    /// Waits until the SDK thread has heard this.
    pub(super) async fn hears(&self, call: &str) {
        loop {
            let more = self.heard.more.notified();
            if self.heard().iter().any(|heard| heard == call) {
                return;
            }
            more.await;
        }
    }

    pub(super) fn heard(&self) -> Vec<String> {
        lock(&self.heard.calls).clone()
    }

    /// How often somebody was turned away for this reason.
    pub(super) fn turned_away(&self, why: &str) -> u64 {
        let all = lock(&self.house.renderers).turned_away();
        all.into_iter().find(|(reason, _)| *reason == why).map_or(0, |(_, count)| count)
    }
}

/// Both ends of each connection are in this process, and some systems let a process have 256 files.
fn allow_many_sockets() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        const MANY: u64 = 4096;
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current.is_some_and(|current| current < MANY) {
            let current = Some(maximum.map_or(MANY, |maximum| maximum.min(MANY)));
            setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
        }
    }
}

pub(super) fn hello(proof: Proof) -> Vec<u8> {
    let name = RendererName::new("helper").unwrap();
    let hello = Hello::new(Namespace::DEFAULT, Role::Utility, name, 7, proof);
    hello.to_json().text().as_bytes().to_vec()
}

async fn stand_in(house: Arc<House>, heard: Arc<Heard>) {
    let mut kept = Vec::new();
    loop {
        while let Some(visit) = house.doorway().next() {
            let Visit::Native(call) = visit else { continue };
            let said = match call {
                Call::Arrived { .. } => "arrived".to_owned(),
                Call::Unlinked { .. } => "unlinked".to_owned(),
                Call::Said { id, channel, payload, answer, .. } => {
                    let said =
                        format!("{channel} {:?} {}", id.map(MessageId::number), payload.len());
                    match &payload[..] {
                        b"much" => answer.tell(MessageAnswer::refused(Answer::OverBudget, "much")),
                        b"memory" => answer.tell(MessageAnswer::NotDurable),
                        b"ends" => drop(answer),
                        b"never" => kept.push(answer),
                        _ if channel.name() == "feedback" => {
                            let status_code = Some(200);
                            let result = FeedbackResult { status_code, ..Default::default() };
                            answer.tell(MessageAnswer::Feedback(result));
                        }
                        _ => answer.tell(MessageAnswer::Taken),
                    }
                    said
                }
                Call::Opened { id, opening, answer, .. } => {
                    answer(match opening.filename() {
                        "done" => StreamAnswer::Complete(9),
                        "no" => StreamAnswer::Declined("it is not wanted".to_owned()),
                        _ => StreamAnswer::At(0),
                    });
                    format!("opened {}", id.number())
                }
                Call::Chunk { id, offset, is_last, data, answer, .. } => {
                    let end = offset + data.len() as u64;
                    match offset {
                        7 => answer(StreamAnswer::OutOfPlace(3)),
                        8 => answer(StreamAnswer::NotOpen),
                        9 => drop(answer),
                        _ if is_last => answer(StreamAnswer::Complete(end)),
                        _ => answer(StreamAnswer::At(end)),
                    }
                    format!("chunk {} {offset} {}", id.number(), data.len())
                }
                other => {
                    let has_left = matches!(other, Call::Left { .. });
                    if has_left { "left" } else { "something else" }.to_owned()
                }
            };
            lock(&heard.calls).push(said);
            heard.more.notify_waiters();
        }
        house.doorway().visited().await;
    }
}

/// One end of a connection.
pub(super) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
    host: String,
    /// The headers with which it is known.
    head: String,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: u16,
    /// In lower case.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Said {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(header, _)| *header == name).map(|(_, value)| value)
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    /// Shows from now on what it got with its welcome.
    pub(super) fn show(&mut self, welcome: &Welcome) {
        let head = RequestHead {
            renderer_id: Some(welcome.renderer_id),
            secret: Some(welcome.secret.clone()),
            ..RequestHead::default()
        };
        let lines =
            head.to_headers().into_iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        self.head = lines.collect();
    }

    /// The headers with which it is known.
    pub(super) fn head(&self) -> &str {
        &self.head
    }

    /// A whole request.
    pub(super) fn request(&self, method: &str, path: &str, more: &str, body: &[u8]) -> Vec<u8> {
        let Self { host, head, .. } = self;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{head}{more}content-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    }

    pub(super) async fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Said {
        self.ask_with(method, path, "", body).await
    }

    /// Asks with more headers.
    pub(super) async fn ask_with(
        &mut self,
        method: &str,
        path: &str,
        more: &str,
        body: &[u8],
    ) -> Said {
        let request = self.request(method, path, more, body);
        self.send(&request).await;
        self.answer().await.expect("an answer")
    }

    /// Sends bytes. Main may have hung up already.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Sends a head in which `{host}` is main's address and `{head}` is what it is known by.
    pub(super) async fn send_head(&mut self, head: &str) {
        let head = head.replace("{host}", &self.host).replace("{head}", &self.head);
        self.send(head.as_bytes()).await;
    }

    /// The next answer, or nothing if main has hung up.
    pub(super) async fn answer(&mut self) -> Option<Said> {
        let end = loop {
            let end = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => self.more().await?,
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let head = head.to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut said = Said { status, head, body: Vec::new() };
        let length = said.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.read.len() < length {
            self.more().await?;
        }
        said.body = self.read.drain(..length).collect();
        Some(said)
    }

    async fn more(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.read).await;
        matches!(read, Ok(1..)).then_some(())
    }

    /// Waits until main has hung up. Nothing should come before.
    pub(super) async fn is_closed(&mut self) {
        assert_eq!(self.more().await, None, "{:?}", String::from_utf8_lossy(&self.read));
    }
}
