//! The SDK thread: it takes what comes through the doorway, and sees to it that main gets it.
//!
//! There is one, with a runtime of its own, for sockets and timers. It sleeps while there is nothing to
//! do: a line to main over the classic way costs no wake-up. It dies of nothing: a panic, of ours or of
//! a function of the application that it calls, costs what is at hand.
//!
//! While there is no main it looks for one, ever more rarely, and leaves what was captured in the
//! [offline file](guardhouse_process::offline_file), for the case that the process ends before a main
//! comes. So it does when somebody flushes in vain: then it may end soon. While there is a main, the file
//! takes what is more than may be in memory, and is read again when that is main's turn.

mod closing;
mod connecting;
mod keeping;
#[cfg(all(test, unix))]
mod tests;
mod visits;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use guardhouse_crash::process::is_stopped;
use guardhouse_process::attach::{Source, read_aside};
use guardhouse_process::meeting::Meeting;
use guardhouse_process::offline_file::Entry;
use guardhouse_process::probe::Probe;
use guardhouse_protocol::frame::{RendererName, Role};
use guardhouse_protocol::{Channel, Config, IpcMode, Namespace, Trace};
use sentry::Hub;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::courier::{Bounds, Courier, Said};
use crate::house::House;
use crate::ways::{Heard, Identity, Line, NoWay, Search, Ways, inherited};
use closing::Closing;
use connecting::Connecting;
use keeping::Keeping;

/// So many visits are taken before main has its turn.
const VISITS_AT_ONCE: usize = 64;

/// Everything that the thread has to know.
pub(crate) struct Orders {
    pub(crate) namespace: Namespace,
    /// Whether the application has, so that no other has the same.
    pub(crate) is_namespace_chosen: bool,
    pub(crate) mode: IpcMode,
    pub(crate) name: RendererName,
    pub(crate) role: Role,
    /// Where to leave what main has not taken, if no main was ever seen that says where.
    pub(crate) spool: Option<PathBuf>,
    /// So many messages wait for main in memory at most.
    pub(crate) max_items: usize,
    /// So many bytes of them.
    pub(crate) max_bytes: usize,
    /// So many breadcrumbs of the process itself are kept for a new main.
    pub(crate) max_breadcrumbs: usize,
    pub(crate) on_config: Box<dyn Fn(Config) + Send>,
    pub(crate) on_trace: Box<dyn Fn(Trace) + Send>,
    /// What chance starts from.
    pub(crate) seed: u64,
}

/// Starts the thread. Whoever calls it has touched `Hub::main()` before.
pub(crate) fn start(house: Arc<House>, orders: Orders) -> io::Result<JoinHandle<()>> {
    let Orders { namespace, is_namespace_chosen, role, name, .. } = &orders;
    let identity =
        Identity { namespace: namespace.clone(), role: role.clone(), name: name.clone() };
    let search = Search::of_environment(namespace, *is_namespace_chosen);
    let ways = Ways::new(identity, orders.mode, search, inherited());
    start_with(house, orders, ways)
}

fn start_with(house: Arc<House>, orders: Orders, ways: Ways) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || run(&house, orders, ways, runtime);
    std::thread::Builder::new().name("guardhouse".to_owned()).spawn(run)
}

fn run(house: &Arc<House>, orders: Orders, ways: Ways, runtime: Runtime) {
    house.enter();
    // The offline file may be larger than what the process may make, which is an error then.
    #[cfg(unix)]
    if let Err(error) = guardhouse_crash::signals::block_file_size_signal() {
        house.say(format_args!("a limit on the size of files may end the application: {error}"));
    }
    // However it ends, nobody should wait for it then.
    let _closed = CloseDoorway(house);
    // What panics here is no error of the application's that `sentry` should report.
    let silence = Arc::new(Hub::new(None, Arc::default()));
    let closing =
        Hub::run(silence, || runtime.block_on(Post::new(house.clone(), orders, ways).stand()));
    // The source of a stream may hang in a thread of the pool, which nobody should wait for.
    runtime.shutdown_background();
    if let Some(closing) = closing {
        closing.finish();
    }
}

struct CloseDoorway<'a>(&'a House);

impl Drop for CloseDoorway<'_> {
    fn drop(&mut self) {
        drop(self.0.doorway().close());
    }
}

/// What reading a piece of a stream has brought.
type Read = (u64, Option<(Source, Bytes, bool)>);

/// Everything that the thread has.
struct Post {
    house: Arc<House>,
    courier: Courier,
    connecting: Connecting,
    keeping: Keeping,
    /// The connection to main, if there is one.
    line: Option<Line>,
    /// Whether the line takes no more at the moment.
    is_line_full: bool,
    reading: JoinSet<Read>,
    probe: Probe,
    on_config: Box<dyn Fn(Config) + Send>,
    on_trace: Box<dyn Fn(Trace) + Send>,
    is_paused: bool,
    /// Whether the present main has said what it wants.
    has_config: bool,
    closing: Option<Closing>,
}

/// Why the thread woke up.
enum Event {
    Visited,
    Heard(Option<Heard>),
    Opened(Result<Line, NoWay>),
    OpenedBetter(Result<Line, NoWay>),
    Read(Option<Read>),
    Room,
    Time,
}

impl Post {
    fn new(house: Arc<House>, orders: Orders, ways: Ways) -> Self {
        let bounds = Bounds { items: orders.max_items.max(1), bytes: orders.max_bytes };
        let Orders { name, spool, max_breadcrumbs, on_config, on_trace, seed, .. } = orders;
        Self {
            house,
            courier: Courier::new(bounds, max_breadcrumbs),
            connecting: Connecting::new(ways, seed),
            keeping: Keeping::new(spool, name.as_str()),
            line: None,
            is_line_full: false,
            reading: JoinSet::new(),
            probe: Probe::default(),
            on_config,
            on_trace,
            is_paused: false,
            has_config: false,
            closing: None,
        }
    }

    /// Works until it is closed.
    async fn stand(mut self) -> Option<Closing> {
        loop {
            let mut is_idle = true;
            for taken in 0.. {
                if taken == VISITS_AT_ONCE {
                    is_idle = false;
                    break;
                }
                let Some(visit) = self.house.doorway().next() else { break };
                self.guarded(|post| post.handle(visit));
            }
            let mut wake = None;
            self.guarded(|post| wake = post.step());
            if self.closing.as_ref().is_some_and(Closing::is_over) {
                return self.leave().await;
            }
            let event = self.rest(wake, is_idle).await;
            self.guarded(|post| post.wake_for(event));
        }
    }

    /// Sleeps until there is something to do.
    async fn rest(&mut self, wake: Option<Instant>, is_idle: bool) -> Event {
        let timer = async {
            match wake {
                _ if !is_idle => {}
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let is_full = self.is_line_full;
        let line = async {
            let Some(line) = &mut self.line else { return std::future::pending().await };
            tokio::select! {
                biased;
                heard = line.incoming.recv() => Event::Heard(heard),
                _ = line.outgoing.reserve(), if is_full => Event::Room,
            }
        };
        let reading = async {
            match self.reading.join_next().await {
                Some(read) => Event::Read(read.ok()),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            event = line => event,
            event = self.connecting.opened() => event,
            event = reading => event,
            () = self.house.doorway().visited() => Event::Visited,
            () = timer => Event::Time,
        }
    }

    fn wake_for(&mut self, event: Event) {
        match event {
            Event::Visited | Event::Time | Event::Room => {}
            Event::Heard(Some(Heard::Frame(frame))) => {
                if let Some(said) = self.courier.handle(frame) {
                    self.hear(said);
                }
            }
            Event::Heard(Some(Heard::Reopen(id))) => self.courier.reopen(id),
            Event::Heard(Some(Heard::Unknown(why))) => {
                self.connecting.doubt_welcome();
                self.lose_line(&why);
            }
            Event::Heard(Some(Heard::Ended(why))) => self.lose_line(&why),
            Event::Heard(None) => self.lose_line("the connection to main is closed"),
            Event::Opened(Ok(line)) | Event::OpenedBetter(Ok(line)) if self.line.is_none() => {
                self.take_line(line);
            }
            Event::Opened(Ok(line)) | Event::OpenedBetter(Ok(line)) => {
                self.connecting.keep_better(line);
            }
            Event::Opened(Err(no_way)) => {
                self.connecting.failed(&no_way, &self.house);
                if let Some(main) = self.connecting.main_out_of_reach(&no_way) {
                    self.learn(&main);
                }
                if self.connecting.is_main_dead() {
                    self.keeping.disconnected(true);
                }
                // Nobody should wait for a main that is not there.
                if self.courier.has_flush() {
                    self.put_into_file();
                    self.courier.fail_flushes();
                }
            }
            Event::OpenedBetter(Err(_)) => self.connecting.no_better(),
            Event::Read(Some((key, read))) => self.courier.handle_read(key, read),
            Event::Read(None) => {}
        }
    }

    fn hear(&mut self, said: Said) {
        match said {
            Said::Config(config) => {
                self.is_paused = config.paused == Some(true);
                self.has_config = true;
                self.courier.set_paused(self.is_paused);
                (self.on_config)(config);
            }
            Said::Trace(trace) => (self.on_trace)(trace),
            Said::Declined { reason, is_captured } => {
                if is_captured {
                    self.house.lose_uncounted();
                }
                self.house.say(format_args!("main has declined something: {reason}"));
            }
        }
    }

    /// Does what there is to do now. Says when there is something to do again.
    fn step(&mut self) -> Option<Instant> {
        let now = Instant::now();
        if self.courier.has_flush_until(now) {
            self.put_into_file();
        }
        let mut wakes = vec![self.courier.expire_flushes(now), self.beat(now)];
        if let Some(better) = self.connecting.poll_better(now, self.courier.is_under_way()) {
            self.house.say(format_args!("the classic way is there again"));
            self.take_line(better);
        }
        self.feed();
        while let Some((key, source)) = self.courier.poll_read() {
            // It is the application's, and may wait or panic; either costs the stream only.
            self.reading.spawn(async move { (key, read_aside(source).await) });
        }
        wakes.push(self.connecting.step(now, self.line.as_ref()));
        if self.line.is_none() {
            if self.keeping.is_due(now, &self.courier) {
                self.put_into_file();
            }
            wakes.push(self.keeping.timeout(&self.courier).filter(|at| *at > now));
        }
        self.keeping.settle(&mut self.courier);
        let losses = self.courier.take_losses();
        for (category, _, quantity) in losses.iter() {
            self.house.say(format_args!(
                "too much waits for main, so something was given up: {category} {quantity}"
            ));
        }
        self.house.lose(&losses);
        let is_reachable = self.closing.is_some() && self.is_main_there();
        if let Some(closing) = &mut self.closing {
            // What is kept back will not be taken before the end.
            let is_stuck = self.is_paused && !self.courier.has_nothing();
            wakes.push(Some(closing.look(now, is_reachable && !is_stuck)));
        }
        wakes.into_iter().flatten().min()
    }

    /// Gives the line as much as it takes.
    fn feed(&mut self) {
        self.is_line_full = false;
        let Some(line) = &self.line else { return };
        if self.connecting.has_better() {
            return;
        }
        let (room, depth) = (line.outgoing.capacity(), line.depth);
        let (mut frames, mut sent) = (Vec::new(), Vec::new());
        while frames.len() < room {
            let has_room = self.courier.is_below(depth);
            while has_room && let Some((order, place)) = self.courier.poll_load() {
                let loaded = self.keeping.load(place, &self.house);
                self.courier.handle_loaded(order, loaded);
            }
            let message = if has_room { self.courier.poll() } else { None };
            let Some((filed, frame)) =
                message.or_else(|| Some((None, self.courier.poll_stream()?)))
            else {
                break;
            };
            sent.extend(filed);
            frames.push(frame);
        }
        if !sent.is_empty() {
            // Before main can take it: if we are killed then, it has to know what it has taken.
            self.keeping.sent(Entry::Sent(sent));
        }
        self.is_line_full = frames.len() == room;
        for frame in frames {
            // There is room, as nobody else fills it; if the line has ended, that is heard soon.
            let _ = line.outgoing.try_send(frame);
        }
    }

    /// Whether somebody may answer soon: main is connected or may be found, and is not stopped.
    fn is_main_there(&self) -> bool {
        let is_stopped = |main: Option<&Meeting>| main.is_some_and(|it| is_stopped(it.pid));
        match &self.line {
            Some(line) => !is_stopped(line.main.as_ref().map(|(_, main)| main)),
            None => {
                self.connecting.is_hopeful() && !is_stopped(self.connecting.endpoint().as_ref())
            }
        }
    }

    /// Puts everything into the offline file that is not there yet.
    fn put_into_file(&mut self) {
        let now = Instant::now();
        if !self.courier.has_unfiled() || !self.keeping.may_write(now) {
            return;
        }
        self.find_directory();
        self.keeping.put(&mut self.courier, &self.house);
    }

    /// Main says in its endpoint file where to leave things, whether it can be reached or not.
    fn find_directory(&mut self) {
        if !self.keeping.knows_directory()
            && let Some(main) = self.connecting.endpoint()
        {
            self.learn(&main);
        }
    }

    /// Sees to it that no more is in memory than may be.
    fn bound_memory(&mut self) {
        if self.courier.is_over() {
            self.put_into_file();
            self.courier.release();
        }
        self.courier.make_room();
    }

    /// This is our main, whether it can be reached or not.
    fn learn(&mut self, main: &Meeting) {
        if let Some(directory) = &main.spool {
            self.keeping.learned(directory.clone());
        }
        if let Some(run) = main.run {
            self.courier.set_run_if_unknown(run);
        }
    }

    /// Says which threads are alive.
    fn beat(&mut self, now: Instant) -> Option<Instant> {
        let (beats, timeout) = {
            let mut heartbeats = self.house.heartbeats();
            (heartbeats.poll(now), heartbeats.timeout())
        };
        for beat in beats {
            self.courier.push(Channel::Status, beat, None);
        }
        timeout
    }

    fn take_line(&mut self, line: Line) {
        let run = line.main.as_ref().and_then(|(_, main)| main.run);
        let is_same_run = run.is_some() && run == self.courier.run();
        let is_new = self.courier.connect(line.welcome.renderer_id, is_same_run);
        if let Some((_, main)) = &line.main {
            self.learn(main);
        }
        if let Some(run) = run {
            self.courier.set_run(run);
        }
        // What a former main wanted binds nobody under one that says nothing.
        if is_new && self.has_config {
            self.hear(Said::Config(Config::default()));
            self.has_config = false;
        }
        let pid = line.main.as_ref().map_or(0, |(_, main)| main.pid);
        self.house.say(format_args!(
            "connected to {} main{} over the {} way",
            if is_new { "a new" } else { "the same" },
            if pid > 0 { format!(" (process {pid})") } else { String::new() },
            line.way.name()
        ));
        self.house.set_way(Some(line.way));
        self.connecting.connected();
        self.keeping.connected(line.welcome.renderer_id, &self.courier);
        self.take_scope();
        self.courier.state_scope();
        self.line = Some(line);
    }

    fn lose_line(&mut self, why: &str) {
        let Some(line) = self.line.take() else { return };
        self.house.set_way(None);
        self.courier.disconnect();
        let is_dead = self.connecting.lost(&line);
        self.house.say(format_args!("main is lost over the {} way: {why}", line.way.name()));
        self.keeping.disconnected(is_dead);
        drop(line);
        if let Some(better) = self.connecting.take_better() {
            self.take_line(better);
        }
    }

    /// Does something that may panic. Functions of the application are caught where they are called;
    /// this is for faults of ours, which may cost what is at hand, but not the reporting.
    fn guarded(&mut self, act: impl FnOnce(&mut Self)) {
        // What is half changed by a panic is bounded and judged anew each time, so it may be used.
        if catch_unwind(AssertUnwindSafe(|| act(self))).is_err() {
            self.house.say(format_args!("a fault of the SDK; what was at hand may be lost"));
        }
    }

    /// Does the last work.
    async fn leave(mut self) -> Option<Closing> {
        let mut closing = self.closing.take()?;
        self.house.set_way(None);
        closing.has_all = self.courier.has_nothing() && closing.is_durable();
        // First what could be lost, then what is only polite.
        self.courier.disconnect();
        self.find_directory();
        self.keeping.finish(&mut self.courier, &self.house);
        if let Some(line) = self.line.take()
            && !closing.is_panicking
        {
            let _ = tokio::time::timeout_at(closing.end().into(), line.say_goodbye()).await;
        }
        self.courier.give_up();
        Some(closing)
    }
}
