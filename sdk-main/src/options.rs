//! What an application tells [`init`](crate::init), with a default for everything but its name.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use guardhouse_process::scope::Scope;
use guardhouse_protocol::IpcMode;
use sentry::ClientOptions;
use sentry::protocol::Event;
use uuid::Uuid;

use crate::ipc::ExitReason;
use crate::outbox::spool::Hook;
use crate::session::SessionMode;

/// The application, by the name and version of its crate. [`app!`](crate::app) makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    pub(crate) name: Cow<'static, str>,
    pub(crate) version: Cow<'static, str>,
}

impl App {
    /// An application with a name and a version of its own choice.
    pub fn new(name: impl Into<Cow<'static, str>>, version: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), version: version.into() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The release that events belong to, unless another was asked for.
    pub(crate) fn release(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// The application that is being compiled: the name and version of the crate in which this stands.
///
/// ```
/// let app = guardhouse_main::app!();
/// assert!(!app.name().is_empty());
/// ```
#[macro_export]
macro_rules! app {
    () => {
        $crate::App::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    };
}

/// Changes an event, or drops it by returning nothing.
pub type EventProcessor = Arc<dyn Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync>;

/// A renderer as the application's own functions are told about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RendererInfo {
    /// The id that the renderer has in this run.
    pub id: Uuid,
    /// The name that it gave itself, if it did.
    pub name: Option<String>,
    /// The address of its page, if it shows one.
    pub url: Option<String>,
    /// Its process id, if it is a native renderer.
    pub pid: Option<u32>,
}

impl RendererInfo {
    /// A renderer of which nothing is known but its id.
    pub const fn new(id: Uuid) -> Self {
        Self { id, name: None, url: None, pid: None }
    }

    /// The same, with the name that it gave itself.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same, with its process id.
    #[must_use]
    pub fn with_pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// The same, with the address of its page.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }
}

/// Pages that share their storage: what Electron calls a session, and webview libraries a context or
/// a profile. A host maps the names onto its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageSession(Cow<'static, str>);

impl PageSession {
    /// The session of pages that ask for none.
    pub const DEFAULT: Self = Self(Cow::Borrowed(""));

    /// The session with a name that the application gave it.
    pub fn named(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    /// Its name; the default session's is empty.
    pub fn name(&self) -> &str {
        &self.0
    }
}

type Over = Arc<dyn Fn(&mut ClientOptions) + Send + Sync>;
pub(crate) type GetSessions = Arc<dyn Fn() -> Vec<PageSession> + Send + Sync>;
pub(crate) type GetRendererName = Arc<dyn Fn(&RendererInfo) -> Option<String> + Send + Sync>;
pub(crate) type InitialScope = Arc<dyn Fn(&mut Scope<'_>) + Send + Sync>;

/// Where the Spotlight sidecar listens unless it was told otherwise.
pub const SPOTLIGHT_URL: &str = "http://localhost:8969/stream";

/// How [`init`](crate::init) is to work. Everything but the application's name has a default.
///
/// ```
/// use guardhouse_main::{IpcMode, Options, app};
///
/// let options = Options::new(app!())
///     .dsn("https://key@o1.ingest.sentry.io/2")
///     .ipc_namespace("my-app")
///     .ipc_mode(IpcMode::Both)
///     .before_send(|event| (event.logger.as_deref() != Some("noise")).then_some(event));
/// # let _ = options;
/// ```
///
/// What `sentry` has an option for can be set here or in the [`ClientOptions`] that
/// [`sentry`](Self::sentry) takes; what is set here wins, whichever comes first. The environment variables that `sentry`
/// reads are read as well (`SENTRY_DSN`, `SENTRY_RELEASE`, `SENTRY_ENVIRONMENT`), and lose against
/// both.
#[derive(Clone)]
#[must_use = "options do nothing until they are given to `init`"]
pub struct Options {
    pub(crate) app: App,
    pub(crate) sentry: ClientOptions,
    /// What is set here of what `sentry` has an option for, in the order in which it was set.
    over: Vec<Over>,
    pub(crate) dsn: Option<String>,
    pub(crate) dist: Option<Cow<'static, str>>,
    pub(crate) ipc_mode: IpcMode,
    pub(crate) ipc_namespace: Option<String>,
    pub(crate) get_sessions: Option<GetSessions>,
    pub(crate) get_renderer_name: Option<GetRendererName>,
    pub(crate) renderer_breadcrumbs: Vec<ExitReason>,
    pub(crate) renderer_events: Vec<ExitReason>,
    pub(crate) watch_renderers: bool,
    pub(crate) attach_screenshot: bool,
    pub(crate) cache_dir: Option<PathBuf>,
    pub(crate) app_root: Option<PathBuf>,
    pub(crate) max_age: Duration,
    pub(crate) max_items: usize,
    pub(crate) max_bytes: u64,
    pub(crate) max_item_bytes: u64,
    pub(crate) shutdown_timeout: Option<Duration>,
    pub(crate) session_mode: SessionMode,
    pub(crate) require_consent: bool,
    pub(crate) processors: Vec<EventProcessor>,
    pub(crate) spotlight: Option<String>,
    pub(crate) tunnel: Option<String>,
    pub(crate) ca_certificates: Option<PathBuf>,
    pub(crate) initial_scope: Option<InitialScope>,
    pub(crate) hook: Option<Hook>,
}

impl Options {
    /// The defaults, for an application.
    pub fn new(app: App) -> Self {
        Self {
            app,
            sentry: ClientOptions::default(),
            over: Vec::new(),
            dsn: None,
            dist: None,
            ipc_mode: IpcMode::Both,
            ipc_namespace: None,
            get_sessions: None,
            get_renderer_name: None,
            renderer_breadcrumbs: ExitReason::ALL.into(),
            renderer_events: ExitReason::EVENTS.into(),
            watch_renderers: true,
            attach_screenshot: false,
            cache_dir: None,
            app_root: None,
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            max_items: 1000,
            max_bytes: 256 * 1024 * 1024,
            max_item_bytes: guardhouse_protocol::limits::ENVELOPE_BYTES as u64,
            shutdown_timeout: None,
            session_mode: SessionMode::Application,
            require_consent: false,
            processors: Vec::new(),
            spotlight: None,
            tunnel: None,
            ca_certificates: None,
            initial_scope: None,
            hook: None,
        }
    }

    /// Options of the `sentry` crate: sampling, integrations, hooks and whatever else it knows. Its
    /// transport is replaced by ours, and its own session tracking by [`session_mode`].
    ///
    /// [`session_mode`]: Self::session_mode
    pub fn sentry(mut self, options: ClientOptions) -> Self {
        self.sentry = options;
        self
    }

    /// Where events go. Without one, nothing is kept or sent, but everything local still works:
    /// scope, hooks, [`spotlight`](Self::spotlight).
    pub fn dsn(mut self, dsn: impl Into<String>) -> Self {
        self.dsn = Some(dsn.into());
        self
    }

    /// The release that events belong to; by default `name@version` of the [`App`].
    pub fn release(self, release: impl Into<Cow<'static, str>>) -> Self {
        let release = release.into();
        self.over(move |sentry| sentry.release = Some(release.clone()))
    }

    /// Where the application runs; by default `development` in a debug build, else `production`.
    pub fn environment(self, environment: impl Into<Cow<'static, str>>) -> Self {
        let environment = environment.into();
        self.over(move |sentry| sentry.environment = Some(environment.clone()))
    }

    /// Which build of the release it is; none by default.
    pub fn dist(mut self, dist: impl Into<Cow<'static, str>>) -> Self {
        self.dist = Some(dist.into());
        self
    }

    /// How renderers reach main; both ways by default.
    pub fn ipc_mode(mut self, mode: IpcMode) -> Self {
        self.ipc_mode = mode;
        self
    }

    /// What the application's channels are prefixed with, so that it shares them with nobody:
    /// `a` to `z`, `0` to `9` and `-`, a letter first. By default `sentry-ipc`.
    pub fn ipc_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.ipc_namespace = Some(namespace.into());
        self
    }

    /// The sessions whose pages get the preload script; by default the default session. It takes
    /// effect with a host, a crate for a webview library.
    pub fn get_sessions(
        mut self,
        sessions: impl Fn() -> Vec<PageSession> + Send + Sync + 'static,
    ) -> Self {
        self.get_sessions = Some(Arc::new(sessions));
        self
    }

    /// The name of a renderer, for the tag `event.process`; by default the name that it gave itself,
    /// else `renderer`.
    pub fn get_renderer_name(
        mut self,
        name: impl Fn(&RendererInfo) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.get_renderer_name = Some(Arc::new(name));
        self
    }

    /// For which ends of a renderer there is a breadcrumb in the events that follow, of whatever
    /// process; for all by default.
    pub fn renderer_breadcrumbs(mut self, reasons: impl IntoIterator<Item = ExitReason>) -> Self {
        self.renderer_breadcrumbs = reasons.into_iter().collect();
        self
    }

    /// For which ends of a renderer there is an event, with the renderer's last scope. By default for
    /// [`AbnormalExit`](ExitReason::AbnormalExit), [`LaunchFailed`](ExitReason::LaunchFailed) and
    /// [`IntegrityFailure`](ExitReason::IntegrityFailure), as in `@sentry/electron`. There is none for
    /// the end by a panic (exit code 101) that the renderer has reported itself.
    ///
    /// ```
    /// use guardhouse_main::{ExitReason, Options, app};
    ///
    /// let options = Options::new(app!())
    ///     .renderer_breadcrumbs([])
    ///     .renderer_events([ExitReason::AbnormalExit, ExitReason::Killed, ExitReason::Oom]);
    /// # let _ = options;
    /// ```
    pub fn renderer_events(mut self, reasons: impl IntoIterator<Item = ExitReason>) -> Self {
        self.renderer_events = reasons.into_iter().collect();
        self
    }

    /// Whether there is an event, `ApplicationNotResponding`, when a thread of a renderer stops to
    /// respond; on by default. Only threads that send heartbeats are watched, and the renderer says
    /// after which time. The event has no stack; of the same renderer there are at most ten in ten
    /// minutes.
    pub fn watch_renderers(mut self, watch: bool) -> Self {
        self.watch_renderers = watch;
        self
    }

    /// How many breadcrumbs an event carries, those of all processes together; 100 by default.
    pub fn max_breadcrumbs(self, max: usize) -> Self {
        self.over(move |sentry| sentry.max_breadcrumbs = max)
    }

    /// Whether a picture of the windows goes with errors; off by default. It takes effect with a host
    /// that can take one.
    pub fn attach_screenshot(mut self, attach: bool) -> Self {
        self.attach_screenshot = attach;
        self
    }

    /// Whether what identifies a person may be sent: the host's name, addresses that Sentry infers.
    /// Off by default.
    pub fn send_default_pii(self, send: bool) -> Self {
        self.over(move |sentry| sentry.send_default_pii = send)
    }

    /// The directory in which what is to be sent waits. By default a folder of the application where
    /// the platform keeps such: on Linux `$XDG_CACHE_HOME` or `~/.cache`, on macOS
    /// `~/Library/Caches`, on Windows `%LOCALAPPDATA%`, and in it `{name}/sentry/{project}`, where
    /// the last is of the DSN.
    ///
    /// Several instances of the application share it. What is set here should be for one project only:
    /// what one instance has left, the next sends to its own.
    pub fn cache_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(directory.into());
        self
    }

    /// The directory of the application. Paths below it become `app:///…` in what is sent, so that
    /// they are the same on every machine. By default the directory of the executable.
    pub fn app_root(mut self, directory: impl Into<PathBuf>) -> Self {
        self.app_root = Some(directory.into());
        self
    }

    /// How long something waits at most to be sent; 30 days by default.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// How many envelopes wait at most; 1000 by default. The oldest go first, crashes last.
    pub fn max_items(mut self, items: usize) -> Self {
        self.max_items = items;
        self
    }

    /// How many bytes of envelopes wait at most; 256 MiB by default.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How large one envelope may be; by default the 200 MiB that Sentry takes.
    pub fn max_item_bytes(mut self, bytes: u64) -> Self {
        self.max_item_bytes = bytes;
        self
    }

    /// How long dropping the [`Guard`](crate::Guard) may take; 2 seconds by default.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// What a session is; by default a run of the application.
    pub fn session_mode(mut self, mode: SessionMode) -> Self {
        self.session_mode = mode;
        self
    }

    /// Whether nothing may be sent before the user has agreed, which
    /// [`Guard::give_consent`](crate::Guard::give_consent) says. Off by default. What happens in the
    /// meantime is kept on disk within the limits above.
    pub fn require_consent(mut self, require: bool) -> Self {
        self.require_consent = require;
        self
    }

    /// Sees every event of every process last, and may change or drop it. It runs on whatever thread
    /// captures an event, or on the SDK's own for those of renderers.
    pub fn before_send(
        self,
        hook: impl Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync + 'static,
    ) -> Self {
        let hook: EventProcessor = Arc::new(hook);
        self.over(move |sentry| sentry.before_send = Some(hook.clone()))
    }

    /// Sees every event of every process before [`before_send`](Self::before_send), in the order in
    /// which processors were added, and may change or drop it.
    pub fn add_event_processor(
        mut self,
        processor: impl Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync + 'static,
    ) -> Self {
        self.processors.push(Arc::new(processor));
        self
    }

    /// Which part of error events is sent, from 0 to 1; all by default. It holds for the events of
    /// all processes.
    pub fn sample_rate(self, rate: f32) -> Self {
        let strategy = sentry::EventSamplingStrategy::FixedRate(rate);
        self.over(move |sentry| sentry.event_sampling_strategy = strategy.clone())
    }

    /// Whether to tell on standard error what is done: how the process is set up, what becomes of each
    /// envelope, and above all what is refused or lost, and why. Each line begins with the name of the
    /// process. Off by default; then nothing is ever printed. What `sentry` itself would say is not said.
    pub fn debug(self, debug: bool) -> Self {
        self.over(move |sentry| sentry.debug = debug)
    }

    /// Mirrors everything to a Spotlight sidecar as well, which shows it while developing;
    /// [`SPOTLIGHT_URL`] is where it usually listens. Off by default.
    pub fn spotlight(mut self, url: impl Into<String>) -> Self {
        self.spotlight = Some(url.into());
        self
    }

    /// Sends to this address, which passes it on to Sentry, instead of to Sentry itself.
    pub fn tunnel(mut self, url: impl Into<String>) -> Self {
        self.tunnel = Some(url.into());
        self
    }

    /// The proxy to use for an `http` address. By default the environment says (`HTTP_PROXY`).
    pub fn http_proxy(self, url: impl Into<Cow<'static, str>>) -> Self {
        let url = url.into();
        self.over(move |sentry| sentry.http_proxy = Some(url.clone()))
    }

    /// The proxy to use for an `https` address. By default the environment says (`HTTPS_PROXY`).
    pub fn https_proxy(self, url: impl Into<Cow<'static, str>>) -> Self {
        let url = url.into();
        self.over(move |sentry| sentry.https_proxy = Some(url.clone()))
    }

    /// A file of certificates (PEM) to trust beside the platform's, as companies and self-hosted
    /// installations need.
    pub fn ca_certificates(mut self, file: impl AsRef<Path>) -> Self {
        self.ca_certificates = Some(file.as_ref().to_owned());
        self
    }

    /// Sets the scope of main at the start, as [`configure_scope`](crate::configure_scope) does
    /// later.
    pub fn initial_scope(
        mut self,
        configure: impl Fn(&mut Scope<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.initial_scope = Some(Arc::new(configure));
        self
    }
}

impl Options {
    fn over(mut self, set: impl Fn(&mut ClientOptions) + Send + Sync + 'static) -> Self {
        self.over.push(Arc::new(set));
        self
    }

    /// The same, with everything that is set here in the options of `sentry`.
    pub(crate) fn settled(mut self) -> Self {
        for set in std::mem::take(&mut self.over) {
            set(&mut self.sentry);
        }
        self
    }
}

/// For tests alone.
#[cfg(feature = "internals")]
impl Options {
    /// Calls `hook` at each step of the spool's work.
    pub fn spool_hook(mut self, hook: Hook) -> Self {
        self.hook = Some(hook);
        self
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The DSN holds a key and the options of `sentry` functions, so neither is shown.
        f.debug_struct("Options")
            .field("app", &self.app)
            .field("ipc_mode", &self.ipc_mode)
            .field("ipc_namespace", &self.ipc_namespace)
            .field("renderer_breadcrumbs", &self.renderer_breadcrumbs)
            .field("renderer_events", &self.renderer_events)
            .field("watch_renderers", &self.watch_renderers)
            .field("cache_dir", &self.cache_dir)
            .field("session_mode", &self.session_mode)
            .field("require_consent", &self.require_consent)
            .finish_non_exhaustive()
    }
}
