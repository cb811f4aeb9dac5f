//! The record of a run: of which release of the application it was, for whoever finds what it left.
//!
//! A renderer's offline file, or an envelope that a dead run could not merge any more, is merged by a
//! later run, which may be one of another release. So each run writes down its own facts before any
//! renderer hears of it, in `runs/ID.run` beside its lock.
//!
//! The record outlives the run and its folder: a renderer that lives on may leave a file long after.
//! How many such renderers there are nobody knows, so a record stays for [`Limits::max_age`], after
//! which nothing of its run would be sent either, and the newest [`MOST_RECORDS`] stay. Without a
//! record nothing is known of a run; whoever asks must not take the facts of another one then.
//!
//! [`Limits::max_age`]: super::Limits::max_age

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use guardhouse_process::regular_file;
use guardhouse_protocol::RunId;
use guardhouse_protocol::json::{Object, ObjectWriter, Value};
use guardhouse_protocol::limits::KIB;

use super::Spool;

/// How the name of a record ends.
const RECORD: &str = ".run";

/// The version of what a record holds.
const VERSION: u64 = 1;

/// Maximum length of a record that is read: it holds three names.
const RECORD_BYTES: u64 = 16 * KIB as u64;

/// Maximum number of records of dead runs that are kept.
const MOST_RECORDS: usize = 128;

/// What is true of everything that happens in one run of the application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunFacts {
    /// The release of the application, if it has one.
    pub release: Option<String>,
    /// The environment in which it runs.
    pub environment: Option<String>,
    /// The distribution of the release.
    pub dist: Option<String>,
}

impl Spool {
    /// Writes down the facts of this run. If the disk fails, they are written when it works again
    /// ([`try_again`](Self::try_again)).
    pub fn write_facts(&mut self, facts: RunFacts) -> io::Result<()> {
        self.facts = Some(facts);
        self.has_record = false;
        self.keep_record()
    }

    /// The facts of a run, this one or an earlier one; nothing if they are not known.
    pub fn run_facts(&self, run: RunId) -> Option<RunFacts> {
        if run == self.run() { self.facts.clone() } else { read(&path(&self.runs, run)) }
    }

    /// Writes the record, if it is not on disk yet.
    pub(super) fn keep_record(&mut self) -> io::Result<()> {
        let Some(facts) = self.facts.as_ref().filter(|_| !self.has_record) else { return Ok(()) };
        let path = path(&self.runs, self.run());
        if let Err(error) = write(&path, facts) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.has_record = true;
        // Beside the run's folder, where the other files are that a power cut may still take.
        self.unsynced.push(format!("../{}{RECORD}", self.run()));
        Ok(())
    }

    /// Removes the records of dead runs that are too old or too many.
    pub(super) fn bound_records(&self, now: SystemTime) {
        let mut dead: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.runs).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let run = name.to_str().and_then(|name| name.strip_suffix(RECORD)?.parse().ok());
            let Some(run): Option<RunId> = run else { continue };
            let is_left = |it: String| self.runs.join(it).symlink_metadata().is_err();
            let is_over = is_left(run.to_string()) && is_left(format!("{run}.lock"));
            if run != self.run() && is_over {
                let written = entry.metadata().and_then(|it| it.modified());
                dead.push((written.unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
            }
        }
        dead.sort_unstable();
        let too_many = dead.len().saturating_sub(MOST_RECORDS);
        for (index, (written, path)) in dead.iter().enumerate() {
            let is_old = now.duration_since(*written).is_ok_and(|age| age > self.limits.max_age);
            if index < too_many || is_old {
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn path(runs: &Path, run: RunId) -> PathBuf {
    runs.join(format!("{run}{RECORD}"))
}

fn write(path: &Path, facts: &RunFacts) -> io::Result<()> {
    let mut record = ObjectWriter::new();
    record.member("version", VERSION);
    let RunFacts { release, environment, dist } = facts;
    for (member, value) in [("release", release), ("environment", environment), ("dist", dist)] {
        if let Some(value) = value {
            record.member(member, value.as_str());
        }
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(record.finish().text().as_bytes())
}

fn read(path: &Path) -> Option<RunFacts> {
    let text = regular_file::read_at_most(path, RECORD_BYTES).ok()?;
    let record = Object::parse(&text).ok()?;
    let member = |name| record.get(name).and_then(Value::as_str).map(Into::into);
    (record.get("version")?.as_u64()? == VERSION).then(|| RunFacts {
        release: member("release"),
        environment: member("environment"),
        dist: member("dist"),
    })
}
