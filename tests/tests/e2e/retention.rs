//! Retention and backups on a real host under load: nobody is missed, nobody is told too much, and a start from what is left or from a
//! backup knows everything.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use baton_tests::guests::component;
use baton_tests::host::{Host, Shop};
use baton_tests::http::{BATCH, Http, event};
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::{PROGRAM, shop};

/// Segments of the smallest size, no remembered ids, and two megabytes of each channel.
const SMALL: &str = "\
[journal]
segment_bytes_max = 1048576
[limits]
dedupe_window_s = 0
[retention]
bytes = '2MiB'
";
const KEYS: u64 = 4;
const BATCH_EVENTS: u64 = 400;

/// Publishes ticks of a kilobyte, numbered on and on, until it is told to stop; says how many were accepted.
fn publish_until(http: &Http, stop: &AtomicBool, batches_min: u64) -> u64 {
    let padding = "x".repeat(1000);
    for batch in 0.. {
        if batch >= batches_min && stop.load(Ordering::SeqCst) {
            return batch * BATCH_EVENTS;
        }
        let tick = |n: u64| {
            let data = json!({"number": n + 1, "padding": padding});
            event(&n.to_string(), "tick", &format!("k{}", n % KEYS), data)
        };
        let events: Vec<Value> = (batch * BATCH_EVENTS..(batch + 1) * BATCH_EVENTS).map(tick).collect();
        http.post("/v1/channels/ticks/events", BATCH, &json!(events)).expect(202);
    }
    unreachable!()
}

/// Reads a channel from its first offset until it is told to stop: each page goes on where the last ended, but for what it says is expired.
fn read_until(http: &Http, stop: &AtomicBool) -> (u64, u64) {
    let (mut from, mut read, mut expired) = (0, 0, 0);
    while !stop.load(Ordering::SeqCst) {
        let page = http.get(&format!("/v1/channels/ticks/events?from={from}&limit=50&wait=100ms"));
        if page.status == 404 {
            continue;
        }
        let page = page.expect(200);
        let gone = page["expired"].as_u64().unwrap_or(0);
        for (event, offset) in page["events"].as_array().unwrap().iter().zip(from + gone..) {
            assert_eq!(event["offset"], offset);
            read += 1;
        }
        expired += gone;
        from = page["next"].as_u64().unwrap();
    }
    assert_eq!(from, read + expired);
    (read, expired)
}

fn trim(host: &Http, dry_run: bool) -> Value {
    host.post(&format!("/v1/journal/trim?dry_run={dry_run}"), "application/json", &json!({})).expect(200)
}

/// Handled events of all keys, and none of them out of order.
fn tallied(host: &Host) -> u64 {
    let counts = host.state("tally");
    assert!(counts.values().all(|count| count["disorders"] == 0), "{counts:?}");
    counts.values().map(|count| count["handled"].as_u64().unwrap()).sum()
}

fn all_handled(host: &Host, published: u64) {
    host.await_quiet();
    assert_eq!(tallied(host), published);
    let tally = host.processor("tally");
    for one in tally["subscriptions"].as_array().unwrap() {
        assert_eq!(one["expired"], 0, "{one}");
    }
}

fn checkpoints(shop: &Shop) -> usize {
    let names = std::fs::read_dir(shop.data().join("journal")).unwrap();
    names.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "ckpt")).count()
}

#[test]
fn trims_under_load_lose_nothing_and_a_start_without_views_knows_everything() {
    let shop = shop();
    std::fs::write(shop.dir().join("baton.toml"), SMALL).unwrap();
    shop.drop_in("tally", &component("guest-tally"));
    let host = shop.start();
    host.await_running(&["tally"]);
    let (stop, trimmed) = (AtomicBool::new(false), AtomicBool::new(false));
    let published = std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish_until(&host, &trimmed, 20));
        let reader = scope.spawn(|| read_until(&host, &stop));
        eventually("segments went more than once", || {
            trim(&host, false);
            (host.get("/v1/journal").body["first_position"].as_u64()? > 4000).then_some(())
        });
        trimmed.store(true, Ordering::SeqCst);
        let published = publisher.join().unwrap();
        stop.store(true, Ordering::SeqCst);
        let (read, _) = reader.join().unwrap();
        assert!(read > 0);
        published
    });
    all_handled(&host, published);
    trim(&host, false);
    let channel = host.get("/v1/channels/ticks").expect(200);
    let (first, next) = (channel["first"].as_u64().unwrap(), channel["next"].as_u64().unwrap());
    assert_eq!(next, published);
    let kept = next - first;
    assert!(kept > 1500 && kept < 2000, "2 MiB of events of a kilobyte are kept: {kept}");
    let page = host.get("/v1/channels/ticks/events?from=0&limit=1").expect(200);
    assert_eq!((page["expired"].as_u64(), page["events"][0]["offset"].as_u64()), (Some(first), Some(first)));
    assert_eq!(host.get("/v1/channels/ticks/events?limit=1").expect(200)["events"][0]["offset"], first);
    host.stop();

    assert_eq!(checkpoints(&shop), 2);
    let verified = shop.run(&["journal", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    std::fs::remove_dir_all(shop.data().join("views")).unwrap();
    let host = shop.start();
    host.await_running(&["tally"]);
    all_handled(&host, published);
    assert_eq!(host.get("/v1/channels/ticks").expect(200)["first"], first);
    shop.drop_in("relay", &component("guest-relay"));
    host.await_running(&["relay"]);
    host.await_quiet();
    let late = &host.processor("relay")["subscriptions"][0];
    assert_eq!((late["expired"].as_u64(), late["decided"].as_u64()), (Some(first), Some(kept)), "{late}");
    host.stop();
}

#[test]
fn a_dry_run_says_what_keeps_what_and_changes_nothing() {
    let shop = shop();
    let rules = format!("{SMALL}[channel.tocks.retention]\nbytes = 'off'\n");
    std::fs::write(shop.dir().join("baton.toml"), rules).unwrap();
    shop.drop_in("relay", &component("guest-relay"));
    let host = shop.start();
    host.await_running(&["relay"]);
    publish_until(&host, &AtomicBool::new(true), 10);
    host.await_quiet();
    let planned = trim(&host, true);
    let ticks = &planned["channels"][0];
    assert_eq!((ticks["channel"].as_str(), ticks["bytes_max"].as_str()), (Some("ticks"), Some("2.0 MiB")));
    assert!(ticks["events"].as_u64() > Some(1000) && ticks["until"].is_string(), "{ticks}");
    let why = planned["segments"][0]["kept_by"].as_array().unwrap();
    assert_eq!(why, &[json!("tocks: no retention is set")]);
    assert_eq!(host.get("/v1/channels/ticks").body["first"], 0);
    trim(&host, false);
    assert_eq!(host.get("/v1/channels/ticks").body["first"], ticks["to"]);
    assert_eq!(host.get("/v1/journal").body["first_position"], 0);
    host.stop();
}

/// A copy of a backup as the folder of a host.
fn copy_of(backup: &Path) -> Shop {
    let copy = Shop::new(PROGRAM);
    copy_folder(backup, copy.dir());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Every event of a channel with its offset and position.
fn everything(host: &Host, channel: &str) -> Vec<Value> {
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let page = host.get(&format!("/v1/channels/{channel}/events?from={from}&limit=1000")).expect(200);
        let events = page["events"].as_array().unwrap();
        if events.is_empty() {
            return all;
        }
        all.extend(events.iter().cloned());
        from = page["next"].as_u64().unwrap();
    }
}

#[test]
fn a_backup_under_load_is_one_moment_and_a_start_from_it_goes_on() {
    let shop = shop();
    std::fs::write(shop.dir().join("baton.toml"), SMALL).unwrap();
    shop.drop_in("tally", &component("guest-tally"));
    shop.drop_in("relay", &component("guest-relay"));
    let host = shop.start();
    host.await_running(&["tally", "relay"]);
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("deep/monday");
    let done = AtomicBool::new(false);
    let (published, report) = std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish_until(&host, &done, 16));
        eventually("there is something to trim", || {
            let trimmed = trim(&host, false);
            (trimmed["freed_bytes"].as_u64()? > 0).then_some(())
        });
        let asked = json!({ "dir": backup });
        let report = host.post("/v1/backup", "application/json", &asked).expect(200);
        let again = host.post("/v1/backup", "application/json", &asked);
        assert_eq!((again.status, again.body["code"].as_str()), (409, Some("backup-not-empty")));
        done.store(true, Ordering::SeqCst);
        (publisher.join().unwrap(), report)
    });
    let position = report["position"].as_u64().unwrap();
    host.await_quiet();
    let original = everything(&host, "ticks");
    host.stop();

    let copy = copy_of(&backup);
    let verified = copy.run(&["journal", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let host = copy.start();
    host.await_running(&["tally", "relay"]);
    host.await_quiet();
    let restored = everything(&host, "ticks");
    let last = restored.last().unwrap();
    assert!(last["position"].as_u64().unwrap() < position && !restored.is_empty());
    for event in &restored {
        if let Some(same) = original.iter().find(|other| other["offset"] == event["offset"]) {
            assert_eq!(same, event);
        }
    }
    let next = host.count("ticks");
    assert!(next <= published && next == last["offset"].as_u64().unwrap() + 1);
    assert_eq!(host.count("tocks"), next, "each tick was passed on once");
    assert_eq!(tallied(&host), 2 * next);
    host.stop();
    copy.start().stop();
}

#[test]
fn an_unfinished_or_damaged_backup_is_refused() {
    let shop = shop();
    shop.drop_in("relay", &component("guest-relay"));
    let host = shop.start();
    host.await_running(&["relay"]);
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("monday");
    let server = format!("--server={}", host.url);
    let made = shop.run(&["backup", backup.to_str().unwrap(), &server]);
    let said = String::from_utf8_lossy(&made.stdout);
    assert!(made.status.success() && said.contains("holds everything before position"), "{said}");
    let refused = host.post("/v1/backup", "text/plain", &json!({ "dir": backup }));
    assert_eq!((refused.status, refused.body["code"].as_str()), (415, Some("bad-media-type")));
    let refused = host.post("/v1/backup", "application/json", &json!({"dir": "monday"}));
    assert_eq!((refused.status, refused.body["code"].as_str()), (400, Some("backup-relative")));
    host.stop();

    let copy = copy_of(&backup);
    let kept = std::fs::read_dir(copy.data().join("components")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&kept).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&kept, &bytes).unwrap();
    let refused = copy.try_start().err().unwrap();
    assert!(refused.contains("damaged backup") && refused.contains("components/"), "{refused}");
    let unfinished = copy_of(&backup);
    std::fs::write(unfinished.dir().join("backup.unfinished"), "").unwrap();
    let refused = unfinished.try_start().err().unwrap();
    assert!(refused.contains("not finished"), "{refused}");
}
