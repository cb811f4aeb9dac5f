//! The place where processes of the same user find main.
//!
//! A main that renderers can reach writes down where: the socket, the address, the proof that lets
//! them in, and where they leave what they could not hand over. The note lies in a directory that only
//! its user can enter, and is locked as long as main lives. So whoever reads one knows that its main
//! lives, and never shows the proof to a stranger who happens to listen where a dead main did.
//!
//! Each main has a note of its own, also when several run with the same namespace. A process that main
//! has started reads the one that [`NOTE_VARIABLE`] names; others [look](find) by namespace.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use guardhouse_protocol::frame::Proof;
use guardhouse_protocol::json::{Json, ObjectWriter, Value};
use guardhouse_protocol::{Namespace, Timestamp};
use uuid::Uuid;

use crate::timestamp;

/// The environment variable that names main's note to a process that main has started.
pub const NOTE_VARIABLE: &str = "GUARDHOUSE_NOTE";

/// The environment variable that says which descriptor is the socket that main has handed over.
pub const SOCKET_VARIABLE: &str = "GUARDHOUSE_SOCKET";

/// No note is longer: it holds three paths and little else.
const NOTE_BYTES: u64 = 64 * 1024;

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
        }
    }

    /// Writes the note into a [`directory`], for as long as what is returned lives.
    pub fn post(self, directory: &Path) -> io::Result<Posted> {
        let name = format!("{}.{}", self.namespace, Uuid::new_v4().simple());
        let path = directory.join(format!("{name}.{NOTE}"));
        let lock_path = directory.join(format!("{name}.{LOCK}"));
        let lock = create(&lock_path)?;
        let posted = Posted { meeting: self, path, lock_path, lock };
        posted.lock.lock()?;
        let temporary = directory.join(format!("{name}.tmp"));
        let written = create(&temporary)
            .and_then(|mut file| file.write_all(posted.meeting.to_json().text().as_bytes()))
            .and_then(|()| std::fs::rename(&temporary, &posted.path));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&temporary);
            return Err(error);
        }
        Ok(posted)
    }

    /// Reads a note; nothing if its main is dead.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        if !is_alive(&path.with_extension(LOCK))? {
            return Ok(None);
        }
        let mut text = Vec::new();
        File::open(path)?.take(NOTE_BYTES).read_to_end(&mut text)?;
        let read =
            Json::parse(&text).ok().as_ref().and_then(|json| Self::from_json(json.as_value()));
        read.map(Some).ok_or_else(|| {
            let why = format!("{} is no note of a main of this version", path.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        })
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
        object.finish()
    }

    fn from_json(value: Value<'_>) -> Option<Self> {
        let object = value.as_object()?;
        let text = |name: &str| object.get(name)?.as_str();
        Some(Self {
            namespace: Namespace::new(&text("namespace")?).ok()?,
            pid: object.get("pid")?.text().parse().ok()?,
            since: Timestamp::parse_rfc3339(&text("since")?)?,
            socket: text("socket").map(|path| PathBuf::from(&*path)),
            address: text("address").and_then(|address| address.parse().ok()),
            proof: text("proof")?.parse().ok()?,
            spool: text("spool").map(|path| PathBuf::from(&*path)),
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

const NOTE: &str = "main";
const LOCK: &str = "lock";

/// A note that is there. Dropping it takes it away.
#[derive(Debug)]
pub struct Posted {
    meeting: Meeting,
    path: PathBuf,
    lock_path: PathBuf,
    lock: File,
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
}

impl Drop for Posted {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        // The lock goes last: a note without one is that of a dead main.
        let _ = std::fs::remove_file(&self.lock_path);
        let _ = self.lock.unlock();
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

/// Removes what mains have left that are dead, their sockets included.
pub fn tidy(directory: &Path) {
    for path in notes(directory) {
        let lock = path.with_extension(LOCK);
        if matches!(is_alive(&lock), Ok(false)) {
            // Only what lies here may be removed, whatever an old note says.
            let mut text = Vec::new();
            let read =
                File::open(&path).and_then(|file| file.take(NOTE_BYTES).read_to_end(&mut text));
            let json = read.ok().and_then(|_| Json::parse(&text).ok());
            if let Some(socket) = json
                .and_then(|json| Meeting::from_json(json.as_value()))
                .and_then(|meeting| meeting.socket)
                .filter(|socket| socket.parent() == Some(directory))
            {
                let _ = std::fs::remove_file(socket);
            }
            let _ = std::fs::remove_file(&path);
            let _ = std::fs::remove_file(&lock);
        }
    }
}

fn notes(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == NOTE))
}

/// Whether somebody holds the lock.
fn is_alive(lock: &Path) -> io::Result<bool> {
    let file = match File::open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The directory of this user in which notes lie. It is made if it is not there, and only its user can
/// enter it: if somebody else has made it, it is an error.
///
/// On Linux it is in `$XDG_RUNTIME_DIR`, or where there is none in the directory of temporary files, as
/// on macOS; on Windows it is in `%LOCALAPPDATA%`.
pub fn directory() -> io::Result<PathBuf> {
    let directory = place()?;
    make(&directory)?;
    Ok(directory)
}

#[cfg(unix)]
fn place() -> io::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    if let Some(runtime) = runtime.filter(|runtime| runtime.is_absolute() && runtime.is_dir()) {
        return Ok(runtime.join("guardhouse"));
    }
    let user = rustix::process::geteuid().as_raw();
    Ok(std::env::temp_dir().join(format!("guardhouse-{user}")))
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

/// A new file that only its user can read.
fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn what_a_killed_main_has_left_is_no_main_and_is_tidied_away() {
        let folder = Folder::new();
        let mut dead = meeting("one");
        let socket = folder.0.join("a.sock");
        std::fs::write(&socket, "").unwrap();
        dead.socket = Some(socket.clone());
        let dead = dead.post(&folder.0).unwrap();
        // As the system does when a process ends, whichever way.
        dead.lock.unlock().unwrap();
        assert_eq!(Meeting::read(dead.path()).unwrap(), None);
        let alive = meeting("one").post(&folder.0).unwrap();
        tidy(&folder.0);
        assert!(!dead.path().exists() && !socket.exists());
        assert!(alive.path().exists());
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
