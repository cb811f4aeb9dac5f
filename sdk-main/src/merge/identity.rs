//! What main knows of itself, which every event gets.

use std::path::Path;

use guardhouse_protocol::json::{Json, Object, ObjectWriter, Splice};

use super::own::OWN_CONTEXT;
use super::{Roots, if_possible};
use crate::outbox::spool::RunFacts;

/// The name of this SDK, as Sentry shows it.
pub const SDK_NAME: &str = "sentry.rust.guardhouse";
/// The version of this SDK.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
/// The package that this SDK is, as registries name it.
pub const SDK_PACKAGE: &str = "crates:guardhouse-main";

/// What main knows of itself and the machine, made once.
///
/// ```
/// use guardhouse_main::merge::Identity;
/// use guardhouse_protocol::json::Json;
///
/// let mut identity = Identity::new("production").release("desk@5.1.0").app_roots(["/opt/desk"]);
/// // Contexts come later: they are gathered while the application starts.
/// identity.set_context("os", &Json::parse(br#"{"name":"Linux","version":"6.12"}"#)?);
/// # Ok::<(), guardhouse_protocol::json::JsonError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) release: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) dist: Option<String>,
    /// Whether what an event says itself of release and environment goes, since nothing is known of
    /// them.
    pub(super) is_unknown: bool,
    pub(super) public_key: Option<String>,
    pub(super) roots: Roots,
    pub(super) send_default_pii: bool,
    /// One object of all contexts.
    pub(super) contexts: Json,
    pub(super) packages: Json,
}

impl Identity {
    /// Main in this environment.
    pub fn new(environment: &str) -> Self {
        let mut package = ObjectWriter::new();
        package.member("name", SDK_PACKAGE).member("version", SDK_VERSION);
        Self {
            release: None,
            environment: Some(environment.to_owned()),
            dist: None,
            is_unknown: false,
            public_key: None,
            roots: Roots::default(),
            send_default_pii: false,
            contexts: ObjectWriter::new().finish(),
            packages: Json::array([package.finish()]),
        }
    }

    /// The release of the application. Without one, renderers' events keep theirs.
    pub fn release(mut self, release: &str) -> Self {
        self.release = Some(release.to_owned());
        self
    }

    /// The distribution of the release.
    pub fn dist(mut self, dist: &str) -> Self {
        self.dist = Some(dist.to_owned());
        self
    }

    /// The public key of the DSN that events go to.
    pub fn public_key(mut self, public_key: &str) -> Self {
        self.public_key = Some(public_key.to_owned());
        self
    }

    /// The directories in which the application is installed.
    pub fn app_roots(mut self, paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        self.roots = Roots::new(paths);
        self
    }

    /// Lets home directories become `~` in what is sent: this one, and all that are where such
    /// directories usually are.
    pub fn hide_homes(mut self, own: Option<impl AsRef<Path>>) -> Self {
        self.roots = self.roots.and_homes(own);
        self
    }

    /// The facts of the run that main is in.
    pub fn facts(&self) -> RunFacts {
        RunFacts {
            release: self.release.clone(),
            environment: self.environment.clone(),
            dist: self.dist.clone(),
        }
    }

    /// The same main in an earlier run, for what happened in it. Where nothing is known of the run, it
    /// has no release and no environment: today's would be wrong, and a renderer's word does not count.
    /// What is true of the application only today is left out.
    pub fn in_run(&self, facts: Option<&RunFacts>) -> Self {
        let is_unknown = facts.is_none();
        let RunFacts { release, environment, dist } = facts.cloned().unwrap_or_default();
        let mut identity = Self { release, environment, dist, is_unknown, ..self.clone() };
        let mut contexts = Splice::new(object(&self.contexts));
        for name in ["app", OWN_CONTEXT] {
            if_possible(contexts.remove(&[name]));
        }
        let contexts = Json::parse(contexts.finish().as_bytes());
        identity.contexts = contexts.unwrap_or_else(|_| ObjectWriter::new().finish());
        identity
    }

    /// Whether what can identify a person may be sent without being asked for each time: the address
    /// that Sentry sees, and the name of the machine. Off by default.
    pub fn send_default_pii(mut self, send: bool) -> Self {
        self.send_default_pii = send;
        self
    }

    /// Sets a context that all events of the application get, or replaces it.
    pub fn set_context(&mut self, name: &str, context: &Json) {
        let mut splice = Splice::new(object(&self.contexts));
        if_possible(splice.set(&[name], context));
        let edited = Json::parse(splice.finish().as_bytes());
        if let Ok(edited) = edited {
            self.contexts = edited;
        }
    }

    /// All contexts that were set, as one object.
    pub fn contexts(&self) -> &Json {
        &self.contexts
    }

    /// A text of one of the contexts.
    pub(super) fn context_text(&self, name: &str, member: &str) -> Option<String> {
        let text = object(&self.contexts).at(&[name, member])?.as_str()?.into_owned();
        Some(text).filter(|text| !text.is_empty())
    }
}

/// What is known to be an object.
pub(super) fn object(json: &Json) -> Object<'_> {
    json.as_object().unwrap_or(Object::EMPTY)
}
