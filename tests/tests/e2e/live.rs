//! Live reads: what comes, in order, from where a reader was, whoever else reads slowly.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Stdio;

use baton_tests::guests::component;
use baton_tests::host::{Host, Shop};
use baton_tests::http::event;
use baton_tests::live::Message;
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shop;

const TICKS: &str = "/v1/channels/ticks/events";

fn start() -> (Shop, Host) {
    let shop = shop();
    let host = shop.start();
    (shop, host)
}

fn ticks(range: std::ops::Range<u64>) -> Vec<Value> {
    range.map(|n| event(&n.to_string(), "tick", "k", json!({ "number": n }))).collect()
}

fn publish(host: &Host, range: std::ops::Range<u64>) {
    host.publish_all("ticks", &ticks(range)).expect(202);
}

#[test]
fn a_reader_gets_what_is_there_and_what_comes_and_goes_on_from_where_it_was() {
    let (_shop, host) = start();
    publish(&host, 0..2);
    let mut live = host.live(TICKS, None);
    let first = live.message().unwrap();
    assert_eq!((first.kind.as_str(), first.id.as_str()), ("message", "0"));
    assert_eq!(first.data, host.events("ticks")[0]["event"]);
    assert_eq!(live.ids(1), [1]);
    publish(&host, 2..4);
    assert_eq!(live.ids(2), [2, 3]);
    drop(live);
    publish(&host, 4..6);
    assert_eq!(host.live(TICKS, Some("3")).ids(2), [4, 5]);
    assert_eq!(host.live(&format!("{TICKS}?from=4"), None).ids(2), [4, 5]);
    let mut latest = host.live(&format!("{TICKS}?from=latest"), None);
    publish(&host, 6..7);
    assert_eq!(latest.ids(1), [6]);
}

#[test]
fn a_stop_ends_live_reads_and_the_next_host_goes_on() {
    let (shop, host) = start();
    publish(&host, 0..3);
    let mut live = host.live(TICKS, None);
    assert_eq!(live.ids(3), [0, 1, 2]);
    host.stop();
    assert_eq!(live.message(), None);
    let host = shop.start();
    let mut live = host.live(TICKS, Some("2"));
    publish(&host, 3..5);
    assert_eq!(live.ids(2), [3, 4]);
}

/// It holds up nobody, not even the stop, and loses nothing.
#[test]
fn a_reader_that_does_not_read_is_nobodys_trouble() {
    const EVENTS: u64 = 40;
    let (_shop, host) = start();
    let large = |n: u64| event(&n.to_string(), "tick", "k", json!({"text": "x".repeat(500_000), "n": n}));
    host.publish("ticks", "", &large(0)).expect(202);
    let mut late = host.live(TICKS, None);
    let address = host.url.trim_start_matches("http://").to_owned();
    let mut never = TcpStream::connect(&address).unwrap();
    let request = format!("GET {TICKS} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n");
    never.write_all(request.as_bytes()).unwrap();
    let mut eager = host.live(TICKS, None);
    for n in 1..EVENTS {
        host.publish("ticks", "", &large(n)).expect(202);
    }
    let all: Vec<u64> = (0..EVENTS).collect();
    assert_eq!(eager.ids(EVENTS as usize), all);
    assert_eq!(late.ids(EVENTS as usize), all);
    host.stop();
    drop(never);
}

#[test]
fn a_reader_that_wants_no_old_events_is_told_what_it_misses() {
    let (_shop, host) = start();
    publish(&host, 0..10);
    let path = format!("{TICKS}?behind_max=3");
    let mut live = host.live(&path, None);
    let gap = live.message().unwrap();
    assert_eq!((gap.kind.as_str(), gap.id.as_str()), ("gap", "6"));
    let expected = json!({"channel": "ticks", "from": 0, "to": 6, "count": 7, "reason": "behind"});
    assert_eq!(gap.data, expected);
    assert_eq!(live.ids(3), [7, 8, 9]);
    assert_eq!(host.live(&path, Some("6")).ids(3), [7, 8, 9]);
}

#[test]
fn live_reads_are_bounded_and_a_reader_that_goes_makes_room() {
    let shop = shop();
    std::fs::write(shop.dir().join("baton.toml"), "[limits]\nstreams_max = 1\n").unwrap();
    let host = shop.start();
    publish(&host, 0..1);
    let mut first = host.live(TICKS, None);
    assert_eq!(first.ids(1), [0]);
    assert_eq!(host.try_live(TICKS, None).err(), Some((503, "too-many-streams".to_owned())));
    drop(first);
    let mut next = eventually("the room is free again", || host.try_live(TICKS, None).ok());
    assert_eq!(next.ids(1), [0]);
}

#[test]
fn what_a_live_read_cannot_be_is_refused() {
    let (_shop, host) = start();
    publish(&host, 0..1);
    let cases = [
        ("/v1/channels/nobody/events".to_owned(), None, 404, "unknown-channel"),
        (format!("{TICKS}?limit=5"), None, 400, "bad-query"),
        (format!("{TICKS}?wait=5s"), None, 400, "bad-query"),
        (format!("{TICKS}?from=2"), None, 400, "offset-ahead"),
        (TICKS.to_owned(), Some("17"), 400, "offset-ahead"),
        (TICKS.to_owned(), Some("last"), 400, "bad-header"),
    ];
    for (path, last, status, code) in cases {
        assert_eq!(host.try_live(&path, last).err(), Some((status, code.to_owned())), "{path} {last:?}");
    }
    assert_eq!(host.get(&format!("{TICKS}?behind_max=3")).expect(400)["code"], "bad-query");
}

#[test]
fn tail_follows_until_the_host_is_gone() {
    let (shop, host) = start();
    publish(&host, 0..2);
    let mut command = shop.command(&["--json", "--server", &host.url, "tail", "ticks", "--follow"]);
    let mut tail = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut offset =
        || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["offset"].clone();
    assert_eq!((offset(), offset()), (json!(0), json!(1)));
    publish(&host, 2..3);
    assert_eq!(offset(), json!(2));
    host.stop();
    assert_eq!(tail.wait().unwrap().code(), Some(3), "no host answers any more");
}

#[test]
fn a_flow_is_told_to_its_end() {
    let (shop, host) = start();
    shop.drop_in("relay", &component("guest-relay"));
    host.await_running(&["relay"]);
    let accepted = host.publish("ticks", "", &ticks(0..1)[0]).expect(202);
    let flow = accepted["events"][0]["flow"].as_str().unwrap().to_owned();
    let mut live = host.live(&format!("/v1/flows/{flow}"), None);
    let told: Vec<Message> = std::iter::from_fn(|| live.message()).collect();
    let end = told.last().unwrap();
    assert_eq!((end.kind.as_str(), &end.data["status"]), ("end", &json!("done")));
    let channels: Vec<&Value> =
        told.iter().filter(|m| m.kind == "event").map(|m| &m.data["channel"]).collect();
    assert_eq!(channels, ["ticks", "tocks"]);
    let handled =
        |m: &&Message| m.data["status"] == "handled" || m.data["handlings"][0]["status"] == "handled";
    assert_eq!(told.iter().filter(handled).count(), 1, "{told:?}");

    let shown = shop.run(&["--json", "--server", &host.url, "flow", "show", &flow, "--follow"]);
    assert_eq!(shown.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&shown.stdout).lines().last().unwrap().starts_with("{\"end\":"));
    let nobody = "/v1/flows/0199b3a4-7c1d-7e51-9f3a-2b8f6f0f6c11";
    assert_eq!(host.try_live(nobody, None).err(), Some((404, "unknown-flow".to_owned())));
}

#[test]
fn a_flow_that_is_stuck_ends_with_that() {
    let (shop, host) = start();
    shop.drop_in("fickle", &component("guest-fickle"));
    host.await_running(&["fickle"]);
    let task = event("1", "task", "a", json!({"way": "reject"}));
    let accepted = host.publish("tasks", "", &task).expect(202);
    let flow = accepted["events"][0]["flow"].as_str().unwrap().to_owned();
    let mut live = host.live(&format!("/v1/flows/{flow}"), None);
    let told: Vec<Message> = std::iter::from_fn(|| live.message()).collect();
    assert_eq!(told.last().unwrap().data["status"], "stuck");
    let shown = shop.run(&["--server", &host.url, "flow", "show", &flow, "--follow"]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("fickle HELD"));
}
