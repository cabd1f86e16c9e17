//! The routes over a real socket: what any node answers, whatever it holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use ureq::http::Request;

use super::*;
use crate::config::{Config, Settings};

const TOKEN: &str = "a-token-of-tests";
const WASM: [(&str, &str); 1] = [("content-type", "application/wasm")];

struct Host {
    base: String,
    node: Node,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

struct Got {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: Value,
}

impl Host {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(Config::from_settings(dir.path(), Settings::default())).await.unwrap();
        node.admit_local(TOKEN);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, mut stopped) = watch::channel(false);
        let shutdown = async move { drop(stopped.wait_for(|stop| *stop).await) };
        let server = tokio::spawn(serve(listener, node.clone(), shutdown));
        Self { base, node, stop, server, _dir: dir }
    }

    async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Got {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        request = request.header("authorization", format!("Bearer {TOKEN}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).unwrap();
        let call = || {
            let config = ureq::Agent::config_builder().http_status_as_error(false);
            let agent: ureq::Agent = config.allow_non_standard_methods(true).build().into();
            let mut response = agent.run(request).expect("an answer");
            let text = response.body_mut().read_to_vec().unwrap();
            let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
            Got { status: response.status().as_u16(), headers: response.headers().clone(), body }
        };
        spawn_blocking(call).await.unwrap()
    }

    async fn get(&self, path: &str) -> Got {
        self.call("GET", path, &[], Vec::new()).await
    }

    async fn publish(&self, path: &str, event: &Value) -> Got {
        let headers = [("content-type", binding::STRUCTURED)];
        self.call("POST", path, &headers, event.to_string().into_bytes()).await
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.server.await.unwrap();
        self.node.stop().await;
    }
}

fn order(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "order", "data": {"n": 1}})
}

fn assert_problem(got: &Got, status: u16, code: &str) {
    assert_eq!((got.status, &got.body["code"]), (status, &Value::from(code)), "{}", got.body);
    assert_eq!(got.headers["content-type"], problem::PROBLEM_JSON);
    assert_eq!(got.body["type"], format!("urn:baton:error:{code}"));
    assert!(!got.body["detail"].as_str().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_event_is_read_back_with_its_place() {
    let host = Host::start().await;
    let got = host.publish("/v1/channels/orders/events", &order("1")).await;
    assert_eq!((got.status, &got.body["events"][0]["offset"]), (202, &Value::from(0)));
    let flow = got.body["events"][0]["flow"].as_str().unwrap();
    assert_eq!(got.headers["location"].to_str().unwrap(), format!("/v1/flows/{flow}"));
    let page = host.get("/v1/channels/orders/events?from=earliest&limit=5").await.body;
    assert_eq!((&page["next"], &page["events"][0]["event"]["sequence"]), (&1.into(), &"0".into()));
    assert_eq!(page["events"][0]["event"]["correlationid"], flow);
    assert_eq!(page["events"][0]["event"]["data"], json!({"n": 1}));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_accepted_in_its_order_and_may_be_empty() {
    let host = Host::start().await;
    let headers = [("content-type", binding::BATCH)];
    let body = json!([order("1"), order("2")]).to_string().into_bytes();
    let got = host.call("POST", "/v1/channels/orders/events", &headers, body).await;
    assert_eq!((got.status, &got.body["events"][1]["id"]), (202, &"2".into()));
    let empty = host.call("POST", "/v1/channels/orders/events", &headers, b"[]".to_vec()).await;
    assert_eq!((empty.status, empty.body), (202, json!({"events": []})));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_waits_for_one_event_only() {
    let host = Host::start().await;
    let late = host.publish("/v1/channels/orders/events?wait=never&timeout=1ms", &order("1")).await;
    assert_eq!(late.status, 202);
    assert!(late.headers.contains_key("location"));
    let headers = [("content-type", binding::BATCH)];
    let body = json!([order("2"), order("3")]).to_string().into_bytes();
    let got = host.call("POST", "/v1/channels/orders/events?wait=reply", &headers, body).await;
    assert_problem(&got, 400, "wait-needs-one-event");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_answered_when_the_host_stops() {
    let host = Arc::new(Host::start().await);
    let publisher = Arc::clone(&host);
    let path = "/v1/channels/orders/events?wait=never&timeout=300s";
    let answer = tokio::spawn(async move { publisher.publish(path, &order("1")).await });
    while host.get("/v1/channels/orders/events").await.body["events"][0].is_null() {}
    host.stop.send_replace(true);
    let answer = answer.await.unwrap();
    assert_eq!((answer.status, &answer.body["events"][0]["id"]), (202, &"1".into()));
    Arc::into_inner(host).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_problem() {
    let host = Host::start().await;
    let cases = [
        ("GET", "/v1/nothing", 404, "unknown-route"),
        ("PATCH", "/v1/channels", 405, "method-not-allowed"),
        ("GET", "/v1/channels/none", 404, "unknown-channel"),
        ("GET", "/v1/channels/none/events", 404, "unknown-channel"),
        ("GET", "/v1/processors/none", 404, "unknown-processor"),
        ("GET", "/v1/processors/none/state", 404, "unknown-processor"),
        ("GET", "/v1/processors/none/logs", 404, "unknown-processor"),
        ("POST", "/v1/processors/none/resume", 404, "unknown-processor"),
        ("POST", "/v1/processors/none/pause", 400, "bad-body"),
        ("PUT", "/v1/processors/none/scale", 400, "bad-body"),
        ("DELETE", "/v1/processors/none?forget=true", 404, "unknown-processor"),
        ("GET", "/v1/flows/01890000-0000-7000-8000-000000000000", 404, "unknown-flow"),
    ];
    for (method, path, status, code) in cases {
        assert_problem(&host.call(method, path, &[], Vec::new()).await, status, code);
    }
    let refused = host.call("PATCH", "/v1/channels", &[], Vec::new()).await;
    assert_eq!(refused.headers["allow"], "GET,HEAD");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_a_problem() {
    let host = Host::start().await;
    let cases = [
        ("GET", "/v1/channels/Orders", "bad-name"),
        ("GET", "/v1/flows/7", "bad-name"),
        ("GET", "/v1/status?x=1", "bad-query"),
        ("GET", "/v1/channels/a/events?from=soon", "bad-query"),
        ("GET", "/v1/channels/a/events?limit=1001", "bad-query"),
        ("GET", "/v1/channels/a/events?wait=61s", "bad-query"),
        ("GET", "/v1/processors/a/state?limit=10001", "bad-query"),
        ("POST", "/v1/channels/a/events?timeout=1s", "bad-query"),
        ("POST", "/v1/channels/a/events?wait=A", "bad-query"),
        ("POST", "/v1/channels/a/events?wait=reply&timeout=301s", "bad-query"),
        ("POST", "/v1/channels/a/events?wait=reply&timeout=5", "bad-query"),
        ("POST", "/v1/channels/a/events", "not-a-cloudevent"),
        ("DELETE", "/v1/processors/a?forget=maybe", "bad-query"),
        ("PUT", "/v1/processors/a?wait=5s", "bad-query"),
    ];
    for (method, path, code) in cases {
        assert_problem(&host.call(method, path, &[], Vec::new()).await, 400, code);
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded() {
    let host = Host::start().await;
    let body = vec![b' '; PUBLISH_BYTES_MAX + 1];
    let got = host.call("POST", "/v1/channels/a/events", &[("content-type", binding::BATCH)], body).await;
    assert_problem(&got, 413, "body-too-large");
    let body = vec![0; COMPONENT_BYTES_MAX + 1];
    assert_problem(&host.call("PUT", "/v1/processors/a", &WASM, body).await, 413, "body-too-large");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_none_is_refused() {
    let host = Host::start().await;
    for path in ["/v1/processors/a", "/v1/processors/a?wait=false"] {
        let got = host.call("PUT", path, &WASM, b"not wasm".to_vec()).await;
        assert_eq!(got.status, 422, "{path}: {}", got.body);
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_get_health_and_metrics() {
    let host = Host::start().await;
    for path in ["/healthz", "/readyz", "/metrics", "/v1/status", "/v1/deployments", "/v1/processors"] {
        assert_eq!(host.get(path).await.status, 200, "{path}");
    }
    host.stop().await;
}

#[test]
fn a_panic_is_a_problem() {
    let response = panicked(Box::new("index out of bounds"));
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()["content-type"], problem::PROBLEM_JSON);
}
