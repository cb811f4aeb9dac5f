//! What is known of the application, the machine and the system it runs on.
//!
//! [`gather`] reads it once, without subprocesses, from files that the system keeps ready; it blocks for
//! as long as these take, which is well below a millisecond where they are in memory, so it is called on
//! a thread of the SDK and not on one of the application's. [`Contexts::refresh`] reads again what
//! changes. What cannot be found out is left out; nothing is ever guessed.
//!
//! Neither the machine's name nor the user's is in it, nor a serial number, nor a path. The members are
//! those that Sentry documents for its contexts; laying them under events is left to
//! [`merge`](crate::merge).
//!
//! | | Linux | macOS | Windows |
//! |---|---|---|---|
//! | `app` | all | without memory | without memory |
//! | `os` | `/etc/os-release`, `uname` | `SystemVersion.plist`, `uname` | the name |
//! | `device` | all | without model and memory | without model and memory |
//! | `culture` | `LC_*`, `LANG`; `TZ`, `/etc/localtime` | the same | `TZ`, if it is set |
//!
//! What is missing there can only be had with `unsafe` code, of which this crate has none. A host that
//! knows more [adds](Contexts::add) it.

mod culture;
mod memory;
mod model;
mod os;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::thread;

use guardhouse_protocol::json::{Json, ObjectWriter, Precedence, Splice};
use guardhouse_protocol::{IpcMode, Namespace, Timestamp};

use crate::App;
use memory::Memory;

/// The screen, as a host with windows knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Screen {
    /// Its width, in pixels of the screen.
    pub width: u32,
    /// Its height, in pixels of the screen.
    pub height: u32,
    /// How many of its pixels are one of the application's, along a side.
    pub density: f64,
}

/// Contexts by their names: `app`, `os`, `device`, `runtime`, `culture`.
#[derive(Clone, Debug)]
pub struct Contexts {
    contexts: BTreeMap<Box<str>, Json>,
}

/// Finds out what there is to know.
///
/// ```
/// use guardhouse_main::App;
/// use guardhouse_main::contexts::gather;
/// use guardhouse_protocol::Timestamp;
///
/// let app = App::new("notes", "1.4.2");
/// let contexts = gather(&app, Timestamp::from_unix(1_795_193_675, 0));
/// let app = contexts.get("app").and_then(|app| app.as_object()).unwrap();
/// assert!(app.get("app_name").unwrap().is_str("notes"));
/// assert!(app.get("app_start_time").unwrap().is_str("2026-11-20T16:54:35.000Z"));
/// ```
pub fn gather(app: &App, started: Timestamp) -> Contexts {
    let mut contexts = Contexts { contexts: BTreeMap::new() };
    contexts.put("app", app_context(app, started));
    contexts.put("os", os::gather());
    contexts.put("device", device_context());
    contexts.put("runtime", runtime_context());
    contexts.put("culture", culture::gather());
    contexts.refresh();
    contexts
}

/// What is known of Guardhouse itself: how renderers reach main, and how many there are.
pub fn guardhouse(mode: IpcMode, namespace: &Namespace, renderers: usize) -> Json {
    let mut context = ObjectWriter::new();
    context
        .member("ipc_mode", mode.to_string())
        .member("ipc_namespace", namespace.as_str())
        .member("renderers", renderers);
    context.finish()
}

impl Contexts {
    /// A context.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.contexts.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.contexts.iter().map(|(name, context)| (&**name, context))
    }

    /// Reads again how much memory there is, of which the application has how much. These are two small
    /// files of the kernel, so it can be done for each event.
    pub fn refresh(&mut self) {
        let memory = Memory::read();
        let mut app = ObjectWriter::new();
        if let Some(bytes) = memory.of_app {
            app.member("app_memory", bytes);
        }
        self.add("app", &app.finish());
        let mut device = ObjectWriter::new();
        if let Some(bytes) = memory.total {
            device.member("memory_size", bytes);
        }
        if let Some(bytes) = memory.free {
            device.member("free_memory", bytes);
        }
        self.add("device", &device.finish());
    }

    /// Says what the screen is like.
    pub fn set_screen(&mut self, screen: Screen) {
        let Screen { width, height, density } = screen;
        let mut device = ObjectWriter::new();
        device
            .member("screen_resolution", format!("{width}x{height}"))
            .member("screen_width_pixels", width)
            .member("screen_height_pixels", height)
            .member("screen_density", density);
        self.add("device", &device.finish());
    }

    /// Adds the members of an object to a context, in place of those that are there. What is no object
    /// adds nothing.
    pub fn add(&mut self, name: &str, members: &Json) {
        let Some(members) = members.as_object().filter(|members| !members.is_empty()) else {
            return;
        };
        let old = self.contexts.get(name).and_then(Json::as_object);
        let merged = match old {
            None => members.as_value().to_json(),
            Some(old) => {
                let mut splice = Splice::new(old);
                let is_merged = splice.merge(&[], &members, Precedence::Incoming).is_ok();
                match Json::parse(splice.finish().as_bytes()) {
                    Ok(merged) if is_merged => merged,
                    _ => return,
                }
            }
        };
        self.contexts.insert(name.into(), merged);
    }

    fn put(&mut self, name: &str, context: ObjectWriter) {
        if !context.is_empty() {
            self.contexts.insert(name.into(), context.finish());
        }
    }
}

fn app_context(app: &App, started: Timestamp) -> ObjectWriter {
    let mut context = ObjectWriter::new();
    context
        .member("app_name", &*app.name)
        .member("app_version", &*app.version)
        .member("app_start_time", started.to_string())
        .member("app_arch", std::env::consts::ARCH)
        .member("build_type", if cfg!(debug_assertions) { "debug" } else { "release" });
    context
}

fn device_context() -> ObjectWriter {
    let mut context = ObjectWriter::new();
    context.member("family", "Desktop").member("device_type", "Desktop").member("arch", os::arch());
    if let Ok(count) = thread::available_parallelism() {
        context.member("processor_count", count.get());
    }
    if let Some(model) = model::model() {
        context.member("model", model);
    }
    if let Some(manufacturer) = model::manufacturer() {
        context.member("manufacturer", manufacturer);
    }
    context
}

/// The compiler, which is what Sentry's SDK for Rust says, too. It is the one of this crate, and so that of
/// the application.
fn runtime_context() -> ObjectWriter {
    let mut context = ObjectWriter::new();
    context.member("name", "rustc");
    if let Some(version) = option_env!("GUARDHOUSE_RUSTC_VERSION") {
        context.member("version", version);
    }
    context.member("type", "runtime");
    context
}
