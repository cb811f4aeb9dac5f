//! How main is reached: the classic way, which is a socket, and the protocol, which is HTTP on the
//! loopback interface.
//!
//! [`Ways`] finds main and opens a [`Line`] to it. Whatever the way, a line is the same to whoever has
//! it: frames go in, frames come out, and at last the news that it has ended. Ways promise that no
//! attempt lasts longer than its time limits, that a line that is dropped leaves nothing behind, and
//! that what was not answered when a line ended may be said again on the next. When to try again, and
//! what to say, they leave to the thread.

mod backoff;
mod classic;
mod protocol;
mod search;

use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use guardhouse_process::lock;
use guardhouse_process::meeting::Meeting;
use guardhouse_protocol::frame::{
    Frame, Hello, MessageId, Proof, Rejection, RejectionReason, RendererName, Role, Welcome,
};
use guardhouse_protocol::{IpcMode, Namespace};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) use backoff::Backoff;
pub(crate) use search::{Search, is_of_ancestor, namespace_of_environment};

use crate::house::Way;

/// How long it may take to be connected, and how long to be welcomed.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many frames wait for either direction of a line.
const FRAMES: usize = 32;

/// Where a note of main lies, and what it says.
pub(crate) type Found = (PathBuf, Meeting);

/// The socket that main has handed over to this process.
#[cfg(unix)]
pub(crate) type Inherited = std::os::fd::OwnedFd;
#[cfg(not(unix))]
pub(crate) type Inherited = std::convert::Infallible;

/// Who is to be welcomed.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) namespace: Namespace,
    pub(crate) role: Role,
    pub(crate) name: RendererName,
}

impl Identity {
    pub(crate) fn hello(&self, proof: Proof) -> Hello {
        let Self { namespace, role, name } = self.clone();
        Hello::new(namespace, role, name, std::process::id(), proof)
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Ways {
    identity: Identity,
    mode: IpcMode,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    search: Search,
    inherited: Option<Inherited>,
    /// What the last main said, and the proof that it is known by.
    welcome: Option<(Option<Proof>, Welcome)>,
    /// Whether main is believed to know what it said.
    is_welcome: bool,
    /// The main that was found last, unless it has refused this process.
    found: Option<Meeting>,
}

/// A connection to main, after it said welcome. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) way: Way,
    pub(crate) welcome: Welcome,
    pub(crate) main: Option<Found>,
    /// So many messages may be under way on it.
    pub(crate) depth: usize,
    pub(crate) outgoing: mpsc::Sender<Frame>,
    pub(crate) incoming: mpsc::Receiver<Heard>,
    tasks: Tasks,
}

/// What comes over a line.
#[derive(Debug)]
pub(crate) enum Heard {
    Frame(Frame),
    /// Main does not know the place of a stream; it has to be opened again.
    Reopen(MessageId),
    /// The line is of no use any more, and why.
    Ended(String),
    /// Nor is it if main does not know what it said in its welcome: it wants a hello again.
    Unknown(String),
}

/// Why there is no line.
#[derive(Debug)]
pub(crate) enum NoWay {
    /// No main can be seen.
    NoMain,
    /// Main is there, and does not let us in.
    Rejected(Rejection),
    /// Main could not be reached, or did not behave.
    Failed(String),
}

impl NoWay {
    /// Whether it makes no sense to try again soon.
    pub(crate) fn is_lasting(&self) -> bool {
        let Self::Rejected(rejection) = self else { return false };
        !matches!(rejection.reason(), RejectionReason::Busy | RejectionReason::Malformed)
    }
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMain => f.write_str(
                "there is no main to report to; what is captured waits, and is left in the spool \
                 directory if there is one",
            ),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Failed(why) => write!(f, "main could not be reached: {why}"),
        }
    }
}

impl Ways {
    pub(crate) fn new(
        identity: Identity,
        mode: IpcMode,
        search: Search,
        inherited: Option<Inherited>,
    ) -> Self {
        let known = Known { search, inherited, welcome: None, is_welcome: false, found: None };
        Self { identity, mode, known: Mutex::new(known) }
    }

    /// The namespace in which main is looked for.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.identity.namespace
    }

    /// Finds main, and opens the best line to it that there is.
    pub(crate) async fn open(&self) -> Result<Line, NoWay> {
        if self.mode.has_classic()
            && let Some(line) = self.open_inherited().await
        {
            return line;
        }
        let found = lock(&self.known).search.find(&self.identity.namespace);
        let main = found.ok_or(NoWay::NoMain)?;
        let opened = self.open_to(&main).await;
        let is_refused = matches!(opened, Err(NoWay::Rejected(_)));
        lock(&self.known).found = Some(main.1).filter(|_| !is_refused);
        opened
    }

    async fn open_to(&self, main: &Found) -> Result<Line, NoWay> {
        let mut reasons = Vec::new();
        if self.mode.has_classic() && main.1.socket.is_some() {
            match self.open_classic(main).await {
                Err(NoWay::Failed(why)) => reasons.push(why),
                decided => return decided,
            }
        }
        if self.mode.has_protocol()
            && let Some(address) = main.1.address
        {
            let hello = self.hello(&main.1);
            // What was said on one way serves on the other.
            let is_welcome = lock(&self.known).is_welcome;
            let welcome = self.welcome_of(&main.1).filter(|_| is_welcome);
            match protocol::open(address, &main.0, &hello, welcome).await {
                Ok(line) => return Ok(self.opened(line, Some(main.clone()))),
                Err(NoWay::Failed(why)) => reasons.push(why),
                Err(other) => return Err(other),
            }
        }
        if reasons.is_empty() {
            let mode = self.mode;
            reasons.push(format!("it offers no way that the mode \"{mode}\" could use"));
        }
        Err(NoWay::Failed(reasons.join("; ")))
    }

    /// Opens a line over the socket of this main.
    pub(crate) async fn open_classic(&self, main: &Found) -> Result<Line, NoWay> {
        let Some(socket) = &main.1.socket else {
            return Err(NoWay::Failed("main has no socket".to_owned()));
        };
        let line = classic::open(socket, &self.hello(&main.1)).await?;
        Ok(self.opened(line, Some(main.clone())))
    }

    /// Whether a line of this way could be a better one.
    pub(crate) fn could_be_better(&self, line: &Line) -> bool {
        let has_socket = line.main.as_ref().is_some_and(|(_, main)| main.socket.is_some());
        line.way == Way::Protocol && self.mode.has_classic() && has_socket
    }

    /// What our main says of itself, whether it can be reached or not. One that was found and has died
    /// before it could be reached counts as well.
    pub(crate) fn endpoint(&self) -> Option<Meeting> {
        let known = lock(&self.known);
        known.search.endpoint(&self.identity.namespace).or_else(|| known.found.clone())
    }

    /// A line to this main has ended. From now on only it is main, or if it is dead, one that comes
    /// after it.
    pub(crate) fn lose(&self, line: &Line) {
        lock(&self.known).search.lose(line.main.clone());
    }

    /// Whether the main that was lost is known to be dead.
    pub(crate) fn is_main_dead(&self) -> bool {
        lock(&self.known).search.is_former_dead()
    }

    /// Main does not recognise what it said before.
    pub(crate) fn doubt_welcome(&self) {
        lock(&self.known).is_welcome = false;
    }

    fn welcome_of(&self, main: &Meeting) -> Option<Welcome> {
        let known = lock(&self.known);
        let (proof, welcome) = known.welcome.as_ref()?;
        (proof.as_ref() == Some(&main.proof)).then(|| welcome.clone())
    }

    fn hello(&self, main: &Meeting) -> Hello {
        let mut hello = self.identity.hello(main.proof.clone());
        hello.resume = self.welcome_of(main).map(|welcome| welcome.resume());
        hello
    }

    fn opened(&self, mut line: Line, main: Option<Found>) -> Line {
        let proof = main.as_ref().map(|(_, main)| main.proof.clone());
        let mut known = lock(&self.known);
        known.welcome = Some((proof, line.welcome.clone()));
        known.is_welcome = true;
        drop(known);
        line.main = main;
        line
    }

    #[cfg(unix)]
    async fn open_inherited(&self) -> Option<Result<Line, NoWay>> {
        let socket = lock(&self.known).inherited.take()?;
        // The socket itself shows that main wants this process.
        let hello = self.identity.hello(Proof::new([0; 32]));
        match classic::take_over(socket, &hello).await {
            Ok(line) => {
                let main = lock(&self.known).search.parent(&self.identity.namespace);
                Some(Ok(self.opened(line, main)))
            }
            Err(rejected @ NoWay::Rejected(_)) => Some(Err(rejected)),
            // Main may be found by its note all the same.
            Err(_) => None,
        }
    }

    #[cfg(not(unix))]
    async fn open_inherited(&self) -> Option<Result<Line, NoWay>> {
        match lock(&self.known).inherited.take()? {}
    }
}

/// The socket that main has handed over to this process, if it has.
pub(crate) fn inherited() -> Option<Inherited> {
    #[cfg(unix)]
    return guardhouse_crash::inherit::take(guardhouse_process::meeting::SOCKET_VARIABLE);
    #[cfg(not(unix))]
    None
}

impl Line {
    fn new(
        (way, depth): (Way, usize),
        welcome: Welcome,
        outgoing: mpsc::Sender<Frame>,
        incoming: mpsc::Receiver<Heard>,
        tasks: Vec<JoinHandle<()>>,
    ) -> Self {
        let tasks = Tasks(tasks);
        Self { way, welcome, main: None, depth, outgoing, incoming, tasks }
    }

    /// Says goodbye, and ends when that is said.
    pub(crate) async fn say_goodbye(mut self) {
        if self.outgoing.send(Frame::Goodbye).await.is_ok()
            && let Some(speaking) = self.tasks.0.first_mut()
        {
            let _ = speaking.await;
        }
    }
}

/// Tasks that end with whoever has them. The first is the one that speaks.
#[derive(Debug)]
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use guardhouse_process::meeting::Posted;
    use uuid::Uuid;

    use super::*;

    /// A main that has said where it can be reached, and does not listen there.
    fn post(directory: &std::path::Path) -> Posted {
        let mut main = Meeting::new(Namespace::DEFAULT, Proof::new([7; 32]));
        main.socket = Some(directory.join("nobody-listens"));
        main.spool = Some(directory.join("renderers"));
        main.post(directory).unwrap()
    }

    #[test]
    fn a_main_that_has_died_before_it_could_be_reached_says_where_to_leave_things() {
        let directory = std::env::temp_dir().join(format!("guardhouse-test-{}", Uuid::new_v4()));
        std::fs::create_dir(&directory).unwrap();
        let main = post(&directory);
        let identity = Identity {
            namespace: Namespace::DEFAULT,
            role: Role::Renderer,
            name: RendererName::new("settings").unwrap(),
        };
        let search = Search::new(Some(directory.clone()), None);
        let ways = Ways::new(identity, IpcMode::Classic, search, None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert!(matches!(runtime.block_on(ways.open()), Err(NoWay::Failed(_))));
        drop(main);
        let endpoint = ways.endpoint().unwrap();
        assert_eq!(endpoint.spool, Some(directory.join("renderers")));
        assert!(matches!(runtime.block_on(ways.open()), Err(NoWay::NoMain)));
        assert!(ways.endpoint().is_some());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
