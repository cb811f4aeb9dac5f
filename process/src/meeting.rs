//! The place where processes of the same user find main.
//!
//! A main that renderers can reach writes down where: the socket, the address, the proof that lets
//! them in, and where they leave what they could not hand over. The note lies in a directory that only
//! its user can enter, and is locked as long as main lives. So whoever reads one knows that its main
//! lives, and never shows the proof to a stranger who happens to listen where a dead main did.
//!
//! Each main has a note of its own, also when several run with the same namespace. A process that main
//! has started reads the one that [`NOTE_VARIABLE`] names; others [look](find) by namespace. A main that
//! is started after one was killed [removes](tidy) what that has left, and says so in its own note: whoever
//! was the dead one's knows by that whose it is now.

mod place;

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use guardhouse_protocol::frame::Proof;
use guardhouse_protocol::json::{Json, ObjectWriter, Value};
use guardhouse_protocol::{Namespace, RunId, Timestamp};

use place::{NOTE, create, is_alive, name_of};
pub use place::{Place, tidy};

use crate::{regular_file, timestamp};

/// The environment variable that names main's note to a process that main has started.
pub const NOTE_VARIABLE: &str = "GUARDHOUSE_NOTE";

/// The environment variable that says to a process that main has started which namespace main has.
pub const NAMESPACE_VARIABLE: &str = "GUARDHOUSE_NAMESPACE";

/// The environment variable that says which descriptor is the socket that main has handed over.
pub const SOCKET_VARIABLE: &str = "GUARDHOUSE_SOCKET";

/// No note is longer: it holds three paths and little else.
const NOTE_BYTES: u64 = 64 * 1024;

/// So many mains it may come after: each had to be killed before anybody noticed the one before.
const AFTER: usize = 16;

/// Where a main is to be found.
#[derive(Clone, PartialEq, Eq)]
pub struct Meeting {
    /// What its channels are prefixed with.
    pub namespace: Namespace,
    /// Its process.
    pub pid: u32,
    /// Since when it can be reached. Of two mains the later one has the later time.
    pub since: Timestamp,
    /// Its socket, or on Windows the name of its pipe, if there is one.
    pub socket: Option<PathBuf>,
    /// Where it answers HTTP, if it does.
    pub address: Option<SocketAddr>,
    /// What it wants to see.
    pub proof: Proof,
    /// Where renderers leave what they could not hand over, if it will be looked for.
    pub spool: Option<PathBuf>,
    /// Which run of main this is, by which its facts are known to a later one.
    pub run: Option<RunId>,
    /// The notes of dead mains whose place it has taken, as [`tidy`] names them. Of what is in it only
    /// the first few are said.
    pub after: Vec<String>,
}

impl Meeting {
    /// A main that is this process, and listens nowhere yet.
    pub fn new(namespace: Namespace, proof: Proof) -> Self {
        let now = timestamp(SystemTime::now());
        Self {
            namespace,
            pid: std::process::id(),
            // As it will be read.
            since: Timestamp::parse_rfc3339(&now.to_string()).unwrap_or(now),
            socket: None,
            address: None,
            proof,
            spool: None,
            run: None,
            after: Vec::new(),
        }
    }

    /// Writes the note into a [`directory`], for as long as what is returned lives.
    pub fn post(self, directory: &Path) -> io::Result<Posted> {
        self.post_at(Place::claim(directory)?)
    }

    /// Writes the note where names were taken before.
    pub fn post_at(self, place: Place) -> io::Result<Posted> {
        let posted = Posted { meeting: self, path: place.note(), place };
        posted.write()?;
        Ok(posted)
    }

    /// Reads a note; nothing if its main is dead.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        if !is_alive(path)? {
            return Ok(None);
        }
        parse(path)?.map(Some).ok_or_else(|| {
            let why = format!("{} is no note of a main of this version", path.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        })
    }

    /// Reads a note whether its main lives or not; nothing if it is none that this version knows.
    pub fn read_dead(path: &Path) -> io::Result<Option<Self>> {
        parse(path)
    }

    /// Whether this main has taken the place of the one that had this note.
    pub fn comes_after(&self, note: &Path) -> bool {
        name_of(note).is_some_and(|name| self.after.contains(&name))
    }

    fn to_json(&self) -> Json {
        let mut object = ObjectWriter::new();
        object
            .member("namespace", self.namespace.as_str())
            .member("pid", u64::from(self.pid))
            .member("since", self.since.to_string().as_str())
            .member("proof", self.proof.to_hex().as_str());
        // A path that is not text cannot be said here; then there is one way less.
        if let Some(socket) = self.socket.as_ref().and_then(|path| path.to_str()) {
            object.member("socket", socket);
        }
        if let Some(address) = &self.address {
            object.member("address", address.to_string().as_str());
        }
        if let Some(spool) = self.spool.as_ref().and_then(|path| path.to_str()) {
            object.member("spool", spool);
        }
        if let Some(run) = &self.run {
            object.member("run", run.to_string().as_str());
        }
        if !self.after.is_empty() {
            let after = self.after.iter().take(AFTER).map(String::as_str);
            object.member("after", Json::array(after));
        }
        object.finish()
    }

    fn from_json(value: Value<'_>) -> Option<Self> {
        let object = value.as_object()?;
        let text = |name: &str| object.get(name)?.as_str();
        let after = object.get("after").and_then(Value::elements).into_iter().flatten();
        let after = after.take(AFTER).filter_map(|name| Some(name.as_str()?.into_owned()));
        Some(Self {
            namespace: Namespace::new(&text("namespace")?).ok()?,
            pid: object.get("pid")?.text().parse().ok()?,
            since: Timestamp::parse_rfc3339(&text("since")?)?,
            socket: text("socket").map(|path| PathBuf::from(&*path)),
            address: text("address").and_then(|address| address.parse().ok()),
            proof: text("proof")?.parse().ok()?,
            spool: text("spool").map(|path| PathBuf::from(&*path)),
            run: text("run").and_then(|run| run.parse().ok()),
            after: after.collect(),
        })
    }
}

impl fmt::Debug for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meeting")
            .field("namespace", &self.namespace)
            .field("pid", &self.pid)
            .field("socket", &self.socket)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A note that is there. Dropping it takes it away.
#[derive(Debug)]
pub struct Posted {
    meeting: Meeting,
    path: PathBuf,
    // Given up when the note is gone.
    place: Place,
}

impl Posted {
    /// What it says.
    pub fn meeting(&self) -> &Meeting {
        &self.meeting
    }

    /// Where it lies: what [`NOTE_VARIABLE`] says to a child.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its names, one of which is that of the socket.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether it is still there, and leads to a main that lives.
    pub fn is_there(&self) -> bool {
        self.place.is_held() && self.path.exists()
    }

    /// Takes the same names again after somebody has removed the lock, or the whole directory. What was
    /// said is to be [written](Self::write) then.
    pub fn claim_again(&mut self) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            if let Some(above) = directory.parent() {
                std::fs::create_dir_all(above)?;
            }
            make(directory)?;
        }
        self.place.claim_again()
    }

    /// Writes it anew.
    pub fn write(&self) -> io::Result<()> {
        let temporary = self.place.temporary();
        let _ = std::fs::remove_file(&temporary);
        let written = create(&temporary)
            .and_then(|mut file| file.write_all(self.meeting.to_json().text().as_bytes()))
            .and_then(|()| std::fs::rename(&temporary, &self.path));
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        if self.place.is_ours() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The notes of all mains of a namespace that are alive, with where each lies; the latest first.
pub fn find(directory: &Path, namespace: &Namespace) -> Vec<(PathBuf, Meeting)> {
    let mut found: Vec<_> = notes(directory)
        .filter_map(|path| Some((Meeting::read(&path).ok()??, path)))
        .filter(|(meeting, _)| meeting.namespace == *namespace)
        .map(|(meeting, path)| (path, meeting))
        .collect();
    found.sort_by_key(|(_, meeting)| std::cmp::Reverse(meeting.since));
    found
}

fn notes(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == NOTE))
}

/// What a note says, whether its main lives or not; nothing if it is none that this version knows.
fn parse(path: &Path) -> io::Result<Option<Meeting>> {
    let text = regular_file::read_at_most(path, NOTE_BYTES)?;
    let json = Json::parse(&text).ok();
    Ok(json.as_ref().and_then(|json| Meeting::from_json(json.as_value())))
}

/// The directory of this user in which notes lie. It is made if it is not there, and only its user can
/// enter it: if somebody else has made it, it is an error.
///
/// On Linux it is in `$XDG_RUNTIME_DIR` if that is this user's, or else in the directory of temporary files, as
/// on macOS; on Windows it is in `%LOCALAPPDATA%`.
pub fn directory() -> io::Result<PathBuf> {
    let directory = place()?;
    make(&directory)?;
    Ok(directory)
}

#[cfg(unix)]
fn place() -> io::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let user = rustix::process::geteuid().as_raw();
    if let Some(runtime) = runtime.filter(|runtime| is_runtime_of(user, runtime)) {
        return Ok(runtime.join("guardhouse"));
    }
    Ok(std::env::temp_dir().join(format!("guardhouse-{user}")))
}

/// Whether it is a directory of this user. `sudo` and its like may leave somebody else's in the
/// environment.
#[cfg(unix)]
fn is_runtime_of(user: u32, runtime: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(runtime);
    runtime.is_absolute() && metadata.is_ok_and(|it| it.is_dir() && it.uid() == user)
}

#[cfg(not(unix))]
fn place() -> io::Result<PathBuf> {
    let local = std::env::var_os("LOCALAPPDATA").map(PathBuf::from);
    let local = local.ok_or_else(|| io::Error::other("the environment names no LOCALAPPDATA"))?;
    Ok(local.join("guardhouse").join("run"))
}

#[cfg(unix)]
fn make(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // Not followed if it is a link, which somebody else may have laid.
    let metadata = std::fs::symlink_metadata(directory)?;
    if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
        let why = format!(
            "{} belongs to somebody else; remove it, or set XDG_RUNTIME_DIR to a directory of yours",
            directory.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    if metadata.mode() & 0o077 != 0 {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make(directory: &Path) -> io::Result<()> {
    // The user's local data is the user's alone.
    std::fs::create_dir_all(directory)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path =
                std::env::temp_dir().join(format!("guardhouse-test-{}", Uuid::new_v4().simple()));
            make(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn meeting(namespace: &str) -> Meeting {
        Meeting::new(Namespace::new(namespace).unwrap(), Proof::new([7; 32]))
    }

    #[test]
    fn a_main_is_found_by_its_namespace_as_long_as_it_lives() {
        let folder = Folder::new();
        let mut first = meeting("one");
        first.socket = Some(folder.0.join("a.sock"));
        first.address = Some("127.0.0.1:4711".parse().unwrap());
        first.spool = Some(folder.0.join("spool"));
        first.run = Some(RunId::new(7));
        let first = first.post(&folder.0).unwrap();
        let mut later = meeting("one");
        later.since = Timestamp::from_unix(4_000_000_000, 0);
        let later = later.post(&folder.0).unwrap();
        let _other = meeting("two").post(&folder.0).unwrap();

        let found = find(&folder.0, &first.meeting().namespace);
        let expected =
            [&later, &first].map(|posted| (posted.path().to_owned(), posted.meeting.clone()));
        assert_eq!(found, expected);
        assert_eq!(Meeting::read(first.path()).unwrap().as_ref(), Some(first.meeting()));

        let namespace = first.meeting().namespace.clone();
        drop(later);
        assert_eq!(find(&folder.0, &namespace).len(), 1);
        drop(first);
        assert!(find(&folder.0, &namespace).is_empty());
    }

    /// What a main leaves that is killed.
    fn kill(mut posted: Posted) {
        posted.place.die();
    }

    fn names(folder: &Folder) -> Vec<String> {
        let entries = std::fs::read_dir(&folder.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_a_killed_main_has_left_is_no_main_and_is_tidied_away() {
        let folder = Folder::new();
        let namespace = Namespace::new("one").unwrap();
        // Killed with its note, with a socket before it wrote one, while it wrote one, and at first.
        let dead = meeting("one").post(&folder.0).unwrap();
        let path = dead.path().to_owned();
        std::fs::write(dead.place.socket(), "").unwrap();
        kill(dead);
        assert_eq!(Meeting::read(&path).unwrap(), None);
        for leave in [Place::socket, Place::temporary, |place: &Place| place.note()] {
            let mut place = Place::claim(&folder.0).unwrap();
            std::fs::write(leave(&place), "").unwrap();
            place.die();
        }
        std::fs::write(folder.0.join("0.sock"), "").unwrap();
        let alive = meeting("one").post(&folder.0).unwrap();
        std::fs::write(alive.place.socket(), "").unwrap();
        assert_eq!(tidy(&folder.0, &namespace), [name_of(&path).unwrap()]);
        assert_eq!(names(&folder).len(), 3, "{:?}", names(&folder));
        assert!(Meeting::read(alive.path()).unwrap().is_some());
    }

    #[test]
    fn a_main_says_after_which_it_comes_even_if_somebody_else_has_tidied_up() {
        let folder = Folder::new();
        let namespace = Namespace::new("one").unwrap();
        let mut paths: Vec<PathBuf> = Vec::new();
        for _ in 0..3 {
            let mut main = meeting("one");
            main.since = Timestamp::from_unix(paths.len() as i64, 0);
            assert_eq!(tidy(&folder.0, &Namespace::new("two").unwrap()), [""; 0]);
            main.after = tidy(&folder.0, &namespace);
            let main = main.post(&folder.0).unwrap();
            let read = Meeting::read(main.path()).unwrap().unwrap();
            assert_eq!(read.after.len(), paths.len());
            assert!(paths.iter().all(|path| read.comes_after(path)));
            paths.push(main.path().to_owned());
            kill(main);
        }
        for _ in 0..2 * AFTER {
            let mut main = meeting("one");
            main.after = tidy(&folder.0, &namespace);
            assert!(main.after.len() <= AFTER);
            kill(main.post(&folder.0).unwrap());
        }
    }

    #[test]
    fn who_tidies_up_takes_nobodys_names_away() {
        let folder = Folder::new();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    tidy(&folder.0, &Namespace::DEFAULT);
                }
            });
            for _ in 0..200 {
                let posted = meeting("one").post(&folder.0).unwrap();
                assert!(Meeting::read(posted.path()).unwrap().is_some());
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[cfg(unix)]
    #[test]
    fn the_runtime_directory_of_somebody_else_is_not_used() {
        let folder = Folder::new();
        let user = rustix::process::geteuid().as_raw();
        assert!(is_runtime_of(user, &folder.0));
        assert!(!is_runtime_of(user + 1, &folder.0));
        assert!(!is_runtime_of(user, Path::new(".")));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let folder = Folder::new();
        std::fs::set_permissions(&folder.0, std::fs::Permissions::from_mode(0o755)).unwrap();
        make(&folder.0).unwrap();
        assert_eq!(std::fs::metadata(&folder.0).unwrap().mode() & 0o777, 0o700);
        let posted = meeting("one").post(&folder.0).unwrap();
        assert_eq!(std::fs::metadata(posted.path()).unwrap().mode() & 0o777, 0o600);
        let link = folder.0.join("link");
        std::os::unix::fs::symlink("/", &link).unwrap();
        assert!(make(&link).is_err(), "a link is not followed");
        assert!(!format!("{:?}", posted.meeting()).contains("0707"));
    }
}
