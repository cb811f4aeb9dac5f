//! Points in time as Sentry's SDKs write them.
//!
//! There is no clock here: a time comes from a message, or from whoever calls.

use std::fmt;

use crate::json::Value;

/// A point in time, to the nanosecond, in UTC.
///
/// SDKs write times as seconds since 1970 with a fraction, or as RFC 3339; Python's sometimes leaves
/// the zone out.
///
/// ```
/// use guardhouse_protocol::Timestamp;
///
/// let time = Timestamp::parse_rfc3339("2026-11-20T18:54:36.590+02:00").unwrap();
/// assert_eq!(time.to_string(), "2026-11-20T16:54:36.590Z");
/// assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

const SECONDS_PER_DAY: i64 = 86_400;

/// Seconds since 1970 at which the first and the last year begin and end that have four digits.
const WRITABLE: std::ops::Range<i64> = -62_167_219_200..253_402_300_800;

impl Timestamp {
    /// The beginning of 1970.
    pub const EPOCH: Timestamp = Timestamp { seconds: 0, nanos: 0 };

    /// So many whole seconds since 1970 and nanoseconds after them. What cannot be written down with
    /// a year of four digits is the first or last second that can; more than a second's worth of
    /// nanoseconds is the last of the second.
    pub fn from_unix(seconds: i64, nanos: u32) -> Self {
        Self {
            seconds: seconds.clamp(WRITABLE.start, WRITABLE.end - 1),
            nanos: nanos.min(999_999_999),
        }
    }

    /// Seconds since 1970 with a fraction, to the nearest microsecond, which is what a double can say
    /// of our days. Nothing if that is not a time that can be written down with a year of four digits.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let whole = seconds.floor();
        if !(WRITABLE.start as f64..WRITABLE.end as f64).contains(&whole) {
            return None;
        }
        let micros = ((seconds - whole) * 1e6).round() as u32;
        let (carry, micros) = (micros / 1_000_000, micros % 1_000_000);
        Self { seconds: whole as i64 + i64::from(carry), nanos: micros * 1000 }.writable()
    }

    /// Reads RFC 3339, which demands a zone.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (local, rest) = parse_local(text)?;
        let offset = match rest.as_bytes() {
            b"Z" | b"z" => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let hours = two_digits(&[*h1, *h2]).filter(|hours| *hours < 24)?;
                let minutes = two_digits(&[*m1, *m2]).filter(|minutes| *minutes < 60)?;
                let seconds = i64::from(hours * 60 + minutes) * 60;
                if *sign == b'-' { -seconds } else { seconds }
            }
            _ => return None,
        };
        Self { seconds: local.seconds - offset, ..local }.writable()
    }

    /// Reads a time however an SDK may have written it: a number of seconds, RFC 3339, RFC 3339
    /// without a zone (taken as UTC), or the number as a string.
    pub fn from_json(value: Value<'_>) -> Option<Self> {
        if let Some(seconds) = value.as_f64() {
            return Self::from_seconds(seconds);
        }
        let text = value.as_str()?;
        Self::parse_rfc3339(&text)
            .or_else(|| {
                parse_local(&text).filter(|(_, rest)| rest.is_empty()).map(|(time, _)| time)
            })
            .or_else(|| Self::from_seconds(text.parse().ok()?))
    }

    /// The end of the time that was written: [`from_json`](Self::from_json), and as much more as the text
    /// does not say, which is a second for a number without a fraction, and at least a microsecond.
    ///
    /// ```
    /// use guardhouse_protocol::Timestamp;
    /// use guardhouse_protocol::json::Json;
    ///
    /// let end = |text: &str| {
    ///     Timestamp::end_from_json(Json::parse(text.as_bytes()).unwrap().as_value()).unwrap()
    /// };
    /// assert_eq!(end("7"), Timestamp::from_unix(8, 0));
    /// assert_eq!(end("7.25"), Timestamp::from_unix(7, 260_000_000));
    /// assert_eq!(end("\"1970-01-01T00:00:07.250Z\""), Timestamp::from_unix(7, 251_000_000));
    /// ```
    pub fn end_from_json(value: Value<'_>) -> Option<Self> {
        let time = Self::from_json(value)?;
        let text = value.text();
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        // A number with an exponent says less than its digits.
        let has_exponent = value.as_f64().is_some() && text.contains(['e', 'E']);
        let digits = if has_exponent { 0 } else { digits.min(6) };
        let unit = 1_000_000_000 / 10_u32.pow(digits as u32);
        let nanos = time.nanos + unit;
        let (carry, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        Some(Self::from_unix(time.seconds + i64::from(carry), nanos))
    }

    /// Seconds since 1970 with a fraction, as near as a double can say.
    pub fn as_seconds(self) -> f64 {
        self.seconds as f64 + f64::from(self.nanos) / 1e9
    }

    /// The time, if it can be written down with a year of four digits.
    fn writable(self) -> Option<Self> {
        WRITABLE.contains(&self.seconds).then_some(self)
    }

    /// Whole seconds since 1970.
    pub const fn unix_seconds(self) -> i64 {
        self.seconds
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC with milliseconds, as JavaScript does; `{:#}` with all nanoseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(SECONDS_PER_DAY));
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if f.alternate() {
            write!(f, ".{:09}Z", self.nanos)
        } else {
            write!(f, ".{:03}Z", self.nanos / 1_000_000)
        }
    }
}

/// Reads date and time up to the zone, as if they were UTC, and hands back what is behind them.
fn parse_local(text: &str) -> Option<(Timestamp, &str)> {
    let bytes = text.as_bytes();
    let (fixed, mut rest) = bytes.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, t, h1, h2, b':', mi1, mi2, b':', s1, s2] =
        *fixed
    else {
        return None;
    };
    if !matches!(t, b'T' | b't' | b' ') {
        return None;
    }
    let year = i64::from(two_digits(&[y1, y2])?) * 100 + i64::from(two_digits(&[y3, y4])?);
    let month = two_digits(&[mo1, mo2]).filter(|month| (1..=12).contains(month))?;
    let day = two_digits(&[d1, d2]).filter(|day| (1..=days_in_month(year, month)).contains(day))?;
    let hour = two_digits(&[h1, h2]).filter(|hour| *hour < 24)?;
    let minute = two_digits(&[mi1, mi2]).filter(|minute| *minute < 60)?;
    // The sixtieth is a leap second.
    let second = two_digits(&[s1, s2]).filter(|second| *second <= 60)?;

    let mut nanos = 0;
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        for place in 0..9 {
            let digit =
                fraction.get(place).filter(|_| place < digits).map_or(0, |byte| byte - b'0');
            nanos = nanos * 10 + u32::from(digit);
        }
        rest = &fraction[digits..];
    }
    let days = days_from_civil(year, i64::from(month), i64::from(day));
    let of_day = i64::from(hour * 3600 + minute * 60 + second);
    let time = Timestamp { seconds: days * SECONDS_PER_DAY + of_day, nanos };
    // All that was taken is ASCII, so this is a place between characters.
    Some((time, text.get(text.len() - rest.len()..)?))
}

fn two_digits(digits: &[u8; 2]) -> Option<u32> {
    digits
        .iter()
        .all(u8::is_ascii_digit)
        .then(|| u32::from(digits[0] - b'0') * 10 + u32::from(digits[1] - b'0'))
}

fn days_in_month(year: i64, month: u32) -> u32 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date in the Gregorian calendar. Years are counted from March, so that the
/// leap day is the last of a year, and in eras of 400 years, which all have the same length.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The other way round.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    #[test]
    fn rfc3339_is_read_as_it_is_meant() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("2026-11-20T16:54:36.590Z", 1_795_193_676, 590_000_000),
            ("2026-11-20T18:54:36.123456789+02:00", 1_795_193_676, 123_456_789),
            ("2026-11-20t11:24:36.1234567891-05:30", 1_795_193_676, 123_456_789),
            ("2000-02-29 00:00:00Z", 951_782_400, 0),
            ("1969-12-31T23:59:59.5Z", -1, 500_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800, 0),
        ] {
            assert_eq!(
                Timestamp::parse_rfc3339(text),
                Some(Timestamp { seconds, nanos }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "yesterday",
            "2026-11-20",
            "2026-11-20T16:54:36",
            "2026-13-20T16:54:36Z",
            "2026-02-29T16:54:36Z",
            "2026-11-20T24:54:36Z",
            "2026-11-20T16:54:36.Z",
            "2026-11-20T16:54:36+2:00",
            "2026-11-20T16:54:36Zx",
            "+026-11-20T16:54:36Z",
            "2026-11-20T16:54:36\u{e9}",
            "0000-01-01T00:00:00+01:00",
            "9999-12-31T23:59:60Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn writing_is_what_reading_undoes() {
        for days in (-719_000..2_900_000).step_by(997) {
            let time =
                Timestamp::from_unix(days * SECONDS_PER_DAY + days.rem_euclid(86_400), 7_000_000);
            assert_eq!(Timestamp::parse_rfc3339(&time.to_string()), Some(time));
            let exact = Timestamp { nanos: 123_456_789, ..time };
            assert_eq!(Timestamp::parse_rfc3339(&format!("{exact:#}")), Some(exact));
        }
    }

    #[test]
    fn a_fraction_is_rounded_and_not_cut() {
        for millis in 0..1000 {
            let seconds = format!("1795193675.{millis:03}").parse().unwrap();
            let time = Timestamp::from_seconds(seconds).unwrap();
            assert_eq!(time.to_string(), format!("2026-11-20T16:54:35.{millis:03}Z"));
        }
        let almost = Timestamp::from_seconds(1.999_999_9).unwrap();
        assert_eq!(almost, Timestamp::from_unix(2, 0));
        assert_eq!(Timestamp::from_seconds(253_402_300_799.999_999_9), None);
    }

    #[test]
    fn what_a_text_leaves_open_about_a_time_is_taken_as_late_as_it_can_be() {
        for (text, seconds, nanos) in [
            ("7", 8, 0),
            ("7.0", 7, 100_000_000),
            ("7.999", 8, 0),
            ("7.1234567891", 7, 123_458_000),
            ("7.5e0", 8, 500_000_000),
            ("\"7\"", 8, 0),
            ("\"1970-01-01T00:00:07Z\"", 8, 0),
            ("\"1970-01-01T00:00:07.123456789Z\"", 7, 123_457_789),
            ("\"1970-01-01T01:00:07.5+01:00\"", 7, 600_000_000),
            ("253402300799.5", 253_402_300_799, 600_000_000),
            ("253402300799", 253_402_300_799, 0),
        ] {
            let json = crate::json::Json::parse(text.as_bytes()).unwrap();
            let end = Timestamp::end_from_json(json.as_value());
            assert_eq!(end, Some(Timestamp::from_unix(seconds, nanos)), "{text}");
        }
        let json = crate::json::Json::parse(b"\"yesterday\"").unwrap();
        assert_eq!(Timestamp::end_from_json(json.as_value()), None);
    }

    #[test]
    fn every_way_to_write_a_time_in_json_is_read() {
        for text in [
            "1795193676.25",
            "\"1795193676.25\"",
            "\"2026-11-20T16:54:36.25Z\"",
            "\"2026-11-20T16:54:36.250\"",
            "179519367625e-2",
        ] {
            let json = Json::parse(text.as_bytes()).unwrap();
            let time = Timestamp::from_json(json.as_value()).unwrap();
            assert_eq!(time.as_seconds(), 1_795_193_676.25, "{text}");
        }
        for text in ["null", "true", "[]", "1e400", "-1e300", "\"inf\"", "\"NaN\""] {
            let json = Json::parse(text.as_bytes()).unwrap();
            assert_eq!(Timestamp::from_json(json.as_value()), None, "{text}");
        }
    }

    #[test]
    fn every_time_that_can_be_made_can_be_written_and_read() {
        for seconds in [i64::MIN, WRITABLE.start, -1, 0, WRITABLE.end - 1, i64::MAX] {
            let time = Timestamp::from_unix(seconds, u32::MAX);
            assert_eq!(Timestamp::parse_rfc3339(&format!("{time:#}")), Some(time));
        }
    }
}
