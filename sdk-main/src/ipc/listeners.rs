//! Where main listens for native renderers, and the note that says so.
//!
//! What the mode does not ask for does not exist: no socket without the classic way, no port without
//! the protocol. What cannot be opened costs a way, or all of them, but never the application: debug
//! output says why, and children that main starts itself still inherit their socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use guardhouse_crash::directory_watch::DirectoryWatch;
#[cfg(unix)]
use guardhouse_crash::fork;
use guardhouse_crash::fork::Own;
use guardhouse_process::meeting::{self, Meeting, Place, Posted};
use guardhouse_protocol::frame::Proof;
use guardhouse_protocol::{IpcMode, Namespace, RunId};
use tokio::task::AbortHandle;

use super::renderers::Entrance;
use super::{Service, classic, protocol};
use crate::house::House;

/// What is open, from [`open`](Self::open) until it is dropped.
#[derive(Debug)]
pub(crate) struct Listeners {
    posted: Option<Posted>,
    socket: Option<Socket>,
    port: Option<std::net::TcpListener>,
    /// Accepts connections at the socket.
    accepting: Option<AbortHandle>,
    /// Notices when the note or the socket is removed.
    watch: Option<DirectoryWatch>,
    /// When it is looked whether they are there, and made anew; and how often that has failed.
    look_at: Option<Instant>,
    failures: u32,
}

/// So long after something was removed it is looked what: whoever removes a directory is not disturbed
/// in the middle of it.
const LOOK_AFTER: Duration = Duration::from_millis(200);

/// So often it is tried to make the note anew, each time twice as long after the time before.
const TRIES: u32 = 12;

/// The socket of the classic way, and where it lies.
#[derive(Debug)]
struct Socket {
    #[cfg(unix)]
    _kept: fork::NotForChildren,
    #[cfg(unix)]
    listener: std::os::unix::net::UnixListener,
    path: PathBuf,
}

impl Listeners {
    /// Opens what the mode asks for and writes the note.
    pub(crate) fn open(
        house: &House,
        mode: IpcMode,
        namespace: &Namespace,
        proof: Proof,
        spool: Option<(&Path, RunId)>,
    ) -> Self {
        let mut listeners = Self {
            posted: None,
            socket: None,
            port: None,
            accepting: None,
            watch: None,
            look_at: None,
            failures: 0,
        };
        let mut note = Meeting::new(namespace.clone(), proof);
        note.spool = spool.map(|(directory, _)| directory.to_owned());
        note.run = spool.map(|(_, run)| run);
        if mode.has_protocol() {
            match open_port() {
                Ok(port) => {
                    note.address = port.local_addr().ok();
                    listeners.port = Some(port);
                }
                Err(error) => house.say(format_args!(
                    "renderers cannot use the protocol, as there is no port to listen on: {error}"
                )),
            }
        }
        let directory = match meeting::directory() {
            Ok(directory) => directory,
            Err(error) => {
                house.say(format_args!(
                    "only children that are started with `guardhouse` find main, as there is no \
                     directory to leave a note in: {error}"
                ));
                return listeners;
            }
        };
        note.after = meeting::tidy(&directory, namespace);
        // Before there is a socket, so that none stays behind which nobody knows to be dead.
        let place = match Place::claim(&directory) {
            Ok(place) => place,
            Err(error) => {
                cannot_leave_note(house, &directory, &error);
                return listeners;
            }
        };
        if mode.has_classic() {
            match Socket::open(&place) {
                Ok(socket) => {
                    note.socket = Some(socket.path.clone());
                    listeners.socket = Some(socket);
                }
                Err(error) => house.say(format_args!(
                    "only children that are started with `guardhouse` can use the classic way, as \
                     there is no socket to listen on: {error}"
                )),
            }
        }
        match note.post_at(place) {
            Ok(posted) => listeners.posted = Some(posted),
            Err(error) => cannot_leave_note(house, &directory, &error),
        }
        listeners
    }

    /// Where the note lies, if there is one.
    pub(crate) fn note(&self) -> Option<&Path> {
        self.posted.as_ref().map(Posted::path)
    }

    /// Listens. It has to be called on the SDK thread's runtime, which ends it.
    pub(crate) fn listen(&mut self, house: &Arc<House>) {
        let service = Service::new(house.clone());
        self.listen_at_socket(&service);
        self.watch_directory(house);
        if let Some(port) = self.port.take() {
            match tokio::net::TcpListener::from_std(port) {
                Ok(port) => drop(tokio::spawn(protocol::listen(service, port))),
                Err(error) => house.say(format_args!("renderers cannot use the protocol: {error}")),
            }
        }
    }
}

/// What becomes of them when somebody removes their files.
impl Listeners {
    /// Ends when something was removed where the note lies. May be dropped and called anew.
    pub(crate) async fn disturbed(&mut self) {
        let Some(watch) = &self.watch else { return std::future::pending().await };
        if watch.removed().await.is_err() {
            self.watch = None;
        }
        self.look_at.get_or_insert(Instant::now() + LOOK_AFTER);
    }

    /// When it has to be looked whether everything is there.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.look_at
    }

    /// Makes anew what was removed, under the same names: children that are there know them.
    pub(crate) fn handle_time(&mut self, house: &Arc<House>) {
        let now = Instant::now();
        if self.look_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        match self.make_anew(house) {
            Ok(()) => self.failures = 0,
            Err(error) => {
                self.failures += 1;
                house.say(format_args!(
                    "renderers do not find main, since its files were removed and cannot be made \
                     anew: {error}"
                ));
                if self.failures < TRIES {
                    self.look_at = Some(now + LOOK_AFTER * 2_u32.pow(self.failures));
                }
            }
        }
    }

    fn make_anew(&mut self, house: &Arc<House>) -> io::Result<()> {
        let Some(posted) = &mut self.posted else { return Ok(()) };
        let has_socket =
            posted.meeting().socket.is_none() || self.socket.as_ref().is_some_and(Socket::is_there);
        if posted.is_there() && has_socket {
            return Ok(());
        }
        posted.claim_again()?;
        if !has_socket {
            // Its path is free before another one is there.
            self.socket = None;
            self.socket = Some(Socket::open(posted.place())?);
            self.listen_at_socket(&Service::new(house.clone()));
        }
        if let Some(posted) = &self.posted {
            posted.write()?;
        }
        house.say(format_args!(
            "the files by which renderers find main were removed, and made anew"
        ));
        self.watch_directory(house);
        Ok(())
    }

    fn listen_at_socket(&mut self, service: &Service) {
        if let Some(former) = self.accepting.take() {
            former.abort();
        }
        match self.socket.as_ref().map(|socket| socket.listen(service)) {
            Some(Ok(accepting)) => self.accepting = Some(accepting),
            Some(Err(error)) => {
                service.say_in_debug(format_args!("renderers cannot use the classic way: {error}"));
            }
            None => {}
        }
    }

    fn watch_directory(&mut self, house: &House) {
        let directory = self.posted.as_ref().and_then(|posted| posted.path().parent());
        self.watch = match directory.map(DirectoryWatch::new) {
            Some(Ok(watch)) => Some(watch),
            Some(Err(error)) => {
                house.say(format_args!(
                    "if the files by which renderers find main are removed, main will not notice: {error}"
                ));
                None
            }
            None => None,
        };
        // What was removed before it was watched nobody tells.
        if self.watch.is_some() && !self.posted.as_ref().is_some_and(Posted::is_there) {
            self.look_at.get_or_insert(Instant::now() + LOOK_AFTER);
        }
    }
}

fn cannot_leave_note(house: &House, directory: &Path, error: &io::Error) {
    house.say(format_args!(
        "only children that are started with `guardhouse` find main, as no note can be left in {}: \
         {error}",
        directory.display()
    ));
}

fn open_port() -> io::Result<std::net::TcpListener> {
    let port = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    port.set_nonblocking(true)?;
    Ok(port)
}

/// A socket that main hands to a process that it starts.
#[cfg(unix)]
pub(crate) fn serve_inherited(house: &Arc<House>, socket: std::os::unix::net::UnixStream) {
    let service = Service::new(house.clone());
    let stream =
        socket.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(socket));
    match stream {
        Ok(stream) => {
            drop(tokio::spawn(classic::serve(service, Own::new(stream), Entrance::Inherited)));
        }
        Err(error) => house.say(format_args!("a child cannot use its socket: {error}")),
    }
}

/// So long nothing is accepted after the system refused, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

#[cfg(unix)]
impl Socket {
    fn open(place: &Place) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let path = place.socket();
        let listener = std::os::unix::net::UnixListener::bind(&path)?;
        // Nobody else can enter the directory, and nobody else could open this if they did.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { _kept: fork::keep(&listener), listener, path })
    }

    fn is_there(&self) -> bool {
        self.path.exists()
    }

    fn listen(&self, service: &Service) -> io::Result<AbortHandle> {
        let listener = tokio::net::UnixListener::from_std(self.listener.try_clone()?)?;
        Ok(tokio::spawn(accept(service.clone(), listener)).abort_handle())
    }
}

#[cfg(unix)]
async fn accept(service: Service, listener: tokio::net::UnixListener) {
    let _kept = fork::keep(&listener);
    let own = rustix::process::geteuid().as_raw();
    let mut pause = PAUSES.0;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // The system lacks something, such as descriptors, which others may give back.
                service.say_in_debug(format_args!("a connection cannot be accepted: {error}"));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
                continue;
            }
        };
        pause = PAUSES.0;
        let peer = match stream.peer_cred() {
            Ok(peer) if peer.uid() == own => peer,
            Ok(peer) => {
                service.turn_away(
                    "user",
                    format_args!("a process of another user ({}) was not let in", peer.uid()),
                );
                continue;
            }
            Err(_) => continue,
        };
        let Some(share) = service.room().classic() else {
            service.turn_away("connections", format_args!("there are too many connections"));
            continue;
        };
        let entrance = Entrance::Socket { pid: peer.pid().and_then(|pid| u32::try_from(pid).ok()) };
        let service = service.clone();
        tokio::spawn(async move {
            classic::serve(service, Own::new(stream), entrance).await;
            drop(share);
        });
    }
}

#[cfg(windows)]
impl Socket {
    /// Chooses a name that nobody can guess. The pipe itself needs the SDK thread's runtime.
    fn open(_place: &Place) -> io::Result<Self> {
        let name = uuid::Uuid::new_v4().simple();
        Ok(Self { path: PathBuf::from(format!(r"\\.\pipe\guardhouse-{name}")) })
    }

    /// Nobody can remove a pipe.
    fn is_there(&self) -> bool {
        true
    }

    fn listen(&self, service: &Service) -> io::Result<AbortHandle> {
        let name = self.path.display().to_string();
        let first = guardhouse_crash::pipe::create(&name, true)?;
        Ok(tokio::spawn(accept(service.clone(), name, first)).abort_handle())
    }
}

/// Only the current user can open the pipe; the system sees to that.
#[cfg(windows)]
async fn accept(
    service: Service,
    name: String,
    mut waiting: tokio::net::windows::named_pipe::NamedPipeServer,
) {
    use guardhouse_crash::pipe;

    let mut pause = PAUSES.0;
    loop {
        let connected = waiting.connect().await;
        // The next has somewhere to knock before this one is served.
        let next = loop {
            match pipe::create(&name, false) {
                Ok(next) => break next,
                Err(error) => {
                    service.say_in_debug(format_args!("no pipe can be made: {error}"));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        };
        pause = PAUSES.0;
        let stream = std::mem::replace(&mut waiting, next);
        if connected.is_err() {
            continue;
        }
        let Some(share) = service.room().classic() else {
            service.turn_away("connections", format_args!("there are too many connections"));
            continue;
        };
        let entrance = Entrance::Socket { pid: pipe::client_process_id(&stream).ok() };
        let service = service.clone();
        tokio::spawn(async move {
            classic::serve(service, Own::new(stream), entrance).await;
            drop(share);
        });
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        #[cfg(unix)]
        let _ = std::fs::remove_file(&self.path);
    }
}
