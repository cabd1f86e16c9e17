//! What every journal must do; each implementation runs this against itself.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use bytes::Bytes;

use super::storage::{Files, Memory, Storage};
use super::{FRAME_BYTES_MAX, Frame, Journal, Limits, Options, Position, SegmentJournal, Sync};

/// A frame with a body that tells it from others.
pub(super) fn frame(position: Position, width: u32, body_bytes: usize) -> Frame {
    let body: Vec<u8> = (0..body_bytes)
        .map(|at| (position.0 as usize + at) as u8)
        .collect();
    Frame {
        position,
        width,
        time_ms: 1_000 + position.0,
        body: Bytes::from(body),
    }
}

/// Appends one frame at the end.
pub(super) fn append(journal: &dyn Journal, width: u32, body_bytes: usize) -> Frame {
    let frame = frame(journal.next(), width, body_bytes);
    journal.append(frame.clone()).unwrap();
    frame
}

/// All frames from `from` on, in as many reads as it takes.
pub(super) fn read_all(journal: &dyn Journal, mut from: Position, bytes_max: usize) -> Vec<Frame> {
    let mut all = Vec::new();
    loop {
        let frames = journal.read(from, bytes_max).unwrap();
        match frames.last() {
            Some(last) => from = last.end(),
            None => return all,
        }
        all.extend(frames);
    }
}

fn settle(journal: &dyn Journal) {
    journal.durable().wait_blocking(journal.next()).unwrap();
}

/// Opens the same journal again and again.
type Open<'a> = &'a dyn Fn(Options) -> Box<dyn Journal>;

fn check(mut fresh: impl FnMut() -> Box<dyn Fn(Options) -> Box<dyn Journal>>) {
    for case in [
        a_new_journal_is_empty,
        frames_are_read_as_they_were_appended,
        a_read_starts_with_the_frame_that_holds_the_position,
        segments_begin_where_append_says,
        everything_is_there_after_a_restart,
        restarts_leave_no_empty_segments,
        bad_frames_are_refused_and_leave_no_trace,
        a_closed_journal_says_so,
        a_frame_of_the_largest_size_fits,
    ] {
        case(&*fresh());
    }
}

#[test]
fn over_memory() {
    check(|| {
        let memory = Memory::new();
        Box::new(move |options| open(Arc::new(memory.clone()), options))
    });
}

#[test]
fn over_files() {
    let root = tempfile::tempdir().unwrap();
    let mut count = 0;
    check(|| {
        count += 1;
        let folder = root.path().join(count.to_string());
        Box::new(move |options| open(Arc::new(Files::open(&folder).unwrap()), options))
    });
}

fn open(storage: Arc<dyn Storage>, options: Options) -> Box<dyn Journal> {
    Box::new(SegmentJournal::open(storage, options).unwrap())
}

fn a_new_journal_is_empty(open: Open) {
    let journal = open(Options::default());
    assert_eq!(journal.first(), Position::START);
    assert_eq!(journal.next(), Position::START);
    assert_eq!(journal.durable().current(), Position::START);
    assert_eq!(journal.read(Position::START, 1).unwrap(), []);
    assert_eq!(journal.segments(), []);
}

fn frames_are_read_as_they_were_appended(open: Open) {
    for sync in [Sync::Fsync, Sync::Os] {
        let journal = open(Options {
            sync,
            ..Options::default()
        });
        let from = journal.next();
        let sizes = [0, 1, 7, 8, 9, 300_000, 16];
        let frames: Vec<_> = sizes.map(|bytes| append(&*journal, 2, bytes)).into();
        settle(&*journal);
        assert_eq!(journal.undurable_bytes(), 0);
        assert_eq!(read_all(&*journal, from, 1), frames);
        assert_eq!(read_all(&*journal, from, usize::MAX), frames);
    }
}

fn a_read_starts_with_the_frame_that_holds_the_position(open: Open) {
    let journal = open(Options::default());
    let frames: Vec<_> = (0..2_000)
        .map(|at| append(&*journal, 1 + at % 5, 100))
        .collect();
    settle(&*journal);
    for frame in frames.iter().step_by(37) {
        for position in frame.position.0..frame.end().0 {
            let read = journal.read(Position(position), 1).unwrap();
            assert_eq!(read, std::slice::from_ref(frame));
        }
    }
    assert_eq!(journal.read(journal.next(), 1).unwrap(), []);
    assert_eq!(journal.read(Position(u64::MAX), 1).unwrap(), []);
}

fn segments_begin_where_append_says(open: Open) {
    let limits = Limits {
        segment_bytes_max: 1_000,
        ..Limits::default()
    };
    let journal = open(Options {
        limits,
        ..Options::default()
    });
    let mut bases = Vec::new();
    for _ in 0..20 {
        let frame = frame(journal.next(), 3, 200);
        if journal.append(frame.clone()).unwrap().starts_segment {
            bases.push(frame.position);
        }
    }
    settle(&*journal);
    let segments = journal.segments();
    assert_eq!(
        segments.iter().map(|info| info.base).collect::<Vec<_>>(),
        bases
    );
    assert!(segments.iter().all(|info| info.bytes <= 1_000 + 96));
    assert!(
        segments
            .windows(2)
            .all(|pair| pair[0].end == pair[1].base && pair[0].sealed)
    );
    assert_eq!(
        segments.last().map(|info| (info.end, info.sealed)),
        Some((journal.next(), false))
    );
    assert_eq!(read_all(&*journal, Position::START, 1).len(), 20);
}

fn everything_is_there_after_a_restart(open: Open) {
    let mut frames = Vec::new();
    for _ in 0..3 {
        let journal = open(Options::default());
        assert_eq!(journal.next().0, frames.len() as u64);
        assert_eq!(journal.durable().current(), journal.next());
        assert_eq!(read_all(&*journal, Position::START, 1), frames);
        frames.extend((0..50).map(|_| append(&*journal, 1, 64)));
        journal.close().unwrap();
        assert!(journal.segments().iter().all(|info| info.sealed));
    }
}

fn restarts_leave_no_empty_segments(open: Open) {
    for _ in 0..3 {
        open(Options::default()).close().unwrap();
    }
    append(&*open(Options::default()), 1, 64);
    for _ in 0..3 {
        assert_eq!(open(Options::default()).segments().len(), 1);
    }
}

fn bad_frames_are_refused_and_leave_no_trace(open: Open) {
    let limits = Limits {
        undurable_bytes_max: 1_000,
        ..Limits::default()
    };
    let journal = open(Options {
        limits,
        ..Options::default()
    });
    let code = |frame| journal.append(frame).unwrap_err().code();
    assert_eq!(code(frame(Position(5), 1, 1)), "journal-out-of-order");
    assert_eq!(code(frame(Position(0), 0, 1)), "journal-frame-width");
    assert_eq!(
        code(frame(Position(0), 1, FRAME_BYTES_MAX + 1)),
        "journal-frame-too-large"
    );
    assert_eq!(code(frame(Position(0), 1, 953)), "journal-full");
    assert_eq!(
        (journal.next(), journal.undurable_bytes()),
        (Position(0), 0)
    );
    append(&*journal, 1, 952);
    settle(&*journal);
}

fn a_closed_journal_says_so(open: Open) {
    let journal = open(Options::default());
    let kept = append(&*journal, 1, 10);
    journal.close().unwrap();
    journal.close().unwrap();
    assert_eq!(journal.durable().current(), journal.next());
    let refused = journal.append(frame(Position(1), 1, 1)).unwrap_err();
    assert_eq!(refused.code(), "journal-closed");
    let never = journal.durable().wait_blocking(Position(2)).unwrap_err();
    assert_eq!(never.code(), "journal-closed");
    assert_eq!(read_all(&*journal, Position::START, 1), [kept]);
}

fn a_frame_of_the_largest_size_fits(open: Open) {
    let limits = Limits {
        segment_bytes_max: 1 << 20,
        ..Limits::default()
    };
    let journal = open(Options {
        limits,
        ..Options::default()
    });
    let frames: Vec<_> = [10, FRAME_BYTES_MAX, 10]
        .map(|bytes| append(&*journal, 1, bytes))
        .into();
    settle(&*journal);
    assert!(read_all(&*journal, Position::START, 1) == frames);
    assert_eq!(journal.segments().len(), 3);
}
