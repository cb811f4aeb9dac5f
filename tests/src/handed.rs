//! What a process hands over besides what it captures, as it is told by a test: feedback and large
//! attachments. Both are answered when there is an answer, and other words are heard meanwhile.

use std::io::{self, Read};
use std::time::Duration;

use guardhouse_process::attach::{AttachOptions, AttachmentAnswer};
use guardhouse_process::receipt::Receipt;
use guardhouse_protocol::FeedbackResult;

use crate::talk::say;

/// So long an answer is waited for that comes when it comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says what became of feedback.
pub fn say_feedback(receipt: Receipt<FeedbackResult>) {
    std::thread::spawn(move || match receipt.wait(PATIENCE) {
        Some(result) => say(&format!("feedback {}", result.to_json())),
        None => say("feedback none"),
    });
}

/// Says what became of an attachment.
pub fn say_attached(receipt: Receipt<AttachmentAnswer>) {
    std::thread::spawn(move || {
        say(&match receipt.wait(PATIENCE) {
            Some(AttachmentAnswer::Taken { bytes }) => format!("attached taken {bytes}"),
            Some(AttachmentAnswer::Declined(why)) => format!("attached declined {why}"),
            Some(AttachmentAnswer::Lost) => "attached lost".to_owned(),
            other => format!("attached {other:?}"),
        });
    });
}

/// An attachment and its bytes, as words say it: `EVENT BYTES`, and then `name=…`, `type=…`, `kind=…` and
/// `size=…`. Instead of so many bytes there may be a source that `fails`, `panics` or `hangs`.
///
/// # Panics
///
/// If the words make no sense.
pub fn attachment(words: &str) -> (AttachOptions, Box<dyn Read + Send>) {
    let mut words = words.split(' ');
    let mut word = || words.next().expect("an attachment has an event and bytes");
    let event = word().parse().expect("the id of an event");
    let source: Box<dyn Read + Send> = match word() {
        "fails" => Box::new(
            io::repeat(b'x')
                .take(1_000_000)
                .chain(Faulty(|| Err(io::Error::other("it is broken")))),
        ),
        "panics" => Box::new(Faulty(|| panic!("the reader has a fault"))),
        "hangs" => Box::new(Faulty(|| {
            loop {
                std::thread::park();
            }
        })),
        bytes => Box::new(io::repeat(b'x').take(bytes.parse().expect("a number of bytes"))),
    };
    let words: Vec<_> = words.filter_map(|word| word.split_once('=')).collect();
    let name = words.iter().find(|(key, _)| *key == "name").map_or("attached.bin", |(_, it)| it);
    let mut options = AttachOptions::new(name, event);
    for (key, value) in words {
        options = match key {
            "type" => options.content_type(value),
            "kind" => options.attachment_type(value),
            "size" => options.size(value.parse().expect("a number")),
            _ => options,
        };
    }
    (options, source)
}

/// A reader that does nothing but go wrong.
struct Faulty(fn() -> io::Result<usize>);

impl Read for Faulty {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        (self.0)()
    }
}
