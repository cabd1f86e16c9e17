//! `baton demo --mediator` as a script runs it: one document, and an exit code that says whether all of it is true.

use baton_tests::guests::component;
use serde_json::{Value, json};

use crate::shop;

#[test]
fn the_mediated_bookshop_shows_runs_that_stop_go_on_and_are_undone() {
    // The components are there already; the demo's own build finds them.
    component("payment");
    let shop = shop();
    let output = shop.run(&["demo", "--mediator", "--exit", "--json", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["wrong"], json!([]), "{shown}");
    let scenes: Vec<Value> = shown["scenes"].as_array().unwrap().iter().map(told).collect();
    let expected = [
        json!(["completed", null, null, 1]),
        json!(["completed", "updated", "event", 2]),
        json!(["faulted", null, null, 1]),
        json!(["faulted", null, null, 1]),
        json!(["completed", "apply-payment", "operator", 3]),
        json!(["completed", "ask", "event", 1]),
    ];
    assert_eq!(scenes, expected);
}

/// How a run ended, where it stopped on the way and for what, and how often it asked for the payment.
fn told(scene: &Value) -> Value {
    let (run, stop) = (&scene["run"], &scene["stop"]);
    json!([run["status"], stop["step"], stop["waits_for"], scene["commands"]["apply-payment"]])
}
