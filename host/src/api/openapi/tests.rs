//! The document beside the router, both ways.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use tokio::net::TcpListener;
use ureq::http::Request;

use super::*;
use crate::config::{Config, Settings};
use crate::node::Node;

/// The paths that the router's source names.
fn routes() -> BTreeSet<String> {
    let source = include_str!("../mod.rs");
    let route =
        |text: &str| text.trim_start().strip_prefix('"')?.split_once('"').map(|(path, _)| path.to_owned());
    source.split(".route(").skip(1).filter_map(route).collect()
}

fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let document = openapi();
    let methods = |methods: &Value| methods.as_object().unwrap().keys().map(|m| m.to_uppercase()).collect();
    let paths = document["paths"].as_object().unwrap();
    paths.iter().map(|(path, described)| (path.clone(), methods(described))).collect()
}

#[test]
fn every_route_is_documented_and_nothing_else() {
    let documented: BTreeSet<String> = documented().into_keys().collect();
    let missing: Vec<_> = routes().difference(&documented).cloned().collect();
    assert!(
        missing.is_empty(),
        "routes without a row in host/src/api/openapi/table.rs: add one for each of {missing:?}"
    );
    let gone: Vec<_> = documented.difference(&routes()).cloned().collect();
    assert!(
        gone.is_empty(),
        "rows in host/src/api/openapi/table.rs without a route in host/src/api/mod.rs: {gone:?}"
    );
}

/// The router itself says which methods a path takes, when it is asked for one that nobody has.
#[tokio::test(flavor = "multi_thread")]
async fn every_method_is_documented_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(Config::from_settings(dir.path(), Settings::default())).await.unwrap();
    node.admit_local("a-token-of-tests");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(super::super::serve(listener, node.clone(), async { drop(stopped.await) }));
    let allowed = move |path: &str| {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true);
        let agent: ureq::Agent = config.build().into();
        let path = path.replace("{id}", "0199b3a4-7c1d-7e51-9f3a-2b8f6f0f6c11").replace(['{', '}'], "");
        let request = Request::builder().method("NOBODY").uri(format!("{base}{path}"));
        let request = request.header("authorization", "Bearer a-token-of-tests").body(()).unwrap();
        let answer = agent.run(request).unwrap();
        let allow = answer.headers().get("allow").map_or("", |allow| allow.to_str().unwrap()).to_owned();
        allow.split(',').filter(|method| *method != "HEAD").map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let found = tokio::task::spawn_blocking(move || {
        documented().into_iter().map(|(path, methods)| (allowed(&path), methods, path)).collect::<Vec<_>>()
    });
    for (allowed, documented, path) in found.await.unwrap() {
        assert_eq!(allowed, documented, "{path}: the router, and host/src/api/openapi/table.rs");
    }
    stop.send(()).unwrap();
    server.await.unwrap();
    node.stop().await;
}

#[test]
fn parts_ids_and_references_are_whole() {
    let document = openapi();
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let parts: Vec<_> = parameters.iter().filter(|p| p["in"] == "path").map(|p| &p["name"]).collect();
            assert_eq!(parts.len(), path.matches('{').count(), "{method} {path}");
            assert!(
                parts.iter().all(|part| path.contains(&format!("{{{}}}", part.as_str().unwrap()))),
                "{path}"
            );
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.len() > 1, "{method} {path} answers nothing but errors");
        }
    }
    assert_references(&document, &document);
}

fn assert_references(document: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                let found = document.pointer(reference.strip_prefix('#').unwrap());
                assert!(found.is_some(), "{reference} leads nowhere");
            }
            members.values().for_each(|inner| assert_references(document, inner));
        }
        Value::Array(items) => items.iter().for_each(|inner| assert_references(document, inner)),
        _ => {}
    }
}
