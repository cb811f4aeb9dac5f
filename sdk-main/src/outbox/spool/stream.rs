//! An attachment that comes in pieces, and is written as they come.
//!
//! It grows in a file of its own kind, which is laid out as an envelope from the start: the header's
//! line, the item's line, the bytes. The item's line has room for the length, which may be known only
//! at the end. When everything is there, the file gets the name of an envelope, and is an entry like
//! all others; before, it is nothing, and the next start removes it.
//!
//! No more than the piece at hand is in memory, and no file is kept open between two pieces. The
//! checksum is that of the pieces, one behind the other.
//!
//! What cannot be written is given up with all that was there of it, and counted: unlike an envelope,
//! it is not kept in memory when the disk fails.

use std::fmt;
use std::io;
use std::time::SystemTime;

use guardhouse_protocol::StreamOpening;
use guardhouse_protocol::json::ObjectWriter;
use guardhouse_protocol::limits::STREAM_BYTES;

use super::error::is_full;
use super::name::{self, Mark, Name};
use super::{Held, Place, Spool};
use crate::losses::{Category, Losses, Reason};
use crate::outbox::{EntryId, Priority};

/// A stream that grows. Numbers are not used again within a run, and are none of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// No stream of any spool.
    pub(crate) const NONE: Self = Self(0);

    #[cfg(test)]
    pub(crate) const fn numbered(number: u64) -> Self {
        Self(number)
    }
}

/// Why a stream is not taken, or not any more. It is counted, and nothing is left of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamError {
    /// It is larger than an envelope may be. Its sender has to send less.
    TooLarge {
        /// How many bytes an envelope has at most.
        largest: u64,
    },
    /// There is no room: too much waits to be sent. Nobody's fault, if the network is down.
    NoRoom,
    /// It was given up before, or is none that this spool knows.
    Gone,
    /// The disk failed, or somebody has deleted the file.
    Disk(io::Error),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { largest } => {
                write!(f, "it is too large: with its header it may have {largest} bytes")
            }
            Self::NoRoom => f.write_str("there is no room for it: too much waits to be sent"),
            Self::Gone => f.write_str("it was given up to make room for something else"),
            Self::Disk(error) => write!(f, "it cannot be written to disk ({error})"),
        }
    }
}

impl std::error::Error for StreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Disk(error) => Some(error),
            _ => None,
        }
    }
}

/// A stream as far as it is written.
#[derive(Debug)]
pub(super) struct Growing {
    opening: StreamOpening,
    file: String,
    /// How long the two lines before the bytes are. It does not depend on what is in them.
    head: u64,
    /// How many bytes are there.
    bytes: u64,
    /// Of these bytes.
    checksum: crc32fast::Hasher,
}

impl Growing {
    /// How many bytes it takes on disk.
    pub(super) const fn length(&self) -> u64 {
        self.head + self.bytes + END.len() as u64
    }

    /// What it counts as. An attachment of which nothing is known is one byte.
    fn losses(&self, reason: Reason) -> Losses {
        losses(&self.opening, self.bytes, reason)
    }
}

/// What stands behind the bytes: so nobody has to look how they end before something else follows.
const END: &[u8] = b"\n";

/// How many digits the largest stream has.
const DIGITS: usize = STREAM_BYTES.ilog10() as usize + 1;

impl Spool {
    /// Begins a stream, whose bytes are to be an attachment of an event.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use guardhouse_main::outbox::spool::{Limits, Spool};
    /// use guardhouse_protocol::StreamOpening;
    ///
    /// # let cache_dir = std::env::temp_dir().join(format!("guardhouse-stream-{}", std::process::id()));
    /// let mut spool = Spool::open(&cache_dir, Limits::default())?;
    /// let event = "9ec79c33ec9942ab8353589fcb2e04dc".parse()?;
    /// let stream = spool.begin_stream(&StreamOpening::new("screen.webm", event)?)?;
    /// spool.grow_stream(stream, b"some, ")?;
    /// spool.grow_stream(stream, b"and more")?;
    /// assert_eq!(spool.entries().count(), 0);
    ///
    /// let id = spool.finish_stream(stream, SystemTime::now())?;
    /// assert_eq!(&spool.read(id)?.items()[0].payload()[..], b"some, and more");
    /// # drop(spool);
    /// # std::fs::remove_dir_all(cache_dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin_stream(&mut self, opening: &StreamOpening) -> Result<StreamId, StreamError> {
        let begun = self.try_begin_stream(opening);
        if let Err(error) = &begun {
            self.count(&losses(opening, 0, reason(error)));
        }
        begun
    }

    fn try_begin_stream(&mut self, opening: &StreamOpening) -> Result<StreamId, StreamError> {
        let size = opening.size().unwrap_or(0);
        let head = head(opening, size);
        let mut growing = Growing {
            opening: opening.clone(),
            file: String::new(),
            head: head.len() as u64,
            bytes: 0,
            checksum: crc32fast::Hasher::new(),
        };
        self.check_stream(&growing, 1, size)?;
        let id = StreamId(self.next_id().number());
        let mark = Mark::Number(id.0);
        growing.file = Name::stream(self.run(), &mark);
        let begun = match self.own.begin(&growing.file, &head) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.renew().and_then(|()| {
                growing.file = Name::stream(self.run(), &mark);
                self.own.begin(&growing.file, &head)
            }),
            begun => begun,
        };
        if let Err(error) = begun {
            self.remove_or_later(growing.file);
            return Err(StreamError::Disk(error));
        }
        self.table.insert_stream(id, growing);
        Ok(id)
    }

    /// Writes the next bytes, and says how many there are now. They survive the death of the process
    /// as far as a stream does that is not finished: not at all. On an error the stream is no more.
    pub fn grow_stream(&mut self, id: StreamId, bytes: &[u8]) -> Result<u64, StreamError> {
        let grown = self.try_grow_stream(id, bytes);
        if let Err(error) = &grown {
            self.lose_stream(id, reason(error));
        }
        grown
    }

    fn try_grow_stream(&mut self, id: StreamId, bytes: &[u8]) -> Result<u64, StreamError> {
        let growing = self.table.stream(id).ok_or(StreamError::Gone)?;
        self.check_stream(growing, 0, bytes.len() as u64)?;
        let at = growing.head + growing.bytes;
        self.own.grow(&growing.file, at, bytes).map_err(StreamError::Disk)?;
        let growing = self.table.stream_mut(id).ok_or(StreamError::Gone)?;
        growing.checksum.update(bytes);
        growing.bytes += bytes.len() as u64;
        Ok(growing.bytes)
    }

    /// Makes an entry of a stream of which everything is there. `created` is the time by which it
    /// ages. On an error the stream is no more.
    pub fn finish_stream(
        &mut self,
        id: StreamId,
        created: SystemTime,
    ) -> Result<EntryId, StreamError> {
        let finished = self.try_finish_stream(id, created);
        if let Err(error) = &finished {
            self.lose_stream(id, reason(error));
        }
        finished
    }

    fn try_finish_stream(
        &mut self,
        id: StreamId,
        created: SystemTime,
    ) -> Result<EntryId, StreamError> {
        // Entries are numbered as they come.
        let entry = self.next_id();
        let growing = self.table.stream(id).ok_or(StreamError::Gone)?;
        let head = head(&growing.opening, growing.bytes);
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&head);
        checksum.combine(&growing.checksum);
        checksum.update(END);
        let name = Name {
            created: name::millis(created),
            run: self.run(),
            mark: Mark::Number(entry.number()),
            priority: Priority::Normal,
            length: growing.length(),
            checksum: checksum.finalize(),
            categories: vec![Category::Attachment],
        };
        let file = &growing.file;
        let written = self
            .own
            .grow(file, growing.head + growing.bytes, END)
            .and_then(|()| {
                let is_right = growing.opening.size() == Some(growing.bytes);
                if is_right { Ok(()) } else { self.own.grow(file, 0, &head) }
            })
            .and_then(|()| self.own.complete(file, &name.envelope()));
        written.map_err(StreamError::Disk)?;
        self.table.remove_stream(id);
        self.unsynced.push(name.envelope());
        let place = Place::Disk { is_verified: true };
        self.table.insert(entry, Held { since: name.created, name, place });
        Ok(entry)
    }

    /// Gives up a stream, and counts it.
    pub fn lose_stream(&mut self, id: StreamId, reason: Reason) {
        self.count_stream(id, reason);
        self.keep_ledger();
    }

    /// Removes a stream whose sender was not told that it is kept, and is no more. It is not counted:
    /// nobody was promised anything.
    pub fn drop_stream(&mut self, id: StreamId) {
        if let Some(growing) = self.table.remove_stream(id) {
            self.remove_or_later(growing.file);
        }
    }

    pub(super) fn drop_streams(&mut self) {
        while let Some(id) = self.table.last_stream() {
            self.drop_stream(id);
        }
    }

    /// Gives up a stream. It is counted for good once the ledger is [kept](Self::keep_ledger).
    pub(super) fn count_stream(&mut self, id: StreamId, reason: Reason) {
        if let Some(growing) = self.table.stream(id) {
            self.ledger.losses.add(&growing.losses(reason));
            self.is_ledger_new = true;
            self.drop_stream(id);
        }
    }

    /// Whether a stream may have so many bytes more.
    fn check_stream(
        &self,
        growing: &Growing,
        entries: usize,
        more: u64,
    ) -> Result<(), StreamError> {
        // Sentry takes no more, and the head has no room for more digits.
        let largest = self.limits.largest.min(STREAM_BYTES);
        if growing.length().saturating_add(more) > largest {
            return Err(StreamError::TooLarge { largest });
        }
        // What is there of it is among what there is.
        let bytes = if entries == 0 { more } else { growing.length().saturating_add(more) };
        if !self.table.has_room(entries, bytes, self.room()) {
            return Err(StreamError::NoRoom);
        }
        Ok(())
    }

    fn remove_or_later(&mut self, file: String) {
        if self.own.remove(&file).is_err() {
            self.undeleted.push(file);
        }
    }
}

/// The lines before the bytes. However many bytes there are, they are as long.
fn head(opening: &StreamOpening, length: u64) -> Vec<u8> {
    let mut header = ObjectWriter::new();
    header.member("event_id", opening.event_id().to_string());
    let mut item = ObjectWriter::new();
    item.member("filename", opening.filename());
    if let Some(content_type) = opening.content_type() {
        item.member("content_type", content_type);
    }
    if let Some(attachment_type) = opening.attachment_type() {
        item.member("attachment_type", attachment_type);
    }
    let (header, item) = (header.finish(), item.finish());
    // JSON lets blanks stand before a number, which this makes use of; the rest is as it is written.
    let (header, item) = (header.text(), &item.text()[1..]);
    format!("{header}\n{{\"type\":\"attachment\",\"length\":{length:>DIGITS$},{item}\n").into()
}

/// What is lost with a stream of which so much is there.
fn losses(opening: &StreamOpening, bytes: u64, reason: Reason) -> Losses {
    let mut losses = Losses::new();
    let bytes = opening.size().unwrap_or(0).max(bytes).max(1);
    losses.count(Category::Attachment, reason, bytes);
    losses
}

fn reason(error: &StreamError) -> Reason {
    match error {
        StreamError::TooLarge { .. } | StreamError::NoRoom => Reason::CacheOverflow,
        StreamError::Disk(error) if is_full(error) => Reason::CacheOverflow,
        StreamError::Gone | StreamError::Disk(_) => Reason::InternalSdkError,
    }
}
