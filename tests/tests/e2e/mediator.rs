//! Mediated orders on a host that is killed: runs go on where they stopped, and nothing that was done is done again.

use std::collections::BTreeMap;

use baton_tests::guests::BOOKSHOP;
use baton_tests::host::Host;
use baton_tests::http::event;
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::bookshop::order;
use crate::shop;

const EXPIRED: &str = "4000 0000 0000 0069";
const PLACE_ORDER: &str = include_str!("../../../plugins/mediators/place-order.yaml");
/// As `order-placement` makes it of a good card.
const GOOD: &str = "tn_c53d7f6c097a50a5";

fn run(host: &Host, id: &str) -> Value {
    host.get(&format!("/v1/runs/{id}")).expect(200)
}

/// How often each processor was told to do something, by its queue.
fn commands(host: &Host) -> BTreeMap<String, u64> {
    BOOKSHOP.iter().map(|name| ((*name).to_owned(), host.count(&format!("baton.queue.{name}")))).collect()
}

#[test]
fn a_run_that_waits_for_another_card_goes_on_after_a_kill_and_does_nothing_twice() {
    let shop = shop();
    shop.open_bookshop();
    std::fs::create_dir(shop.dir().join("mediators")).unwrap();
    std::fs::write(shop.dir().join("mediators/place-order.yaml"), PLACE_ORDER).unwrap();
    let host = shop.spawn();
    host.await_running(&[&BOOKSHOP[..], &["place-order"]].concat());
    let wanted = host.publish("order-wanted", "", &order("n1", "frankenstein", EXPIRED)).expect(202);
    let id = format!("place-order-{}", wanted["events"][0]["position"]);
    let flow = wanted["events"][0]["flow"].as_str().unwrap().to_owned();
    let waits = || {
        let run = host.get(&format!("/v1/runs/{id}"));
        let run = (run.status == 200).then(|| run.expect(200))?;
        (run["status"] == "waiting").then_some(run)
    };
    let waiting = eventually("the run waits for a card", waits);
    assert_eq!(waiting["at"][0]["waits_for"], "event", "{waiting}");
    let before = commands(&host);
    assert_eq!((before["payment"], before["order-placement"], before["shipping"]), (1, 1, 0), "{before:?}");
    host.kill();

    let host = shop.spawn();
    assert_eq!(run(&host, &id)["status"], "waiting");
    assert_eq!(host.get(&format!("/v1/flows/{flow}")).expect(200)["status"], "open");
    let card = json!({"token": GOOD, "last_four": "4242", "expires": "2099-12"});
    let data = json!({"order_id": format!("order-{id}"), "card": card});
    host.publish("card-updated", "", &event("c1", "card-updated", "n1", data)).expect(202);
    eventually("the run is done", || (run(&host, &id)["status"] == "completed").then_some(()));
    host.await_done(&flow);
    let after = commands(&host);
    assert_eq!((after["payment"], after["order-placement"], after["shipping"]), (2, 1, 1), "{after:?}");
    assert_eq!(after["inventory"], before["inventory"], "what was reserved stays reserved, once");
    for topic in ["order-created", "payment-applied", "email-sent"] {
        assert_eq!(host.count(topic), 0, "{topic} hears nothing of commands");
    }
    assert_eq!(host.get("/v1/dead").expect(200)["count"], 0);
    assert_eq!(host.terminate(), Some(0));
}
