//! The index against plain maps, over frames that random numbers make, with closes, writes, reopens and damage.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::*;
use crate::model::change::{Change, Changes, Draft};
use crate::model::event::Event;
use crate::model::record::{Stamp, encode_event};
use crate::view::fixture::Random;

const TIME_MS: u64 = 1_000_000_000;
/// So long that flows begin after whole blocks have ended.
const STEP_MS: u64 = 5000;

struct Frame {
    position: u64,
    time_ms: u64,
    body: Vec<u8>,
}

/// A journal and what is in it, in plain maps.
struct Plain {
    random: Random,
    next: u64,
    offsets: [u64; 4],
    frames: Vec<Frame>,
    starts: BTreeSet<u64>,
    places: BTreeMap<(ChannelId, u64), u64>,
    flows: BTreeMap<Uuid, BTreeSet<u64>>,
    ids: BTreeMap<(ChannelId, String), BTreeSet<u64>>,
}

fn flow(number: u64, began_ms: u64) -> Uuid {
    Uuid::from_u128(u128::from(began_ms) << 80 | 7 << 76 | 2 << 62 | u128::from(number))
}

fn note(index: &Index, position: u64, time_ms: u64, body: &[u8]) {
    index.note(position, time_ms, &Runs::of(body), &Notes::of(body));
}

impl Plain {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            next: 0,
            offsets: [0; 4],
            frames: Vec::new(),
            starts: BTreeSet::new(),
            places: BTreeMap::new(),
            flows: BTreeMap::new(),
            ids: BTreeMap::new(),
        }
    }

    fn grow(&mut self) {
        let (position, time_ms) = (self.next, TIME_MS + self.next * STEP_MS);
        let mut draft = Draft::default();
        for _ in 0..self.random.below(6) {
            let flow = self.pick_flow(time_ms);
            self.flows.entry(flow).or_default().insert(position);
            match self.random.below(4) {
                0 => draft.decided(1, 7, flow),
                1 => draft.reply(1, 7, flow, b"{}"),
                _ => self.event(&mut draft, flow, position),
            }
        }
        self.next += u64::from(draft.events().max(1));
        let offsets = &mut self.offsets;
        let body = draft.finish(|channel| {
            offsets[channel as usize] += 1;
            offsets[channel as usize] - 1
        });
        for change in Changes::new(&body) {
            if let Change::Event { channel, offset, .. } = change.unwrap() {
                self.places.insert((channel, offset), position);
            }
        }
        self.frames.push(Frame { position, time_ms, body });
    }

    fn pick_flow(&mut self, time_ms: u64) -> Uuid {
        let known = self.flows.len() as u64;
        if known > 0 && self.random.below(3) > 0 {
            let index = self.random.below(known) as usize;
            return *self.flows.keys().nth(index).unwrap();
        }
        flow(self.random.below(1 << 40), time_ms)
    }

    fn event(&mut self, draft: &mut Draft, flow: Uuid, position: u64) {
        let channel = self.random.below(4) as ChannelId;
        let id = self.random.below(500).to_string();
        let event = Event { id: id.clone(), source: "/shop".into(), ty: "t".into(), ..Event::default() };
        let stamp = Stamp { flow, cause: None, causationid: None, hops: 0 };
        draft.event(channel, |out| encode_event(out, &event, &stamp));
        self.ids.entry((channel, id)).or_default().insert(position);
    }

    fn note_from(&self, index: &Index, position: u64) {
        for frame in self.frames.iter().filter(|frame| frame.position >= position) {
            if self.starts.contains(&frame.position) {
                index.start_block(frame.position);
            }
            note(index, frame.position, frame.time_ms, &frame.body);
        }
    }

    fn compare(&self, index: &Index) {
        for ((channel, offset), position) in &self.places {
            assert_eq!(index.locate(*channel, *offset).unwrap(), Some(*position));
        }
        for channel in 0..5 {
            let next = self.offsets.get(channel as usize).copied().unwrap_or(0);
            assert_eq!(index.locate(channel, next).unwrap(), None);
        }
        for (flow, positions) in &self.flows {
            let positions: Vec<u64> = positions.iter().copied().collect();
            assert_eq!(index.flow(*flow, usize::MAX).unwrap(), positions);
            let limit = positions.len().div_ceil(2);
            assert_eq!(index.flow(*flow, limit).unwrap(), positions[..limit]);
        }
        for ((channel, id), positions) in &self.ids {
            let newest: Vec<u64> = positions.iter().rev().copied().take(CANDIDATES_MAX).collect();
            assert_eq!(index.event_id(*channel, "/shop", id, 0).unwrap(), newest);
        }
        assert!(index.flow(flow(5, 0), 9).unwrap().is_empty());
        assert!(index.event_id(1, "/other", "1", 0).unwrap().is_empty());
    }
}

fn open(dir: &Path, end: u64) -> Index {
    Index::open(Some(dir.to_owned()), 0..end).unwrap()
}

/// A folder with the files of `blocks` closed blocks, and the journal that it came from.
fn written(blocks: usize) -> (tempfile::TempDir, Plain) {
    let (dir, mut plain) = (tempfile::tempdir().unwrap(), Plain::new(3));
    for _ in 0..blocks {
        (0..300).for_each(|_| plain.grow());
        plain.starts.insert(plain.next);
    }
    (0..20).for_each(|_| plain.grow());
    let index = open(dir.path(), plain.next);
    plain.note_from(&index, 0);
    index.write_closed(plain.next).unwrap();
    (dir, plain)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn it_agrees_with_plain_maps_through_closes_writes_and_reopens() {
    for seed in 0..3 {
        let (dir, mut plain) = (tempfile::tempdir().unwrap(), Plain::new(seed));
        let mut index = open(dir.path(), 0);
        for _ in 0..8 {
            let from = plain.next;
            (0..90).for_each(|_| plain.grow());
            plain.note_from(&index, from);
            plain.starts.insert(plain.next);
            match plain.random.below(4) {
                0 => index.start_block(plain.next),
                1 => index.write_closed(plain.next / 2).unwrap(),
                2 => index.write_closed(plain.next).unwrap(),
                _ => {
                    index = open(dir.path(), plain.next);
                    let covered = index.covered_until();
                    plain.note_from(&index, covered);
                }
            }
            plain.compare(&index);
        }
    }
}

#[test]
fn frames_that_files_hold_may_be_noted_again() {
    let (dir, plain) = written(3);
    fs::write(dir.path().join("half-written.tmp"), "x").unwrap();
    let index = open(dir.path(), plain.next);
    assert_eq!(files(dir.path()).len(), 3);
    assert_eq!(index.covered_until(), *plain.starts.last().unwrap());
    plain.note_from(&index, 0);
    plain.compare(&index);
}

#[test]
fn a_block_is_written_once_all_of_it_is_durable() {
    let (dir, plain) = written(0);
    let index = open(dir.path(), plain.next);
    plain.note_from(&index, 0);
    index.start_block(plain.next);
    index.write_closed(plain.next - 1).unwrap();
    assert!(files(dir.path()).is_empty());
    index.write_closed(plain.next).unwrap();
    assert_eq!((files(dir.path()).len(), index.covered_until()), (1, plain.next));
}

#[test]
fn memory_alone_answers_the_same() {
    let (_, plain) = written(2);
    let index = Index::open(None, 0..plain.next).unwrap();
    plain.note_from(&index, 0);
    index.write_closed(plain.next).unwrap();
    plain.compare(&index);
}

#[test]
fn a_missing_a_cut_or_a_damaged_head_is_built_again_with_all_behind_it() {
    let harms: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        },
        |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[40] ^= 1;
            fs::write(path, bytes).unwrap();
        },
    ];
    for harm in harms {
        let (dir, plain) = written(3);
        harm(&files(dir.path())[1]);
        let index = open(dir.path(), plain.next);
        assert_eq!(index.covered_until(), *plain.starts.first().unwrap());
        assert_eq!(files(dir.path()).len(), 1);
        plain.note_from(&index, index.covered_until());
        index.write_closed(plain.next).unwrap();
        assert_eq!(files(dir.path()).len(), 3);
        plain.compare(&open(dir.path(), plain.next).noted(&plain));
    }
}

impl Index {
    fn noted(self, plain: &Plain) -> Self {
        plain.note_from(&self, self.covered_until());
        self
    }
}

#[test]
fn a_damaged_table_is_reported_with_its_file_and_what_to_do() {
    let (dir, plain) = written(1);
    let path = &files(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let len = bytes.len();
    bytes[len / 2..].fill(0xee);
    fs::write(path, bytes).unwrap();
    let index = open(dir.path(), plain.next).noted(&plain);
    let error = index.event_id(0, "/shop", "1", 0).unwrap_err();
    assert!(matches!(&error, Error::Damaged { path: named, .. } if named == path));
    assert!(error.to_string().contains("delete it and start the host again"), "{error}");
}

#[test]
fn files_that_reach_past_the_journal_are_not_believed() {
    let (dir, plain) = written(2);
    let index = open(dir.path(), *plain.starts.last().unwrap() - 1);
    assert_eq!(index.covered_until(), *plain.starts.first().unwrap());
}

#[test]
fn the_newest_candidates_of_an_id_are_kept() {
    let index = Index::open(None, 0..0).unwrap();
    let event = Event { id: "1".into(), source: "/".into(), ty: "t".into(), ..Event::default() };
    let stamp = Stamp { flow: Uuid::nil(), cause: None, causationid: None, hops: 0 };
    let positions = 0..CANDIDATES_MAX as u64 + 1;
    for position in positions.clone() {
        let mut draft = Draft::default();
        draft.event(0, |out| encode_event(out, &event, &stamp));
        let body = draft.finish(|_| position);
        note(&index, position, 5, &body);
    }
    let newest: Vec<u64> = positions.rev().take(CANDIDATES_MAX).collect();
    assert_eq!(index.event_id(0, "/", "1", 0).unwrap(), newest);
}

#[test]
fn blocks_that_ended_before_the_asked_time_are_left_out() {
    let (dir, plain) = written(2);
    let index = open(dir.path(), plain.next).noted(&plain);
    let ((channel, id), _) = plain.ids.iter().next().unwrap();
    let second = *plain.starts.first().unwrap();
    let found = index.event_id(*channel, "/shop", id, TIME_MS + second * STEP_MS).unwrap();
    assert!(found.iter().all(|position| *position >= second));
}
