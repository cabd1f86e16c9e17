//! Whether data matches a JSON Schema. A named part of draft 2020-12, which is what definitions need to say of their inputs: whatever else a
//! schema asks for is refused when the definition is read, so that nothing is taken for checked that is not.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// How deep a schema and what it refers to may go.
pub const DEPTH_MAX: u32 = 64;
/// How many values are held against how many schemas at most: parts of a schema that name each other would else take for ever.
pub const CHECKS_MAX: u32 = 500_000;

/// What is checked.
const CHECKED: &[&str] = &[
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "not",
    "oneOf",
    "properties",
    "required",
    "type",
    "uniqueItems",
];

/// What only describes, or holds parts.
const SAID: &[&str] = &[
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "format",
    "readOnly",
    "title",
    "writeOnly",
];

/// The types of JSON.
const TYPES: &[&str] = &["array", "boolean", "integer", "null", "number", "object", "string"];

/// What of a schema is not checked, or is no schema: the path in it and what is wrong.
pub fn unsupported(schema: &Value) -> Vec<(String, String)> {
    let mut look = Look { root: schema, found: Vec::new() };
    look.schema(schema, "");
    look.found
}

/// Looks through a schema.
struct Look<'s> {
    root: &'s Value,
    found: Vec<(String, String)>,
}

impl Look<'_> {
    fn wrong(&mut self, at: &str, why: &str) {
        self.found.push((at.to_owned(), why.to_owned()));
    }

    fn schema(&mut self, schema: &Value, at: &str) {
        let fields = match schema {
            Value::Object(fields) => fields,
            Value::Bool(_) => return,
            _ => return self.wrong(at, "a schema is an object, true or false"),
        };
        fields.iter().for_each(|(name, value)| self.field(name, value, &format!("{at}/{name}")));
    }

    fn field(&mut self, name: &str, value: &Value, at: &str) {
        match name {
            "properties" | "$defs" | "definitions" => match value.as_object() {
                Some(all) => all.iter().for_each(|(name, one)| self.schema(one, &format!("{at}/{name}"))),
                None => self.wrong(at, "an object of schemas is wanted"),
            },
            "allOf" | "anyOf" | "oneOf" => match value.as_array() {
                Some(all) => {
                    all.iter().enumerate().for_each(|(n, one)| self.schema(one, &format!("{at}/{n}")))
                }
                None => self.wrong(at, "a list of schemas is wanted"),
            },
            "items" | "not" | "additionalProperties" => self.schema(value, at),
            "type" if !is_type(value) => self.wrong(at, &format!("types are {}", TYPES.join(", "))),
            "$ref" => match value.as_str().and_then(|to| to.strip_prefix('#')) {
                None => self.wrong(at, "only places in the same schema are referred to, such as #/$defs/x"),
                Some(to) if self.root.pointer(to).is_none() => self.wrong(at, "the schema has no such place"),
                Some(_) => {}
            },
            "required" if !is_list_of_texts(value) => self.wrong(at, "a list of names is wanted"),
            "enum" if !value.is_array() => self.wrong(at, "a list of values is wanted"),
            "uniqueItems" if !value.is_boolean() => self.wrong(at, "true or false is wanted"),
            name if is_bound(name) && !value.is_number() => self.wrong(at, "a number is wanted"),
            name if CHECKED.contains(&name) || SAID.contains(&name) => {}
            name => self.wrong(at, &format!("'{name}' is not checked; say it with {}", CHECKED.join(", "))),
        }
    }
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
}

/// Whether a keyword bounds a number or a count.
fn is_bound(name: &str) -> bool {
    ["max", "min", "exclusiveM"].iter().any(|start| name.starts_with(start))
}

fn is_type(value: &Value) -> bool {
    let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    known(value) || value.as_array().is_some_and(|types| !types.is_empty() && types.iter().all(known))
}

/// Checks a value, or says where it does not match and why.
pub fn check(schema: &Value, value: &Value) -> Result<(), String> {
    let check = Check { root: schema, count: Cell::new(0) };
    let found = check.value(schema, value, "", 0);
    match check.is_endless() {
        true => wrong("", "the schema goes too deep, or takes too long; write a simpler one"),
        false => found,
    }
}

struct Check<'s> {
    root: &'s Value,
    /// How many values were held against schemas.
    count: Cell<u32>,
}

impl Check<'_> {
    fn is_endless(&self) -> bool {
        self.count.get() > CHECKS_MAX
    }

    fn value(&self, schema: &Value, value: &Value, at: &str, depth: u32) -> Result<(), String> {
        let more = if depth > DEPTH_MAX { CHECKS_MAX + 1 } else { 1 };
        self.count.set(self.count.get().saturating_add(more));
        if self.is_endless() {
            return wrong(at, "it is not checked to its end");
        }
        let fields = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Object(fields) => fields,
            _ => return wrong(at, "nothing is allowed here"),
        };
        plain(fields, value, at)?;
        self.combined(fields, value, at, depth)?;
        match value {
            Value::Object(object) => self.object(fields, object, at, depth),
            Value::Array(items) => self.array(fields, items, at, depth),
            Value::String(text) => {
                let count = text.chars().count() as f64;
                bounds(fields, ("minLength", "maxLength"), count, at, "characters")
            }
            Value::Number(number) => range(fields, number.as_f64().unwrap_or_default(), at),
            _ => Ok(()),
        }
    }

    fn combined(
        &self,
        fields: &Map<String, Value>,
        value: &Value,
        at: &str,
        depth: u32,
    ) -> Result<(), String> {
        let schemas = |name: &str| fields.get(name).and_then(Value::as_array).map(Vec::as_slice);
        let matches = |schema: &Value| self.value(schema, value, at, depth + 1);
        if let Some(to) = fields.get("$ref").and_then(Value::as_str) {
            let target = self.root.pointer(to.trim_start_matches('#'));
            target.map_or_else(|| wrong(at, &format!("the schema has no {to}")), matches)?;
        }
        for schema in schemas("allOf").unwrap_or_default() {
            matches(schema)?;
        }
        if let Some(schemas) = schemas("anyOf")
            && !schemas.iter().any(|schema| matches(schema).is_ok())
        {
            return wrong(at, "it matches none of 'anyOf'");
        }
        let count = schemas("oneOf").map(|all| all.iter().filter(|schema| matches(schema).is_ok()).count());
        if let Some(count) = count.filter(|count| *count != 1) {
            return wrong(at, &format!("it matches {count} of 'oneOf'"));
        }
        match fields.get("not") {
            Some(schema) if matches(schema).is_ok() => wrong(at, "it matches what it must not"),
            _ => Ok(()),
        }
    }

    fn object(
        &self,
        fields: &Map<String, Value>,
        object: &Map<String, Value>,
        at: &str,
        depth: u32,
    ) -> Result<(), String> {
        bounds(fields, ("minProperties", "maxProperties"), object.len() as f64, at, "fields")?;
        let required = fields.get("required").and_then(Value::as_array).into_iter().flatten();
        if let Some(name) = required.filter_map(Value::as_str).find(|name| !object.contains_key(*name)) {
            return wrong(at, &format!("'{name}' is missing"));
        }
        let properties = fields.get("properties").and_then(Value::as_object);
        for (name, value) in object {
            let schema = properties.and_then(|all| all.get(name)).or(fields.get("additionalProperties"));
            if let Some(schema) = schema {
                self.value(schema, value, &format!("{at}/{name}"), depth + 1)?;
            }
        }
        Ok(())
    }

    fn array(
        &self,
        fields: &Map<String, Value>,
        items: &[Value],
        at: &str,
        depth: u32,
    ) -> Result<(), String> {
        bounds(fields, ("minItems", "maxItems"), items.len() as f64, at, "items")?;
        let unique = fields.get("uniqueItems").and_then(Value::as_bool).unwrap_or(false);
        let mut seen = BTreeSet::new();
        if unique && !items.iter().all(|item| seen.insert(item.to_string())) {
            return wrong(at, "an item is there twice");
        }
        let Some(schema) = fields.get("items") else { return Ok(()) };
        let mut each = items.iter().enumerate();
        each.try_for_each(|(n, item)| self.value(schema, item, &format!("{at}/{n}"), depth + 1))
    }
}

fn plain(fields: &Map<String, Value>, value: &Value, at: &str) -> Result<(), String> {
    let types = match fields.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(one) => one.as_str().into_iter().collect(),
        None => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is_of(name, value)) {
        return wrong(at, &format!("{} is wanted, and it is {}", types.join(" or "), kind(value)));
    }
    if fields.get("const").is_some_and(|only| only != value) {
        return wrong(at, "it is not the one value that is allowed");
    }
    let allowed = fields.get("enum").and_then(Value::as_array);
    match allowed.is_some_and(|allowed| !allowed.contains(value)) {
        true => wrong(at, "it is none of the values that are allowed"),
        false => Ok(()),
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        name => kind(value) == name,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn range(fields: &Map<String, Value>, value: f64, at: &str) -> Result<(), String> {
    let bound = |name: &str| fields.get(name).and_then(Value::as_f64);
    let over = bound("maximum").is_some_and(|max| value > max)
        || bound("exclusiveMaximum").is_some_and(|max| value >= max);
    let under = bound("minimum").is_some_and(|min| value < min)
        || bound("exclusiveMinimum").is_some_and(|min| value <= min);
    if over || under { wrong(at, &format!("{value} is out of bounds")) } else { Ok(()) }
}

fn bounds(
    fields: &Map<String, Value>,
    (min, max): (&str, &str),
    count: f64,
    at: &str,
    what: &str,
) -> Result<(), String> {
    let bound = |name: &str| fields.get(name).and_then(Value::as_f64);
    let is_out = bound(min).is_some_and(|min| count < min) || bound(max).is_some_and(|max| count > max);
    if is_out { wrong(at, &format!("{count} {what} are out of bounds")) } else { Ok(()) }
}

fn wrong<T>(at: &str, why: &str) -> Result<T, String> {
    let at = if at.is_empty() { "/" } else { at };
    Err(format!("at {at}: {why}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn why(schema: Value, value: Value) -> String {
        check(&schema, &value).err().unwrap_or_default()
    }

    #[test]
    fn the_first_place_that_does_not_match_is_named() {
        let schema = json!({
            "type": "object",
            "required": ["id"],
            "properties": {"id": {"type": "integer"}, "lines": {"items": {"$ref": "#/$defs/line"}}},
            "additionalProperties": false,
            "$defs": {"line": {"type": "object", "properties": {"count": {"minimum": 1}}}},
        });
        assert_eq!(why(schema.clone(), json!({"id": 1, "lines": [{"count": 1}]})), "");
        assert_eq!(why(schema.clone(), json!({})), "at /: 'id' is missing");
        assert_eq!(why(schema.clone(), json!({"id": "1"})), "at /id: integer is wanted, and it is string");
        assert_eq!(
            why(schema.clone(), json!({"id": 1, "lines": [{"count": 0}]})),
            "at /lines/0/count: 0 is out of bounds"
        );
        assert_eq!(why(schema, json!({"id": 1, "x": 1})), "at /x: nothing is allowed here");
    }

    #[test]
    fn each_keyword_that_is_said_to_be_checked_is() {
        let cases = [
            (json!({"const": 1}), json!(1), json!(2)),
            (json!({"enum": ["a"]}), json!("a"), json!("b")),
            (json!({"type": ["null", "string"]}), json!(null), json!(1)),
            (json!({"minLength": 2, "maxLength": 2}), json!("äö"), json!("a")),
            (json!({"exclusiveMinimum": 1, "exclusiveMaximum": 3}), json!(2), json!(3)),
            (json!({"maximum": 3}), json!(3), json!(4)),
            (json!({"minItems": 1, "maxItems": 1, "uniqueItems": true}), json!([1]), json!([])),
            (json!({"uniqueItems": true}), json!([1, 2]), json!([1, 1])),
            (json!({"minProperties": 1, "maxProperties": 1}), json!({"a": 1}), json!({})),
            (json!({"anyOf": [{"type": "null"}, {"type": "string"}]}), json!("a"), json!(1)),
            (json!({"oneOf": [{"type": "number"}, {"minimum": 3}]}), json!(2), json!(4)),
            (json!({"allOf": [{"type": "number"}, {"minimum": 3}]}), json!(4), json!(2)),
            (json!({"not": {"type": "null"}}), json!(1), json!(null)),
            (json!(false), json!(null), json!(null)),
        ];
        for (schema, good, bad) in cases {
            assert!(schema == json!(false) || check(&schema, &good).is_ok(), "{schema} refuses {good}");
            assert!(check(&schema, &bad).is_err(), "{schema} takes {bad}");
        }
    }

    #[test]
    fn what_is_not_checked_is_found_at_any_depth() {
        let found = |schema| unsupported(&schema).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
        let schema =
            json!({"properties": {"a": {"pattern": "x"}}, "items": {"$ref": "http://x"}, "type": "int"});
        assert_eq!(found(schema), ["/items/$ref", "/properties/a/pattern", "/type"]);
        let schema = json!({
            "$ref": "#/$defs/x", "required": [false], "enum": 1, "uniqueItems": "x", "minimum": "1", "maxItems": null,
            "not": {"$ref": "#/not"}, "exclusiveMaximum": 3,
        });
        let names = ["$ref", "enum", "maxItems", "minimum", "required", "uniqueItems"];
        assert_eq!(found(schema), names.map(|name| format!("/{name}")));
        assert_eq!(unsupported(&json!({"title": "x", "type": "object", "format": "date"})), []);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        assert!(why(json!({"$ref": "#"}), json!(1)).contains("too deep"));
        let twice = json!([{"$ref": "#"}, {"$ref": "#"}]);
        assert!(why(json!({"anyOf": twice}), json!(1)).contains("too deep"));
        assert!(why(json!({"not": {"not": {"anyOf": twice}}}), json!(1)).contains("too deep"));
        let wide = json!({"anyOf": vec![json!({"$ref": "#/$defs/b"}); 1_000]});
        let schema =
            json!({"$ref": "#/$defs/a", "$defs": {"a": wide, "b": {"anyOf": vec![json!(false); 1_000]}}});
        assert!(why(schema, json!(1)).contains("too long"));
        let many: Vec<u32> = (0..100_000).collect();
        assert_eq!(why(json!({"uniqueItems": true, "items": {"type": "integer"}}), json!(many)), "");
    }
}
