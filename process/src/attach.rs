//! What an application says of a large attachment, and what it hears of it.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use guardhouse_protocol::limits::CHUNK_BYTES;
use guardhouse_protocol::{EventId, PayloadError, StreamOpening};
use sentry::types::Uuid;

use crate::helper_thread;

/// What a large attachment is, and which event it belongs to. `Guard::attach` takes it together with a
/// reader that has the bytes.
///
/// Nothing here fails: what is wrong with a value, such as a file name with a path in it, the receipt
/// says ([`AttachmentAnswer::Declined`]).
///
/// ```
/// # use guardhouse_process::attach::AttachOptions;
/// # let event_id = sentry::types::Uuid::from_u128(7);
/// let options = AttachOptions::new("export.log", event_id).content_type("text/plain");
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until they are given to `Guard::attach`"]
pub struct AttachOptions {
    filename: String,
    event_id: Uuid,
    content_type: Option<String>,
    attachment_type: Option<String>,
    size: Option<u64>,
}

impl AttachOptions {
    /// An attachment of an event with this file name: 1 to 255 bytes, without a path.
    pub fn new(filename: impl Into<String>, event_id: Uuid) -> Self {
        Self {
            filename: filename.into(),
            event_id,
            content_type: None,
            attachment_type: None,
            size: None,
        }
    }

    /// Its media type, such as `text/plain`; none by default.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// What it is to Sentry, such as `event.view_hierarchy`; an ordinary attachment by default. Types
    /// of which Sentry would make an event, such as minidumps, are declined.
    pub fn attachment_type(mut self, attachment_type: impl Into<String>) -> Self {
        self.attachment_type = Some(attachment_type.into());
        self
    }

    /// How many bytes there are, if that is known: what is too large is then declined at once. A source
    /// that turns out to have more or fewer is declined, too.
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }
}

/// What became of a large attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachmentAnswer {
    /// Main has all of it on disk.
    Taken {
        /// So many bytes.
        bytes: u64,
    },
    /// It will not be taken. The text says why.
    Declined(String),
    /// Main did not get all of it: it was away for too long, the process has ended, or the reader has
    /// failed.
    Lost,
}

/// What opens the stream, or what is wrong with the options.
pub fn opening(options: &AttachOptions) -> Result<StreamOpening, PayloadError> {
    let mut opening = StreamOpening::new(&options.filename, EventId::from_uuid(options.event_id))?;
    if let Some(content_type) = &options.content_type {
        opening = opening.with_content_type(content_type)?;
    }
    if let Some(attachment_type) = &options.attachment_type {
        opening = opening.with_attachment_type(attachment_type)?;
    }
    if let Some(size) = options.size {
        opening = opening.with_size(size)?;
    }
    Ok(opening)
}

/// How large an attachment is, as far as its options say.
pub fn known_size(options: &AttachOptions) -> Option<u64> {
    options.size
}

/// Where the bytes of an attachment come from.
pub type Source = Box<dyn Read + Send>;

/// How often a piece is tried to be read where the system gives no thread, each time twice as long after the
/// time before.
const TRIES: u32 = 10;
/// So long after the first time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Reads a piece on a thread of its own, and says whether the source ends with it; nothing if the source
/// fails or panics, or if there is no thread for long. It may wait for whatever the source does.
pub async fn read_aside(source: Source) -> Option<(Source, Bytes, bool)> {
    let mut read = move || catch_unwind(AssertUnwindSafe(|| read_piece(source))).ok().flatten();
    for time in 0..TRIES {
        match helper_thread::run(read) {
            Ok(piece) => return piece.await.ok().flatten(),
            Err((_, not_done)) => read = not_done,
        }
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(time)).await;
    }
    None
}

/// Reads a piece, and says whether the source ends with it; nothing if the source fails. It may wait for
/// whatever the source does.
pub fn read_piece(mut source: Source) -> Option<(Source, Bytes, bool)> {
    let mut piece = Vec::new();
    let read = source.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut piece).ok()?;
    Some((source, piece.into(), read < CHUNK_BYTES))
}
