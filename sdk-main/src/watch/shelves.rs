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
use crate::merge::{Scopes, Sender};
use crate::options::RendererInfo;

/// Of so many renderers that are gone it is remembered what was taken of them.
const REMEMBERED: usize = 64;

/// Where renderers leave things.
pub(super) struct Shelves {
    /// Nothing if nobody is told to leave anything.
    directory: Option<PathBuf>,
    /// What is there and was not looked at; nothing if it is to be found out.
    waiting: Option<Vec<PathBuf>>,
    /// What was taken of renderers that are gone.
    taken: VecDeque<(Uuid, Window)>,
}

impl Shelves {
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, waiting: None, taken: VecDeque::new() }
    }

    /// A renderer is gone, and may have left something. So much was taken of it.
    pub(super) fn look_for(&mut self, renderer: Uuid, taken: Window) {
        self.taken.push_back((renderer, taken));
        if self.taken.len() > REMEMBERED {
            self.taken.pop_front();
        }
        self.waiting = None;
    }

    /// Whether there is something to look at.
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
    /// Takes what a renderer has left, one at a time. Says whether there may be more.
    pub(super) fn look_at_a_shelf(&mut self) -> bool {
        let Some(path) = self.shelves.next() else { return false };
        match Left::read(&path) {
            // What of it came over its connection is known when that is at its end.
            Ok(Some(left)) if self.is_there(left.hello()) => {}
            Ok(Some(left)) => self.take_left(left),
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

    fn take_left(&mut self, left: Left) {
        let hello = left.hello().clone();
        self.house
            .say(format_args!("{:?} has left something, which is taken", hello.name.as_str()));
        let id = Uuid::new_v4();
        let info = RendererInfo::new(id).with_name(hello.name.as_str()).with_pid(hello.pid);
        let sender = self.sender_of(&info);
        let mut scopes = Scopes::new(self.house.own_scope.max_breadcrumbs());
        let mut is_durable = true;
        for frame in left.frames() {
            let Frame::Message { id: message, channel, payload } = frame else { continue };
            if *channel != Channel::Scope && self.shelves.was_taken(&hello, *message) {
                continue;
            }
            let (from, now) = (RendererId::new(id), Instant::now());
            match self.intake.handle(from, *channel, payload.clone(), Patience::Alone, now) {
                Outcome::Taken(accepted) => {
                    is_durable &= self.take_late(accepted.message, &sender, &mut scopes);
                }
                Outcome::Refused(refused) => self.house.say(format_args!("{refused}")),
                Outcome::Coalesced | Outcome::NotYet { .. } => {}
            }
        }
        self.intake.forget(RendererId::new(id));
        self.send_batch();
        // If the disk does not take it now, the next start finds it here again.
        if is_durable && let Err(error) = left.remove() {
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
