//! When sessions begin and end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use guardhouse_protocol::json::Json;
use uuid::Uuid;

use super::state::Session;
use super::{About, Moment, Severity, Status, Update, record};

/// What a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionMode {
    /// A run of the application.
    #[default]
    Application,
    /// A time in which a window of the application is in the foreground. It ends when none has been for
    /// a while, and the next begins when one is again.
    Window {
        /// How long all windows are in the background before the session ends.
        background: Duration,
    },
    /// There are no sessions.
    Off,
}

impl SessionMode {
    /// Sessions by windows, with the 30 seconds that Sentry's SDKs have.
    pub const WINDOW: Self = Self::Window { background: Duration::from_secs(30) };
}

/// The sessions of this run.
///
/// - **`handle`**: [`handle_focus`](Self::handle_focus) and [`handle_blur`](Self::handle_blur) as hosts
///   report them, [`handle_event`](Self::handle_event) for events of all processes,
///   [`handle_timeout`](Self::handle_timeout), [`handle_spooled`](Self::handle_spooled).
/// - **Mutators**: [`exit`](Self::exit), at the end.
/// - **`poll`**: after each of these, [`take_record`](Self::take_record) and
///   [`poll_update`](Self::poll_update), in the order in which the [module](super) says what is done with
///   them; [`poll_timeout`](Self::poll_timeout) says when `handle_timeout` is next.
///
/// ```
/// use std::time::Instant;
///
/// use guardhouse_main::session::{About, Moment, SessionMode, Sessions, Severity, Status};
/// use guardhouse_protocol::Timestamp;
/// use uuid::Uuid;
///
/// let now = Moment { instant: Instant::now(), time: Timestamp::EPOCH };
/// let about = About::new("notes@1.4.2")?.in_environment("production");
/// let mut sessions = Sessions::start(about, SessionMode::Application, Uuid::from_u128(1), now);
/// // … write `take_record()`
/// let first = sessions.poll_update().expect("that it began");
/// // … spool it
/// sessions.handle_spooled(&first);
/// // … write `take_record()`
///
/// assert_eq!(sessions.handle_event(Severity::Error, now), None);
/// let crash = sessions.handle_event(Severity::Crash, now).expect("it goes with the event");
/// assert_eq!((crash.status(), crash.is_init()), (Status::Crashed, false));
/// sessions.exit(now);
/// assert_eq!(sessions.poll_update(), None, "nothing follows an outcome");
/// # Ok::<(), guardhouse_main::session::NoRelease>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    about: About,
    mode: SessionMode,
    /// All of which something is still to be said, and the current one at the end.
    sessions: Vec<Session>,
    /// The windows in the foreground.
    focused: BTreeSet<u64>,
    /// Since when no window is in the foreground.
    blurred: Option<Moment>,
    is_changed: bool,
    is_over: bool,
}

impl Sessions {
    /// The run begins. In the mode for applications the session with this id begins too.
    pub fn start(about: About, mode: SessionMode, id: Uuid, at: Moment) -> Self {
        let mut sessions = Self {
            about,
            mode,
            sessions: Vec::new(),
            focused: BTreeSet::new(),
            blurred: None,
            is_changed: false,
            is_over: false,
        };
        if mode == SessionMode::Application {
            sessions.begin(id, at);
        }
        sessions
    }

    /// The sessions are of the installation with this id, by which Sentry counts who has sessions without a
    /// crash, or it is not said any more of which. A session of which something was handed out stays as it
    /// is.
    pub fn identify(&mut self, installation: Option<&str>) {
        self.about.distinct_id = installation.map(Into::into);
        for session in &mut self.sessions {
            if session.identify(installation) {
                self.is_changed = true;
            }
        }
    }

    /// A window, by whatever number the host calls it, has come to the foreground. If there is no
    /// session, the one with this id begins, which has to be a new one each time.
    ///
    /// Windows are told apart because hosts report that one has lost the focus before or after they
    /// report that another has it.
    pub fn handle_focus(&mut self, window: u64, id: Uuid, at: Moment) {
        if self.background().is_none() || self.is_over {
            return;
        }
        // It may be late already.
        self.handle_timeout(at);
        self.focused.insert(window);
        self.blurred = None;
        if self.current().is_none() {
            self.begin(id, at);
        }
    }

    /// A window has gone to the background, or is gone.
    pub fn handle_blur(&mut self, window: u64, at: Moment) {
        let was_last = self.focused.remove(&window) && self.focused.is_empty();
        if was_last {
            self.blurred = Some(at);
        }
    }

    /// When there is something to do, if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let blurred = self.blurred?;
        blurred.instant.checked_add(self.background()?)
    }

    /// Ends the session if the time for it has come. What it lasted is the time up to the moment in which
    /// the last window went to the background.
    pub fn handle_timeout(&mut self, at: Moment) {
        if self.poll_timeout().is_some_and(|timeout| timeout <= at.instant) {
            self.end(Status::Exited, at);
        }
    }

    /// An event of any process, as [`Severity`] judges it. If it ends the session, the update is to
    /// be put into its envelope, and [spooled](Self::handle_spooled) with it. Write the record before.
    pub fn handle_event(&mut self, severity: Severity, at: Moment) -> Option<Update> {
        self.handle_timeout(at);
        let session = self.current()?;
        let is_changed = session.hear(severity, at);
        let update = match severity {
            Severity::Crash => session.update(),
            Severity::Error => None,
        };
        self.is_changed |= is_changed;
        update
    }

    /// The application ends as it should. Nothing begins after that.
    pub fn exit(&mut self, at: Moment) {
        self.handle_timeout(at);
        self.end(Status::Exited, at);
        self.is_over = true;
    }

    /// What is to be spooled next, if anything is.
    pub fn poll_update(&mut self) -> Option<Update> {
        self.sessions.iter_mut().find_map(Session::update)
    }

    /// An update is spooled.
    pub fn handle_spooled(&mut self, update: &Update) {
        for session in &mut self.sessions {
            if session.id == update.session() {
                self.is_changed |= session.handle_spooled(update.told());
            }
        }
        // The last one is kept: it may be the current one, of which nothing may follow.
        let last = self.sessions.last().map(|session| session.id);
        self.sessions.retain(|session| !session.is_settled() || Some(session.id) == last);
    }

    /// What is to be written to disk, if it has changed.
    pub fn take_record(&mut self) -> Option<Json> {
        std::mem::take(&mut self.is_changed).then(|| record::write(self.sessions.iter()))
    }

    /// The record could not be written. It is handed out again.
    pub fn handle_unwritten(&mut self) {
        self.is_changed = true;
    }

    /// Whether nothing more is to be said of any of them, so that the record can be removed.
    pub fn is_settled(&self) -> bool {
        self.sessions.iter().all(Session::is_settled)
    }

    fn background(&self) -> Option<Duration> {
        match self.mode {
            SessionMode::Window { background } => Some(background),
            _ => None,
        }
    }

    fn begin(&mut self, id: Uuid, at: Moment) {
        self.sessions.push(Session::start(self.about.clone(), id, at));
        self.is_changed = true;
    }

    /// The session that goes on.
    fn current(&mut self) -> Option<&mut Session> {
        self.sessions.last_mut().filter(|session| !session.status.is_final())
    }

    fn end(&mut self, status: Status, at: Moment) {
        let at = self.blurred.take().unwrap_or(at);
        if let Some(session) = self.current() {
            self.is_changed |= session.end(status, at);
        }
    }
}
