//! A version that may do more than the one before it waits until somebody lets it in.

use baton_tests::guests::component;
use baton_tests::host::{Host, Shop};
use baton_tests::http::event;
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shop;

/// The guest with another text of the same length in its descriptor.
fn with(old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = component("guest-fickle");
    // It is in a section for the host, and among the guest's own data.
    while let Some(at) = bytes.windows(old.len()).position(|part| part == old.as_bytes()) {
        bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
    }
    bytes
}

/// It asks for three times as much time.
fn slower() -> Vec<u8> {
    with(r#""event_time_ms_max":300"#, r#""event_time_ms_max":900"#)
}

fn start() -> (Shop, Host, String) {
    let shop = shop();
    shop.drop_in("fickle", &component("guest-fickle"));
    shop.drop_in("relay", &component("guest-relay"));
    let host = shop.start();
    host.await_running(&["fickle", "relay"]);
    let digest = digest(&host);
    (shop, host, digest)
}

fn digest(host: &Host) -> String {
    host.processor("fickle")["digest"].as_str().unwrap().to_owned()
}

fn await_waiting(host: &Host) -> Value {
    eventually("a version waits", || {
        let waiting = host.processor("fickle")["waiting"].clone();
        (!waiting.is_null()).then_some(waiting)
    })
}

fn post(host: &Host, what: &str, body: &Value, status: u16) -> Value {
    let headers = [("content-type", "application/json")];
    let path = format!("/v1/processors/fickle/{what}");
    host.ask("POST", &path, &headers, body.to_string().into_bytes()).unwrap().expect(status)
}

fn handles(host: &Host, id: &str) {
    host.publish("tasks", "?wait=tasks-done", &event(id, "task", id, json!({"way": "well"}))).expect(200);
}

#[test]
fn a_wider_version_waits_and_the_one_before_goes_on_until_it_is_approved() {
    let (shop, host, first) = start();
    shop.drop_in("fickle", &slower());
    let waiting = await_waiting(&host);
    assert_eq!(waiting["differences"], json!(["may use more: event_time_ms_max 900, and not 300"]));
    assert_eq!(digest(&host), first);
    handles(&host, "1");
    let status = host.get("/v1/status").expect(200);
    assert_eq!(status["problems"][0]["code"], "waiting-for-approval");
    let message = status["problems"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("event_time_ms_max 900") && message.contains("`baton approve fickle`"),
        "{message}"
    );

    let other = post(&host, "approve", &json!({"digest": "ab"}), 409);
    assert_eq!(other["code"], "another-waits");
    let receipt = post(&host, "approve", &json!({"digest": waiting["digest"]}), 200);
    assert_eq!(receipt["deployment"]["digest"], waiting["digest"]);
    assert_eq!(
        (digest(&host), &host.processor("fickle")["waiting"]),
        (waiting["digest"].as_str().unwrap().to_owned(), &Value::Null)
    );
    handles(&host, "2");
    assert_eq!(post(&host, "approve", &json!({}), 409)["code"], "nothing-waits");

    let back = post(&host, "rollback", &json!({}), 200);
    assert_eq!(back["deployment"]["digest"], json!(first));
    assert_eq!(std::fs::read(shop.file("fickle")).unwrap(), component("guest-fickle"));
    handles(&host, "3");
}

#[test]
fn what_waits_is_taken_away_by_a_rollback_and_waits_again_after_a_restart() {
    let (shop, host, first) = start();
    let headers = [("content-type", "application/wasm")];
    let refused = host.ask("PUT", "/v1/processors/fickle", &headers, slower()).unwrap().expect(409);
    assert_eq!(refused["code"], "waiting-for-approval");
    host.stop();

    let host = shop.start();
    await_waiting(&host);
    assert_eq!(digest(&host), first);
    let back = post(&host, "rollback", &json!({}), 200);
    assert_eq!((&back["unchanged"], &back["deployment"]["digest"]), (&json!(true), &json!(first)));
    assert_eq!(host.processor("fickle")["waiting"], Value::Null);
    assert_eq!(host.get("/v1/status").expect(200)["problems"], json!([]));
    assert_eq!(std::fs::read(shop.file("fickle")).unwrap(), component("guest-fickle"));
    handles(&host, "1");
    assert_eq!(post(&host, "rollback", &json!({}), 409)["code"], "nothing-before");
}

#[test]
fn a_narrower_version_goes_straight_in_and_a_removal_does_not_open_the_gate() {
    let (shop, host, first) = start();
    shop.drop_in("fickle", &with(r#""event_time_ms_max":300"#, r#""event_time_ms_max":100"#));
    let second = host.await_other_than("fickle", &first);
    std::fs::remove_file(shop.file("fickle")).unwrap();
    eventually("it is undeployed", || (host.processor("fickle")["status"] == "undeployed").then_some(()));
    shop.drop_in("fickle", &slower());
    await_waiting(&host);
    assert_eq!(digest(&host), second);
}

#[test]
fn what_others_read_is_not_taken_from_them_unasked() {
    let (shop, host, first) = start();
    shop.drop_in("fickle", &with(r#""publishes":["tasks-done"]"#, r#""publishes":["tasks-gone"]"#));
    let waiting = await_waiting(&host);
    let told = waiting["differences"].to_string();
    assert!(told.contains("publishes on 'tasks-gone'"), "{told}");
    assert_eq!(digest(&host), first);
    let grants = "[grants.fickle]\nreads = [\"*\"]\npublishes = [\"tasks-*\"]\n";
    std::fs::write(shop.dir().join("baton.toml"), grants).unwrap();
    let second = host.await_other_than("fickle", &first);
    assert_eq!(json!(second), waiting["digest"], "what is granted by name goes straight in");
}
