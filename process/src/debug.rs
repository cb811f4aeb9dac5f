//! What the SDK says of itself: on standard error, if the application asked for it, else nowhere.

use std::fmt::Arguments;
use std::io::Write;
use std::sync::Mutex;

use guardhouse_protocol::{Envelope, ItemType};

use crate::lock;

/// What the process is called in what it says.
static NAME: Mutex<String> = Mutex::new(String::new());

/// Says what the process is called, with which each of its lines begins: the processes of an application
/// mostly share their standard error.
pub fn set_name(name: &str) {
    name.clone_into(&mut lock(&NAME));
}

/// Says something if the application wants to hear it, in one line. A standard error that is closed is no
/// reason to panic.
pub fn say(wanted: bool, words: Arguments<'_>) {
    if !wanted {
        return;
    }
    // What somebody else has said may be repeated in it, and should not look like a line of ours.
    let words = words.to_string().replace(char::is_control, " ");
    let line = match &**lock(&NAME) {
        "" => format!("[guardhouse] {words}\n"),
        name => format!("[guardhouse {name}] {words}\n"),
    };
    // At once, so that the lines of several processes are not mixed up.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// What an envelope is called in what is said: its items, and the event's id if there is one.
///
/// ```
/// use guardhouse_process::describe;
/// use guardhouse_protocol::Envelope;
///
/// let envelope = Envelope::parse(
///     "{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}\n\
///      {\"type\":\"event\"}\n{}\n{\"type\":\"attachment\",\"length\":1}\nx\n",
/// )?;
/// assert_eq!(describe(&envelope), "event, attachment 9ec79c33ec9942ab8353589fcb2e04dc");
/// # Ok::<(), guardhouse_protocol::EnvelopeError>(())
/// ```
pub fn describe(envelope: &Envelope) -> String {
    const KINDS: usize = 5;
    let name = |kind: ItemType| kind.name().unwrap_or("item of an unknown type");
    let mut kinds: Vec<_> = envelope.items().iter().map(|item| name(item.item_type())).collect();
    kinds.dedup();
    if kinds.len() > KINDS {
        kinds.truncate(KINDS);
        kinds.push("…");
    }
    let kinds = kinds.join(", ");
    match envelope.header().event_id() {
        Some(id) => format!("{kinds} {id}"),
        None if kinds.is_empty() => "empty envelope".to_owned(),
        None => kinds,
    }
}
