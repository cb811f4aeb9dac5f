//! What main pushes: a request that waits, and the next when it is answered.

use std::time::{Duration, Instant};

use guardhouse_protocol::Channel;
use guardhouse_protocol::frame::{Frame, MessageId};
use guardhouse_protocol::http::{Answer, RequestHead};
use tokio::sync::mpsc;

use super::super::Heard;
use super::client::Client;
use super::deliver::unproven;

/// An answer that comes sooner is no reason to ask again at once.
const SOON: Duration = Duration::from_secs(1);

/// Asks for what is pushed on a channel, for as long as main has something to say there.
pub(super) async fn ask(mut client: Client, channel: Channel, heard: mpsc::Sender<Heard>) {
    let path = channel.path();
    let mut head = RequestHead::default();
    loop {
        let asked = Instant::now();
        let got = match client.get(&path, &head).await {
            Ok(got) => got,
            // Where nobody listens any more, main is gone. One that only closed the connection is asked
            // again.
            Err(why) => match client.connect().await {
                Ok(()) => {
                    pause_since(asked).await;
                    continue;
                }
                Err(_) => {
                    let _ = heard.send(Heard::Ended(why)).await;
                    return;
                }
            },
        };
        match got.answer {
            Some(Answer::Taken) => {
                let message = Frame::Message { id: MessageId::new(0), channel, payload: got.body };
                if heard.send(Heard::Frame(message)).await.is_err() {
                    return;
                }
                match got.cursor {
                    Some(_) => head.after = got.cursor,
                    None => pause_since(asked).await,
                }
            }
            Some(Answer::NothingNew) => pause_since(asked).await,
            Some(Answer::Unproven) => {
                let _ = heard.send(unproven(&got)).await;
                return;
            }
            // Main does not push there.
            Some(answer) if answer.is_final() => return,
            _ => tokio::time::sleep(got.pause).await,
        }
    }
}

async fn pause_since(asked: Instant) {
    if asked.elapsed() < SOON {
        tokio::time::sleep(SOON).await;
    }
}
