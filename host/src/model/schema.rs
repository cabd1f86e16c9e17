//! JSON Schemas that descriptors give for the data of channels: their bounds, and what they refer to inside themselves. It
//! validates no data.

use serde_json::Value;

/// The most bytes of one schema.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// How deep a schema may be nested.
pub const SCHEMA_DEPTH_MAX: usize = 32;
/// How many references may follow on each other.
const REFERENCES_MAX: usize = 16;
/// Keywords that combine schemas: beside one of these, no other keyword alone says what is valid.
pub const COMBINATIONS: [&str; 8] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$dynamicRef"];

/// Says what is wrong with a schema, if anything: what it is, how large, how deep, and that it refers to nothing outside.
pub fn problem(schema: &Value) -> Option<String> {
    if !schema.is_object() && !schema.is_boolean() {
        return Some("a schema is a JSON object, true or false".to_owned());
    }
    let bytes = schema.to_string().len();
    if bytes > SCHEMA_BYTES_MAX {
        return Some(format!("{bytes} bytes; at most {SCHEMA_BYTES_MAX}"));
    }
    inner_problem(schema, 1)
}

fn inner_problem(value: &Value, depth: usize) -> Option<String> {
    if depth > SCHEMA_DEPTH_MAX {
        return Some(format!("nested deeper than {SCHEMA_DEPTH_MAX}"));
    }
    match value {
        Value::Object(members) => {
            members.iter().find_map(|(name, inner)| match (name.as_str(), inner.as_str()) {
                ("$ref", Some(reference)) if !reference.starts_with('#') => Some(format!(
                    "it refers to '{reference}'; only what is inside it can be read, such as '#/$defs/item'"
                )),
                _ => inner_problem(inner, depth + 1),
            })
        }
        Value::Array(items) => items.iter().find_map(|inner| inner_problem(inner, depth + 1)),
        _ => None,
    }
}

/// Follows a schema's reference into the whole that it stands in, if it is one; `None` if that leads nowhere.
pub fn local<'a>(whole: &'a Value, mut schema: &'a Value) -> Option<&'a Value> {
    for _ in 0..REFERENCES_MAX {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return Some(schema) };
        schema = whole.pointer(reference.strip_prefix('#')?)?;
    }
    None
}

/// The schema as a part of a document in which it stands at `place`: its references lead there, and it says no more of which
/// dialect it is.
pub fn moved(schema: &Value, place: &str) -> Value {
    match schema {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !matches!(name.as_str(), "$schema" | "$id"));
            let member = |(name, inner): (&String, &Value)| {
                let inner = match (name.as_str(), inner.as_str().and_then(|text| text.strip_prefix('#'))) {
                    ("$ref", Some(rest)) => Value::String(format!("{place}{rest}")),
                    _ => moved(inner, place),
                };
                (name.clone(), inner)
            };
            Value::Object(kept.map(member).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|inner| moved(inner, place)).collect()),
        plain => plain.clone(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(depth: usize) -> Value {
        (1..depth).fold(json!({}), |inner, _| json!({ "not": inner }))
    }

    #[test]
    fn schemas_are_bounded_and_stand_for_themselves() {
        assert_eq!(problem(&json!({"type": "object", "$ref": "#/$defs/a"})), None);
        assert_eq!(problem(&json!(true)), None);
        assert_eq!(problem(&nested(SCHEMA_DEPTH_MAX)), None);
        let large = |bytes: usize| json!({ "title": "x".repeat(bytes - r#"{"title":""}"#.len()) });
        assert_eq!(problem(&large(SCHEMA_BYTES_MAX)), None);
        let bad = [
            (json!("string"), "a JSON object"),
            (nested(SCHEMA_DEPTH_MAX + 1), "nested deeper than 32"),
            (large(SCHEMA_BYTES_MAX + 1), "65537 bytes; at most 65536"),
            (json!({"items": [{"$ref": "http://x/y"}]}), "refers to 'http://x/y'"),
        ];
        for (schema, part) in bad {
            assert!(problem(&schema).unwrap().contains(part), "{part}");
        }
    }

    #[test]
    fn references_are_followed_inside_and_no_further() {
        let whole = json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "string"}, "loop": {"$ref": "#/$defs/loop"}}});
        let at = |reference: &str| {
            let schema = json!({ "$ref": reference });
            local(&whole, &schema).cloned()
        };
        assert_eq!(at("#/$defs/a"), Some(json!({"type": "string"})));
        assert_eq!(at("#/$defs/c"), None);
        assert_eq!(at("#/$defs/loop"), None);
    }

    #[test]
    fn a_schema_in_a_document_refers_to_its_new_place() {
        let schema = json!({"$schema": "x", "$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#"}}}});
        let expected = json!({"$ref": "#/s/o/$defs/a", "$defs": {"a": {"items": {"$ref": "#/s/o"}}}});
        assert_eq!(moved(&schema, "#/s/o"), expected);
    }
}
