//! What the host says of itself to other programs: its topology, what looks wrong in it, and the documents.

use baton_tests::guests::{BOOKSHOP, component};
use baton_tests::host::Shop;
use baton_tests::http::event;
use serde_json::{Value, json};

use crate::shop;

fn bookshop() -> Shop {
    let shop = shop();
    shop.open_bookshop();
    shop
}

fn output(shop: &Shop, code: i32, arguments: &[&str]) -> Value {
    let output = shop.run(&[&["--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Codes and channels of findings.
fn findings(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| (text(&finding["code"]), text(&finding["channels"][0]))).collect()
}

fn has(report: &Value, code: &str, channel: &str) -> bool {
    findings(report).contains(&(code.to_owned(), channel.to_owned()))
}

#[test]
fn the_bookshop_is_linted_from_its_files() {
    let shop = bookshop();
    let dir = shop.dir().display().to_string();
    let report = output(&shop, 0, &["lint", &dir, "--deny", "warnings"]);
    assert_eq!((&report["errors"], &report["warnings"]), (&json!(0), &json!(0)), "{report}");
    let ring = report["findings"].as_array().unwrap().iter().find(|f| f["code"] == "lint-ring").unwrap();
    let way = "inventory -(inventory-updated)-> warehouse -(stock-replenished)-> inventory";
    assert!(ring["message"].as_str().unwrap().contains(way), "{ring}");
    assert!(has(&report, "lint-unfed-channel", "place-order"));
    assert!(has(&report, "lint-unread-channel", "email-sent"));
}

#[test]
fn files_that_cannot_run_fail_the_lint() {
    let shop = bookshop();
    shop.drop_in("copy", &component("payment"));
    std::fs::write(shop.file("broken"), "no component").unwrap();
    let report = output(&shop, 1, &["lint", &shop.dir().display().to_string()]);
    assert!(has(&report, "lint-not-a-processor", "") && has(&report, "lint-name-twice", ""), "{report}");
}

#[test]
fn a_host_knows_what_was_published_from_outside() {
    let shop = shop();
    shop.drop_in("relay", &component("guest-relay"));
    let host = shop.start();
    host.await_running(&["relay"]);
    let report = output(&shop, 1, &["--server", &host.url, "lint", "--deny", "warnings"]);
    assert!(has(&report, "lint-unfed-channel", "ticks"), "{report}");
    host.publish("ticks", "", &event("1", "tick", "k", json!({"number": 1}))).expect(202);
    let report = output(&shop, 0, &["--server", &host.url, "lint", "--deny", "warnings"]);
    assert_eq!(findings(&report), [("lint-unread-channel".to_owned(), "tocks".to_owned())]);
}

#[test]
fn the_topology_of_a_host_is_that_of_its_files_with_the_events() {
    let shop = bookshop();
    let host = shop.start();
    host.await_running(&BOOKSHOP);
    let topology = host.get("/v1/topology").expect(200);
    let orders =
        topology["channels"].as_array().unwrap().iter().find(|c| c["name"] == "order-created").unwrap();
    assert_eq!(orders["senders"], json!(["order-placement"]));
    assert_eq!(orders["readers"], json!(["inventory", "notification", "payment"]));
    assert_eq!(orders["events"], 0);

    let served = host.get("/v1/asyncapi.json");
    assert_eq!(served.header("content-type"), "application/vnd.aai.asyncapi+json");
    let mut served = served.expect(200);
    let offline = output(&shop, 0, &["asyncapi", &shop.dir().display().to_string()]);
    assert_eq!(served["servers"]["baton"]["host"], host.url.trim_start_matches("http://"));
    assert_eq!(served["operations"], offline["operations"]);
    assert_eq!(served["components"], offline["components"]);
    let asked = output(&shop, 0, &["--server", &host.url, "asyncapi"]);
    assert_eq!(asked, served);
    let schemas = served["components"]["schemas"].take();
    assert_eq!(schemas["order-created"]["properties"]["total_minor"]["type"], "integer");
    assert_eq!(schemas["place-order"]["required"][0], "sku");
}

#[test]
fn the_interface_is_described_with_and_without_a_host() {
    let shop = shop();
    let host = shop.start();
    let served = host.get("/v1/openapi.json").expect(200);
    assert_eq!(served["openapi"], "3.1.0");
    assert_eq!(output(&shop, 0, &["openapi"]), served);
    assert_eq!(served["components"]["schemas"]["Problem"]["properties"]["code"]["type"], "string");
}
