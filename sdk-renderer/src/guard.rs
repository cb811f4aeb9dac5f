//! What the application holds while it runs: the means to flush and to end, and what `sentry` has no
//! function for.

use std::io::Read;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use guardhouse_process::attach::{self, AttachOptions, AttachmentAnswer, known_size};
use guardhouse_process::doorway::{deadline_in, promise};
use guardhouse_process::feedback::{self, Feedback};
use guardhouse_process::losses::Reason;
use guardhouse_process::receipt::{Receipt, receipt};
use guardhouse_process::running;
use guardhouse_protocol::limits::ENVELOPE_MESSAGE_BYTES;
use guardhouse_protocol::{Channel, FeedbackResult};
use sentry::{Client, TransactionContext};

use crate::attachments;
use crate::heartbeat::Heartbeat;
use crate::house::{Answering, House, Told, Way};
use crate::losses;
use crate::wishes::Wishes;

/// So long a panic that ends the process waits for what is left to be written down, when it has waited
/// for main in vain before.
const AFTER_PANIC: Duration = Duration::from_millis(500);

/// Keeps the SDK running. Dropping it hands what is left to main in the time that
/// [`shutdown_timeout`](crate::Options::shutdown_timeout) gives, leaves the rest where main will find
/// it, says goodbye, and takes everything down: no thread and no connection stays behind.
///
/// Keep it until the end of `main`; `let _ = init(…)` would drop it at once. A process that ends
/// without, main takes for dead; and it says no goodbye when it is dropped by a panic, so that main
/// judges by the exit code what end that was.
///
/// ```no_run
/// use guardhouse_renderer::{Options, init};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let guard = init(Options::new("settings"))?;
///     // … what the process is for …
///     guard.close(std::time::Duration::from_secs(1));
///     Ok(())
/// }
/// ```
#[must_use = "dropping the guard ends the reporting at once"]
pub struct Guard {
    pub(crate) house: Arc<House>,
    pub(crate) wishes: Arc<Wishes>,
    pub(crate) client: Arc<Client>,
    pub(crate) thread: Option<JoinHandle<()>>,
    pub(crate) shutdown_timeout: Duration,
}

impl Guard {
    /// Waits until main has everything captured so far on disk. Says whether it has; `false` comes at
    /// once if main is away. Nothing is lost then: it waits for main.
    pub fn flush(&self, timeout: Duration) -> bool {
        hand_over_counts(&self.client);
        self.client.flush(Some(timeout))
    }

    /// Ends as dropping the guard does, in another time. Says whether main has everything on disk.
    pub fn close(mut self, timeout: Duration) -> bool {
        self.end(timeout)
    }

    /// Sends what a user says. Main tries to get it to Sentry at once, and the receipt tells what Sentry
    /// said; an empty result means that it was not sent yet, and is later, from main's disk.
    ///
    /// ```no_run
    /// # fn send(guard: &guardhouse_renderer::Guard) {
    /// use std::time::Duration;
    ///
    /// use guardhouse_renderer::Feedback;
    ///
    /// let receipt = guard.send_feedback(&Feedback::new("The export button does nothing."));
    /// let is_sent = receipt
    ///     .wait(Duration::from_secs(5))
    ///     .is_some_and(|result| result.status_code == Some(200));
    /// # let _ = is_sent;
    /// # }
    /// ```
    pub fn send_feedback(&self, feedback: &Feedback) -> Receipt<FeedbackResult> {
        let (promised, receipt) = receipt();
        let mut trace = feedback::current_trace();
        self.wishes.continue_in(&mut trace);
        let envelope = feedback::envelope(feedback, &trace);
        if envelope.len() > ENVELOPE_MESSAGE_BYTES {
            self.house.lose(&losses::message(Channel::Feedback, &envelope, Reason::Invalid));
            self.house.say(format_args!(
                "feedback was dropped: with its attachments it has {} bytes, and main takes at most \
                 {ENVELOPE_MESSAGE_BYTES}",
                envelope.len()
            ));
            promised.keep(FeedbackResult::default());
            return receipt;
        }
        let answer = Answering::new(move |told| {
            promised.keep(match told {
                Told::Reply(reply) => FeedbackResult::parse(&reply).unwrap_or_default(),
                Told::Taken | Told::Declined(_) | Told::Lost => FeedbackResult::default(),
            });
        });
        self.house.send(Channel::Feedback, envelope, Some(answer));
        receipt
    }

    /// Attaches something large to an event that was captured: it is read piece by piece, on another
    /// thread than this, and is never in memory as a whole. What is small goes with the event, in
    /// `sentry`'s own scope.
    ///
    /// ```no_run
    /// # fn attach(guard: &guardhouse_renderer::Guard) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::fs::File;
    ///
    /// use guardhouse_renderer::{AttachOptions, sentry};
    ///
    /// let event = sentry::capture_message("the export failed", sentry::Level::Error);
    /// let options = AttachOptions::new("export.log", event).content_type("text/plain");
    /// let receipt = guard.attach(options, File::open("export.log")?);
    /// # drop(receipt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn attach(
        &self,
        options: AttachOptions,
        source: impl Read + Send + 'static,
    ) -> Receipt<AttachmentAnswer> {
        let (promised, receipt) = receipt();
        let size = known_size(&options);
        match attach::opening(&options) {
            Ok(opening) => {
                let answer = attachments::answering(promised, &self.house, size);
                self.house.stream(opening, Box::new(source), answer);
            }
            Err(error) => {
                self.house.lose(&losses::attachment(size.unwrap_or(0), Reason::Invalid));
                self.house.say(format_args!("an attachment was dropped: {error}"));
                promised.keep(AttachmentAnswer::Declined(error.to_string()));
            }
        }
        receipt
    }

    /// Has main watch a thread for hangs, from its first beat on and until what is returned is dropped.
    /// The name is what people call the thread, and belongs to one heartbeat at a time.
    ///
    /// ```no_run
    /// # fn watch(guard: &guardhouse_renderer::Guard) {
    /// let heartbeat = guard.heartbeat("ui");
    /// std::thread::spawn(move || {
    ///     loop {
    ///         // … one round of the thread's work
    ///         heartbeat.beat();
    ///     }
    /// });
    /// # }
    /// ```
    pub fn heartbeat(&self, thread: &str) -> Heartbeat {
        Heartbeat::begin(&self.house, thread)
    }

    /// The headers with which somebody else continues the trace that main has given to this process:
    /// `sentry-trace`, and `baggage` if main has said something of the kind. None if main has given
    /// none.
    ///
    /// ```no_run
    /// # fn ask(guard: &guardhouse_renderer::Guard) {
    /// for (name, value) in guard.trace_headers() {
    ///     println!("{name}: {value}");
    /// }
    /// # }
    /// ```
    pub fn trace_headers(&self) -> Vec<(&'static str, String)> {
        self.wishes.trace_headers()
    }

    /// A transaction that continues the trace that main has given to this process, or begins one if
    /// main has given none. Events, logs and metrics outside of a transaction belong to main's trace
    /// without that.
    ///
    /// ```no_run
    /// # fn open(guard: &guardhouse_renderer::Guard) {
    /// use guardhouse_renderer::sentry;
    ///
    /// let transaction = sentry::start_transaction(guard.continue_trace("open settings", "ui.load"));
    /// // … what is to be measured …
    /// transaction.finish();
    /// # }
    /// ```
    pub fn continue_trace(&self, name: &str, operation: &str) -> TransactionContext {
        let headers = self.trace_headers();
        let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
        TransactionContext::continue_from_headers(name, operation, headers)
    }

    /// Whether main is there, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.way().is_some()
    }

    /// On which way main is reached, if it is there.
    pub fn way(&self) -> Option<Way> {
        self.house.way()
    }

    /// Everything that ends, within `timeout` whatever hangs.
    fn end(&mut self, timeout: Duration) -> bool {
        let Some(thread) = self.thread.take() else { return false };
        let has_waited = std::thread::panicking() && self.house.is_main_silent();
        let timeout = if has_waited { timeout.min(AFTER_PANIC) } else { timeout };
        let deadline = deadline_in(timeout);
        running::set_scope(None);
        // Whoever waits in a flush holds a lock of the client that closing it needs.
        self.house.begin_closing();
        self.close_client(deadline_in(timeout / 2));
        let done = self.house.close(deadline);
        if done.is_some() {
            // It was its last word, so it ends now. Its panic, if there was one, is not ours to pass
            // on.
            let _ = thread.join();
        }
        running::end();
        done == Some(true)
    }

    /// Closes the client of `sentry`, which hands over the logs and metrics that it still holds. That
    /// joins its threads and takes its locks, which a hook of the application may hold for as long
    /// as it likes; so it happens beside, and is not waited for beyond the deadline.
    fn close_client(&self, deadline: Instant) {
        let (closed, promise) = promise();
        let client = self.client.clone();
        let closing =
            std::thread::Builder::new().name("guardhouse-close".to_owned()).spawn(move || {
                hand_over_counts(&client);
                client.close(Some(Duration::ZERO));
                drop(client);
                closed.keep(());
            });
        if let Ok(closing) = closing
            && promise.wait_until(deadline).is_some()
        {
            let _ = closing.join();
        }
    }
}

/// What `sentry` has dropped itself, for a hook, it only tells with the next envelope, and so do we what
/// was lost. This is one, with nothing else in it.
fn hand_over_counts(client: &Client) {
    client.send_envelope(sentry::Envelope::new());
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end(self.shutdown_timeout);
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("way", &self.way()).finish_non_exhaustive()
    }
}
