//! What the SDK thread is told at the start, found to be sound on the application's thread; and what the
//! disk has to give before there is any reporting, which the SDK thread asks for, since a disk may hang.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use guardhouse_process::{Random, regular_file};
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
use crate::installation;
use crate::ipc::Listeners;
use crate::merge::{Hooks, Identity, Merge};
use crate::options::{GetRendererName, Options};
use crate::outbox::Outbox;
use crate::outbox::http::{HttpError, HttpOptions, Proxies, Target};
use crate::outbox::spool::{Hook, Limits, Spool};
use crate::session::{About, SessionMode, Sessions};

/// Where renderers leave what they could not hand over, in the directory for what waits.
const OFFLINE: &str = "renderers";

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
    pub(super) offline_directory: Option<PathBuf>,
    cache_dir: PathBuf,
    /// Where everything is sent, for a person; nothing without a DSN.
    destination: Option<String>,
    /// The file with the certificates of authorities that the application trusts.
    authorities: Option<PathBuf>,
    /// What lets renderers in.
    proof: Proof,
}

/// What the outbox is made of.
pub(super) struct OutboxOrders {
    limits: Limits,
    hook: Option<Hook>,
    /// Opened by the SDK thread.
    spool: Option<Spool>,
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
    /// Finds out whether everything is sound that can be told without the disk.
    pub(crate) fn new(
        options: &Options,
        sentry: &ClientOptions,
        dsn: Option<&Dsn>,
        (namespace, proof): (&Namespace, Proof),
        cache_dir: PathBuf,
    ) -> Result<Self, InitError> {
        let spotlight = match &options.spotlight {
            Some(url) => Some(http(options, ("spotlight", url), Target::tunnel(url))?),
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
            offline_directory: None,
            concern: Concern {
                breadcrumbs: options.renderer_breadcrumbs.clone(),
                events: options.renderer_events.clone(),
                watches: options.watch_renderers,
                said: (0, 0),
            },
            cache_dir,
            destination: None,
            authorities: options.ca_certificates.clone(),
            proof,
        };
        let Some(dsn) = dsn else { return Ok(orders) };
        let (http, told_dsn) = match &options.tunnel {
            Some(url) => {
                let http = http(options, ("tunnel", url), Target::tunnel(url))?;
                (http, Some(without_secret(dsn)))
            }
            None => (http(options, ("dsn", &dsn.to_string()), Target::dsn(dsn))?, None),
        };
        let mut destination = format!("{} (project {})", dsn.host(), dsn.project_id());
        if let Some(tunnel) = &options.tunnel {
            // Its path may hold a secret.
            let host = tunnel.split('/').nth(2).unwrap_or(tunnel);
            destination = format!("{destination} through the tunnel at {host}");
        }
        orders.destination = Some(destination);
        orders.sessions = sessions(options, sentry);
        orders.outbox = Some(OutboxOrders {
            limits: limits(options),
            hook: options.hook.clone(),
            spool: None,
            http,
            dsn: told_dsn,
            seed: seed.1,
        });
        Ok(orders)
    }

    /// Says how this run is set up, if the application wants to hear it.
    pub(super) fn introduce(&self, house: &House) {
        let facts = self.merge.identity().facts();
        let (release, environment) =
            (facts.release.unwrap_or_default(), facts.environment.unwrap_or_default());
        house.say(format_args!(
            "process {} of {} starts, as release {release:?} in the environment {environment:?}",
            std::process::id(),
            self.app.name(),
        ));
        match &self.destination {
            Some(destination) => house.say(format_args!(
                "it sends to {destination}; what waits is kept in {}",
                self.cache_dir.display()
            )),
            None => house.say(format_args!(
                "there is no DSN, so nothing is kept or sent; set one with `Options::dsn` or in \
                 SENTRY_DSN"
            )),
        }
        let Guardhouse { mode, namespace } = &self.guardhouse;
        house.say(format_args!(
            "renderers reach it in the namespace \"{namespace}\", by {}",
            match mode {
                IpcMode::Both => "the classic way and the protocol".to_owned(),
                mode => format!("the way {mode} alone"),
            }
        ));
    }

    /// Where everything is kept.
    pub(super) fn cache_dir(&self) -> &Path {
        &self.cache_dir
    }

    /// Asks the disk for everything without which there is no reporting: the run's directory, the record
    /// of its session, and the ways for renderers with the note that leads to them. The record is on
    /// disk when `init` returns, unless the disk hangs: from then on a run that is killed is known to
    /// have been.
    pub(super) fn open(&mut self, house: &House) -> Result<(), InitError> {
        self.read_authorities()?;
        self.consent.read();
        if let Some(outbox) = &mut self.outbox {
            let spool = outbox.spool.insert(open_spool(&self.cache_dir, outbox)?);
            // Before any renderer hears of this run, and may leave something of it.
            if let Err(error) = spool.write_facts(self.merge.identity().facts()) {
                house.say(format_args!("the record of this run is written later: {error}"));
            }
            if let Some(sessions) = &mut self.sessions {
                sessions.identify(self.consent.installation().as_deref());
                life::write_record(sessions, spool);
            }
        }
        // Without a DSN nothing is kept, and nobody looks for what is left there.
        self.offline_directory = self.outbox.is_some().then(|| self.cache_dir.join(OFFLINE));
        let Guardhouse { mode, namespace } = &self.guardhouse;
        let proof = self.proof.clone();
        let run = self.outbox.as_ref().and_then(|it| it.spool.as_ref()).map(Spool::run);
        let spool = self.offline_directory.as_deref().zip(run);
        let listeners = Listeners::open(house, *mode, namespace, proof, spool);
        if let Some(note) = listeners.note() {
            house.set_note(note.to_owned());
        }
        self.listeners = Some(listeners);
        Ok(())
    }

    fn read_authorities(&mut self) -> Result<(), InitError> {
        let Some(path) = self.authorities.take() else { return Ok(()) };
        let bad = |reason| InitError::Certificates { path: path.clone(), reason };
        let pem = std::fs::read(&path).map_err(|error| bad(error.to_string()))?;
        let outbox = self.outbox.as_mut().map(|outbox| &mut outbox.http);
        for http in outbox.into_iter().chain(&mut self.spotlight) {
            *http = http.clone().authorities(&pem).map_err(|error| bad(error.to_string()))?;
        }
        Ok(())
    }
}

fn open_spool(cache_dir: &Path, outbox: &OutboxOrders) -> Result<Spool, InitError> {
    let spool = match &outbox.hook {
        Some(hook) => Spool::open_with_hook(cache_dir, outbox.limits, hook.clone()),
        None => Spool::open(cache_dir, outbox.limits),
    };
    spool.map_err(|source| InitError::CacheDir {
        path: cache_dir.to_owned(),
        source: Box::new(source),
    })
}

impl OutboxOrders {
    /// The outbox, if [`Orders::open`] has opened what it keeps things in.
    pub(super) fn outbox(self, house: Arc<House>) -> Option<Outbox> {
        Some(Outbox::new(house, self.spool?, self.http, self.dsn, self.seed))
    }
}

fn http(
    options: &Options,
    (option, url): (&'static str, &str),
    target: Result<Target, HttpError>,
) -> Result<HttpOptions, InitError> {
    let address = |option, address: &str| {
        let address = without_user(address);
        move |error: HttpError| InitError::Address { option, address, reason: error.to_string() }
    };
    let mut proxies = Proxies::from_environment();
    if let Some(url) = &options.sentry.http_proxy {
        proxies = proxies.http(url).map_err(address("http_proxy", url))?;
    }
    if let Some(url) = &options.sentry.https_proxy {
        proxies = proxies.https(url).map_err(address("https_proxy", url))?;
    }
    Ok(HttpOptions::new(target.map_err(address(option, url))?)
        .proxies(proxies)
        .accept_invalid_certs(options.sentry.accept_invalid_certs))
}

/// An address as it may be shown: who shows it to whom, nobody knows.
fn without_user(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => address.to_owned(),
    }
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
/// No answer is longer.
const ANSWER_BYTES: u64 = 64;

impl Consent {
    fn new(is_needed: bool, cache_dir: &Path) -> Self {
        Self { is_needed, file: cache_dir.join("consent"), is_given: false }
    }

    /// Finds out what the user said earlier. Who has revoked it is not asked again.
    pub(super) fn read(&mut self) {
        let said = regular_file::read_at_most(&self.file, ANSWER_BYTES).unwrap_or_default();
        self.is_given = if self.is_needed { said == GIVEN } else { said != REVOKED };
    }

    /// Whether things may be sent.
    pub(super) fn is_given(&self) -> bool {
        self.is_given
    }

    /// The id of the installation, if it may be told. Without a disk there is none.
    pub(super) fn installation(&self) -> Option<String> {
        let cache_dir = self.file.parent().filter(|_| self.is_given)?;
        installation::id(cache_dir).ok()
    }

    /// The user agrees, or does not.
    pub(super) fn set(&mut self, is_given: bool) -> io::Result<()> {
        self.is_given = is_given;
        if !is_given {
            self.file.parent().map(installation::forget);
            // Without the file, nothing is agreed to, whatever else goes wrong.
            let _ = std::fs::remove_file(&self.file);
        }
        let temporary = self.file.with_extension("tmp");
        if let Some(directory) = self.file.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        let mut file = regular_file::open_with(&temporary, &mut options)?;
        file.write_all(if is_given { GIVEN } else { REVOKED })?;
        std::fs::rename(&temporary, &self.file)
    }
}
