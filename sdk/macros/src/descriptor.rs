//! The descriptor's JSON, as `host/src/model/descriptor.rs` reads it.

use serde_json::{Map, Value, json};

use crate::ask::{Ask, Capabilities, Start, Subscription};

const CONTRACT: &str = "baton:processor@0.1.0";

/// Writes the descriptor of a processor of this version.
pub fn json(ask: &Ask, version: &str) -> String {
    let mut descriptor = Map::new();
    let mut put = |name: &str, value: Value| descriptor.insert(name.to_owned(), value);
    put("contract", json!(CONTRACT));
    put("name", json!(ask.name));
    put("version", json!(version));
    put("description", json!(ask.description));
    put("subscriptions", ask.subscriptions.iter().map(subscription).collect());
    put("publishes", json!(ask.publishes));
    put("concurrency", json!(ask.concurrency.unwrap_or(1)));
    put("instance", json!(ask.instance.as_deref().unwrap_or("warm")));
    put("limits", json!(ask.limits));
    let capabilities = capabilities(&ask.capabilities);
    if !capabilities.is_empty() {
        put("capabilities", Value::Object(capabilities));
    }
    if !ask.schemas.is_empty() {
        put("schemas", schemas(ask));
    }
    Value::Object(descriptor).to_string()
}

fn capabilities(asked: &Capabilities) -> Map<String, Value> {
    let Capabilities { http, tcp, config, secrets } = asked;
    let http: Vec<Value> =
        http.iter().map(|ask| json!({ "origin": ask.origin, "methods": ask.methods })).collect();
    let fields =
        [("http", json!(http)), ("tcp", json!(tcp)), ("config", json!(config)), ("secrets", json!(secrets))];
    let asked = fields.into_iter().filter(|(_, value)| value.as_array().is_some_and(|list| !list.is_empty()));
    asked.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn schemas(ask: &Ask) -> Value {
    let schemas = ask.schemas.iter().map(|schema| (schema.channel.value(), schema.value.clone()));
    Value::Object(schemas.collect())
}

fn subscription(subscription: &Subscription) -> Value {
    let mut fields = Map::new();
    fields.insert("channel".to_owned(), json!(subscription.channel));
    if let Some(key) = &subscription.key {
        fields.insert("key".to_owned(), json!(key));
    }
    if let Some(start) = &subscription.start {
        let start = match start {
            Start::Named(name) => json!(name),
            Start::Offset(offset) => json!({ "offset": offset }),
            Start::Time(time) => json!({ "time": time }),
        };
        fields.insert("start".to_owned(), start);
    }
    if let Some(filter) = &subscription.filter {
        fields.insert("filter".to_owned(), filter.0.clone());
    }
    if !subscription.retry.0.is_empty() {
        fields.insert("retry".to_owned(), Value::Object(subscription.retry.0.clone()));
    }
    for (name, value) in [("then", &subscription.then), ("order", &subscription.order)] {
        if let Some(value) = value {
            fields.insert(name.to_owned(), json!(value));
        }
    }
    Value::Object(fields)
}
