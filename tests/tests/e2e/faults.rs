//! A fault holds its key and nothing else, is seen wherever one looks, and is tried again when told.

use baton_tests::guests::component;
use baton_tests::host::{Host, Shop};
use baton_tests::http::event;
use baton_tests::wait::{eventually, soon_ms};
use serde_json::{Value, json};

use crate::shop;

fn start() -> (Shop, Host) {
    let shop = shop();
    for name in ["fickle", "relay"] {
        shop.drop_in(name, &component(&format!("guest-{name}")));
    }
    let host = shop.start();
    host.await_running(&["fickle", "relay"]);
    (shop, host)
}

fn task(host: &Host, id: &str, key: &str, way: &str) -> String {
    let accepted = host.publish("tasks", "", &event(id, "task", key, json!({"way": way}))).expect(202);
    accepted["events"][0]["flow"].as_str().unwrap().to_owned()
}

fn held(host: &Host, count: usize) -> Vec<Value> {
    eventually("the faults hold their keys", || {
        let held = host.processor("fickle")["held"].as_array()?.clone();
        (held.len() == count).then_some(held)
    })
}

fn goes_through(host: &Host, id: &str, key: &str) {
    host.publish("tasks", "?wait=tasks-done", &event(id, "task", key, json!({"way": "well"}))).expect(200);
}

#[test]
fn a_fault_holds_its_key_and_shows_everywhere() {
    let (_shop, host) = start();
    let flow = task(&host, "1", "a", "reject");
    let behind = task(&host, "2", "a", "well");
    goes_through(&host, "3", "b");

    let held = held(&host, 1);
    assert_eq!(
        (&held[0]["key"], &held[0]["flow"], &held[0]["fault"]["kind"]),
        (&json!("a"), &json!(flow), &json!("reject"))
    );
    eventually("the next of its key waits", || {
        (host.processor("fickle")["held"][0]["waiting"] == 1).then_some(())
    });
    assert_eq!(host.processor("fickle")["status"], "held");
    let status = host.get("/v1/status").expect(200);
    let fickle = status["processors"].as_array().unwrap().iter().find(|p| p["name"] == "fickle").unwrap();
    assert_eq!((&fickle["status"], &fickle["held"][0]["key"]), (&json!("held"), &json!("a")));
    let report = host.get(&format!("/v1/flows/{flow}")).expect(200);
    let handling = &report["events"][0]["handlings"][0];
    assert_eq!((&report["status"], &handling["status"]), (&json!("stuck"), &json!("held")));
    assert_eq!(handling["fault"]["message"], "this task can never be done");
    let report = host.get(&format!("/v1/flows/{behind}")).expect(200);
    assert_eq!(report["events"][0]["handlings"][0]["status"], "waiting");
    let metrics = host.get("/metrics").text;
    let held = "baton_subscription_held_events{processor=\"fickle\",channel=\"tasks\"} 1";
    assert!(metrics.contains(held), "{metrics}");
    assert_eq!(host.state("fickle").get("a/done"), None, "nothing of the fault was kept");
}

#[test]
fn resume_tries_again_and_the_key_goes_on_in_order() {
    let (_shop, host) = start();
    let later = json!({"way": "later", "not_before_ms": soon_ms()});
    let accepted = host.publish("tasks", "", &event("1", "task", "a", later)).expect(202);
    let flow = accepted["events"][0]["flow"].as_str().unwrap().to_owned();
    let behind = task(&host, "2", "a", "well");
    let held = held(&host, 1);
    assert_eq!(held[0]["fault"]["kind"], "retry");
    eventually("a resume comes late enough", || {
        assert_eq!(host.ask("POST", "/v1/processors/fickle/resume", &[], vec![]).unwrap().status, 200);
        (host.count("tasks-done") == 2).then_some(())
    });
    host.await_done(&flow);
    host.await_done(&behind);
    assert_eq!(host.state("fickle")["a/done"], 2);
    let causes: Vec<Value> =
        host.events("tasks-done").iter().map(|done| done["event"]["correlationid"].clone()).collect();
    assert_eq!(causes, [json!(flow), json!(behind)]);
    assert_eq!(host.processor("fickle")["status"], "running");
}

#[test]
fn what_never_ends_or_breaks_stops_nobody_else() {
    let (_shop, host) = start();
    // More loops than this machine has workers.
    for number in 0..4 {
        task(&host, &format!("l{number}"), &format!("loop{number}"), "loop");
    }
    task(&host, "t", "trap", "trap");
    let tick = event("1", "tick", "k", json!({"number": 1}));
    host.publish("ticks", "?wait=tocks&timeout=20s", &tick).expect(200);
    goes_through(&host, "w", "well");
    let mut kinds: Vec<String> =
        held(&host, 5).iter().map(|h| h["fault"]["kind"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    assert_eq!(kinds, ["deadline", "deadline", "deadline", "deadline", "trap"]);
}

#[test]
fn a_restart_and_a_new_version_try_again_too() {
    let (shop, host) = start();
    let flow = task(&host, "1", "a", "reject");
    held(&host, 1);
    host.stop();
    let host = shop.start();
    host.await_running(&["relay"]);
    let again = held(&host, 1);
    assert_eq!(again[0]["flow"], flow);
    let receipt =
        host.put("/v1/processors/fickle", baton_tests::guests::variant("guest-fickle", 1)).expect(200);
    eventually("the new version has tried it", || {
        let fault = host.processor("fickle")["held"][0]["fault"]["digest"].as_str()?.to_owned();
        receipt["deployment"]["digest"].as_str()?.starts_with(&fault).then_some(())
    });
}
