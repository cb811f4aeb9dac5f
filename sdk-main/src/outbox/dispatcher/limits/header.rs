//! The headers by which Sentry asks for less.
//!
//! They are believed as far as they make sense: whatever stands in them, no wait is longer than
//! [a day](LONGEST), and nothing is refused for them.

use std::time::Duration;

use guardhouse_protocol::Timestamp;

use super::{LONGEST, UNSAID};
use crate::losses::Category;
use crate::outbox::dispatcher::{Answer, Categories};

/// One limit: so long none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) categories: Categories,
    pub(super) wait: Duration,
}

/// The limits of `X-Sentry-Rate-Limits`. Only Sentry gives such.
pub(super) fn of_sentry<'a>(answer: &Answer<'a>) -> impl Iterator<Item = Limit> + 'a {
    answer.rate_limits.into_iter().flat_map(|text| text.split(',')).filter_map(limit)
}

/// How long everything waits after an answer that has no limit of Sentry's: as long as `Retry-After`
/// says, or else the usual wait after a 429. It may be a proxy that asks for it.
pub(super) fn pause(answer: &Answer<'_>) -> Option<Duration> {
    match answer.retry_after {
        Some(text) => Some(seconds(text).or_else(|| until(text, answer.date?)).unwrap_or(UNSAID)),
        None => (answer.status == 429).then_some(UNSAID),
    }
}

/// `retry_after:categories:scope:reason:namespaces`, of which the first two matter here. The
/// namespaces are those of metrics in a form that was retired.
fn limit(text: &str) -> Option<Limit> {
    let mut fields = text.split(':');
    let retry_after = fields.next()?;
    let names = fields.next()?.trim();
    let categories = if names.is_empty() {
        Categories::ALL
    } else {
        names.split(';').filter_map(|name| Category::from_name(name.trim())).collect()
    };
    Some(Limit { categories, wait: seconds(retry_after).unwrap_or(UNSAID) })
}

/// A number of seconds, perhaps with a fraction. Less than none is none.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    (!seconds.is_nan()).then(|| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST.as_secs_f64())))
}

/// The time from one date to another. To a date that is past it is none.
fn until(date: &str, now: &str) -> Option<Duration> {
    let seconds = http_date(date)?.unix_seconds() - http_date(now)?.unix_seconds();
    Some(Duration::from_secs(seconds.max(0).unsigned_abs()).min(LONGEST))
}

/// A date as HTTP writes it today: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_ascii_whitespace().skip(1);
    let [day, month, year, time, "GMT"] = std::array::from_fn(|_| words.next().unwrap_or_default())
    else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Timestamp::parse_rfc3339(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Category::{Error, Session, Transaction};

    fn limits(rate_limits: &str) -> Vec<(Vec<Category>, f64)> {
        let answer = Answer { rate_limits: Some(rate_limits), ..Answer::new(200) };
        let plain = |limit: Limit| (limit.categories.iter().collect(), limit.wait.as_secs_f64());
        of_sentry(&answer).map(plain).collect()
    }

    /// How long everything waits.
    fn wait(answer: Answer<'_>) -> Option<f64> {
        pause(&answer).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn a_limit_names_a_time_and_categories() {
        assert_eq!(limits("60:error:key:quota"), [(vec![Error], 60.0)]);
        assert_eq!(
            limits("60:transaction;error:organization:reason:ns, 2.5:session:key"),
            [(vec![Error, Transaction], 60.0), (vec![Session], 2.5)]
        );
        assert_eq!(limits("1::organization"), [(Category::ALL.to_vec(), 1.0)]);
        assert_eq!(limits("1:"), [(Category::ALL.to_vec(), 1.0)]);
    }

    #[test]
    fn what_is_not_known_is_ignored() {
        assert_eq!(limits("5:error;metric_bucket;soon"), [(vec![Error], 5.0)]);
        assert_eq!(limits("5:metric_bucket"), [(vec![], 5.0)], "which is nothing, and not all");
        let only_unknown = Answer { rate_limits: Some("5:soon"), ..Answer::new(429) };
        assert_eq!(of_sentry(&only_unknown).count(), 1, "Sentry did say for what");
    }

    #[test]
    fn no_time_is_believed_that_makes_no_sense() {
        let day = LONGEST.as_secs_f64();
        let table = [
            ("-5", 0.0),
            ("nan", 60.0),
            ("soon", 60.0),
            ("", 60.0),
            ("inf", day),
            ("1e400", day),
            ("99999999999999999999999999", day),
            ("-inf", 0.0),
        ];
        for (text, expected) in table {
            assert_eq!(limits(&format!("{text}:error")), [(vec![Error], expected)], "{text}");
            let answer = Answer { retry_after: Some(text), ..Answer::new(429) };
            assert_eq!(wait(answer), Some(expected), "{text}");
        }
    }

    #[test]
    fn without_limits_of_sentry_everything_waits() {
        assert_eq!(limits(""), []);
        assert_eq!(limits("nonsense"), []);
        let answer = Answer { retry_after: Some("7"), ..Answer::new(429) };
        assert_eq!(wait(answer), Some(7.0));
        assert_eq!(wait(Answer::new(429)), Some(60.0));
        assert_eq!(wait(Answer::new(503)), None);
    }

    #[test]
    fn a_date_is_measured_against_the_date_of_the_answer() {
        let at = |retry_after, date| {
            wait(Answer { retry_after: Some(retry_after), date, ..Answer::new(503) })
        };
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at("Sun, 06 Nov 1994 08:51:07 GMT", now), Some(90.0));
        assert_eq!(at("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(0.0));
        assert_eq!(at("Fri, 31 Dec 9999 23:59:59 GMT", now), Some(LONGEST.as_secs_f64()));
        assert_eq!(at("Sun, 06 Nov 1994 08:51:07 GMT", None), Some(60.0));
        assert_eq!(at("Sun, 36 Nov 1994 08:51:07 GMT", now), Some(60.0));
        assert_eq!(at("Sunday, 06-Nov-94 08:49:37 GMT", now), Some(60.0));
    }
}
