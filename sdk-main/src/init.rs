//! From [`Options`] to a running SDK.
//!
//! Everything that can be wrong with the options is found out here, before anything is changed; then
//! the SDK thread is started, which opens the run's directory and the ways for renderers and notes them
//! down, and the client of `sentry` is bound. Nothing is sent, and there is no other work on the disk.
//! A disk that hangs holds up the SDK thread, but `init` for two seconds at most.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use guardhouse_process::scope::OwnScope;
use guardhouse_process::{call_about_event, probe, running, set_name};
use guardhouse_protocol::Namespace;
use sentry::protocol::Event;
use sentry::types::Dsn;
use sentry::{BeforeCallback, Breadcrumb, Client, ClientOptions, EventSamplingStrategy, Hub};

use crate::cache_dir;
use crate::checks::{self, Origins};
use crate::error::InitError;
use crate::guard::Guard;
use crate::house::House;
use crate::integration::ScopeOfAll;
use crate::ipc::renderers::secret;
use crate::options::Options;
use crate::transport::Transport;
use crate::watch::{self, Orders};

/// What `sentry` is told where there is no DSN. Without one it would do nothing at all, and so would
/// hooks, scope and everything else that is local. Nothing is ever sent there.
const NO_DSN: &str = "https://nobody@localhost/0";

/// The integration of `sentry` that ours replaces: it tells the host's name, and of the system only
/// what the kernel says.
const CONTEXTS: &str = "contexts";

/// Starts reporting.
///
/// Call it once, early in `main`, and keep the [`Guard`]. If it fails, the error says why and what to
/// do; the application runs on as if nothing had been asked for.
///
/// It waits for the disk, but no longer than two seconds. If the disk has not answered by then, the guard
/// is there all the same and what is captured waits in memory; [`Guard::startup_error`] says so, or why
/// it failed after all.
///
/// ```no_run
/// use guardhouse_main::{Options, app, init};
///
/// let guard = init(Options::new(app!()).dsn("https://key@o1.ingest.sentry.io/2"));
/// if let Err(error) = &guard {
///     eprintln!("errors will not be reported: {error}");
/// }
/// ```
pub fn init(options: Options) -> Result<Guard, InitError> {
    if !running::begin() {
        return Err(InitError::AlreadyRunning);
    }
    start(options).inspect_err(|_| running::end())
}

fn start(options: Options) -> Result<Guard, InitError> {
    set_name("main");
    let origins = Origins::of(&options.sentry);
    let options = options.settled();
    let dsn = dsn(&options)?;
    let ipc_namespace = match &options.ipc_namespace {
        Some(name) => Namespace::new(name).map_err(InitError::Namespace)?,
        None => Namespace::DEFAULT,
    };
    if let EventSamplingStrategy::FixedRate(rate) = options.sentry.event_sampling_strategy
        && !(0.0..=1.0).contains(&rate)
    {
        return Err(InitError::SampleRate(rate));
    }
    checks::limits(&options)?;
    let cache_dir = match &options.cache_dir {
        Some(directory) => directory.clone(),
        None => cache_dir::of(options.app.name(), dsn.as_ref()).ok_or(InitError::NoCacheDir)?,
    };

    // The hub of whatever thread touches `sentry` first is the one that all new threads begin with. It
    // has to be this thread's, which is the application's, and not the one that is started below.
    let _ = Hub::main();
    let proof = secret();
    let mut sentry = settle(&options);
    checks::names(&options, &origins, &sentry)?;
    let house = House::new(
        sentry.debug,
        sentry.max_breadcrumbs,
        sentry.before_breadcrumb.take(),
        options.processors.clone(),
        (&ipc_namespace, proof.clone()),
    );
    let orders = Orders::new(&options, &sentry, dsn.as_ref(), (&ipc_namespace, proof), cache_dir)?;
    let thread = watch::start(house.clone(), orders)?;

    let shutdown_timeout = options.shutdown_timeout.unwrap_or(sentry.shutdown_timeout);
    let client = bind(&house, sentry, dsn, shutdown_timeout);
    if let Some(configure) = &options.initial_scope {
        house.own_scope.configure(|scope| configure(scope));
    }
    running::set_scope(Some(house.own_scope.clone()));
    Ok(Guard {
        house,
        client,
        thread: Some(thread),
        shutdown_timeout,
        ipc_mode: options.ipc_mode,
        ipc_namespace,
        get_sessions: options.get_sessions,
        attach_screenshot: options.attach_screenshot,
    })
}

/// The DSN, if there is one: of our options, of those of `sentry`, or of the environment.
fn dsn(options: &Options) -> Result<Option<Dsn>, InitError> {
    let (from, text) = match (&options.dsn, &options.sentry.dsn) {
        (Some(text), _) => ("`Options::dsn`", text.clone()),
        (None, Some(dsn)) => return Ok(Some(dsn.clone())),
        (None, None) => ("SENTRY_DSN", std::env::var("SENTRY_DSN").unwrap_or_default()),
    };
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|source| InitError::Dsn { from, source }),
    }
}

/// The options of `sentry` with everything that they leave to the environment and to us.
fn settle(options: &Options) -> ClientOptions {
    let mut sentry = options.sentry.clone();
    let server_name = sentry.server_name.clone();
    // Whatever transport it would take, it gets ours.
    sentry.transport = None;
    let mut sentry = sentry::apply_defaults(sentry);
    // A variable that is empty is as good as none.
    let is_of_nothing = |set: &Option<_>, settled: &Option<Cow<'_, str>>| {
        Option::<Cow<'_, str>>::is_none(set) && settled.as_deref() == Some("")
    };
    if is_of_nothing(&options.sentry.release, &sentry.release) {
        sentry.release = None;
    }
    if is_of_nothing(&options.sentry.environment, &sentry.environment) {
        let default = if cfg!(debug_assertions) { "development" } else { "production" };
        sentry.environment = Some(default.into());
    }
    sentry.integrations.retain(|integration| integration.name() != CONTEXTS);
    sentry.server_name = server_name;
    sentry.release.get_or_insert_with(|| options.app.release().into());
    sentry.auto_session_tracking = false;
    sentry
}

/// Makes the client and lets all hubs that come from the main thread's use it.
fn bind(
    house: &Arc<House>,
    mut sentry: ClientOptions,
    dsn: Option<Dsn>,
    shutdown_timeout: Duration,
) -> Arc<Client> {
    sentry.dsn = dsn.or_else(|| NO_DSN.parse().ok());
    sentry.shutdown_timeout = shutdown_timeout;
    // It would say less of the same, without who says it, and with the key of the DSN.
    sentry.debug = false;
    sentry.before_send = sentry.before_send.take().map(|hook| {
        let hook: BeforeCallback<Event<'static>> =
            Arc::new(move |event| call_about_event(&hook, event));
        hook
    });
    // Chosen behind it, so that the session hears of those that are not.
    sentry.event_sampling_strategy = EventSamplingStrategy::FixedRate(1.0);
    sentry.transport = Some(Arc::new(Arc::new(Transport(house.clone()))));
    // The last, so that it sees what the others have made of an event.
    sentry.integrations.push(Arc::new(ScopeOfAll(house.clone())));
    sentry.before_breadcrumb = Some(watched(&house.own_scope));
    let client = Arc::new(Client::from(sentry));
    house.bind();
    for hub in [Hub::main(), Hub::current()] {
        hub.bind_client(Some(client.clone()));
    }
    probe::install(&Hub::main());
    client
}

/// The application's `before_breadcrumb`, after which we keep a copy for the events of all processes.
fn watched(scope: &Arc<OwnScope>) -> BeforeCallback<Breadcrumb> {
    let scope = scope.clone();
    Arc::new(move |breadcrumb| {
        let breadcrumb = scope.ask_about(breadcrumb)?;
        scope.add_breadcrumb(breadcrumb.clone());
        Some(breadcrumb)
    })
}
