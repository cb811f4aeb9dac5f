//! What `init` offers, each once, with `sentry` used as applications use it.
//!
//! All of it is global to the process, so the tests of this binary take turns.

mod hooks;
mod identity;
mod local;
mod main_process;
mod promise_10;
mod renderers;
mod start;

use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use guardhouse_main::session::SessionMode;
use guardhouse_main::{Channel, Guard, MessageAnswer, Options, RendererInfo, Uuid, app, init};
use guardhouse_tests::desk::Scratch;
use guardhouse_tests::sentry::Sentry;

/// Only what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

static TURN: Mutex<()> = Mutex::new(());

/// Lets nobody else run meanwhile.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The SDK at work in this process.
struct Running {
    guard: Option<Guard>,
    sentry: Sentry,
    cache: Scratch,
    _turn: MutexGuard<'static, ()>,
}

/// Starts it, without sessions.
#[track_caller]
fn start(configure: impl FnOnce(Options) -> Options) -> Running {
    let turn = turn();
    let (sentry, cache) = (Sentry::start(), Scratch::new());
    let options = Options::new(app!())
        .dsn(sentry.dsn())
        .cache_dir(cache.path())
        .session_mode(SessionMode::Off);
    let guard = init(configure(options)).expect("the options are good");
    Running { guard: Some(guard), sentry, cache, _turn: turn }
}

impl Running {
    fn guard(&self) -> &Guard {
        self.guard.as_ref().expect("it runs until it is closed")
    }

    /// A renderer says something, and is answered.
    #[track_caller]
    fn post(&self, renderer: u128, channel: Channel, message: &str) -> MessageAnswer {
        let (answered, answer) = mpsc::channel();
        self.guard().post(&renderer_info(renderer), channel, message.to_owned(), move |answer| {
            let _ = answered.send(answer);
        });
        answer.recv_timeout(PATIENCE).expect("it is answered")
    }

    /// A renderer reports an event, which is taken.
    #[track_caller]
    fn event(&self, renderer: u128, event: &str) {
        let envelope = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n");
        assert_eq!(self.post(renderer, Channel::Envelope, &envelope), MessageAnswer::Taken);
    }

    /// Sends everything, ends, and looks whether what was expected has come.
    #[track_caller]
    fn finish(&mut self) {
        let guard = self.guard.take().expect("it runs until it is closed");
        assert!(guard.close(PATIENCE), "not everything was sent");
        self.sentry.verify();
        assert!(self.cache.files().is_empty(), "nothing is left behind");
    }
}

/// All logs or metrics that have arrived, which have come in few batches.
#[track_caller]
fn telemetry(sentry: &Sentry, kind: &str) -> Vec<serde_json::Value> {
    let requests = sentry.requests();
    let items = requests.iter().flat_map(|request| &request.envelope.as_ref().unwrap().items);
    let batches: Vec<_> = items
        .filter(|item| item.kind() == kind)
        .map(|item| item.json()["items"].as_array().cloned().unwrap_or_default())
        .collect();
    // Were it not for the five seconds after which one goes in any case, it would be one.
    assert!((1..20).contains(&batches.len()), "{} batches", batches.len());
    batches.concat()
}

/// The value of an attribute of a log or a metric.
fn attribute<'v>(of: &'v serde_json::Value, name: &str) -> &'v serde_json::Value {
    &of["attributes"][name]["value"]
}

fn renderer_info(number: u128) -> RendererInfo {
    RendererInfo::new(Uuid::from_u128(number)).with_name(format!("page-{number}"))
}
