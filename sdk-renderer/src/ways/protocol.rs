//! The protocol: HTTP/1.1 on the loopback interface.
//!
//! Frames that go into the line become requests, and answers become frames again. Messages go one after
//! another, the next when the last is answered, so that main takes them in order. Feedback, each stream
//! and each push have a connection of their own, so that they hold nobody up.

mod client;
mod deliver;
mod pushes;
mod streams;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use guardhouse_protocol::Channel;
use guardhouse_protocol::frame::{Frame, Hello, MessageId, Rejection, Welcome};
use guardhouse_protocol::http::{Answer, GOODBYE_PATH, HELLO_PATH, RequestHead};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{FRAMES, Heard, Line, NoWay, PATIENCE};
use crate::house::Way;
use client::Client;

/// So many messages may wait for their turn: they go one after another anyway.
const DEPTH: usize = 8;

/// Opens a line to the main that listens at this address as long as this note is alive. It says hello, unless main has said welcome on the other way.
pub(super) async fn open(
    address: SocketAddr,
    note: &Path,
    hello: &Hello,
    known: Option<Welcome>,
) -> Result<Line, NoWay> {
    let mut client = Client::new(address, note, RequestHead::default());
    let welcome = match known {
        Some(welcome) => {
            // Whether anybody is there has to be known all the same. Main wants to hear something on each
            // connection, so this one does not stay.
            client.connect().await.map_err(NoWay::Failed)?;
            client = Client::new(address, note, RequestHead::default());
            welcome
        }
        None => {
            let greeting = timeout(PATIENCE, greet(&mut client, hello));
            greeting.await.map_err(|_| NoWay::Failed("it does not answer a hello".to_owned()))??
        }
    };
    client.introduce(&welcome);
    let (outgoing, frames) = mpsc::channel(FRAMES);
    let (heard, incoming) = mpsc::channel(FRAMES);
    let tasks = vec![tokio::spawn(speak(client, frames, heard))];
    Ok(Line::new((Way::Protocol, DEPTH), welcome, outgoing, incoming, tasks))
}

async fn greet(client: &mut Client, hello: &Hello) -> Result<Welcome, NoWay> {
    let body = Bytes::copy_from_slice(hello.to_json().text().as_bytes());
    let head = RequestHead::default();
    let got = client.post(HELLO_PATH, &head, body).await.map_err(NoWay::Failed)?;
    if got.answer == Some(Answer::Taken) {
        let welcome = Welcome::parse(&got.body).map_err(|it| NoWay::Failed(it.to_string()))?;
        hello.check(&welcome).map_err(|it| NoWay::Failed(it.to_string()))?;
        return Ok(welcome);
    }
    match Rejection::parse(&got.body) {
        Ok(rejection) => Err(NoWay::Rejected(rejection)),
        Err(_) => Err(NoWay::Failed(format!("it answers a hello with status {}", got.status))),
    }
}

/// Hands frames on to whoever says them, each of whom ends with it.
async fn speak(client: Client, mut frames: mpsc::Receiver<Frame>, heard: mpsc::Sender<Heard>) {
    let mut others = JoinSet::new();
    for channel in [Channel::Config, Channel::Trace] {
        others.spawn(pushes::ask(client.another(), channel, heard.clone()));
    }
    let mut streams: HashMap<MessageId, mpsc::UnboundedSender<Frame>> = HashMap::new();
    // No more waits there than the line's depth, and a stream's window.
    let (messages, waiting) = mpsc::unbounded_channel();
    let mut in_order = JoinSet::new();
    let last = client.another();
    in_order.spawn(deliver::in_order(client, waiting, heard.clone()));
    while let Some(frame) = frames.recv().await {
        while others.try_join_next().is_some() {}
        match frame {
            Frame::Message { channel: Channel::Feedback, .. } => {
                others.spawn(deliver::alone(last.another(), frame, heard.clone()));
            }
            Frame::StreamOpen { id, .. } | Frame::Chunk { id, .. } => {
                streams.retain(|_, stream| !stream.is_closed());
                let stream = streams.entry(id).or_insert_with(|| {
                    let (stream, waiting) = mpsc::unbounded_channel();
                    others.spawn(streams::carry(last.another(), waiting, heard.clone()));
                    stream
                });
                let _ = stream.send(frame);
            }
            Frame::Goodbye => {
                drop(messages);
                while in_order.join_next().await.is_some() {}
                let mut last = last;
                let _ = last.post(GOODBYE_PATH, &RequestHead::default(), Bytes::new()).await;
                return;
            }
            frame => {
                let _ = messages.send(frame);
            }
        }
    }
}
