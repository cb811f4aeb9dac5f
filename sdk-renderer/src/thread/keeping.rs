//! When what main has not taken goes to the offline file, and when the file is removed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use guardhouse_process::offline_file::{Entry, OfflineFile, Place, Writer};
use uuid::Uuid;

use crate::courier::Courier;
use crate::house::House;

/// A main that is not there for so long may not come before we end.
const PATIENCE: Duration = Duration::from_secs(2);

/// So long a disk that has failed is left alone.
const AGAIN: Duration = Duration::from_secs(5);

pub(super) struct Keeping {
    /// Where main looks, once that is known.
    directory: Option<PathBuf>,
    /// Where to leave things before that.
    fallback: Option<PathBuf>,
    writer: Writer,
    file: Option<OfflineFile>,
    /// How main calls this process.
    renderer: Option<Uuid>,
    /// When what was captured goes to the file, while there is no main.
    due: Option<Instant>,
    /// When the disk is tried again, after it has failed.
    again_at: Option<Instant>,
}

impl Keeping {
    pub(super) fn new(fallback: Option<PathBuf>, name: &str) -> Self {
        let writer = Writer { name: name.to_owned(), pid: std::process::id() };
        let due = Some(Instant::now() + PATIENCE);
        Self { directory: None, fallback, writer, file: None, renderer: None, due, again_at: None }
    }

    /// This is where our main looks.
    pub(super) fn learned(&mut self, directory: PathBuf) {
        self.directory = Some(directory);
        self.again_at = None;
    }

    pub(super) fn knows_directory(&self) -> bool {
        self.directory.is_some()
    }

    /// There is a main, which calls this process so. The courier knows of it already.
    pub(super) fn connected(&mut self, renderer: Uuid, courier: &Courier) {
        self.due = None;
        self.again_at = None;
        if self.renderer.replace(renderer) != Some(renderer) {
            self.mark(&[Entry::Renderer(renderer), Entry::Sent(courier.sent())]);
        }
    }

    pub(super) fn disconnected(&mut self, is_main_dead: bool) {
        let now = Instant::now();
        self.due = Some(if is_main_dead { now } else { now + PATIENCE });
    }

    /// Whether something is to be put into the file by now, since there is no main.
    pub(super) fn is_due(&self, now: Instant, courier: &Courier) -> bool {
        courier.has_unfiled() && self.due.is_some_and(|due| due <= now) && self.may_write(now)
    }

    /// When [`is_due`](Self::is_due) becomes true for the first time. A disk that has failed is tried
    /// again only when something else happens.
    pub(super) fn timeout(&self, courier: &Courier) -> Option<Instant> {
        self.due.filter(|_| self.again_at.is_none() && courier.has_unfiled())
    }

    pub(super) fn may_write(&self, now: Instant) -> bool {
        self.again_at.is_none_or(|again_at| again_at <= now)
    }

    /// Writes down what main has acknowledged, or removes the file if that is everything in it.
    pub(super) fn settle(&mut self, courier: &mut Courier) {
        if self.file.is_none() {
            return;
        }
        if courier.filed() > 0 {
            let taken = courier.take_taken();
            if !taken.is_empty() {
                self.mark(&[Entry::Taken(taken)]);
            }
            return;
        }
        if let Some(file) = self.file.take() {
            let _ = file.remove();
        }
        courier.clear_file();
    }

    /// The end: what is left stays in the file. It is main's from now on, which may look for it as soon
    /// as it hears that we go.
    pub(super) fn finish(&mut self, courier: &mut Courier, house: &House) {
        if courier.has_unfiled() {
            self.put(courier, house);
        }
        self.settle(courier);
        self.file = None;
    }

    /// These are about to be said to main.
    pub(super) fn sent(&mut self, sent: Entry) {
        self.mark(&[sent]);
    }

    /// What stands there in the file, if it can be read.
    pub(super) fn load(&mut self, place: Place, house: &House) -> Option<Bytes> {
        let read = self.file.as_mut()?.read(place);
        read.inspect_err(|error| {
            house.say(format_args!(
                "something of the offline file cannot be read, and is lost: {error}"
            ));
        })
        .ok()
    }

    /// Puts everything into the file that is not there yet, in the order in which it was captured.
    pub(super) fn put(&mut self, courier: &mut Courier, house: &House) {
        let Some(directory) = self.directory.as_ref().or(self.fallback.as_ref()) else {
            // It is not looked for again at once.
            self.again_at = Some(Instant::now() + AGAIN);
            return;
        };
        let mut entries = Vec::new();
        let file = match &mut self.file {
            Some(file) => Ok(file),
            none => OfflineFile::begin(directory, &self.writer).map(|file| {
                house.say(format_args!(
                    "what main has not taken is left in {}",
                    file.path().display()
                ));
                none.insert(file)
            }),
        };
        let written = file.and_then(|file| {
            if courier.filed() == 0
                && let Some(renderer) = self.renderer
            {
                entries.push(Entry::Renderer(renderer));
            }
            entries.extend(courier.poll_file());
            file.append(&entries)
        });
        match written {
            Ok(places) => {
                self.again_at = None;
                courier.filed_at(&entries, places);
            }
            Err(error) => {
                self.again_at = Some(Instant::now() + AGAIN);
                courier.unfile(&entries);
                house.say(format_args!(
                    "what main has not taken could not be left in {}, and is lost if this process \
                     ends before main is there: {error}",
                    directory.display()
                ));
            }
        }
    }

    /// Says something about what is in the file. If that fails, main may take something twice, no more.
    fn mark(&mut self, entries: &[Entry]) {
        if let Some(file) = &mut self.file {
            let _ = file.append(entries);
        }
    }
}
