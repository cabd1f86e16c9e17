//! Processors come, are replaced and go while events come in: each event is handled once per subscription, in order per key.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use baton_tests::guests::{component, variant};
use baton_tests::host::{Host, Shop};
use baton_tests::http::event;
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shop;

const KEYS: u64 = 8;
const BATCH: u64 = 16;
/// The publisher lets the readers catch up to this, so that the end of the test is near when the swaps are over.
const AHEAD_MAX: u64 = 4_000;
const REPLACEMENTS: u32 = 30;

#[test]
fn nothing_is_lost_doubled_or_out_of_order_while_processors_are_swapped() {
    let shop = shop();
    let host = shop.start();
    let over = AtomicBool::new(false);
    let published = std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish_until(&host, &over));
        let swapped =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| swap(&shop, &host, &publisher)));
        over.store(true, Ordering::SeqCst);
        let published = publisher.join().unwrap();
        swapped.unwrap_or_else(|why| std::panic::resume_unwind(why));
        published
    });
    host.await_quiet();
    assert_eq!((host.count("ticks"), host.count("tocks")), (published, published));
    let passed: u64 = host.state("relay").values().filter_map(Value::as_u64).sum();
    assert_eq!(passed, published);
    for channel in ["ticks", "tocks"] {
        let state = host.state("tally");
        let counts: Vec<&Value> = (0..KEYS).map(|key| &state[&format!("k{key}/{channel}")]).collect();
        let sum = |name: &str| counts.iter().map(|count| count[name].as_u64().unwrap()).sum::<u64>();
        assert_eq!((sum("handled"), sum("disorders")), (published, 0), "{channel}");
    }
}

fn publish_until(host: &Host, over: &AtomicBool) -> u64 {
    let mut number = 0;
    while !over.load(Ordering::SeqCst) {
        let tick =
            |n: u64| event(&format!("t{n}"), "tick", &format!("k{}", n % KEYS), json!({"number": n + 1}));
        let batch: Vec<Value> = (number..number + BATCH).map(tick).collect();
        host.publish_all("ticks", &batch).expect(202);
        number += BATCH;
        if number % 512 == 0 {
            eventually("the readers keep up", || {
                let behind = behind(host);
                (behind < AHEAD_MAX || over.load(Ordering::SeqCst)).then_some(())
            });
        }
    }
    number
}

/// How far the slowest reader that is there is behind.
fn behind(host: &Host) -> u64 {
    let lags = ["relay", "tally"].map(|name| {
        let processor = host.processor(name);
        let subscriptions = processor["subscriptions"].as_array().cloned().unwrap_or_default();
        let running = processor["status"] == "running";
        subscriptions.iter().filter(|_| running).filter_map(|s| s["lag"].as_u64()).max().unwrap_or(0)
    });
    lags.into_iter().max().unwrap_or(0)
}

fn swap(shop: &Shop, host: &Host, publisher: &ScopedJoinHandle<'_, u64>) {
    shop.drop_in("tally", &component("guest-tally"));
    host.await_running(&["tally"]);
    shop.drop_in("relay", &component("guest-relay"));
    host.await_running(&["relay"]);
    let mut digest = host.processor("relay")["digest"].as_str().unwrap().to_owned();
    for number in 0..REPLACEMENTS {
        shop.drop_in("relay", &variant("guest-relay", number));
        digest = host.await_other_than("relay", &digest);
    }
    assert!(!publisher.is_finished(), "the publisher ran all the time");
    assert_eq!(host.processor("relay")["generation"], u64::from(REPLACEMENTS) + 1);
    for name in ["relay", "tally"] {
        std::fs::remove_file(shop.file(name)).unwrap();
        eventually("the processor is gone", || {
            (host.processor(name)["status"] == "undeployed").then_some(())
        });
        shop.drop_in(name, &component(&format!("guest-{name}")));
        host.await_running(&[name]);
    }
}
