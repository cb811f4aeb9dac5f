//! A stream, piece by piece.

use guardhouse_protocol::StreamResult;
use guardhouse_protocol::frame::Frame;
use guardhouse_protocol::http::{Answer, Place, RequestHead};
use tokio::sync::mpsc;

use super::super::Heard;
use super::client::{Client, Got};
use super::deliver::unproven;

/// Carries one stream until it is complete or declined, or the line ends.
pub(super) async fn carry(
    mut client: Client,
    mut frames: mpsc::UnboundedReceiver<Frame>,
    heard: mpsc::Sender<Heard>,
) {
    // Behind a piece that was out of place nothing counts until the stream is opened again.
    let mut is_open = false;
    while let Some(frame) = frames.recv().await {
        let (id, channel, chunk, body) = match frame {
            Frame::StreamOpen { id, channel, payload } => (id, channel, None, payload),
            Frame::Chunk { id, channel, offset, last, data } if is_open => {
                (id, channel, Some(Place { offset, last }), data)
            }
            _ => continue,
        };
        let head = RequestHead { message_id: Some(id), chunk, ..RequestHead::default() };
        let path = channel.path();
        let word = loop {
            let got = match client.post(&path, &head, body.clone()).await {
                Ok(got) => got,
                Err(why) => break Heard::Ended(why),
            };
            let result = StreamResult::parse(&got.body);
            match (got.answer, result) {
                (Some(Answer::Taken), Ok(StreamResult { complete: true, .. })) => {
                    break Heard::Frame(Frame::Reply { id, channel, payload: got.body });
                }
                (Some(Answer::Taken), Ok(StreamResult { received, .. })) => {
                    break Heard::Frame(Frame::StreamAck { id, received });
                }
                (Some(Answer::Taken), Err(error)) => break Heard::Ended(error.to_string()),
                (Some(Answer::OutOfPlace | Answer::NotOpen), _) => break Heard::Reopen(id),
                (Some(Answer::Unproven), _) => break unproven(&got),
                (Some(answer), _) if answer.is_final() => break declined(id, &got),
                _ => tokio::time::sleep(got.pause).await,
            }
        };
        is_open = matches!(word, Heard::Frame(Frame::StreamAck { .. }));
        let is_over = matches!(word, Heard::Frame(Frame::Reply { .. } | Frame::Declined { .. }));
        if heard.send(word).await.is_err() || is_over {
            return;
        }
    }
}

fn declined(id: guardhouse_protocol::frame::MessageId, got: &Got) -> Heard {
    Heard::Frame(Frame::Declined { id, reason: got.words() })
}
