//! What is captured and said, from the doorway to the outbox.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use bytes::Bytes;
use guardhouse_process::describe;
use guardhouse_process::doorway::Promised;
use guardhouse_protocol::http::Answer;
use guardhouse_protocol::{
    Channel, Envelope, FeedbackResult, Item, ItemType, Log, Message, Metric,
};
use uuid::Uuid;

use super::{Heard, RENDERER, RENDERERS, Watch};
use crate::house::{Answering, MessageAnswer};
use crate::intake::{Accepted, Outcome, Patience, RendererId};
use crate::losses::{Losses, Reason};
use crate::merge::{MergedScope, Process, Sender};
use crate::options::RendererInfo;
use crate::outbox::WhenSent;
use crate::outbox::http::Answer as SentryAnswer;
use crate::outbox::spool::Placed;
use crate::session::Severity;

impl Watch {
    /// What main itself has captured, and what it means for the session.
    pub(super) fn captured(&mut self, envelope: &sentry::Envelope, severity: Option<Severity>) {
        let mut bytes = Vec::new();
        let written = envelope.to_writer(&mut bytes).map_err(|error| error.to_string());
        match written.and_then(|()| Envelope::parse(bytes).map_err(|error| error.to_string())) {
            Ok(envelope) => {
                self.glance();
                let scope = self.house.with_scopes(|scopes| scopes.merged(Process::Main));
                self.merge_own(envelope, severity, &Sender::main(), &scope);
            }
            Err(error) => self.lose_captured(&error),
        }
    }

    /// What main has captured is not what it should be.
    pub(super) fn lose_captured(&mut self, why: &str) {
        self.house.say(format_args!("what main captured cannot be sent: {why}"));
        self.house.count_lost(Reason::InternalSdkError);
    }

    /// What main has captured, in this run or in an earlier one, with what it means for the session of
    /// this one.
    pub(super) fn merge_own(
        &mut self,
        mut envelope: Envelope,
        mut severity: Option<Severity>,
        from: &Sender,
        scope: &MergedScope,
    ) -> MessageAnswer {
        // What `sentry` has dropped itself is told with everything else that was lost.
        let mut losses = Losses::new();
        for report in envelope.retain(|item| item.item_type() != ItemType::ClientReport) {
            losses.count_item(&report, Reason::Ignored);
        }
        if !self.merge.chooses(self.dice.fraction()) {
            self.leave_out_events(&mut envelope, severity.take(), &mut losses);
        }
        let now = self.house.own_scope.now();
        let merged = self.merge.main_in_run(envelope, from, scope, now);
        losses.add(&merged.losses);
        if let Some(outbox) = &mut self.outbox {
            outbox.count(&losses);
        }
        match merged.envelope {
            Some(envelope) => self.store(envelope, severity, None),
            None => MessageAnswer::Taken,
        }
    }

    /// What a user says of the application in main.
    pub(super) fn own_feedback(&mut self, envelope: Bytes, answer: Promised<FeedbackResult>) {
        let when_sent: WhenSent = Box::new(|sent| answer.keep(feedback_result(sent)));
        let Ok(envelope) = Envelope::parse(envelope) else {
            // It is written here, so it can be read.
            self.house.count_lost(Reason::InternalSdkError);
            return when_sent(None);
        };
        let scope = self.scope_for(Process::Main);
        let now = self.house.own_scope.now();
        let merged = self.merge.main(envelope, &scope, now);
        if let Some(outbox) = &mut self.outbox {
            outbox.count(&merged.losses);
        }
        match merged.envelope {
            Some(envelope) => drop(self.store(envelope, None, Some(when_sent))),
            None => when_sent(None),
        }
    }

    /// Main's events that were not chosen, with what is attached to them. For the session they have
    /// happened all the same.
    pub(super) fn leave_out_events(
        &mut self,
        envelope: &mut Envelope,
        severity: Option<Severity>,
        losses: &mut Losses,
    ) {
        if !envelope.items().iter().any(|item| item.item_type() == ItemType::Event) {
            return;
        }
        if let (Some(severity), Some(outbox)) = (severity, &mut self.outbox) {
            self.life.handle_event_left_out(severity, outbox);
        }
        let is_left_out =
            |item: &Item| matches!(item.item_type(), ItemType::Event | ItemType::Attachment);
        for item in envelope.retain(|item| !is_left_out(item)) {
            losses.count_item(&item, Reason::SampleRate);
        }
    }

    /// What a renderer says.
    pub(super) fn hear(
        &mut self,
        from: &RendererInfo,
        channel: Channel,
        bytes: Bytes,
        answer: Answering,
    ) {
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
            return answer.tell(MessageAnswer::refused(Answer::Unproven, "the renderer is gone"));
        }
        match self.intake.handle(id, channel, bytes, Patience::Forgets, now) {
            Outcome::Taken(accepted) => {
                for refused in &accepted.taken_out {
                    self.house.say(format_args!("{refused}"));
                }
                self.heard(from, now);
                let is_feedback = channel == Channel::Feedback;
                let (when_sent, answer) = if is_feedback {
                    (Some(answer_feedback(answer)), None)
                } else {
                    (None, Some(answer))
                };
                let answered = self.accept(*accepted, when_sent);
                if let Some(answer) = answer {
                    answer.tell(answered);
                }
            }
            Outcome::Coalesced => answer.tell(MessageAnswer::Taken),
            Outcome::NotYet { .. } => {
                answer.tell(MessageAnswer::refused(Answer::Busy, "it is too much at the moment"));
            }
            Outcome::Refused(refused) => {
                self.house.say(format_args!("{refused}"));
                answer.tell(MessageAnswer::refused(refused.answer(), refused.to_string()));
            }
        }
    }

    /// What a renderer says and may say.
    pub(super) fn accept(
        &mut self,
        accepted: Accepted,
        when_sent: Option<WhenSent>,
    ) -> MessageAnswer {
        let id = accepted.renderer.as_uuid();
        let Some(message) = self.as_wanted(id, accepted.message) else {
            return MessageAnswer::Taken;
        };
        match message {
            Message::Scope(message) => {
                let at = self.house.own_scope.now();
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
                self.merge_and_store(id, envelope, when_sent)
            }
            Message::Log(log) => {
                let (sender, scope) = (self.sender(id), self.scope_for(Process::Renderer(id)));
                let log = self.merge.log(log, &sender, &scope, self.house.own_scope.now());
                self.batch_log(&log);
                MessageAnswer::Taken
            }
            Message::Metric(metric) => {
                let (sender, scope) = (self.sender(id), self.scope_for(Process::Renderer(id)));
                let metric = self.merge.metric(metric, &sender, &scope, self.house.own_scope.now());
                self.batch_metric(&metric);
                MessageAnswer::Taken
            }
            Message::Flush => {
                self.send_batch();
                let is_on_disk =
                    self.outbox.as_mut().is_none_or(|outbox| outbox.spool().try_again());
                if is_on_disk { MessageAnswer::Taken } else { MessageAnswer::NotDurable }
            }
            Message::Status(status) => {
                if self.concern.watches {
                    self.heartbeats.hear(id, &status, Instant::now());
                }
                MessageAnswer::Taken
            }
            // That it was heard is what `renderers` knows.
            Message::Start => MessageAnswer::Taken,
            // A host takes a stream in piece by piece, and hands over what it was about.
            _ => MessageAnswer::refused(Answer::Forbidden, "it cannot be said in one message"),
        }
    }

    /// What a renderer reports, with what all processes contribute.
    pub(super) fn merge_and_store(
        &mut self,
        renderer: Uuid,
        envelope: Envelope,
        when_sent: Option<WhenSent>,
    ) -> MessageAnswer {
        let sender = self.sender(renderer);
        let scope = self.scope_for(Process::Renderer(renderer));
        self.merge_and_store_with(envelope, &sender, &scope, when_sent)
    }

    pub(super) fn merge_and_store_with(
        &mut self,
        envelope: Envelope,
        sender: &Sender,
        scope: &MergedScope,
        when_sent: Option<WhenSent>,
    ) -> MessageAnswer {
        let now = self.house.own_scope.now();
        let merged = self.merge.renderer(envelope, sender, scope, now, self.dice.fraction());
        if let (true, Process::Renderer(id)) = (merged.facts.has_unhandled, sender.process()) {
            self.natives.has_panicked(id);
        }
        if merged.facts.panics > 0 {
            self.house.say(format_args!("a hook panicked; the event goes on unchanged"));
        }
        if let Some(outbox) = &mut self.outbox {
            outbox.count(&merged.losses);
            for error in errors(merged.facts.errors_not_chosen) {
                self.life.handle_event_left_out(error, outbox);
            }
        }
        match merged.envelope {
            Some(envelope) => self.store(envelope, errors(merged.facts.errors), when_sent),
            None => MessageAnswer::Taken,
        }
    }

    /// Stores an envelope that is ready to be sent, with what it means for the session.
    pub(super) fn store(
        &mut self,
        mut envelope: Envelope,
        severities: impl IntoIterator<Item = Severity>,
        when_sent: Option<WhenSent>,
    ) -> MessageAnswer {
        let bytes = self.spotlight.is_some().then(|| envelope.to_bytes());
        if let (Some(spotlight), Some(bytes)) = (&mut self.spotlight, bytes)
            && self.consent.is_given()
        {
            spotlight.mirror(bytes);
        }
        let Some(outbox) = &mut self.outbox else {
            if self.house.debug {
                let what = describe(&envelope);
                self.house.say(format_args!("{what} is not sent, since there is no DSN"));
            }
            if let Some(when_sent) = when_sent {
                when_sent(None);
            }
            return MessageAnswer::Taken;
        };
        let (priority, ending) = self.life.handle_envelope(&mut envelope, severities, outbox);
        let placed = outbox.put(priority, &envelope, when_sent);
        if let Some(update) = ending {
            self.life.handle_spooled(&update, placed, outbox);
        }
        match placed {
            Placed::Disk(_) => MessageAnswer::Taken,
            Placed::Memory(_) => MessageAnswer::NotDurable,
            // As long as only memory counts it, whoever can keep it should.
            Placed::Refused if !outbox.has_written_losses() => {
                MessageAnswer::refused(Answer::Busy, "the disk does not work")
            }
            Placed::Refused => {
                MessageAnswer::refused(Answer::OverBudget, "there is no room for it")
            }
        }
    }

    pub(super) fn batch_log(&mut self, log: &Log) {
        if !self.batch.has_room_for(log.text()) {
            self.send_batch();
        }
        self.batch.log(log, Instant::now());
    }

    pub(super) fn batch_metric(&mut self, metric: &Metric) {
        if !self.batch.has_room_for(metric.text()) {
            self.send_batch();
        }
        self.batch.metric(metric, Instant::now());
    }

    pub(super) fn send_batch(&mut self) {
        let (envelopes, losses) = self.batch.take();
        if let Some(outbox) = &mut self.outbox {
            outbox.count(&losses);
        }
        for envelope in envelopes {
            self.store(envelope, None, None);
        }
    }

    /// The scope for what a process reports, with what main has told `sentry` and not us.
    pub(super) fn scope_for(&mut self, process: Process) -> MergedScope {
        self.glance();
        let at = self.house.own_scope.now();
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
    pub(super) fn sender(&self, id: Uuid) -> Sender {
        let info = self.renderers.get(&id).map(|known| known.info.clone());
        self.sender_of(&info.unwrap_or_else(|| RendererInfo::new(id)))
    }

    pub(super) fn sender_of(&self, info: &RendererInfo) -> Sender {
        let asked = self
            .get_renderer_name
            .as_ref()
            .and_then(|get| catch_unwind(AssertUnwindSafe(|| get(info))).unwrap_or_default());
        let name = asked.or_else(|| info.name.clone()).unwrap_or_else(|| RENDERER.to_owned());
        Sender::renderer(info.id, name)
    }

    /// A renderer was heard. Those of which nothing was heard for the longest make room, should a host
    /// not tell when one is gone.
    pub(super) fn heard(&mut self, info: &RendererInfo, at: Instant) {
        if let Some(known) = self.renderers.get_mut(&info.id) {
            known.at = at;
            if known.info != *info {
                known.info = info.clone();
            }
            return;
        }
        self.renderers.insert(info.id, Heard { at, info: info.clone() });
        if self.renderers.len() > RENDERERS {
            // Of a native renderer main hears when it is gone.
            let pages = self.renderers.iter().filter(|(id, _)| !self.natives.knows(**id));
            let oldest = pages.min_by_key(|(_, heard)| heard.at);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.forget(oldest);
            }
        }
        self.look_at_renderers();
    }

    /// A renderer that is gone leaves nothing behind.
    pub(super) fn forget(&mut self, id: Uuid) {
        self.renderers.remove(&id);
        self.intake.forget(RendererId::new(id));
        self.heartbeats.forget(id);
        self.streams.forget(id, &mut self.outbox);
        self.house.with_scopes(|scopes| scopes.remove(Process::Renderer(id)));
        self.look_at_renderers();
    }
}

/// So many errors of renderers.
fn errors(count: u64) -> impl Iterator<Item = Severity> {
    (0..count).map(|_| Severity::Error)
}

/// Tells a page what became of its feedback.
fn answer_feedback(answer: Answering) -> WhenSent {
    Box::new(|sent| answer.tell(MessageAnswer::Feedback(feedback_result(sent))))
}

/// What Sentry said of feedback, if it did.
pub(super) fn feedback_result(sent: Option<&SentryAnswer>) -> FeedbackResult {
    sent.map_or_else(FeedbackResult::default, |sent| FeedbackResult {
        status_code: Some(sent.status),
        rate_limits: sent.rate_limits.clone(),
        retry_after: sent.retry_after.clone(),
    })
}
