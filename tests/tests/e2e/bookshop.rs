//! The relay as a customer and as an operator see it.

use std::collections::BTreeMap;

use baton_tests::guests::{BOOKSHOP, NEWCOMER, component};
use baton_tests::host::Host;
use baton_tests::http::event;
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shop;

pub const GOOD_CARD: &str = "4242 4242 4242 4242";
pub const DENIED_CARD: &str = "4000 0000 0000 0002";

pub fn order(id: &str, sku: &str, card: &str) -> Value {
    let data = json!({
        "sku": sku, "quantity": 2, "unit_price_minor": 1499, "currency": "EUR",
        "customer": {"name": "Ada Lovelace", "email": "ada@example.org"},
        "card": {"number": card, "expires": "2099-04"},
        "ship_to": {"street": "Rua Augusta 1", "postcode": "1100-048", "city": "Lisboa", "country": "PT"},
    });
    event(id, "place-order", id, data)
}

/// Places an order without waiting for its answer, and gives its flow.
pub fn place(host: &Host, order: &Value) -> String {
    let accepted = host.publish("place-order", "", order).expect(202);
    accepted["events"][0]["flow"].as_str().unwrap().to_owned()
}

fn channels(flow: &Value) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in flow["events"].as_array().unwrap() {
        *counts.entry(event["channel"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn an_order_is_relayed_from_hand_to_hand() {
    let shop = shop();
    shop.open_bookshop();
    let host = shop.start();
    host.await_running(&BOOKSHOP);

    let reply = host.publish("place-order", "?wait=reply", &order("o1", "moby-dick", GOOD_CARD)).expect(200);
    assert_eq!(reply["order_id"], "order-o1");
    let shipped = host.publish("place-order", "?wait=order-shipped", &order("o1", "moby-dick", GOOD_CARD));
    let shipped = shipped.expect(200);
    assert_eq!(shipped["data"]["order_id"], "order-o1");
    let flow = host.await_done(shipped["correlationid"].as_str().unwrap());
    let told = [
        ("place-order", 1),
        ("order-created", 1),
        ("payment-applied", 1),
        ("inventory-updated", 1),
        ("order-fulfilled", 1),
        ("order-shipped", 1),
        ("email-sent", 3),
    ];
    assert_eq!(channels(&flow), counts(&told));
    every_cause_is_in_the_flow_and_came_before(&flow);
}

fn every_cause_is_in_the_flow_and_came_before(flow: &Value) {
    let events = flow["events"].as_array().unwrap();
    let by_position: BTreeMap<u64, &Value> =
        events.iter().map(|event| (event["position"].as_u64().unwrap(), event)).collect();
    for event in &events[1..] {
        let cause = event["cause"].as_u64().unwrap();
        assert!(cause < event["position"].as_u64().unwrap());
        assert_eq!(event["event"]["causationid"], by_position[&cause]["event"]["id"]);
        assert_eq!(event["event"]["correlationid"], flow["flow"]);
    }
}

#[test]
fn a_denied_card_gives_the_stock_back() {
    let shop = shop();
    shop.open_bookshop();
    let host = shop.start();
    host.await_running(&BOOKSHOP);
    host.await_done(&place(&host, &order("before", "frankenstein", GOOD_CARD)));
    let stock = |host: &Host| host.state("inventory")["frankenstein/stock"].clone();
    let before = stock(&host);

    let flow = host.await_done(&place(&host, &order("denied", "frankenstein", DENIED_CARD)));
    let told = [
        ("place-order", 1),
        ("order-created", 1),
        ("payment-denied", 1),
        ("inventory-updated", 2),
        ("email-sent", 2),
    ];
    assert_eq!(channels(&flow), counts(&told));
    assert_eq!(stock(&host), before);
}

#[test]
fn a_newcomer_gets_the_mails_of_old_and_changes_nothing_else() {
    let shop = shop();
    shop.open_bookshop();
    let host = shop.start();
    host.await_running(&BOOKSHOP);
    for (id, card) in [("a", GOOD_CARD), ("b", DENIED_CARD), ("c", GOOD_CARD)] {
        host.await_done(&place(&host, &order(id, "middlemarch", card)));
    }
    let others = |host: &Host| -> Vec<Value> {
        let generations = BOOKSHOP.map(|name| host.processor(name)["generation"].clone());
        let states = BOOKSHOP.map(|name| json!(host.state(name)));
        generations.into_iter().chain(states).collect()
    };
    let (mails, before) = (host.count("email-sent"), others(&host));
    assert_eq!(mails, 3 + 2 + 3);

    shop.drop_in(NEWCOMER, &component(NEWCOMER));
    let report = eventually("the newcomer has read all mails", || {
        let report = host.state_of(NEWCOMER)?.remove("single/report")?;
        (report["emails"] == mails).then_some(report)
    });
    assert_eq!(
        report["per_kind"],
        json!({"order-created": 3, "order-fulfilled": 2, "order-shipped": 2, "payment-denied": 1})
    );
    host.await_quiet();
    assert_eq!(host.count("email-report"), mails);
    assert_eq!(others(&host), before);
    assert_eq!(host.count("email-sent"), mails);
}
