//! What all processes contribute to events, kept apart, and laid over each other when it is needed.
//!
//! [`Scopes`] holds a [`Contribution`] of main and one of each renderer. What they come to for an event
//! of one process is a [`MergedScope`]: of each field the value that the event's own process has set,
//! else the one that was set last by any; the breadcrumbs of all by time; the attachments of all. It
//! is made anew only when something has changed, and a new breadcrumb changes nothing else.

mod fields;
mod trail;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::json::{Fragment, Json, Value};
use guardhouse_protocol::scope::{
    Attachment, Contribution, Entry, Field, Refusal, Refusals, ScopeMessage, ScopeUpdate,
};
use uuid::Uuid;

use super::privacy;
pub(super) use fields::Fields;
pub use trail::Crumb;
pub(super) use trail::{Mark, Trail};

/// Whose contribution it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// The main process.
    Main,
    /// What main has told `sentry` and not us. Main's own events have it from there, so it is laid over
    /// those of others only.
    MainHub,
    /// The renderer, or helper process, with this id.
    Renderer(Uuid),
}

/// The contributions of all processes.
///
/// ```
/// use guardhouse_main::merge::{Process, Scopes};
/// use guardhouse_protocol::Timestamp;
/// use guardhouse_protocol::scope::{Field, ScopeMessage};
/// use uuid::Uuid;
///
/// let page = Process::Renderer(Uuid::new_v4());
/// let at = |seconds: i64| Timestamp::from_unix(1_795_193_675 + seconds, 0);
/// let tag = |value: &str| {
///     ScopeMessage::parse(format!(r#"[["set","tag","channel","{value}"]]"#).as_bytes())
/// };
/// let mut scopes = Scopes::new(100);
/// scopes.hear(page, tag("page's")?, at(0));
/// scopes.hear(Process::Main, tag("main's")?, at(1));
///
/// // For others the last one counts, for the page its own.
/// let channel = |merged: guardhouse_main::merge::MergedScope| {
///     merged.get(&Field::tag("channel").unwrap()).unwrap().value().text().to_owned()
/// };
/// assert_eq!(channel(scopes.merged(Process::Main)), "\"main's\"");
/// assert_eq!(channel(scopes.merged(page)), "\"page's\"");
///
/// // It leaves nothing behind.
/// scopes.remove(page);
/// assert_eq!(channel(scopes.merged(page)), "\"main's\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Scopes {
    contributions: BTreeMap<Process, Contribution>,
    max_breadcrumbs: usize,
    /// What was merged since the last change of a field, for each process that asked.
    fields: BTreeMap<Process, Arc<Fields>>,
    /// The same of breadcrumbs, which is one for all.
    trail: Option<Arc<Trail>>,
    attachments: Option<Arc<[Attachment]>>,
    times_twice: Option<Range<Timestamp>>,
}

impl Scopes {
    /// Nothing contributed yet. Of the breadcrumbs of each process, and of all together in an event, the
    /// newest `max_breadcrumbs` are kept.
    pub fn new(max_breadcrumbs: usize) -> Self {
        Self {
            contributions: BTreeMap::new(),
            max_breadcrumbs,
            fields: BTreeMap::new(),
            trail: None,
            attachments: None,
            times_twice: None,
        }
    }

    /// The clock was set back, so there have been these times twice. For an event of one of them it
    /// cannot be said which breadcrumbs are later.
    pub fn set_times_twice(&mut self, times: Option<Range<Timestamp>>) {
        self.times_twice = times;
    }

    /// Takes what a process said at the time `at`, as [`Contribution::hear`] does.
    pub fn hear(&mut self, process: Process, message: ScopeMessage, at: Timestamp) -> Refusals {
        let contribution = self.of(process);
        let (updates, mut refusals) = contribution.interpret(message);
        for update in updates {
            if let Err(refusal) = self.apply(process, update, at) {
                refusals.count(refusal);
            }
        }
        refusals
    }

    /// Makes one change, as [`Contribution::apply`] does.
    pub fn apply(
        &mut self,
        process: Process,
        update: ScopeUpdate,
        at: Timestamp,
    ) -> Result<bool, Refusal> {
        let update = without_secrets(update)?;
        let touched = Touched::by(&update);
        let result = self.of(process).apply(update, at);
        if result != Ok(false) {
            self.forget(touched);
        }
        result
    }

    /// What a process contributes, if it has said anything.
    pub fn get(&self, process: Process) -> Option<&Contribution> {
        self.contributions.get(&process)
    }

    /// All that contribute.
    pub fn iter(&self) -> impl Iterator<Item = (Process, &Contribution)> {
        self.contributions.iter().map(|(process, contribution)| (*process, contribution))
    }

    /// Takes out what a process contributes: it is gone, and nothing of it shall stay behind. Whoever
    /// wants to keep it can put it back with [`insert`](Self::insert).
    pub fn remove(&mut self, process: Process) -> Option<Contribution> {
        let removed = self.contributions.remove(&process);
        if removed.is_some() {
            self.forget(Touched::Everything);
        }
        removed
    }

    /// Puts a whole contribution in place of what the process contributes.
    pub fn insert(&mut self, process: Process, contribution: Contribution) {
        self.contributions.insert(process, contribution);
        self.forget(Touched::Everything);
    }

    /// What all contributions come to for an event of the process `own`.
    pub fn merged(&mut self, own: Process) -> MergedScope {
        let contributions = &self.contributions;
        let fields =
            self.fields.entry(own).or_insert_with(|| Fields::of(contributions, own).into());
        let trail =
            self.trail.get_or_insert_with(|| Trail::of(contributions, self.max_breadcrumbs).into());
        let attachments = self.attachments.get_or_insert_with(|| attachments(contributions));
        MergedScope {
            own,
            fields: Arc::clone(fields),
            trail: Arc::clone(trail),
            attachments: Arc::clone(attachments),
            times_twice: self.times_twice.clone(),
        }
    }

    fn of(&mut self, process: Process) -> &mut Contribution {
        let max_breadcrumbs = self.max_breadcrumbs;
        self.contributions.entry(process).or_insert_with(|| Contribution::new(max_breadcrumbs))
    }

    fn forget(&mut self, touched: Touched) {
        if let Touched::Fields | Touched::Everything = touched {
            self.fields.clear();
        }
        if let Touched::Breadcrumbs | Touched::Everything = touched {
            self.trail = None;
        }
        if let Touched::Attachments | Touched::Everything = touched {
            self.attachments = None;
        }
    }
}

/// A change without secrets. They are taken out once, as they come, and not of each event.
fn without_secrets(update: ScopeUpdate) -> Result<ScopeUpdate, Refusal> {
    let clean = match &update {
        ScopeUpdate::AddBreadcrumb(breadcrumb) => privacy::breadcrumb(breadcrumb.json().as_value()),
        ScopeUpdate::Set { field, value, .. } => {
            let value = value.value().as_value();
            match field {
                Field::Extra(key) | Field::Attribute(key) => privacy::field(&key.to_str(), value),
                Field::Context(_) | Field::Tag(_) => privacy::field("", value),
                Field::Transaction => privacy::field("description", value),
                _ => None,
            }
        }
        _ => None,
    };
    let Some(clean) = clean else { return Ok(update) };
    // As it crosses between processes, what is to be said about the value stands behind it.
    let json = update.to_json();
    let parts: Vec<Value<'_>> = json.as_value().elements().into_iter().flatten().collect();
    let at = if let ScopeUpdate::Set { .. } = update { 3 } else { 1 };
    let parts = parts.iter().enumerate().map(|(index, part)| {
        if index == at { Fragment::from(&clean) } else { Fragment::from(*part) }
    });
    ScopeUpdate::parse(Json::array(parts).as_value())
}

/// What a change has touched.
#[derive(Clone, Copy, Debug)]
enum Touched {
    Fields,
    Breadcrumbs,
    Attachments,
    Everything,
}

impl Touched {
    fn by(update: &ScopeUpdate) -> Self {
        match update {
            ScopeUpdate::Set { .. } | ScopeUpdate::Unset(_) => Self::Fields,
            ScopeUpdate::AddBreadcrumb(_) | ScopeUpdate::ClearBreadcrumbs => Self::Breadcrumbs,
            ScopeUpdate::AddAttachment(_) | ScopeUpdate::ClearAttachments => Self::Attachments,
            _ => Self::Everything,
        }
    }
}

/// Each once, whoever attached it.
fn attachments(contributions: &BTreeMap<Process, Contribution>) -> Arc<[Attachment]> {
    let mut all: Vec<Attachment> = Vec::new();
    for attachment in contributions.values().flat_map(Contribution::attachments) {
        if !all.iter().any(|other| other.identity() == attachment.identity()) {
            all.push(attachment.clone());
        }
    }
    all.into()
}

/// What all contributions come to for the events of one process. Cheap to clone; later changes do not
/// show in it.
///
/// [`Merge`](super::Merge) lays it over what renderers report. For main's own events, which the
/// `sentry` crate makes, it is read with [`fields`](Self::fields), [`breadcrumbs`](Self::breadcrumbs)
/// and [`attachments`](Self::attachments), all of which are JSON and bytes.
#[derive(Clone, Debug)]
pub struct MergedScope {
    pub(super) own: Process,
    pub(super) fields: Arc<Fields>,
    pub(super) trail: Arc<Trail>,
    pub(super) attachments: Arc<[Attachment]>,
    times_twice: Option<Range<Timestamp>>,
}

impl MergedScope {
    /// The value of a field that counts.
    pub fn get(&self, field: &Field) -> Option<&Entry> {
        self.fields.winners.get(field)
    }

    /// All fields that have a value, those of a kind together.
    pub fn fields(&self) -> impl Iterator<Item = (&Field, &Entry)> {
        self.fields.winners.iter()
    }

    /// The breadcrumbs of all processes, the newest last.
    pub fn breadcrumbs(&self) -> impl Iterator<Item = Crumb<'_>> {
        self.trail.crumbs()
    }

    /// How many of the breadcrumbs, from the oldest, are from before an event that happened before
    /// `end`. All are if the clock was set back in between, since there is no telling then.
    pub fn breadcrumbs_before(&self, end: Timestamp) -> usize {
        match &self.times_twice {
            Some(times) if times.start < end && end <= times.end => self.trail.len(),
            _ => self.trail.len_before(end),
        }
    }

    /// The attachments of all processes, each once.
    pub fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }
}
