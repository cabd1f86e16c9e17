//! Filters as JSON, checked: `{"any": [{"exact": {"type": "a"}}, {"not": {"prefix": {"subject": "x-"}}}]}`.

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Attribute, Comparison, Dialect, FILTER_DEPTH_MAX, FILTER_RULES_MAX, Filter};
use crate::model::event::{ATTRIBUTE_BYTES_MAX, check_attribute_name};

const DIALECTS: &str = "exact, prefix, suffix, all, any and not";
/// What is no attribute, or is one only when the event leaves the host.
const UNSEEN: [&str; 4] = ["data", "data_base64", "sequence", "recordedtime"];

/// What is wrong with a filter, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct FilterError {
    /// The rule, such as `filter.all[1].prefix.subject`.
    pub path: String,
    /// What is there and what to write.
    pub why: String,
}

fn refuse<T>(path: &str, why: impl Into<String>) -> Result<T, FilterError> {
    Err(FilterError { path: path.to_owned(), why: why.into() })
}

impl Filter {
    /// Reads and checks a filter.
    pub fn from_value(value: &Value) -> Result<Self, FilterError> {
        Reading { rules: 0 }.filter("filter", value, 1)
    }
}

/// Counts the rules while it reads.
struct Reading {
    rules: usize,
}

impl Reading {
    fn filter(&mut self, path: &str, value: &Value, depth: usize) -> Result<Filter, FilterError> {
        if depth > FILTER_DEPTH_MAX {
            return refuse(path, format!("filters are nested at most {FILTER_DEPTH_MAX} deep"));
        }
        let Some(object) = value.as_object() else {
            return refuse(path, "it is no object; write one such as {\"exact\": {\"type\": \"a\"}}");
        };
        let mut entries = object.iter();
        let (Some((word, inner)), None) = (entries.next(), entries.next()) else {
            let why = format!(
                "it has {} dialects; write one of {DIALECTS}, and join several by all or any",
                object.len()
            );
            return refuse(path, why);
        };
        let path = format!("{path}.{word}");
        if let Some(dialect) = Dialect::ALL.into_iter().find(|dialect| dialect.name() == word) {
            return Ok(Filter::Compare(dialect, self.comparisons(&path, inner)?));
        }
        self.count(&path)?;
        match word.as_str() {
            "all" => Ok(Filter::All(self.filters(&path, inner, depth)?)),
            "any" => Ok(Filter::Any(self.filters(&path, inner, depth)?)),
            "not" => Ok(Filter::Not(Box::new(self.filter(&path, inner, depth + 1)?))),
            _ => refuse(&path, format!("this dialect is not known here; there are {DIALECTS}")),
        }
    }

    fn filters(&mut self, path: &str, value: &Value, depth: usize) -> Result<Vec<Filter>, FilterError> {
        let filters = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if filters.is_empty() {
            return refuse(path, "it has no filters; write a list with at least one");
        }
        let each = filters.iter().enumerate();
        each.map(|(index, filter)| self.filter(&format!("{path}[{index}]"), filter, depth + 1)).collect()
    }

    fn comparisons(&mut self, path: &str, value: &Value) -> Result<Vec<Comparison>, FilterError> {
        let empty = Map::new();
        let pairs = value.as_object().unwrap_or(&empty);
        if pairs.is_empty() {
            return refuse(path, "it names no attribute; write one such as {\"type\": \"a\"}");
        }
        let each = pairs.iter();
        each.map(|(name, value)| self.comparison(&format!("{path}.{name}"), name, value)).collect()
    }

    fn comparison(&mut self, path: &str, name: &str, value: &Value) -> Result<Comparison, FilterError> {
        self.count(path)?;
        if UNSEEN.contains(&name) {
            return refuse(path, "filters see what stands in an event's attributes, and this does not");
        }
        if let Err(error) = check_attribute_name(name) {
            return refuse(path, error.to_string());
        }
        match value.as_str() {
            Some("") => refuse(path, "the text is empty; an attribute never is"),
            Some(text) if text.len() > ATTRIBUTE_BYTES_MAX => {
                refuse(path, format!("the text has {} bytes; at most {ATTRIBUTE_BYTES_MAX}", text.len()))
            }
            Some(text) => Ok(Comparison { attribute: Attribute::of(name), text: text.into() }),
            None => refuse(path, format!("{value} is no text; write \"...\", numbers and booleans too")),
        }
    }

    fn count(&mut self, path: &str) -> Result<(), FilterError> {
        self.rules += 1;
        if self.rules > FILTER_RULES_MAX {
            return refuse(path, format!("a filter has at most {FILTER_RULES_MAX} rules"));
        }
        Ok(())
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(1))?;
        match self {
            Self::Compare(dialect, all) => {
                let pairs = all.iter().map(|one| (one.attribute.name().to_owned(), one.text.as_ref().into()));
                object.serialize_entry(dialect.name(), &pairs.collect::<Map<String, Value>>())?;
            }
            Self::All(filters) => object.serialize_entry("all", filters)?,
            Self::Any(filters) => object.serialize_entry("any", filters)?,
            Self::Not(filter) => object.serialize_entry("not", filter)?,
        }
        object.end()
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_value(&value).map_err(D::Error::custom)
    }
}
