//! Which events of a channel a subscription wants: the dialects of the CloudEvents Subscriptions API. It reads, checks and
//! applies filters, and says which of their rules decided. It sees attributes, never data.
//!
//! A comparison with an attribute that the event does not have is false, so `not` of it is true. Values are compared as
//! text, letter by letter, the way the JSON format writes them: `true`, `5`.

mod json;
mod ruling;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;

use std::fmt;

use super::record::Record;

pub use json::FilterError;
pub use ruling::{Rule, Ruling};

/// How deep filters may be nested.
pub const FILTER_DEPTH_MAX: usize = 8;
/// The most rules of one filter: comparisons, and the `all`, `any` and `not` around them.
pub const FILTER_RULES_MAX: usize = 64;

/// A filter, ready to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Every comparison holds.
    Compare(Dialect, Vec<Comparison>),
    /// Every filter passes the event.
    All(Vec<Filter>),
    /// At least one filter passes the event.
    Any(Vec<Filter>),
    /// The filter does not pass the event.
    Not(Box<Filter>),
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The attribute is the text.
    Exact,
    /// The attribute begins with the text.
    Prefix,
    /// The attribute ends with the text.
    Suffix,
}

/// One attribute and the text that it is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    attribute: Attribute,
    text: Box<str>,
}

/// An attribute, found once by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Attribute {
    Id,
    Source,
    Type,
    Subject,
    PartitionKey,
    DataContentType,
    DataSchema,
    Time,
    SpecVersion,
    CausationId,
    CorrelationId,
    Extension(Box<str>),
}

impl Filter {
    /// Whether the event is wanted.
    pub fn passes(&self, record: &Record<'_>) -> bool {
        match self {
            Self::Compare(dialect, all) => all.iter().all(|one| one.holds(*dialect, record)),
            Self::All(filters) => filters.iter().all(|filter| filter.passes(record)),
            Self::Any(filters) => filters.iter().any(|filter| filter.passes(record)),
            Self::Not(filter) => !filter.passes(record),
        }
    }
}

impl Comparison {
    fn holds(&self, dialect: Dialect, record: &Record<'_>) -> bool {
        self.attribute.look(record, |value| value.is_some_and(|value| dialect.holds(value, &self.text)))
    }
}

impl Dialect {
    const ALL: [Self; 3] = [Self::Exact, Self::Prefix, Self::Suffix];

    fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Suffix => "suffix",
        }
    }

    fn holds(self, value: &str, text: &str) -> bool {
        match self {
            Self::Exact => value == text,
            Self::Prefix => value.starts_with(text),
            Self::Suffix => value.ends_with(text),
        }
    }
}

impl Attribute {
    fn of(name: &str) -> Self {
        match name {
            "id" => Self::Id,
            "source" => Self::Source,
            "type" => Self::Type,
            "subject" => Self::Subject,
            "partitionkey" => Self::PartitionKey,
            "datacontenttype" => Self::DataContentType,
            "dataschema" => Self::DataSchema,
            "time" => Self::Time,
            "specversion" => Self::SpecVersion,
            "causationid" => Self::CausationId,
            "correlationid" => Self::CorrelationId,
            other => Self::Extension(other.into()),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Id => "id",
            Self::Source => "source",
            Self::Type => "type",
            Self::Subject => "subject",
            Self::PartitionKey => "partitionkey",
            Self::DataContentType => "datacontenttype",
            Self::DataSchema => "dataschema",
            Self::Time => "time",
            Self::SpecVersion => "specversion",
            Self::CausationId => "causationid",
            Self::CorrelationId => "correlationid",
            Self::Extension(name) => name,
        }
    }

    /// Shows the attribute's value in place: nothing is allocated.
    fn look<T>(&self, record: &Record<'_>, look: impl FnOnce(Option<&str>) -> T) -> T {
        let parts = &record.parts;
        let value = match self {
            Self::Id => Some(parts.id),
            Self::Source => Some(parts.source),
            Self::Type => Some(parts.ty),
            Self::Subject => parts.subject,
            Self::PartitionKey => parts.partitionkey,
            Self::DataContentType => parts.datacontenttype,
            Self::DataSchema => parts.dataschema,
            Self::Time => parts.time,
            Self::SpecVersion => Some("1.0"),
            Self::CausationId => record.stamp.causationid,
            Self::CorrelationId => {
                let mut text = uuid::Uuid::encode_buffer();
                return look(Some(record.stamp.flow.hyphenated().encode_lower(&mut text)));
            }
            Self::Extension(name) => {
                record.extensions().find(|(extension, ..)| **extension == **name).map(|(.., value)| value)
            }
        };
        look(value)
    }
}

/// As the `#[processor]` attribute of the SDK writes it: `any(exact(type = "a"), prefix(subject = "order-"))`.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(dialect, all) => list(f, dialect.name(), all),
            Self::All(filters) => list(f, "all", filters),
            Self::Any(filters) => list(f, "any", filters),
            Self::Not(filter) => write!(f, "not({filter})"),
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, word: &str, items: &[T]) -> fmt::Result {
    write!(f, "{word}(")?;
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    write!(f, ")")
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:?}", self.attribute.name(), self.text)
    }
}
