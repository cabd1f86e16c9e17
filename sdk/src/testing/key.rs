//! Finds an event's key as the host does.

use serde_json::Value;

use super::event::TestEvent;
use crate::descriptor::Descriptor;

/// The key under which the processor's subscription to the event's channel orders it.
pub(super) fn of(descriptor: &Descriptor, event: &TestEvent) -> String {
    let mut subscriptions = descriptor.subscriptions.iter();
    let Some(subscription) = subscriptions.find(|known| known.channel == event.channel) else {
        panic!("processor '{}' does not subscribe to '{}'", descriptor.name, event.channel);
    };
    let chosen = match subscription.key {
        "default" => None,
        "single" => Some("single".to_owned()),
        pointer if pointer.starts_with('/') => at_pointer(event, pointer),
        name => attribute(event, name).map(str::to_owned),
    };
    chosen.unwrap_or_else(|| default(event).to_owned())
}

fn default(event: &TestEvent) -> &str {
    let first = event.partition_key.as_deref().or(event.subject.as_deref());
    first.or(event.id.as_deref()).unwrap_or_default()
}

fn at_pointer(event: &TestEvent, pointer: &str) -> Option<String> {
    let data: Value = serde_json::from_slice(&event.data).ok()?;
    match data.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The text of an attribute, if the event has it.
pub(super) fn attribute<'a>(event: &'a TestEvent, name: &str) -> Option<&'a str> {
    match name {
        "specversion" => Some("1.0"),
        "id" => event.id.as_deref(),
        "source" => Some(&event.source),
        "type" => Some(&event.type_),
        "subject" => event.subject.as_deref(),
        "partitionkey" => event.partition_key.as_deref(),
        "datacontenttype" => event.content_type.as_deref(),
        _ => {
            let mut attributes = event.attributes.iter();
            attributes.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event;
    use super::*;
    use crate::descriptor::Subscription;

    fn key(choice: &'static str, event: TestEvent) -> String {
        let subscriptions = vec![Subscription { channel: "orders", key: choice }].leak();
        let descriptor = Descriptor { json: "", name: "x", subscriptions, publishes: &[] };
        of(&descriptor, &event.id("e"))
    }

    #[test]
    fn the_default_is_partition_key_then_subject_then_id() {
        let plain = || event("orders");
        assert_eq!(key("default", plain()), "e");
        assert_eq!(key("default", plain().subject("s")), "s");
        assert_eq!(key("default", plain().subject("s").partition_key("p")), "p");
    }

    #[test]
    fn a_pointer_takes_text_as_it_is_and_else_compact_json() {
        let order = || event("orders").json(&serde_json::json!({"sku": "b-1", "at": [1, 2], "n": null}));
        assert_eq!(key("/sku", order()), "b-1");
        assert_eq!(key("/at", order()), "[1,2]");
        assert_eq!(key("/n", order()), "null");
        assert_eq!(key("/missing", order()), "e");
        assert_eq!(key("/sku", event("orders").bytes("text/plain", b"hi").subject("s")), "s");
    }

    #[test]
    fn attributes_and_single() {
        let order = event("orders").extension("tenant", "t").source("/shop");
        assert_eq!(key("tenant", order.clone()), "t");
        assert_eq!(key("source", order.clone()), "/shop");
        assert_eq!(key("region", order.clone()), "e");
        assert_eq!(key("single", order), "single");
    }

    #[test]
    #[should_panic(expected = "does not subscribe to 'mails'")]
    fn a_foreign_channel_panics() {
        key("default", event("mails"));
    }
}
