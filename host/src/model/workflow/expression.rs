//! What is evaluated while a workflow runs: expressions in jq, and values that have expressions in them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An expression in jq, without the `${ }` round it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expression(pub String);

impl Expression {
    /// What stands between `${` and `}`, if a text is of that form and nothing else.
    pub fn inner(text: &str) -> Option<&str> {
        text.trim().strip_prefix("${")?.strip_suffix('}').map(str::trim)
    }

    /// A text where only an expression makes sense, so that `${ }` may be left out.
    pub fn loose(text: &str) -> Self {
        Self(Self::inner(text).unwrap_or(text.trim()).to_owned())
    }

    /// The jq.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value in which each text of the form `${ ... }` stands for what the expression gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub Value);

impl Template {
    /// All expressions in it, in the order in which [`fill`](Self::fill) takes their values.
    pub fn expressions(&self) -> Vec<Expression> {
        let mut found = Vec::new();
        collect(&self.0, &mut found);
        found
    }

    /// The value with the expressions replaced by what they gave. Where one is missing, the text stays.
    pub fn fill(&self, values: &mut dyn Iterator<Item = Value>) -> Value {
        filled(&self.0, values)
    }
}

fn collect(value: &Value, found: &mut Vec<Expression>) {
    match value {
        Value::String(text) => {
            found.extend(Expression::inner(text).map(|inner| Expression(inner.to_owned())))
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        _ => {}
    }
}

fn filled(value: &Value, values: &mut dyn Iterator<Item = Value>) -> Value {
    match value {
        Value::String(text) if Expression::inner(text).is_some() => {
            values.next().unwrap_or_else(|| value.clone())
        }
        Value::Array(items) => items.iter().map(|item| filled(item, values)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), filled(field, values))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_text_that_is_an_expression_as_a_whole_is_one() {
        assert_eq!(Expression::inner(" ${ .a + 1 } "), Some(".a + 1"));
        assert_eq!(Expression::inner("costs ${ .a }"), None);
        assert_eq!(Expression::inner(".a"), None);
        assert_eq!(Expression::loose(".a").as_str(), ".a");
        assert_eq!(Expression::loose("${ .a }").as_str(), ".a");
    }

    #[test]
    fn a_template_is_filled_in_the_order_in_which_it_names_its_expressions() {
        let template = Template(json!({"b": ["${ .x }", 1, "plain"], "a": {"c": "${ .y }"}}));
        let names: Vec<String> = template.expressions().into_iter().map(|one| one.0).collect();
        let mut values = names.iter().map(|name| json!(format!("value of {name}")));
        let filled = template.fill(&mut values);
        assert_eq!(filled, json!({"b": ["value of .x", 1, "plain"], "a": {"c": "value of .y"}}));
    }
}
