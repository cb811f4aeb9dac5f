//! The scope of all processes, laid over what renderers report, without touching what it does not
//! concern.
//!
//! [`Merge`] takes a renderer's envelope and hands it back as main would have sent it: with main's
//! release and environment, the tags and contexts and breadcrumbs of all processes, paths that are the
//! same on every machine, and no secrets. It changes JSON as text, so what this version does not
//! understand arrives unchanged: unknown items and members, their order, how numbers are written. Who
//! wins where two say something stands in `docs/merge.md`, and is tested row by row.
//!
//! It owns no clock, randomness or I/O: the time and the random number are arguments. What a renderer
//! may send at all was decided before, by [`intake`](crate::intake); what becomes of an envelope, the
//! [`outbox`](crate::outbox) decides.

mod attributes;
mod breadcrumbs;
mod event;
mod hooks;
mod identity;
mod items;
mod own;
mod percent;
mod privacy;
mod room;
mod roots;
mod scopes;
mod surrogates;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use guardhouse_protocol::json::{
    Kind as JsonKind, Splice, SpliceError, Value, replace_lone_surrogates,
};
use guardhouse_protocol::scope::AttachmentIdentity;
use guardhouse_protocol::{Envelope, Header, Item, ItemType, Log, Metric, Timestamp};
use uuid::Uuid;

use crate::losses::{Category, Losses, Reason};
pub use hooks::{Hook, Hooks};
pub use identity::{Identity, SDK_NAME, SDK_PACKAGE, SDK_VERSION};
pub(crate) use own::{OWN_CONTEXT, TOO_EARLY};
pub use privacy::{FILTERED, WORDS};
pub use roots::Roots;
pub use scopes::{Crumb, MergedScope, Process, Scopes};

use crate::session::Severity;
use event::Kind;

/// Which process an envelope came from.
#[derive(Clone, Debug)]
pub struct Sender {
    process: Process,
    name: String,
    /// Main in the run in which it was sent, if that is not this one.
    identity: Option<Arc<Identity>>,
}

impl Sender {
    /// The renderer with this id, and what it is called in the tag `event.process`: what
    /// `get_renderer_name` says, or `renderer`.
    pub fn renderer(id: Uuid, name: impl Into<String>) -> Self {
        Self { process: Process::Renderer(id), name: name.into(), identity: None }
    }

    /// What it sent in an earlier run, of which main was [this](Identity::in_run).
    pub fn in_run(mut self, identity: Arc<Identity>) -> Self {
        self.identity = Some(identity);
        self
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Main itself.
    pub fn main() -> Self {
        Self { process: Process::Main, name: "main".to_owned(), identity: None }
    }

    /// The process whose scope comes first for what it sends.
    pub const fn process(&self) -> Process {
        self.process
    }
}

/// Lays main's knowledge and the scope of all processes over what renderers report.
///
/// ```
/// use guardhouse_main::merge::{Identity, Merge, Scopes, Sender};
/// use guardhouse_protocol::{Envelope, Timestamp};
/// use uuid::Uuid;
///
/// let merge = Merge::new(Identity::new("production").release("desk@5.1.0"));
/// let mut scopes = Scopes::new(100);
/// let page = Sender::renderer(Uuid::new_v4(), "settings");
///
/// let envelope = Envelope::parse("{}\n{\"type\":\"event\"}\n{\"message\":\"hi\",\"new\":1e0}\n")?;
/// let now = Timestamp::from_unix(1_795_193_675, 0);
/// let merged = merge.renderer(envelope, &page, &scopes.merged(page.process()), now, 0.5);
///
/// let event = merged.envelope.unwrap().items()[0].json()?.text().to_owned();
/// assert!(event.starts_with(r#"{"message":"hi","new":1e0,"release":"desk@5.1.0""#));
/// assert!(event.contains(r#""event.process":"settings""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Merge {
    identity: Identity,
    hooks: Hooks,
}

/// What became of an envelope.
#[derive(Debug)]
pub struct Merged {
    /// What is to be sent, unless nothing is left.
    pub envelope: Option<Envelope>,
    /// What was lost of it.
    pub losses: Losses,
    /// What the rest of main wants to know of it.
    pub facts: Facts,
}

/// What a merged envelope says about the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// How many errors are in it, for the session: [`Severity`] says what an error is. Those that were
    /// not chosen or dropped are not counted.
    pub errors: u64,
    /// How many more errors there were that were not chosen. For the session they have happened.
    pub errors_not_chosen: u64,
    /// Whether there was an exception that nobody handled, chosen or not.
    pub has_unhandled: bool,
    /// How many hooks of the application panicked. The event went on as if they were not there.
    pub panics: u64,
    /// How many parts of the scope were left out because the event had no room for them. Its `_meta`
    /// says so too.
    pub left_out: u64,
}

/// What is laid over one envelope.
struct Laying<'a> {
    identity: &'a Identity,
    from: &'a Sender,
    scope: &'a MergedScope,
    now: Timestamp,
    /// Whether hooks of the application see events afterwards.
    has_hooks: bool,
}

impl Merge {
    /// A merge for an application that has no hooks.
    pub fn new(identity: Identity) -> Self {
        Self { identity, hooks: Hooks::default() }
    }

    /// Lets the application look at the events of renderers.
    pub fn with_hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    /// What main knows of itself.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The same, to learn more: contexts are gathered while the application starts.
    pub fn identity_mut(&mut self) -> &mut Identity {
        &mut self.identity
    }

    /// Whether an event is chosen, where not all are wanted: `dice` is a random number from 0 up to 1.
    pub fn chooses(&self, dice: f64) -> bool {
        self.hooks.chooses(dice)
    }

    /// Merges what a renderer sent. `scope` is what [`Scopes::merged`] says for the sender's process;
    /// `dice` a random number from 0 up to 1, by which events are chosen if the application has a
    /// sample rate.
    ///
    /// An item that is not what its type says stays as it is: whether it goes on was decided before.
    pub fn renderer(
        &self,
        mut envelope: Envelope,
        from: &Sender,
        scope: &MergedScope,
        now: Timestamp,
        dice: f64,
    ) -> Merged {
        let laying = self.laying(from, scope, now);
        laying.header(envelope.header_mut());

        let (mut losses, mut facts) = (Losses::new(), Facts::default());
        let mut dropped: Option<(usize, Reason)> = None;
        let mut has_event = false;
        for (index, item) in envelope.items_mut().iter_mut().enumerate() {
            match self.item(item, &laying, dice, &mut facts) {
                Ok(()) => {
                    has_event |= item.item_type() == ItemType::Event;
                    surrogates::replace(item);
                }
                Err(reason) => dropped = Some((index, reason)),
            }
        }
        if let Some((at, reason)) = dropped {
            // What is attached to an event goes with it.
            let mut index = 0;
            let gone = envelope.retain(|item| {
                index += 1;
                index - 1 != at && item.item_type() != ItemType::Attachment
            });
            for item in &gone {
                losses.count_item(item, reason);
            }
        } else if has_event {
            laying.attach(&mut envelope, &mut losses);
        }
        let envelope = Some(envelope).filter(|envelope| !envelope.items().is_empty());
        Merged { envelope, losses, facts }
    }

    /// Merges a log that a renderer sent on its own.
    pub fn log(&self, log: Log, from: &Sender, scope: &MergedScope, now: Timestamp) -> Log {
        let laying = self.laying(from, scope, now);
        let json = single(log.text(), &laying);
        json.and_then(|json| Log::parse(&json).ok()).unwrap_or(log)
    }

    /// Merges a metric that a renderer sent on its own.
    pub fn metric(
        &self,
        metric: Metric,
        from: &Sender,
        scope: &MergedScope,
        now: Timestamp,
    ) -> Metric {
        let laying = self.laying(from, scope, now);
        let json = single(metric.text(), &laying);
        json.and_then(|json| Metric::parse(&json).ok()).unwrap_or(metric)
    }

    fn laying<'a>(
        &'a self,
        from: &'a Sender,
        scope: &'a MergedScope,
        now: Timestamp,
    ) -> Laying<'a> {
        let identity = from.identity.as_deref().unwrap_or(&self.identity);
        Laying { identity, from, scope, now, has_hooks: !self.hooks.is_empty() }
    }

    /// Merges one item, or says why it is dropped.
    fn item(
        &self,
        item: &mut Item,
        laying: &Laying<'_>,
        dice: f64,
        facts: &mut Facts,
    ) -> Result<(), Reason> {
        match item.item_type() {
            ItemType::Event => {
                if !self.chooses(dice) {
                    let severity = event::severity(item, Some(laying.scope));
                    facts.errors_not_chosen += u64::from(severity.is_some());
                    facts.has_unhandled |= severity == Some(Severity::Crash);
                    return Err(Reason::SampleRate);
                }
                let mut severity = event::lay(item, Kind::Event, laying, facts)?;
                facts.has_unhandled |= severity == Some(Severity::Crash);
                if !self.hooks.is_empty() {
                    self.hooks.run(item, facts)?;
                    // What a hook has made of it counts.
                    severity = event::severity(item, None);
                    let moved = item.edit(|splice| {
                        let event = splice.original().clone();
                        Laying::message(splice, &event);
                        Ok(())
                    });
                    // What cannot be read stays as it is.
                    drop(moved);
                }
                facts.errors += u64::from(severity.is_some());
            }
            ItemType::Transaction => {
                event::lay(item, Kind::Transaction, laying, facts)?;
            }
            ItemType::Feedback => {
                event::lay(item, Kind::Feedback, laying, facts)?;
            }
            ItemType::ReplayEvent => items::replay(item, laying),
            ItemType::Profile | ItemType::ProfileChunk => items::profile(item, laying),
            ItemType::Span if !item.is_container() => items::span(item, laying),
            ItemType::Span | ItemType::Log | ItemType::TraceMetric => {
                attributes::container(item, laying);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Laying<'_> {
    /// An envelope is sent in main's name. When, is said at sending.
    fn header(&self, header: &mut Header) {
        let identity = self.identity;
        let edited = header.edit(|header| {
            for field in ["sent_at", "dsn"] {
                if_possible(header.remove(&[field]));
            }
            self.sdk(header);
            if header.original().get("trace").map(Value::kind) == Some(JsonKind::Object) {
                let values = [
                    ("release", identity.release.as_deref()),
                    ("environment", identity.environment.as_deref()),
                    ("public_key", identity.public_key.as_deref()),
                ];
                for (member, value) in values {
                    self.fact(header, &["trace", member], value);
                }
            }
            Ok(())
        });
        // A header that takes no more stays as it is.
        drop(edited);
    }

    /// Says something that is main's to say. What main does not say stays as the renderer said it, unless
    /// it was in a run of which nothing is known.
    fn fact<'v>(&self, splice: &mut Splice<'_, 'v>, path: &[&str], value: Option<&'v str>) {
        match value {
            Some(value) => if_possible(splice.set(path, value)),
            None if self.identity.is_unknown => if_possible(splice.remove(path)),
            None => {}
        }
    }

    /// Main is the one who reports. What else is said about the SDK, such as settings, stays.
    fn sdk<'v>(&'v self, splice: &mut Splice<'_, 'v>) {
        let sdk = splice.original().get("sdk");
        if sdk.is_some_and(|sdk| !matches!(sdk.kind(), JsonKind::Null | JsonKind::Object)) {
            if_possible(splice.remove(&["sdk"]));
        }
        if_possible(splice.set(&["sdk", "name"], SDK_NAME));
        if_possible(splice.set(&["sdk", "version"], SDK_VERSION));
        if_possible(splice.set(&["sdk", "packages"], &self.identity.packages));
    }

    /// Attaches what all processes attach to events, but for what the envelope has already.
    fn attach(&self, envelope: &mut Envelope, losses: &mut Losses) {
        for attachment in self.scope.attachments() {
            let is_there = envelope.items().iter().any(|item| {
                item.item_type() == ItemType::Attachment
                    && attachment.identity()
                        == AttachmentIdentity::new(
                            &item.filename().unwrap_or_default(),
                            item.content_type().as_deref(),
                            item.attachment_type().as_deref(),
                            item.payload(),
                        )
            });
            if is_there {
                continue;
            }
            let attached = room::attachment(envelope, attachment);
            if attached.is_err() {
                let bytes = attachment.bytes().len() as u64;
                losses.count(Category::Attachment, Reason::BufferOverflow, bytes);
            }
        }
    }
}

/// A log or metric that came on its own, merged; nothing if it stays as it is.
fn single(text: &str, laying: &Laying<'_>) -> Option<Vec<u8>> {
    let laid = attributes::single(text, laying);
    let replaced = replace_lone_surrogates(laid.as_deref().unwrap_or(text).as_bytes());
    replaced.or(laid.map(String::into_bytes))
}

/// Makes a change where the text has the shape for it. Where a page sent something else, such as a
/// number where an object belongs, it stays as it is, and all other changes are made.
fn if_possible<T>(change: Result<T, SpliceError>) {
    drop(change);
}
