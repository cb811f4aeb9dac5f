//! The SDK thread: it takes what comes through the doorway, and drives everything else.
//!
//! There is one, with a runtime of its own, for messages, uploads and timers. It sleeps while there is
//! nothing to do. It dies of nothing: a panic, of ours or of a function of the application that it
//! calls, costs the message at hand.

mod batch;
mod closing;
mod flushes;
mod life;
mod orders;
mod spotlight;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use guardhouse_protocol::{Channel, Envelope, FeedbackResult, Item, ItemType, Message};
use sentry::Hub;
use tokio::runtime::Runtime;
use uuid::Uuid;

pub(crate) use orders::Orders;

use crate::contexts::{self, Contexts};
use crate::error::InitError;
use crate::house::{Answering, House, MessageAnswer, Visit};
use crate::intake::{Accepted, Intake, Outcome, Patience, RendererId};
use crate::losses::{Losses, Reason};
use crate::merge::{Merge, OWN_CONTEXT, Process, Sender};
use crate::options::{GetRendererName, RendererInfo};
use crate::outbox::http::Answer;
use crate::outbox::spool::Placed;
use crate::outbox::{Outbox, WhenSent};
use crate::probe::Probe;
use crate::random::Random;
use batch::Batch;
use closing::Closing;
use flushes::Flushes;
use life::Life;
use spotlight::Spotlight;

/// So many visits are taken before timers and uploads have their turn.
const VISITS_AT_ONCE: usize = 64;

/// How long what was found out about the machine is good enough.
const GLANCE_EVERY: Duration = Duration::from_secs(1);

/// So many renderers are remembered, and so many that are gone.
const RENDERERS: usize = 1024;

/// What a renderer is called that has no name.
const RENDERER: &str = "renderer";

/// Starts the thread, and then writes down that there is a run: what comes before may fail.
pub(crate) fn start(house: Arc<House>, mut orders: Orders) -> Result<JoinHandle<()>, InitError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(InitError::Thread)?;
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("guardhouse".to_owned())
        .spawn(move || {
            if let Ok(orders) = receiver.recv() {
                run(&house, orders, runtime);
            }
        })
        .map_err(InitError::Thread)?;
    orders.begin_life();
    // The thread waits for it.
    let _ = sender.send(orders);
    Ok(thread)
}

fn run(house: &Arc<House>, orders: Orders, runtime: Runtime) {
    house.enter();
    // However it ends, nobody should wait for it then.
    let _closed = CloseDoorway(house);
    // What panics here is no error of the application's that `sentry` should report: functions of the
    // application that do are caught, and go on to be called for the next event.
    let silence = Arc::new(Hub::new(None, Arc::default()));
    let closing = Hub::run(silence, || runtime.block_on(Watch::new(house.clone(), orders).stand()));
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
    flushes: Flushes,
    spotlight: Option<Spotlight>,
    get_renderer_name: Option<GetRendererName>,
    guardhouse: orders::Guardhouse,
    contexts: Option<Contexts>,
    app: crate::App,
    started: SystemTime,
    looked_around: Option<Instant>,
    /// The renderers that have been heard of and are not gone.
    renderers: BTreeMap<Uuid, Instant>,
    /// Those that are gone, the last ones: what they said may come later.
    gone: VecDeque<Uuid>,
    consent: orders::Consent,
    dice: Random,
    closing: Option<Closing>,
}

impl Watch {
    fn new(house: Arc<House>, orders: Orders) -> Self {
        let Orders { outbox, mut consent, .. } = orders;
        let mut outbox = outbox.map(|outbox| outbox.open(house.clone()));
        consent.read();
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
            flushes: Flushes::default(),
            spotlight: orders.spotlight.map(Spotlight::new),
            get_renderer_name: orders.get_renderer_name,
            guardhouse: orders.guardhouse,
            contexts: None,
            app: orders.app,
            started: orders.started,
            looked_around: None,
            renderers: BTreeMap::new(),
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
        loop {
            let mut is_idle = false;
            for _ in 0..VISITS_AT_ONCE {
                let Some(visit) = self.house.doorway().next() else {
                    is_idle = true;
                    break;
                };
                self.guarded(|watch| watch.handle(visit));
            }
            let mut wake = None;
            self.guarded(|watch| wake = watch.step());
            if let Some(closing) = self.closing.take_if(|closing| closing.is_due(&self.outbox)) {
                if let Some(outbox) = &mut self.outbox {
                    self.life.handle_time(outbox);
                }
                return Some(closing.with(self.outbox));
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
        tokio::select! {
            biased;
            () = sent => {}
            () = mirrored => {}
            () = self.house.doorway().visited() => {}
            () = timer => {}
        }
    }

    /// Does what there is to do now. Says when there is something to do again.
    fn step(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while let Some(accepted) = self.intake.poll(now) {
            self.guarded(|watch| drop(watch.accept(None, accepted)));
        }
        let mut losses = self.intake.take_losses();
        losses.add(&self.house.take_losses());
        if self.batch.is_due(now) {
            self.send_batch();
        }
        let mut wakes = vec![self.intake.poll_timeout(), self.batch.timeout(), self.life.timeout()];
        if let Some(outbox) = &mut self.outbox {
            outbox.count(&losses);
            self.life.handle_time(outbox);
            self.life.conclude_dead_runs(outbox);
            let step = outbox.step();
            self.flushes.settle(outbox, &step, now);
            if let Some(closing) = &mut self.closing {
                closing.look(outbox, &step, now);
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
            Visit::Captured(envelope) => self.captured(&envelope),
            Visit::Message { from, channel, bytes, answer } => {
                self.hear(&from, channel, bytes, answer);
            }
            Visit::Gone(id) => {
                self.gone.push_back(id);
                if self.gone.len() > RENDERERS {
                    self.gone.pop_front();
                }
                self.forget(id);
            }
            Visit::Flush { deadline, sent } => {
                self.send_batch();
                match &mut self.outbox {
                    Some(outbox) => self.flushes.add(outbox, deadline, sent),
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
            Visit::Close { deadline, done } => {
                self.send_batch();
                if let Some(outbox) = &mut self.outbox {
                    self.life.exit(outbox);
                    outbox.hurry();
                }
                self.flushes.give_up();
                self.closing = Some(Closing::new(deadline, done));
                // What came behind it is still taken, and nothing else gets in.
                for late in self.house.doorway().close() {
                    self.handle(late);
                }
            }
        }
    }

    /// A renderer that is gone leaves nothing behind.
    fn forget(&mut self, id: Uuid) {
        self.renderers.remove(&id);
        self.intake.forget(RendererId::new(id));
        self.house.with_scopes(|scopes| scopes.remove(Process::Renderer(id)));
    }

    /// A renderer was heard. Those of which nothing was heard for the longest make room, should a host
    /// not tell when one is gone.
    fn heard(&mut self, id: Uuid, now: Instant) {
        if self.renderers.insert(id, now).is_some() {
            return;
        }
        if self.renderers.len() > RENDERERS {
            let oldest = self.renderers.iter().min_by_key(|(_, heard)| **heard);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.forget(oldest);
            }
        }
    }

    /// What main itself has captured.
    fn captured(&mut self, envelope: &sentry::Envelope) {
        let mut bytes = Vec::new();
        let parsed = envelope
            .to_writer(&mut bytes)
            .map_err(|error| error.to_string())
            .and_then(|()| Envelope::parse(bytes).map_err(|error| error.to_string()));
        let mut envelope = match parsed {
            Ok(envelope) => envelope,
            Err(error) => {
                self.house.say(format_args!("what main captured cannot be sent: {error}"));
                self.house.count_lost(Reason::InternalSdkError);
                return;
            }
        };
        // What `sentry` has dropped itself is told with everything else that was lost.
        let mut losses = Losses::new();
        for report in envelope.retain(|item| item.item_type() != ItemType::ClientReport) {
            losses.count_item(&report, Reason::Ignored);
        }
        if !self.merge.chooses(self.dice.fraction()) {
            self.leave_out_events(&mut envelope, &mut losses);
        }
        self.glance();
        let scope = self.house.with_scopes(|scopes| scopes.merged(Process::Main));
        let merged = self.merge.main(envelope, &scope, self.house.clock.now());
        losses.add(&merged.losses);
        if let Some(outbox) = &mut self.outbox {
            outbox.count(&losses);
        }
        if let Some(envelope) = merged.envelope {
            self.store(envelope, true, None);
        }
    }

    /// Main's events that were not chosen, with what is attached to them. For the session they have
    /// happened all the same.
    fn leave_out_events(&mut self, envelope: &mut Envelope, losses: &mut Losses) {
        if !envelope.items().iter().any(|item| item.item_type() == ItemType::Event) {
            return;
        }
        if let Some(outbox) = &mut self.outbox {
            self.life.handle_events_left_out(envelope, outbox);
        }
        let is_left_out =
            |item: &Item| matches!(item.item_type(), ItemType::Event | ItemType::Attachment);
        for item in envelope.retain(|item| !is_left_out(item)) {
            losses.count_item(&item, Reason::SampleRate);
        }
    }

    /// What a renderer says.
    fn hear(&mut self, from: &RendererInfo, channel: Channel, bytes: Bytes, answer: Answering) {
        let id = RendererId::new(from.id);
        let now = Instant::now();
        if self.house.is_too_late() {
            // A crowd of renderers should not keep a thread busy that nobody waits for any more.
            if matches!(channel, Channel::Envelope | Channel::Feedback) {
                self.house.count_lost(Reason::QueueOverflow);
            }
            return;
        }
        if self.gone.contains(&from.id) {
            // It was said before the renderer was gone, and came later.
            return answer.tell(MessageAnswer::Refused("the renderer is gone".to_owned()));
        }
        match self.intake.handle(id, channel, bytes, Patience::Forgets, now) {
            Outcome::Taken(accepted) => {
                for refused in &accepted.taken_out {
                    self.house.say(format_args!("{refused}"));
                }
                self.heard(from.id, now);
                let is_feedback = channel == Channel::Feedback;
                let (when_sent, answer) = if is_feedback {
                    (Some(answer_feedback(answer)), None)
                } else {
                    (None, Some(answer))
                };
                let answered = self.accept_with(Some(from), *accepted, when_sent);
                if let Some(answer) = answer {
                    answer.tell(answered);
                }
            }
            Outcome::Coalesced => answer.tell(MessageAnswer::Taken),
            Outcome::NotYet { .. } => {
                answer.tell(MessageAnswer::Refused("it is too much at the moment".to_owned()));
            }
            Outcome::Refused(refused) => {
                self.house.say(format_args!("{refused}"));
                answer.tell(MessageAnswer::Refused(refused.to_string()));
            }
        }
    }

    fn accept(&mut self, from: Option<&RendererInfo>, accepted: Accepted) -> MessageAnswer {
        self.accept_with(from, accepted, None)
    }

    /// What a renderer says and may say.
    fn accept_with(
        &mut self,
        from: Option<&RendererInfo>,
        accepted: Accepted,
        when_sent: Option<WhenSent>,
    ) -> MessageAnswer {
        let id = accepted.renderer.as_uuid();
        match accepted.message {
            Message::Scope(message) => {
                let at = self.house.clock.now();
                let refusals = self
                    .house
                    .with_scopes(|scopes| scopes.hear(Process::Renderer(id), message, at));
                for (refusal, count) in refusals.iter() {
                    self.house.say(format_args!(
                        "renderer {id}, scope: {count} values were refused: {refusal}"
                    ));
                }
                MessageAnswer::Taken
            }
            Message::Envelope(envelope) | Message::Feedback(envelope) => {
                let sender = self.sender(id, from);
                let scope = self.scope_for(Process::Renderer(id));
                let now = self.house.clock.now();
                let merged =
                    self.merge.renderer(envelope, &sender, &scope, now, self.dice.fraction());
                if merged.facts.panics > 0 {
                    self.house.say(format_args!("a hook panicked; the event goes on unchanged"));
                }
                if let Some(outbox) = &mut self.outbox {
                    outbox.count(&merged.losses);
                    self.life.handle_errors(merged.facts.errors_not_chosen, outbox);
                }
                match merged.envelope {
                    Some(envelope) => self.store(envelope, false, when_sent),
                    None => MessageAnswer::Taken,
                }
            }
            Message::Log(log) => {
                let (sender, scope) =
                    (self.sender(id, from), self.scope_for(Process::Renderer(id)));
                let log = self.merge.log(log, &sender, &scope, self.house.clock.now());
                if !self.batch.has_room_for(log.text()) {
                    self.send_batch();
                }
                self.batch.log(&log, Instant::now());
                MessageAnswer::Taken
            }
            Message::Metric(metric) => {
                let (sender, scope) =
                    (self.sender(id, from), self.scope_for(Process::Renderer(id)));
                let metric = self.merge.metric(metric, &sender, &scope, self.house.clock.now());
                if !self.batch.has_room_for(metric.text()) {
                    self.send_batch();
                }
                self.batch.metric(&metric, Instant::now());
                MessageAnswer::Taken
            }
            Message::Flush => {
                self.send_batch();
                let is_on_disk =
                    self.outbox.as_mut().is_none_or(|outbox| outbox.spool().try_again());
                if is_on_disk { MessageAnswer::Taken } else { MessageAnswer::NotDurable }
            }
            // Whether a renderer still answers is watched by whoever hosts it, not here; that it was
            // heard is what `renderers` knows.
            Message::Start | Message::Status(_) => MessageAnswer::Taken,
            // A host takes a stream in piece by piece, and hands over what it was about.
            _ => MessageAnswer::Refused("it cannot be said in one message".to_owned()),
        }
    }

    /// Stores an envelope that is ready to be sent, with what it means for the session.
    fn store(
        &mut self,
        mut envelope: Envelope,
        is_of_main: bool,
        when_sent: Option<WhenSent>,
    ) -> MessageAnswer {
        let bytes = self.spotlight.is_some().then(|| envelope.to_bytes());
        if let (Some(spotlight), Some(bytes)) = (&mut self.spotlight, bytes)
            && self.consent.is_given()
        {
            spotlight.mirror(bytes);
        }
        let Some(outbox) = &mut self.outbox else {
            if let Some(when_sent) = when_sent {
                when_sent(None);
            }
            return MessageAnswer::Taken;
        };
        let (priority, ending) = self.life.handle_envelope(&mut envelope, is_of_main, outbox);
        let placed = outbox.put(priority, &envelope, when_sent);
        if let Some(update) = ending {
            self.life.handle_spooled(&update, placed, outbox);
        }
        match placed {
            Placed::Disk(_) => MessageAnswer::Taken,
            Placed::Memory(_) => MessageAnswer::NotDurable,
            Placed::Refused => MessageAnswer::Refused("there is no room for it".to_owned()),
        }
    }

    fn send_batch(&mut self) {
        let (envelopes, losses) = self.batch.take();
        if let Some(outbox) = &mut self.outbox {
            outbox.count(&losses);
        }
        for envelope in envelopes {
            self.store(envelope, false, None);
        }
    }

    /// The scope for what a process reports, with what main has told `sentry` and not us.
    fn scope_for(&mut self, process: Process) -> crate::merge::MergedScope {
        self.glance();
        let at = self.house.clock.now();
        let (changes, refusals) = self.probe.look(at);
        for (refusal, count) in refusals.iter() {
            self.house
                .say(format_args!("{count} of main's scope in `sentry` was refused: {refusal}"));
        }
        self.house.with_scopes(|scopes| {
            for change in changes {
                let _ = scopes.apply(Process::MainHub, change, at);
            }
            scopes.merged(process)
        })
    }

    /// What a renderer is called in what it reports.
    fn sender(&self, id: Uuid, from: Option<&RendererInfo>) -> Sender {
        let info = from.cloned().unwrap_or_else(|| RendererInfo::new(id));
        let asked = self
            .get_renderer_name
            .as_ref()
            .and_then(|get| catch_unwind(AssertUnwindSafe(|| get(&info))).unwrap_or_default());
        let name = asked.or(info.name).unwrap_or_else(|| RENDERER.to_owned());
        Sender::renderer(id, name)
    }

    /// Looks around if the last time is a while ago: memory does not change by the millisecond, nor
    /// should a crowd of renderers cost more than one.
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
            none => none.insert(contexts::gather(&self.app, crate::clock::timestamp(self.started))),
        };
        let identity = self.merge.identity_mut();
        for (name, context) in contexts.iter() {
            identity.set_context(name, context);
        }
        let own = contexts::guardhouse(
            self.guardhouse.mode,
            &self.guardhouse.namespace,
            self.renderers.len(),
        );
        identity.set_context(OWN_CONTEXT, &own);
        self.house.set_contexts(identity.contexts().clone());
    }
}

/// Tells a renderer what became of its feedback.
fn answer_feedback(answer: Answering) -> WhenSent {
    Box::new(|sent: Option<&Answer>| {
        let result = sent.map_or_else(FeedbackResult::default, |sent| FeedbackResult {
            status_code: Some(sent.status),
            rate_limits: sent.rate_limits.clone(),
            retry_after: sent.retry_after.clone(),
        });
        answer.tell(MessageAnswer::Feedback(result));
    })
}
