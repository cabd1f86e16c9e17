//! The bench itself, with native processors.

use serde_json::json;

use super::*;
use crate::dispatch::{Native, Outcome, Rejected};

/// Counts by key and tells; 13 breaks it.
fn counter() -> Native {
    Native::new("counter", "1").subscribe("orders").publishes("counted").handler(|event, cx| {
        if event.json::<u64>()? == 13 {
            return Err(Rejected::reject("13 is bad luck"));
        }
        let count = cx.state::<u64>("count")?.unwrap_or(0) + 1;
        Outcome::handled().set("count", &count)?.emit_json("counted", &count)?.reply(&cx.now_ms())
    })
}

fn order(subject: &str, n: u64) -> Given {
    given("orders").subject(subject).json(&n).unwrap()
}

#[test]
fn a_run_ends_when_nothing_is_left_to_do() {
    let mut bench = Topology::new().native(counter()).build().unwrap();
    let first = bench.publish(order("a", 1)).unwrap();
    for n in 0..500 {
        bench.publish(order("b", n % 2)).unwrap();
    }
    assert!(bench.emitted("counted").unwrap().is_empty(), "nothing runs before it is told to");
    bench.run_until_quiet().unwrap();
    assert!(bench.faults().is_empty(), "{:?}", bench.faults());
    assert_eq!(bench.busy(), Vec::<String>::new());
    let counted = bench.emitted("counted").unwrap();
    assert_eq!((counted.len(), counted[0].by.as_str(), counted[0].subject()), (501, "counter", Some("a")));
    assert_eq!(bench.state("counter", "b", "count").unwrap(), Some(json!(500)));
    assert_eq!(bench.state("counter", "c", "count").unwrap(), None);
    assert_eq!(bench.reply(&first).unwrap(), Some(json!(BEGINNING_MS)));
    assert!(bench.emitted("unheard-of").unwrap().is_empty());
}

#[test]
fn a_fault_is_shown_and_its_key_goes_on() {
    let mut bench = Topology::new().native(counter()).build().unwrap();
    for n in [1, 13, 2, 3] {
        bench.publish(order("a", n)).unwrap();
    }
    bench.run_until_quiet().unwrap();
    let faults = bench.faults();
    assert_eq!((faults.len(), faults[0].offset, faults[0].kind.as_str()), (1, 1, "reject"));
    assert_eq!(faults[0].message, "13 is bad luck");
    assert_eq!(bench.emitted("counted").unwrap().len(), 3);
}

#[test]
fn time_passes_when_the_test_says_so() {
    let mut bench = Topology::new().native(counter()).begins_at(1_000).build().unwrap();
    bench.advance(Duration::from_secs(5));
    let order = bench.publish(order("a", 1)).unwrap();
    bench.run_until_quiet().unwrap();
    assert_eq!((bench.now_ms(), bench.reply(&order).unwrap()), (6_000, Some(json!(6_000))));
}

#[test]
fn the_same_test_gives_the_same_events() {
    let run = || {
        let relay = |name: &str, from: &str, to: &'static str| {
            let native = Native::new(name, "1").subscribe(from).publishes(to).speculate();
            native.handler(move |event, _| Outcome::handled().emit_json(to, &event.offset()))
        };
        let bench =
            Topology::new().native(relay("left", "orders", "out")).native(relay("right", "orders", "out"));
        let mut bench = bench.build().unwrap();
        (0..200).for_each(|n| drop(bench.publish(order(&n.to_string(), n)).unwrap()));
        bench.run_until_quiet().unwrap();
        let told = bench.emitted("out").unwrap();
        told.into_iter().map(|event| (event.by, event.data, event.position)).collect::<Vec<_>>()
    };
    let first = run();
    assert_eq!(first.len(), 400);
    assert_eq!(run(), first);
}

#[tokio::test]
async fn it_works_inside_of_an_asynchronous_test() {
    let mut bench = Topology::new().native(counter()).build().unwrap();
    bench.publish(order("a", 1)).unwrap();
    bench.run_until_quiet().unwrap();
    assert_eq!(bench.emitted("counted").unwrap().len(), 1);
}

#[test]
fn what_a_test_asks_wrongly_is_said_in_words() {
    let mut bench = Topology::new().native(counter()).build().unwrap();
    let error = bench.state("countess", "a", "count").unwrap_err();
    assert_eq!(error.to_string(), "there is no processor 'countess'; there are: counter");
    let error = bench.publish(given("no channel")).unwrap_err();
    assert!(error.to_string().contains("'no channel'"), "{error}");
    let built = |builder: TopologyBuilder| builder.build().err().unwrap();
    assert_eq!(built(Topology::new().wasm("nowhere.wasm")).code(), "file-unreadable");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(built(Topology::new().wasm_in(empty.path())).code(), "folder-without-components");
    assert_eq!(built(Topology::new().component(&b"no wasm"[..])).code(), "component-not-wasm");
    assert_eq!(built(Topology::new().config("nobody", "level", "1")).code(), "unknown-processor");
    assert_eq!(built(Topology::new().crate_dir(empty.path())).code(), "build-failed");
}
