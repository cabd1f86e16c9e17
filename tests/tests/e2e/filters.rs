//! Filters before the sandbox, and subscriptions that are taken to another place.

use std::collections::BTreeSet;

use baton_tests::guests::{component, variant};
use baton_tests::host::{Host, Shop};
use baton_tests::http::event;
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shop;

fn tick(number: u64, ty: &str, subject: &str) -> Value {
    event(&format!("t{number}"), ty, subject, json!({ "number": number }))
}

/// Every tenth is wanted.
fn ticks(from: u64, to: u64) -> Vec<Value> {
    (from..to)
        .map(|n| tick(n, if n % 10 == 0 { "wanted" } else { "tick" }, &format!("k{}", n % 70)))
        .collect()
}

fn start(shop: &Shop) -> Host {
    shop.drop_in("picky", &component("guest-picky"));
    let host = shop.start();
    host.await_running(&["picky"]);
    host
}

fn subscription(host: &Host) -> Value {
    let list = host.get("/v1/subscriptions?processor=picky").expect(200);
    list["subscriptions"].as_array().unwrap().iter().find(|one| one["channel"] == "ticks").unwrap().clone()
}

fn handled(host: &Host) -> u64 {
    host.state("picky").values().map(|count| count.as_u64().unwrap()).sum()
}

fn reset(host: &Host, query: &str) -> baton_tests::http::Answer {
    host.post(
        &format!("/v1/processors/picky/subscriptions/ticks/reset?{query}"),
        "application/json",
        &json!(null),
    )
}

fn ids(host: &Host) -> Vec<String> {
    let events = host.events("picked");
    events.iter().map(|event| event["event"]["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn only_what_the_filter_passes_reaches_the_guest_and_all_is_counted() {
    let shop = shop();
    let host = start(&shop);
    (0..5).for_each(|n| drop(host.publish_all("ticks", &ticks(1000 * n, 1000 * (n + 1))).expect(202)));
    host.publish_all("ticks", &[tick(9001, "tick", "vip-1"), tick(9002, "tick", "vip-x")]).expect(202);
    host.await_quiet();
    let one = subscription(&host);
    assert_eq!((&one["filtered"], &one["cursor"], &one["ahead"]), (&json!(4501), &json!(5002), &json!(0)));
    assert_eq!(one["filter"]["any"][0], json!({ "exact": { "type": "wanted" } }));
    let processor = host.processor("picky");
    assert_eq!((&processor["handled"], handled(&host)), (&json!(501), 501));
    assert_eq!(host.count("picked"), 501);
    let metrics = host.get("/metrics").text;
    let line = "baton_subscription_filtered_events_total{processor=\"picky\",channel=\"ticks\"} 4501";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
    let flow = host.publish("ticks", "", &tick(9003, "tick", "k")).expect(202)["events"][0]["flow"].clone();
    let report = host.await_done(flow.as_str().unwrap());
    assert_eq!(report["events"][0]["handlings"], json!([]));
    let why = host.get("/v1/why?event=ticks@5002&processor=picky").expect(200);
    assert_eq!(why["verdict"], "filtered");
    let rule = "filter.any[0].exact.type is \"wanted\": no, it is \"tick\"";
    assert!(why["text"].as_str().unwrap().contains(rule), "{why}");
}

#[test]
fn a_kill_in_the_middle_loses_and_doubles_nothing_that_a_filter_decides() {
    let shop = shop();
    shop.drop_in("picky", &component("guest-picky"));
    let host = shop.spawn();
    host.await_running(&["picky"]);
    let http = (*host).clone();
    (0..4).for_each(|n| drop(http.publish_all("ticks", &ticks(1000 * n, 1000 * (n + 1))).expect(202)));
    eventually("some are picked", || (host.count("picked") > 20).then_some(()));
    host.kill();
    let host = shop.spawn();
    host.publish_all("ticks", &ticks(4000, 5000)).expect(202);
    host.await_quiet();
    let one = subscription(&host);
    assert_eq!((&one["filtered"], &one["decided"]), (&json!(4500), &json!(5000)));
    assert_eq!((handled(&host), host.count("picked")), (500, 500));
}

#[test]
fn a_reset_brings_events_again_and_what_they_cause_is_new() {
    let shop = shop();
    let host = start(&shop);
    host.publish_all("ticks", &ticks(0, 100)).expect(202);
    host.await_quiet();
    assert_eq!((handled(&host), ids(&host).len()), (10, 10));

    let refused = reset(&host, "to=earliest");
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("state-undecided")));
    let told = reset(&host, "to=50&state=keep&dry_run=true").expect(200);
    assert_eq!((&told["comes"], &told["again"], &told["state"]), (&json!(50), &json!(50), &json!("kept")));
    assert_eq!(subscription(&host)["cursor"], 100);

    let generation = host.processor("picky")["generation"].as_u64().unwrap();
    let report = reset(&host, "to=50&state=keep").expect(200);
    assert_eq!(report["generation"], generation + 1);
    host.await_quiet();
    let one = subscription(&host);
    assert_eq!((&one["start"], &one["filtered"], &one["decided"]), (&json!(50), &json!(45), &json!(50)));
    assert_eq!(handled(&host), 15);

    reset(&host, "to=earliest&state=clear").expect(200);
    host.await_quiet();
    assert_eq!(handled(&host), 10);
    let ids = ids(&host);
    assert_eq!(ids.len(), 25);
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len(),
        25,
        "an event was told twice under one id: {ids:?}"
    );

    host.stop();
    let host = shop.start();
    host.await_running(&["picky"]);
    host.await_quiet();
    assert_eq!((subscription(&host)["start"].clone(), handled(&host)), (json!(0), 10));
}

#[test]
fn a_reset_drops_what_the_subscription_held_and_passes_over_what_it_must() {
    let shop = shop();
    let host = start(&shop);
    host.publish_all("ticks", &[tick(666, "wanted", "a"), tick(1, "wanted", "a"), tick(2, "wanted", "b")])
        .expect(202);
    eventually("one is held, and another behind it", || {
        let one = subscription(&host);
        ((&one["held"], &one["waiting"], &one["lag"]) == (&json!(1), &json!(1), &json!(2))).then_some(())
    });
    let report = reset(&host, "to=latest&state=keep").expect(200);
    assert_eq!((&report["held"], &report["passed_over"], &report["to"]), (&json!(1), &json!(2), &json!(3)));
    let picky = host.processor("picky");
    assert_eq!((&picky["status"], &picky["held"]), (&json!("running"), &json!([])));
    host.publish("ticks", "", &tick(3, "wanted", "a")).expect(202);
    host.await_quiet();
    assert_eq!(host.count("picked"), 2);
}

#[test]
fn an_undeployed_processor_is_reset_and_begins_there_when_it_comes_back() {
    let shop = shop();
    let host = start(&shop);
    host.publish_all("ticks", &ticks(0, 20)).expect(202);
    host.await_quiet();
    std::fs::remove_file(shop.file("picky")).unwrap();
    eventually("it is gone", || (host.processor("picky")["status"] == "undeployed").then_some(()));
    let report = reset(&host, "to=10&state=clear").expect(200);
    assert_eq!((&report["generation"], &report["again"]), (&Value::Null, &json!(10)));
    shop.drop_in("picky", &variant("guest-picky", 2));
    host.await_running(&["picky"]);
    host.await_quiet();
    assert_eq!(handled(&host), 1);
}

#[test]
fn wrong_places_are_refused_with_what_to_do() {
    let shop = shop();
    let host = start(&shop);
    host.publish_all("ticks", &ticks(0, 10)).expect(202);
    let cases = [
        ("to=11&state=keep", 400, "bad-position", "choose 0 to 10"),
        ("to=2999-01-01T00:00:00Z&state=keep", 400, "bad-position", "say latest"),
        ("to=soon", 400, "bad-query", "say earliest, latest"),
        ("state=keep", 400, "bad-query", "to"),
        ("to=1&state=maybe", 400, "bad-query", "keep"),
    ];
    for (query, status, code, words) in cases {
        let answer = reset(&host, query);
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{query}");
        assert!(answer.body["detail"].as_str().unwrap().contains(words), "{}", answer.text);
    }
    let unknown =
        host.post("/v1/processors/picky/subscriptions/nothing/reset?to=1", "application/json", &json!(null));
    assert_eq!((unknown.status, &unknown.body["code"]), (404, &json!("unknown-subscription")));
    assert_eq!(host.get("/v1/subscriptions?processor=nobody").status, 404);
}

#[test]
fn the_command_line_lists_and_resets_and_a_time_is_a_place() {
    let shop = shop();
    let host = start(&shop);
    host.publish_all("ticks", &ticks(0, 10)).expect(202);
    host.await_quiet();
    let events = host.events("ticks");
    let time = events[0]["recorded"].as_str().unwrap();
    let run = |arguments: &[&str]| {
        let output = shop.run(&[&["--server", host.url.as_str()], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    let (code, list) = run(&["subscription", "ls", "picky"]);
    assert_eq!(code, Some(0));
    assert!(list.contains("any(exact(type = \"wanted\")"), "{list}");
    let (code, refused) = run(&["subscription", "reset", "picky", "ticks", "--to", time]);
    assert_eq!(code, Some(1), "{refused}");
    assert!(refused.contains("state-undecided") && refused.contains("--keep-state"), "{refused}");
    let (code, told) = run(&["subscription", "reset", "picky", "ticks", "--to", time, "--dry-run"]);
    assert!(
        code == Some(0) && told.contains("10 of them again") && told.contains("Nothing was changed"),
        "{told}"
    );
    let (code, done) = run(&["subscription", "reset", "picky", "ticks", "--to", time, "--clear-state"]);
    assert!(code == Some(0) && done.contains("begins at offset 0"), "{done}");
    host.await_quiet();
    assert_eq!((handled(&host), host.count("picked")), (1, 2));
}
