//! The session of a run: how it began, and its one outcome.
//!
//! A session is what Sentry counts the health of a release by. Each has exactly one first update and
//! exactly one outcome, whatever happens: it *exited*, it *crashed*, or it ended *abnormally*, which is
//! what the next start says of a run that did not come to say anything itself. After its outcome
//! nothing is said of a session any more.
//!
//! This is a state machine and what it writes to disk; files and clocks are left to whoever drives it.
//! [`Sessions`] is the state of a run, [`Dead`] what is left of one that is over.
//!
//! # What is sent when
//!
//! Sentry asks for few updates, so there are two: that the session began, and how it ended; or one, if
//! it ended before the first could be spooled. Errors in between are only counted, durably, and told
//! with the outcome. The update of a crash goes into the envelope of the crash
//! ([`Sessions::handle_event`]), so that both arrive or none.
//!
//! # What is on disk
//!
//! The run keeps its [record](Sessions::take_record) in a file of its own, written whenever something
//! has changed. The order makes it exact:
//!
//! 1. Something changes. The new record is written.
//! 2. There is an [update](Sessions::poll_update). Its envelope is spooled under its
//!    [name](Update::name).
//! 3. [`Sessions::handle_spooled`]. The record is written again.
//! 4. Only now is the envelope given to the dispatcher.
//!
//! If the run is killed between 2 and 3, the record does not know that the update was spooled, but then
//! its envelope was not sent either: it is still there. So the next start shows [`Dead`] the envelopes
//! that dead runs left, those of [`Priority::Crash`](crate::outbox::Priority) and
//! [`Priority::Session`](crate::outbox::Priority) suffice, before it asks what is to be said. And what it
//! says has the same name each time, so that it replaces itself if that start is killed too.

mod dead;
mod mode;
mod record;
mod severity;
mod state;
#[cfg(test)]
mod tests;
mod update;

use std::fmt;

pub use dead::Dead;
pub use mode::{SessionMode, Sessions};
pub use severity::Severity;
pub use state::{Moment, Status};
pub use update::Update;

/// What all sessions of a run are about. Of a session it does not change once something was said of it, as
/// Sentry demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    release: Box<str>,
    environment: Option<Box<str>>,
    distinct_id: Option<Box<str>>,
}

impl About {
    /// Sessions of this release.
    ///
    /// ```
    /// use guardhouse_main::session::About;
    ///
    /// assert!(About::new("notes@1.4.2").is_ok());
    /// assert_eq!(
    ///     About::new("").unwrap_err().to_string(),
    ///     "there are no sessions without a release, by which Sentry counts them: set one, such as \
    ///      `my-app@1.0.0`, or turn sessions off"
    /// );
    /// ```
    pub fn new(release: &str) -> Result<Self, NoRelease> {
        let release = release.trim();
        if release.is_empty() {
            return Err(NoRelease);
        }
        Ok(Self { release: release.into(), environment: None, distinct_id: None })
    }

    /// In this environment.
    #[must_use]
    pub fn in_environment(self, environment: &str) -> Self {
        Self { environment: Some(environment.into()), ..self }
    }
}

/// Why there are no sessions: there is no release. The fault is with the application's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRelease;

impl fmt::Display for NoRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "there are no sessions without a release, by which Sentry counts them: set one, such as \
             `my-app@1.0.0`, or turn sessions off",
        )
    }
}

impl std::error::Error for NoRelease {}
