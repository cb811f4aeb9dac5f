//! The session of this run, and of those that came to no end of their own.
//!
//! What a session is and what is said of it, [`session`](crate::session) decides. Here it is put into
//! practice, in the order that makes it exact: the record is written before an update is spooled, and
//! again after it was.

use std::time::{Instant, SystemTime};

use guardhouse_process::timestamp;
use guardhouse_protocol::{EditError, Envelope, Header};
use uuid::Uuid;

use crate::outbox::spool::{DeadRun, Key, Outcome, Placed, Spool};
use crate::outbox::{EntryId, Outbox, Priority};
use crate::session::{Dead, Moment, Sessions, Severity, Update};

/// The name of the record in a run's directory.
const RECORD: &str = "session";

/// Keeps the session.
#[derive(Debug)]
pub(super) struct Life {
    sessions: Option<Sessions>,
    /// Updates that only memory holds, until they are on disk or delivered.
    in_memory: Vec<(EntryId, Update)>,
    is_over: bool,
}

/// Now, on both clocks.
pub(super) fn moment() -> Moment {
    Moment { instant: Instant::now(), time: timestamp(SystemTime::now()) }
}

/// Writes down what is known of the sessions, if that has changed. If the disk fails, it is tried again
/// the next time; until then, a kill is not known to have happened.
pub(super) fn write_record(sessions: &mut Sessions, spool: &mut Spool) {
    if let (Some(record), Some(name)) = (sessions.take_record(), Key::new(RECORD))
        && spool.write_side(&name, record.text().as_bytes()).is_err()
    {
        sessions.handle_unwritten();
    }
}

impl Life {
    pub(super) fn new(sessions: Option<Sessions>) -> Self {
        Self { sessions, in_memory: Vec::new(), is_over: false }
    }

    /// When there is something to do.
    pub(super) fn timeout(&self) -> Option<Instant> {
        self.sessions.as_ref()?.poll_timeout()
    }

    /// Does what is to be done by now.
    pub(super) fn handle_time(&mut self, outbox: &mut Outbox) {
        if let Some(sessions) = &mut self.sessions {
            sessions.handle_timeout(moment());
        }
        self.advance(outbox);
    }

    /// The sessions are of this installation from now on, or of none that may be told.
    pub(super) fn identify(&mut self, installation: impl FnOnce() -> Option<String>) {
        if let Some(sessions) = &mut self.sessions {
            sessions.identify(installation().as_deref());
        }
    }

    /// A window got or lost the focus.
    pub(super) fn handle_focus(&mut self, window: u64, is_focused: bool, outbox: &mut Outbox) {
        if let Some(sessions) = &mut self.sessions {
            if is_focused {
                sessions.handle_focus(window, Uuid::new_v4(), moment());
            } else {
                sessions.handle_blur(window, moment());
            }
        }
        self.advance(outbox);
    }

    /// The application ends as it should.
    pub(super) fn exit(&mut self, outbox: &mut Outbox) {
        if let Some(sessions) = &mut self.sessions {
            sessions.exit(moment());
        }
        self.is_over = true;
        self.advance(outbox);
    }

    /// What the events in an envelope mean for the session. If they end it, the update is in the
    /// envelope now.
    pub(super) fn handle_envelope(
        &mut self,
        envelope: &mut Envelope,
        severities: impl IntoIterator<Item = Severity>,
        outbox: &mut Outbox,
    ) -> (Priority, Option<Update>) {
        let (mut priority, mut ending) = (Priority::Normal, None);
        for severity in severities {
            if severity == Severity::Crash {
                priority = Priority::Crash;
            }
            let Some(sessions) = &mut self.sessions else { continue };
            ending = sessions.handle_event(severity, moment()).or(ending);
        }
        if let Some(sessions) = &mut self.sessions {
            write_record(sessions, outbox.spool());
        }
        if let Some(update) = &ending {
            // An envelope that takes no more items goes without; the update then comes with the next
            // start, from the record.
            if update.item().and_then(|item| envelope.push(item)).is_err() {
                ending = None;
            }
        }
        (priority, ending)
    }

    /// An update was spooled, or was not.
    pub(super) fn handle_spooled(&mut self, update: &Update, placed: Placed, outbox: &mut Outbox) {
        match placed {
            Placed::Disk(_) => self.settle(update, outbox),
            Placed::Memory(id) => self.in_memory.push((id, update.clone())),
            Placed::Refused => {}
        }
    }

    /// An update will not be forgotten any more.
    fn settle(&mut self, update: &Update, outbox: &mut Outbox) {
        if let Some(sessions) = &mut self.sessions {
            sessions.handle_spooled(update);
            write_record(sessions, outbox.spool());
        }
    }

    /// So many errors have been captured that are merged later.
    pub(super) fn count_errors(&mut self, count: usize, outbox: &mut Outbox) {
        let Some(sessions) = &mut self.sessions else { return };
        for _ in 0..count {
            // An error asks for no update.
            let _ = sessions.handle_event(Severity::Error, moment());
        }
        write_record(sessions, outbox.spool());
    }

    /// An event that is not sent, since it was not chosen. An update that it asks for goes alone.
    pub(super) fn handle_event_left_out(&mut self, severity: Severity, outbox: &mut Outbox) {
        let Some(sessions) = &mut self.sessions else { return };
        let update = sessions.handle_event(severity, moment());
        write_record(sessions, outbox.spool());
        if let Some(update) = update {
            self.spool_alone(&update, outbox);
        }
    }

    fn spool_alone(&mut self, update: &Update, outbox: &mut Outbox) {
        let (Ok(envelope), Some(key)) = (envelope(update), Key::new(&update.name())) else {
            return;
        };
        let placed = outbox.put_as(&key, Priority::Session, &envelope);
        self.handle_spooled(update, placed, outbox);
    }

    fn advance(&mut self, outbox: &mut Outbox) {
        // Delivered, on disk by now, or given up and counted: there is no more to wait for.
        let (waiting, safe) = std::mem::take(&mut self.in_memory)
            .into_iter()
            .partition(|(id, _)| outbox.is_in_memory(*id));
        self.in_memory = waiting;
        let safe: Vec<(EntryId, Update)> = safe;
        for (_, update) in &safe {
            self.settle(update, outbox);
        }
        while let Some(sessions) = &mut self.sessions {
            write_record(sessions, outbox.spool());
            let Some(update) = sessions.poll_update() else { break };
            self.spool_alone(&update, outbox);
        }
        if let (true, Some(sessions), Some(name)) = (self.is_over, &self.sessions, Key::new(RECORD))
            && sessions.is_settled()
        {
            // Nothing is left to be said, so there is nothing to keep for the next start.
            let _ = outbox.spool().remove_side(&name);
            self.sessions = None;
        }
    }

    /// Says how those runs ended that did not come to say it themselves, once everything that they
    /// left is known; only then may what they left about sessions be sent.
    pub(super) fn conclude_dead_runs(outbox: &mut Outbox) {
        if outbox.has_concluded() || !outbox.has_adopted() {
            return;
        }
        let found = outbox.read_held();
        let dead_runs: Vec<DeadRun> = outbox.spool().dead_runs().cloned().collect();
        for run in dead_runs {
            let own = outbox.spool().outcomes_of(run.run);
            let updates = last_words(&run, own.iter().chain(&found));
            let keyed: Vec<_> = updates
                .iter()
                .filter_map(|update| Some((Key::new(&update.name())?, envelope(update).ok()?)))
                .collect();
            let outcomes: Vec<_> = keyed
                .iter()
                .map(|(key, envelope)| Outcome { key, priority: Priority::Session, envelope })
                .collect();
            outbox.settle(run.run, &outcomes);
        }
        outbox.release_held();
    }
}

/// What is still to be said of the sessions of a dead run.
fn last_words<'e>(run: &DeadRun, found: impl Iterator<Item = &'e Envelope>) -> Vec<Update> {
    let Some(side) = run.sides.iter().find(|side| side.name == RECORD) else { return Vec::new() };
    let mut dead = Dead::from_record(&side.bytes);
    for envelope in found {
        dead.handle_found(envelope);
    }
    dead.bury();
    std::iter::from_fn(|| dead.poll_update()).collect()
}

fn envelope(update: &Update) -> Result<Envelope, EditError> {
    let mut envelope = Envelope::new(Header::new());
    envelope.push(update.item()?)?;
    Ok(envelope)
}
