//! What renderers have left that could not hand it over, because main was dead or had been.
//!
//! It is taken as if its renderer said it now, but for the scope: what main and others contribute
//! today has nothing to do with what happened then, so it goes with what its own renderer had said. What
//! this main has of the renderer already, under the same ids, is not taken again.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Instant;

use guardhouse_process::shelf::{Left, find};
use guardhouse_protocol::frame::{Frame, Hello, MessageId};
use guardhouse_protocol::{Channel, Message};
use uuid::Uuid;

use super::Watch;
use crate::house::MessageAnswer;
use crate::intake::{Outcome, Patience, RendererId};
use crate::ipc::window::Window;
use crate::merge::{Process, Scopes, Sender};
use crate::options::RendererInfo;
use crate::outbox::Outbox;

/// Of so many renderers that are gone it is remembered what was taken of them.
const REMEMBERED: usize = 64;

/// So many frames are taken before others have their turn.
const AT_ONCE: usize = 16;

/// Where renderers leave things.
pub(super) struct Shelves {
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
    left: Left,
    /// How many frames of it are taken.
    at: usize,
    sender: Sender,
    scopes: Scopes,
    /// Whether all that was taken is on disk.
    is_durable: bool,
}

impl Shelves {
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

    fn was_taken(&mut self, hello: &Hello, id: MessageId) -> bool {
        let Some(resume) = &hello.resume else { return false };
        let taken = self.taken.iter_mut().find(|(renderer, _)| *renderer == resume.renderer_id);
        // What was not seen before is from now on, which is right.
        taken.is_some_and(|(_, window)| !window.insert(id))
    }
}

impl Watch {
    /// Takes some of what a renderer has left. Says whether there may be more to do now.
    pub(super) fn look_at_a_shelf(&mut self) -> bool {
        // As long as the disk takes nothing, it is safer where it is.
        let is_well = |outbox: &mut Outbox| outbox.spool().trouble().is_none();
        if !self.outbox.as_mut().is_some_and(is_well) {
            return false;
        }
        if let Some(taking) = self.shelves.taking.take() {
            self.go_on_taking(taking);
            return true;
        }
        let Some(path) = self.shelves.next() else { return false };
        match Left::read(&path) {
            // What of it came over its connection is known when that is at its end.
            Ok(Some(left)) if self.is_there(left.hello()) => {}
            Ok(Some(left)) => self.begin_taking(left),
            // Its renderer lives, and hands it over itself; or another instance takes it just now.
            Ok(None) => {}
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                self.house.say(format_args!(
                    "what a renderer has left in {} cannot be read, and is removed: {error}",
                    path.display()
                ));
                let _ = std::fs::remove_file(&path);
            }
            Err(error) => {
                self.house.say(format_args!("{} cannot be read: {error}", path.display()));
            }
        }
        true
    }

    fn is_there(&self, hello: &Hello) -> bool {
        hello.resume.as_ref().is_some_and(|resume| self.natives.knows(resume.renderer_id))
    }

    fn begin_taking(&mut self, left: Left) {
        let hello = left.hello();
        self.house
            .say(format_args!("{:?} has left something, which is taken", hello.name.as_str()));
        let info =
            RendererInfo::new(Uuid::new_v4()).with_name(hello.name.as_str()).with_pid(hello.pid);
        let sender = self.sender_of(&info);
        let scopes = Scopes::new(self.house.own_scope.max_breadcrumbs());
        self.shelves.taking = Some(Taking { left, at: 0, sender, scopes, is_durable: true });
    }

    fn go_on_taking(&mut self, mut taking: Taking) {
        let from = RendererId::new(match taking.sender.process() {
            Process::Renderer(id) => id,
            _ => Uuid::nil(),
        });
        for _ in 0..AT_ONCE {
            let Some(frame) = taking.left.frames().get(taking.at).cloned() else {
                self.intake.forget(from);
                return self.finish_taking(taking);
            };
            taking.at += 1;
            let Frame::Message { id, channel, payload } = frame else { continue };
            let is_scope = channel == Channel::Scope;
            if !is_scope && self.shelves.was_taken(taking.left.hello(), id) {
                continue;
            }
            match self.intake.handle(from, channel, payload, Patience::Alone, Instant::now()) {
                Outcome::Taken(accepted) => {
                    let Taking { sender, scopes, .. } = &mut taking;
                    taking.is_durable &= self.take_late(accepted.message, sender, scopes);
                }
                Outcome::Refused(refused) => self.house.say(format_args!("{refused}")),
                Outcome::Coalesced => {}
                Outcome::NotYet { .. } => taking.is_durable = false,
            }
        }
        self.shelves.taking = Some(taking);
    }

    fn finish_taking(&mut self, taking: Taking) {
        self.send_batch();
        let is_durable = taking.is_durable
            || self.outbox.as_mut().is_some_and(|outbox| outbox.spool().try_again());
        // If the disk has failed in between, it stays for the next start, and may come twice then.
        if is_durable && let Err(error) = taking.left.remove() {
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
