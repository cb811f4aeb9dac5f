//! What a process itself contributes to the scope of every process's events, and the functions with
//! which the application says it.
//!
//! It is the application's threads that speak here, so nothing here waits: a breadcrumb is moved into
//! a bounded ring, a change into a list. Whoever needs the contribution takes both over first; only
//! then is a breadcrumb turned into JSON and held against the limits of the contract. Before `init` and
//! after the guard is gone, all of it does nothing, as it is with `sentry`.
//!
//! What is said here holds for the whole process, on all of its threads, and for the events of all
//! other processes. What is said to `sentry`'s own scope holds where it holds for `sentry`; of it the
//! rest of the processes see the breadcrumbs, and what is in the scope of the main thread's hub.

mod compact;

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Mutex;

use guardhouse_protocol::Timestamp;
use guardhouse_protocol::json::Json;
use guardhouse_protocol::limits::{BREADCRUMB_BYTES, BREADCRUMB_MESSAGE_CHARS};
use guardhouse_protocol::scope::{
    Attachment, Breadcrumb as Crumb, Field, Refusal, Refusals, ScopeUpdate,
};
use sentry::BeforeCallback;
use sentry::protocol::{Breadcrumb, Context, Level, User, Value};
use serde::Serialize;

pub use compact::compact;

use crate::running::with_scope;
use crate::{Clock, call_about_breadcrumb, lock};

/// Adds a breadcrumb: something that happened, which every event of every process shows from now on.
/// It passes the application's `before_breadcrumb`, if there is one.
///
/// ```
/// use sentry::Breadcrumb;
///
/// guardhouse_process::scope::add_breadcrumb(Breadcrumb {
///     category: Some("project".into()),
///     message: Some("opened".into()),
///     ..Breadcrumb::default()
/// });
/// ```
pub fn add_breadcrumb(breadcrumb: Breadcrumb) {
    with_scope(|scope| {
        if let Some(breadcrumb) = scope.ask_about(breadcrumb) {
            scope.add_breadcrumb(breadcrumb);
        }
    });
}

/// Forgets the breadcrumbs that this process has added.
///
/// ```
/// guardhouse_process::scope::clear_breadcrumbs();
/// ```
pub fn clear_breadcrumbs() {
    configure_scope(|scope| {
        scope.clear_breadcrumbs();
    });
}

/// Says who the user is, or with nothing that there is none.
///
/// ```
/// use sentry::User;
///
/// guardhouse_process::scope::set_user(Some(User { id: Some("7".into()), ..User::default() }));
/// ```
pub fn set_user(user: Option<User>) {
    configure_scope(|scope| scope.set_user(user));
}

/// Sets a tag.
///
/// ```
/// guardhouse_process::scope::set_tag("channel", "beta");
/// ```
pub fn set_tag(key: &str, value: impl Display) {
    configure_scope(|scope| scope.set_tag(key, value));
}

/// Sets a context.
///
/// ```
/// use sentry::protocol::{Context, Map};
///
/// let project = Map::from([("kind".to_owned(), "sheet".into())]);
/// guardhouse_process::scope::set_context("project", Context::Other(project));
/// ```
pub fn set_context(key: &str, context: impl Into<Context>) {
    configure_scope(|scope| scope.set_context(key, context));
}

/// Sets an extra value.
///
/// ```
/// guardhouse_process::scope::set_extra("documents", 3.into());
/// ```
pub fn set_extra(key: &str, value: Value) {
    configure_scope(|scope| scope.set_extra(key, value));
}

/// Changes several things of the scope at once: nobody sees some of them without the others.
///
/// ```
/// guardhouse_process::scope::configure_scope(|scope| {
///     scope.set_tag("channel", "beta");
///     scope.remove_extra("documents");
/// });
/// ```
pub fn configure_scope(configure: impl FnOnce(&mut Scope<'_>)) {
    with_scope(|scope| scope.configure(configure));
}

/// This process's part of the scope, while it is being changed.
///
/// What does not fit the limits of the contract is cut, and marked so in the event; what cannot be
/// cut is left out, counted, and told in `debug` output.
#[derive(Debug)]
pub struct Scope<'a> {
    at: Timestamp,
    changes: &'a mut Vec<ScopeUpdate>,
    clears_breadcrumbs: &'a mut bool,
    refusals: &'a mut Refusals,
}

impl Scope<'_> {
    /// Says who the user is, or with nothing that there is none.
    pub fn set_user(&mut self, user: Option<User>) {
        match user {
            Some(user) => self.set(Ok(Field::User), &user),
            None => self.changes.push(ScopeUpdate::Unset(Field::User)),
        }
    }

    /// Sets a tag.
    pub fn set_tag(&mut self, key: &str, value: impl Display) {
        self.set(Field::tag(key), &value.to_string());
    }

    /// Takes a tag away.
    pub fn remove_tag(&mut self, key: &str) {
        self.unset(Field::tag(key));
    }

    /// Sets an extra value.
    pub fn set_extra(&mut self, key: &str, value: Value) {
        self.set(Field::extra(key), &value);
    }

    /// Takes an extra value away.
    pub fn remove_extra(&mut self, key: &str) {
        self.unset(Field::extra(key));
    }

    /// Sets a context.
    pub fn set_context(&mut self, key: &str, context: impl Into<Context>) {
        self.set(Field::context(key), &context.into());
    }

    /// Takes a context away.
    pub fn remove_context(&mut self, key: &str) {
        self.unset(Field::context(key));
    }

    /// Sets the level of this process's events, and of those of other processes that have none.
    pub fn set_level(&mut self, level: Option<Level>) {
        match level {
            Some(level) => self.set(Ok(Field::Level), &level),
            None => self.unset(Ok(Field::Level)),
        }
    }

    /// Sets the fingerprint of events that have none of their own.
    pub fn set_fingerprint(&mut self, fingerprint: Option<&[&str]>) {
        match fingerprint {
            Some(parts) => self.set(Ok(Field::Fingerprint), parts),
            None => self.unset(Ok(Field::Fingerprint)),
        }
    }

    /// Sets the transaction of events that have none of their own.
    pub fn set_transaction(&mut self, transaction: Option<&str>) {
        match transaction {
            Some(name) => self.set(Ok(Field::Transaction), name),
            None => self.unset(Ok(Field::Transaction)),
        }
    }

    /// Adds a file that goes with every event from now on.
    pub fn add_attachment(&mut self, attachment: Attachment) {
        self.changes.push(ScopeUpdate::AddAttachment(attachment));
    }

    /// Forgets all files.
    pub fn clear_attachments(&mut self) {
        self.changes.push(ScopeUpdate::ClearAttachments);
    }

    /// Forgets all breadcrumbs.
    pub fn clear_breadcrumbs(&mut self) {
        *self.clears_breadcrumbs = true;
        self.changes.push(ScopeUpdate::ClearBreadcrumbs);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self.clears_breadcrumbs = true;
        self.changes.push(ScopeUpdate::Clear);
    }

    fn set<T: Serialize + ?Sized>(&mut self, field: Result<Field, Refusal>, value: &T) {
        let update = field.and_then(|field| {
            let json = to_json(value).ok_or(Refusal::WrongKind)?;
            // Whoever is refused does not mean the former value any more.
            ScopeUpdate::set(field.clone(), &json)
                .map(|update| update.since(self.at))
                .inspect_err(|_| self.changes.push(ScopeUpdate::Unset(field)))
        });
        match update {
            Ok(update) => self.changes.push(update),
            Err(refusal) => self.refusals.count(refusal),
        }
    }

    fn unset(&mut self, field: Result<Field, Refusal>) {
        match field {
            Ok(field) => self.changes.push(ScopeUpdate::Unset(field)),
            Err(refusal) => self.refusals.count(refusal),
        }
    }
}

/// What the process's threads have said and nobody has taken over yet. The ring holds as many
/// breadcrumbs as an event shows; a list of changes that grows long is to be taken over by whoever made
/// it so, and if nobody does, holds no more than what has an effect, up to a bound.
pub struct OwnScope {
    clock: Clock,
    max_breadcrumbs: usize,
    before_breadcrumb: Option<BeforeCallback<Breadcrumb>>,
    heard: Box<dyn Fn(Heard) + Send + Sync>,
    said: Mutex<Said>,
}

/// That something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A breadcrumb.
    Breadcrumb,
    /// A change.
    Change,
    /// A change, and so much waits now that it has to be taken over by whoever hears this.
    TooMuch,
}

#[derive(Debug, Default)]
struct Said {
    breadcrumbs: VecDeque<Breadcrumb>,
    changes: Vec<(ScopeUpdate, Timestamp)>,
    /// How many of them there were when those without an effect were left out.
    compacted: usize,
    refusals: Refusals,
}

/// So many changes wait before they are taken over.
const CHANGES: usize = 256;
/// So many wait at most, each of which has an effect. A process can hardly mean more of them.
const MOST_CHANGES: usize = 4096;

impl Said {
    fn change(&mut self, changes: Vec<ScopeUpdate>, at: Timestamp, max_breadcrumbs: usize) {
        self.changes.extend(changes.into_iter().map(|change| (change, at)));
        if self.changes.len() <= CHANGES + 2 * self.compacted {
            return;
        }
        compact(&mut self.changes, |(change, _)| change, max_breadcrumbs);
        for _ in self.changes.drain(MOST_CHANGES.min(self.changes.len())..) {
            self.refusals.count(Refusal::TooManyKeys);
        }
        self.compacted = self.changes.len();
    }
}

impl OwnScope {
    /// A scope with nothing in it. `heard` is called on the application's thread each time something
    /// was said, without a lock; it should not wait.
    pub fn new(
        max_breadcrumbs: usize,
        before_breadcrumb: Option<BeforeCallback<Breadcrumb>>,
        heard: impl Fn(Heard) + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock: Clock::new(),
            max_breadcrumbs,
            before_breadcrumb,
            heard: Box::new(heard),
            said: Mutex::default(),
        }
    }

    /// How many breadcrumbs an event shows.
    pub fn max_breadcrumbs(&self) -> usize {
        self.max_breadcrumbs
    }

    /// Now, by the clock that the scope is stamped with.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The times that there have been twice because the system's clock was set back, if it was.
    pub fn times_twice(&self) -> Option<std::ops::Range<Timestamp>> {
        self.clock.times_twice()
    }

    /// The breadcrumb as the application's `before_breadcrumb` wants it, if it does.
    pub fn ask_about(&self, breadcrumb: Breadcrumb) -> Option<Breadcrumb> {
        match &self.before_breadcrumb {
            Some(hook) => call_about_breadcrumb(hook, breadcrumb),
            None => Some(breadcrumb),
        }
    }

    /// Adds a breadcrumb that the application was asked about.
    pub fn add_breadcrumb(&self, breadcrumb: Breadcrumb) {
        // The ring bounds how many there are; one that is too large is cut before it gets there.
        let breadcrumb = if is_large(&breadcrumb) { cut(breadcrumb) } else { breadcrumb };
        let former = {
            let mut said = lock(&self.said);
            let is_full = said.breadcrumbs.len() >= self.max_breadcrumbs.max(1);
            let former = if is_full { said.breadcrumbs.pop_front() } else { None };
            said.breadcrumbs.push_back(breadcrumb);
            former
        };
        // Freed outside of the lock, since that takes longer than all the rest.
        drop(former);
        (self.heard)(Heard::Breadcrumb);
    }

    /// Lets the application change the scope.
    pub fn configure(&self, configure: impl FnOnce(&mut Scope<'_>)) {
        let at = self.now();
        // The application's function runs without a lock, so that it may do what it likes.
        let mut changes = Vec::new();
        let mut clears_breadcrumbs = false;
        let mut refusals = Refusals::default();
        configure(&mut Scope {
            at,
            changes: &mut changes,
            clears_breadcrumbs: &mut clears_breadcrumbs,
            refusals: &mut refusals,
        });
        let is_long = {
            let mut said = lock(&self.said);
            if clears_breadcrumbs {
                said.breadcrumbs.clear();
            }
            said.refusals.add(refusals);
            let is_long = said.changes.len() + changes.len() > CHANGES;
            said.change(changes, at, self.max_breadcrumbs);
            is_long
        };
        (self.heard)(if is_long { Heard::TooMuch } else { Heard::Change });
    }

    /// Takes over what was said: each change with its time, in order, and what was refused.
    pub fn take(&self) -> (Vec<(ScopeUpdate, Timestamp)>, Refusals) {
        let Said { breadcrumbs, mut changes, mut refusals, .. } =
            std::mem::take(&mut *lock(&self.said));
        let at = self.now();
        for breadcrumb in breadcrumbs {
            let json = to_json(&breadcrumb).ok_or(Refusal::WrongKind);
            match json.and_then(|json| ScopeUpdate::add_breadcrumb(json.as_value())) {
                Ok(change) => changes.push((change, at)),
                Err(refusal) => refusals.count(refusal),
            }
        }
        (changes, refusals)
    }
}

impl std::fmt::Debug for OwnScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnScope").field("said", &self.said).finish_non_exhaustive()
    }
}

/// A value as JSON; nothing if it cannot be said in JSON.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Option<Json> {
    Json::parse(&serde_json::to_vec(value).ok()?).ok()
}

fn is_large(breadcrumb: &Breadcrumb) -> bool {
    let text = breadcrumb.message.as_ref().map_or(0, String::len)
        + breadcrumb.category.as_ref().map_or(0, String::len)
        + breadcrumb.ty.len();
    let data = breadcrumb.data.len() > 64
        || breadcrumb.data.iter().any(|(key, value)| key.len() > 1024 || is_large_value(value));
    text > BREADCRUMB_MESSAGE_CHARS || data
}

fn is_large_value(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() > 1024,
        Value::Array(list) => list.len() > 64,
        Value::Object(members) => members.len() > 64,
        _ => false,
    }
}

/// The breadcrumb as the contract would cut it, or without what cannot be cut.
fn cut(breadcrumb: Breadcrumb) -> Breadcrumb {
    let Some(json) = to_json(&breadcrumb) else { return breadcrumb };
    if json.text().len() <= BREADCRUMB_BYTES {
        return breadcrumb;
    }
    let read = |crumb: Crumb| serde_json::from_str(crumb.json().text()).ok();
    Crumb::new(json.as_value()).ok().and_then(read).unwrap_or_else(|| Breadcrumb {
        message: Some("(a breadcrumb that was too large)".to_owned()),
        category: breadcrumb.category.filter(|category| category.len() <= 200),
        timestamp: breadcrumb.timestamp,
        level: breadcrumb.level,
        ..Breadcrumb::default()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use guardhouse_protocol::scope::Contribution;

    use super::*;

    fn contribution(scope: &OwnScope) -> (Contribution, Refusals) {
        let mut contribution = Contribution::new(3);
        let (changes, refusals) = scope.take();
        for (change, at) in changes {
            contribution.apply(change, at).unwrap();
        }
        (contribution, refusals)
    }

    fn said(configure: impl FnOnce(&mut Scope<'_>)) -> (Contribution, Refusals) {
        let scope = OwnScope::new(3, None, drop);
        scope.configure(configure);
        contribution(&scope)
    }

    #[test]
    fn what_is_set_is_contributed_and_what_is_removed_is_not() {
        let (contribution, refusals) = said(|scope| {
            scope.set_tag("a", 1);
            scope.set_tag("b", "two");
            scope.remove_tag("a");
            scope.set_extra("x", 3.into());
            scope.set_user(Some(User { id: Some("7".into()), ..User::default() }));
            scope.set_level(Some(Level::Warning));
            scope.set_fingerprint(Some(&["one", "two"]));
        });
        let value = |field: Result<Field, Refusal>| {
            contribution.get(&field.unwrap()).map(|entry| entry.value().text().to_owned())
        };
        assert_eq!(value(Field::tag("a")), None);
        assert_eq!(value(Field::tag("b")).unwrap(), r#""two""#);
        assert_eq!(value(Field::extra("x")).unwrap(), "3");
        assert_eq!(value(Ok(Field::User)).unwrap(), r#"{"id":"7"}"#);
        assert_eq!(value(Ok(Field::Level)).unwrap(), r#""warning""#);
        assert_eq!(value(Ok(Field::Fingerprint)).unwrap(), r#"["one","two"]"#);
        assert!(refusals.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let long = "k".repeat(300);
        let (contribution, refusals) = said(|scope| scope.set_tag(&long, 1));
        assert_eq!(contribution.fields().count(), 0);
        assert!(!refusals.is_empty());
    }

    #[test]
    fn the_newest_breadcrumbs_are_kept_until_they_are_cleared() {
        let scope = OwnScope::new(3, None, drop);
        let add = |number: u32| {
            let message = Some(number.to_string());
            scope.add_breadcrumb(Breadcrumb { message, ..Breadcrumb::default() });
        };
        (0..10).for_each(add);
        let messages: Vec<_> = contribution(&scope)
            .0
            .breadcrumbs()
            .map(|crumb| {
                crumb.json().as_object().unwrap().get("message").unwrap().text().to_owned()
            })
            .collect();
        assert_eq!(messages, [r#""7""#, r#""8""#, r#""9""#]);
        add(10);
        scope.configure(|scope| {
            scope.clear_breadcrumbs();
        });
        assert_eq!(contribution(&scope).0.breadcrumbs().len(), 0);
    }

    #[test]
    fn a_huge_breadcrumb_does_not_stay_huge() {
        let scope = OwnScope::new(3, None, drop);
        let message = Some("x".repeat(10_000_000));
        scope.add_breadcrumb(Breadcrumb { message, ..Breadcrumb::default() });
        let held = lock(&scope.said).breadcrumbs[0].message.as_ref().unwrap().len();
        assert!(held <= BREADCRUMB_MESSAGE_CHARS * 4, "{held} bytes are held");
    }

    #[test]
    fn whoever_says_much_is_told_to_have_it_taken_over() {
        let too_much = Arc::new(AtomicBool::new(false));
        let heard = too_much.clone();
        let scope = OwnScope::new(3, None, move |said| {
            heard.store(said == Heard::TooMuch, Ordering::Relaxed);
        });
        let set = |number| {
            scope.configure(|scope| scope.set_tag("tag", number));
            too_much.load(Ordering::Relaxed)
        };
        assert!(!set(0));
        assert!((1..=CHANGES).any(set));
        assert_eq!(contribution(&scope).0.fields().count(), 1);
    }

    #[test]
    fn what_nobody_takes_over_does_not_pile_up() {
        let scope = OwnScope::new(3, None, drop);
        for number in 0..10_000 {
            scope.configure(|scope| scope.set_tag("tag", number));
            assert!(lock(&scope.said).changes.len() <= CHANGES + 2);
        }
        let tag = contribution(&scope).0.get(&Field::tag("tag").unwrap()).unwrap().clone();
        assert_eq!(tag.value().text(), "\"9999\"");

        for number in 0..30_000 {
            scope.configure(|scope| scope.set_tag(&number.to_string(), 1));
        }
        let (changes, refusals) = scope.take();
        assert!(changes.len() <= 3 * MOST_CHANGES);
        assert!(!refusals.is_empty());
    }
}
