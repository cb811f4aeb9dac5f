//! Main and its children as they are: several real processes, and a Sentry that says what came of it.
#![cfg(unix)]

mod backlog;
mod crowd;
mod debug;
mod life;
mod modes;
mod namespaces;
mod post;
mod pushes;
mod removed;
mod scope;
mod strangers;
mod streams;

use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use guardhouse_process::meeting::Meeting;
use guardhouse_tests::desk::{Desk, Scratch, runtime_of};
use guardhouse_tests::sentry::{Sentry, message_of};
use guardhouse_tests::{helm, wire};
use post::Post;
use serde_json::Value;

const DESK: &str = env!("CARGO_BIN_EXE_desk");
const HELM: &str = env!("CARGO_BIN_EXE_helm");

/// So long something is waited for that only does not come if something is wrong.
const PATIENCE: Duration = Duration::from_secs(240);

/// A main that runs, and can be started again on the same directory.
struct House {
    sentry: Sentry,
    cache: Scratch,
    desk: Desk,
}

impl House {
    #[track_caller]
    fn start(options: &[&str]) -> Self {
        let (sentry, cache) = (Sentry::start(), Scratch::new());
        let desk = Desk::start(DESK, cache.path(), &sentry.dsn(), options);
        Self { sentry, cache, desk }
    }

    /// Main starts again after it was killed, or has ended.
    #[track_caller]
    fn restart(&mut self, options: &[&str]) {
        self.desk = Desk::start(DESK, self.cache.path(), &self.sentry.dsn(), options);
    }

    #[track_caller]
    fn note(&self) -> Meeting {
        wire::note(&runtime_of(self.cache.path()))
    }

    /// Main starts a child.
    #[track_caller]
    fn child(&mut self, name: &str, options: &[&str]) -> Post {
        child_of(&mut self.desk, &self.cache, name, options)
    }

    /// A process that main has not started finds it by its namespace, if that is the application's own.
    #[track_caller]
    fn foreign(&self, name: &str, options: &[&str]) -> Desk {
        helm::start(HELM, &runtime_of(self.cache.path()), name, options)
    }

    /// How main knows a renderer: its way, its role, its process.
    #[track_caller]
    fn known(&mut self, name: &str) -> Option<(String, String, u32)> {
        let said = self.desk.ask("renderers");
        said.split(' ').skip(1).find_map(|one| {
            let mut parts = one.split(':').map(str::to_owned);
            let is_it = parts.next().as_deref() == Some(name);
            let (way, role) = (parts.next()?, parts.next()?);
            is_it.then(|| (way, role, parts.next().unwrap().parse().unwrap()))
        })
    }

    /// Waits until main hears a renderer this way. Between two connections it is for a moment none.
    #[track_caller]
    fn await_way(&mut self, name: &str, way: &str) {
        let start = Instant::now();
        let known = format!(" {name}:{way}:");
        while !self.desk.ask("renderers").contains(&known) {
            assert!(start.elapsed() < PATIENCE, "{} and not {way}", self.desk.ask("renderers"));
        }
    }

    /// Main ends, having sent everything.
    #[track_caller]
    fn close(&mut self) {
        let said = self.desk.ask("close 240000");
        assert!(said.starts_with("closed true"), "not everything was sent: {said}");
        assert!(self.desk.hear().is_some_and(|said| said.starts_with("left ")));
        assert_eq!(self.desk.hear(), None);
    }

    /// Waits until so many events have arrived.
    #[track_caller]
    fn wait_for_events(&self, count: usize) {
        self.sentry.wait_until(|requests| {
            let envelopes = requests.iter().filter_map(|request| request.envelope.as_ref().ok());
            let items = envelopes.flat_map(|envelope| &envelope.items);
            items.filter(|item| item.kind() == "event").count() >= count
        });
    }

    /// The events that arrived with this message.
    fn events_saying(&self, message: &str) -> Vec<Value> {
        let events = self.sentry.events().into_iter();
        events.filter(|event| message_of(event) == Some(message)).collect()
    }

    /// The only event that arrived with this message.
    #[track_caller]
    fn event_saying(&self, message: &str) -> Value {
        let mut events = self.events_saying(message);
        assert_eq!(events.len(), 1, "{message:?} among {:?}", self.messages());
        events.remove(0)
    }

    /// What the events say, in the order in which they arrived.
    fn messages(&self) -> Vec<String> {
        messages(&self.sentry)
    }
}

fn messages(sentry: &Sentry) -> Vec<String> {
    sentry.events().iter().filter_map(|event| message_of(event).map(str::to_owned)).collect()
}

/// A main starts a child, which then talks to the test.
#[track_caller]
fn child_of(desk: &mut Desk, cache: &Scratch, name: &str, options: &[&str]) -> Post {
    let (stream, pid) = launch_child(desk, cache, name, options);
    Post::new(stream, pid)
}

/// The same, without waiting until it runs.
#[track_caller]
fn launch_child(
    desk: &mut Desk,
    cache: &Scratch,
    name: &str,
    options: &[&str],
) -> (UnixStream, u32) {
    let path = cache.path().with_extension(format!("{name}.talk"));
    let listener = UnixListener::bind(&path).expect("there is a place for temporary files");
    let words = [&["child", name, path.to_str().unwrap()], options].concat();
    desk.tell(&words.join(" "));
    let (stream, _) = listener.accept().expect("the desk connects");
    std::fs::remove_file(&path).expect("it was made");
    let said = desk.hear().expect("the desk lives");
    let pid = said.strip_prefix("started ").and_then(|pid| pid.parse().ok());
    (stream, pid.expect("the child was started"))
}

/// The messages of the breadcrumbs of an event, the oldest first.
fn crumbs(event: &Value) -> Vec<&str> {
    let list = event.pointer("/breadcrumbs/values").or_else(|| event.get("breadcrumbs"));
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|crumb| crumb["message"].as_str()).collect()
}
