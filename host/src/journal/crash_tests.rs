//! What a crash may leave behind: after each, the journal opens, holds everything that it called durable and nothing but a
//! prefix of what was appended, and goes on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::contract::{append, read_all};
use super::storage::Storage;
use super::storage::simulated::{Call, Chance, Cut, Fate, Image, Simulated};
use super::{Frame, Journal, Limits, Options, Position, SegmentJournal, verify};

fn open(storage: &Simulated) -> SegmentJournal {
    let limits = Limits { segment_bytes_max: 700, ..Limits::default() };
    SegmentJournal::open(Arc::new(storage.clone()), Options { limits, ..Options::default() }).unwrap()
}

/// Appends in groups, marks what is durable in between, and stops cleanly.
fn history() -> (Simulated, Vec<Frame>) {
    let storage = Simulated::default();
    let journal = open(&storage);
    let mut frames = Vec::new();
    for (group, body_bytes) in [(1, 30), (3, 90), (1, 8), (2, 200), (4, 41), (1, 33_000), (2, 5)] {
        frames.extend((0..group).map(|_| append(&journal, 2, body_bytes)));
        journal.durable().wait_blocking(journal.next()).unwrap();
        storage.mark(journal.next().0);
    }
    journal.close().unwrap();
    (storage, frames)
}

/// What had been called durable before this many calls, at least.
fn durable_after(calls: &[Call], count: usize) -> u64 {
    let marks = calls[..count].iter().filter_map(|call| match call {
        Call::Mark(durable) => Some(*durable),
        _ => None,
    });
    marks.max().unwrap_or(0)
}

/// Opens what a crash left; returns the storage with the calls that recovery made.
fn check(image: Image, frames: &[Frame], durable: u64, what: &str) -> Simulated {
    let storage = Simulated::with(image).unwrap();
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    assert!(verify(shared, |_, _| {}).unwrap().is_whole(), "{what}");
    let journal = open(&storage);
    let kept = read_all(&journal, Position::START, usize::MAX);
    assert!(frames.starts_with(&kept), "{what}");
    assert!(journal.next().0 >= durable, "{what}: {durable} was durable");
    assert_eq!(kept.last().map_or(Position::START, Frame::end), journal.next(), "{what}");
    drop(journal);
    storage
}

/// What is left after a second crash, during recovery, recovers as well, and the journal goes on.
fn goes_on(image: Image, frames: &[Frame], durable: u64, what: &str) {
    let storage = check(image, frames, durable, what);
    let journal = open(&storage);
    let added = append(&journal, 1, 10);
    journal.close().unwrap();
    let kept = read_all(&open(&storage), Position::START, usize::MAX);
    assert_eq!(kept.last(), Some(&added), "{what}");
}

#[test]
fn a_write_may_be_torn_at_any_byte() {
    let (storage, frames) = history();
    let calls = storage.calls();
    for count in 1..=calls.len() {
        let durable = durable_after(&calls, count);
        let torn_max = match &calls[count - 1] {
            Call::Write(_, _, bytes) => bytes.len().min(700),
            _ => 0,
        };
        for torn in (0..=torn_max).step_by(9) {
            let image = storage.crash(count, |index, _| match index + 1 == count {
                true => Fate::Torn(torn),
                false => Fate::Kept,
            });
            check(image, &frames, durable, &format!("{count} calls, torn at {torn}"));
        }
    }
}

#[test]
fn what_is_not_synced_may_be_lost_in_any_order() {
    let (storage, frames) = history();
    let calls = storage.calls();
    for seed in 1..=250 {
        let mut chance = Chance::new(seed);
        let cut = Cut::ALL[seed as usize % Cut::ALL.len()];
        let count = chance.below(calls.len() + 1);
        let image = storage.cut(count, cut, &mut chance);
        let durable = durable_after(&calls, count);
        let what = format!("seed {seed}, {}", cut.name());
        let recovered = check(image, &frames, durable, &what);
        let count = chance.below(recovered.len() + 1);
        goes_on(recovered.cut(count, cut, &mut chance), &frames, durable, &what);
    }
}

#[test]
fn a_failed_sync_or_write_ends_the_journal_for_good() {
    for fails_sync in [true, false] {
        let storage = Simulated::default();
        let journal = open(&storage);
        append(&journal, 1, 10);
        journal.durable().wait_blocking(Position(1)).unwrap();
        let switch = if fails_sync { &storage.fail_syncs } else { &storage.fail_writes };
        switch.store(true, Ordering::Release);
        append(&journal, 1, 10);
        let failed = journal.durable().wait_blocking(Position(2)).unwrap_err();
        assert_eq!(failed.code(), "journal-failed");
        switch.store(false, Ordering::Release);
        let next = Frame { position: journal.next(), ..append_free() };
        assert_eq!(journal.append(next).unwrap_err().code(), "journal-failed");
        assert_eq!(journal.durable().current(), Position(1));
        assert!(journal.undurable_bytes() > 0);
        assert_eq!(journal.close().unwrap_err().code(), "journal-failed");
    }
}

#[test]
fn what_a_failed_sync_left_in_memory_is_on_the_disk_once_the_journal_is_open_again() {
    let storage = Simulated::default();
    let journal = open(&storage);
    let mut frames = vec![append(&journal, 1, 10)];
    journal.durable().wait_blocking(Position(1)).unwrap();
    storage.fail_syncs.store(true, Ordering::Release);
    frames.push(append(&journal, 1, 300));
    journal.durable().wait_blocking(Position(2)).unwrap_err();
    drop(journal);
    storage.fail_syncs.store(false, Ordering::Release);
    let again = open(&storage);
    assert_eq!(again.next(), Position(2), "the system still shows what it never wrote");
    drop(again);
    let image = storage.crash(storage.calls().len(), |_, _| Fate::Lost);
    goes_on(image, &frames, 2, "a crash after the second opening");
}

fn append_free() -> Frame {
    super::contract::frame(Position::START, 1, 10)
}
