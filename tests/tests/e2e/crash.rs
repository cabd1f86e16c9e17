//! What survives: a kill in the middle of everything, lost views, a second host, damaged files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use baton_tests::guests::{BOOKSHOP, component};
use baton_tests::host::{Host, Shop};
use baton_tests::http::{STRUCTURED, event};
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::bookshop::{GOOD_CARD, order, place};
use crate::shop;

/// Places orders until the host is gone; gives the flows that were answered 202, by order.
fn place_until_killed(http: &baton_tests::http::Http) -> Vec<(String, String)> {
    let mut accepted = Vec::new();
    for number in 0.. {
        let id = format!("n{number}");
        let body = order(&id, "frankenstein", GOOD_CARD).to_string().into_bytes();
        let headers = [("content-type", STRUCTURED)];
        let Ok(answer) = http.ask("POST", "/v1/channels/place-order/events", &headers, body) else { break };
        let flow = answer.expect(202)["events"][0]["flow"].as_str().unwrap().to_owned();
        accepted.push((id, flow));
    }
    accepted
}

fn subjects(host: &Host, channel: &str) -> Vec<String> {
    let (mut found, mut from) = (Vec::new(), 0);
    loop {
        let page = host.get(&format!("/v1/channels/{channel}/events?from={from}&limit=1000")).expect(200);
        let events = page["events"].as_array().unwrap();
        if events.is_empty() {
            return found;
        }
        found.extend(events.iter().map(|e| e["event"]["subject"].as_str().unwrap().to_owned()));
        from = page["next"].as_u64().unwrap();
    }
}

#[test]
fn after_a_kill_in_mid_flow_everything_accepted_is_there_and_ends_once() {
    let shop = shop();
    shop.open_bookshop();
    let host = shop.spawn();
    host.await_running(&BOOKSHOP);
    let http = (*host).clone();
    let publisher = std::thread::spawn(move || place_until_killed(&http));
    eventually("orders are under way", || (host.count("order-shipped") >= 5).then_some(()));
    host.kill();
    let accepted = publisher.join().unwrap();
    assert!(!accepted.is_empty());

    let host = shop.spawn();
    for (_, flow) in &accepted {
        host.await_done(flow);
    }
    host.await_quiet();
    let placed = subjects(&host, "place-order");
    let ids: BTreeSet<&String> = placed.iter().collect();
    assert_eq!(ids.len(), placed.len(), "no order twice");
    assert!(accepted.iter().all(|(id, _)| ids.contains(id)), "every order that was answered is there");
    for channel in ["order-created", "payment-applied", "order-fulfilled", "order-shipped"] {
        let mut orders = subjects(&host, channel);
        orders.sort();
        let expected: BTreeSet<String> = placed.iter().map(|id| format!("order-{id}")).collect();
        assert_eq!(orders, expected.into_iter().collect::<Vec<_>>(), "{channel}: each order once");
    }
    let stock = &host.state("inventory")["frankenstein/stock"];
    assert_eq!(stock["reserved"], 2 * placed.len(), "{stock}");
    assert_eq!(host.terminate(), Some(0));
}

/// Everything that a user can ask about, as far as it does not count since the start.
fn answers(host: &Host, flow: &str) -> Vec<Value> {
    let processor = |name: &str| {
        let report = host.processor(name);
        json!([report["digest"], report["generation"], report["subscriptions"], host.state(name)])
    };
    let others = ["/v1/channels", "/v1/deployments", &format!("/v1/flows/{flow}")]
        .map(|path| host.get(path).expect(200));
    BOOKSHOP
        .iter()
        .map(|name| processor(name))
        .chain(others)
        .chain([json!(host.events("email-sent"))])
        .collect()
}

#[test]
fn without_its_views_a_host_answers_the_same() {
    let shop = shop();
    shop.open_bookshop();
    let host = shop.start();
    host.await_running(&BOOKSHOP);
    let flow = place(&host, &order("o1", "dracula", GOOD_CARD));
    host.await_done(&flow);
    host.await_quiet();
    let before = answers(&host, &flow);
    host.stop();

    std::fs::remove_dir_all(shop.data().join("views")).unwrap();
    let host = shop.start();
    host.await_running(&BOOKSHOP);
    assert_eq!(answers(&host, &flow), before);
    let again = host.publish("place-order", "", &order("o1", "dracula", GOOD_CARD)).expect(202);
    assert_eq!(again["events"][0]["duplicate"], true, "what was published before is known too");
}

#[test]
fn a_second_host_on_one_data_folder_is_refused() {
    let shop = shop();
    let host = shop.start();
    let error = shop.try_start().err().unwrap();
    assert!(error.contains(&shop.data().display().to_string()), "{error}");
    let dir = shop.dir().display().to_string();
    let output = shop.run(&["serve", "--listen", "127.0.0.1:0", &dir]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&shop.data().display().to_string()) && said.contains("in use"), "{said}");
    host.publish("ticks", "", &event("1", "tick", "a", json!({}))).expect(202);
}

/// Runs a host over some events, and says where its journal's first segment is.
fn with_events(end: impl FnOnce(Host)) -> (Shop, PathBuf) {
    let shop = shop();
    shop.drop_in("relay", &component("guest-relay"));
    let host = shop.spawn();
    host.await_running(&["relay"]);
    for number in 0..20 {
        let tick = event(&number.to_string(), "tick", "k", json!({"number": number}));
        host.publish("ticks", "?wait=tocks", &tick).expect(200);
    }
    end(host);
    let mut segments: Vec<PathBuf> = std::fs::read_dir(shop.data().join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.metadata().unwrap().len() > 1000)
        .collect();
    segments.sort();
    (shop, segments.remove(0))
}

fn flip_a_byte(segment: &Path) -> u64 {
    let mut bytes = std::fs::read(segment).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used / 2] ^= 1;
    std::fs::write(segment, bytes).unwrap();
    (used / 2) as u64
}

/// `verify` names the place, and a start is refused with the same one.
fn damage_is_named_and_refused(shop: &Shop, segment: &Path, flipped: u64) {
    let name = segment.file_name().unwrap().to_string_lossy().into_owned();
    let dir = shop.dir().display().to_string();
    let output = shop.run(&["journal", "verify", "--json", &dir]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["whole"], false);
    let damaged = report["segments"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap();
    let offset = damaged["damages"][0]["offset"].as_u64().unwrap();
    assert!(offset <= flipped && flipped < offset + 4096, "flipped {flipped}, said {offset}");

    let refused = shop.run(&["serve", "--listen", "127.0.0.1:0", &dir]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains(&name) && said.contains(&offset.to_string()), "{said}");
}

#[test]
fn a_flipped_byte_in_a_sealed_segment_is_found_and_refused() {
    let (shop, segment) = with_events(|host| assert_eq!(host.terminate(), Some(0)));
    let whole = shop.run(&["journal", "verify", "--json", &shop.dir().display().to_string()]);
    assert_eq!(whole.status.code(), Some(0), "{}", String::from_utf8_lossy(&whole.stderr));
    let flipped = flip_a_byte(&segment);
    damage_is_named_and_refused(&shop, &segment, flipped);
}

#[test]
fn a_flipped_byte_in_what_was_durable_at_a_crash_is_found_and_refused() {
    let (shop, segment) = with_events(Host::kill);
    let flipped = flip_a_byte(&segment);
    damage_is_named_and_refused(&shop, &segment, flipped);
}
