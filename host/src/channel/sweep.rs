//! State that ends by itself: names that are expired are deleted, a timer of a run that is due is told to its mediator, and timers that run move with a
//! clock that is set. The fold reads no clock, so each takes a frame.

use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::model::change::{ChannelId, Draft, ProcessorId};
use crate::model::name::ChannelName;
use crate::model::record::{Record, Stamp};
use crate::model::workflow::post::inbox_of;
use crate::model::workflow::timer::{TIMER, Timer};
use crate::view::world::{Processor, World};

use super::posting::Post;
use super::{Domain, Refused};

/// The most names that are swept out of the state by one frame.
const SWEPT_MAX: usize = 1000;

/// A clock that goes so much faster or slower than time passes, in milliseconds, was set.
const SET_MS: u64 = 1_000;

/// What the clock showed when it was looked at last, and how much time had passed.
#[derive(Clone, Copy)]
pub(super) struct Looked {
    now_ms: u64,
    passed_ms: u64,
    /// Nobody has looked since the host began.
    is_first: bool,
}

impl Looked {
    /// When the host begins.
    pub fn first(clock: &dyn Clock) -> Self {
        Self { now_ms: clock.now_ms(), passed_ms: clock.passed_ms(), is_first: true }
    }
}

/// A name in the state of a processor: whose, key, name.
type Place = (ProcessorId, String, String);

/// A timer that is due, and what had it set.
struct Due {
    timer: Timer,
    inbox: ChannelId,
    mediator: String,
    /// Position and id of that event, as long as it is kept.
    cause: Option<(u64, String)>,
}

impl Domain {
    /// Deletes state that is expired, a bounded number of names, and tells the timers among them. Says how many names went.
    pub fn sweep_expired(&self) -> Result<usize, Refused> {
        let now_ms = self.now_ms();
        self.keep_timers(now_ms)?;
        let due = self.due_timers(now_ms);
        let mut owner = self.owner();
        let mut draft = Draft::default();
        let mut swept = 0;
        for (processor, state) in (0..).zip(owner.world.processors()) {
            let mediates = is_mediator(state);
            for (key, name) in state.state.expired(now_ms, SWEPT_MAX - swept) {
                let is_timer = mediates && name.starts_with(TIMER);
                let told = is_timer.then(|| due.get(&(processor, key.to_string(), name.to_string())));
                match told {
                    // It came up since: it is told the next time.
                    Some(None) => continue,
                    Some(Some(due)) => due.tell(&key, now_ms, &mut draft),
                    None => {}
                }
                draft.state_delete(processor, &key, &name);
                swept += 1;
            }
        }
        if swept > 0 {
            let (_, runs) = self.0.sequence(&mut owner, draft)?;
            let woken = owner.readers_of(&runs);
            self.give_back(owner);
            self.wake(woken);
        }
        Ok(swept)
    }

    /// Has timers end after the time that they are for, whatever the clock is set to meanwhile: those that are running move with it. When a host begins,
    /// none is further away than it was when it was set.
    fn keep_timers(&self, now_ms: u64) -> Result<(), Refused> {
        let passed_ms = self.clock().passed_ms();
        // Held to the end: a second sweep meanwhile waits, and what could not be recorded is moved by the next one.
        let mut looked = self.0.looked.lock();
        let before = *looked;
        let expected_ms = before.now_ms + passed_ms.saturating_sub(before.passed_ms);
        let is_set = expected_ms.abs_diff(now_ms) >= SET_MS;
        let now = Looked { now_ms, passed_ms, is_first: false };
        if !is_set && !before.is_first {
            *looked = now;
            return Ok(());
        }
        let moved = |timer: &Timer, due_ms: u64| {
            let due_ms = if is_set { (due_ms + now_ms).saturating_sub(expected_ms).max(1) } else { due_ms };
            if before.is_first { due_ms.min(now_ms.saturating_add(timer.after_ms)) } else { due_ms }
        };
        let states = self.look(|world| {
            let mediators = (0..).zip(world.processors()).filter(|(_, processor)| is_mediator(processor));
            mediators.map(|(id, mediator)| (id, mediator.state.clone())).collect::<Vec<_>>()
        });
        for (id, state) in states {
            let rows = state.rows(None, 0, usize::MAX).into_iter();
            let timers: Vec<_> = rows.filter(|(_, name, _)| name.starts_with(TIMER)).collect();
            for some in timers.chunks(SWEPT_MAX) {
                let mut owner = self.owner();
                let mut draft = Draft::default();
                for (key, name, value) in some {
                    let Some(timer) = Timer::read(&value.bytes) else { continue };
                    let due_ms = moved(&timer, value.expires_ms);
                    if due_ms != value.expires_ms && state.get(key, name, 0).as_ref() == Some(value) {
                        draft.state_set(id, key, name, due_ms, &value.bytes);
                    }
                }
                if !draft.is_empty() {
                    self.0.sequence(&mut owner, draft)?;
                }
            }
        }
        *looked = now;
        Ok(())
    }

    /// The timers that are due; what had them set is looked up without the owner's lock.
    fn due_timers(&self, now_ms: u64) -> BTreeMap<Place, Due> {
        let found = self.look(|world| {
            let processors = (0..).zip(world.processors()).filter(|(_, processor)| is_mediator(processor));
            processors.flat_map(|(id, processor)| timers(world, id, processor, now_ms)).collect::<Vec<_>>()
        });
        let with_cause = found.into_iter().map(|(place, due)| {
            let cause = self.cause_of(&due.timer);
            (place, Due { cause, ..due })
        });
        with_cause.collect()
    }

    fn cause_of(&self, timer: &Timer) -> Option<(u64, String)> {
        let channel = self.look(|world| world.channel_id(&timer.channel))?;
        let item = self.event_at(channel, timer.offset).ok()??;
        let record = Record::parse(&item.record).ok()?;
        Some((item.position, record.parts.id.to_owned()))
    }
}

fn is_mediator(processor: &Processor) -> bool {
    processor.deployment.as_ref().is_some_and(|deployment| deployment.descriptor.is_mediator())
}

/// The timers of a mediator that are due.
fn timers(world: &World, id: ProcessorId, processor: &Processor, now_ms: u64) -> Vec<(Place, Due)> {
    let mediator = processor.name.to_string();
    let inbox = ChannelName::new(inbox_of(&mediator)).ok();
    let Some(inbox) = inbox.and_then(|inbox| world.channel_id(inbox.as_str())) else { return Vec::new() };
    let expired = processor.state.expired(now_ms, SWEPT_MAX).into_iter();
    let timers = expired.filter(|(_, name)| name.starts_with(TIMER)).filter_map(|(key, name)| {
        let value = processor.state.get(&key, &name, 0)?;
        let (timer, mediator) = (Timer::read(&value.bytes)?, mediator.clone());
        Some(((id, key.to_string(), name.to_string()), Due { timer, inbox, mediator, cause: None }))
    });
    timers.collect()
}

impl Due {
    fn tell(&self, run: &str, now_ms: u64, draft: &mut Draft) {
        let Self { timer, inbox, mediator, cause } = self;
        let (cause, causationid) =
            cause.as_ref().map_or((None, None), |(position, id)| (Some(*position), Some(id.as_str())));
        let stamp = Stamp { flow: timer.flow.parse().unwrap_or_default(), cause, causationid, hops: 0 };
        let (id, message) = (format!("{run}.timer.{}", timer.number), timer.message());
        let (inbox, task, id, message) = (*inbox, timer.task.as_str(), id.as_str(), &message);
        Post { inbox, mediator, run, task, by: None, id, stamp, message }.draft(draft, now_ms);
    }
}
