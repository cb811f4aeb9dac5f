//! One process, and what it came to say before it died.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::path::Path;

use guardhouse_tests::desk::Desk;
use guardhouse_tests::sentry::Sentry;

/// What the message of an event begins with that may be put aside at the end.
pub(crate) const ASIDE: &str = "aside";

pub(crate) struct Life {
    desk: Desk,
    /// The release of the application that this process is.
    pub(crate) release: String,
    panics: VecDeque<String>,
    /// What it was told to report.
    pub(crate) told: BTreeSet<String>,
    /// What it has said to be on disk.
    pub(crate) acknowledged: BTreeSet<String>,
    /// How often it has said that it deleted what Sentry took.
    pub(crate) seen: usize,
    /// Whether it came to run.
    pub(crate) is_ready: bool,
    /// Whether it was told to end.
    may_have_ended: bool,
    /// Whether it ended by itself, as it was told.
    pub(crate) has_closed: bool,
    /// Whether it said then that everything was sent.
    pub(crate) has_sent_all: bool,
    /// Whether it ended before it had closed, though nobody else killed it.
    pub(crate) was_killed_by_itself: bool,
    /// Whether it has captured something that nobody handled.
    pub(crate) has_panicked: bool,
    /// Which of all requests were made by it, if it was alone.
    pub(crate) requests: Range<usize>,
}

impl Life {
    pub(crate) fn launch(path: &Path, sentry: &Sentry, release: String, options: &[&str]) -> Self {
        let before = sentry.requests().len();
        let options = [&["--release", &release], options].concat();
        let binary = env!("CARGO_BIN_EXE_desk");
        let desk = Desk::launch(binary, path, &sentry.dsn(), &options);
        Self {
            desk,
            release,
            may_have_ended: false,
            panics: VecDeque::new(),
            told: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            seen: 0,
            is_ready: false,
            has_closed: false,
            has_sent_all: false,
            was_killed_by_itself: false,
            has_panicked: false,
            requests: before..before,
        }
    }

    /// Tells it something.
    pub(crate) fn tell(&mut self, words: &str) {
        self.may_have_ended |= words.starts_with("close") || words.starts_with("drop");
        self.desk.tell(words);
    }

    /// Lets a renderer report an event with this id, which is its message as well.
    pub(crate) fn report(&mut self, renderer: u64, id: &str) {
        self.told.insert(id.to_owned());
        self.tell(&format!("event {renderer} {id} {id}"));
    }

    /// Lets main capture so many errors whose messages begin with this id.
    pub(crate) fn fill(&mut self, count: u64, id: &str) {
        self.told.extend((0..count).map(|number| format!("{ASIDE} {id} {number}")));
        self.tell(&format!("fill {count} error {ASIDE} {id}"));
    }

    /// Lets a thread of main panic with this message.
    pub(crate) fn panic(&mut self, id: &str) {
        self.told.insert(id.to_owned());
        self.panics.push_back(id.to_owned());
        self.tell(&format!("panic {id}"));
    }

    /// Hears it until it says this. Says whether it did, or died before.
    pub(crate) fn hear_until(&mut self, wanted: &str) -> bool {
        while let Some(line) = self.hear() {
            if line.starts_with(wanted) {
                return true;
            }
        }
        false
    }

    /// Hears it until it has acknowledged this event. Says whether it did, or died before.
    pub(crate) fn hear_of(&mut self, id: &str) -> bool {
        while !self.acknowledged.contains(id) {
            if self.hear().is_none() {
                return false;
            }
        }
        true
    }

    /// Hears all that it still says, until it is dead.
    pub(crate) fn end(&mut self) {
        while self.hear().is_some() {}
        self.was_killed_by_itself = !self.has_closed;
        self.desk.kill();
    }

    /// Lets it know that nobody drives it any more.
    pub(crate) fn hang_up(&mut self) {
        self.desk.hang_up();
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.desk.kill();
        self.end();
        self.was_killed_by_itself = false;
    }

    /// How its session may have ended, as far as can be told from what it has said.
    pub(crate) fn outcomes(&self) -> Vec<&'static str> {
        if self.has_panicked {
            return vec!["crashed"];
        }
        if self.has_closed {
            return vec!["exited"];
        }
        let mut outcomes = vec!["abnormal"];
        if !self.panics.is_empty() {
            outcomes.push("crashed");
        }
        if self.may_have_ended {
            outcomes.push("exited");
        }
        outcomes
    }

    /// Its next line.
    #[track_caller]
    fn hear(&mut self) -> Option<String> {
        let line = self.desk.hear()?;
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["ready"] => self.is_ready = true,
            ["seen"] => self.seen += 1,
            ["answer", id, "taken"] => {
                self.acknowledged.insert(id.to_owned());
            }
            // The panic hook waits until the event is on disk.
            ["panicked"] => {
                self.acknowledged.extend(self.panics.pop_front());
                self.has_panicked = true;
            }
            ["closed", is_sent, _] => {
                self.has_closed = true;
                self.has_sent_all = is_sent == "true";
            }
            _ => {}
        }
        Some(line)
    }
}
