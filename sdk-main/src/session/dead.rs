//! What is left of a run that is over.

use guardhouse_protocol::json::{Json, Value};
use guardhouse_protocol::{Envelope, ItemType};

use super::state::{Session, Told};
use super::{Status, Update, record};

/// The sessions of a run that is over, and what is still to be said of them.
///
/// Nothing of it mixes with the run that finds it. Show it the envelopes that dead runs left
/// ([`handle_found`](Self::handle_found)), then [`bury`](Self::bury) it, then spool what it
/// [says](Self::poll_update). What it says replaces what an earlier attempt to say it left, if
/// that is spooled under the same [name](Update::name) and not sent before all of it is said and the
/// [record](Self::record) removed.
///
/// ```
/// use std::time::Instant;
///
/// use guardhouse_main::session::{About, Dead, Moment, SessionMode, Sessions, Status};
/// use guardhouse_protocol::Timestamp;
/// use uuid::Uuid;
///
/// let start = Moment { instant: Instant::now(), time: Timestamp::EPOCH };
/// let about = About::new("notes@1.4.2")?;
/// let mut sessions = Sessions::start(about, SessionMode::Application, Uuid::from_u128(1), start);
/// let record = sessions.take_record().expect("something has changed");
///
/// // The run is killed here. At the next start:
/// let mut dead = Dead::from_record(record.text().as_bytes());
/// dead.bury();
/// let update = dead.poll_update().expect("the run had no outcome");
/// assert_eq!((update.status(), update.is_init()), (Status::Abnormal, true));
/// assert_eq!(dead.poll_update(), None);
/// # Ok::<(), guardhouse_main::session::NoRelease>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dead {
    sessions: Vec<Session>,
}

impl Dead {
    /// Reads the record of a run. What is no record says nothing.
    pub fn from_record(record: &[u8]) -> Self {
        Self { sessions: record::read(record) }
    }

    /// An envelope that this or another dead run left in its spool, the latter because it may have died
    /// of burying this one. If an update of a session is in it, that was spooled.
    pub fn handle_found(&mut self, envelope: &Envelope) {
        for item in envelope.items().iter().filter(|item| item.item_type() == ItemType::Session) {
            let Ok(update) = item.json() else { continue };
            let text = |member| update.get(member).and_then(Value::as_str);
            let Some(status) = text("status").and_then(|name| Status::from_name(&name)) else {
                continue;
            };
            let is_of = |session: &&mut Session| text("sid") == Some(session.sid().into());
            let Some(session) = self.sessions.iter_mut().find(is_of) else { continue };
            // Its first update and its last may have gone together, or not.
            session.handle_spooled(if status.is_final() { Told::End } else { Told::Begin });
        }
    }

    /// Sessions that had no outcome ended abnormally, when their record was last written.
    pub fn bury(&mut self) {
        for session in &mut self.sessions {
            if !session.status.is_final() {
                session.status = Status::Abnormal;
            }
        }
    }

    /// What is to be spooled next, if anything is.
    pub fn poll_update(&mut self) -> Option<Update> {
        self.sessions.iter_mut().find_map(Session::update)
    }

    /// An update is spooled.
    pub fn handle_spooled(&mut self, update: &Update) {
        let session = self.sessions.iter_mut().find(|session| session.id == update.session());
        if let Some(session) = session {
            session.handle_spooled(update.told());
        }
    }

    /// Whether nothing is to be said any more, so that the record can be removed.
    pub fn is_settled(&self) -> bool {
        self.sessions.iter().all(Session::is_settled)
    }

    /// What is to be kept on disk until it is settled.
    pub fn record(&self) -> Json {
        record::write(self.sessions.iter().filter(|session| !session.is_settled()))
    }
}
