//! Which events the host would not hand to the handler: the filter as the descriptor has it.

use serde_json::Value;

use super::event::TestEvent;
use super::key::attribute;
use crate::descriptor::Descriptor;

/// Whether the processor's subscription to the event's channel wants the event.
pub(super) fn passes(descriptor: &Descriptor, event: &TestEvent) -> bool {
    let descriptor: Value = serde_json::from_str(descriptor.json).unwrap_or_default();
    let mut asks = descriptor["subscriptions"].as_array().into_iter().flatten();
    let ask = asks.find(|ask| ask["channel"] == *event.channel);
    ask.and_then(|ask| ask.get("filter")).is_none_or(|filter| holds(filter, event))
}

fn holds(filter: &Value, event: &TestEvent) -> bool {
    let Some((word, inner)) = filter.as_object().and_then(|object| object.iter().next()) else { return true };
    let mut filters = inner.as_array().into_iter().flatten();
    match word.as_str() {
        "all" => filters.all(|filter| holds(filter, event)),
        "any" => filters.any(|filter| holds(filter, event)),
        "not" => !holds(inner, event),
        dialect => {
            let mut pairs = inner.as_object().into_iter().flatten();
            pairs.all(|(name, text)| {
                compare(dialect, attribute(event, name), text.as_str().unwrap_or_default())
            })
        }
    }
}

fn compare(dialect: &str, value: Option<&str>, text: &str) -> bool {
    value.is_some_and(|value| match dialect {
        "prefix" => value.starts_with(text),
        "suffix" => value.ends_with(text),
        _ => value == text,
    })
}
