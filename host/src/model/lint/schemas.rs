//! Schemas that do not fit: what senders of a channel promise, and what its readers need. Only `type`, `required`,
//! `properties` and `items` are compared, where both sides say something; what stands beside a combination (`anyOf` and
//! its like) is not judged, so that every finding is true.

use serde_json::Value;

use super::{Finding, Severity};
use crate::model::schema::{COMBINATIONS, local};
use crate::model::topology::{Topology, TopologyChannel};

/// How deep schemas are compared.
const DEPTH_MAX: usize = 16;

/// All clashes of all channels.
pub fn clashes(topology: &Topology) -> Vec<Finding> {
    let mut findings = Vec::new();
    for channel in &topology.channels {
        findings.extend(differ(topology, channel));
        for (sender, promised) in topology.schemas(&channel.senders, &channel.name) {
            for (reader, needed) in topology.schemas(&channel.readers, &channel.name) {
                let clash = Sides { promised, needed }.clash(promised, needed, "", 0);
                findings.extend(clash.map(|why| misfit(channel, sender, reader, &why)));
            }
        }
    }
    findings
}

fn differ(topology: &Topology, channel: &TopologyChannel) -> Option<Finding> {
    let mut given = topology.schemas(&channel.senders, &channel.name);
    let (first, schema) = given.next()?;
    let (other, _) = given.find(|(_, other)| *other != schema)?;
    let name = &channel.name;
    let message = format!(
        "{first} and {other} give different schemas for '{name}': readers have to take both; agree on one, or send on two channels"
    );
    Some(Finding::new((Severity::Warning, "lint-schema-senders"), message, [first, other], [name]))
}

fn misfit(channel: &TopologyChannel, sender: &str, reader: &str, why: &str) -> Finding {
    let name = &channel.name;
    let message = format!("{reader} cannot take all that {sender} may send on '{name}': {why}");
    Finding::new((Severity::Error, "lint-schema-reader"), message, [sender, reader], [name])
}

/// Both schemas whole, to look up what they refer to.
struct Sides<'a> {
    promised: &'a Value,
    needed: &'a Value,
}

impl<'a> Sides<'a> {
    /// The first thing that the reader needs and the sender does not promise.
    fn clash(&self, promised: &'a Value, needed: &'a Value, at: &str, depth: usize) -> Option<String> {
        let promised = plain(self.promised, promised)?;
        let needed = plain(self.needed, needed)?;
        if depth > DEPTH_MAX {
            return None;
        }
        let type_clash = types_clash(promised, needed, at);
        type_clash
            .or_else(|| missing(promised, needed, at))
            .or_else(|| self.below(promised, needed, at, depth))
    }

    fn below(&self, promised: &'a Value, needed: &'a Value, at: &str, depth: usize) -> Option<String> {
        let properties = needed.get("properties").and_then(Value::as_object).into_iter().flatten();
        let mut inner = properties.filter_map(|(name, needed)| {
            let promised = promised.get("properties")?.get(name)?;
            self.clash(promised, needed, &format!("{at}/{name}"), depth + 1)
        });
        inner.next().or_else(|| {
            let (promised, needed) = (promised.get("items")?, needed.get("items")?);
            self.clash(promised, needed, &format!("{at}/*"), depth + 1)
        })
    }
}

/// A schema without combinations, behind what it refers to.
fn plain<'a>(whole: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    let schema = local(whole, schema)?;
    let combined = |word: &&str| schema.get(*word).is_some();
    (schema.is_object() && !COMBINATIONS.iter().any(|word| combined(&word))).then_some(schema)
}

fn types_clash(promised: &Value, needed: &Value, at: &str) -> Option<String> {
    let (may_be, may_take) = (types(promised)?, types(needed)?);
    let takes = |ty: &&str| may_take.contains(ty) || (**ty == *"integer" && may_take.contains(&"number"));
    let not_taken = may_be.iter().find(|ty| !takes(ty))?;
    Some(format!("{} may be {not_taken}, and only {} is taken", place(at), may_take.join(" or ")))
}

fn types(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(some) => some.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// A property that the reader requires and the sender does not. A sender that says nothing of properties promises none, and is
/// not judged either: it may only have said little.
fn missing(promised: &Value, needed: &Value, at: &str) -> Option<String> {
    promised.get("properties")?;
    let name = names(needed).find(|name| !names(promised).any(|promised| promised == *name))?;
    Some(format!("{} is required, and not promised", place(&format!("{at}/{name}"))))
}

fn names(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn place(at: &str) -> &str {
    if at.is_empty() { "the data" } else { at }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::super::super::topology::fixture::described;
    use super::*;
    use serde_json::json;

    fn judge(promised: Value, needed: Value) -> Vec<Finding> {
        let sender = described("sender", &["in"], &["c"], json!({ "c": promised }));
        let reader = described("reader", &["c"], &["out"], json!({ "c": needed }));
        clashes(&Topology::new([&sender, &reader], []))
    }

    fn object(required: &[&str], properties: Value) -> Value {
        json!({"type": "object", "required": required, "properties": properties})
    }

    #[test]
    fn what_is_needed_and_not_promised_is_an_error_with_its_place() {
        let text = json!({"type": "string"});
        let cases = [
            (
                object(&[], json!({"id": text})),
                object(&["id"], json!({})),
                "/id is required, and not promised",
            ),
            (
                object(&["id"], json!({"id": {"type": "integer"}})),
                object(&[], json!({"id": text})),
                "/id may be integer",
            ),
            (
                json!({"type": ["string", "null"]}),
                text.clone(),
                "the data may be null, and only string is taken",
            ),
            (
                json!({"items": object(&["a"], json!({}))}),
                json!({"items": object(&["a", "b"], json!({}))}),
                "/*/b is required",
            ),
            (
                json!({"$ref": "#/$defs/o", "$defs": {"o": object(&[], json!({"id": text}))}}),
                object(&["id"], json!({})),
                "/id is required",
            ),
        ];
        for (promised, needed, part) in cases {
            let found = judge(promised.clone(), needed.clone());
            assert_eq!(found.len(), 1, "{promised} {needed}");
            assert_eq!((found[0].severity, found[0].code.as_str()), (Severity::Error, "lint-schema-reader"));
            assert!(found[0].message.contains(part), "{}", found[0].message);
        }
    }

    #[test]
    fn what_fits_and_what_cannot_be_judged_is_passed() {
        let (text, whole) = (json!({"type": "string"}), json!({"type": "integer"}));
        let cases = [
            (object(&["id"], json!({"id": text})), object(&["id"], json!({"id": text}))),
            (whole, json!({"type": "number"})),
            (json!({}), object(&["id"], json!({}))),
            (json!(true), text.clone()),
            (json!({"anyOf": [text, {"type": "null"}]}), json!({"type": "integer"})),
            (json!({"$ref": "#/$defs/none"}), text),
            (json!({"$ref": "#"}), json!({"type": "integer"})),
        ];
        for (promised, needed) in cases {
            assert_eq!(judge(promised.clone(), needed.clone()), [], "{promised} {needed}");
        }
    }

    #[test]
    fn senders_that_differ_are_warned_of() {
        let one = described("one", &["in"], &["c"], json!({"c": {"type": "string"}}));
        let two = described("two", &["in"], &["c"], json!({"c": {"type": "number"}}));
        let same = described("same", &["in"], &["c"], json!({"c": {"type": "string"}}));
        let found = clashes(&Topology::new([&one, &two, &same], []));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].severity, found[0].code.as_str()), (Severity::Warning, "lint-schema-senders"));
        assert_eq!(found[0].processors, ["one", "two"]);
        assert!(clashes(&Topology::new([&one, &same], [])).is_empty());
    }
}
