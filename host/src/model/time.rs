//! Times as text: RFC 3339 UTC. It reads no clock.

use jiff::Timestamp;

/// Writes a time in milliseconds since the Unix epoch as RFC 3339 UTC.
pub fn rfc3339(time_ms: u64) -> String {
    let known = i64::try_from(time_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    known.map_or_else(|| format!("{time_ms} ms after 1970"), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(rfc3339(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
