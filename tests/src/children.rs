//! The processes that a [desk](crate::desk) starts and prepares for its guard, and what it says of all
//! that report to it.
//!
//! A child talks to the test and not to the desk: the desk gives it a connection to the socket at
//! which the test listens, for its standard input and output. So the test drives it whatever becomes
//! of the desk.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use guardhouse_main::{CommandExt, Config, ExitReason, Guard, Renderer};
use guardhouse_process::meeting::SOCKET_VARIABLE;

/// So long it is waited for what only does not come if something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// The children, by name.
#[derive(Debug, Default)]
pub struct Children(BTreeMap<String, Child>);

impl Children {
    /// Does what is about processes, and answers; nothing if it is about something else.
    ///
    /// # Panics
    ///
    /// If it makes no sense.
    pub fn obey(&mut self, guard: &Guard, word: &str, rest: &str) -> Option<String> {
        Some(match word {
            "child" => self.start(guard, rest),
            "wait" => self.wait(rest),
            "await-end" => await_end(guard, rest),
            "renderers" => renderers(guard),
            "turned-away" => turned_away(guard),
            "config" => {
                let config = Config::parse(rest.as_bytes()).expect("it is a configuration");
                guard.configure_renderers(&config);
                "done".to_owned()
            }
            "share-trace" => {
                guard.share_trace();
                "done".to_owned()
            }
            "relay" => {
                let renderer = named(guard, rest).expect("it is there");
                format!("relayed {}", guard.relay_trace_of(renderer.id))
            }
            _ => return None,
        })
    }

    fn start(&mut self, guard: &Guard, rest: &str) -> String {
        let mut words = rest.split(' ');
        let mut word = || words.next().expect("a child has a name, and somebody to talk to");
        let (name, talk) = (word(), word());
        let helm = std::env::current_exe().expect("it runs").with_file_name("helm");
        let stdin: OwnedFd = UnixStream::connect(talk).expect("the test listens").into();
        let stdout = stdin.try_clone().expect("there are descriptors");
        let mut command = Command::new(helm);
        command.guardhouse(guard).arg(name).stdin(stdin).stdout(stdout);
        for option in words {
            match option {
                "--no-socket" => command.env_remove(SOCKET_VARIABLE),
                // Of the environment of another application.
                option if option.contains('=') => {
                    let (name, value) = option.split_once('=').expect("it was looked at");
                    command.env(name, value)
                }
                option => command.arg(option),
            };
        }
        let child = command.spawn().expect("it was built with this one");
        let pid = child.id();
        self.0.insert(name.to_owned(), child);
        format!("started {pid}")
    }

    fn wait(&mut self, name: &str) -> String {
        let mut child = self.0.remove(name).expect("it was started");
        let status = child.wait().expect("it was started");
        match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended {code}"),
            (None, signal) => format!("ended by {}", signal.unwrap_or(0)),
        }
    }
}

fn named(guard: &Guard, name: &str) -> Option<Renderer> {
    guard.renderers().into_iter().find(|renderer| renderer.name == name)
}

/// There is no signal for it: an application sees it in the breadcrumbs, or looks when it wants to.
fn await_end(guard: &Guard, name: &str) -> String {
    let start = Instant::now();
    while named(guard, name).is_some() {
        assert!(start.elapsed() < PATIENCE, "{name} is still there");
        std::thread::sleep(Duration::from_millis(1));
    }
    "done".to_owned()
}

fn renderers(guard: &Guard) -> String {
    let mut all: Vec<_> = guard.renderers().iter().map(describe).collect();
    all.sort();
    format!("renderers {}", all.join(" "))
}

fn describe(renderer: &Renderer) -> String {
    let way = renderer.way.map_or_else(|| "none".to_owned(), |way| format!("{way:?}"));
    let Renderer { name, role, pid, .. } = renderer;
    format!("{name}:{}:{role}:{pid}", way.to_lowercase())
}

fn turned_away(guard: &Guard) -> String {
    let counts: Vec<_> =
        guard.turned_away().iter().map(|(why, count)| format!("{why}:{count}")).collect();
    format!("turned-away {}", counts.join(" "))
}

/// Reasons as an option of a desk lists them.
///
/// # Panics
///
/// If there is no such reason.
pub fn reasons(list: &str) -> Vec<ExitReason> {
    let reason = |name: &str| ExitReason::ALL.into_iter().find(|reason| reason.name() == name);
    list.split(',').map(|name| reason(name).expect("there is such a reason")).collect()
}
