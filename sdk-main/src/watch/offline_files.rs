//! What renderers have left that could not hand it over, because main was dead or had been.
//!
//! It is taken as if its renderer said it now, but for two things. What main and others contribute to
//! the scope today has nothing to do with what happened then, so it goes with what its own renderer had
//! said. And it gets the release and the environment of the run of main in which it was captured, as
//! main's own record of that run says. What this main has of the renderer already, under the same ids,
//! is not taken again.
//!
//! What is in a file is safe there, so it is taken only while the spool has room for it: nothing that
//! main has acknowledged has to go for it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use guardhouse_process::offline_file::{Left, LeftFile, find};
use guardhouse_protocol::frame::MessageId;
use guardhouse_protocol::{Channel, Message, RunId};
use uuid::Uuid;

use super::Watch;
use crate::house::MessageAnswer;
use crate::intake::{Outcome, Patience, RendererId};
use crate::ipc::window::Window;
use crate::losses::Reason;
use crate::merge::{Process, Scopes, Sender};
use crate::options::RendererInfo;
use crate::outbox::Outbox;

/// Of so many renderers that are gone it is remembered what was taken of them.
const REMEMBERED: usize = 64;

/// So many messages are taken before others have their turn.
const AT_ONCE: usize = 16;

/// How full the spool may be for more to be taken, in eighths.
const FULL_ENOUGH: u64 = 4;

/// The files that renderers leave.
pub(super) struct OfflineFiles {
    /// Nothing if nobody is told to leave anything.
    directory: Option<PathBuf>,
    /// What is there and was not looked at; nothing if it is to be found out.
    waiting: Option<Vec<PathBuf>>,
    /// What is being taken.
    taking: Option<Taking>,
    /// What was taken of renderers that are gone.
    taken: VecDeque<(Uuid, Window)>,
}

/// What a renderer has left, while it is taken.
struct Taking {
    file: LeftFile,
    /// Its renderer, in this run of main.
    sender: Sender,
    /// The same in the run that the file speaks of.
    sender_then: Sender,
    run: Option<RunId>,
    scopes: Scopes,
    /// Whether all that was taken is on disk.
    is_durable: bool,
}

impl OfflineFiles {
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, waiting: None, taking: None, taken: VecDeque::new() }
    }

    /// A renderer is gone, and may have left something. So much was taken of it.
    pub(super) fn look_for(&mut self, renderer: Uuid, taken: Window) {
        self.taken.push_back((renderer, taken));
        if self.taken.len() > REMEMBERED {
            self.taken.pop_front();
        }
        self.waiting = None;
    }

    /// What was taken of a renderer that is gone.
    pub(super) fn taken_of(&self, renderer: Uuid) -> Option<Window> {
        let taken = self.taken.iter().find(|(id, _)| *id == renderer);
        taken.map(|(_, window)| window.clone())
    }

    /// The next that is to be looked at.
    fn next(&mut self) -> Option<PathBuf> {
        let directory = self.directory.as_ref()?;
        self.waiting.get_or_insert_with(|| find(directory)).pop()
    }

    fn was_taken(&mut self, renderer: Option<Uuid>, id: Option<MessageId>) -> bool {
        let (Some(renderer), Some(id)) = (renderer, id) else { return false };
        let taken = self.taken.iter_mut().find(|(known, _)| *known == renderer);
        // What was not seen before is from now on, which is right.
        taken.is_some_and(|(_, window)| !window.insert(id))
    }
}

impl Watch {
    /// Takes some of what a renderer has left. Says whether there may be more to do now.
    pub(super) fn look_at_an_offline_file(&mut self) -> bool {
        // As long as the disk takes nothing, or has no room, it is safer where it is.
        let has_room = |outbox: &mut Outbox| {
            let spool = outbox.spool();
            spool.trouble().is_none() && !spool.is_filled_to(FULL_ENOUGH)
        };
        if !self.outbox.as_mut().is_some_and(has_room) {
            return false;
        }
        if let Some(taking) = self.offline_files.taking.take() {
            self.go_on_taking(taking);
            return true;
        }
        let Some(path) = self.offline_files.next() else { return false };
        match LeftFile::open(&path) {
            // What of it came over its connection is known when that is at its end.
            Ok(Some(file)) if file.renderer().is_some_and(|it| self.natives.knows(it)) => {}
            Ok(Some(file)) => self.begin_taking(file),
            // Its renderer lives, and hands it over itself; or another instance takes it just now.
            Ok(None) => {}
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                self.house.say(format_args!(
                    "what a renderer has left in {} cannot be read, and is removed: {error}",
                    path.display()
                ));
                // What cannot be removed is found again, and should not be counted again.
                if std::fs::remove_file(&path).is_ok() {
                    self.house.count_lost(Reason::InternalSdkError);
                }
            }
            Err(error) => {
                self.house.say(format_args!("{} cannot be read: {error}", path.display()));
            }
        }
        true
    }

    fn begin_taking(&mut self, file: LeftFile) {
        self.house.say(format_args!("{:?} has left something, which is taken", file.name()));
        let info = RendererInfo::new(Uuid::new_v4()).with_name(file.name()).with_pid(file.pid());
        let sender = self.sender_of(&info);
        let scopes = Scopes::new(self.house.own_scope.max_breadcrumbs());
        let sender_then = self.in_run(&sender, None);
        let taking = Taking { file, sender, sender_then, run: None, scopes, is_durable: true };
        self.offline_files.taking = Some(taking);
    }

    /// A renderer as it was in a run of main.
    fn in_run(&mut self, sender: &Sender, run: Option<RunId>) -> Sender {
        let Some(outbox) = &mut self.outbox else { return sender.clone() };
        let spool = outbox.spool();
        if run == Some(spool.run()) {
            return sender.clone();
        }
        let facts = run.and_then(|run| spool.run_facts(run));
        sender.clone().in_run(Arc::new(self.merge.identity().in_run(facts.as_ref())))
    }

    fn go_on_taking(&mut self, mut taking: Taking) {
        let from = RendererId::new(match taking.sender.process() {
            Process::Renderer(id) => id,
            _ => Uuid::nil(),
        });
        let mut orders = Vec::new();
        for _ in 0..AT_ONCE {
            match taking.file.next_message() {
                Ok(Some(left)) => {
                    // Logs and metrics are on disk only with those that they are sent with.
                    if matches!(left.channel, Channel::Envelope | Channel::Feedback) {
                        orders.push(left.order);
                    }
                    self.take_left(from, left, &mut taking);
                }
                Ok(None) => {
                    self.intake.forget(from);
                    return self.finish_taking(taking);
                }
                Err(error) => {
                    self.intake.forget(from);
                    // It stays, and is looked at again at the next start.
                    return self.house.say(format_args!(
                        "what a renderer has left cannot be read any further: {error}"
                    ));
                }
            }
        }
        if taking.is_durable {
            // If main is killed before the end, the next one does not take these again.
            taking.file.taken(orders);
        }
        self.offline_files.taking = Some(taking);
    }

    fn take_left(&mut self, from: RendererId, left: Left, taking: &mut Taking) {
        let Left { run, id, channel, payload, .. } = left;
        if channel != Channel::Scope && self.offline_files.was_taken(taking.file.renderer(), id) {
            return;
        }
        if taking.run != run {
            taking.run = run;
            taking.sender_then = self.in_run(&taking.sender, run);
        }
        match self.intake.handle(from, channel, payload, Patience::Alone, Instant::now()) {
            Outcome::Taken(accepted) => {
                let Taking { sender_then, scopes, .. } = taking;
                taking.is_durable &= self.take_late(accepted.message, sender_then, scopes);
            }
            Outcome::Refused(refused) => self.house.say(format_args!("{refused}")),
            Outcome::Coalesced => {}
            Outcome::NotYet { .. } => taking.is_durable = false,
        }
    }

    fn finish_taking(&mut self, taking: Taking) {
        if taking.file.is_damaged() {
            self.house.say(format_args!(
                "of what {:?} has left, something was torn or damaged, and is lost",
                taking.file.name()
            ));
            self.house.count_lost(Reason::InternalSdkError);
        }
        self.send_batch();
        let is_durable = taking.is_durable
            || self.outbox.as_mut().is_some_and(|outbox| outbox.spool().try_again());
        // If the disk has failed in between, it stays for the next start, and may come twice then.
        if is_durable && let Err(error) = taking.file.remove() {
            self.house.say(format_args!("what a renderer has left cannot be removed: {error}"));
        }
    }

    /// Says whether it is on disk, if it has to be.
    fn take_late(&mut self, message: Message, sender: &Sender, scopes: &mut Scopes) -> bool {
        let at = self.house.own_scope.now();
        match message {
            Message::Scope(message) => {
                let _ = scopes.hear(sender.process(), message, at);
                true
            }
            Message::Envelope(envelope) | Message::Feedback(envelope) => {
                let scope = scopes.merged(sender.process());
                let answer = self.merge_and_store_with(envelope, sender, &scope, None);
                answer != MessageAnswer::NotDurable
            }
            Message::Log(log) => {
                let scope = scopes.merged(sender.process());
                let log = self.merge.log(log, sender, &scope, at);
                self.batch_log(&log);
                true
            }
            Message::Metric(metric) => {
                let scope = scopes.merged(sender.process());
                let metric = self.merge.metric(metric, sender, &scope, at);
                self.batch_metric(&metric);
                true
            }
            _ => true,
        }
    }
}
