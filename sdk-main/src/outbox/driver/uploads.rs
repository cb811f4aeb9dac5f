//! An entry as it goes over the wire.

use std::io;
use std::time::SystemTime;

use guardhouse_process::timestamp;
use guardhouse_protocol::{EditError, Envelope, Header};

use super::{LeftOut, Outbox};
use crate::losses::Losses;
use crate::outbox::EntryId;
use crate::outbox::dispatcher::Categories;
use crate::outbox::http::Upload;
use crate::outbox::spool::{Entry, ReadError, Rest};

impl Outbox {
    /// An entry as it goes over the wire: with the time of sending, without what Sentry wants none of,
    /// with a report.
    pub(super) fn prepare(
        &mut self,
        id: EntryId,
        without: Categories,
        report: &Losses,
    ) -> Result<(Upload, LeftOut), Unready> {
        if !without.is_empty() {
            return self.prepare_without(id, without, report);
        }
        let sending = self.spool.open_entry(id).map_err(|error| self.unready(error))?;
        let mut header = sending.header;
        self.stamp(&mut header).map_err(|_| Unready::Gone)?;
        let upload = Upload::new(format!("{}\n", header.as_object().text()));
        let mut upload = match sending.rest {
            Rest::Memory(bytes) => upload.then(bytes),
            Rest::File(file) => upload.then_file(file, sending.rest_length),
        };
        // Whatever is spooled ends with a newline of its own.
        if let Some(item) = report_item(report) {
            upload = upload.then(item);
        }
        Ok((upload, LeftOut::default()))
    }

    pub(super) fn prepare_without(
        &mut self,
        id: EntryId,
        without: Categories,
        report: &Losses,
    ) -> Result<(Upload, LeftOut), Unready> {
        let mut envelope = self.spool.read(id).map_err(|error| self.unready(error))?;
        let left_out =
            LeftOut::new(envelope.retain(|item| !Categories::of(item).intersects(without)));
        self.stamp(envelope.header_mut()).map_err(|_| Unready::Gone)?;
        if let Ok(item) = report.to_item(timestamp(SystemTime::now()))
            && !report.is_empty()
        {
            let _ = envelope.push(item);
        }
        Ok((Upload::new(envelope.to_bytes()), left_out))
    }

    pub(super) fn report_alone(&self, report: &Losses) -> Result<(Upload, LeftOut), EditError> {
        let mut envelope = Envelope::new(Header::new());
        self.stamp(envelope.header_mut())?;
        envelope.push(report.to_item(timestamp(SystemTime::now()))?)?;
        Ok((Upload::new(envelope.to_bytes()), LeftOut::default()))
    }

    pub(super) fn stamp(&self, header: &mut Header) -> Result<(), EditError> {
        header.set("sent_at", timestamp(SystemTime::now()).to_string())?;
        if let Some(dsn) = &self.dsn {
            header.set("dsn", dsn.as_str())?;
        }
        Ok(())
    }

    pub(super) fn unready(&mut self, error: ReadError) -> Unready {
        match error {
            ReadError::Broken { salvaged } => {
                self.house.say(format_args!("a stored envelope is damaged, and was set aside"));
                salvaged
                    .and_then(|id| self.spool.entry(id))
                    .map_or(Unready::Gone, Unready::Salvaged)
            }
            ReadError::Gone => Unready::Gone,
            ReadError::Io(error) => {
                self.house.say(format_args!("a stored envelope cannot be read now: {error}"));
                Unready::NotNow
            }
        }
    }
}

/// Why an entry cannot be sent.
pub(super) enum Unready {
    /// It is gone, or must be left alone.
    Gone,
    /// It cannot be read at the moment.
    NotNow,
    /// It was damaged; this is what was saved of it.
    Salvaged(Entry),
}

impl From<io::Error> for Unready {
    fn from(_: io::Error) -> Self {
        Self::NotNow
    }
}

/// A report as the last item of an envelope whose other items are not at hand.
fn report_item(report: &Losses) -> Option<String> {
    if report.is_empty() {
        return None;
    }
    let json = report.to_json(timestamp(SystemTime::now()));
    let text = json.text();
    Some(format!("{{\"type\":\"client_report\",\"length\":{}}}\n{text}\n", text.len()))
}
