//! The peer: a breadcrumb as `sentry-minidump` sends it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io, thread};

use guardhouse_main::sentry::{Breadcrumb, Hub};
use minidumper::{Client, Error, LoopAction, MinidumpBinary, Server, ServerHandler, SocketName};
use serde::{Deserialize, Serialize};

use super::breadcrumb;
use crate::child::{Child, Speaker, command, serve};
use crate::rows::scratch;

/// What is written, as `sentry-minidump` 0.49.5 has it. It has other variants.
#[derive(Serialize, Deserialize)]
enum ScopeUpdate {
    AddBreadcrumb(Breadcrumb),
}

/// Hears a child as the process does that would report its crash.
pub(super) fn hear<T>(measure: impl FnOnce(&mut Child) -> T) -> T {
    let folder = scratch("minidumper");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let path = folder.join("socket");
    let mut server = Server::with_name(SocketName::Path(&path)).expect("the folder is ours");
    let is_over = AtomicBool::new(false);
    let measured = thread::scope(|scope| {
        scope.spawn(|| server.run(Box::new(Handler), &is_over, None).expect("it can poll"));
        let (mut child, _) = Child::start(command("minidumper", &[&path.display().to_string()]));
        let measured = measure(&mut child);
        drop(child);
        is_over.store(true, Ordering::Relaxed);
        measured
    });
    let _ = fs::remove_dir_all(folder);
    measured
}

/// Adds what comes to the scope of its thread.
pub(crate) struct Handler;

impl ServerHandler for Handler {
    fn create_minidump_file(&self) -> io::Result<(File, PathBuf)> {
        Err(io::Error::other("nothing crashes here"))
    }

    fn on_minidump_created(&self, _result: Result<MinidumpBinary, Error>) -> LoopAction {
        LoopAction::Exit
    }

    fn on_message(&self, _kind: u32, buffer: Vec<u8>) {
        if let Ok(ScopeUpdate::AddBreadcrumb(breadcrumb)) = serde_json::from_slice(&buffer) {
            Hub::current().add_breadcrumb(breadcrumb);
        }
    }
}

/// What the child does.
pub(crate) fn speak(arguments: &[String]) {
    let path = Path::new(&arguments[0]);
    serve(&mut Crumbs(Client::with_name(SocketName::Path(path)).expect("the parent listens")));
}

struct Crumbs(Client);

impl Speaker for Crumbs {
    type Words = Breadcrumb;

    fn think(&mut self, number: u64) -> Breadcrumb {
        breadcrumb(number)
    }

    fn say(&mut self, breadcrumb: Breadcrumb, _is_last: bool) {
        let update = serde_json::to_vec(&ScopeUpdate::AddBreadcrumb(breadcrumb));
        let update = update.expect("a breadcrumb can be written");
        self.0.send_message(0, update).expect("the parent reads");
    }

    fn wait(&mut self) {
        self.0.ping().expect("the parent answers");
    }
}
