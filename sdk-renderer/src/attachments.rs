//! What is too large for a message: attachments that go to main piece by piece.
//!
//! An application hands over a reader, and nothing of it is held in memory but the piece at hand. Those
//! of an event that together would not fit a message are taken out of its envelope and go the same way;
//! those are in memory until main has them, so there is a bound on how much of them there is at once.

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use guardhouse_process::attach::AttachmentAnswer;
use guardhouse_process::doorway::{self, Promised};
use guardhouse_process::losses::Reason;
use guardhouse_protocol::limits::FILENAME_BYTES;
use guardhouse_protocol::{EventId, PayloadError, StreamOpening, StreamResult};
use sentry::protocol::Attachment;

use crate::house::{Answering, House, Told};
use crate::losses;

/// Tells whoever waits, and counts what is lost.
pub(crate) fn answering(
    promised: Promised<AttachmentAnswer>,
    house: &Arc<House>,
    size: Option<u64>,
) -> Answering {
    let house = house.clone();
    Answering::new(move |told| {
        count(&told, &house, size.unwrap_or(0));
        promised.keep(read(told));
    })
}

/// What main declines it counts itself.
fn count(told: &Told, house: &House, size: u64) {
    if *told == Told::Lost {
        house.lose(&losses::attachment(size, Reason::NetworkError));
    }
}

fn read(told: Told) -> AttachmentAnswer {
    match told {
        Told::Reply(reply) => match StreamResult::parse(&reply) {
            Ok(result) if result.complete => AttachmentAnswer::Taken { bytes: result.received },
            Ok(_) => AttachmentAnswer::Lost,
            Err(error) => AttachmentAnswer::Declined(format!("main's answer is none: {error}")),
        },
        Told::Declined(why) => AttachmentAnswer::Declined(why),
        Told::Taken | Told::Lost => AttachmentAnswer::Lost,
    }
}

/// How much of large attachments is in memory.
#[derive(Debug, Default)]
pub(crate) struct Hold(Arc<AtomicUsize>);

impl Hold {
    /// Sends attachments of an event by themselves.
    pub(crate) fn send(&self, house: &Arc<House>, event_id: EventId, attachments: Vec<Attachment>) {
        for attachment in attachments {
            let filename = attachment.filename.clone();
            let size = attachment.buffer.len() as u64;
            let lose = |why: &dyn std::fmt::Display, reason| {
                house.lose(&losses::attachment(size, reason));
                house.say(format_args!(
                    "the attachment {filename:?} of the event {event_id} was dropped: {why}"
                ));
            };
            match opening(event_id, &attachment) {
                Ok(opening) => match self.take(attachment.buffer) {
                    Some(held) => {
                        let watching = house.clone();
                        let answer = Answering::new(move |told| count(&told, &watching, size));
                        house.stream(opening, Box::new(held), answer);
                    }
                    None => lose(&"too much waits for main already", Reason::QueueOverflow),
                },
                Err(error) => lose(&error, Reason::Invalid),
            }
        }
    }

    /// As in the [doorway]: only while nothing waits may there be something of any size.
    fn take(&self, buffer: Vec<u8>) -> Option<Held> {
        let length = buffer.len();
        let before = self.0.fetch_add(length, Ordering::Relaxed);
        let held = Held { bytes: Cursor::new(buffer), length, hold: self.0.clone() };
        (before == 0 || before.saturating_add(length) <= doorway::BYTES).then_some(held)
    }
}

/// A large attachment that waits for main.
struct Held {
    bytes: Cursor<Vec<u8>>,
    length: usize,
    hold: Arc<AtomicUsize>,
}

impl Read for Held {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(piece)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.hold.fetch_sub(self.length, Ordering::Relaxed);
    }
}

fn opening(event_id: EventId, attachment: &Attachment) -> Result<StreamOpening, PayloadError> {
    let mut opening = StreamOpening::new(&name(&attachment.filename), event_id)?
        .with_size(attachment.buffer.len() as u64)?;
    if let Some(content_type) = &attachment.content_type {
        opening = opening.with_content_type(content_type)?;
    }
    if let Some(attachment_type) = &attachment.ty {
        opening = opening.with_attachment_type(attachment_type.as_str())?;
    }
    Ok(opening)
}

/// The name without what only an envelope takes: a path, control characters, too many of them.
fn name(filename: &str) -> String {
    let last = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name = String::new();
    for character in last.chars().filter(|character| !character.is_control()) {
        if name.len() + character.len_utf8() > FILENAME_BYTES {
            break;
        }
        name.push(character);
    }
    if name.is_empty() { "attachment".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use sentry::protocol::AttachmentType;

    use super::*;

    fn id() -> EventId {
        "9ec79c33ec9942ab8353589fcb2e04dc".parse().unwrap()
    }

    #[test]
    fn an_attachment_of_an_envelope_opens_a_stream_whatever_it_is_called() {
        for (given, expected) in [
            ("C:\\logs\\app.log", "app.log"),
            ("a\nb", "ab"),
            ("", "attachment"),
            ("/", "attachment"),
            (&"ä".repeat(200), &"ä".repeat(127)),
        ] {
            let attachment = Attachment {
                buffer: vec![0; 10],
                filename: given.to_owned(),
                content_type: Some("text/plain".to_owned()),
                ..Attachment::default()
            };
            let opening = opening(id(), &attachment).unwrap();
            assert_eq!(opening.filename(), expected);
            assert_eq!((opening.size(), opening.content_type()), (Some(10), Some("text/plain")));
        }
    }

    #[test]
    fn only_so_much_is_held_and_what_is_gone_makes_room() {
        let hold = Hold::default();
        let first = hold.take(vec![0; doorway::BYTES + 1]).expect("nothing waited");
        assert!(hold.take(vec![0; 1]).is_none());
        drop(first);
        let _second = hold.take(vec![0; 1]).unwrap();
        let _third = hold.take(vec![0; doorway::BYTES - 1]).unwrap();
        assert!(hold.take(vec![0; 1]).is_none());
    }

    #[test]
    fn what_a_renderer_may_not_attach_is_not_offered() {
        let ty = Some(AttachmentType::Minidump);
        assert!(opening(id(), &Attachment { ty, ..Attachment::default() }).is_err());
    }

    #[test]
    fn the_answer_of_main_is_understood() {
        let reply = |complete| StreamResult { received: 7, complete }.to_json().to_string();
        let told = |complete| read(Told::Reply(reply(complete).into()));
        assert_eq!(told(true), AttachmentAnswer::Taken { bytes: 7 });
        assert_eq!(told(false), AttachmentAnswer::Lost);
        assert_eq!(read(Told::Declined("no".into())), AttachmentAnswer::Declined("no".into()));
        assert!(matches!(read(Told::Reply("".into())), AttachmentAnswer::Declined(_)));
    }
}
