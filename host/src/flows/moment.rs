//! One moment of a domain: who had not decided which offsets, taken at once. What is asked of it later is still answered as it was
//! then. It reads events only to find out whose flows they are.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashSet;
use uuid::Uuid;

use crate::channel::{Domain, ReadError, Reader};
use crate::journal::Position;
use crate::model::change::{ChannelId, ProcessorId, SubscriptionId};
use crate::model::record::flow_of;
use crate::model::report::HandlingStatus;
use crate::view::decided::Decided;
use crate::view::failed::EventRef;
use crate::view::reports::is_read;
use crate::view::world::{Subscription, World};

use super::FOLLOWER;
use super::runs::Mediators;

/// The most undecided events that are looked at for one answer.
pub const UNDECIDED_EVENTS_MAX: u64 = 1_000_000;

/// How many decided events in a row are passed over without being read.
const LEAP: u64 = 1000;

/// Who lagged where at one moment.
pub struct Moment {
    /// Everything below this position, and nothing else, had happened.
    pub position: u64,
    /// When it was.
    pub now_ms: u64,
    lags: BTreeMap<ChannelId, Lag>,
    /// The events that had failed.
    failed: BTreeMap<EventRef, Failed>,
    /// Those of them whose offsets were passed, by channel and offset.
    passed: BTreeMap<(ChannelId, u64), Vec<SubscriptionId>>,
    /// What the follower had not decided, and where it began.
    followed: BTreeMap<ChannelId, Laggard>,
    /// The mediators, whose runs may be in progress.
    pub mediators: Mediators,
}

/// An event that had failed and was not done with.
#[derive(Clone, Copy)]
struct Failed {
    flow: Uuid,
    status: HandlingStatus,
}

/// A channel that somebody had not read to its end.
struct Lag {
    next: u64,
    readers: Vec<Laggard>,
}

/// Somebody who had not decided everything.
struct Laggard {
    subscription: SubscriptionId,
    start: u64,
    decided: Decided,
}

impl Laggard {
    fn of(id: SubscriptionId, subscription: &Subscription) -> Self {
        Self { subscription: id, start: subscription.start, decided: subscription.decided.clone() }
    }
}

impl Moment {
    /// This moment.
    pub fn now(domain: &Domain) -> Self {
        domain.look(|world| Self::of(world, domain.visible(), domain.now_ms()))
    }

    fn of(world: &World, position: u64, now_ms: u64) -> Self {
        let mut moment = Self {
            position,
            now_ms,
            lags: BTreeMap::new(),
            failed: BTreeMap::new(),
            passed: BTreeMap::new(),
            followed: BTreeMap::new(),
            mediators: Mediators::of(world),
        };
        let follower = world.processor_id(FOLLOWER);
        for (id, subscription) in (0..).zip(world.subscriptions()) {
            moment.note(world, follower, id, subscription);
        }
        for processor in world.processors() {
            for (event, held) in &processor.held {
                let status = if held.again.is_some() { HandlingStatus::Parked } else { HandlingStatus::Held };
                moment.note_failed(world, *event, Failed { flow: held.flow, status });
            }
        }
        for (event, dead) in world.dead().iter() {
            let status = if dead.redriven.is_some() { HandlingStatus::Pending } else { HandlingStatus::Dead };
            moment.note_failed(world, event, Failed { flow: dead.flow, status });
        }
        moment
    }

    fn note_failed(&mut self, world: &World, (id, offset): EventRef, failed: Failed) {
        let Some(subscription) = world.subscriptions().get(id as usize).filter(|_| is_read(world, id)) else {
            return;
        };
        self.failed.insert((id, offset), failed);
        if subscription.decided.contains(offset) {
            self.passed.entry((subscription.channel, offset)).or_default().push(id);
        }
    }

    fn note(
        &mut self,
        world: &World,
        follower: Option<ProcessorId>,
        id: SubscriptionId,
        subscription: &Subscription,
    ) {
        if follower == Some(subscription.processor) {
            if !subscription.forgotten {
                self.followed.insert(subscription.channel, Laggard::of(id, subscription));
            }
            return;
        }
        let next = world.channels().get(subscription.channel as usize).map_or(0, |channel| channel.next);
        if subscription.decided.cursor() < next && is_read(world, id) {
            let lag = self.lags.entry(subscription.channel).or_insert(Lag { next, readers: Vec::new() });
            lag.readers.push(Laggard::of(id, subscription));
        }
    }

    /// Whether one of these runs is in progress.
    pub fn is_running(&self, runs: &BTreeSet<String>) -> bool {
        runs.iter().any(|run| self.mediators.in_progress(run, self.now_ms).is_some())
    }

    /// Waits until all that had happened is on the disk: only then may anybody be told.
    pub fn wait_durable(&self, domain: &Domain) -> Result<(), ReadError> {
        let durable = domain.durable().wait_blocking(Position(self.position));
        durable.map_err(|error| ReadError::Journal { why: error.to_string() })
    }

    /// Who had still to decide an event.
    pub fn left(&self, channel: ChannelId, offset: u64) -> impl Iterator<Item = SubscriptionId> {
        let lag = self.lags.get(&channel).filter(|lag| offset < lag.next);
        let readers = lag.map(|lag| lag.readers.as_slice()).unwrap_or_default();
        let passed = self.passed.get(&(channel, offset)).map(Vec::as_slice).unwrap_or_default();
        let lagging = readers.iter().filter(move |one| !one.decided.contains(offset));
        lagging.map(|one| one.subscription).chain(passed.iter().copied())
    }

    /// How far an event was that had failed.
    pub fn failed(&self, subscription: SubscriptionId, offset: u64) -> Option<HandlingStatus> {
        self.failed.get(&(subscription, offset)).map(|failed| failed.status)
    }

    /// Whether an event was stuck: it held its key until somebody looks, or was a dead letter.
    pub fn is_stuck(&self, subscription: SubscriptionId, offset: u64) -> bool {
        matches!(self.failed(subscription, offset), Some(HandlingStatus::Held | HandlingStatus::Dead))
    }

    /// The flows that had an event which was stuck.
    pub fn stuck_flows(&self) -> HashSet<Uuid> {
        let stuck = |failed: &&Failed| matches!(failed.status, HandlingStatus::Held | HandlingStatus::Dead);
        let events = self.failed.values().filter(stuck).map(|failed| failed.flow);
        events.chain(self.mediators.flows(true, self.now_ms)).collect()
    }

    /// Whether a rule holds for the flow that began at an offset: it began after the rule was there.
    pub fn is_ruled(&self, channel: ChannelId, offset: u64) -> bool {
        self.followed.get(&channel).is_some_and(|one| offset >= one.start)
    }

    /// The follower's subscription on a channel, with what it had decided.
    pub fn followed(&self, channel: ChannelId) -> Option<(SubscriptionId, &Decided)> {
        self.followed.get(&channel).map(|one| (one.subscription, &one.decided))
    }

    /// The flows of all events that somebody had still to decide, and of those that the follower follows on `followed`; and whether
    /// there were too many to look at.
    pub fn open_flows(
        &self,
        domain: &Domain,
        followed: &[ChannelId],
    ) -> Result<(HashSet<Uuid>, bool), ReadError> {
        let mut flows: HashSet<Uuid> = self.failed.values().map(|failed| failed.flow).collect();
        flows.extend(self.mediators.flows(false, self.now_ms));
        let followed = followed.iter().filter_map(|channel| self.followed.get_key_value(channel));
        let ends = domain.look(|world| {
            let next = |(channel, one): (&ChannelId, _)| {
                let next = world.channels().get(*channel as usize).map_or(0, |channel| channel.next);
                (*channel, next, std::slice::from_ref(one))
            };
            followed.map(next).collect::<Vec<_>>()
        });
        let lags = self.lags.iter().map(|(channel, lag)| (*channel, lag.next, lag.readers.as_slice()));
        let all: Vec<_> = lags.chain(ends).collect();
        let share = UNDECIDED_EVENTS_MAX / (all.len() as u64).max(1);
        let mut cut = false;
        for (channel, next, readers) in all {
            cut |= self.flows_of(domain, channel, next, readers, share, &mut flows)?;
        }
        Ok((flows, cut))
    }

    /// Says whether there are more undecided events than may be looked at.
    fn flows_of(
        &self,
        domain: &Domain,
        channel: ChannelId,
        next: u64,
        readers: &[Laggard],
        events_max: u64,
        flows: &mut HashSet<Uuid>,
    ) -> Result<bool, ReadError> {
        let Some(from) = readers.iter().map(|one| one.decided.cursor()).min() else { return Ok(false) };
        let mut reader = Reader::new(domain.clone(), channel, from);
        let mut events = 0;
        // The first undecided offset that is known.
        let mut undecided = from;
        let decided = |offset| readers.iter().all(|one| one.decided.contains(offset));
        while let Some(item) = reader.take()? {
            if item.offset >= next || item.position >= self.position {
                break;
            }
            if item.offset < undecided {
                continue;
            }
            undecided = (item.offset..next).find(|offset| !decided(*offset)).unwrap_or(next);
            if undecided > item.offset {
                if undecided > item.offset + LEAP {
                    reader = Reader::new(domain.clone(), channel, undecided);
                }
                continue;
            }
            if events == events_max {
                return Ok(true);
            }
            events += 1;
            flows.extend(flow_of(&item.record));
        }
        Ok(false)
    }
}
