//! When what main has not taken is left on the shelf, and when it is taken away again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use guardhouse_process::shelf::Shelf;
use guardhouse_protocol::frame::{Proof, Resume};

use crate::courier::Courier;
use crate::house::House;
use crate::ways::{Identity, Line};

/// A main that is not there for so long may not come before we end.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Keeping {
    spool: Option<PathBuf>,
    identity: Identity,
    shelf: Option<Shelf>,
    resume: Option<Resume>,
    /// When what was captured goes to the shelf, while there is no main.
    due: Option<Instant>,
    /// Whether it could not be written, which is not tried again before there was a main.
    has_failed: bool,
}

impl Keeping {
    pub(super) fn new(spool: Option<PathBuf>, identity: Identity) -> Self {
        let due = Some(Instant::now() + PATIENCE);
        Self { spool, identity, shelf: None, resume: None, due, has_failed: false }
    }

    /// This is where our main looks.
    pub(super) fn learned(&mut self, spool: PathBuf) {
        self.spool = Some(spool);
    }

    pub(super) fn connected(&mut self, line: &Line) {
        self.due = None;
        self.has_failed = false;
        if let Some(spool) = line.main.as_ref().and_then(|(_, main)| main.spool.clone()) {
            self.learned(spool);
        }
        self.resume = Some(line.welcome.resume());
        if let (Some(shelf), Some(resume)) = (&mut self.shelf, &self.resume) {
            // If that fails, a main may take something twice, no more.
            let _ = shelf.sign(resume.clone());
        }
    }

    pub(super) fn disconnected(&mut self, is_main_dead: bool) {
        let now = Instant::now();
        self.due = Some(if is_main_dead { now } else { now + PATIENCE });
    }

    /// Says when there is something to do again.
    pub(super) fn step(
        &mut self,
        now: Instant,
        courier: &mut Courier,
        is_connected: bool,
        house: &House,
    ) -> Option<Instant> {
        if is_connected {
            if self.shelf.is_some() && courier.shelved() == 0 {
                self.end_shelf(courier);
            }
            return None;
        }
        let due = self.due.filter(|_| !self.has_failed && courier.has_unshelved())?;
        if due > now {
            return Some(due);
        }
        self.put(courier, house);
        None
    }

    /// Somebody wants to be sure, and main is not there or says nothing.
    pub(super) fn hurry(&mut self, courier: &mut Courier, house: &House) {
        if !self.has_failed && courier.has_unshelved() {
            self.put(courier, house);
        }
    }

    /// The end: what is left goes to the shelf, and the shelf stays. It is main's from now on, which may
    /// look for it as soon as it hears that we go.
    pub(super) fn finish(&mut self, courier: &mut Courier, house: &House) {
        if courier.has_unshelved() {
            self.put(courier, house);
        }
        if self.shelf.is_some() && courier.shelved() == 0 {
            self.end_shelf(courier);
        }
        self.shelf = None;
    }

    /// Nothing on the shelf is held any more: it is taken away, or if there is something on it that no
    /// main has taken, left to main.
    fn end_shelf(&mut self, courier: &mut Courier) {
        if let Some(shelf) = self.shelf.take()
            && !courier.is_only_on_shelf()
        {
            let _ = shelf.remove();
        }
        courier.clear_shelf();
    }

    fn put(&mut self, courier: &mut Courier, house: &House) {
        let Some(spool) = &self.spool else { return };
        let mut frames = Vec::new();
        let shelf = match &mut self.shelf {
            Some(shelf) => Ok(shelf),
            none => {
                let mut hello = self.identity.hello(Proof::new([0; 32]));
                hello.resume.clone_from(&self.resume);
                Shelf::begin(spool, hello).map(|shelf| {
                    house.say(format_args!(
                        "what main has not taken is left in {}",
                        shelf.path().display()
                    ));
                    none.insert(shelf)
                })
            }
        };
        let written = shelf.and_then(|shelf| {
            frames = courier.poll_shelf();
            shelf.append(&frames)
        });
        if let Err(error) = written {
            self.has_failed = true;
            courier.unshelve(&frames);
            house.say(format_args!(
                "what main has not taken could not be left in {}, and is lost if this process ends \
                 before main is there: {error}",
                spool.display()
            ));
        }
    }
}
