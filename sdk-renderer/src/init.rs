//! From [`Options`] to a running SDK.
//!
//! Everything that can be wrong with the options is found out here, before anything is changed; then
//! the SDK thread is started and the client of `sentry` bound. Whether there is a main is not asked: it
//! is the SDK thread that looks for it, and that waits for one.

use std::sync::Arc;

use guardhouse_process::scope::OwnScope;
use guardhouse_process::{call_about_event, probe, running, say, set_name};
use guardhouse_protocol::frame::RendererName;
use guardhouse_protocol::{IpcMode, Namespace};
use sentry::protocol::Event;
use sentry::{BeforeCallback, Breadcrumb, Client, ClientOptions, EventSamplingStrategy, Hub};
use uuid::Uuid;

use crate::checks;
use crate::error::InitError;
use crate::guard::Guard;
use crate::house::House;
use crate::integration::Tracing;
use crate::options::Options;
use crate::thread::{self, Orders};
use crate::transport::Transport;
use crate::ways::{is_of_ancestor, namespace_of_environment};
use crate::wishes::{self, Wishes};

/// What `sentry` is told, since without a DSN it would do nothing at all. Nothing is ever sent there,
/// and where events go is main's to know.
const NO_DSN: &str = "https://nobody@localhost/0";

/// The integration of `sentry` that main does the work of, for all processes: it tells the host's name.
const CONTEXTS: &str = "contexts";

/// Starts reporting through main.
///
/// Call it once, early in `main`, and keep the [`Guard`]. If it fails, the error says why and what to
/// do; the process runs on as if nothing had been asked for. That main is not there is no failure: what
/// is captured waits for it, within the limits of the [`Options`].
///
/// ```no_run
/// use guardhouse_renderer::{Options, init};
///
/// let guard = init(Options::new("settings"));
/// if let Err(error) = &guard {
///     eprintln!("errors of this process will not be reported: {error}");
/// }
/// ```
pub fn init(options: Options) -> Result<Guard, InitError> {
    if !running::begin() {
        return Err(InitError::AlreadyRunning);
    }
    start(options).inspect_err(|_| running::end())
}

fn start(options: Options) -> Result<Guard, InitError> {
    let options = options.settled();
    let (namespace, is_namespace_chosen) = namespace(&options)?;
    let name = RendererName::new(&options.name).map_err(InitError::Name)?;
    let sample_rate = wishes::sample_rate(&options.sentry);
    if !(0.0..=1.0).contains(&sample_rate) {
        return Err(InitError::SampleRate(sample_rate));
    }
    checks::all(&options)?;
    set_name(name.as_str());

    // The hub of whatever thread touches `sentry` first is the one that all new threads begin with. It
    // has to be this thread's, which is the application's, and not the one that is started below.
    let _ = Hub::main();
    let mut sentry = settle(&options);
    let wishes = Wishes::new(f64::from(sample_rate));
    let house = House::new(sentry.debug, sentry.max_breadcrumbs, sentry.before_breadcrumb.take());
    house.say(format_args!(
        "process {} starts as {} and reports through main, in the namespace \"{namespace}\"{}",
        std::process::id(),
        options.role.name(),
        match options.ipc_mode {
            IpcMode::Both => ", by the classic way or the protocol".to_owned(),
            mode => format!(", by the way {mode} alone"),
        },
    ));
    let thread = thread::start(
        house.clone(),
        Orders {
            namespace,
            is_namespace_chosen,
            mode: options.ipc_mode,
            name,
            role: options.role.clone(),
            spool: options.spool_dir.clone(),
            max_items: options.max_items,
            max_bytes: options.max_bytes,
            max_breadcrumbs: sentry.max_breadcrumbs,
            on_config: Box::new({
                let wishes = wishes.clone();
                move |config| wishes.set_config(config)
            }),
            on_trace: Box::new({
                let wishes = wishes.clone();
                move |trace| wishes.set_trace(trace)
            }),
            seed: Uuid::new_v4().as_u64_pair().0,
        },
    )
    .map_err(InitError::Thread)?;

    let shutdown_timeout = sentry.shutdown_timeout;
    let client = bind(&house, &wishes, sentry);
    running::set_scope(Some(house.own_scope.clone()));
    Ok(Guard { house, wishes, client, thread: Some(thread), shutdown_timeout })
}

/// The namespace of the options, else that of the main that has started this process, and whether the
/// application has chosen it.
fn namespace(options: &Options) -> Result<(Namespace, bool), InitError> {
    let set = options.ipc_namespace.as_deref().map(Namespace::new).transpose();
    let set = set.map_err(InitError::Namespace)?;
    match (set, namespace_of_environment()) {
        (Some(set), Some(main)) if set != main && !is_of_ancestor(&set) => {
            Err(InitError::OtherNamespace { set, main })
        }
        (Some(set), _) => Ok((set, true)),
        (None, Some(main)) => {
            // The default is that of all mains that have chosen none.
            let is_chosen = main != Namespace::DEFAULT;
            Ok((main, is_chosen))
        }
        (None, None) => Ok((Namespace::DEFAULT, false)),
    }
}

/// The options of `sentry` with everything that they leave to us, and without what is main's.
fn settle(options: &Options) -> ClientOptions {
    let mut sentry = options.sentry.clone();
    for (name, is_set) in [
        ("DSN", sentry.dsn.is_some()),
        ("release", sentry.release.is_some()),
        ("environment", sentry.environment.is_some()),
    ] {
        if is_set {
            say(
                sentry.debug,
                format_args!("the {name} of this process has no effect; main's is that of all"),
            );
        }
    }
    let server_name = sentry.server_name.clone();
    // Whatever transport it would take, it gets ours.
    sentry.transport = None;
    let mut sentry = sentry::apply_defaults(sentry);
    sentry.integrations.retain(|integration| integration.name() != CONTEXTS);
    sentry.server_name = server_name;
    sentry.dsn = NO_DSN.parse().ok();
    sentry.release = None;
    sentry.environment = None;
    sentry.auto_session_tracking = false;
    sentry
}

/// Makes the client and lets all hubs that come from the main thread's use it.
fn bind(house: &Arc<House>, wishes: &Arc<Wishes>, mut sentry: ClientOptions) -> Arc<Client> {
    // It would say less of the same, without who says it, and with the key of the DSN.
    sentry.debug = false;
    sentry.before_send = sentry.before_send.take().map(|hook| {
        let hook: BeforeCallback<Event<'static>> =
            Arc::new(move |event| call_about_event(&hook, event));
        hook
    });
    // Chosen behind it, by what main says.
    sentry.event_sampling_strategy = EventSamplingStrategy::FixedRate(1.0);
    wishes.guide_traces(&mut sentry);
    let transport = Transport::new(house.clone(), wishes.clone());
    sentry.transport = Some(Arc::new(Arc::new(transport)));
    sentry.integrations.push(Arc::new(Tracing(wishes.clone())));
    sentry.before_breadcrumb = Some(watched(&house.own_scope));
    let client = Arc::new(Client::from(sentry));
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
