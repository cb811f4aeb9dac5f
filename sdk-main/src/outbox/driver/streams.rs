//! Attachments that come in pieces, until they are entries.

use std::time::{Instant, SystemTime};

use guardhouse_protocol::StreamOpening;

use super::{Outbox, Put, Queued};
use crate::losses::{Category, Reason};
use crate::outbox::Priority;
use crate::outbox::spool::{Placed, StreamError, StreamId};
use crate::streams::Store;

impl Store for Outbox {
    fn begin(&mut self, opening: &StreamOpening) -> Result<StreamId, StreamError> {
        let begun = self.spool.begin_stream(opening);
        self.tell_stream(begun)
    }

    fn grow(&mut self, stream: StreamId, bytes: &[u8]) -> Result<(), StreamError> {
        let grown = self.spool.grow_stream(stream, bytes);
        self.tell_stream(grown).map(drop)
    }

    fn finish(&mut self, stream: StreamId) -> Result<(), StreamError> {
        let finished = self.spool.finish_stream(stream, SystemTime::now());
        let id = self.tell_stream(finished)?;
        let put = Put { placed: Placed::Disk(id), evicted: Vec::new() };
        let queued = |id| Queued::of_categories(id, Priority::Normal, &[Category::Attachment]);
        self.took(put, queued, None);
        Ok(())
    }

    fn lose(&mut self, stream: StreamId, reason: Reason) {
        self.spool.lose_stream(stream, reason);
        self.tell_losses(Instant::now());
    }

    fn leave(&mut self, stream: StreamId) {
        self.spool.drop_stream(stream);
    }
}

impl Outbox {
    fn tell_stream<T>(&mut self, result: Result<T, StreamError>) -> Result<T, StreamError> {
        if let Err(error) = &result {
            self.house.say(format_args!("an attachment was dropped: {error}"));
            self.tell_losses(Instant::now());
        }
        result
    }
}
