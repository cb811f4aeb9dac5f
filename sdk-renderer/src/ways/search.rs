//! Which main is ours.
//!
//! The one that has started this process says so in the environment. Without that it is one that is
//! the parent of this process, or its parent's and so on, and else the latest of the namespace: if it is
//! one that the application has chosen, since that of all who choose none says nothing about whose it is.
//!
//! Once a main was ours, another one is so only if it takes its place: the restarted application, not a
//! second instance that ran all the while. The one that comes after a main that was killed says so in
//! its note, however late we notice. Nobody knows whom one comes after whose main ended in good order;
//! there it is the one that was started since, of a namespace that was chosen or with the same spool.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use guardhouse_process::meeting::{self, Meeting};
use guardhouse_process::timestamp;
use guardhouse_protocol::{Namespace, Timestamp};

use super::Found;

/// So long it may take until the end of a main is noticed that ended in good order. Another instance
/// that was started in that time counts as the restarted one.
const GRACE_SECONDS: i64 = 3;

/// No process has more ancestors than are looked at.
#[cfg(target_os = "linux")]
const GENERATIONS: usize = 64;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Search {
    directory: Option<PathBuf>,
    /// The note that the environment names.
    note: Option<PathBuf>,
    ancestors: Vec<u32>,
    /// Whether the application has chosen the namespace.
    is_chosen: bool,
    /// The main that was ours, if it left a note, and when it was lost.
    former: Option<(Option<Found>, Timestamp)>,
    began: Timestamp,
}

impl Search {
    pub(crate) fn new(directory: Option<PathBuf>, note: Option<PathBuf>) -> Self {
        let ancestors = ancestors();
        Self { directory, note, ancestors, is_chosen: true, former: None, began: now() }
    }

    /// A search where mains leave their notes, and for the main that the environment names, in a namespace
    /// that the application has chosen or not.
    pub(crate) fn of_environment(namespace: &Namespace, is_chosen: bool) -> Self {
        // An environment with another namespace is that of another application, which has started
        // ours.
        let is_ours = namespace_of_environment().is_none_or(|main| main == *namespace);
        let note = std::env::var_os(meeting::NOTE_VARIABLE).filter(|_| is_ours);
        let note = note.map(PathBuf::from);
        Self { is_chosen, ..Self::new(meeting::directory().ok(), note) }
    }

    /// The main that is ours, if it lives.
    pub(crate) fn find(&self, namespace: &Namespace) -> Option<Found> {
        let is_chosen = self.is_chosen;
        match &self.former {
            Some((Some((path, former)), lost)) => read(path).or_else(|| {
                let is_same = |main: &Meeting| {
                    is_chosen || former.spool.is_some() && main.spool == former.spool
                };
                self.first(namespace, |main| {
                    main.comes_after(path) || main.since >= *lost && is_same(main)
                })
            }),
            Some((None, lost)) => self
                .parent(namespace)
                .or_else(|| self.first(namespace, |main| is_chosen && main.since >= *lost)),
            None => self.parent(namespace).or_else(|| {
                self.first(namespace, |main| match &self.note {
                    Some(note) => main.comes_after(note) || is_chosen && main.since >= self.began,
                    None => is_chosen,
                })
            }),
        }
    }

    /// The main that has started this process, if it lives and has a note.
    pub(crate) fn parent(&self, namespace: &Namespace) -> Option<Found> {
        let noted = self.note.as_deref().and_then(read);
        noted.or_else(|| self.first(namespace, |main| self.ancestors.contains(&main.pid)))
    }

    /// What our main says of itself: the one that is [found](Self::find), or the one that has started
    /// this process, though it may have died since.
    pub(crate) fn endpoint(&self, namespace: &Namespace) -> Option<Meeting> {
        let found = self.find(namespace).map(|(_, main)| main);
        found.or_else(|| Meeting::read_dead(self.note.as_deref()?).ok()?)
    }

    /// The main that was ours is so no more, or not at the moment.
    pub(crate) fn lose(&mut self, main: Option<Found>) {
        // It may have been dead for a moment, and the next one there already.
        let lost = now();
        let lost = Timestamp::from_unix(lost.unix_seconds() - GRACE_SECONDS, 0);
        self.former = Some((main, lost));
    }

    pub(crate) fn is_former_dead(&self) -> bool {
        let former = self.former.as_ref().and_then(|(main, _)| main.as_ref());
        former.is_some_and(|(path, _)| matches!(Meeting::read(path), Ok(None)))
    }

    fn first(&self, namespace: &Namespace, is_it: impl Fn(&Meeting) -> bool) -> Option<Found> {
        let found = meeting::find(self.directory.as_deref()?, namespace);
        found.into_iter().find(|(_, main)| is_it(main))
    }
}

/// The namespace of the main whose environment this process has.
pub(crate) fn namespace_of_environment() -> Option<Namespace> {
    Namespace::new(&std::env::var(meeting::NAMESPACE_VARIABLE).ok()?).ok()
}

/// Whether a main of this namespace is among the processes that this one comes from.
pub(crate) fn is_of_ancestor(namespace: &Namespace) -> bool {
    Search::new(meeting::directory().ok(), None).parent(namespace).is_some()
}

fn read(path: &Path) -> Option<Found> {
    Some((path.to_owned(), Meeting::read(path).ok()??))
}

/// Now, as notes say it.
fn now() -> Timestamp {
    let now = timestamp(SystemTime::now());
    Timestamp::parse_rfc3339(&now.to_string()).unwrap_or(now)
}

/// The processes that this one comes from, the nearest first.
#[cfg(target_os = "linux")]
fn ancestors() -> Vec<u32> {
    let myself = std::process::id();
    std::iter::successors(Some(myself), |pid| guardhouse_crash::process::parent_of(*pid))
        .skip(1)
        .take(GENERATIONS)
        .collect()
}

#[cfg(all(unix, not(target_os = "linux")))]
fn ancestors() -> Vec<u32> {
    vec![std::os::unix::process::parent_id()]
}

#[cfg(not(unix))]
fn ancestors() -> Vec<u32> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use guardhouse_process::meeting::Posted;
    use guardhouse_protocol::frame::Proof;
    use uuid::Uuid;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("guardhouse-test-{}", Uuid::new_v4().simple());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn main(&self, pid: u32, since: i64) -> Posted {
            self.main_as(pid, since, |_| {})
        }

        fn main_as(&self, pid: u32, since: i64, say: impl FnOnce(&mut Meeting)) -> Posted {
            let mut main = Meeting::new(namespace(), Proof::new([7; 32]));
            main.pid = pid;
            main.since = Timestamp::from_unix(since, 0);
            say(&mut main);
            main.post(&self.0).unwrap()
        }

        fn search(&self, note: Option<&Posted>) -> Search {
            Search::new(Some(self.0.clone()), note.map(|note| note.path().to_owned()))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn namespace() -> Namespace {
        Namespace::new("chosen").unwrap()
    }

    fn path(found: Option<Found>) -> Option<PathBuf> {
        found.map(|(path, _)| path)
    }

    const LATE: i64 = 4_000_000_000;

    #[test]
    fn the_main_that_started_us_is_ours_and_else_the_latest() {
        let folder = Folder::new();
        let early = folder.main(1_000_000, 5);
        let late = folder.main(1_000_001, 6);
        let found = |search: Search| path(search.find(&namespace()));
        assert_eq!(found(folder.search(None)).as_deref(), Some(late.path()));
        assert_eq!(found(folder.search(Some(&early))).as_deref(), Some(early.path()));
        if let Some(parent) = ancestors().first() {
            let ours = folder.main(*parent, 4);
            assert_eq!(found(folder.search(None)).as_deref(), Some(ours.path()));
        }
    }

    #[test]
    fn after_ours_has_died_only_one_that_came_later_is_ours() {
        let folder = Folder::new();
        let ours = folder.main(1_000_000, 5);
        let other = folder.main(1_000_001, 6);
        let mut search = folder.search(Some(&ours));
        let find = |search: &Search| path(search.find(&namespace()));
        search.lose(search.find(&namespace()));
        assert_eq!(find(&search).as_deref(), Some(ours.path()), "it lives");
        drop(ours);
        assert_eq!(find(&search), None, "the other one ran all the while");
        let again = folder.main(1_000_002, LATE);
        assert_eq!(find(&search).as_deref(), Some(again.path()));
        drop((again, other));
        assert_eq!(find(&search), None);
    }

    #[test]
    fn one_that_says_it_comes_after_ours_is_ours_however_long_ago_that_was() {
        let folder = Folder::new();
        let ours = folder.main(1_000_000, 5);
        let name = ours.path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut search = folder.search(Some(&ours));
        search.lose(search.find(&namespace()));
        drop(ours);
        let again = folder.main_as(1_000_001, 6, |main| main.after = vec![name]);
        let _other = folder.main(1_000_002, 7);
        assert_eq!(path(search.find(&namespace())).as_deref(), Some(again.path()));
    }

    #[test]
    fn in_the_namespace_of_all_who_chose_none_only_a_main_that_is_known_is_ours() {
        let folder = Folder::new();
        let spool = |main: &mut Meeting, name: &str| {
            main.namespace = Namespace::DEFAULT;
            main.spool = Some(folder.0.join(name));
        };
        let ours = folder.main_as(1_000_000, 5, |main| spool(main, "ours"));
        let find = |search: &Search| path(search.find(&Namespace::DEFAULT));
        let search = |note| Search { is_chosen: false, ..folder.search(note) };
        assert_eq!(find(&search(None)), None, "nobody knows whose it is");
        let mut search = search(Some(&ours));
        assert_eq!(find(&search).as_deref(), Some(ours.path()));
        search.lose(search.find(&Namespace::DEFAULT));
        drop(ours);
        let again = folder.main_as(1_000_001, LATE, |main| spool(main, "ours"));
        let _other = folder.main_as(1_000_002, LATE + 1, |main| spool(main, "other"));
        assert_eq!(find(&search).as_deref(), Some(again.path()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn ancestors_are_found_whatever_they_are_called() {
        let before = std::fs::read("/proc/self/comm").unwrap();
        let expected = ancestors();
        assert!(!expected.is_empty());
        std::fs::write("/proc/self/comm", b"\xff) R 1 \xfe").unwrap();
        let found = ancestors();
        std::fs::write("/proc/self/comm", before.trim_ascii_end()).unwrap();
        assert_eq!(found, expected);
    }
}
