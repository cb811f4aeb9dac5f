//! A listening socket that can be closed and opened again, and a thread for each connection.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than anything takes that works.
pub(super) const GUARD: Duration = Duration::from_secs(20);

type Handler = Arc<dyn Fn(TcpStream, u64) + Send + Sync>;

/// Accepts connections on a port of its own until it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    wanted: Wanted,
    is_listening: bool,
    accepted: u64,
    /// Those that are open. Whoever handles one has the other half of it.
    open: HashMap<u64, TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Listen,
    Refuse,
    End,
}

impl Server {
    /// Starts one. Each connection is given to `handler` in a thread of its own, with its number.
    pub(super) fn start(handler: impl Fn(TcpStream, u64) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                wanted: Wanted::Listen,
                is_listening: true,
                accepted: 0,
                open: HashMap::new(),
                threads: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        let handler: Handler = Arc::new(handler);
        let thread = {
            let shared = shared.clone();
            std::thread::spawn(move || shared.run(listener, address, &handler))
        };
        Self { address, shared, thread: Some(thread) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listening socket and all connections.
    pub(super) fn refuse(&self) {
        self.want(Wanted::Refuse);
        self.close_connections();
    }

    /// Listens again, at the same port.
    pub(super) fn listen(&self) {
        self.want(Wanted::Listen);
    }

    /// How many connections there were.
    pub(super) fn accepted(&self) -> u64 {
        self.shared.state.lock().unwrap().accepted
    }

    /// Waits until no connection is open any more; how many are, if that takes too long.
    pub(super) fn wait_until_unconnected(&self) -> usize {
        let state = self.shared.state.lock().unwrap();
        let waited =
            self.shared.changed.wait_timeout_while(state, GUARD, |state| !state.open.is_empty());
        waited.unwrap().0.open.len()
    }

    /// Closes all connections, and returns when that is done.
    pub(super) fn close_connections(&self) {
        for stream in self.shared.state.lock().unwrap().open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.wait_until_unconnected();
    }

    fn want(&self, wanted: Wanted) {
        let mut state = self.shared.state.lock().unwrap();
        state.wanted = wanted;
        self.shared.changed.notify_all();
        if wanted != Wanted::Listen && state.is_listening {
            // Whoever waits for a connection sees what is wanted when there is one.
            drop(TcpStream::connect(self.address));
        }
        let is_wanted = wanted == Wanted::Listen;
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, GUARD, |state| state.is_listening != is_wanted);
        let state = waited.unwrap().0;
        let is_listening = state.is_listening;
        drop(state);
        assert_eq!(is_listening, is_wanted, "the port {} can be had again", self.address.port());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.want(Wanted::End);
        self.close_connections();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let threads = std::mem::take(&mut self.shared.state.lock().unwrap().threads);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(self: &Arc<Self>, listener: TcpListener, address: SocketAddr, handler: &Handler) {
        let mut listener = Some(listener);
        loop {
            while let Some(listener) = &listener {
                let stream = listener.accept();
                let mut state = self.state.lock().unwrap();
                if state.wanted != Wanted::Listen {
                    break;
                }
                if let Ok((stream, _)) = stream {
                    self.serve(&mut state, stream, handler);
                }
            }
            drop(listener.take());
            // Nobody else may get the port meanwhile.
            let held = hold(address);
            let mut state = self.state.lock().unwrap();
            state.is_listening = false;
            self.changed.notify_all();
            let waited = self.changed.wait_while(state, |state| state.wanted == Wanted::Refuse);
            let mut state = waited.unwrap();
            if state.wanted == Wanted::End {
                return;
            }
            drop(held);
            listener = TcpListener::bind(address).ok();
            state.is_listening = listener.is_some();
            self.changed.notify_all();
            if listener.is_none() {
                return;
            }
        }
    }

    fn serve(self: &Arc<Self>, state: &mut State, stream: TcpStream, handler: &Handler) {
        let Ok(half) = stream.try_clone() else { return };
        let number = state.accepted;
        state.accepted += 1;
        state.open.insert(number, half);
        let (shared, handler) = (self.clone(), handler.clone());
        state.threads.retain(|thread| !thread.is_finished());
        state.threads.push(std::thread::spawn(move || {
            // Also if the handler panics it is no longer open.
            let _open = Open { shared, number };
            handler(stream, number);
        }));
        self.changed.notify_all();
    }
}

/// A socket that has the port and refuses whoever connects.
#[cfg(unix)]
fn hold(address: SocketAddr) -> Option<std::os::fd::OwnedFd> {
    use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).ok()?;
    sockopt::set_socket_reuseaddr(&socket, true).ok()?;
    bind(&socket, &address).ok()?;
    Some(socket)
}

#[cfg(not(unix))]
fn hold(_address: SocketAddr) -> Option<TcpListener> {
    None
}

struct Open {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock().unwrap();
        state.open.remove(&self.number);
        self.shared.changed.notify_all();
    }
}
