//! What comes through the doorway.

use guardhouse_process::losses::Reason;
use guardhouse_protocol::scope::{Refusals, ScopeUpdate};
use guardhouse_protocol::{Channel, Timestamp};

use super::{Closing, Post};
use crate::house::{Told, Visit};
use crate::losses::message;

impl Post {
    pub(super) fn handle(&mut self, visit: Visit) {
        match visit {
            Visit::Message { channel, bytes, answer } => {
                let is_captured = matches!(channel, Channel::Envelope | Channel::Feedback);
                if is_captured {
                    self.house.took_over();
                }
                if bytes.len() > channel.declaration().max_bytes {
                    let why = format!(
                        "a message of {} bytes is more than the channel {} takes",
                        bytes.len(),
                        channel.name()
                    );
                    self.house.lose(&message(channel, &bytes, Reason::Invalid));
                    self.house.say(format_args!("{why}; it was dropped"));
                    if let Some(answer) = answer {
                        answer.tell(Told::Declined(why));
                    }
                    return;
                }
                if is_captured {
                    self.look_at_hub();
                }
                self.courier.push(channel, bytes, answer);
                self.bound_memory();
                if is_captured {
                    // What was said since, if nothing else was captured since.
                    self.take_own_scope();
                    self.courier.state_scope();
                }
            }
            Visit::ScopeBefore { changes, refusals } => self.change_scope(changes, refusals),
            Visit::Scope => {
                self.house.hear_scope();
                self.take_own_scope();
                self.courier.state_scope();
            }
            Visit::Heartbeats => self.house.hear_heartbeats(),
            Visit::Stream { opening, source, answer } => {
                self.courier.add_stream(&opening, source, answer);
            }
            Visit::Flush { deadline, done } => {
                self.take_scope();
                if !self.is_main_there() {
                    self.put_into_file();
                    done.keep(false);
                } else {
                    self.courier.flush(deadline, |is_durable| done.keep(is_durable));
                }
            }
            Visit::Close { deadline, is_panicking, done } => {
                self.take_scope();
                self.closing = Some(Closing::new(deadline, is_panicking, done));
                // What came behind it is still taken, and nothing else gets in.
                for late in self.house.doorway().close() {
                    self.handle(late);
                }
                if let Some(closing) = &self.closing {
                    let (until, told) = closing.flush();
                    self.courier.flush(until, told);
                }
            }
        }
    }

    /// Takes over what the process has said of its scope, here and to `sentry`.
    pub(super) fn take_scope(&mut self) {
        self.take_own_scope();
        self.look_at_hub();
    }

    fn look_at_hub(&mut self) {
        let now = self.house.own_scope.now();
        let (changes, mut refusals) = self.probe.look(now);
        for change in changes {
            if let Err(refusal) = self.courier.change(change, now) {
                refusals.count(refusal);
            }
        }
        self.say_refusals(&refusals);
    }

    fn take_own_scope(&mut self) {
        let (changes, refusals) = self.house.take_own_scope();
        self.change_scope(changes, refusals);
    }

    fn change_scope(&mut self, changes: Vec<(ScopeUpdate, Timestamp)>, mut refusals: Refusals) {
        for (change, at) in changes {
            if let Err(refusal) = self.courier.change(change, at) {
                refusals.count(refusal);
            }
        }
        self.say_refusals(&refusals);
    }

    fn say_refusals(&self, refusals: &Refusals) {
        for (refusal, count) in refusals.iter() {
            self.house.say(format_args!(
                "{count} of what this process said of its scope was refused: {refusal}"
            ));
        }
    }
}
