//! Where main listens for native renderers, and the note that says so.
//!
//! What the mode does not ask for does not exist: no socket without the classic way, no port without
//! the protocol. What cannot be opened costs a way, or all of them, but never the application: debug
//! output says why, and children that main starts itself still inherit their socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use guardhouse_process::meeting::{self, Meeting, Place, Posted};
use guardhouse_protocol::frame::Proof;
use guardhouse_protocol::{IpcMode, Namespace};

use super::renderers::Entrance;
use super::{Service, classic, protocol};
use crate::house::House;

/// What is open, from [`open`](Self::open) until it is dropped.
#[derive(Debug)]
pub(crate) struct Listeners {
    posted: Option<Posted>,
    socket: Option<Socket>,
    port: Option<std::net::TcpListener>,
}

/// The socket of the classic way, and where it lies.
#[derive(Debug)]
struct Socket {
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
        spool: Option<&Path>,
    ) -> Self {
        let mut listeners = Self { posted: None, socket: None, port: None };
        let mut note = Meeting::new(namespace.clone(), proof);
        note.spool = spool.map(Path::to_owned);
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
        if let Some(socket) = &self.socket
            && let Err(error) = socket.listen(&service)
        {
            house.say(format_args!("renderers cannot use the classic way: {error}"));
        }
        if let Some(port) = self.port.take() {
            match tokio::net::TcpListener::from_std(port) {
                Ok(port) => drop(tokio::spawn(protocol::listen(service, port))),
                Err(error) => house.say(format_args!("renderers cannot use the protocol: {error}")),
            }
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
        Ok(stream) => drop(tokio::spawn(classic::serve(service, stream, Entrance::Inherited))),
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
        Ok(Self { listener, path })
    }

    fn listen(&self, service: &Service) -> io::Result<()> {
        let listener = tokio::net::UnixListener::from_std(self.listener.try_clone()?)?;
        drop(tokio::spawn(accept(service.clone(), listener)));
        Ok(())
    }
}

#[cfg(unix)]
async fn accept(service: Service, listener: tokio::net::UnixListener) {
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
            classic::serve(service, stream, entrance).await;
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

    fn listen(&self, service: &Service) -> io::Result<()> {
        let name = self.path.display().to_string();
        let first = guardhouse_crash::pipe::create(&name, true)?;
        drop(tokio::spawn(accept(service.clone(), name, first)));
        Ok(())
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
            classic::serve(service, stream, entrance).await;
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
