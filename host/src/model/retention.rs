//! How long and how much of a channel is kept: what an operator writes, and what follows from it for one channel. It knows no clock
//! and no events.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::name::ChannelName;
use super::time::{DurationError, parse_duration};

/// What an operator writes when there is to be no bound.
const OFF: &str = "off";

/// How old an event may get; `None` was written as `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgeBound(pub Option<Duration>);

/// How many bytes of a channel may be kept; `None` was written as `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SizeBound(pub Option<u64>);

/// Why a text is no bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoundError {
    /// It is no age.
    #[error("{0}, days as 30d or P30D, or off")]
    Age(#[from] DurationError),
    /// It is no size.
    #[error("'{text}' is not a size: write it like 10GiB, 500MB or off")]
    Size {
        /// What was written.
        text: String,
    },
    /// Nothing would be kept at all.
    #[error("'{text}' would keep nothing; write off to keep everything")]
    Zero {
        /// What was written.
        text: String,
    },
}

impl TryFrom<String> for AgeBound {
    type Error = BoundError;

    fn try_from(text: String) -> Result<Self, BoundError> {
        match text.as_str() {
            OFF => Ok(Self(None)),
            _ => match parse_duration(&text)? {
                Duration::ZERO => Err(BoundError::Zero { text }),
                age => Ok(Self(Some(age))),
            },
        }
    }
}

impl TryFrom<String> for SizeBound {
    type Error = BoundError;

    fn try_from(text: String) -> Result<Self, BoundError> {
        match text.as_str() {
            OFF => Ok(Self(None)),
            _ => match text.parse::<ByteSize>().map(|size| size.as_u64()) {
                Ok(0) => Err(BoundError::Zero { text }),
                Ok(bytes) => Ok(Self(Some(bytes))),
                Err(_) => Err(BoundError::Size { text: text.chars().take(40).collect() }),
            },
        }
    }
}

impl fmt::Display for AgeBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|age| age.as_millis()) {
            None => f.write_str(OFF),
            Some(ms) if ms % 86_400_000 == 0 => write!(f, "{}d", ms / 86_400_000),
            Some(ms) if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            Some(ms) if ms % 1_000 == 0 => write!(f, "{}s", ms / 1_000),
            Some(ms) => write!(f, "{ms}ms"),
        }
    }
}

impl fmt::Display for SizeBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str(OFF),
            Some(bytes) => f.write_str(&size_for_people(bytes)),
        }
    }
}

impl From<AgeBound> for String {
    fn from(bound: AgeBound) -> Self {
        bound.to_string()
    }
}

impl From<SizeBound> for String {
    fn from(bound: SizeBound) -> Self {
        bound.to_string()
    }
}

/// Writes a size in the unit that suits it: `512 B`, `1.5 MiB`.
pub fn size_for_people(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// `[retention]`, and `retention` of a channel: what is not written is taken from the default, or else is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Events that are older expire.
    pub age: Option<AgeBound>,
    /// The oldest events of a channel expire when it has more bytes than this.
    pub bytes: Option<SizeBound>,
}

/// What is kept of one channel; without a bound, everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The greatest age of an event, in milliseconds.
    pub age_ms_max: Option<u64>,
    /// The most bytes.
    pub bytes_max: Option<u64>,
}

impl Retention {
    /// Whether nothing ever expires.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }
}

/// What is kept of which channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionRules {
    /// For all channels that say nothing else.
    pub default: RetentionSettings,
    /// By channel.
    pub channels: BTreeMap<ChannelName, RetentionSettings>,
}

impl RetentionRules {
    /// What is kept of a channel.
    pub fn of(&self, channel: &ChannelName) -> Retention {
        let own = self.channels.get(channel).copied().unwrap_or_default();
        let age = own.age.or(self.default.age).and_then(|bound| bound.0);
        let bytes = own.bytes.or(self.default.bytes).and_then(|bound| bound.0);
        Retention {
            age_ms_max: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            bytes_max: bytes,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn age(text: &str) -> Result<AgeBound, BoundError> {
        AgeBound::try_from(text.to_owned())
    }

    fn size(text: &str) -> Result<SizeBound, BoundError> {
        SizeBound::try_from(text.to_owned())
    }

    #[test]
    fn bounds_are_read_and_written_as_people_write_them() {
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        for (text, days_expected) in
            [("30d", days(30)), ("P30D", days(30)), ("2 weeks", days(14)), ("off", None)]
        {
            assert_eq!(age(text).unwrap().0, days_expected, "{text}");
        }
        assert_eq!(age("90m").unwrap().to_string(), "5400s");
        assert_eq!(size("10GiB").unwrap(), SizeBound(Some(10 << 30)));
        assert_eq!(size("500MB").unwrap(), SizeBound(Some(500_000_000)));
        assert_eq!([size("1MiB").unwrap().to_string(), size("off").unwrap().to_string()], ["1.0 MiB", "off"]);
        assert_eq!(String::from(age("36h").unwrap()), "36h");
    }

    #[test]
    fn what_is_no_bound_is_refused_with_an_example() {
        for (text, hint) in [("soon", "30d"), ("1 month", "30d"), ("0s", "off")] {
            assert!(age(text).unwrap_err().to_string().contains(hint), "{text}");
        }
        for (text, hint) in [("much", "10GiB"), ("0", "off")] {
            assert!(size(text).unwrap_err().to_string().contains(hint), "{text}");
        }
    }

    #[test]
    fn a_channel_says_only_what_differs() {
        let orders = ChannelName::new("orders").unwrap();
        let own = RetentionSettings { age: Some(age("off").unwrap()), bytes: None };
        let default = RetentionSettings { age: Some(age("1s").unwrap()), bytes: Some(size("5B").unwrap()) };
        let rules = RetentionRules { default, channels: BTreeMap::from([(orders.clone(), own)]) };
        assert_eq!(rules.of(&orders), Retention { age_ms_max: None, bytes_max: Some(5) });
        let other = rules.of(&ChannelName::new("mails").unwrap());
        assert_eq!(other, Retention { age_ms_max: Some(1000), bytes_max: Some(5) });
        assert!(RetentionRules::default().of(&orders).is_off());
    }
}
