//! The topology as an AsyncAPI 3.0 document: channels with their messages, who sends and who receives. It is made from the
//! topology alone; where a host listens is said by who asks.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::schema::moved;
use super::topology::{Topology, TopologyChannel};

/// The version of the specification.
pub const ASYNCAPI: &str = "3.0.0";
/// The media type of an AsyncAPI document.
pub const ASYNCAPI_JSON: &str = "application/vnd.aai.asyncapi+json";
/// The schema of the envelope; no channel can have this name.
const ENVELOPE: &str = "CloudEvent";
/// Who publishes on channels that no processor sends on.
const OUTSIDE: &str = "outside";

/// The document. `host` is the address at which the channels are served, such as `127.0.0.1:7077`, if there is one.
pub fn asyncapi(topology: &Topology, version: &str, host: Option<&str>) -> Value {
    let parts: Vec<_> = topology.channels.iter().map(|channel| Part { topology, channel }).collect();
    let mut schemas = Map::from_iter([(ENVELOPE.to_owned(), envelope())]);
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    for part in &parts {
        for variant in part.variants() {
            schemas.extend(variant.schema.map(|schema| {
                (variant.id.clone(), moved(schema, &format!("#/components/schemas/{}", variant.id)))
            }));
            messages.insert(variant.id.clone(), part.message(&variant));
        }
        channels.insert(part.name().to_owned(), part.described(host.is_some()));
        operations.extend(part.operations());
    }
    let mut document = json!({
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "Baton",
            "version": version,
            "description": "Channels of a Baton host, the processors that send and receive on them, and what comes from outside.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    });
    if let (Some(host), Some(document)) = (host, document.as_object_mut()) {
        document.insert("servers".to_owned(), json!({"baton": server(host)}));
    }
    document
}

fn server(host: &str) -> Value {
    json!({
        "host": host,
        "protocol": "http",
        "description": "POST publishes on a channel's address; GET with Accept: text/event-stream reads it live.",
    })
}

/// A channel in its topology.
struct Part<'a> {
    topology: &'a Topology,
    channel: &'a TopologyChannel,
}

/// One form of a channel's data.
struct Variant<'a> {
    id: String,
    schema: Option<&'a Value>,
}

impl Part<'_> {
    fn name(&self) -> &str {
        &self.channel.name
    }

    /// What senders promise; on a channel that nobody promises anything for, what readers expect. Senders that differ have a form
    /// each.
    fn variants(&self) -> Vec<Variant<'_>> {
        let of = |processors| self.topology.schemas(processors, self.name()).collect::<Vec<_>>();
        let promised = of(&self.channel.senders);
        let given = if promised.is_empty() { of(&self.channel.readers) } else { promised };
        match given.as_slice() {
            [] => vec![Variant { id: self.name().to_owned(), schema: None }],
            [(_, first), rest @ ..] if rest.iter().all(|(_, other)| other == first) => {
                vec![Variant { id: self.name().to_owned(), schema: Some(first) }]
            }
            differ => {
                let variants = differ.iter().map(|(processor, schema)| Variant {
                    id: format!("{}.{processor}", self.name()),
                    schema: Some(schema),
                });
                variants.collect()
            }
        }
    }

    fn message(&self, variant: &Variant<'_>) -> Value {
        let data = match variant.schema {
            Some(_) => json!({"$ref": format!("#/components/schemas/{}", variant.id)}),
            None => json!({"description": "No descriptor says what it looks like."}),
        };
        json!({
            "name": variant.id,
            "title": format!("{}: one CloudEvent", self.name()),
            "contentType": "application/cloudevents+json",
            "payload": {
                "allOf": [
                    {"$ref": format!("#/components/schemas/{ENVELOPE}")},
                    {"type": "object", "properties": {"data": data}},
                ],
            },
        })
    }

    fn described(&self, served: bool) -> Value {
        let reference = |id: &str| json!({"$ref": format!("#/components/messages/{id}")});
        let messages =
            self.variants().into_iter().map(|variant| (variant.id.clone(), reference(&variant.id)));
        let mut channel = json!({
            "address": format!("/v1/channels/{}/events", self.name()),
            "title": self.name(),
            "description": self.summary(),
            "messages": messages.collect::<Map<_, _>>(),
        });
        if let (true, Some(channel)) = (served, channel.as_object_mut()) {
            channel.insert("servers".to_owned(), json!([{"$ref": "#/servers/baton"}]));
        }
        channel
    }

    fn summary(&self) -> String {
        let names =
            |names: &[String], none: &str| if names.is_empty() { none.to_owned() } else { names.join(", ") };
        let senders = names(&self.channel.senders, "publishers outside");
        format!("Sent by {senders}; received by {}.", names(&self.channel.readers, "nobody yet"))
    }

    /// One per processor, and one for publishers outside where no processor sends.
    fn operations(&self) -> Vec<(String, Value)> {
        let mut operations: Vec<_> =
            self.channel.senders.iter().map(|sender| self.operation("send", sender)).collect();
        if operations.is_empty() {
            operations.push(self.operation("send", OUTSIDE));
        }
        let readers: BTreeSet<_> = self.channel.readers.iter().collect();
        operations.extend(readers.into_iter().map(|reader| self.operation("receive", reader)));
        operations
    }

    fn operation(&self, action: &str, who: &str) -> (String, Value) {
        let name = self.name();
        let whole = if who == OUTSIDE { "Publishers outside".to_owned() } else { who.to_owned() };
        let mut variants = self.variants();
        let own = format!("{name}.{who}");
        if action == "send" && variants.iter().any(|variant| variant.id == own) {
            variants.retain(|variant| variant.id == own);
        }
        let reference =
            |variant: &Variant<'_>| json!({"$ref": format!("#/channels/{name}/messages/{}", variant.id)});
        let messages: Vec<_> = variants.iter().map(reference).collect();
        let mut operation = json!({
            "action": action,
            "channel": {"$ref": format!("#/channels/{name}")},
            "title": format!("{whole} {action}{} {name}", if who == OUTSIDE { "" } else { "s" }),
            "tags": [{"name": who}],
            "messages": messages,
        });
        let description = self.topology.processor(who).map(|processor| processor.description.as_str());
        if let (Some(text), Some(operation)) =
            (description.filter(|text| !text.is_empty()), operation.as_object_mut())
        {
            operation.insert("summary".to_owned(), json!(text));
        }
        (format!("{who}.{action}.{name}"), operation)
    }
}

/// An event in the CloudEvents JSON format, with what the host adds.
fn envelope() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text("With source, the event's identity."),
            "source": text("Who says it; `/processors/NAME` for a processor."),
            "type": text("What happened; the channel's name unless the sender says another."),
            "subject": text("What it is about."),
            "time": text("When it happened, RFC 3339."),
            "datacontenttype": text("The media type of the data."),
            "dataschema": text("Where the data is described."),
            "data_base64": text("The data, when it is not JSON."),
            "partitionkey": text("What is handled in order, unless a reader chooses another key."),
            "correlationid": text("The flow; the host sets it."),
            "causationid": text("The id of the direct cause; the host sets it."),
            "sequence": text("The offset in the channel; the host sets it."),
            "recordedtime": text("When the host recorded it; the host sets it."),
            "traceparent": text("W3C trace context."),
        },
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::topology::fixture::{described, topology};
    use super::*;

    #[test]
    fn channels_have_operations_of_both_ends_and_of_outside() {
        let found = topology(&[("pay", &["orders"], &["paid"]), ("mail", &["paid"], &[])], &[("orders", 1)]);
        let document = asyncapi(&found, "1.2.3", Some("127.0.0.1:1"));
        assert_eq!((&document["asyncapi"], &document["info"]["version"]), (&json!("3.0.0"), &json!("1.2.3")));
        let operations: BTreeSet<_> = document["operations"].as_object().unwrap().keys().collect();
        let operations: Vec<_> = operations.into_iter().collect();
        assert_eq!(
            operations,
            ["mail.receive.paid", "outside.send.orders", "pay.receive.orders", "pay.send.paid"]
        );
        let send = &document["operations"]["pay.send.paid"];
        assert_eq!((&send["action"], &send["channel"]["$ref"]), (&json!("send"), &json!("#/channels/paid")));
        assert_eq!(send["messages"][0]["$ref"], "#/channels/paid/messages/paid");
        assert_eq!(document["channels"]["orders"]["address"], "/v1/channels/orders/events");
        assert_eq!(document["servers"]["baton"]["host"], "127.0.0.1:1");
    }

    #[test]
    fn schemas_of_senders_count_and_where_there_are_none_those_of_readers() {
        let (text, number) = (json!({"type": "string"}), json!({"type": "number"}));
        let sender = described("s", &["in"], &["c"], json!({"in": text, "c": number}));
        let reader = described("r", &["c"], &["out"], json!({"c": true}));
        let document = asyncapi(&Topology::new([&sender, &reader], []), "1", None);
        let schemas = &document["components"]["schemas"];
        assert_eq!((&schemas["in"], &schemas["c"], schemas.get("out")), (&text, &number, None));
        let data = |message: &str| {
            &document["components"]["messages"][message]["payload"]["allOf"][1]["properties"]["data"]
        };
        assert_eq!(data("c")["$ref"], "#/components/schemas/c");
        assert!(data("out").get("$ref").is_none());
        assert!(document.get("servers").is_none());
    }

    #[test]
    fn senders_that_differ_have_a_message_each() {
        let one = described("one", &["in"], &["c"], json!({"c": {"type": "string"}}));
        let two = described("two", &["in"], &["c"], json!({"c": {"$ref": "#/$defs/n", "$defs": {"n": {}}}}));
        let document = asyncapi(&Topology::new([&one, &two], []), "1", None);
        let messages: BTreeSet<_> =
            document["channels"]["c"]["messages"].as_object().unwrap().keys().collect();
        assert_eq!(messages.into_iter().collect::<Vec<_>>(), ["c.one", "c.two"]);
        let sends = document["operations"]["two.send.c"]["messages"].as_array().unwrap();
        assert_eq!(sends, &[json!({"$ref": "#/channels/c/messages/c.two"})]);
        assert_eq!(document["components"]["schemas"]["c.two"]["$ref"], "#/components/schemas/c.two/$defs/n");
    }
}
