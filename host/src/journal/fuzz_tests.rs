//! Segments that nobody wrote: whatever they are, a journal opens or refuses, and every frame that it gives is one that was appended.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::contract::append;
use super::storage::simulated::{Chance, Image, Simulated};
use super::{Frame, Journal, Limits, Options, Position, SegmentJournal, verify};
use crate::fuzz::mangle;

const MANGLED: u64 = 600;

fn open(disk: &Simulated) -> Result<SegmentJournal, super::Error> {
    let limits = Limits { segment_bytes_max: 1_500, ..Limits::default() };
    SegmentJournal::open(Arc::new(disk.clone()), Options { limits, ..Options::default() })
}

/// A journal that was not stopped: sealed segments, one that is not, and checkpoints.
fn sound() -> (Image, Vec<Frame>) {
    let disk = Simulated::default();
    let journal = open(&disk).unwrap();
    let mut frames = Vec::new();
    for bytes in [10, 400, 30, 0, 900, 77, 300, 8, 640, 12] {
        frames.push(append(&journal, 2, bytes));
        journal.durable().wait_blocking(journal.next()).unwrap();
    }
    for _ in 0..2 {
        journal.put_checkpoint(journal.next(), &mut [7; 500].as_slice()).unwrap();
    }
    (disk.shown().unwrap(), frames)
}

/// Whether the journal opened. Reads as far as it can.
fn look(image: Image, frames: &[Frame]) -> bool {
    let disk = Simulated::with(image).unwrap();
    // What it says does not matter here, as long as it says something.
    let _ = verify(Arc::new(disk.clone()), |_, _| {});
    let Ok(journal) = open(&disk) else { return false };
    let mut from = journal.first();
    while from < journal.next() {
        let read = journal.read(from, 1).unwrap_or_default();
        assert!(read.iter().all(|frame| frames.contains(frame)), "a frame that nobody appended");
        from = read.last().map_or(Position(from.0 + 1), Frame::end);
    }
    for info in journal.checkpoints().unwrap_or_default() {
        let mut content = Vec::new();
        assert!(journal.get_checkpoint(info, &mut content).is_err() || content == [7; 500]);
    }
    true
}

#[test]
fn mangled_files_open_or_are_refused_and_give_no_frame_that_nobody_appended() {
    let (sound, frames) = sound();
    let mut opened = 0;
    for seed in 0..MANGLED {
        let chance = &mut Chance::new(seed);
        let mut image = sound.clone();
        let file = image.keys().nth(chance.below(sound.len())).unwrap().clone();
        mangle(image.get_mut(&file).unwrap(), chance);
        opened += u64::from(look(image, &frames));
    }
    assert!((MANGLED / 20..MANGLED * 19 / 20).contains(&opened), "they show nothing: {opened} opened");
}

#[test]
fn files_of_anything_under_the_names_of_segments_open_or_are_refused() {
    for seed in 0..MANGLED {
        let chance = &mut Chance::new(seed);
        let bytes = |chance: &mut Chance| (0..chance.below(900)).map(|_| chance.number() as u8).collect();
        let names = ["00000000000000000000.seg", "00000000000000000003.seg", "00000000000000000003.0.ckpt"];
        look(names.map(|name| (name.to_owned(), bytes(chance))).into(), &[]);
    }
}
