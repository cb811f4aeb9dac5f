//! The end of the application, and what it leaves that was captured and not merged.
//!
//! The application waits a bounded time for its end. Of what main has captured until then, as much is
//! merged and stored as a part of that time allows; the rest is put aside in one file, as it was captured,
//! and merged at the next start as of the run in which it happened. Of what cannot even be put aside it is
//! counted that it is lost. What the session is told takes in all of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use guardhouse_process::doorway::Promised;
use guardhouse_protocol::scope::{Contribution, ScopeMessage};
use guardhouse_protocol::{Channel, Envelope, RunId};

use super::Watch;
use super::closing::Closing;
use crate::house::{MessageAnswer, Visit};
use crate::losses::{Losses, Reason};
use crate::merge::{Process, Scopes, Sender};
use crate::outbox::Outbox;
use crate::outbox::spool::{Unmerged, UnmergedBatch, UnmergedKind};
use crate::session::Severity;

/// Of the time that is left, this part is for merging: putting aside has to be done in time, too.
const MERGING: u32 = 4;

/// So many bytes are put aside with one write.
const BYTES_AT_ONCE: usize = 256 * 1024;

/// So many records of earlier runs are merged before others have their turn.
const RECORDS_AT_ONCE: usize = 16;

/// What main has captured, with what it means for the session.
type Captured = (Box<sentry::Envelope>, Option<Severity>);

/// What earlier runs have put aside.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// The run of which something is being merged.
    of: Option<Earlier>,
}

/// An earlier run.
#[derive(Debug)]
struct Earlier {
    run: RunId,
    /// Main in that run.
    sender: Sender,
    /// Its scope at the end.
    scopes: Scopes,
}

/// How far it has come with what earlier runs have put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All of it is merged.
    Done,
    /// It goes on at once.
    Going,
    /// It goes on when there is room, or when the disk works again.
    Waiting,
}

impl Backlog {
    pub(super) fn progress(&self, outbox: &mut Outbox) -> Progress {
        let spool = outbox.spool();
        match spool.has_unmerged() {
            false => Progress::Done,
            true if spool.trouble().is_none() && spool.has_room_for_unmerged() => Progress::Going,
            true => Progress::Waiting,
        }
    }
}

impl Watch {
    /// The application ends.
    pub(super) fn close(&mut self, deadline: Instant, done: Promised<bool>) {
        // Whoever comes now should look for the next main.
        self.listeners = None;
        let mut closing = Closing::new(deadline, done);
        let (start, until) = (Instant::now(), closing.until());
        let merge_until = start + until.saturating_duration_since(start) / MERGING;
        // What came behind it is still taken, and nothing else gets in.
        let (mut captured, mut others) = (VecDeque::new(), Vec::new());
        for visit in self.house.doorway().close() {
            match visit {
                Visit::Captured(envelope, severity) => captured.push_back((envelope, severity)),
                other => others.push(other),
            }
        }
        self.tell_session(&mut captured);
        let is_all_known = others.is_empty() && !self.natives.is_anyone_waiting();
        if let (true, Some(outbox)) = (is_all_known, &mut self.outbox) {
            // Nobody else can have an error to tell, so it is written down before there is no time.
            self.life.exit(outbox);
        }
        self.merge_in_time(&mut captured, merge_until);
        if !captured.is_empty() {
            closing.is_put_aside = true;
            self.guarded(|watch| watch.put_aside(captured, until));
        }
        self.guarded(Self::take_last_words);
        for visit in others {
            if Instant::now() < until {
                self.guarded(|watch| watch.handle(visit));
            } else {
                self.refuse(&visit);
            }
        }
        // What was left before is here already, and should not wait for the next start.
        while Instant::now() < merge_until && self.look_at_an_offline_file() {}
        self.send_batch();
        if let Some(outbox) = &mut self.outbox {
            // Lost for good if nobody writes it down now.
            outbox.count(&self.house.take_losses());
            self.life.exit(outbox);
            outbox.hurry();
        }
        self.flushes.give_up();
        self.closing = Some(closing);
    }

    /// Lets the session know of all that was captured, whatever becomes of it. Only a crash is told with its
    /// event, which therefore goes first.
    fn tell_session(&mut self, captured: &mut VecDeque<Captured>) {
        let is_crash = |(_, severity): &Captured| *severity == Some(Severity::Crash);
        let crash = captured.iter().position(is_crash);
        let before = captured.iter().take(crash.unwrap_or(captured.len()));
        let errors = before.filter(|(_, severity)| severity.is_some()).count();
        if let Some(outbox) = &mut self.outbox {
            self.life.count_errors(errors, outbox);
        }
        let crash = crash.and_then(|at| captured.remove(at));
        // What comes after a crash is of no session.
        for (_, severity) in captured.iter_mut() {
            *severity = None;
        }
        if let Some((envelope, severity)) = crash {
            self.guarded(|watch| watch.captured(&envelope, severity));
        }
    }

    fn merge_in_time(&mut self, captured: &mut VecDeque<Captured>, until: Instant) {
        // Without an outbox it is only mirrored, and nothing is kept.
        while Instant::now() < until || self.outbox.is_none() {
            let Some((envelope, severity)) = captured.pop_front() else { return };
            self.guarded(|watch| watch.captured(&envelope, severity));
        }
    }

    /// Puts aside what was captured, for the next start to merge.
    fn put_aside(&mut self, captured: VecDeque<Captured>, until: Instant) {
        self.house.say(format_args!(
            "{} envelopes are left for the next start, since there is no time to merge them",
            captured.len()
        ));
        let updates = self.house.with_scopes(|scopes| {
            scopes.get(Process::Main).map(Contribution::to_updates).unwrap_or_default()
        });
        let mut batch = UnmergedBatch::default();
        for message in ScopeMessage::write(&updates) {
            batch.push(UnmergedKind::Scope, &message);
        }
        let mut in_batch = Vec::new();
        let mut is_possible = true;
        let mut bytes = Vec::new();
        let mut captured = captured.into_iter().peekable();
        while let Some((envelope, _)) = captured.next() {
            if !is_possible || Instant::now() >= until {
                self.house.count_typed(&envelope, Reason::QueueOverflow);
                is_possible = false;
            } else {
                bytes.clear();
                match envelope.to_writer(&mut bytes) {
                    Ok(()) => {
                        batch.push(UnmergedKind::Captured, &bytes);
                        in_batch.push(envelope);
                    }
                    Err(error) => self.lose_captured(&error.to_string()),
                }
            }
            let is_last = captured.peek().is_none() || !is_possible;
            if batch.len() >= BYTES_AT_ONCE || (is_last && !in_batch.is_empty()) {
                is_possible &= self.append(&batch, &in_batch);
                batch.clear();
                in_batch.clear();
            }
        }
    }

    /// Says whether it could be written; if not it is counted.
    fn append(&mut self, batch: &UnmergedBatch, envelopes: &[Box<sentry::Envelope>]) -> bool {
        let Some(outbox) = &mut self.outbox else { return false };
        match outbox.spool().append_unmerged(batch) {
            Ok(()) => true,
            Err(error) => {
                self.house.say(format_args!(
                    "what main captured last is lost, since it can neither be merged in time nor \
                     written down: {error}"
                ));
                for envelope in envelopes {
                    self.house.count_typed(envelope, Reason::QueueOverflow);
                }
                false
            }
        }
    }

    /// There is no time for it any more. A renderer that keeps what is not acknowledged keeps it.
    fn refuse(&mut self, visit: &Visit) {
        if let Visit::Message { channel: Channel::Envelope | Channel::Feedback, .. }
        | Visit::Feedback { .. } = visit
        {
            self.house.count_lost(Reason::QueueOverflow);
        }
    }

    /// Merges some of what earlier runs have put aside. Says whether there may be more to do now.
    pub(super) fn merge_backlog(&mut self) -> bool {
        for _ in 0..RECORDS_AT_ONCE {
            let Some(outbox) = &mut self.outbox else { return false };
            if self.backlog.progress(outbox) != Progress::Going {
                return false;
            }
            match outbox.spool().next_unmerged(SystemTime::now()) {
                Ok(Some(Unmerged::Record { run, kind, bytes, is_expired })) => {
                    if self.merge_earlier(run, kind, bytes, is_expired) == MessageAnswer::NotDurable
                    {
                        // As long as the disk takes nothing, it is safer where it is.
                        return false;
                    }
                    self.is_merged();
                }
                Ok(Some(Unmerged::Damaged)) => {
                    self.lose_captured("the file of an earlier run is damaged");
                    self.is_merged();
                }
                Ok(Some(Unmerged::End(_))) => self.backlog.of = None,
                Ok(None) => return false,
                Err(error) => self.house.say(format_args!(
                    "what an earlier run could not merge cannot be read, and is left to the next \
                     start: {error}"
                )),
            }
        }
        true
    }

    fn is_merged(&mut self) {
        let Some(outbox) = &mut self.outbox else { return };
        if let Err(error) = outbox.spool().unmerged_done() {
            self.house
                .say(format_args!("what an earlier run has captured may be sent twice: {error}"));
        }
    }

    fn merge_earlier(
        &mut self,
        run: RunId,
        kind: UnmergedKind,
        bytes: Vec<u8>,
        is_expired: bool,
    ) -> MessageAnswer {
        let mut earlier = match self.backlog.of.take() {
            Some(earlier) if earlier.run == run => earlier,
            _ => self.earlier(run),
        };
        let answer = match kind {
            UnmergedKind::Scope => {
                if let Ok(message) = ScopeMessage::parse(&bytes) {
                    let _ = earlier.scopes.hear(Process::Main, message, self.house.own_scope.now());
                }
                MessageAnswer::Taken
            }
            UnmergedKind::Captured => match Envelope::parse(bytes) {
                Ok(envelope) if is_expired => {
                    let mut losses = Losses::new();
                    for item in envelope.items() {
                        losses.count_item(item, Reason::CacheOverflow);
                    }
                    if let Some(outbox) = &mut self.outbox {
                        outbox.count(&losses);
                    }
                    MessageAnswer::Taken
                }
                Ok(envelope) => {
                    let scope = earlier.scopes.merged(Process::Main);
                    // The session of its run has counted it.
                    self.merge_own(envelope, None, &earlier.sender, &scope)
                }
                Err(error) => {
                    self.lose_captured(&error.to_string());
                    MessageAnswer::Taken
                }
            },
        };
        self.backlog.of = Some(earlier);
        answer
    }

    fn earlier(&mut self, run: RunId) -> Earlier {
        let facts = self.outbox.as_mut().and_then(|outbox| outbox.spool().run_facts(run));
        let identity = self.merge.identity().in_run(facts.as_ref());
        Earlier {
            run,
            sender: Sender::main().in_run(Arc::new(identity)),
            scopes: Scopes::new(self.house.own_scope.max_breadcrumbs()),
        }
    }
}
