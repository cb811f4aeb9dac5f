//! What the SDK thread is told at the start, found to be sound on the application's thread.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use guardhouse_process::Random;
use guardhouse_protocol::frame::Proof;
use guardhouse_protocol::{IpcMode, Namespace};
use sentry::types::Dsn;
use sentry::{ClientOptions, EventSamplingStrategy};
use uuid::Uuid;

use super::ends::Concern;
use super::life;
use crate::App;
use crate::error::InitError;
use crate::house::House;
use crate::ipc::Listeners;
use crate::merge::{Hooks, Identity, Merge};
use crate::options::{GetRendererName, Options};
use crate::outbox::Outbox;
use crate::outbox::http::{HttpError, HttpOptions, Proxies, Target};
use crate::outbox::spool::{Limits, Spool};
use crate::session::{About, SessionMode, Sessions};

/// Where renderers leave what they could not hand over, in the directory for what waits.
const SHELF: &str = "renderers";

/// Everything that the SDK thread has to know.
pub(crate) struct Orders {
    pub(super) outbox: Option<OutboxOrders>,
    pub(super) sessions: Option<Sessions>,
    pub(super) merge: Merge,
    pub(super) consent: Consent,
    pub(super) spotlight: Option<HttpOptions>,
    pub(super) get_renderer_name: Option<GetRendererName>,
    pub(super) guardhouse: Guardhouse,
    pub(super) app: App,
    pub(super) started: SystemTime,
    pub(super) dice: Random,
    pub(super) listeners: Option<Listeners>,
    pub(super) concern: Concern,
    pub(super) shelf: Option<PathBuf>,
}

/// What the outbox is made of.
pub(super) struct OutboxOrders {
    spool: Spool,
    http: HttpOptions,
    dsn: Option<String>,
    seed: u64,
}

/// What is said of ourselves.
pub(super) struct Guardhouse {
    pub(super) mode: IpcMode,
    pub(super) namespace: Namespace,
}

impl Orders {
    /// Finds out whether everything is sound, and opens the run's directory.
    pub(crate) fn new(
        options: &Options,
        sentry: &ClientOptions,
        dsn: Option<&Dsn>,
        namespace: &Namespace,
        cache_dir: PathBuf,
    ) -> Result<Self, InitError> {
        let spotlight = match &options.spotlight {
            Some(url) => Some(http(options, "spotlight", Target::tunnel(url))?),
            None => None,
        };
        let seed = Uuid::new_v4().as_u64_pair();
        let mut orders = Self {
            outbox: None,
            sessions: None,
            merge: merge(options, sentry, dsn),
            consent: Consent::new(options.require_consent, &cache_dir),
            spotlight,
            get_renderer_name: options.get_renderer_name.clone(),
            guardhouse: Guardhouse { mode: options.ipc_mode, namespace: namespace.clone() },
            app: options.app.clone(),
            started: SystemTime::now(),
            dice: Random::new(seed.0),
            listeners: None,
            shelf: None,
            concern: Concern {
                breadcrumbs: options.renderer_breadcrumbs.clone(),
                events: options.renderer_events.clone(),
                watches: options.watch_renderers,
                said: (0, 0),
            },
        };
        let Some(dsn) = dsn else { return Ok(orders) };
        let (http, told_dsn) = match &options.tunnel {
            Some(url) => (http(options, "tunnel", Target::tunnel(url))?, Some(without_secret(dsn))),
            None => (http(options, "dsn", Target::dsn(dsn))?, None),
        };
        let spool = match &options.hook {
            Some(hook) => Spool::open_with_hook(&cache_dir, limits(options), hook.clone()),
            None => Spool::open(&cache_dir, limits(options)),
        };
        let spool = spool.map_err(|source| InitError::CacheDir { path: cache_dir, source })?;
        orders.sessions = sessions(options, sentry);
        orders.outbox = Some(OutboxOrders { spool, http, dsn: told_dsn, seed: seed.1 });
        Ok(orders)
    }
}

impl Orders {
    /// Opens the ways for renderers. Says where the note lies that leads to them.
    pub(crate) fn open_ways(
        &mut self,
        house: &House,
        proof: Proof,
        cache_dir: &Path,
    ) -> Option<PathBuf> {
        let Guardhouse { mode, namespace } = &self.guardhouse;
        // Without a DSN nothing is kept, and nobody looks for what is left there.
        self.shelf = self.outbox.is_some().then(|| cache_dir.join(SHELF));
        let listeners = Listeners::open(house, *mode, namespace, proof, self.shelf.as_deref());
        let listeners = self.listeners.insert(listeners);
        listeners.note().map(Path::to_owned)
    }

    /// Writes down that there is a session. It is on disk before `init` returns: from then on a run
    /// that is killed is known to have been.
    pub(super) fn begin_life(&mut self) {
        if let (Some(sessions), Some(outbox)) = (&mut self.sessions, &mut self.outbox) {
            life::write_record(sessions, &mut outbox.spool);
        }
    }
}

impl OutboxOrders {
    pub(super) fn open(self, house: Arc<House>) -> Outbox {
        Outbox::new(house, self.spool, self.http, self.dsn, self.seed)
    }
}

fn http(
    options: &Options,
    option: &'static str,
    target: Result<Target, HttpError>,
) -> Result<HttpOptions, InitError> {
    let address =
        |option| move |error: HttpError| InitError::Address { option, reason: error.to_string() };
    let mut proxies = Proxies::from_environment();
    if let Some(url) = &options.sentry.http_proxy {
        proxies = proxies.http(url).map_err(address("http_proxy"))?;
    }
    if let Some(url) = &options.sentry.https_proxy {
        proxies = proxies.https(url).map_err(address("https_proxy"))?;
    }
    let mut http = HttpOptions::new(target.map_err(address(option))?)
        .proxies(proxies)
        .accept_invalid_certs(options.sentry.accept_invalid_certs);
    if let Some(path) = &options.ca_certificates {
        let bad = |reason| InitError::Certificates { path: path.clone(), reason };
        let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        http = http.authorities(&pem).map_err(|error| bad(error.to_string()))?;
    }
    Ok(http)
}

/// The DSN as a tunnel is told: with the key that is public, and no other.
fn without_secret(dsn: &Dsn) -> String {
    let text = dsn.to_string();
    let parts = text.split_once("://").and_then(|(scheme, rest)| {
        Some(format!("{scheme}://{}@{}", dsn.public_key(), rest.rsplit_once('@')?.1))
    });
    parts.unwrap_or(text)
}

fn limits(options: &Options) -> Limits {
    Limits {
        max_age: options.max_age,
        max_count: options.max_items,
        max_bytes: options.max_bytes,
        largest: options.max_item_bytes,
        ..Limits::default()
    }
}

fn sessions(options: &Options, sentry: &ClientOptions) -> Option<Sessions> {
    if options.session_mode == SessionMode::Off {
        return None;
    }
    // There is always a release, unless the application has set an empty one.
    let mut about = About::new(sentry.release.as_deref()?).ok()?;
    if let Some(environment) = &sentry.environment {
        about = about.in_environment(environment);
    }
    Some(Sessions::start(about, options.session_mode, Uuid::new_v4(), life::moment()))
}

fn merge(options: &Options, sentry: &ClientOptions, dsn: Option<&Dsn>) -> Merge {
    let environment = sentry.environment.as_deref().unwrap_or("production");
    let mut identity = Identity::new(environment).send_default_pii(sentry.send_default_pii);
    if let Some(release) = &sentry.release {
        identity = identity.release(release);
    }
    if let Some(dist) = &options.dist {
        identity = identity.dist(dist);
    }
    if let Some(dsn) = dsn {
        identity = identity.public_key(dsn.public_key());
    }
    let root = options
        .app_root
        .clone()
        .or_else(|| Some(std::env::current_exe().ok()?.parent()?.to_owned()));
    identity = identity.app_roots(root);
    if !sentry.send_default_pii {
        identity = identity.hide_homes(std::env::home_dir());
    }

    let EventSamplingStrategy::FixedRate(rate) = sentry.event_sampling_strategy else {
        return Merge::new(identity);
    };
    let mut hooks = Hooks::new().sample_rate(rate.into());
    for processor in options.processors.iter().cloned() {
        hooks = hooks.processor(move |event| processor(event));
    }
    if let Some(before_send) = sentry.before_send.clone() {
        hooks = hooks.before_send(move |event| before_send(event));
    }
    Merge::new(identity).with_hooks(hooks)
}

/// Whether things may be sent, as far as the user has a say in it. The answer is kept in a file, so
/// that it is asked for once.
pub(super) struct Consent {
    is_needed: bool,
    file: PathBuf,
    is_given: bool,
}

const GIVEN: &[u8] = b"given\n";
const REVOKED: &[u8] = b"revoked\n";

impl Consent {
    fn new(is_needed: bool, cache_dir: &Path) -> Self {
        Self { is_needed, file: cache_dir.join("consent"), is_given: false }
    }

    /// Finds out what the user said earlier. Who has revoked it is not asked again.
    pub(super) fn read(&mut self) {
        let said = std::fs::read(&self.file).unwrap_or_default();
        self.is_given = if self.is_needed { said == GIVEN } else { said != REVOKED };
    }

    /// Whether things may be sent.
    pub(super) fn is_given(&self) -> bool {
        self.is_given
    }

    /// The user agrees, or does not.
    pub(super) fn set(&mut self, is_given: bool) -> io::Result<()> {
        self.is_given = is_given;
        if !is_given {
            // Without the file, nothing is agreed to, whatever else goes wrong.
            let _ = std::fs::remove_file(&self.file);
        }
        let temporary = self.file.with_extension("tmp");
        if let Some(directory) = self.file.parent() {
            std::fs::create_dir_all(directory)?;
        }
        std::fs::write(&temporary, if is_given { GIVEN } else { REVOKED })?;
        std::fs::rename(&temporary, &self.file)
    }
}
