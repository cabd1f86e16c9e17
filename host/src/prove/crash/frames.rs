//! A journal alone: frames in groups, tiny segments, checkpoints and trims, on a disk that loses its power at any call.

use std::sync::Arc;

use bytes::Bytes;

use super::super::ProveError;
use super::wrong::{Kind, Wrong, Wrongs};
use crate::journal::storage::Storage;
use crate::journal::storage::simulated::{Chance, Cut, Image, Lie, Simulated};
use crate::journal::{Frame, Journal, Limits, Options, Position, SegmentJournal, Sync, verify};

/// So small that most groups begin another segment.
const SEGMENT_BYTES_MAX: u64 = 3_000;
/// About how many bytes are read at once.
const READ_BYTES: usize = 1 << 20;
/// How many groups a history has.
const GROUPS: usize = 14;
/// How many frames wait behind the one that is being written.
const WAITING_MAX: usize = 6;

/// What was done with a journal, and every frame of it.
pub struct History {
    disk: Simulated,
    frames: Vec<Frame>,
    sync: Sync,
}

fn open(disk: &Simulated, sync: Sync) -> Result<SegmentJournal, crate::journal::Error> {
    let limits = Limits { segment_bytes_max: SEGMENT_BYTES_MAX, ..Limits::default() };
    SegmentJournal::open(Arc::new(disk.clone()), Options { sync, limits })
}

fn failed(error: impl std::fmt::Display) -> ProveError {
    ProveError::Host(error.to_string())
}

impl History {
    /// Writes a journal. What is durable is marked as soon as it is called so.
    pub fn write(seed: u64, sync: Sync, lie: Option<Lie>) -> Result<Self, ProveError> {
        let disk = Simulated::default();
        lie.into_iter().for_each(|lie| disk.lie(lie));
        let mut history = Self { disk, frames: Vec::new(), sync };
        let chance = &mut Chance::new(seed);
        let mut journal = open(&history.disk, sync).map_err(failed)?;
        for group in 0..GROUPS {
            history.group(&journal, chance)?;
            if chance.one_in(5) {
                history.upkeep(&journal, chance)?;
            }
            if group == GROUPS / 2 {
                drop(journal);
                journal = open(&history.disk, sync).map_err(failed)?;
            }
        }
        journal.close().map_err(failed)?;
        Ok(history)
    }

    /// One frame is being written while the others of its group queue up.
    fn group(&mut self, journal: &SegmentJournal, chance: &mut Chance) -> Result<(), ProveError> {
        self.disk.stand_still();
        let queued = (0..=chance.below(WAITING_MAX)).try_for_each(|place| {
            let appended = self.append(journal, chance);
            if place == 0 && appended.is_ok() {
                self.disk.await_caller();
            }
            appended
        });
        self.disk.go_on();
        queued?;
        journal.durable().wait_blocking(journal.next()).map_err(failed)?;
        self.disk.mark(journal.next().0);
        Ok(())
    }

    fn append(&mut self, journal: &SegmentJournal, chance: &mut Chance) -> Result<(), ProveError> {
        let bytes = match chance.below(12) {
            0 => 20_000 + chance.below(3_000),
            1..4 => chance.below(2_000),
            _ => chance.below(200),
        };
        let position = journal.next();
        let body: Bytes = (0..bytes).map(|at| (position.0 as usize * 7 + at) as u8).collect();
        let frame = Frame { position, width: 1 + chance.below(3) as u32, time_ms: position.0, body };
        journal.append(frame.clone()).map_err(failed)?;
        self.frames.push(frame);
        Ok(())
    }

    fn upkeep(&mut self, journal: &SegmentJournal, chance: &mut Chance) -> Result<(), ProveError> {
        for _ in 0..2 {
            let content = adds_up_to(journal.next());
            journal.put_checkpoint(journal.next(), &mut content.as_slice()).map_err(failed)?;
        }
        let segments = journal.segments();
        let to = segments.get(chance.below(segments.len())).map_or(Position::START, |info| info.end);
        journal.trim(to).map_err(failed)?;
        Ok(())
    }

    /// Looks at so many power cuts, each followed by another one while the journal recovers from it.
    pub fn cuts(&self, count: usize, seed: u64) -> Wrongs {
        let mut wrongs = Wrongs::default();
        for number in 0..count {
            let seed = seed.wrapping_add(number as u64);
            let cut = Cut::ALL.get(number % Cut::ALL.len()).copied().unwrap_or(Cut::Nothing);
            let what = format!("journal, seed {seed}, {}", cut.name());
            wrongs.note(&what, self.cut(cut, &mut Chance::new(seed)));
        }
        wrongs
    }

    fn cut(&self, cut: Cut, chance: &mut Chance) -> Result<(), Wrong> {
        let count = chance.below(self.disk.len() + 1);
        let durable = Position(self.disk.marked(count).unwrap_or(0));
        let recovering = self.check(self.disk.cut(count, cut, chance), durable)?;
        let count = chance.below(recovering.len() + 1);
        let recovered = self.check(recovering.cut(count, cut, chance), durable)?;
        self.goes_on(&recovered)
    }

    /// Opens what is left. Gives the disk, which knows what opening it did.
    fn check(&self, image: Image, durable: Position) -> Result<Simulated, Wrong> {
        let unopened = |error: &dyn std::fmt::Display| Wrong::new(Kind::Unopened, error);
        let disk = Simulated::with(image).map_err(|error| unopened(&error))?;
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let report = verify(storage, |_, _| {}).map_err(|error| unopened(&error))?;
        let journal = open(&disk, self.sync).map_err(|error| unopened(&error))?;
        if journal.next() < durable {
            let (next, lost) = (journal.next(), "was durable and the journal ends at");
            return Err(Wrong::new(Kind::Lost, format!("position {durable} {lost} {next}")));
        }
        if !report.is_whole() {
            return Err(Wrong::new(Kind::Torn, "`verify` finds damage"));
        }
        self.check_frames(&journal)?;
        self.check_start(&journal)?;
        journal.close().map_err(|error| unopened(&error))?;
        Ok(disk)
    }

    fn check_frames(&self, journal: &SegmentJournal) -> Result<(), Wrong> {
        let first = journal.first();
        let expected = self.frames.iter().filter(|frame| (first..journal.next()).contains(&frame.position));
        let kept = all_frames(journal, first);
        let kept = kept.map_err(|error| Wrong::new(Kind::Torn, error))?;
        match kept.iter().eq(expected) {
            true => Ok(()),
            false => Err(Wrong::new(Kind::Torn, format!("{} frames are not those written", kept.len()))),
        }
    }

    /// What is missing at the start stands in a checkpoint.
    fn check_start(&self, journal: &SegmentJournal) -> Result<(), Wrong> {
        if journal.first() == Position::START {
            return Ok(());
        }
        let checkpoints = journal.checkpoints().map_err(|error| Wrong::new(Kind::Unopened, error))?;
        let stands = checkpoints.into_iter().any(|info| {
            let mut content = Vec::new();
            let is_read = journal.get_checkpoint(info, &mut content).is_ok();
            let fits = (journal.first()..=journal.next()).contains(&info.position);
            is_read && fits && content == adds_up_to(info.position)
        });
        match stands {
            true => Ok(()),
            false => {
                Err(Wrong::new(Kind::Lost, format!("nothing stands for what is before {}", journal.first())))
            }
        }
    }

    fn goes_on(&self, disk: &Simulated) -> Result<(), Wrong> {
        let unopened = |error: crate::journal::Error| Wrong::new(Kind::Unopened, error);
        let journal = open(disk, self.sync).map_err(unopened)?;
        let added = Frame { position: journal.next(), width: 1, time_ms: 1, body: Bytes::from_static(b"on") };
        journal.append(added.clone()).map_err(unopened)?;
        journal.close().map_err(unopened)?;
        let journal = open(disk, self.sync).map_err(unopened)?;
        match journal.read(added.position, 1).map_err(unopened)? == [added] {
            true => Ok(()),
            false => Err(Wrong::new(Kind::Lost, "what was appended after the recovery is not there")),
        }
    }
}

/// All frames from a position on.
pub fn all_frames(journal: &dyn Journal, mut from: Position) -> Result<Vec<Frame>, crate::journal::Error> {
    let mut all = Vec::new();
    loop {
        let frames = journal.read(from, READ_BYTES)?;
        let Some(last) = frames.last() else { return Ok(all) };
        from = last.end();
        all.extend(frames);
    }
}

/// What stands for all frames before a position, in a checkpoint of this proof.
fn adds_up_to(position: Position) -> Vec<u8> {
    (0..1_500_u64).map(|at| (position.0 * 31 + at) as u8).collect()
}
