//! The renderer, with its SDK.

use std::time::Duration;

use guardhouse_renderer::{Guard, IpcMode, Options, sentry};
use sentry::{Client, Hub};

use super::envelope;
use crate::child::{Speaker, serve};

/// So long main may take for everything.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the child does.
pub(crate) fn speak(arguments: &[String]) {
    let mode: IpcMode = arguments[0].parse().expect("it is a mode");
    let guard = start(mode, &arguments[1]);
    let client = Hub::current().client().expect("there is an SDK");
    serve(&mut Renderer { guard, client });
}

/// Starts the SDK, and waits for main.
pub(crate) fn start(mode: IpcMode, namespace: &str) -> Guard {
    let options = Options::new("bench").ipc_mode(mode).ipc_namespace(namespace).max_items(1 << 20);
    let guard = guardhouse_renderer::init(options).expect("the options are good");
    assert!(guard.flush(PATIENCE), "there is no main");
    let way = guard.way().expect("main is there").name();
    assert_eq!(way, mode.to_string(), "main was reached on another way");
    guard
}

struct Renderer {
    guard: Guard,
    client: std::sync::Arc<Client>,
}

impl Speaker for Renderer {
    type Words = sentry::Envelope;

    fn think(&mut self, _number: u64) -> sentry::Envelope {
        sentry::Envelope::from_bytes_raw(envelope()).expect("it is one")
    }

    fn say(&mut self, envelope: sentry::Envelope, _is_last: bool) {
        self.client.send_envelope(envelope);
    }

    fn wait(&mut self) {
        // What is not delivered then does not count.
        if !self.guard.flush(PATIENCE) {
            eprintln!("main has not taken everything");
        }
    }
}
