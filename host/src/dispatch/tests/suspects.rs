//! An event that ends the host: it is found out, and it alone is given up.

use std::path::Path;

use super::*;
use crate::model::fault::FaultKind;

/// A host on a copy of what the disk had when the one before ended, with the file that outlived it.
fn open_after(memory: &Memory, hands: &Path) -> (Host, Arc<Memory>) {
    let storage = Arc::new(memory.snapshot());
    let host = open_suspecting(storage.clone(), Options::default(), |domain| {
        Suspects::open(hands, |event| domain.look(|world| world.is_to_do(event))).unwrap()
    });
    (host, storage)
}

/// Handles all but `killer`, which it says that it has and never gives back.
fn poisoned(killer: &'static str, has_it: &std::sync::mpsc::Sender<()>) -> Version {
    let has_it = has_it.clone();
    version(descriptor("p", r#"{"channel":"a"}"#, r#""b""#, 1), "d", move |call, index, out| {
        if call.batch.event(index).unwrap().key() == killer {
            has_it.send(()).unwrap();
            loop {
                std::thread::park();
            }
        }
        copy_to("b")(call, index, out)
    })
}

/// The kinds of all attempts at the one dead letter.
fn attempts(host: &Host) -> Vec<FaultKind> {
    host.domain.look(|world| {
        let (_, dead) = world.dead().iter().next().unwrap();
        dead.attempts.iter().map(|fault| fault.kind).collect()
    })
}

#[test]
fn an_event_that_ends_the_host_is_given_up_after_three_ends_and_no_other_is() {
    let folder = tempfile::tempdir().unwrap();
    let hands = folder.path().join("hands");
    let (has_it, had) = std::sync::mpsc::channel();
    let mut memory = Arc::new(Memory::new());
    for end in 0..3 {
        let (host, storage) = open_after(&memory, &hands);
        if end == 0 {
            let events: Vec<_> = (0..20).map(|n| event(n, &format!("k{n}"))).collect();
            host.publish("a", &events);
            host.domain.durable().wait_blocking(Position(host.domain.visible())).unwrap();
        }
        host.dispatcher.deploy(&poisoned("k7", &has_it)).unwrap();
        had.recv().unwrap();
        host.domain.durable().wait_blocking(Position(host.domain.visible())).unwrap();
        // The host ends here: its threads stay where they are, and nobody hears of them again.
        memory = Arc::new(storage.snapshot());
        std::mem::forget(host);
    }
    let (host, _) = open_after(&memory, &hands);
    host.dispatcher.deploy(&poisoned("k7", &has_it)).unwrap();
    host.settle("p", 0);
    assert_eq!(host.dead("p").keys().copied().collect::<Vec<_>>(), [7]);
    assert_eq!(attempts(&host), [FaultKind::KilledHost; 3]);
    assert!(had.try_recv().is_err(), "it was not handled once more");
    let id = host.domain.look(|world| world.channel_id("b")).unwrap();
    assert_eq!(host.domain.channel_end(id), 19, "all others were handled, once");
}

#[test]
fn events_that_were_in_hands_by_chance_go_through_and_are_suspected_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let hands = folder.path().join("hands");
    let (has_it, had) = std::sync::mpsc::channel();
    let (host, storage) = open_after(&Memory::new(), &hands);
    host.publish("a", &(0..5).map(|n| event(n, &format!("k{n}"))).collect::<Vec<_>>());
    host.domain.durable().wait_blocking(Position(host.domain.visible())).unwrap();
    host.dispatcher.deploy(&poisoned("k4", &has_it)).unwrap();
    had.recv().unwrap();
    host.domain.durable().wait_blocking(Position(host.domain.visible())).unwrap();
    let left = storage.snapshot();
    std::mem::forget(host);
    let (host, _) = open_after(&left, &hands);
    host.dispatcher.deploy(&poisoned("none", &has_it)).unwrap();
    host.settle("p", 0);
    assert!(host.dead("p").is_empty() && host.held("p").is_empty());
    host.domain.durable().wait_blocking(Position(host.domain.visible())).unwrap();
    let suspected = Suspects::open(&hands, |event| host.domain.look(|world| world.is_to_do(event))).unwrap();
    assert!((0..5).all(|offset| suspected.ends((0, offset)).is_none()));
}
