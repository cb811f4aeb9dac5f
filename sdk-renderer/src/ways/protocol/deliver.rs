//! Messages, and what main answers to them.

use guardhouse_protocol::Channel;
use guardhouse_protocol::frame::{Frame, MessageId};
use guardhouse_protocol::http::{Answer, RequestHead};
use tokio::sync::mpsc;

use super::super::Heard;
use super::client::{Client, Got};

/// One after another, until there are no more.
pub(super) async fn in_order(
    mut client: Client,
    mut messages: mpsc::UnboundedReceiver<Frame>,
    heard: mpsc::Sender<Heard>,
) {
    while let Some(message) = messages.recv().await {
        if !deliver(&mut client, message, &heard).await {
            return;
        }
    }
}

/// One.
pub(super) async fn alone(mut client: Client, message: Frame, heard: mpsc::Sender<Heard>) {
    deliver(&mut client, message, &heard).await;
}

/// Says whether the line is still good.
async fn deliver(client: &mut Client, message: Frame, heard: &mpsc::Sender<Heard>) -> bool {
    let Frame::Message { id, channel, payload } = message else { return true };
    let head = RequestHead { message_id: Some(id), ..RequestHead::default() };
    let path = channel.path();
    let word = loop {
        match client.post(&path, &head, payload.clone()).await {
            Err(why) => break Heard::Ended(why),
            Ok(got) => match understand(id, channel, &got) {
                Some(word) => break word,
                None => tokio::time::sleep(got.pause).await,
            },
        }
    };
    let is_good = !matches!(word, Heard::Ended(_) | Heard::Unknown(_));
    heard.send(word).await.is_ok() && is_good
}

/// What an answer means; nothing if the message is to be sent again.
fn understand(id: MessageId, channel: Channel, got: &Got) -> Option<Heard> {
    let reply = || Frame::Reply { id, channel, payload: got.body.clone() };
    let frame = match got.answer? {
        Answer::Taken if matches!(channel, Channel::Feedback | Channel::Flush) => reply(),
        Answer::Taken => Frame::Ack { id },
        // Feedback over the budget is answered as Sentry would.
        Answer::OverBudget if channel == Channel::Feedback => reply(),
        Answer::Unproven => return Some(unproven(got)),
        answer if answer.is_final() => Frame::Declined { id, reason: got.words() },
        _ => return None,
    };
    Some(Heard::Frame(frame))
}

/// Main does not know us.
pub(super) fn unproven(got: &Got) -> Heard {
    Heard::Unknown(format!("main does not know this renderer any more: {}", got.words()))
}
