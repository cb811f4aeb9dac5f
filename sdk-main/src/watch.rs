//! The SDK thread: it takes what comes through the doorway, and drives everything else.
//!
//! There is one, with a runtime of its own, for messages, uploads and timers. It sleeps while there is
//! nothing to do. It dies of nothing: a panic, of ours or of a function of the application that it
//! calls, costs the message at hand.

mod attaching;
mod backlog;
mod batch;
mod closing;
mod ends;
mod flushes;
mod hearing;
mod life;
mod natives;
mod offline_files;
mod orders;
mod spotlight;
mod taking;
mod wishes;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SendError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use guardhouse_process::Random;
use guardhouse_process::probe::Probe;
use sentry::Hub;
use tokio::runtime::Runtime;
use uuid::Uuid;

pub(crate) use orders::Orders;

use crate::contexts::{self, Contexts};
use crate::error::InitError;
use crate::house::{House, Visit};
use crate::intake::{Intake, Patience};
use crate::ipc::Listeners;
use crate::ipc::heartbeats::Heartbeats;
use crate::losses::Reason;
use crate::merge::{Merge, OWN_CONTEXT};
use crate::options::{GetRendererName, RendererInfo};
use crate::outbox::Outbox;
use crate::streams::Streams;
use attaching::Attaching;
pub(crate) use attaching::{Attach, Attached};
use backlog::Backlog;
use batch::Batch;
use closing::Closing;
use flushes::Flushes;
use life::Life;
use natives::Natives;
use offline_files::OfflineFiles;
use spotlight::Spotlight;

/// So many visits are taken before timers and uploads have their turn.
const VISITS_AT_ONCE: usize = 64;

/// So many turns connections have at the end, to write what renderers wait for.
const TURNS_AT_THE_END: usize = 32;

/// So many rounds of visits are put on disk before something is sent in between: what is captured should
/// be on disk first, but who captures without end should not keep it from being sent.
const ROUNDS_BEFORE_SENDING: u32 = 16;

/// How long what was found out about the machine is good enough.
const GLANCE_EVERY: Duration = Duration::from_secs(1);

/// So many renderers are remembered, and so many that are gone.
const RENDERERS: usize = 1024;

/// What a renderer is called that has no name.
const RENDERER: &str = "renderer";

/// So long `init` waits for the disk.
const DISK_TIME: Duration = Duration::from_secs(2);

/// Starts the thread, and waits until it has opened what it needs on the disk, which may fail. Where the
/// disk does not answer in time, nobody waits for it but the thread: what is captured meanwhile is
/// queued, and handled when the disk comes back.
pub(crate) fn start(house: Arc<House>, orders: Orders) -> Result<JoinHandle<()>, InitError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(InitError::Thread)?;
    // Without a place to leave a result in: what `init` has not waited for, the thread keeps.
    let (sender, opened) = mpsc::sync_channel(0);
    let cache_dir = orders.cache_dir().to_owned();
    let thread = std::thread::Builder::new()
        .name("guardhouse".to_owned())
        .spawn({
            let house = house.clone();
            move || run(&house, orders, runtime, &sender)
        })
        .map_err(InitError::Thread)?;
    let result = opened.recv_timeout(DISK_TIME);
    if let Err(RecvTimeoutError::Timeout) = result {
        let error = InitError::DiskHangs { path: cache_dir };
        house.say(format_args!("{error}"));
        // Before the receiver is dropped, by which the thread learns that it has to take it back.
        house.set_startup_error(Some(error));
        return Ok(thread);
    }
    let result = result.unwrap_or_else(|_| {
        Err(InitError::Thread(std::io::Error::other("the thread of the SDK has panicked")))
    });
    match result {
        Ok(()) => Ok(thread),
        Err(error) => {
            let _ = thread.join();
            Err(error)
        }
    }
}

fn run(
    house: &Arc<House>,
    mut orders: Orders,
    runtime: Runtime,
    opened: &SyncSender<Result<(), InitError>>,
) {
    house.enter();
    // What the thread writes may be too large a file for the process, which is an error then.
    #[cfg(unix)]
    if let Err(error) = guardhouse_crash::signals::block_file_size_signal() {
        house.say(format_args!("a limit on the size of files may end the application: {error}"));
    }
    // However it ends, nobody should wait for it then.
    let _closed = CloseDoorway(house);
    // What panics here is no error of the application's that `sentry` should report: functions of the
    // application that do are caught, and go on to be called for the next event.
    let silence = Arc::new(Hub::new(None, Arc::default()));
    let closing = Hub::run(silence, || {
        let result = orders.open(house);
        let is_open = result.is_ok();
        if is_open {
            orders.introduce(house);
        }
        if let Err(SendError(late)) = opened.send(result) {
            match &late {
                Ok(()) => {
                    house.say(format_args!("the disk answers now; what was captured goes on"));
                }
                Err(error) => house.say(format_args!("nothing is reported: {error}")),
            }
            house.set_startup_error(late.err());
        }
        let stand = async { Watch::new(house.clone(), orders).stand().await };
        if is_open { runtime.block_on(stand) } else { None }
    });
    // Asking for a name's address may hang in a thread of the pool, which nobody should wait for.
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

/// Everything that the thread has.
struct Watch {
    house: Arc<House>,
    /// Nothing if there is no DSN: then there is nowhere to send anything.
    outbox: Option<Outbox>,
    intake: Intake,
    merge: Merge,
    probe: Probe,
    life: Life,
    batch: Batch,
    backlog: Backlog,
    flushes: Flushes,
    spotlight: Option<Spotlight>,
    get_renderer_name: Option<GetRendererName>,
    guardhouse: orders::Guardhouse,
    contexts: Option<Contexts>,
    app: crate::App,
    started: SystemTime,
    looked_around: Option<Instant>,
    /// The renderers that have been heard of and are not gone.
    renderers: BTreeMap<Uuid, Heard>,
    /// Those that are gone, the last ones: what they said may come later.
    gone: VecDeque<Uuid>,
    natives: Natives,
    offline_files: OfflineFiles,
    heartbeats: Heartbeats,
    concern: ends::Concern,
    streams: Streams,
    attaching: Attaching,
    listeners: Option<Listeners>,
    consent: orders::Consent,
    dice: Random,
    closing: Option<Closing>,
}

/// A renderer of which something was heard.
struct Heard {
    /// When it was heard last.
    at: Instant,
    info: RendererInfo,
}

impl Watch {
    fn new(house: Arc<House>, orders: Orders) -> Self {
        let Orders { outbox, consent, .. } = orders;
        let mut outbox = outbox.and_then(|outbox| outbox.outbox(house.clone()));
        if let Some(outbox) = outbox.as_mut().filter(|_| !consent.is_given()) {
            house.say(format_args!("nothing is sent before the user agrees"));
            outbox.set_paused(true);
        }
        Self {
            outbox,
            intake: Intake::new(Intake::DEFAULT_MEMORY_BYTES),
            merge: orders.merge,
            probe: Probe::default(),
            life: Life::new(orders.sessions),
            batch: Batch::default(),
            backlog: Backlog::default(),
            flushes: Flushes::default(),
            spotlight: orders.spotlight.map(Spotlight::new),
            get_renderer_name: orders.get_renderer_name,
            guardhouse: orders.guardhouse,
            contexts: None,
            app: orders.app,
            started: orders.started,
            looked_around: None,
            renderers: BTreeMap::new(),
            natives: Natives::default(),
            offline_files: OfflineFiles::new(orders.offline_directory),
            heartbeats: Heartbeats::new(),
            concern: orders.concern,
            streams: Streams::default(),
            attaching: Attaching::default(),
            listeners: orders.listeners,
            gone: VecDeque::new(),
            consent,
            dice: orders.dice,
            closing: None,
            house,
        }
    }

    /// Stands watch until the application ends. Says what is left to do then.
    async fn stand(mut self) -> Option<Closing> {
        self.look_around();
        if let Some(listeners) = &mut self.listeners {
            listeners.listen(&self.house);
        }
        let mut rounds_without_sending = 0_u32;
        loop {
            self.heartbeats.woke(Instant::now());
            let mut is_idle = false;
            for _ in 0..VISITS_AT_ONCE {
                let Some(visit) = self.house.doorway().next() else {
                    is_idle = true;
                    break;
                };
                self.guarded(|watch| watch.handle(visit));
            }
            // What earlier runs have left is on disk already, and holds nothing up.
            rounds_without_sending = if is_idle { 0 } else { rounds_without_sending + 1 };
            let may_send = rounds_without_sending.is_multiple_of(ROUNDS_BEFORE_SENDING);
            if is_idle {
                let mut is_more = false;
                self.guarded(|watch| {
                    is_more = watch.look_at_an_offline_file() | watch.merge_backlog();
                });
                is_idle = !is_more;
            }
            let mut wake = None;
            self.guarded(|watch| wake = watch.step(may_send));
            if let Some(closing) = self.closing.take_if(|closing| closing.is_due(&self.outbox)) {
                if let Some(outbox) = &mut self.outbox {
                    self.life.handle_time(outbox);
                }
                self.give_up_attaching();
                // What was acknowledged is told to renderers, which would hand it over again otherwise.
                for _ in 0..TURNS_AT_THE_END {
                    tokio::task::yield_now().await;
                }
                return Some(closing.with(self.outbox));
            }
            if is_idle && self.natives.is_anyone_waiting() && !self.is_crowded(Patience::Alone) {
                self.guarded(Self::go_on_alone);
                is_idle = !self.natives.is_anyone_waiting();
            }
            if !is_idle {
                // More is waiting; but what has come over the network is looked at before.
                tokio::task::yield_now().await;
                wake = Some(Instant::now());
            }
            self.rest(wake, is_idle).await;
        }
    }

    /// Waits until something happens, or if there is more to do only looks whether something has.
    async fn rest(&mut self, wake: Option<Instant>, is_idle: bool) {
        let timer = async {
            match wake {
                _ if !is_idle => {}
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let sent = async {
            match &mut self.outbox {
                Some(outbox) => outbox.sent().await,
                None => std::future::pending().await,
            }
        };
        let mirrored = async {
            match &mut self.spotlight {
                Some(spotlight) => spotlight.sent().await,
                None => std::future::pending().await,
            }
        };
        let disturbed = async {
            match &mut self.listeners {
                Some(listeners) => listeners.disturbed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = sent => {}
            () = mirrored => {}
            () = disturbed => {}
            () = self.attaching.read() => {}
            () = self.house.doorway().visited() => {}
            () = timer => {}
        }
    }

    /// Does what there is to do now, sending only if it may. Says when there is something to do again.
    fn step(&mut self, may_send: bool) -> Option<Instant> {
        let now = Instant::now();
        while let Some(accepted) = self.intake.poll(now) {
            self.guarded(|watch| drop(watch.accept(accepted, None)));
        }
        self.look_after_natives(now);
        self.look_after_threads(now);
        self.go_on_attaching();
        let mut losses = self.intake.take_losses();
        losses.add(&self.house.take_losses());
        if self.batch.is_due(now) {
            self.send_batch();
        }
        if let Some(listeners) = &mut self.listeners {
            listeners.handle_time(&self.house);
        }
        let mut wakes = vec![
            self.listeners.as_ref().and_then(Listeners::timeout),
            self.intake.poll_timeout(),
            self.batch.timeout(),
            self.life.timeout(),
            self.natives.timeout(),
            self.heartbeats.poll_timeout(),
        ];
        if let Some(outbox) = &mut self.outbox {
            outbox.count(&losses);
            self.life.handle_time(outbox);
            Life::conclude_dead_runs(outbox);
            let step = outbox.step(may_send);
            let earlier = self.backlog.progress(outbox);
            self.flushes.settle(outbox, &self.attaching, earlier, &step, now);
            if let Some(closing) = &mut self.closing {
                closing.look(outbox, self.attaching.is_under_way(), earlier, &step, now);
                wakes.push(Some(closing.until()));
            }
            wakes.push(step.wake);
        } else {
            self.flushes.nothing_to_send();
        }
        if let Some(spotlight) = &mut self.spotlight {
            spotlight.step();
        }
        wakes.into_iter().flatten().min()
    }

    /// Does something that may panic. Functions of the application are caught where they are called;
    /// this is for faults of ours, which may cost what is at hand, but not the reporting.
    fn guarded(&mut self, act: impl FnOnce(&mut Self)) {
        // What is half changed by a panic is bounded and judged anew each time, so it may be used.
        if catch_unwind(AssertUnwindSafe(|| act(self))).is_err() {
            self.house.say(format_args!("a fault of the SDK; what was at hand may be lost"));
            self.house.count_lost(Reason::InternalSdkError);
        }
    }

    fn handle(&mut self, visit: Visit) {
        match visit {
            Visit::Captured(envelope, severity) => self.captured(&envelope, severity),
            Visit::Message { from, channel, bytes, answer } => {
                self.hear(&from, channel, bytes, answer);
            }
            Visit::Feedback { envelope, answer } => self.own_feedback(envelope, answer),
            Visit::Attach(attach) => self.attach(*attach),
            Visit::Native(call) => self.native(call),
            #[cfg(unix)]
            Visit::Inherited(socket) => crate::ipc::serve_inherited(&self.house, socket),
            Visit::LaunchFailed(name) => self.tell_of_failed_launch(name),
            Visit::Gone(id) => self.gone(id),
            Visit::Flush { deadline, sent } => {
                self.send_batch();
                match &mut self.outbox {
                    Some(outbox) => {
                        self.flushes.add(outbox, self.attaching.next(), deadline, sent);
                    }
                    None => sent.keep(true),
                }
            }
            Visit::Settle(settled) => {
                self.send_batch();
                // What came before is handled, so it is on disk if it can be.
                let is_settled =
                    self.outbox.as_mut().is_none_or(|outbox| outbox.spool().try_again());
                settled.keep(is_settled);
            }
            Visit::Consent(is_given) => {
                if let Err(error) = self.consent.set(is_given) {
                    self.house.say(format_args!(
                        "that the user agrees or not could not be written down, and will not be \
                         known at the next start: {error}"
                    ));
                }
                self.life.identify(|| self.consent.installation());
                if let Some(outbox) = &mut self.outbox {
                    outbox.set_paused(!self.consent.is_given());
                }
            }
            Visit::Focus { window, is_focused } => {
                if let Some(outbox) = &mut self.outbox {
                    self.life.handle_focus(window, is_focused, outbox);
                }
            }
            Visit::Screen(screen) => {
                if let Some(contexts) = &mut self.contexts {
                    contexts.set_screen(screen);
                }
                self.look_around();
            }
            Visit::Close { deadline, done } => self.close(deadline, done),
        }
    }

    /// Looks around if the last time is a while ago: memory does not change by the millisecond.
    fn glance(&mut self) {
        if self.looked_around.is_none_or(|at| at.elapsed() >= GLANCE_EVERY) {
            self.look_around();
        }
    }

    /// Finds out what is known of the application and the machine, or what of it has changed.
    fn look_around(&mut self) {
        self.looked_around = Some(Instant::now());
        let contexts = match &mut self.contexts {
            Some(contexts) => {
                contexts.refresh();
                contexts
            }
            none => none
                .insert(contexts::gather(&self.app, guardhouse_process::timestamp(self.started))),
        };
        let identity = self.merge.identity_mut();
        for (name, context) in contexts.iter() {
            identity.set_context(name, context);
        }
        self.look_at_renderers();
    }

    /// Says how many renderers there are.
    fn look_at_renderers(&mut self) {
        let identity = self.merge.identity_mut();
        let own = contexts::guardhouse(
            self.guardhouse.mode,
            &self.guardhouse.namespace,
            self.renderers.len(),
        );
        identity.set_context(OWN_CONTEXT, &own);
        self.house.set_contexts(identity.contexts().clone());
    }
}
