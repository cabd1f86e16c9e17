//! The published schema as a shape to walk along: which keys there are at each level, and what bounds a value has. What it
//! does not know, it calls a value.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::schema::schema;

/// What may stand at one place of the settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    schema: &'static Value,
}

/// What kind of place it is.
pub(super) enum Kind {
    /// A table with these keys and no others.
    Section(&'static Map<String, Value>),
    /// A table by names that the operator chooses.
    Named(&'static Value),
    /// A value.
    Leaf,
}

impl Shape {
    /// The whole file.
    pub fn root() -> Self {
        static SCHEMA: OnceLock<Value> = OnceLock::new();
        Self { schema: SCHEMA.get_or_init(schema) }
    }

    /// What kind of place it is.
    pub fn kind(self) -> Kind {
        let schema = self.resolved();
        if let Some(Value::Object(properties)) = schema.get("properties") {
            return Kind::Section(properties);
        }
        // Names with a pattern of their own are told by it.
        let by_pattern = schema.get("patternProperties").and_then(Value::as_object);
        let by_pattern = by_pattern.and_then(|patterns| patterns.values().next());
        match by_pattern.or_else(|| schema.get("additionalProperties")) {
            Some(inner @ Value::Object(_)) => Kind::Named(inner),
            _ => Kind::Leaf,
        }
    }

    /// The place below a key.
    pub fn child(self, key: &str) -> Option<Self> {
        match self.kind() {
            Kind::Section(properties) => properties.get(key).map(|schema| Self { schema }),
            Kind::Named(schema) => Some(Self { schema }),
            Kind::Leaf => None,
        }
    }

    /// The place at the end of a path.
    pub fn at(self, path: &[String]) -> Option<Self> {
        path.iter().try_fold(self, |shape, key| shape.child(key))
    }

    /// Whether it is a table.
    pub fn is_table(self) -> bool {
        !matches!(self.kind(), Kind::Leaf)
    }

    /// The keys of a section.
    pub fn keys(self) -> Vec<&'static str> {
        match self.kind() {
            Kind::Section(properties) => properties.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The least and the greatest number that a value may be.
    pub fn bounds(self) -> (Option<u64>, Option<u64>) {
        let bound = |key| self.schema.get(key).or_else(|| self.resolved().get(key)).and_then(Value::as_u64);
        (bound("minimum"), bound("maximum"))
    }

    /// Follows a reference, and takes what may be left out as what it is when it is there.
    fn resolved(self) -> &'static Value {
        let one = self.schema.get("anyOf").and_then(Value::as_array);
        let one = one.and_then(|any| any.iter().find(|schema| schema.get("$ref").is_some()));
        let schema = one.unwrap_or(self.schema);
        let name = schema.get("$ref").and_then(Value::as_str);
        let name = name.and_then(|target| target.strip_prefix("#/$defs/"));
        let definitions = Self::root_schema().get("$defs");
        name.and_then(|name| definitions?.get(name)).unwrap_or(schema)
    }

    fn root_schema() -> &'static Value {
        Self::root().schema
    }
}

/// The key that was probably meant.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LIKENESS_MIN: f64 = 0.6;
    let likeness = |known: &'a str| {
        let edits = strsim::normalized_damerau_levenshtein(wrong, known);
        // A word too few or too many is one slip, however long the word is.
        let whole = known.starts_with(wrong) || wrong.starts_with(known);
        (if whole && !wrong.is_empty() { edits.max(LIKENESS_MIN) } else { edits }, known)
    };
    let scored = known.into_iter().map(likeness).filter(|(score, _)| *score >= LIKENESS_MIN);
    scored.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> Option<Shape> {
        Shape::root().at(&path.split('.').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_shape_knows_sections_names_and_values() {
        assert!(at("journal").is_some_and(|shape| shape.keys().contains(&"durability")));
        assert!(at("processor.any-name.config.any-key").is_some_and(|shape| !shape.is_table()));
        assert_eq!(at("limits.hops_max").map(Shape::bounds), Some((Some(1), Some(65535))));
        assert_eq!(at("limits.workers").map(|shape| shape.bounds().0), Some(Some(1)));
        assert!(at("journal.durable").is_none() && at("listen.port").is_none());
    }

    #[test]
    fn the_nearest_key_is_one_that_looks_alike() {
        let keys = ["durability", "segment_bytes_max", "undurable_bytes_max"];
        assert_eq!(nearest("durabilty", keys), Some("durability"));
        assert_eq!(nearest("segment_bytes", keys), Some("segment_bytes_max"));
        assert_eq!(nearest("colour", keys), None);
    }
}
