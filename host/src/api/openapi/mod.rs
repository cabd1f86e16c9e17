//! The HTTP interface as an OpenAPI 3.1 document. What there is stands in [`table`], a row per route and method, and a test
//! holds it to the router; what answers look like comes from the reports' own types.

mod describe;
mod table;
#[cfg(test)]
mod tests;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use describe::Operation;

/// The version of the specification.
const OPENAPI: &str = "3.1.0";

/// The document of this version of the host.
pub fn openapi() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let paths = paths(table::operations(), &mut generator);
    json!({
        "openapi": OPENAPI,
        "info": {
            "title": "Baton",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A host for event processors on durable channels.",
            "description": "Errors are application/problem+json (RFC 9457) with a stable `code`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The host that serves this document."}],
        "paths": paths,
        "components": {"schemas": generator.take_definitions(true)},
    })
}

fn paths(operations: Vec<Operation>, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.to_owned(), operation.described(generator));
        }
    }
    paths
}
