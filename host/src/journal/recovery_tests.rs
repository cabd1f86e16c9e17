//! Each kind of damage, on both sides of the durable line.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;

use super::contract::{append, read_all};
use super::frame::HEADER_BYTES;
use super::segment::SEGMENT_HEADER_BYTES;
use super::storage::{Memory, Storage, StorageFile};
use super::{
    Error, Frame, Journal, Limits, Options, Position, SegmentJournal, Sync, segment, verify,
};

const BODY_BYTES: usize = 100;
const STORED_BYTES: usize = 152;
const FRAMES: usize = 5;
/// The frame that is damaged.
const BAD: usize = 2;
const BAD_AT: usize = SEGMENT_HEADER_BYTES + BAD * STORED_BYTES;

fn options(sync: Sync) -> Options {
    Options {
        sync,
        ..Options::default()
    }
}

fn open(memory: &Memory, options: Options) -> Result<SegmentJournal, Error> {
    SegmentJournal::open(Arc::new(memory.clone()), options)
}

fn first_segment(memory: &Memory) -> Arc<dyn StorageFile> {
    memory.open(&segment::name(Position::START)).unwrap()
}

/// Five frames in an unsealed segment, each committed for itself. With `Fsync` each says that those before it are durable; with
/// `Os` none says so.
fn tail(sync: Sync) -> (Memory, Vec<Frame>) {
    let memory = Memory::new();
    let journal = open(&memory, options(sync)).unwrap();
    let commit = |_| {
        let frame = append(&journal, 1, BODY_BYTES);
        journal.durable().wait_blocking(journal.next()).unwrap();
        frame
    };
    let frames = (0..FRAMES).map(commit).collect();
    (memory.snapshot(), frames)
}

type Change = fn(&mut [u8]);

/// What can happen to the bytes of one frame.
fn damages() -> Vec<(&'static str, Change)> {
    vec![
        ("a flipped bit in the body", |bytes| {
            bytes[HEADER_BYTES + 50] ^= 4
        }),
        ("a flipped bit in the length", |bytes| bytes[12] ^= 1),
        ("a flipped high bit in the length", |bytes| {
            bytes[15] ^= 0x40
        }),
        ("a flipped bit in the position", |bytes| bytes[24] ^= 1),
        ("a flipped bit in the magic", |bytes| bytes[0] ^= 1),
        ("a torn header", |bytes| bytes[20..].fill(0)),
        ("a torn body", |bytes| bytes[HEADER_BYTES + 30..].fill(0)),
        ("zeros", |bytes| bytes.fill(0)),
        ("garbage", |bytes| {
            (bytes.iter_mut().enumerate()).for_each(|(at, byte)| *byte = (at * 89 + 7) as u8);
        }),
    ]
}

fn damage(memory: &Memory, at: usize, change: Change) {
    let file = first_segment(memory);
    let mut bytes = vec![0; STORED_BYTES];
    file.read_at(at as u64, &mut bytes).unwrap();
    change(&mut bytes);
    file.write_at(at as u64, &bytes).unwrap();
}

#[test]
fn a_bad_frame_that_was_never_durable_ends_the_journal() {
    for (what, change) in damages() {
        let (memory, frames) = tail(Sync::Os);
        damage(&memory, BAD_AT, change);
        let report = verify(Arc::new(memory.clone()), |_, _| {}).unwrap();
        assert!(
            report.is_whole() && report.segments[0].torn_bytes > 0,
            "{what}"
        );
        let journal = open(&memory, options(Sync::Os)).unwrap();
        assert_eq!(
            read_all(&journal, Position::START, 1),
            frames[..BAD],
            "{what}"
        );
        assert_eq!(journal.next(), frames[BAD].position);
        assert!(journal.segments()[0].sealed);
    }
}

#[test]
fn a_bad_frame_that_was_durable_is_damage_and_nothing_changes() {
    for (what, change) in damages() {
        let (memory, _) = tail(Sync::Fsync);
        damage(&memory, BAD_AT, change);
        let before = first_segment(&memory).len().unwrap();
        for _ in 0..2 {
            let error = open(&memory, options(Sync::Fsync)).err().unwrap();
            assert_damaged(&error, BAD_AT as u64, what);
        }
        assert_eq!(first_segment(&memory).len().unwrap(), before);
        let report = verify(Arc::new(memory), |_, _| {}).unwrap();
        let damage = &report.segments[0].damages;
        assert_eq!(
            (damage.len(), damage[0].offset),
            (1, BAD_AT as u64),
            "{what}"
        );
        assert_eq!(
            report.segments[0].frames,
            FRAMES as u64 - 1,
            "{what}: the others are found"
        );
    }
}

fn assert_damaged(error: &Error, expected: u64, what: &str) {
    match error {
        Error::Damaged {
            segment, offset, ..
        } => {
            assert_eq!(
                (segment.as_str(), *offset),
                ("00000000000000000000.seg", expected),
                "{what}"
            );
        }
        other => panic!("{what}: {other}"),
    }
}

/// Behind the last frame nobody says that it was durable: such a loss looks like a crash, whatever was promised.
#[test]
fn the_last_frame_is_cut_wherever_it_is_torn() {
    let last_at = SEGMENT_HEADER_BYTES + (FRAMES - 1) * STORED_BYTES;
    for sync in [Sync::Os, Sync::Fsync] {
        for cut in (0..STORED_BYTES).step_by(7) {
            let (memory, frames) = tail(sync);
            first_segment(&memory)
                .set_len((last_at + cut) as u64)
                .unwrap();
            let journal = open(&memory, options(sync)).unwrap();
            assert_eq!(read_all(&journal, Position::START, 1), frames[..FRAMES - 1]);
        }
    }
}

#[test]
fn a_body_that_looks_like_a_frame_is_not_taken_for_one() {
    let (memory, _) = tail(Sync::Fsync);
    let mut forged = vec![0; 2 * STORED_BYTES];
    first_segment(&memory)
        .read_at(BAD_AT as u64, &mut forged)
        .unwrap();
    let memory = Memory::new();
    let journal = open(&memory, options(Sync::Fsync)).unwrap();
    let body = bytes::Bytes::from(forged);
    let frame = Frame {
        body,
        ..super::contract::frame(Position::START, 1, 0)
    };
    journal.append(frame).unwrap();
    journal.durable().wait_blocking(Position(1)).unwrap();
    let torn = memory.snapshot();
    damage(&torn, SEGMENT_HEADER_BYTES, |bytes| bytes[12] ^= 1);
    let journal = open(&torn, options(Sync::Fsync)).unwrap();
    assert_eq!(journal.next(), Position::START);
}

/// Three sealed segments of two frames each.
fn sealed() -> (Memory, Vec<Frame>) {
    let memory = Memory::new();
    let limits = Limits {
        segment_bytes_max: 400,
        ..Limits::default()
    };
    let journal = open(
        &memory,
        Options {
            limits,
            ..Options::default()
        },
    )
    .unwrap();
    let frames = (0..6).map(|_| append(&journal, 1, BODY_BYTES)).collect();
    journal.close().unwrap();
    assert_eq!(journal.segments().len(), 3);
    (memory.snapshot(), frames)
}

#[test]
fn a_bad_frame_in_a_sealed_segment_is_damage_when_it_is_read() {
    for (what, change) in damages() {
        let (memory, frames) = sealed();
        let at = SEGMENT_HEADER_BYTES + STORED_BYTES;
        damage(&memory, at, change);
        let journal = open(&memory, Options::default()).unwrap();
        assert_damaged(&journal.read(Position(1), 1).unwrap_err(), at as u64, what);
        assert_eq!(read_all(&journal, Position(2), 1), frames[2..], "{what}");
        drop(journal);
        let report = verify(Arc::new(memory), |_, _| {}).unwrap();
        let offsets = report.segments[0]
            .damages
            .iter()
            .map(|damage| damage.offset);
        assert_eq!(offsets.collect::<Vec<_>>(), [at as u64], "{what}");
    }
}

#[test]
fn a_sealed_segment_without_its_end_is_damage() {
    for cut in [1, 60, 96, 150, 390] {
        let (memory, _) = sealed();
        let file = first_segment(&memory);
        file.set_len(file.len().unwrap() - cut).unwrap();
        let error = open(&memory, Options::default()).err().unwrap();
        assert_eq!(error.code(), "journal-damaged", "{cut}");
        assert!(
            !verify(Arc::new(memory), |_, _| {}).unwrap().is_whole(),
            "{cut}"
        );
    }
}

#[test]
fn a_missing_segment_is_damage() {
    let (memory, _) = sealed();
    memory.remove(&segment::name(Position(2))).unwrap();
    let error = open(&memory, Options::default()).err().unwrap();
    assert!(error.to_string().contains("ends at position 2"), "{error}");
    assert!(!verify(Arc::new(memory), |_, _| {}).unwrap().is_whole());
}

#[test]
fn a_bad_segment_header_is_damage_once_frames_follow() {
    let (memory, _) = tail(Sync::Os);
    first_segment(&memory).write_at(3, b"?").unwrap();
    let error = open(&memory, Options::default()).err().unwrap();
    assert_damaged(&error, 0, "header");
    first_segment(&memory).set_len(11).unwrap();
    let journal = open(&memory, Options::default()).unwrap();
    assert_eq!(journal.segments(), []);
}

#[test]
fn a_later_format_is_refused_and_kept() {
    let (memory, _) = tail(Sync::Os);
    let file = first_segment(&memory);
    let mut header = [0; SEGMENT_HEADER_BYTES];
    file.read_at(0, &mut header).unwrap();
    header[8] = 9;
    let crc = crc32fast::hash(&header[8..]);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
    file.write_at(0, &header).unwrap();
    let error = open(&memory, Options::default()).err().unwrap();
    assert_eq!(error.code(), "journal-version");
}

#[test]
fn a_second_journal_on_one_folder_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let files = || Arc::new(super::storage::Files::open(root.path()).unwrap());
    let first = SegmentJournal::open(files(), Options::default()).unwrap();
    let error = SegmentJournal::open(files(), Options::default())
        .err()
        .unwrap();
    assert_eq!(error.code(), "journal-locked");
    assert!(
        error
            .to_string()
            .contains(&root.path().display().to_string())
    );
    assert_eq!(
        verify(files(), |_, _| {}).unwrap_err().code(),
        "journal-locked"
    );
    first.close().unwrap();
    SegmentJournal::open(files(), Options::default()).unwrap();
}

#[test]
fn verify_counts_what_is_there_and_tells_how_far_it_is() {
    let (memory, _) = sealed();
    let mut told = Vec::new();
    let report = verify(Arc::new(memory.clone()), |done, total| {
        told.push((done, total))
    })
    .unwrap();
    let counts = report
        .segments
        .iter()
        .map(|segment| (segment.frames, segment.sealed));
    assert_eq!(counts.collect::<Vec<_>>(), [(2, true); 3]);
    let bytes: u64 = report.segments.iter().map(|segment| segment.bytes).sum();
    assert_eq!(told.last(), Some(&(bytes, bytes)));
    assert!(told.is_sorted());
}
