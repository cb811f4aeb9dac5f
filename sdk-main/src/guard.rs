//! What the application holds while it runs: the means to flush and to end, and what hosts need.

use std::io::Read;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use guardhouse_process::attach::{self, AttachOptions, AttachmentAnswer, known_size};
use guardhouse_process::doorway::{deadline_in, promise};
use guardhouse_process::feedback::{self, Feedback};
use guardhouse_process::receipt::{Receipt, receipt};
use guardhouse_process::{lock, running};
use guardhouse_protocol::scope::Field;
use guardhouse_protocol::{Channel, Config, FeedbackResult, IpcMode, Namespace};
use sentry::Client;
use uuid::Uuid;

use crate::contexts::Screen;
use crate::error::InitError;
use crate::house::{Answering, House, MessageAnswer, Visit};
use crate::ipc::Renderer;
use crate::ipc::trace::{current_trace, told_trace};
use crate::losses::Reason;
use crate::merge::Process;
use crate::options::{GetSessions, PageSession, RendererInfo};
use crate::watch::{Attach, Attached};

/// Keeps the SDK running. Dropping it ends the session, sends what can be sent in the time that
/// [`shutdown_timeout`](crate::Options::shutdown_timeout) gives, leaves the rest on disk for the next
/// start, and takes everything down: no thread, no file that is not waiting, no lock stays behind.
///
/// Where the disk hangs, the thread that waits for it is left behind: no program can end it. Dropping the
/// guard returns in its time all the same, but the operating system may keep the process itself until
/// the disk answers.
///
/// Keep it until the end of `main`; `let _ = init(…)` would drop it at once.
///
/// ```no_run
/// use guardhouse_main::{Options, app, init};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let guard = init(Options::new(app!()).dsn("https://key@o1.ingest.sentry.io/2"))?;
///     // … the application …
///     guard.close(std::time::Duration::from_secs(1));
///     Ok(())
/// }
/// ```
#[must_use = "dropping the guard ends the reporting at once"]
pub struct Guard {
    pub(crate) house: Arc<House>,
    pub(crate) client: Arc<Client>,
    pub(crate) thread: Option<JoinHandle<()>>,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) ipc_mode: IpcMode,
    pub(crate) ipc_namespace: Namespace,
    pub(crate) get_sessions: Option<GetSessions>,
    pub(crate) attach_screenshot: bool,
}

impl Guard {
    /// Waits until everything captured so far has been sent. Says whether it was; `false` comes at
    /// once if it cannot be in time, because the network is known to be down, Sentry has asked for a
    /// pause, or consent is missing. Nothing is lost then: it waits on disk. If there is no disk to wait
    /// on, [`startup_error`](Self::startup_error) says why.
    pub fn flush(&self, timeout: Duration) -> bool {
        if let Some(error) = self.startup_error() {
            self.house.say(format_args!("nothing can be flushed: {error}"));
        }
        hand_over_counts(&self.client);
        self.client.flush(Some(timeout))
    }

    /// Why nothing is reported although [`init`](crate::init) has succeeded; nothing if all is well.
    ///
    /// That is so while the disk has not answered since `init` waited for it
    /// ([`InitError::DiskHangs`]): what is captured waits in memory, and is taken on when the disk
    /// answers. It stays so if what the disk answered at last was an error: what was captured is lost then.
    pub fn startup_error(&self) -> Option<Arc<InitError>> {
        self.house.startup_error()
    }

    /// Ends as dropping the guard does, in another time. Says whether everything was sent.
    pub fn close(mut self, timeout: Duration) -> bool {
        self.end(timeout)
    }

    /// Sends what a user says, at once if that can be. The receipt tells what Sentry answered; an empty
    /// result means that it was not sent yet, and is later, from the disk.
    ///
    /// ```no_run
    /// # fn send(guard: &guardhouse_main::Guard) {
    /// use std::time::Duration;
    ///
    /// use guardhouse_main::Feedback;
    ///
    /// let receipt = guard.send_feedback(&Feedback::new("The export button does nothing."));
    /// let is_sent = receipt
    ///     .wait(Duration::from_secs(5))
    ///     .is_some_and(|result| result.status_code == Some(200));
    /// # let _ = is_sent;
    /// # }
    /// ```
    pub fn send_feedback(&self, feedback: &Feedback) -> Receipt<FeedbackResult> {
        let (promised, receipt) = receipt();
        let envelope = feedback::envelope(feedback, &feedback::current_trace());
        self.house.feedback(envelope, promised);
        receipt
    }

    /// Attaches something large to an event that was captured: it is read piece by piece, on another
    /// thread than this, and is never in memory as a whole. It may have up to 200 MiB. What is small
    /// goes with the event, in `sentry`'s own scope.
    ///
    /// ```no_run
    /// # fn attach(guard: &guardhouse_main::Guard) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::fs::File;
    ///
    /// use guardhouse_main::{AttachOptions, sentry};
    ///
    /// let event = sentry::capture_message("the export failed", sentry::Level::Error);
    /// let options = AttachOptions::new("export.log", event).content_type("text/plain");
    /// let receipt = guard.attach(options, File::open("export.log")?);
    /// # drop(receipt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn attach(
        &self,
        options: AttachOptions,
        source: impl Read + Send + 'static,
    ) -> Receipt<AttachmentAnswer> {
        let (promised, receipt) = receipt();
        match attach::opening(&options) {
            Ok(opening) => {
                let answer = Attached::new(promised);
                self.house.attach(Attach { opening, source: Box::new(source), answer });
            }
            Err(error) => {
                self.house.count_attachment(known_size(&options), Reason::Invalid);
                self.house.say(format_args!("an attachment was dropped: {error}"));
                promised.keep(AttachmentAnswer::Declined(error.to_string()));
            }
        }
        receipt
    }

    /// The user agrees that reports are sent: what waits is sent now. It is remembered for the next
    /// start. Needed only with [`require_consent`](crate::Options::require_consent).
    pub fn give_consent(&self) {
        self.house.ask(Visit::Consent(true));
    }

    /// The user does not agree any more: nothing is sent from now on, what waits stays on disk until
    /// it is too old. It is remembered for the next start, until consent is given again, also without
    /// [`require_consent`](crate::Options::require_consent).
    pub fn revoke_consent(&self) {
        self.house.ask(Visit::Consent(false));
    }

    /// A window of the application, by whatever number the host gives it, got the focus or lost it. A
    /// host calls this; it matters in [`SessionMode::Window`](crate::SessionMode::Window).
    pub fn report_focus(&self, window: u64, is_focused: bool) {
        self.house.ask(Visit::Focus { window, is_focused });
    }

    /// The screen that the application is shown on. A host calls this.
    pub fn report_screen(&self, screen: Screen) {
        self.house.ask(Visit::Screen(screen));
    }

    /// A message of a renderer, from whatever way it came. A host calls this, from any thread; it
    /// does not wait. `answer` is called exactly once with what became of the message: on the SDK's
    /// thread, or on this one if main takes nothing at the moment or any more. It should only pass the
    /// answer on; if it panics, nobody hears of it.
    ///
    /// ```no_run
    /// # fn host(guard: &guardhouse_main::Guard) {
    /// use guardhouse_main::{Channel, RendererInfo, Uuid};
    ///
    /// let page = RendererInfo::new(Uuid::new_v4()).with_url("app://index.html");
    /// guard.post(&page, Channel::Scope, r#"{"tags":{"a":"b"}}"#, |answer| drop(answer));
    /// # }
    /// ```
    pub fn post(
        &self,
        from: &RendererInfo,
        channel: Channel,
        bytes: impl Into<Bytes>,
        answer: impl FnOnce(MessageAnswer) + Send + 'static,
    ) {
        self.house.hear(from.clone(), channel, bytes.into(), Answering::new(channel, answer));
    }

    /// A renderer of this name could not be started. Only whoever starts it can know, so say it here:
    /// it is recorded as the [exit reason](crate::ExitReason::LaunchFailed) that it is.
    ///
    /// ```no_run
    /// # fn start(guard: &guardhouse_main::Guard) {
    /// use guardhouse_main::CommandExt;
    ///
    /// let helper = std::process::Command::new("./helper").guardhouse(guard).spawn();
    /// if helper.is_err() {
    ///     guard.launch_failed("helper");
    /// }
    /// # }
    /// ```
    pub fn launch_failed(&self, name: impl Into<String>) {
        self.house.ask(Visit::LaunchFailed(name.into()));
    }

    /// A renderer is gone: what it contributed to the scope goes with it. A host calls this.
    pub fn renderer_gone(&self, id: Uuid) {
        self.house.ask(Visit::Gone(id));
    }

    /// The native renderers that are there: who they are, how they talk to main, and since when.
    ///
    /// ```no_run
    /// # fn show(guard: &guardhouse_main::Guard) {
    /// for renderer in guard.renderers() {
    ///     println!("{} is process {}", renderer.name, renderer.pid);
    /// }
    /// # }
    /// ```
    pub fn renderers(&self) -> Vec<Renderer> {
        lock(&self.house.renderers).all()
    }

    /// How many wanted to be native renderers and were not let in, or broke the rules, by reason. Debug
    /// output explains each.
    pub fn turned_away(&self) -> Vec<(&'static str, u64)> {
        lock(&self.house.renderers).turned_away()
    }

    /// Says how all renderers are to behave from now on, also those that come later: whether to keep
    /// quiet, what to sample, which logs to send. What it leaves open is each renderer's own choice
    /// again. Main holds those to it that cannot be told, such as the SDK in a page.
    ///
    /// ```no_run
    /// # fn quiet(guard: &guardhouse_main::Guard) {
    /// use guardhouse_main::{Config, LogLevel};
    ///
    /// guard.configure_renderers(&Config { log_level: Some(LogLevel::Warn), ..Config::default() });
    /// # }
    /// ```
    pub fn configure_renderers(&self, config: &Config) {
        *lock(&self.house.config) = *config;
        self.house.pushes.configure(config);
    }

    /// Lets all renderers continue the trace that is going on on this thread.
    pub fn share_trace(&self) {
        if let Some(trace) = current_trace() {
            self.house.pushes.trace(&trace, None);
        }
    }

    /// Lets all other renderers continue the trace of one of them, as it has told it with its scope.
    /// Says whether it has told one.
    pub fn relay_trace_of(&self, renderer: Uuid) -> bool {
        let trace = self.house.with_scopes(|scopes| {
            let entry = scopes.get(Process::Renderer(renderer))?.get(&Field::Propagation)?;
            told_trace(entry.value().as_value())
        });
        if let Some(trace) = &trace {
            self.house.pushes.trace(trace, Some(renderer));
        }
        trace.is_some()
    }

    /// How renderers reach main.
    pub fn ipc_mode(&self) -> IpcMode {
        self.ipc_mode
    }

    /// What the channels to renderers are prefixed with.
    pub fn ipc_namespace(&self) -> &Namespace {
        &self.ipc_namespace
    }

    /// The sessions whose pages a host gives the preload script to.
    pub fn page_sessions(&self) -> Vec<PageSession> {
        self.get_sessions.as_ref().map_or_else(|| vec![PageSession::DEFAULT], |get| get())
    }

    /// Whether a host should add a picture of the windows to errors.
    pub fn attach_screenshot(&self) -> bool {
        self.attach_screenshot
    }

    /// Everything that ends, within `timeout` whatever hangs.
    fn end(&mut self, timeout: Duration) -> bool {
        let Some(thread) = self.thread.take() else { return false };
        let deadline = deadline_in(timeout);
        running::set_scope(None);
        // Whoever waits in a flush holds a lock of the client that closing it needs.
        self.house.begin_closing(deadline);
        self.close_client(deadline_in(timeout / 2));
        let done = self.house.close(deadline);
        if done.is_some() {
            // It was its last word, so it ends now. Its panic, if there was one, is not ours to pass
            // on.
            let _ = thread.join();
        }
        running::end();
        done == Some(true)
    }

    /// Closes the client of `sentry`, which hands over the logs and metrics that it still holds. That
    /// joins its threads and takes its locks, which a hook of the application may hold for as long
    /// as it likes; so it happens beside, and is not waited for beyond the deadline.
    fn close_client(&self, deadline: Instant) {
        let (closed, promise) = promise();
        let client = self.client.clone();
        let closing =
            std::thread::Builder::new().name("guardhouse-close".to_owned()).spawn(move || {
                hand_over_counts(&client);
                client.close(Some(Duration::ZERO));
                drop(client);
                closed.keep(());
            });
        if let Ok(closing) = closing
            && promise.wait_until(deadline).is_some()
        {
            let _ = closing.join();
        }
    }
}

/// What `sentry` has dropped itself, for a hook or by its sample rate, it only tells with the next
/// envelope. This is one, with nothing else in it.
fn hand_over_counts(client: &Client) {
    client.send_envelope(sentry::Envelope::new());
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end(self.shutdown_timeout);
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("ipc_namespace", &self.ipc_namespace).finish_non_exhaustive()
    }
}
