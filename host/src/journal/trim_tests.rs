//! Checkpoints and trims: what is refused, what readers are told, and that a crash at any call leaves a journal that starts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contract::{append, read_all};
use super::storage::simulated::{Call, Fate, Simulated};
use super::storage::{Memory, Storage};
use super::{Error, Frame, Journal, Limits, Options, Position, SegmentJournal, verify};

fn open(storage: &(impl Storage + Clone)) -> SegmentJournal {
    let limits = Limits { segment_bytes_max: 700, ..Limits::default() };
    SegmentJournal::open(Arc::new(storage.clone()), Options { limits, ..Options::default() }).unwrap()
}

/// What stands for the frames before a position.
fn views(position: Position) -> Vec<u8> {
    format!("views at {position} ").repeat(40).into_bytes()
}

fn put(journal: &dyn Journal, position: Position) {
    journal.put_checkpoint(position, &mut views(position).as_slice()).unwrap();
}

fn fill(journal: &dyn Journal, frames: usize) -> Vec<Frame> {
    let frames = (0..frames).map(|_| append(journal, 2, 90)).collect();
    journal.durable().wait_blocking(journal.next()).unwrap();
    frames
}

#[test]
fn segments_go_only_when_two_whole_checkpoints_stand_for_them() {
    let memory = Memory::new();
    let journal = open(&memory);
    let frames = fill(&journal, 40);
    let to = journal.segments()[3].end;
    assert_eq!(journal.trim(to).unwrap_err().code(), "journal-unbacked");
    put(&journal, to);
    assert_eq!(journal.trim(to).unwrap_err().code(), "journal-unbacked");
    put(&journal, to);
    let newest = journal.checkpoints().unwrap()[0];
    let file = memory.open(&super::checkpoint::name(newest.position, newest.copy)).unwrap();
    file.write_at(100, b"!").unwrap();
    assert_eq!(journal.trim(to).unwrap_err().code(), "journal-unbacked");
    let read = journal.get_checkpoint(newest, &mut std::io::sink());
    assert_eq!(read.unwrap_err().code(), "checkpoint-damaged");
    put(&journal, to);
    put(&journal, to);
    assert_eq!(journal.trim(to).unwrap().len(), 4);
    assert_eq!((journal.first(), journal.checkpoints().unwrap().len()), (to, 2));
    assert!(matches!(journal.read(Position(1), 99), Err(Error::Trimmed { first, .. }) if first == to));
    let kept: Vec<_> = frames.into_iter().filter(|frame| frame.position >= to).collect();
    assert_eq!(read_all(&journal, to, 500), kept);
}

#[test]
fn the_newest_segment_stays_and_a_restart_goes_on_behind_it() {
    let memory = Memory::new();
    let journal = open(&memory);
    fill(&journal, 40);
    let next = journal.next();
    (0..2).for_each(|_| put(&journal, next));
    journal.close().unwrap();
    drop(journal);
    let journal = open(&memory);
    journal.trim(next).unwrap();
    assert_eq!((journal.segments().len(), journal.next()), (1, next));
    assert!(journal.trim(next).unwrap().is_empty());
    append(&journal, 1, 5);
    drop(journal);
    assert_eq!(open(&memory).next(), next.plus(1));
    let mut content = Vec::new();
    let journal = open(&memory);
    journal.get_checkpoint(journal.checkpoints().unwrap()[1], &mut content).unwrap();
    assert_eq!(content, views(next));
}

#[test]
fn a_long_checkpoint_comes_back_as_it_was() {
    let journal = open(&Memory::new());
    let content: Vec<u8> = (0..2_500_000_u32).map(|n| (n >> 9) as u8).collect();
    let info = journal.put_checkpoint(Position::START, &mut content.as_slice()).unwrap();
    let mut read = Vec::new();
    journal.get_checkpoint(info, &mut read).unwrap();
    assert!(read == content && info.bytes == content.len() as u64);
}

#[test]
fn a_copy_of_a_running_journal_opens_with_all_that_was_durable() {
    let memory = Memory::new();
    let journal = open(&memory);
    let frames = fill(&journal, 20);
    put(&journal, Position(10));
    let copy = Memory::new();
    let end = journal.copy_to(Arc::new(copy.clone())).unwrap();
    assert_eq!(end, journal.next());
    fill(&journal, 5);
    assert!(verify(Arc::new(copy.clone()), |_, _| {}).unwrap().is_whole());
    let copied = open(&copy);
    assert_eq!((read_all(&copied, Position::START, 900), copied.next()), (frames, end));
    assert_eq!(copied.checkpoints().unwrap(), journal.checkpoints().unwrap());
}

#[test]
fn a_trimmed_journal_without_a_checkpoint_is_not_whole() {
    let memory = Memory::new();
    let journal = open(&memory);
    fill(&journal, 20);
    let to = journal.segments()[2].end;
    (0..2).for_each(|_| put(&journal, to));
    journal.trim(to).unwrap();
    drop(journal);
    let check = || verify(Arc::new(memory.clone()), |_, _| {}).unwrap();
    assert!(check().is_whole());
    for copy in 0..2 {
        assert!(check().is_whole());
        let file = memory.open(&super::checkpoint::name(to, copy)).unwrap();
        file.write_at(20, b"?").unwrap();
    }
    let report = check();
    assert!(!report.is_whole() && report.checkpoints.iter().all(|one| one.problem.is_some()));
}

/// Segments, checkpoints and trims, twice over.
fn history() -> (Simulated, Vec<Frame>) {
    let storage = Simulated::default();
    let journal = open(&storage);
    let mut frames = fill(&journal, 30);
    for round in 1..3 {
        let to = journal.segments()[round].end;
        (0..2).for_each(|_| put(&journal, journal.next()));
        journal.trim(to).unwrap();
        frames.extend(fill(&journal, 20));
    }
    journal.close().unwrap();
    (storage, frames)
}

/// What a crash left: it opens; what is missing at its start stands in a checkpoint; the rest is there in order.
fn check(image: BTreeMap<String, Vec<u8>>, frames: &[Frame], what: &str) {
    let storage = Simulated::with(image).unwrap();
    let report = verify(Arc::new(storage.clone()), |_, _| {}).unwrap();
    assert!(report.is_whole(), "{what}: {report:?}");
    let journal = open(&storage);
    let first = journal.first();
    let kept = read_all(&journal, first, usize::MAX);
    let from = frames.iter().position(|frame| frame.position >= first).unwrap_or(frames.len());
    assert!(frames[from..].starts_with(&kept), "{what}");
    if first > Position::START {
        let fits = journal.checkpoints().unwrap().into_iter().any(|info| {
            let mut content = Vec::new();
            let is_read = journal.get_checkpoint(info, &mut content).is_ok();
            is_read && (first..=journal.next()).contains(&info.position) && content == views(info.position)
        });
        assert!(fits, "{what}: nothing stands for what is before {first}");
    }
}

#[test]
fn a_crash_at_any_call_leaves_a_journal_that_starts() {
    let (storage, frames) = history();
    let calls = storage.calls();
    let mut checkpoints = Vec::new();
    for call in &calls {
        if let Call::Create(name, file) = call
            && name.ends_with(".ckpt")
        {
            checkpoints.push(*file);
        }
    }
    let is_upkeep = |call: &Call| match call {
        Call::Create(_, file) | Call::Sync(file) | Call::Write(file, ..) => checkpoints.contains(file),
        Call::Remove(_) | Call::SyncFolder => true,
        _ => false,
    };
    let counts = (1..=calls.len()).filter(|count| is_upkeep(&calls[count - 1]));
    for (round, count) in counts.enumerate() {
        for kind in 0..4 {
            let image = storage.crash(count, |index, call| match (kind, call) {
                (0, _) => Fate::Kept,
                (1, _) => Fate::Lost,
                (2, Call::Write(_, _, bytes)) => Fate::Torn(bytes.len() / 2),
                _ if (index + round) % 2 == 0 => Fate::Lost,
                _ => Fate::Kept,
            });
            check(image, &frames, &format!("{count} calls, kind {kind}"));
        }
    }
}
