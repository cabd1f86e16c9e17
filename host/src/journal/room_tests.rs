//! A disk that is full: nothing that was appended is undone, the reserve is for control, and the journal goes on by itself.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::contract::{append, frame, read_all};
use super::segment::FOOTER_BYTES;
use super::storage::Storage;
use super::storage::simulated::{Fate, Simulated};
use super::{Error, Journal, Limits, Options, Position, SegmentJournal};

const RESERVE_BYTES: u64 = 1 << 20;
const PLENTY_BYTES: u64 = 64 << 20;

fn open(storage: &Simulated, reserve_bytes: u64) -> SegmentJournal {
    let limits = Limits { reserve_bytes, segment_bytes_max: 4_000, ..Limits::default() };
    SegmentJournal::open(Arc::new(storage.clone()), Options { limits, ..Options::default() }).unwrap()
}

fn settle(journal: &SegmentJournal) {
    journal.durable().wait_blocking(journal.next()).unwrap();
}

fn until_blocked(journal: &SegmentJournal) {
    let until = Instant::now() + Duration::from_secs(20);
    while !journal.room().shortage().is_some_and(|shortage| shortage.blocked) {
        assert!(Instant::now() < until, "the journal is not blocked");
        std::thread::yield_now();
    }
}

fn reserve_bytes(storage: &Simulated) -> Option<u64> {
    storage.open("reserve").ok().map(|file| file.len().unwrap())
}

#[test]
fn frames_wait_for_room_and_all_of_them_become_durable() {
    let (storage, mut frames) = (Simulated::default(), Vec::new());
    for room in [0, 20, 900, 5_000] {
        let journal = open(&storage, 0);
        storage.leave_room(room);
        frames.extend((0..80).map(|_| append(&journal, 1, 100)));
        until_blocked(&journal);
        assert!(journal.durable().check().is_ok());
        assert_eq!(journal.room().check_control().unwrap_err().code(), "disk-full");
        storage.leave_room(PLENTY_BYTES);
        settle(&journal);
        assert!(journal.room().wait_blocking());
        assert_eq!(journal.room().shortage(), None);
        journal.close().unwrap();
    }
    assert_eq!(read_all(&open(&storage, 0), Position::START, usize::MAX), frames);
}

#[test]
fn the_reserve_lets_frames_go_on_and_is_taken_again_with_room() {
    let storage = Simulated::default();
    let journal = open(&storage, RESERVE_BYTES);
    assert_eq!(reserve_bytes(&storage), Some(RESERVE_BYTES));
    storage.leave_room(0);
    for _ in 0..10 {
        append(&journal, 1, 1_000);
        settle(&journal);
        let shortage = journal.room().shortage().unwrap();
        assert_eq!(shortage.wanted_bytes, RESERVE_BYTES + (4 << 20));
        assert!(!shortage.blocked && shortage.why.contains("begin 00000000000000000000.seg"), "{shortage:?}");
        journal.room().check_control().unwrap();
    }
    assert_eq!(reserve_bytes(&storage), Some(0));
    storage.leave_room(PLENTY_BYTES);
    assert!(journal.room().wait_blocking());
    assert_eq!(reserve_bytes(&storage), Some(RESERVE_BYTES));
    assert!(!journal.room().is_short());
}

#[test]
fn the_reserve_is_given_up_in_parts_as_they_are_needed() {
    let storage = Simulated::default();
    let journal = open(&storage, 9 << 20);
    storage.leave_room(0);
    let mut left = Vec::new();
    for bytes in [100, 3 << 20, 3 << 20] {
        append(&journal, 1, bytes);
        settle(&journal);
        left.push(reserve_bytes(&storage).unwrap() >> 20);
    }
    assert_eq!(left, [5, 5, 1]);
}

#[test]
fn a_reserve_for_which_there_is_no_room_is_not_taken_in_part() {
    let storage = Simulated::default();
    storage.leave_room(RESERVE_BYTES - 1);
    let journal = open(&storage, RESERVE_BYTES);
    assert!(journal.room().is_short());
    assert_eq!(reserve_bytes(&storage), Some(0));
    append(&journal, 1, 100);
    settle(&journal);
    assert!(journal.room().is_short());
}

#[test]
fn a_reserve_that_is_larger_than_wanted_is_cut() {
    let storage = Simulated::default();
    open(&storage, 3 << 20).close().unwrap();
    open(&storage, RESERVE_BYTES).close().unwrap();
    assert_eq!(reserve_bytes(&storage), Some(RESERVE_BYTES));
    open(&storage, 0).close().unwrap();
    assert_eq!(reserve_bytes(&storage), None);
}

#[test]
fn an_opening_that_needs_room_uses_the_reserve() {
    let storage = Simulated::default();
    let journal = open(&storage, RESERVE_BYTES);
    let frames = [append(&journal, 1, 100)];
    settle(&journal);
    let image = storage.crash(storage.len(), |_, _| Fate::Kept);
    let left = Simulated::with(image).unwrap();
    // The crash left what was prepared behind the frame: without it there is no room for a footer.
    let segment = left.open("00000000000000000000.seg").unwrap();
    segment.set_len(24 + 152).unwrap();
    left.leave_room(FOOTER_BYTES as u64 - 1);
    let again = open(&left, RESERVE_BYTES);
    assert!(again.room().is_short());
    assert_eq!(read_all(&again, Position::START, usize::MAX), frames);
}

#[test]
fn a_journal_that_is_closed_while_it_waits_ends_and_goes_on_behind_what_is_durable() {
    let storage = Simulated::default();
    let journal = open(&storage, 0);
    let mut frames: Vec<_> = (0..5).map(|_| append(&journal, 1, 100)).collect();
    journal.close().unwrap();
    let journal = open(&storage, 0);
    storage.leave_room(0);
    frames.extend((0..80).map(|_| append(&journal, 1, 100)));
    until_blocked(&journal);
    assert_eq!(journal.close().unwrap_err().code(), "disk-full");
    let refused = journal.append(frame(journal.next(), 1, 10)).unwrap_err();
    assert!(matches!(refused, Error::Closed), "{refused}");
    assert!(!journal.room().wait_blocking());
    let durable = journal.durable().current();
    storage.leave_room(PLENTY_BYTES);
    let again = open(&storage, 0);
    assert!(again.next() >= durable && durable >= Position(5));
    let kept = read_all(&again, Position::START, usize::MAX);
    assert!(frames.starts_with(&kept));
}

#[test]
fn a_sync_that_finds_the_disk_full_is_a_failed_sync() {
    let storage = Simulated::default();
    let journal = open(&storage, 0);
    storage.full_syncs.store(true, Ordering::Release);
    append(&journal, 1, 10);
    assert_eq!(journal.durable().wait_blocking(Position(1)).unwrap_err().code(), "journal-failed");
}

#[test]
fn a_footer_whose_sync_failed_is_on_the_disk_before_anything_follows_it() {
    let storage = Simulated::default();
    let journal = open(&storage, 0);
    let mut frames = vec![append(&journal, 1, 10)];
    settle(&journal);
    storage.let_syncs(Some(1));
    assert_eq!(journal.close().unwrap_err().code(), "journal-failed");
    storage.let_syncs(None);
    let again = open(&storage, 0);
    assert!(again.segments()[0].sealed, "the system still shows a footer");
    frames.push(append(&again, 1, 20));
    settle(&again);
    let image = storage.crash(storage.len(), |_, _| Fate::Lost);
    let kept = open(&Simulated::with(image).unwrap(), 0);
    assert_eq!(read_all(&kept, Position::START, usize::MAX), frames);
}
