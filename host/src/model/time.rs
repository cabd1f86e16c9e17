//! Times and durations as text: RFC 3339 UTC for times; `5s` style or ISO 8601 for durations. It reads
//! no clock.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a duration: {why}; write it like 5s, 500ms, 2m, 2d or PT5S")]
pub struct DurationError {
    text: String,
    why: String,
}

/// Reads a duration such as `5s`, `1m 30s`, `2d` or `PT5S`; a day has 24 hours, a week 7 days.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let refuse = |why: String| DurationError { text: text.chars().take(40).collect(), why };
    let signed = signed_duration(text).map_err(|error| refuse(error.to_string()))?;
    Duration::try_from(signed).map_err(|_| refuse("it is negative".to_owned()))
}

fn signed_duration(text: &str) -> Result<SignedDuration, jiff::Error> {
    text.parse::<Span>()?.to_duration(SpanRelativeTo::days_are_24_hours())
}

/// Why a text is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a time: {why}; write it like 2026-01-31T12:00:00Z")]
pub struct TimeError {
    text: String,
    why: String,
}

/// Reads an RFC 3339 time as milliseconds since the Unix epoch. What is finer is rounded up: nothing that was before the
/// time is at or after the result.
pub fn parse_rfc3339(text: &str) -> Result<u64, TimeError> {
    let refuse = |why: String| TimeError { text: text.chars().take(40).collect(), why };
    let time: Timestamp = text.parse().map_err(|error: jiff::Error| refuse(error.to_string()))?;
    let above = time.subsec_nanosecond().rem_euclid(1_000_000) > 0;
    u64::try_from(time.as_nanosecond().div_euclid(1_000_000) + i128::from(above))
        .map_err(|_| refuse("it is before 1970".to_owned()))
}

/// Writes a time in milliseconds since the Unix epoch as RFC 3339 UTC.
pub fn rfc3339(time_ms: u64) -> String {
    let known = i64::try_from(time_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    known.map_or_else(|| format!("{time_ms} ms after 1970"), |time| format!("{time:.3}"))
}

/// How long it is from one RFC 3339 time to another; nothing when one is no time, or `to` is earlier.
pub fn between(from: &str, to: &str) -> Option<Duration> {
    let [from, to]: [Timestamp; 2] = [from.parse().ok()?, to.parse().ok()?];
    to.duration_since(from).try_into().ok()
}

/// Writes a duration for people, in the unit that suits it: `850 us`, `1.2 ms`, `3.0 s`, `2m 05s`.
pub fn for_people(duration: Duration) -> String {
    let us = duration.as_micros();
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        1_000_000..60_000_000 => format!("{:.1} s", us as f64 / 1e6),
        60_000_000..3_600_000_000 => format!("{}m {:02}s", us / 60_000_000, us / 1_000_000 % 60),
        _ => format!("{}h {:02}m", us / 3_600_000_000, us / 60_000_000 % 60),
    }
}

/// The same for a duration between two times of the journal, which has whole milliseconds: nothing finer is claimed.
pub fn whole(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        _ => for_people(duration),
    }
}

/// How long ago something began, by two times as RFC 3339: in one unit, two at most, for nobody wants to read milliseconds of an hour.
pub fn age(started: &str, asked: &str) -> String {
    in_days(between(started, asked).unwrap_or_default())
}

/// A duration of whole milliseconds for people, however long it is.
pub fn in_days(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => whole(duration),
        60..86_400 => for_people(duration),
        seconds => format!("{}d {:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_both_styles() {
        for text in ["5s", "PT5S", "5000ms", "5 seconds"] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_secs(5), "{text}");
        }
        for (text, hours) in [("2d", 48), ("P1DT1H", 25), ("1w", 168)] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_secs(hours * 3600), "{text}");
        }
        for text in ["", "5", "-5s", "soon", "1mo", "1y"] {
            assert!(parse_duration(text).unwrap_err().to_string().contains("like 5s"), "{text}");
        }
    }

    #[test]
    fn times_are_read_in_any_zone_and_rounded_up() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2023-11-14T22:13:20.123Z", 1_700_000_000_123),
            ("2023-11-14T23:13:20.123+01:00", 1_700_000_000_123),
            ("2023-11-14T22:13:20.1230001Z", 1_700_000_000_124),
        ] {
            assert_eq!(parse_rfc3339(text), Ok(ms), "{text}");
        }
        for text in ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "1969-12-31T23:59:59Z"] {
            assert!(parse_rfc3339(text).unwrap_err().to_string().contains("like 2026"), "{text}");
        }
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(rfc3339(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        let gap = between("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.0012Z");
        assert_eq!(gap, Some(Duration::from_micros(1200)));
        assert_eq!(between("2026-01-31T12:00:01Z", "2026-01-31T12:00:00Z"), None);
    }

    #[test]
    fn durations_for_people_choose_their_unit() {
        let cases = [(7, "7 us"), (1_250, "1.2 ms"), (3_000_000, "3.0 s"), (125_000_000, "2m 05s")];
        for (us, text) in cases {
            assert_eq!(for_people(Duration::from_micros(us)), text);
        }
        assert_eq!(for_people(Duration::from_secs(3_700)), "1h 01m");
        for (ms, text) in [(900, "900 ms"), (61_000, "1m 01s"), (432_000_000, "5d 00h")] {
            assert_eq!(in_days(Duration::from_millis(ms)), text);
        }
    }
}
