//! A disk that is full: events are sent away, lanes wait, control goes on, and nothing is lost or done twice.

use std::time::Instant;

use super::*;
use crate::channel::{PublishError, Refused};
use crate::journal::Limits as JournalLimits;
use crate::journal::storage::simulated::Simulated;
use crate::model::operation::Operator;

const PLENTY_BYTES: u64 = 256 << 20;

fn host_on(storage: &Simulated, reserve_bytes: u64) -> Host {
    let limits = JournalLimits { reserve_bytes, ..JournalLimits::default() };
    open_with(Arc::new(storage.clone()), Options { limits, ..Options::default() })
}

/// Publishes one event after the other until the disk is full; says how many were accepted.
fn fill(host: &Host) -> u64 {
    for n in 0..100_000 {
        match host.domain.publish(&channel("a"), &[event(n, &(n % 7).to_string())]) {
            Ok((_, end)) => host.domain.durable().wait_blocking(Position(end)).unwrap(),
            Err(error) => {
                assert_eq!(error.code(), "disk-full");
                assert!(matches!(error, PublishError::NoRoom { retry_after_s: 10, .. }), "{error}");
                return n;
            }
        }
    }
    unreachable!("the disk has an end");
}

/// Publishes what is prepared in the segment full, and waits for nothing, until events are sent away.
fn use_up(host: &Host) {
    let publish = |n| host.domain.publish(&channel("a"), &[event(n, "k")]);
    let refused = (1..).find_map(|n| {
        std::thread::yield_now();
        publish(n).err()
    });
    assert_eq!(refused.unwrap().code(), "disk-full");
}

#[test]
fn a_full_disk_sends_events_away_and_nothing_else_and_goes_on_with_room() {
    let storage = Simulated::default();
    let host = host_on(&storage, 4 << 20);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let counting = version(descriptor("p", r#"{"channel":"a"}"#, "", 2), "d", counting(&seen));
    host.dispatcher.deploy(&counting).unwrap();
    storage.leave_room(300 << 10);
    let accepted = fill(&host);
    assert!(host.domain.closed().unwrap().contains("control goes on"), "{:?}", host.domain.closed());
    let id = host.domain.look(|world| world.processor_id("p")).unwrap();
    let name = ProcessorName::new("p").unwrap();
    host.dispatcher.pause(&name, "looking".into(), Operator::Cli).unwrap();
    host.domain.durable().wait_blocking(Position(host.domain.visible())).unwrap();
    storage.leave_room(PLENTY_BYTES);
    assert!(host.domain.journal().room().wait_blocking());
    assert_eq!(host.domain.closed(), None);
    host.dispatcher.resume(&name, None, Operator::Cli).unwrap();
    host.publish("a", &[event(accepted, "0")]);
    host.settle("p", 0);
    let mut offsets: Vec<u64> = seen.lock().iter().map(|(_, offset)| *offset).collect();
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets, (0..=accepted).collect::<Vec<_>>());
    let counts = host.domain.look(|world| {
        let state = &world.processors()[id as usize].state;
        let count = |key: u64| state.get(&key.to_string(), "count", 0).unwrap();
        let count = |key| String::from_utf8(count(key).bytes.to_vec()).unwrap().parse::<u64>().unwrap();
        (0..7).map(count).sum::<u64>()
    });
    assert_eq!(counts, accepted + 1, "each event counts once, however often its call was made");
}

#[test]
fn with_the_reserve_used_up_control_is_refused_and_a_stop_ends() {
    let storage = Simulated::default();
    let host = host_on(&storage, 0);
    host.publish("a", &[event(0, "k")]);
    host.domain.durable().wait_blocking(Position(1)).unwrap();
    storage.leave_room(0);
    use_up(&host);
    let until = Instant::now() + Duration::from_secs(20);
    let id = host.domain.host_channel(&channel("a")).unwrap();
    assert_eq!(id, 0, "a channel that is there needs no frame");
    // The reserve is used up a moment after events are sent away: each channel that is new until then takes one more frame.
    let mut new = (0..).map(|n| channel(&format!("new-{n}")));
    let refused = loop {
        match host.domain.host_channel(&new.next().unwrap()) {
            Err(refused) => break refused,
            Ok(_) => assert!(Instant::now() < until, "the journal is not blocked"),
        }
    };
    assert!(matches!(refused, Refused::NoRoom { .. }), "{refused}");
    assert_eq!(refused.code(), "disk-full");
    host.domain.journal().room().end();
    host.dispatcher.stop();
    assert_eq!(host.domain.journal().close().unwrap_err().code(), "disk-full");
}

#[test]
fn a_host_that_is_dropped_while_the_disk_is_full_ends() {
    let storage = Simulated::default();
    let host = host_on(&storage, 0);
    storage.leave_room(0);
    use_up(&host);
    let (domain, (end, ended)) = (host.domain.clone(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        drop(host);
        end.send(()).unwrap();
    });
    assert!(ended.recv_timeout(Duration::from_secs(20)).is_ok(), "it waits for room that nobody frees");
    assert_eq!(domain.journal().close().unwrap_err().code(), "disk-full");
}
