//! On real folders. What goes wrong on a disk is made to go wrong by the hook, or for real.

mod adopt;
mod damage;
mod failure;
mod full;
mod kill;
#[cfg(unix)]
mod planted;
mod queue;
mod run_record;
mod stream;
mod unmerged;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use guardhouse_protocol::{Envelope, Header, Item};

use super::*;
use crate::losses::Losses;

/// A cache directory that goes with the test.
struct Cache(PathBuf);

impl Cache {
    fn new() -> Self {
        Self(
            std::env::temp_dir()
                .join(format!("guardhouse-spool-{}", uuid::Uuid::new_v4().simple())),
        )
    }

    fn open(&self) -> Spool {
        self.open_within(Limits::default())
    }

    fn open_within(&self, limits: Limits) -> Spool {
        Spool::open(&self.0, limits).unwrap()
    }

    /// All files and folders of all runs.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.0.join("runs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                }
                files.push(entry.file_name().into_string().unwrap());
            }
        }
        files.sort();
        files
    }

    fn files_that_end_with(&self, end: &str) -> Vec<String> {
        self.files().into_iter().filter(|file| file.contains(end)).collect()
    }

    fn path_of(&self, spool: &Spool, file: &str) -> PathBuf {
        self.0.join("runs").join(spool.run().to_string()).join(file)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes a disk fail at some steps, for as long as it is set to.
#[derive(Clone, Default)]
struct Fault(Arc<AtomicBool>);

impl Fault {
    fn set(&self, is_set: bool) {
        self.0.store(is_set, Ordering::Relaxed);
    }

    fn hook(&self, steps: &'static [Step], kind: io::ErrorKind) -> Hook {
        let is_set = Arc::clone(&self.0);
        Arc::new(move |step| {
            let fails = is_set.load(Ordering::Relaxed) && steps.contains(&step);
            if fails { Err(io::Error::from(kind)) } else { Ok(()) }
        })
    }
}

/// An envelope with an event that says `message`.
fn event(message: impl ToString) -> Envelope {
    let mut envelope = Envelope::new(Header::new());
    let payload = format!("{{\"message\":\"{}\"}}", message.to_string());
    envelope.push(Item::new("event", payload).unwrap()).unwrap();
    envelope
}

fn message(envelope: &Envelope) -> String {
    let event = envelope.items()[0].json().unwrap();
    event.get("message").unwrap().as_str().unwrap().into_owned()
}

fn messages(spool: &mut Spool) -> Vec<String> {
    let ids: Vec<EntryId> = spool.entries().map(|entry| entry.id).collect();
    ids.into_iter().map(|id| message(&spool.read(id).unwrap())).collect()
}

impl Spool {
    /// Leaves everything as it is, as if the process was killed.
    fn die(mut self) {
        self.own.leave();
    }
}

/// So many seconds after some moment.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn put(spool: &mut Spool, text: impl ToString) -> EntryId {
    put_with(spool, Priority::Normal, text)
}

fn put_with(spool: &mut Spool, priority: Priority, text: impl ToString) -> EntryId {
    match spool.put(priority, &event(text), at(0)) {
        Put { placed: Placed::Disk(id), evicted } if evicted.is_empty() => id,
        put => panic!("{put:?}"),
    }
}

fn adopt_all(spool: &mut Spool, now: SystemTime) -> Vec<Entry> {
    let mut found = Vec::new();
    loop {
        let adopted = spool.adopt_some(3, now);
        found.extend(adopted.found);
        if !adopted.is_more {
            return found;
        }
    }
}

fn errors_lost(spool: &Spool) -> u64 {
    let errors = |(category, _, quantity)| if category == Category::Error { quantity } else { 0 };
    spool.losses().iter().map(errors).sum()
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777
}
