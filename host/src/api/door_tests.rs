//! Who gets through the door, over a real socket and in the words of whoever tries.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

use super::*;
use crate::config::{Config, Settings};
use crate::model::access::Role;

const ADMIN: &str = "the-users-own";
const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/t","type":"t"}"#;
const STRUCTURED: &str = "content-type: application/cloudevents+json\r\n";

struct Host {
    address: SocketAddr,
    node: Node,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Host {
    async fn start(set: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        set(&mut settings);
        let node = Node::start(Config::from_settings(dir.path(), settings)).await.unwrap();
        node.admit_local(ADMIN);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, node.clone(), async { drop(stopped.await) }));
        Self { address, node, stop, server, _dir: dir }
    }

    /// Sends the lines as they are, a `Host` and an end of the head behind them, and gives status and body.
    async fn say(&self, head: &str, body: &str) -> (u16, Value) {
        let length = format!("content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let (address, text) = (self.address, format!("{head}{length}"));
        let answer = spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = answer.await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    async fn ask(&self, line: &str, token: &str, more: &str, body: &str) -> (u16, String) {
        let head =
            format!("{line} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n{more}", self.address);
        let (status, body) = self.say(&head, body).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }

    fn token(&self, name: &str, role: Role) -> String {
        self.node.create_token(&name.parse().unwrap(), &[role]).unwrap().token
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.server.await.unwrap();
        self.node.stop().await;
    }
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_without_a_token_but_for_health() {
    let host = Host::start(|_| ()).await;
    let say = async |line: &str, more: &str| {
        let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\n{more}");
        let (status, body) = host.say(&head, "").await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    for path in ["/healthz", "/readyz"] {
        assert_eq!(say(&format!("GET {path}"), "").await.0, 200, "{path}");
    }
    for line in
        ["GET /v1/status", "GET /metrics", "DELETE /v1/processors/a", "GET /nowhere", "GET /v1/openapi.json"]
    {
        assert_eq!(say(line, "").await, refused(401, "no-token"), "{line}");
        assert_eq!(
            say(line, "authorization: Bearer wrong\r\n").await,
            refused(401, "unknown-token"),
            "{line}"
        );
        assert_eq!(say(line, "authorization: Basic x\r\n").await, refused(401, "no-token"), "{line}");
    }
    assert_eq!(say("GET /v1/status", &format!("authorization: bearer {ADMIN}\r\n")).await.0, 200);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_it_is_for() {
    let host = Host::start(|_| ()).await;
    let (publisher, reader) = (host.token("web", Role::Publish), host.token("grafana", Role::Read));
    let publish = "POST /v1/channels/orders/events";
    assert_eq!(host.ask(publish, &publisher, STRUCTURED, EVENT).await.0, 202);
    assert_eq!(host.ask("GET /v1/channels", &reader, "", "").await.0, 200);
    let lacking = refused(403, "role-missing");
    assert_eq!(host.ask(publish, &reader, STRUCTURED, EVENT).await, lacking);
    assert_eq!(host.ask("GET /v1/channels", &publisher, "", "").await, lacking);
    for line in [
        "POST /v1/journal/trim",
        "DELETE /v1/processors/a",
        "POST /v1/config/reload",
        "DELETE /v1/tokens/web",
    ] {
        assert_eq!(host.ask(line, &publisher, "", "").await, lacking, "{line}");
        assert_eq!(host.ask(line, &reader, "", "").await, lacking, "{line}");
    }
    assert_eq!(host.ask("DELETE /v1/tokens/web", ADMIN, "", "").await.0, 204);
    assert_eq!(host.ask(publish, &publisher, STRUCTURED, EVENT).await, refused(401, "unknown-token"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_gets_nowhere_even_with_a_token() {
    let host = Host::start(|settings| settings.api.hosts = vec!["baton.example.org".to_owned()]).await;
    let own = host.address;
    let say = async |name: &str, origin: &str| {
        let origin = if origin.is_empty() { String::new() } else { format!("origin: {origin}\r\n") };
        let head =
            format!("GET /v1/status HTTP/1.1\r\nhost: {name}\r\nauthorization: Bearer {ADMIN}\r\n{origin}");
        let (status, body) = host.say(&head, "").await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    // A name that its owner lets point to loopback.
    assert_eq!(say("evil.example:7077", "").await, refused(421, "foreign-host"));
    assert_eq!(say("127.0.0.1.evil.example", "").await, refused(421, "foreign-host"));
    assert_eq!(say("192.168.0.9:7077", "").await, refused(421, "foreign-host"));
    for name in ["localhost:7077", "[::1]:7077", "127.0.0.1", "Baton.Example.Org"] {
        assert_eq!(say(name, "").await.0, 200, "{name}");
    }
    for origin in ["https://evil.example", "null", "http://localhost:3000"] {
        assert_eq!(say(&own.to_string(), origin).await, refused(403, "foreign-origin"), "{origin}");
    }
    assert_eq!(say(&own.to_string(), &format!("http://{own}")).await.0, 200);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_says_what_its_body_is() {
    let host = Host::start(|_| ()).await;
    for more in ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"] {
        let got = host.ask("POST /v1/processors/a/pause", ADMIN, more, r#"{"reason":"x"}"#).await;
        assert_eq!(got, refused(415, "bad-media-type"), "{more}");
        let got = host.ask("PUT /v1/processors/a", ADMIN, more, "x").await;
        assert_eq!(got, refused(415, "bad-media-type"), "{more}");
    }
    let json = "content-type: application/json; charset=utf-8\r\n";
    let got = host.ask("POST /v1/processors/a/pause", ADMIN, json, r#"{"reason":"x"}"#).await;
    assert_eq!(got, refused(404, "unknown-processor"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_asks_too_often_waits_and_others_do_not() {
    let host = Host::start(|settings| settings.api.requests_per_s_max = 1).await;
    let reader = host.token("grafana", Role::Read);
    assert_eq!(host.ask("GET /v1/channels", &reader, "", "").await.0, 200);
    assert_eq!(host.ask("GET /v1/channels", &reader, "", "").await, refused(429, "too-many-requests"));
    assert_eq!(host.ask("GET /v1/channels", ADMIN, "", "").await.0, 200);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_did_is_told_and_no_secret_with_it() {
    let host = Host::start(|_| ()).await;
    let json = "content-type: application/json\r\n";
    let body = r#"{"name":"ci","roles":["publish"]}"#;
    let head =
        format!("POST /v1/tokens HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ADMIN}\r\n{json}");
    let (status, made) = host.say(&head, body).await;
    assert_eq!((status, made["roles"][0].as_str()), (201, Some("publish")));
    host.ask("DELETE /v1/processors/none?forget=true", ADMIN, "", "").await;
    let both = async {
        while host.node.access().audit().latest(10).len() < 2 {
            tokio::task::yield_now().await;
        }
        host.node.access().audit().latest(10)
    };
    let acts = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    let mut told: Vec<_> =
        acts.iter().map(|act| (format!("{} {}", act.method, act.path), act.status)).collect();
    told.sort();
    let expected =
        [("DELETE /v1/processors/none?forget=true".to_owned(), 404), ("POST /v1/tokens".to_owned(), 201)];
    assert_eq!(told, expected);
    let head = format!("GET /v1/audit HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ADMIN}\r\n");
    let (_, page) = host.say(&head, "").await;
    assert_eq!((page["acts"].as_array().unwrap().len(), &page["acts"][0]["by"]), (2, &Value::from("local")));
    assert!(!page.to_string().contains(made["token"].as_str().unwrap()));
    host.stop().await;
}
