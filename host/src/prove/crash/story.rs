//! What happens to a host before the power goes: publishes, handlings ahead of the disk, events that fail, redrives, discards,
//! deployments, checkpoints and trims, as chance has it.

use super::super::ProveError;
use super::by_hand;
use super::frames::all_frames;
use super::handlers::BAD;
use super::planted::Planted;
use super::rig::{Rig, Setting, Tick};
use crate::channel::Admitted;
use crate::journal::storage::simulated::{Chance, Failure, Simulated};
use crate::journal::{Frame, Position};
use crate::model::operation::Operator;
use crate::view::failed::EventRef;

/// When the clock begins.
const BEGINNING_MS: u64 = 1_000_000;
/// How many publishes wait behind the one that is being written.
const WAITING_MAX: usize = 3;
const EVENTS_MAX: usize = 5;
const KEYS: usize = 4;

/// Events that were published as one frame.
pub struct Batch {
    pub ticks: Vec<Tick>,
    pub admitted: Vec<Admitted>,
}

/// What was known at a mark.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// The journal was durable up to here.
    pub durable: u64,
    /// So many batches were acknowledged.
    pub acknowledged: usize,
    /// Whatever came next came at this time.
    pub now_ms: u64,
}

/// What happened.
pub struct Story {
    pub disk: Simulated,
    pub setting: Setting,
    pub batches: Vec<Batch>,
    pub moments: Vec<Moment>,
    /// What was known before the first call.
    pub begins: Moment,
    /// Every frame, those too that were trimmed.
    pub frames: Vec<Frame>,
    /// The numbers that an operator gave up, each with the end of the frame that says so.
    pub discarded: Vec<(u64, u64)>,
    /// The version of the relay that runs at the end.
    pub version: u32,
    planted: Option<Planted>,
    next_number: u64,
}

fn failed(error: impl std::fmt::Display) -> ProveError {
    ProveError::Host(error.to_string())
}

impl Story {
    /// Lets so much happen as the seed says.
    pub fn tell(
        seed: u64,
        rounds: usize,
        setting: Setting,
        planted: Option<Planted>,
    ) -> Result<Self, ProveError> {
        let disk = Simulated::default();
        planted.into_iter().for_each(|planted| planted.in_disk(&disk));
        let mut story = Self::on(disk, setting, planted);
        let chance = &mut Chance::new(seed);
        let rig = Rig::open(&story.disk, BEGINNING_MS, &story.setting).map_err(failed)?;
        story.begin(&rig, 0)?;
        for _ in 0..rounds {
            let told = story.round(&rig, chance);
            story.disk.go_on();
            told?;
        }
        rig.close();
        Ok(story)
    }

    /// Lets so much happen on a disk of which every so manyth call fails. It ends where the host goes no further.
    pub fn fail(
        seed: u64,
        rounds: usize,
        setting: Setting,
        (each, failure): (u64, Failure),
    ) -> Result<Self, ProveError> {
        let mut story = Self::on(Simulated::default(), setting, None);
        let chance = &mut Chance::new(seed);
        let rig = Rig::open(&story.disk, BEGINNING_MS, &story.setting).map_err(failed)?;
        story.begin(&rig, 0)?;
        story.disk.fail_each(each, failure);
        let goes_on = (0..rounds).try_for_each(|_| story.failing_round(&rig, chance));
        if let Err(error) = goes_on {
            tracing::debug!(%error, "the host of the proof goes no further");
        }
        rig.close();
        Ok(story)
    }

    /// Deploys what runs, and publishes again all batches from this one on: behind a first frame that the disk stands still at.
    pub fn begin(&mut self, rig: &Rig, from: usize) -> Result<(), ProveError> {
        self.disk.stand_still();
        let begun = self.begin_behind(rig, from);
        self.disk.go_on();
        begun.map_err(failed)?;
        self.settle(rig)
    }

    fn begin_behind(&mut self, rig: &Rig, from: usize) -> Result<(), String> {
        rig.first_frame()?;
        self.disk.await_caller();
        match self.planted.is_some_and(Planted::is_by_hand) {
            true => by_hand::begin(rig, self.version)?,
            false => rig.deploy(self.version)?,
        }
        for batch in self.batches.iter_mut().skip(from) {
            batch.admitted = rig.publish(&batch.ticks).map_err(|error| error.to_string())?.0;
        }
        rig.run_ahead()
    }

    fn on(disk: Simulated, setting: Setting, planted: Option<Planted>) -> Self {
        Self {
            disk,
            setting,
            batches: Vec::new(),
            moments: Vec::new(),
            begins: Moment { now_ms: BEGINNING_MS, ..Moment::default() },
            frames: Vec::new(),
            discarded: Vec::new(),
            version: 1,
            planted,
            next_number: 1,
        }
    }

    /// Everything of a round goes to the disk as it comes. An error is where the host refuses.
    fn failing_round(&mut self, rig: &Rig, chance: &mut Chance) -> Result<(), ProveError> {
        self.advance(rig, chance);
        for _ in 0..=chance.below(WAITING_MAX) {
            rig.domain.journal().room().wait_blocking();
            self.publish(rig, chance)?;
        }
        rig.run().map_err(failed)?;
        if chance.one_in(3) {
            self.look_after_dead(rig, chance)?;
        }
        if chance.one_in(4) {
            self.version += 1;
            rig.deploy(self.version).map_err(failed)?;
        }
        self.settle(rig)?;
        if self.setting.views.is_some() && chance.one_in(3) {
            // A host says so in its log, and goes on.
            let _ = rig.domain.checkpoint();
            let _ = rig.domain.trim();
        }
        Ok(())
    }

    /// Lets time pass.
    fn advance(&mut self, rig: &Rig, chance: &mut Chance) {
        let passes_ms = 500 + chance.below(1_500) as u64;
        rig.clock.advance(passes_ms);
        self.moments.last_mut().into_iter().for_each(|moment| moment.now_ms += passes_ms);
    }

    /// The first frame is being written, and everything else of the round goes on ahead of it.
    pub fn round(&mut self, rig: &Rig, chance: &mut Chance) -> Result<(), ProveError> {
        self.advance(rig, chance);
        self.disk.stand_still();
        self.publish(rig, chance)?;
        self.disk.await_caller();
        for _ in 0..chance.below(WAITING_MAX + 1) {
            self.publish(rig, chance)?;
        }
        if self.planted == Some(Planted::AnswerBeforeCommit) {
            self.acknowledge(rig, rig.domain.journal().next().0);
        }
        if let Some(planted) = self.planted.filter(|planted| planted.is_by_hand()) {
            self.disk.go_on();
            self.version = by_hand::handle(rig, planted, self.version, chance).map_err(failed)?;
            return self.settle(rig);
        }
        rig.run_ahead().map_err(failed)?;
        if chance.one_in(3) {
            self.look_after_dead(rig, chance)?;
        }
        if chance.one_in(4) {
            self.version += 1;
            rig.deploy(self.version).map_err(failed)?;
            rig.run_ahead().map_err(failed)?;
        }
        self.disk.go_on();
        self.settle(rig)?;
        if self.setting.views.is_some() && chance.one_in(3) {
            rig.domain.checkpoint().map_err(failed)?;
            rig.domain.trim().map_err(failed)?;
            self.settle(rig)?;
        }
        Ok(())
    }

    fn publish(&mut self, rig: &Rig, chance: &mut Chance) -> Result<(), ProveError> {
        let ticks: Vec<Tick> = (0..=chance.below(EVENTS_MAX)).map(|_| self.tick(chance)).collect();
        let (admitted, _) = rig.publish(&ticks).map_err(failed)?;
        self.batches.push(Batch { ticks, admitted });
        Ok(())
    }

    fn tick(&mut self, chance: &mut Chance) -> Tick {
        let number = self.next_number;
        self.next_number += 1;
        let kind = if chance.one_in(6) { BAD } else { "key" };
        let padding = if chance.one_in(20) { 7_000 } else { chance.below(300) };
        Tick { number, key: format!("{kind}-{}", chance.below(KEYS)), padding }
    }

    /// Redrives what is dead, once mended, and gives one up now and then.
    fn look_after_dead(&mut self, rig: &Rig, chance: &mut Chance) -> Result<(), ProveError> {
        let mut dead = rig.dead();
        if !dead.is_empty() && chance.one_in(4) {
            let given_up = dead.swap_remove(chance.below(dead.len()));
            rig.domain.discard(&[given_up], Operator::Host).map_err(failed)?;
            let end = rig.domain.journal().next().0;
            self.discarded.extend(self.number_of(given_up).map(|number| (end, number)));
        }
        rig.mend(true);
        rig.redrive(&dead).map_err(failed)?;
        let ran = rig.run_ahead();
        rig.mend(false);
        ran.map_err(failed)
    }

    /// The number of the tick at an offset.
    fn number_of(&self, (_, offset): EventRef) -> Option<u64> {
        let all = self.batches.iter().flat_map(|batch| batch.ticks.iter().zip(&batch.admitted));
        all.into_iter().find(|(_, admitted)| admitted.offset == offset).map(|(tick, _)| tick.number)
    }

    /// Waits until all is durable, keeps what was written, and sets a mark.
    pub fn settle(&mut self, rig: &Rig) -> Result<(), ProveError> {
        let journal = rig.domain.journal();
        let end = journal.next();
        journal.durable().wait_blocking(end).map_err(failed)?;
        let from = self.frames.last().map_or(Position::START, Frame::end);
        self.frames.extend(all_frames(journal, from).map_err(failed)?);
        self.acknowledge(rig, end.0);
        Ok(())
    }

    /// Whatever was published by now, and everything before this position, counts as acknowledged.
    fn acknowledge(&mut self, rig: &Rig, durable: u64) {
        let moment = Moment { durable, acknowledged: self.batches.len(), now_ms: rig.domain.now_ms() };
        self.disk.mark(self.moments.len() as u64);
        self.moments.push(moment);
    }

    /// Takes over what is in a journal behind the frames that are known: a host that failed may have written more than it acknowledged.
    pub fn learn(&mut self, rig: &Rig) -> Result<(), crate::journal::Error> {
        let from = self.frames.last().map_or(Position::START, Frame::end);
        let journal = rig.domain.journal();
        if journal.next() > from {
            self.frames.extend(all_frames(journal, from.max(journal.first()))?);
        }
        Ok(())
    }

    /// What was known when so many calls had returned.
    pub fn moment(&self, calls: usize) -> Moment {
        let mark = self.disk.marked(calls).and_then(|mark| usize::try_from(mark).ok());
        mark.and_then(|mark| self.moments.get(mark)).copied().unwrap_or(self.begins)
    }

    /// The numbers that nobody handles any more in a journal that ends there.
    pub fn given_up(&self, next: u64) -> impl Iterator<Item = u64> {
        self.discarded.iter().filter(move |(end, _)| *end <= next).map(|(_, number)| *number)
    }
}
