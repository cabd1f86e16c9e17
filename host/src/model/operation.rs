//! What an operator says of a processor while it stays deployed: a pause, a rate, bounds for its lanes. Values and their
//! texts; nothing here knows who carries them out.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize};

use super::descriptor::CONCURRENCY_MAX;

/// The most characters of the reason of a pause.
pub const REASON_CHARS_MAX: usize = 500;
/// The most events of a rate, whatever its period.
pub const RATE_EVENTS_MAX: u32 = 1_000_000;

/// What holds for a processor until somebody says otherwise, whatever version of it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// No batch begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// No more events than this begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Bounds for its lanes, over those of `baton.toml` and of its descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<Lanes>,
    /// The version that was let in last although it is wider than the one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
}

/// An approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// BLAKE3 of the component, in hexadecimal.
    pub digest: String,
    /// By which way it was said.
    pub by: Operator,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Why, in the words of the one who paused it.
    pub reason: String,
    /// By which way it was said.
    pub by: Operator,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// The way by which an operator spoke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Operator {
    /// The command line.
    Cli,
    /// HTTP, without the command line.
    #[default]
    Http,
    /// The program that the host is a part of.
    Library,
    /// The host itself.
    Host,
}

impl Operator {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Http => "http",
            Self::Library => "library",
            Self::Host => "host",
        }
    }
}

/// What is wrong with what an operator said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// Not a number of lanes, and not a range of them.
    #[error("'{0}' is no number of lanes; write MIN..MAX or N, each 1 to {CONCURRENCY_MAX}, such as 1..4")]
    Lanes(String),
    /// Not a rate.
    #[error(
        "'{0}' is no rate; write events per second, minute or hour, 1 to {RATE_EVENTS_MAX}, such as 100/s or 5/m"
    )]
    Rate(String),
    /// A pause without a reason, or with one that nobody reads.
    #[error("a pause needs a reason of 1 to {REASON_CHARS_MAX} characters; this one has {0}")]
    Reason(usize),
}

impl OperationError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lanes(_) => "bad-lanes",
            Self::Rate(_) => "bad-rate",
            Self::Reason(_) => "bad-reason",
        }
    }
}

/// The reason of a pause without space around it, if it is one.
pub fn reason(text: &str) -> Result<String, OperationError> {
    let text = text.trim();
    match text.chars().count() {
        1..=REASON_CHARS_MAX => Ok(text.to_owned()),
        count => Err(OperationError::Reason(count)),
    }
}

/// How many lanes a processor has, at least and at most: `1..4`, or `4` for always four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Lanes {
    min: u32,
    max: u32,
}

impl Lanes {
    /// Both from 1 to [`CONCURRENCY_MAX`], the first not above the second.
    pub fn new(min: u32, max: u32) -> Result<Self, OperationError> {
        if min == 0 || min > max || max > CONCURRENCY_MAX {
            return Err(OperationError::Lanes(format!("{min}..{max}")));
        }
        Ok(Self { min, max })
    }

    /// Always as many; a number out of bounds is the nearest in bounds.
    pub fn fixed(lanes: u32) -> Self {
        let lanes = lanes.clamp(1, CONCURRENCY_MAX);
        Self { min: lanes, max: lanes }
    }

    /// The least.
    pub fn min(self) -> u32 {
        self.min
    }

    /// The most.
    pub fn max(self) -> u32 {
        self.max
    }
}

impl FromStr for Lanes {
    type Err = OperationError;

    fn from_str(text: &str) -> Result<Self, OperationError> {
        let wrong = || OperationError::Lanes(text.to_owned());
        let number = |text: &str| text.trim().parse().map_err(|_| wrong());
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        Self::new(number(min)?, number(max)?).map_err(|_| wrong())
    }
}

impl fmt::Display for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.min == self.max {
            true => write!(f, "{}", self.min),
            false => write!(f, "{}..{}", self.min, self.max),
        }
    }
}

impl From<Lanes> for String {
    fn from(lanes: Lanes) -> Self {
        lanes.to_string()
    }
}

impl<'de> Deserialize<'de> for Lanes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LanesVisitor)
    }
}

/// Reads a text, or a number for always as many.
struct LanesVisitor;

impl Visitor<'_> for LanesVisitor {
    type Value = Lanes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of lanes, or a text such as \"1..4\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Lanes, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Lanes, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Lanes, E> {
        self.visit_str(&number.to_string())
    }
}

/// Who says how many lanes a processor has. The later one is heard first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LanesFrom {
    /// The component's `concurrency`.
    #[default]
    Descriptor,
    /// `lanes` in `baton.toml`.
    Config,
    /// `baton processor scale`.
    Command,
}

/// The bounds that hold: a command's before those of `baton.toml` before the descriptor's.
pub fn bounds(command: Option<Lanes>, config: Option<Lanes>, concurrency: u32) -> (Lanes, LanesFrom) {
    match (command, config) {
        (Some(lanes), _) => (lanes, LanesFrom::Command),
        (None, Some(lanes)) => (lanes, LanesFrom::Config),
        (None, None) => (Lanes::fixed(concurrency), LanesFrom::Descriptor),
    }
}

/// So many events in a second, a minute or an hour: `100/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String")]
pub struct Rate {
    events: u32,
    period: Period,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Period {
    Second,
    Minute,
    Hour,
}

impl Period {
    fn parts(self) -> (&'static str, u64) {
        match self {
            Self::Second => ("s", 1_000_000_000),
            Self::Minute => ("m", 60_000_000_000),
            Self::Hour => ("h", 3_600_000_000_000),
        }
    }
}

impl Rate {
    /// The time from one event to the next, in nanoseconds: 1,000 at the least, an hour at the most.
    pub fn interval_ns(self) -> u64 {
        self.period.parts().1 / u64::from(self.events)
    }
}

impl FromStr for Rate {
    type Err = OperationError;

    fn from_str(text: &str) -> Result<Self, OperationError> {
        let wrong = || OperationError::Rate(text.to_owned());
        let (events, unit) = text.trim().split_once('/').ok_or_else(wrong)?;
        let period = [Period::Second, Period::Minute, Period::Hour].into_iter();
        let period = period.into_iter().find(|period| period.parts().0 == unit).ok_or_else(wrong)?;
        match events.parse() {
            Ok(events @ 1..=RATE_EVENTS_MAX) => Ok(Self { events, period }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.events, self.period.parts().0)
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_a_number_or_a_range_within_bounds() {
        for (text, shown) in [("1..4", "1..4"), ("3", "3"), ("2..2", "2"), (" 1 .. 64 ", "1..64")] {
            assert_eq!(text.parse::<Lanes>().unwrap().to_string(), shown);
        }
        for text in ["", "0", "4..1", "1..65", "0..4", "..4", "1..", "many", "1...4", "-1"] {
            let error = text.parse::<Lanes>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("'{text}' is no number of lanes")), "{error}");
        }
        assert_eq!(Lanes::fixed(0), Lanes::fixed(1));
        let read = |json: &str| serde_json::from_str::<Lanes>(json);
        assert_eq!(
            (read("3").unwrap(), read("\"1..4\"").unwrap()),
            (Lanes::fixed(3), Lanes { min: 1, max: 4 })
        );
        assert!(read("65").is_err() && read("true").is_err());
        assert_eq!(serde_json::to_string(&Lanes { min: 1, max: 4 }).unwrap(), "\"1..4\"");
    }

    #[test]
    fn a_command_is_heard_before_the_file_and_the_file_before_the_descriptor() {
        let (two, three) = (Lanes::fixed(2), Lanes::fixed(3));
        assert_eq!(bounds(Some(two), Some(three), 4), (two, LanesFrom::Command));
        assert_eq!(bounds(None, Some(three), 4), (three, LanesFrom::Config));
        assert_eq!(bounds(None, None, 4), (Lanes::fixed(4), LanesFrom::Descriptor));
    }

    #[test]
    fn a_rate_says_how_long_it_is_from_event_to_event() {
        for (text, interval_ns) in [("1/s", 1_000_000_000), ("1000000/s", 1_000), ("30/m", 2_000_000_000)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.interval_ns(), rate.to_string()), (interval_ns, text.to_owned()));
            let json = serde_json::to_string(&rate).unwrap();
            assert_eq!(serde_json::from_str::<Rate>(&json).unwrap(), rate);
        }
        for text in ["", "100", "0/s", "1000001/s", "1/d", "-1/s", "1.5/s", "none"] {
            assert_eq!(text.parse::<Rate>(), Err(OperationError::Rate(text.to_owned())));
        }
    }

    #[test]
    fn a_reason_has_words() {
        assert_eq!(reason("  the shop is closed\n").unwrap(), "the shop is closed");
        assert_eq!(reason(" "), Err(OperationError::Reason(0)));
        let long = "é".repeat(REASON_CHARS_MAX);
        assert!(reason(&long).is_ok());
        assert_eq!(reason(&(long + "é")), Err(OperationError::Reason(REASON_CHARS_MAX + 1)));
    }
}
