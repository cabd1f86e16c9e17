//! Pause, resume and scale by the command line and HTTP, with real components, across deployments and restarts.

use std::process::Output;

use baton_tests::guests::{component, variant};
use baton_tests::host::{Host, Shop};
use baton_tests::http::event;
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shop;

const KEYS: u64 = 5;

fn start(settings: &str) -> (Shop, Host) {
    let shop = shop();
    std::fs::write(shop.dir().join("baton.toml"), settings).unwrap();
    shop.drop_in("tally", &component("guest-tally"));
    let host = shop.start();
    host.await_running(&["tally"]);
    (shop, host)
}

fn run(shop: &Shop, host: &Host, arguments: &[&str]) -> Output {
    shop.run(&[&["--server", &host.url], arguments].concat())
}

/// What a command prints that ends with 0.
fn said(shop: &Shop, host: &Host, arguments: &[&str]) -> String {
    let output = run(shop, host, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Publishes ticks, a number of them per key.
fn tick(host: &Host, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        for key in 0..KEYS {
            let id = format!("{key}-{number}");
            let tick = event(&id, "tick", &format!("k{key}"), json!({"number": number}));
            host.publish("ticks", "", &tick).expect(202);
        }
    }
}

/// How many ticks were counted; none of them out of order.
fn counted(host: &Host) -> u64 {
    let state = host.state("tally");
    let of = |key: u64| {
        let count = state.get(&format!("k{key}/ticks"))?;
        assert_eq!(count["disorders"], 0, "{count}");
        count["handled"].as_u64()
    };
    (0..KEYS).filter_map(of).sum()
}

fn await_counted(host: &Host, count: u64) {
    eventually("all are counted", || (counted(host) == count).then_some(()));
}

#[test]
fn a_pause_outlives_deployments_and_restarts_and_is_seen_everywhere() {
    let (shop, host) = start("");
    tick(&host, 1..=2);
    await_counted(&host, 2 * KEYS);
    let paused = said(&shop, &host, &["processor", "pause", "tally", "--reason", "the shelf is full"]);
    assert!(paused.contains("tally is paused") && paused.contains("the shelf is full (by cli)"), "{paused}");
    tick(&host, 3..=4);
    host.put("/v1/processors/tally", variant("guest-tally", 1)).expect(200);
    let status = said(&shop, &host, &["status"]);
    assert!(
        status.starts_with("Nothing is wrong: 0 processors run, 1 paused") && status.contains("PAUSED tally"),
        "{status}"
    );
    assert!(status.contains("go on: baton processor resume tally"), "{status}");
    host.stop();
    let host = shop.start();
    let report = eventually("it is there again", || {
        let report = host.processor("tally");
        (report["status"] == "paused").then_some(report)
    });
    assert_eq!(
        (&report["paused"]["reason"], &report["paused"]["by"]),
        (&json!("the shelf is full"), &json!("cli"))
    );
    assert_eq!(report["subscriptions"][0]["lag"], 2 * KEYS);
    assert_eq!(counted(&host), 2 * KEYS);
    let resumed = said(&shop, &host, &["processor", "resume", "tally"]);
    assert!(resumed.starts_with("tally runs."), "{resumed}");
    await_counted(&host, 4 * KEYS);
    assert_eq!(host.processor("tally").get("paused"), None);
}

#[test]
fn lanes_are_said_by_command_over_file_over_descriptor_and_need_no_deployment() {
    let (shop, host) = start("[processor.tally]\nlanes = \"1..4\"\n");
    let scale = |host: &Host| {
        let report = host.processor("tally");
        (report["scale"].clone(), report["generation"].clone())
    };
    assert_eq!(scale(&host), (json!({"min": 1, "max": 4, "from": "config"}), json!(1)));
    let said = said(&shop, &host, &["processor", "scale", "tally", "3"]);
    assert!(said.starts_with("tally has 3 lanes now, 3 by `baton processor scale`."), "{said}");
    tick(&host, 1..=20);
    await_counted(&host, 20 * KEYS);
    host.stop();
    let host = shop.start();
    host.await_running(&["tally"]);
    assert_eq!(scale(&host), (json!({"min": 3, "max": 3, "from": "command"}), json!(1)));
    assert_eq!(host.processor("tally")["lanes"], 3);
    let reset = json!({"reset": true}).to_string().into_bytes();
    let report = host
        .ask("PUT", "/v1/processors/tally/scale", &[("content-type", "application/json")], reset)
        .unwrap()
        .expect(200);
    assert_eq!(report["scale"]["from"], "config");
    tick(&host, 21..=30);
    await_counted(&host, 30 * KEYS);
}

#[test]
fn a_rate_holds_until_it_is_lifted() {
    let (shop, host) = start("");
    let resumed = said(&shop, &host, &["processor", "resume", "tally", "--rate", "1/h"]);
    assert!(resumed.starts_with("tally runs, with at most 1/h."), "{resumed}");
    tick(&host, 1..=3);
    await_counted(&host, 1);
    let report: Value = host.processor("tally");
    assert_eq!((&report["rate"], &report["subscriptions"][0]["lag"]), (&json!("1/h"), &json!(3 * KEYS - 1)));
    said(&shop, &host, &["processor", "resume", "tally", "--rate", "none"]);
    await_counted(&host, 3 * KEYS);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    let (shop, host) = start("");
    let fails = |code: i32, arguments: &[&str]| {
        let output = run(&shop, &host, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(fails(2, &["processor", "scale", "tally", "4..1"]).contains("MIN..MAX"));
    assert!(fails(2, &["processor", "scale", "tally", "65"]).contains("1 to 64"));
    assert!(fails(2, &["processor", "scale", "tally"]).contains("LANES"));
    assert!(fails(2, &["processor", "resume", "tally", "--rate", "fast"]).contains("100/s"));
    assert!(fails(2, &["processor", "pause", "tally"]).contains("--reason"));
    assert!(fails(1, &["processor", "pause", "tally", "--reason", " "]).contains("a pause needs a reason"));
    for what in ["pause --reason r", "resume", "scale 2"] {
        let words: Vec<&str> = what.split(' ').collect();
        fails(4, &[&["processor", words[0], "nobody"], &words[1..]].concat());
    }
}
