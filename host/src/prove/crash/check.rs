//! What has to be true of a host after a power cut, whatever the cut was: what was acknowledged is there, what it adds up to is what its
//! frames say, outputs and positions are of one moment, and it goes on until every event has taken effect once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::frames::all_frames;
use super::handlers::{BAD, Count, RELAY, TALLY, TICKS, TOCKS, version_of};
use super::rig::{Rig, Setting, Tick, scratch};
use super::story::{Moment, Story};
use super::wrong::{Kind, Wrong};
use crate::journal::storage::simulated::{Chance, Cut, Failure, Image, Simulated};
use crate::journal::{Frame, verify};
use crate::model::change::{Change, Changes, Control};
use crate::model::record::Record;
use crate::view::ledger::audit;
use crate::view::world::World;

fn unopened(error: impl std::fmt::Display) -> Wrong {
    Wrong::new(Kind::Unopened, error)
}

impl Story {
    /// One power cut, another one while the host recovers from it, and what follows.
    pub fn cut(&self, cut: Cut, chance: &mut Chance) -> Result<(), Wrong> {
        let calls = chance.below(self.disk.len() + 1);
        let moment = self.moment(calls);
        let recovering = {
            let (disk, rig) = self.open(self.disk.cut(calls, cut, chance), moment)?;
            self.check(&rig, moment)?;
            rig.close();
            disk
        };
        let calls = chance.below(recovering.len() + 1);
        let (_, rig) = self.open(recovering.cut(calls, cut, chance), moment)?;
        self.check(&rig, moment)?;
        self.goes_on(&rig, moment)
    }

    /// What a restart shows of a disk that failed, and what a power cut leaves of it: both are as they have to be, and go on.
    pub fn after_failures(
        &mut self,
        cut: Cut,
        chance: &mut Chance,
        again: (u64, Failure),
    ) -> Result<(), Wrong> {
        let calls = self.disk.len();
        let (moment, known) = (self.moment(calls), self.frames.len());
        let shown = self.disk.shown().map_err(unopened)?;
        for image in [shown, self.disk.cut(calls, cut, chance)] {
            let image = open_in_vain(image, moment, again)?;
            let (_, rig) = self.open(image, moment)?;
            self.frames.truncate(known);
            self.learn(&rig).map_err(unopened)?;
            self.check(&rig, moment)?;
            self.goes_on(&rig, moment)?;
        }
        Ok(())
    }

    /// Opens what is left in a host.
    pub fn open(&self, image: Image, moment: Moment) -> Result<(Simulated, Rig), Wrong> {
        let has_checkpoint = image.keys().any(|name| name.ends_with(".ckpt"));
        let has_views = has_checkpoint || self.setting.views.is_some();
        let views = has_views.then(scratch).transpose().map_err(unopened)?;
        let disk = Simulated::with(image).map_err(unopened)?;
        let report = verify(Arc::new(disk.clone()), |_, _| {}).map_err(unopened)?;
        let setting =
            Setting { views: views.as_ref().map(|folder| folder.path().to_owned()), ..self.setting.clone() };
        let rig = Rig::open(&disk, moment.now_ms, &setting).map_err(unopened)?.in_folder(views);
        match report.is_whole() {
            true => Ok((disk, rig)),
            false => Err(Wrong::new(Kind::Torn, "`verify` finds damage")),
        }
    }

    /// What was acknowledged is there, and what is there fits together.
    pub fn check(&self, rig: &Rig, moment: Moment) -> Result<(), Wrong> {
        let journal = rig.domain.journal();
        let next = journal.next();
        if next.0 < moment.durable {
            let durable = moment.durable;
            let what = format!("position {durable} was acknowledged and the journal ends at {next}");
            return Err(Wrong::new(Kind::Lost, what));
        }
        let kept = all_frames(journal, journal.first()).map_err(|error| Wrong::new(Kind::Torn, error))?;
        let written = self.frames.iter().filter(|frame| (journal.first()..next).contains(&frame.position));
        if !kept.iter().eq(written) {
            return Err(Wrong::new(Kind::Torn, format!("{} frames are not those written", kept.len())));
        }
        let expected = print(&fold(self.frames.iter().filter(|frame| frame.position < next)));
        let found = rig.domain.look(print);
        if found != expected {
            let what = format!("what it adds up to is {found}, and its frames say {expected}");
            return Err(Wrong::new(Kind::Apart, what));
        }
        is_of_one_moment(rig)
    }

    /// Publishes again what nobody acknowledged, and everything that came later; then all of it has taken effect once.
    fn goes_on(&self, rig: &Rig, moment: Moment) -> Result<(), Wrong> {
        self.is_known(rig, moment)?;
        let given_up: BTreeSet<u64> = self.given_up(rig.domain.journal().next().0).collect();
        rig.mend(true);
        let version = rig.domain.look(running_version).unwrap_or(self.version);
        rig.deploy(version).map_err(unopened)?;
        for batch in self.batches.iter().skip(moment.acknowledged) {
            rig.publish(&batch.ticks).map_err(unopened)?;
        }
        rig.run().map_err(unopened)?;
        rig.redrive(&rig.dead()).map_err(unopened)?;
        rig.run().map_err(unopened)?;
        let ticks = self.batches.iter().flat_map(|batch| &batch.ticks);
        handled_once(rig, ticks.filter(|tick| !given_up.contains(&tick.number)))
    }

    /// Whoever publishes again what was acknowledged last is told where it is.
    pub fn is_known(&self, rig: &Rig, moment: Moment) -> Result<(), Wrong> {
        let last = moment.acknowledged.checked_sub(1).and_then(|last| self.batches.get(last));
        let Some(batch) = last else { return Ok(()) };
        let (admitted, _) = rig.publish(&batch.ticks).map_err(unopened)?;
        let mut places = admitted.iter().zip(&batch.admitted);
        match places.all(|(again, first)| again.duplicate && again.offset == first.offset) {
            true => Ok(()),
            false => {
                Err(Wrong::new(Kind::NotOnce, "what was acknowledged counts as new when it comes again"))
            }
        }
    }
}

impl Story {
    /// Nothing was passed on by a version after the one that replaced it was deployed.
    pub fn check_versions(&self) -> Result<(), Wrong> {
        let (mut current, mut world) = (0, World::default());
        for change in self.frames.iter().flat_map(|frame| Changes::new(&frame.body).map_while(Result::ok)) {
            world.fold(&change);
            match change {
                Change::Control(control) if matches!(*control, Control::Deployed { .. }) => {
                    current = running_version(&world).unwrap_or(current);
                }
                Change::Event { channel, record, .. } if world.channel_id(TOCKS) == Some(channel) => {
                    let data = Record::parse(record).ok().and_then(|record| record.to_event().data);
                    let version = data.as_deref().and_then(version_of).unwrap_or_default();
                    if version != current {
                        let what =
                            format!("version {version} passed an event on, and {current} was deployed");
                        return Err(Wrong::new(Kind::Retired, what));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Opens a disk that goes on failing; what that leaves of it.
fn open_in_vain(image: Image, moment: Moment, (each, failure): (u64, Failure)) -> Result<Image, Wrong> {
    let disk = Simulated::with(image).map_err(unopened)?;
    disk.fail_each(each, failure);
    let opened = Rig::open(&disk, moment.now_ms, &Setting::default());
    let panicked = opened.as_ref().err().filter(|why| why.contains("panicked"));
    panicked.map_or(Ok(()), |why| Err(Wrong::new(Kind::Panicked, why)))?;
    drop(opened);
    disk.mend();
    disk.shown().map_err(unopened)
}

/// The version of the relay that is deployed.
pub fn running_version(world: &World) -> Option<u32> {
    let processor = world.processors().get(world.processor_id(RELAY)? as usize)?;
    processor.deployment.as_ref()?.descriptor.version.parse().ok()
}

fn fold<'a>(frames: impl Iterator<Item = &'a Frame>) -> World {
    let mut world = World::default();
    for frame in frames {
        Changes::new(&frame.body).map_while(Result::ok).for_each(|change| world.fold(&change));
    }
    world
}

/// All that frames add up to, as text.
fn print(world: &World) -> String {
    let mut text = String::new();
    for channel in world.channels() {
        text += &format!("[{} {}..{}]", channel.name, channel.first, channel.next);
    }
    for s in world.subscriptions() {
        let ahead: Vec<u64> = s.decided.ahead_offsets().collect();
        let cursor = s.decided.cursor();
        text += &format!(
            "[{} on {}: {cursor}+{ahead:?}, acked {}, expired {}, discarded {}]",
            s.processor, s.channel, s.acked, s.expired, s.discarded
        );
    }
    for processor in world.processors() {
        let deployed = processor.deployment.as_ref().map(|deployment| deployment.generation);
        let held: Vec<_> = processor.held.keys().collect();
        text += &format!("[{} generation {deployed:?}, holds {held:?}", processor.name);
        for (key, name, value) in processor.state.rows(None, 0, usize::MAX) {
            // A text takes whatever is written to it.
            let _ = write!(text, ", {key}.{name}={}", String::from_utf8_lossy(&value.bytes));
        }
        text += "]";
    }
    for (event, dead) in world.dead().iter() {
        text += &format!("[dead {event:?} after {}, redriven {:?}]", dead.count, dead.redriven);
    }
    text
}

/// What the relay is done with, what it emitted and what it counted tell the same.
fn is_of_one_moment(rig: &Rig) -> Result<(), Wrong> {
    let apart = |what: String| Err(Wrong::new(Kind::Apart, what));
    let (acked, emitted) = rig.domain.look(|world| {
        let subscription = subscription(world, RELAY, TICKS);
        let tocks = world.channel_id(TOCKS).and_then(|id| world.channels().get(id as usize));
        (subscription.map_or(0, |s| s.acked), tocks.map_or(0, |channel| channel.next))
    });
    let counted = rig.counted(RELAY).events;
    if acked != emitted || acked != counted {
        return apart(format!("{acked} events are handled, {emitted} passed on and {counted} in state"));
    }
    let (ticks, tocks) = (rig.read(TICKS).map_err(unopened)?, rig.read(TOCKS).map_err(unopened)?);
    let passed_on: BTreeSet<u64> = tocks.values().map(|(number, _)| *number).collect();
    if passed_on.len() != tocks.len() {
        return Err(Wrong::new(Kind::NotOnce, "an event was passed on twice"));
    }
    for (offset, (number, _)) in ticks {
        let is_handled = rig.domain.look(|world| {
            let id = subscription_id(world, RELAY, TICKS)?;
            Some(world.is_decided((id, offset)) && world.dead().get((id, offset)).is_none())
        });
        if is_handled != Some(true) && passed_on.contains(&number) {
            return apart(format!("event {number} was passed on and is not handled"));
        }
    }
    let alarms = rig.domain.look(audit);
    if alarms.is_empty() { Ok(()) } else { apart(format!("the books do not balance: {alarms:?}")) }
}

fn subscription_id(world: &World, processor: &str, channel: &str) -> Option<u32> {
    world.subscription_of(world.processor_id(processor)?, world.channel_id(channel)?)
}

fn subscription<'a>(
    world: &'a World,
    processor: &str,
    channel: &str,
) -> Option<&'a crate::view::world::Subscription> {
    world.subscriptions().get(subscription_id(world, processor, channel)? as usize)
}

/// Of each key that never failed, the events were passed on in the order in which they were published.
fn is_in_order(rig: &Rig) -> Result<(), Wrong> {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for (number, key) in rig.read(TOCKS).map_err(unopened)?.into_values() {
        if let Some(before) = last.insert(key.clone(), number)
            && before > number
            && !key.starts_with(BAD)
        {
            let what = format!("event {number} of {key} was passed on behind {before}");
            return Err(Wrong::new(Kind::Disorder, what));
        }
    }
    Ok(())
}

/// Both processors have counted each of these once, and nothing else.
pub fn handled_once<'a>(rig: &Rig, ticks: impl Iterator<Item = &'a Tick>) -> Result<(), Wrong> {
    let expected = ticks.fold(Count::default(), |count, tick| count.with(tick.number));
    is_of_one_moment(rig)?;
    is_in_order(rig)?;
    for processor in [RELAY, TALLY] {
        let counted = rig.counted(processor);
        if counted != expected {
            let what = format!("{processor} has counted {counted:?}, and there were {expected:?}");
            return Err(Wrong::new(Kind::NotOnce, what));
        }
    }
    Ok(())
}
