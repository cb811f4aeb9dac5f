//! What a child process tells [`init`](crate::init), with a default for everything but its name.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use guardhouse_protocol::IpcMode;
use guardhouse_protocol::frame::Role;
use guardhouse_protocol::limits::MIB;
use sentry::protocol::Event;
use sentry::{BeforeCallback, ClientOptions};

/// How [`init`](crate::init) is to work. Everything but the name of the process has a default.
///
/// ```
/// use guardhouse_renderer::{IpcMode, Options};
///
/// let options = Options::new("settings")
///     .ipc_namespace("my-app")
///     .ipc_mode(IpcMode::Both)
///     .before_send(|event| (event.logger.as_deref() != Some("noise")).then_some(event));
/// # let _ = options;
/// ```
///
/// Where events go, and as of which release and environment, main says for all processes; a DSN, a
/// release or an environment here or in the environment variables of `sentry` has no effect. So it is
/// with what identifies a person (`send_default_pii`): what main sends of it is up to main.
#[derive(Clone)]
#[must_use = "options do nothing until they are given to `init`"]
pub struct Options {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) ipc_mode: IpcMode,
    pub(crate) ipc_namespace: Option<String>,
    pub(crate) sentry: ClientOptions,
    pub(crate) debug: Option<bool>,
    pub(crate) max_breadcrumbs: Option<usize>,
    pub(crate) before_send: Option<BeforeCallback<Event<'static>>>,
    pub(crate) spool_dir: Option<PathBuf>,
    pub(crate) max_items: usize,
    pub(crate) max_bytes: usize,
    pub(crate) shutdown_timeout: Option<Duration>,
}

impl Options {
    /// The defaults, for a process that shows something to the user. The name is what people call it:
    /// 1 to 200 bytes without control characters. It becomes the tag `event.process` of what the
    /// process reports.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            role: Role::Renderer,
            ipc_mode: IpcMode::Both,
            ipc_namespace: None,
            sentry: ClientOptions::default(),
            debug: None,
            max_breadcrumbs: None,
            before_send: None,
            spool_dir: None,
            max_items: 10_000,
            max_bytes: 32 * MIB,
            shutdown_timeout: None,
        }
    }

    /// The defaults, for a process that works in the background.
    ///
    /// ```
    /// let options = guardhouse_renderer::Options::utility("indexer");
    /// # let _ = options;
    /// ```
    pub fn utility(name: impl Into<String>) -> Self {
        Self::new(name).role(Role::Utility)
    }

    /// What kind of process it is; [`Role::Renderer`] by default.
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// How main may be reached; both ways by default: the socket if it can be had, else HTTP on the
    /// loopback interface.
    pub fn ipc_mode(mut self, mode: IpcMode) -> Self {
        self.ipc_mode = mode;
        self
    }

    /// What the application's channels are prefixed with: the same as in main. By default it is that
    /// of the main that has started this process with `CommandExt::guardhouse`; to set another than
    /// that main has is an [error](crate::InitError::OtherNamespace). A process that was started
    /// otherwise has `sentry-ipc` by default, which other applications may have, too; so without this
    /// it finds only a main that is one of its ancestors.
    pub fn ipc_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.ipc_namespace = Some(namespace.into());
        self
    }

    /// Options of the `sentry` crate: sampling, integrations, hooks and whatever else it knows. Its
    /// transport is replaced by ours; DSN, release and environment are main's, and sessions are main's
    /// to count.
    pub fn sentry(mut self, options: ClientOptions) -> Self {
        self.sentry = options;
        self
    }

    /// Whether to tell on standard error what is done: how the process is set up, what becomes of each
    /// envelope, and above all what is refused or lost, and why. Each line begins with the name of the
    /// process. Off by default; then nothing is ever printed. What `sentry` itself would say is not said.
    pub fn debug(mut self, debug: bool) -> Self {
        self.debug = Some(debug);
        self
    }

    /// How many breadcrumbs this process keeps; 100 by default. How many an event shows of all
    /// processes together is main's option.
    pub fn max_breadcrumbs(mut self, max: usize) -> Self {
        self.max_breadcrumbs = Some(max);
        self
    }

    /// Sees every event of this process last, and may change or drop it. It runs on the thread that
    /// captures an event. What it sees is what `sentry` knows; the scope of the other processes is
    /// laid over the event in main, whose own hooks see it with that.
    pub fn before_send(
        mut self,
        hook: impl Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync + 'static,
    ) -> Self {
        self.before_send = Some(Arc::new(hook));
        self
    }

    /// Where to leave what could not be handed over, if no main was ever met that says where it looks
    /// for such. By default it is lost with the process then.
    pub fn spool_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.spool_dir = Some(directory.into());
        self
    }

    /// How many messages that main has not acknowledged are in memory at most; 10,000 by default. What is
    /// more waits in a file of 64 MiB in the directory that main has named, or in
    /// [`spool_dir`](Self::spool_dir), and is handed to main from there in its order. Only where there is
    /// neither room in the file nor a directory something is lost and counted: logs and metrics first,
    /// then the oldest in memory.
    pub fn max_items(mut self, items: usize) -> Self {
        self.max_items = items;
        self
    }

    /// How many bytes of them are in memory at most; 32 MiB by default. It is also the most that a
    /// single one may have.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long dropping the [`Guard`](crate::Guard) may take; 2 seconds by default.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// The same, with everything that is set here in the options of `sentry`.
    pub(crate) fn settled(mut self) -> Self {
        if let Some(debug) = self.debug {
            self.sentry.debug = debug;
        }
        if let Some(max) = self.max_breadcrumbs {
            self.sentry.max_breadcrumbs = max;
        }
        if let Some(hook) = &self.before_send {
            self.sentry.before_send = Some(hook.clone());
        }
        if let Some(timeout) = self.shutdown_timeout {
            self.sentry.shutdown_timeout = timeout;
        }
        self
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options of `sentry` may hold a key and functions, so they are not shown.
        f.debug_struct("Options")
            .field("name", &self.name)
            .field("role", &self.role)
            .field("ipc_mode", &self.ipc_mode)
            .field("ipc_namespace", &self.ipc_namespace)
            .field("spool_dir", &self.spool_dir)
            .finish_non_exhaustive()
    }
}
