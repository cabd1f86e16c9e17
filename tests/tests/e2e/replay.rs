//! History through a processor: its state comes out the same, and nobody else hears of it.

use baton_tests::guests::{NEWCOMER, component};
use baton_tests::host::{Host, Shop};
use baton_tests::http::event;
use serde_json::{Value, json};

use crate::shop;

/// A host whose `email-analysis` has seen so many mails.
fn start(mails: u64) -> (Shop, Host) {
    let shop = shop();
    shop.drop_in(NEWCOMER, &component(NEWCOMER));
    shop.drop_in("notification", &component("notification"));
    let host = shop.start();
    host.await_running(&[NEWCOMER, "notification"]);
    for n in 0..mails {
        let order = format!("order-{n}");
        let data = json!({
            "order_id": order, "sku": "moby-dick", "parcels": [1],
            "customer": {"name": "Ada Lovelace", "email": format!("ada{}@example.org", n % 3)},
        });
        host.publish("order-fulfilled", "", &event(&n.to_string(), "order-fulfilled", &order, data))
            .expect(202);
    }
    host.await_quiet();
    (shop, host)
}

fn replay(host: &Host, name: &str, body: &Value, status: u16) -> Value {
    let headers = [("content-type", "application/json")];
    let path = format!("/v1/processors/{name}/replay");
    host.ask("POST", &path, &headers, body.to_string().into_bytes()).unwrap().expect(status)
}

/// What a processor keeps, without the times.
fn state(host: &Host, name: &str) -> Vec<(String, String, Value)> {
    let state = host.get(&format!("/v1/processors/{name}/state")).expect(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = state["entries"].as_array().unwrap();
    entries.iter().map(|one| (text(&one["key"]), text(&one["name"]), one["value"].clone())).collect()
}

#[test]
fn a_replay_comes_to_the_same_state_under_its_own_name_and_touches_nothing_else() {
    let (shop, host) = start(12);
    let (before, reports) = (state(&host, NEWCOMER), host.count("email-report"));
    assert!(!before.is_empty() && reports > 0);
    let report = replay(&host, NEWCOMER, &json!({"from": "earliest", "into": "again"}), 200);
    assert_eq!(
        (&report["handled"], &report["failed"], &report["next"]),
        (&json!(12), &json!(0), &Value::Null)
    );
    assert_eq!(state(&host, "again"), before);
    assert_eq!(host.count("email-report"), reports, "what it would publish reaches nobody");
    assert_eq!(state(&host, NEWCOMER), before);
    let flows = host.get("/v1/flows?state=open").expect(200);
    assert_eq!(flows["flows"], json!([]), "no flow is open again");
    let again = host.processor("again");
    assert_eq!((&again["status"], &again["subscriptions"][0]["lag"]), (&json!("undeployed"), &json!(0)));

    let on = replay(&host, NEWCOMER, &json!({"from": "earliest", "into": "again"}), 200);
    assert_eq!(on["handled"], json!(0), "it goes on where it was");
    host.stop();
    let host = shop.start();
    assert_eq!(state(&host, "again"), before, "and is there after a restart");
    let out = shop.command(&["undeploy", "again", "--forget", "--server", &host.url]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(host.get("/v1/processors/again").status, 404);
}

#[test]
fn a_dry_run_shows_what_would_come_of_each_event_and_keeps_nothing() {
    let (shop, host) = start(4);
    let next = host.get("/v1/status").expect(200)["next_position"].clone();
    let body = json!({"from": "1", "to": "3", "dry_run": true, "channel": "order-fulfilled"});
    let report = replay(&host, "notification", &body, 200);
    assert_eq!((&report["handled"], &report["emits"]), (&json!(2), &json!(2)));
    let shown = report["shown"].as_array().unwrap();
    assert_eq!((&shown[0]["offset"], &shown[1]["offset"]), (&json!(1), &json!(2)));
    assert_eq!(shown[0]["emits"][0]["data"]["recipient"], "ada1@example.org");
    let whole = replay(&host, NEWCOMER, &json!({"from": "earliest", "dry_run": true}), 200);
    let counts: Vec<_> = whole["shown"].as_array().unwrap().iter().map(|one| one["writes"].clone()).collect();
    assert_ne!(counts[0], counts[3], "what one event writes the next one reads");
    assert_eq!(host.get("/v1/status").expect(200)["next_position"], next, "no frame was written");
    let out = shop.command(&["replay", NEWCOMER, "--from", "earliest", "--dry-run", "--server", &host.url]);
    let out = { out }.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("would publish email-report") && text.contains("handled 4 events"), "{text}");
}

#[test]
fn a_replay_that_cannot_be_is_refused_by_its_reason() {
    let (_shop, host) = start(3);
    let refused = |name: &str, body: Value, status: u16| replay(&host, name, &body, status)["code"].clone();
    assert_eq!(refused("nobody", json!({"from": "0", "dry_run": true}), 404), "unknown-processor");
    assert_eq!(refused(NEWCOMER, json!({"from": "2", "to": "1", "dry_run": true}), 400), "range-backwards");
    assert_eq!(refused(NEWCOMER, json!({"from": "99", "dry_run": true}), 400), "bad-position");
    assert_eq!(refused(NEWCOMER, json!({"from": "soon", "dry_run": true}), 400), "bad-position");
    assert_eq!(refused("notification", json!({"from": "0", "dry_run": true}), 400), "channel-not-said");
    assert_eq!(refused(NEWCOMER, json!({"from": "0", "into": "notification"}), 409), "name-taken");
    assert_eq!(refused(NEWCOMER, json!({"from": "0", "into": "Not A Name"}), 400), "bad-body");
    assert_eq!(refused(NEWCOMER, json!({"from": "0"}), 400), "bad-body");
    assert_eq!(host.processor("notification")["status"], "running");
}
