//! Filters before the sandbox, and starts at a time.

use super::*;

const ONLY_GOOD: &str = r#"{"channel":"a","then":"stay-held","filter":{"prefix":{"subject":"good"}}}"#;

fn filtered(host: &Host, processor: &str) -> u64 {
    host.domain.look(|world| {
        let id = world.processor_id(processor).unwrap();
        let subscriptions = &world.processors()[id as usize].subscriptions;
        subscriptions.iter().map(|s| world.subscriptions()[*s as usize].filtered).sum()
    })
}

fn publish_many(host: &Host, subjects: impl Iterator<Item = &'static str>) {
    let events: Vec<_> = subjects.zip(0..).map(|(subject, n)| event(n, subject)).collect();
    events.chunks(1000).for_each(|events| host.publish("a", events));
}

#[test]
fn what_no_filter_passes_meets_no_guest_and_takes_a_frame_for_many() {
    let host = host();
    publish_many(&host, (0..40_000).map(|_| "bad"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let before = host.domain.journal().next().0;
    let deployment =
        host.dispatcher.deploy(&version(descriptor("p", ONLY_GOOD, "", 2), "d", counting(&seen)));
    host.settle("p", 0);
    assert_eq!((seen.lock().len(), filtered(&host, "p")), (0, 40_000));
    // One frame per 16,384 filtered events, and those of the deployment.
    let frames = host.domain.journal().next().0 - before;
    assert!((3..20).contains(&frames), "{frames}");
    let handled = |stats: &Stats| stats.handled.load(Ordering::Relaxed);
    let count =
        host.dispatcher.look(deployment.unwrap().processor, |running| handled(running.unwrap().stats));
    assert_eq!(count, 0);
}

#[test]
fn filtered_events_and_handled_ones_add_up_whatever_lies_between() {
    let host = host();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let subscriptions = format!(r#"{ONLY_GOOD},{{"channel":"b"}}"#);
    host.dispatcher.deploy(&version(descriptor("p", &subscriptions, "", 3), "d", counting(&seen))).unwrap();
    let subject = |n: u64| if n % 7 < 3 { format!("good-{}", n % 5) } else { "bad".to_owned() };
    for n in 0..3000 {
        host.publish("a", &[event(n, &subject(n))]);
        if n % 10 == 0 {
            host.publish("b", &[event(n, "bad")]);
        }
    }
    host.settle("p", 0);
    let good = (0..3000_u64).filter(|n| n % 7 < 3).count() as u64;
    assert_eq!(filtered(&host, "p"), 3000 - good);
    assert_eq!(seen.lock().len() as u64, good + 300);
    assert!(seen.lock().iter().all(|(key, offset)| key.starts_with("good") || *offset < 300));
}

#[test]
fn filtered_events_hold_up_nobody_behind_a_held_one() {
    let host = host();
    let far = AHEAD_MAX as usize + 1000;
    let subjects = ["good-held"].into_iter().chain((0..far).map(|_| "bad")).chain(["good"]);
    publish_many(&host, subjects);
    let handler = rejecting("good-held");
    host.dispatcher.deploy(&version(descriptor("p", ONLY_GOOD, "", 1), "d", handler)).unwrap();
    host.settle("p", 1);
    assert_eq!((host.held("p").len(), filtered(&host, "p")), (1, far as u64));
}

#[test]
fn a_new_filter_is_for_what_is_still_undecided_and_what_failed_is_tried_again() {
    let storage = Arc::new(Memory::new());
    let before = open(&storage);
    let subjects = ["good", "bad", "good-held", "bad"];
    publish_many(&before, subjects.into_iter());
    let first = version(descriptor("p", ONLY_GOOD, "", 1), "1", rejecting("good-held"));
    before.dispatcher.deploy(&first).unwrap();
    before.settle("p", 1);
    before.dispatcher.stop();
    before.publish("a", &[event(9, "good"), event(10, "bad")]);
    before.domain.journal().close().unwrap();

    let after = open(&storage);
    assert_eq!((after.lag("p"), filtered(&after, "p")), (3, 2));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let only_bad = r#"{"channel":"a","filter":{"not":{"prefix":{"subject":"good"}}}}"#;
    after.dispatcher.deploy(&version(descriptor("p", only_bad, "", 1), "2", counting(&seen))).unwrap();
    after.settle("p", 0);
    assert_eq!(*seen.lock(), [("good-held".to_owned(), 2), ("bad".to_owned(), 5)]);
    assert_eq!(filtered(&after, "p"), 3);
}

#[test]
fn what_was_filtered_and_not_recorded_is_filtered_again() {
    let storage = Arc::new(Memory::new());
    let before = open(&storage);
    publish_many(&before, (0..20_000).map(|n| if n % 1000 == 999 { "good" } else { "bad" }));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let make = || version(descriptor("p", ONLY_GOOD, "", 1), "d", counting(&seen));
    let deployment = before.dispatcher.deploy(&make()).unwrap();
    before.dispatcher.stop();
    before.domain.journal().close().unwrap();
    let after = open(&storage);
    after.dispatcher.resume_deployed(&make(), Arc::new(deployment)).unwrap();
    after.settle("p", 0);
    let offsets: Vec<_> = seen.lock().iter().map(|(_, offset)| *offset).collect();
    assert_eq!(offsets, (0..20).map(|n| n * 1000 + 999).collect::<Vec<u64>>());
    assert_eq!(filtered(&after, "p"), 19_980);
}

#[test]
fn a_subscription_begins_with_the_first_event_of_its_time() {
    let host = host();
    for n in 0..100 {
        host.publish("a", &[event(2 * n, "k"), event(2 * n + 1, "k")]);
        host.clock.advance(10);
    }
    let starts =
        [("past", 0, 0), ("at", 1_000_500, 100), ("between", 1_000_495, 100), ("ahead", 2_000_000, 200)];
    for (name, time_ms, first) in starts {
        let start = crate::model::time::rfc3339(time_ms);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let ask = format!(r#"{{"channel":"a","start":{{"time":"{start}"}}}},{{"channel":"new-{name}"}}"#);
        host.dispatcher.deploy(&version(descriptor(name, &ask, "", 1), "d", counting(&seen))).unwrap();
        host.settle(name, 0);
        let offsets: Vec<_> = seen.lock().iter().map(|(_, offset)| *offset).collect();
        assert_eq!(offsets, (first..200).collect::<Vec<u64>>(), "{name}");
    }
}
