//! What came of sending, and what it means for the envelope.

use super::limits;
use crate::losses::Reason;

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Something answered.
    Answer(Answer<'a>),
    /// Nothing did: refused, reset, timed out, or TLS or a proxy failed.
    Failed,
    /// It was given up through no fault of the network, as when the outbox is paused or closed in the
    /// middle of it.
    Abandoned,
}

/// The parts of an answer over HTTP that decide what follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The header `X-Sentry-Rate-Limits`. Of more than one, all with commas between them.
    pub rate_limits: Option<&'a str>,
    /// The header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The header `Date`, which a `Retry-After` that is a date is measured against. So a wrong clock
    /// of this machine changes nothing.
    pub date: Option<&'a str>,
}

impl Answer<'_> {
    /// An answer without any of the headers.
    pub const fn new(status: u16) -> Self {
        Self { status, rate_limits: None, retry_after: None, date: None }
    }

    /// What it means for the envelope.
    ///
    /// Sentry's SDKs throw away whatever gets an answer of 400 or more. Here, what Sentry itself did
    /// not answer for is kept, since an envelope leaves only when Sentry took it or refused it. It
    /// costs the server nothing: what is kept waits as after a network error, up to an hour.
    ///
    /// A 429 is Sentry's own if it names limits in `X-Sentry-Rate-Limits`: then Sentry has counted what
    /// it did not take. One without that header is a proxy's, and nobody has counted anything.
    pub fn verdict(self) -> Verdict {
        match self.status {
            200..=299 => Verdict::Delivered,
            429 if limits::is_sentrys(&self) => Verdict::Discard,
            429 => Verdict::Keep,
            // Nobody is redirected by Sentry, but by networks that want a login first; 511 is the
            // honest way to say so.
            300..=399 | 511 => Verdict::Keep,
            // A proxy wants a password, or the request took too long to arrive.
            407 | 408 => Verdict::Keep,
            // What stands before Sentry could not reach it, or it is down for a while. 520 to 530 are
            // the same of a widespread content network.
            502..=504 | 520..=530 => Verdict::Keep,
            400..=599 => Verdict::Lose(Reason::SendError),
            // No answer that HTTP knows is Sentry's.
            _ => Verdict::Keep,
        }
    }
}

/// What becomes of the envelope that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Sentry took it: delete it.
    Delivered,
    /// Sentry asked for less and has counted it itself: delete it, and count nothing. The dispatcher
    /// never says so of a crash or of a session: these are [kept](Self::Keep).
    Discard,
    /// Sentry refused it: delete it, and count what was sent as lost for this reason, but for the
    /// report that [`Poll`](super::Poll) had put into it, which tells of what is counted already.
    Lose(Reason),
    /// It is not known to have arrived: leave it where it is. It will be asked for again.
    Keep,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_sentry_took_or_refused_leaves() {
        let lost = Verdict::Lose(Reason::SendError);
        let table: &[(&[u16], Verdict)] = &[
            (&[200, 202, 204, 299], Verdict::Delivered),
            (&[429], Verdict::Keep),
            (&[400, 401, 403, 404, 411, 413, 415, 422, 451], lost),
            (&[500, 501, 505, 507, 599], lost),
            (&[301, 302, 303, 304, 307, 308, 511], Verdict::Keep),
            (&[407, 408, 502, 503, 504, 520, 522, 530], Verdict::Keep),
            (&[0, 100, 101, 600, 999, u16::MAX], Verdict::Keep),
        ];
        for (statuses, verdict) in table {
            for &status in *statuses {
                assert_eq!(Answer::new(status).verdict(), *verdict, "{status}");
            }
        }
    }

    #[test]
    fn only_a_429_that_names_limits_of_sentry_is_counted_by_sentry() {
        for limits in ["60:error:key", "60::organization:quota", "5:something_new"] {
            let answer = Answer { rate_limits: Some(limits), ..Answer::new(429) };
            assert_eq!(answer.verdict(), Verdict::Discard, "{limits}");
            let answer = Answer { rate_limits: Some(limits), ..Answer::new(200) };
            assert_eq!(answer.verdict(), Verdict::Delivered, "{limits}");
        }
        for limits in ["", " , ", "nonsense"] {
            let answer = Answer { rate_limits: Some(limits), ..Answer::new(429) };
            assert_eq!(answer.verdict(), Verdict::Keep, "{limits}");
        }
        let answer = Answer { retry_after: Some("7"), ..Answer::new(429) };
        assert_eq!(answer.verdict(), Verdict::Keep, "it may be anybody's");
    }
}
