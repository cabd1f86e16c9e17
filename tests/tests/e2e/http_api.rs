//! HTTP as a client of any language meets it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use baton_tests::guests::component;
use baton_tests::host::{Host, Shop};
use baton_tests::http::{BATCH, STRUCTURED, TOKEN, event};
use serde_json::{Value, json};

use crate::shop;

const TICKS: &str = "/v1/channels/ticks/events";

fn start() -> (Shop, Host) {
    let shop = shop();
    let host = shop.start();
    (shop, host)
}

fn tick(id: &str, number: u64) -> Value {
    event(id, "tick", "k", json!({"number": number}))
}

#[test]
fn a_second_publish_gets_the_first_answer_and_appends_nothing() {
    let (_shop, host) = start();
    let first = host.publish("ticks", "", &tick("1", 1)).expect(202);
    let again = host.publish("ticks", "", &tick("1", 1)).expect(202);
    let (first, again) = (&first["events"][0], &again["events"][0]);
    assert_eq!((&first["duplicate"], &again["duplicate"]), (&json!(false), &json!(true)));
    for name in ["offset", "position", "flow", "id"] {
        assert_eq!(first[name], again[name], "{name}");
    }
    assert_eq!(host.count("ticks"), 1);
    let other = host.publish("ticks", "", &tick("1", 2));
    assert_eq!(other.header("content-type"), "application/problem+json");
    let problem = other.expect(409);
    assert_eq!((&problem["code"], &problem["status"]), (&json!("event-conflict"), &json!(409)));
    assert_eq!(problem["type"], "urn:baton:error:event-conflict");
    assert_eq!(host.count("ticks"), 1);
}

#[test]
fn a_batch_is_one_frame_and_all_or_nothing() {
    let (_shop, host) = start();
    let answer = host.publish_all("ticks", &[tick("1", 1), tick("2", 2), tick("3", 3)]).expect(202);
    let places: Vec<(u64, u64)> = answer["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["offset"].as_u64().unwrap(), e["position"].as_u64().unwrap()))
        .collect();
    let position = places[0].1;
    assert_eq!(places, [(0, position), (1, position + 1), (2, position + 2)]);
    let bad = host.post(TICKS, BATCH, &json!([tick("4", 4), {"specversion": "1.0"}])).expect(400);
    assert_eq!(bad["code"], "bad-event");
    let conflict = host.publish_all("ticks", &[tick("5", 5), tick("1", 9)]).expect(409);
    assert_eq!(conflict["code"], "event-conflict");
    assert_eq!(host.count("ticks"), 3);
}

#[test]
fn who_waited_in_vain_finds_the_answer_with_the_same_event() {
    let (shop, host) = start();
    let late = host.publish("ticks", "?wait=tocks&timeout=50ms", &tick("1", 1));
    let location = late.header("location").to_owned();
    let accepted = late.expect(202);
    assert_eq!(location, format!("/v1/flows/{}", accepted["events"][0]["flow"].as_str().unwrap()));
    assert_eq!(host.get(&location).expect(200)["flow"], accepted["events"][0]["flow"]);
    shop.drop_in("relay", &component("guest-relay"));
    let found = host.publish("ticks", "?wait=tocks", &tick("1", 1)).expect(200);
    assert_eq!((&found["data"], &found["causationid"]), (&json!({"number": 1}), &json!("1")));
    assert_eq!((host.count("ticks"), host.count("tocks")), (1, 1));
}

#[test]
fn events_come_in_three_modes_and_go_out_in_one() {
    let (_shop, host) = start();
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "bin"),
        ("ce-source", "/tests"),
        ("ce-type", "tick"),
        ("ce-tenant", "caf%C3%A9"),
        ("content-type", "text/plain"),
    ];
    assert_eq!(host.ask("POST", TICKS, &headers, b"hello".to_vec()).unwrap().status, 202);
    let mut structured = tick("json", 1);
    structured["partitionkey"] = json!("p");
    host.post(TICKS, STRUCTURED, &structured).expect(202);
    let mut binary = tick("base64", 1);
    binary.as_object_mut().unwrap().remove("data");
    binary["datacontenttype"] = json!("application/octet-stream");
    binary["data_base64"] = json!("AP8=");
    host.post(TICKS, BATCH, &json!([binary])).expect(202);

    let events: Vec<Value> = host.events("ticks").into_iter().map(|e| e["event"].clone()).collect();
    assert_eq!((&events[0]["data"], &events[0]["tenant"]), (&json!("hello"), &json!("café")));
    assert_eq!((&events[1]["data"], &events[1]["partitionkey"]), (&json!({"number": 1}), &json!("p")));
    assert_eq!(events[2]["data_base64"], "AP8=");
    assert!(events.iter().all(|e| e["correlationid"].is_string() && e["specversion"] == "1.0"));
}

#[test]
fn refusals_are_problems_with_stable_codes() {
    let (_shop, host) = start();
    host.publish("ticks", "", &tick("1", 1)).expect(202);
    let json_body = json!({"a": 1});
    let refusals = [
        (host.post(TICKS, "application/json", &json_body), 400, "not-a-cloudevent"),
        (host.post(TICKS, "application/cloudevents+xml", &json_body), 415, "unsupported-format"),
        (host.post(TICKS, STRUCTURED, &json_body), 400, "bad-event"),
        (host.ask("POST", TICKS, &[("content-type", STRUCTURED)], b"{".to_vec()).unwrap(), 400, "not-json"),
        (host.get("/v1/channels/nobody"), 404, "unknown-channel"),
        (host.get("/v1/channels/ticks/events?from=yesterday"), 400, "bad-query"),
        (host.get("/v1/processors/nobody"), 404, "unknown-processor"),
        (host.get("/v1/flows/0199b3a4-7c1d-7e51-9f3a-2b8f6f0f6c11"), 404, "unknown-flow"),
        (host.get("/v1/nowhere"), 404, "unknown-route"),
        (host.ask("DELETE", "/v1/status", &[], vec![]).unwrap(), 405, "method-not-allowed"),
        (host.put("/v1/processors/relay", b"no component".to_vec()), 422, "component-not-wasm"),
        (host.put("/v1/processors/other", component("guest-relay")), 422, "name-mismatch"),
        (host.publish("ticks", "?wait=tocks&timeout=1h", &tick("2", 2)), 400, "bad-query"),
    ];
    for (answer, status, code) in refusals {
        assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)), "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{code}");
        assert!(answer.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{code}");
    }
    assert_eq!(host.count("ticks"), 1);
}

#[test]
fn a_page_waits_for_the_next_event() {
    let (_shop, host) = start();
    host.publish("ticks", "", &tick("1", 1)).expect(202);
    let page = std::thread::scope(|scope| {
        let page = scope.spawn(|| host.get(&format!("{TICKS}?from=1&wait=30s")).expect(200));
        host.publish("ticks", "", &tick("2", 2)).expect(202);
        page.join().unwrap()
    });
    assert_eq!((&page["events"][0]["event"]["id"], &page["next"]), (&json!("2"), &json!(2)));
}

#[test]
fn health_readiness_and_metrics_answer() {
    let (_shop, host) = start();
    host.get("/healthz").expect(200);
    host.get("/readyz").expect(200);
    host.publish("ticks", "", &tick("1", 1)).expect(202);
    let metrics = host.get("/metrics").text;
    assert!(
        metrics.contains("baton_ready 1")
            && metrics.contains("baton_channel_events_total{channel=\"ticks\"} 1"),
        "{metrics}"
    );
}

/// A client that keeps its connection open would fail with its next request otherwise.
#[test]
fn a_connection_outlives_requests_that_are_refused_before_their_bodies_come() {
    let shop = shop();
    let host = shop.start();
    let mut connection = TcpStream::connect(host.url.trim_start_matches("http://")).unwrap();
    connection.set_nodelay(true).unwrap();
    let head = format!(
        "POST /v1/journal/trim?unknown=1 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"
    );
    let mut answers = BufReader::new(connection.try_clone().unwrap());
    for _ in 0..200 {
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(b"{}").unwrap();
        let mut lines = answers.by_ref().lines().map(Result::unwrap);
        assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 400 Bad Request"));
        let length = lines.by_ref().take_while(|line| !line.is_empty()).filter_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
        });
        let mut body = vec![0; length.sum()];
        answers.read_exact(&mut body).unwrap();
        assert!(body.starts_with(b"{"), "{}", String::from_utf8_lossy(&body));
    }
}
