//! Durations and sizes as an operator writes them: `5s`, `2d`, `PT5S`; `64MiB` or a number of bytes. Every key that is
//! one of them takes them in all these forms.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::time::{DurationError, parse_duration};

/// How long something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn of_ms(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// As the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// In milliseconds, as frames count.
    pub fn ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl FromStr for Period {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse_duration(text).map(Self)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u128, &str); 6] = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
        ];
        let ns = self.0.as_nanos();
        let whole = UNITS.into_iter().find(|(unit, _)| ns != 0 && ns.is_multiple_of(*unit));
        let (unit, name) = whole.unwrap_or((1, if ns == 0 { "s" } else { "ns" }));
        write!(f, "{}{name}", ns / unit)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written("a duration such as \"5s\", \"2d\" or \"PT5S\""))
    }
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "[0-9]", "examples": ["500ms", "5s", "1h 30m", "2d", "PT5S"] })
    }
}

/// How many bytes something has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// So many bytes.
    pub const fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many MiB.
    pub const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a size; write it like 64MiB, 1.5GB or 4096")]
pub struct SizeError(String);

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let size: Result<ByteSize, String> = text.trim().parse();
        size.map(|size| Self(size.as_u64())).map_err(|_| SizeError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let whole = UNITS.into_iter().find(|(bits, _)| self.0 != 0 && self.0.trailing_zeros() >= *bits);
        match whole {
            Some((bits, name)) => write!(f, "{}{name}", self.0 >> bits),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeWritten)
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": "^ *[0-9]+(\\.[0-9]+)? *([kKmMgGtT]?i?[bB]?) *$",
            "examples": ["64MiB", "1.5GB", 4096]
        })
    }
}

/// Reads a [`Period`]; says what was expected.
struct Written(&'static str);

impl Visitor<'_> for Written {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
        text.parse().map_err(E::custom)
    }
}

/// Reads a [`Size`].
struct SizeWritten;

impl Visitor<'_> for SizeWritten {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"64MiB\", or a number of bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        let bytes = u64::try_from(bytes);
        bytes.map(Size).map_err(|_| E::custom("a size cannot be negative"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(toml: &str) -> Result<T, String> {
        let table: toml::Table = format!("it = {toml}").parse().unwrap();
        let value = table.get("it").unwrap().clone();
        value.try_into().map_err(|error| error.to_string())
    }

    #[test]
    fn a_period_is_read_in_every_style_and_written_in_one() {
        let cases = [("'5s'", "5s"), ("'PT90M'", "90m"), ("'2d'", "2d"), ("'1h 30m'", "90m"), ("'0s'", "0s")];
        for (text, written) in cases {
            assert_eq!(read::<Period>(text).unwrap().to_string(), written, "{text}");
        }
        assert_eq!(Period::seconds(1).ms(), 1000);
        for text in ["5", "'5'", "'-1s'", "'1 month'"] {
            assert!(read::<Period>(text).unwrap_err().contains("5s"), "{text}");
        }
    }

    #[test]
    fn a_size_is_a_number_or_a_text_with_its_unit() {
        let cases = [
            ("4096", 4096, "4KiB"),
            ("'64MiB'", 64 << 20, "64MiB"),
            ("'1.5 GB'", 1_500_000_000, "1500000000"),
            ("'10'", 10, "10"),
            ("0", 0, "0"),
        ];
        for (text, bytes, written) in cases {
            let size: Size = read(text).unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, written), "{text}");
        }
        for text in ["'much'", "-1", "true", "'5 apples'"] {
            assert!(read::<Size>(text).is_err(), "{text}");
        }
    }
}
