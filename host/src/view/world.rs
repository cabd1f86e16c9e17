//! What the frames so far add up to: channels, processors, subscriptions, deployments, state. A fold: it inserts,
//! replaces and deletes, reads no clock, and does the same whether a frame is new or read again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;

use crate::model::change::{Change, ChannelId, Control, ProcessorId, Skip, SubscriptionId};
use crate::model::deployment::Deployment;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::operation::Operation;
use crate::model::runs::Runs;

use super::decided::Decided;
use super::failed::{Attempts, Dead, DeadLetters, EventRef, Held};
use super::state::{ProcessorState, StateRow, StateValue};

/// A channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its name.
    pub name: ChannelName,
    /// The oldest offset that it has; what was before is expired.
    pub first: u64,
    /// The offset that the next event gets.
    pub next: u64,
    /// When the newest expired event was recorded, milliseconds since the Unix epoch; 0 before any was.
    pub expired_until_ms: u64,
    /// The subscriptions that read it, forgotten ones left out.
    pub subscriptions: Vec<SubscriptionId>,
}

impl Channel {
    /// A channel without an event or a reader.
    pub fn new(name: ChannelName) -> Self {
        Self { name, first: 0, next: 0, expired_until_ms: 0, subscriptions: Vec::new() }
    }
}

/// A processor, deployed or not.
#[derive(Clone)]
pub struct Processor {
    /// Its name.
    pub name: ProcessorName,
    /// What runs, or ran last.
    pub deployment: Option<Arc<Deployment>>,
    /// Whether it is meant to run.
    pub deployed: bool,
    /// Its subscriptions, forgotten ones left out.
    pub subscriptions: Vec<SubscriptionId>,
    /// The events that failed and are not given up.
    pub held: BTreeMap<EventRef, Held>,
    /// What an operator said of it: paused and why, a rate, bounds for its lanes.
    pub operation: Operation,
    /// Its keyed state.
    pub state: Arc<ProcessorState>,
}

impl Processor {
    fn release(&mut self) {
        self.held.values_mut().for_each(Held::anew);
    }

    fn pass_over(&mut self, subscription: SubscriptionId, to: u64) {
        self.held.retain(|event, _| event.0 != subscription || event.1 >= to);
    }
}

/// A processor's durable position on one channel.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Who reads.
    pub processor: ProcessorId,
    /// What is read.
    pub channel: ChannelId,
    /// The first offset that it gets.
    pub start: u64,
    /// What it is done with.
    pub decided: Decided,
    /// How many of the events from `start` on were expired before it decided them.
    pub expired: u64,
    /// How many events it is done with because its filter did not pass them.
    pub filtered: u64,
    /// How many events it handled.
    pub acked: u64,
    /// How many events it gave up for good, because an operator said so.
    pub discarded: u64,
    /// How often the events of the channel may have been handled before for the same processor: counts resets, and what was
    /// forgotten. It keeps the ids apart that they cause.
    pub replays: u32,
    /// Its processor was undeployed for good: it keeps its number, and nobody reads by it.
    pub forgotten: bool,
}

impl Subscription {
    /// A subscription to all events from `start` on, of a channel that has those from `first` on: what lies between is expired for it.
    pub fn new(processor: ProcessorId, channel: ChannelId, start: u64, first: u64) -> Self {
        let mut decided = Decided::from(start);
        let expired = decided.advance_to(first);
        Self {
            processor,
            channel,
            start,
            decided,
            expired,
            filtered: 0,
            acked: 0,
            discarded: 0,
            replays: 0,
            forgotten: false,
        }
    }
}

impl Subscription {
    /// How many events it is done with by now, those left out that its filter did not pass or that expired.
    pub fn done_otherwise(&self) -> u64 {
        let done = self.decided.cursor() - self.start + self.decided.ahead();
        done.saturating_sub(self.expired).saturating_sub(self.filtered)
    }
}

/// The fold.
#[derive(Default)]
pub struct World {
    channels: Vec<Channel>,
    channel_ids: HashMap<String, ChannelId>,
    processors: Vec<Processor>,
    processor_ids: HashMap<String, ProcessorId>,
    subscriptions: Vec<Subscription>,
    deployments: Vec<Arc<Deployment>>,
    dead: DeadLetters,
    dirty: Dirty,
}

/// What changed since the store last took it.
#[derive(Default)]
struct Dirty {
    channels: BTreeSet<ChannelId>,
    processors: BTreeSet<ProcessorId>,
    subscriptions: BTreeSet<SubscriptionId>,
    deployments: BTreeSet<usize>,
}

/// Rows for the store, coalesced: a row that changed often is here once.
#[derive(Default)]
pub struct Rows {
    /// Number, name, next offset.
    pub channels: Vec<(ChannelId, Channel)>,
    /// Processors without their state.
    pub processors: Vec<(ProcessorId, Processor)>,
    /// Subscriptions, forgotten ones too.
    pub subscriptions: Vec<(SubscriptionId, Subscription)>,
    /// Deployments by their place in the list.
    pub deployments: Vec<(usize, Arc<Deployment>)>,
    /// Dead letters; those that are none any more without a row.
    pub dead: Vec<(EventRef, Option<Arc<Dead>>)>,
    /// State by processor.
    pub state: Vec<(ProcessorId, Vec<StateRow>)>,
}

impl World {
    /// Takes one change in.
    pub fn fold(&mut self, change: &Change<'_>) {
        match change {
            Change::Event { channel, offset, .. } => self.appended(*channel, offset + 1),
            Change::Decided { subscription, offset, .. } => self.decide(*subscription, *offset),
            Change::StateSet { processor, key, name, expires_ms, value } => {
                let value = StateValue { bytes: (*value).into(), expires_ms: *expires_ms };
                self.set_state(*processor, key, name, Some(value));
            }
            Change::StateDelete { processor, key, name } => self.set_state(*processor, key, name, None),
            Change::Reply { .. } => {}
            Change::Skipped(skip) => self.skip(skip),
            Change::Control(control) => self.control(control),
        }
    }

    /// Takes in a frame of these events and decisions alone: the same as its changes one after the other.
    pub fn fold_plain(&mut self, runs: &Runs, decisions: &[(SubscriptionId, u64)]) {
        runs.iter().for_each(|run| self.appended(run.channel, run.end()));
        decisions.iter().for_each(|(subscription, offset)| self.decide(*subscription, *offset));
    }

    fn appended(&mut self, id: ChannelId, next: u64) {
        if let Some(channel) = self.channels.get_mut(id as usize) {
            channel.next = next;
        }
        self.dirty.channels.insert(id);
    }

    fn decide(&mut self, id: SubscriptionId, offset: u64) {
        let Some(subscription) = self.subscriptions.get_mut(id as usize) else { return };
        let is_new = subscription.decided.insert(offset);
        self.dirty.subscriptions.insert(id);
        // What failed before is decided in its place; that of a dead letter is taken already.
        if self.take_failed((id, offset), is_new) || is_new {
            self.subscriptions.get_mut(id as usize).into_iter().for_each(|s| s.acked += 1);
        }
    }

    /// Forgets that an event failed, which goes on now; a dead letter that nobody has redriven stays one, and no event is one that is
    /// decided for the first time.
    fn take_failed(&mut self, event: EventRef, is_new: bool) -> bool {
        let Some(processor) = self.subscriptions.get(event.0 as usize).map(|s| s.processor) else {
            return false;
        };
        let Some(state) = self.processors.get_mut(processor as usize) else { return false };
        let held = !state.held.is_empty() && state.held.remove(&event).is_some();
        if held {
            self.dirty.processors.insert(processor);
        }
        let redriven = !is_new && self.dead.get(event).is_some_and(|dead| dead.redriven.is_some());
        (redriven && self.dead.remove(event).is_some()) || held
    }

    fn skip(&mut self, skip: &Skip) {
        if let Some(subscription) = self.subscriptions.get_mut(skip.subscription as usize) {
            subscription.filtered += subscription.decided.insert_run(skip.from, skip.to);
            self.dirty.subscriptions.insert(skip.subscription);
        }
    }

    fn set_state(&mut self, processor: ProcessorId, key: &str, name: &str, value: Option<StateValue>) {
        if let Some(processor) = self.processors.get(processor as usize) {
            processor.state.set(key, name, value);
        }
    }

    fn control(&mut self, control: &Control) {
        match control {
            Control::ChannelCreated { channel, name } => {
                self.load_channel(*channel, Channel::new(name.clone()));
                self.dirty.channels.insert(*channel);
            }
            Control::ProcessorNamed { processor, name } => {
                let named = Processor {
                    name: name.clone(),
                    deployment: None,
                    deployed: false,
                    subscriptions: Vec::new(),
                    held: BTreeMap::new(),
                    operation: Operation::default(),
                    state: Arc::default(),
                };
                self.load_processor(*processor, named);
                self.dirty.processors.insert(*processor);
            }
            Control::SubscriptionCreated { subscription, processor, channel, start } => {
                let first = self.channels.get(*channel as usize).map_or(0, |channel| channel.first);
                let replays = self.replays_before(*processor, *channel);
                let created =
                    Subscription { replays, ..Subscription::new(*processor, *channel, *start, first) };
                self.load_subscription(*subscription, created);
                self.dirty.subscriptions.insert(*subscription);
                self.dirty.processors.insert(*processor);
                self.dirty.channels.insert(*channel);
            }
            Control::Deployed { deployment } => self.deployed(deployment),
            Control::Switched { processor, generation, pauses_us } => {
                self.switched(*processor, *generation, pauses_us);
            }
            Control::Undeployed { processor, forget } => self.undeployed(*processor, *forget),
            Control::SubscriptionReset { subscription, to, clear_state } => {
                self.reset(*subscription, *to, *clear_state);
            }
            Control::Held { .. }
            | Control::Died { .. }
            | Control::Released { .. }
            | Control::Redriven { .. }
            | Control::Discarded { .. } => self.failure(control),
            Control::Expired { channel, to, until_ms } => self.expired(*channel, *to, *until_ms),
            Control::Paused { processor, paused } => {
                self.operate(*processor, |operation| operation.paused = Some(paused.clone()));
            }
            Control::Resumed { processor, rate, .. } => self.operate(*processor, |operation| {
                (operation.paused, operation.rate) = (None, *rate);
            }),
            Control::Approved { processor, approved } => {
                self.operate(*processor, |operation| operation.approved = Some(approved.clone()));
            }
            Control::Scaled { processor, lanes, .. } => {
                self.operate(*processor, |operation| operation.lanes = *lanes);
            }
        }
    }

    /// Something happened to events that failed.
    fn failure(&mut self, control: &Control) {
        match control {
            Control::Held { subscription, offset, position, flow, key, fault, again } => {
                let held = Held::new(*position, *flow, key.clone(), fault.clone(), *again);
                self.held((*subscription, *offset), held);
            }
            Control::Died { subscription, offset, position, flow, key, fault } => {
                let last = Held::new(*position, *flow, key.clone(), fault.clone(), None);
                self.died((*subscription, *offset), last);
            }
            Control::Redriven { subscription, offset, at, .. } => {
                self.redriven((*subscription, *offset), *at)
            }
            Control::Discarded { subscription, offset, .. } => self.discarded((*subscription, *offset)),
            Control::Released { processor, events: None } => {
                self.with_processor(*processor, Processor::release);
            }
            Control::Released { processor, events: Some(events) } => {
                self.with_processor(*processor, |processor| {
                    for event in events {
                        processor.held.get_mut(event).into_iter().for_each(Held::anew);
                    }
                });
            }
            _ => {}
        }
    }

    fn with_processor(&mut self, id: ProcessorId, change: impl FnOnce(&mut Processor)) {
        if let Some(processor) = self.processors.get_mut(id as usize) {
            change(processor);
            self.dirty.processors.insert(id);
        }
    }

    fn operate(&mut self, id: ProcessorId, change: impl FnOnce(&mut Operation)) {
        self.with_processor(id, |processor| change(&mut processor.operation));
    }

    fn deployed(&mut self, deployment: &Deployment) {
        let shared = Arc::new(deployment.clone());
        self.dirty.deployments.insert(self.deployments.len());
        self.deployments.push(shared.clone());
        self.with_processor(deployment.processor, |processor| {
            processor.deployment = Some(shared);
            processor.deployed = true;
        });
    }

    fn switched(&mut self, processor: ProcessorId, generation: u64, pauses_us: &[u64]) {
        let of = |d: &Arc<Deployment>| d.processor == processor && d.generation == generation;
        let Some(index) = self.deployments.iter().rposition(of) else { return };
        let Some(slot) = self.deployments.get_mut(index) else { return };
        Arc::make_mut(slot).pauses_us = pauses_us.to_vec();
        let shared = slot.clone();
        self.dirty.deployments.insert(index);
        self.with_processor(processor, |processor| {
            if processor.deployment.as_ref().is_some_and(|current| current.generation == generation) {
                processor.deployment = Some(shared);
            }
        });
    }

    fn undeployed(&mut self, id: ProcessorId, forget: bool) {
        let mut forgotten = Vec::new();
        self.with_processor(id, |processor| {
            processor.deployed = false;
            processor.release();
            if forget {
                processor.held.clear();
                processor.operation = Operation::default();
                forgotten = std::mem::take(&mut processor.subscriptions);
                processor.state.clear();
            }
        });
        forgotten.into_iter().for_each(|subscription| self.forget(subscription));
    }

    fn forget(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.get_mut(id as usize) else { return };
        subscription.forgotten = true;
        self.dirty.subscriptions.insert(id);
        self.dead.remove_before(id, u64::MAX);
        if let Some(channel) = self.channels.get_mut(subscription.channel as usize) {
            channel.subscriptions.retain(|other| *other != id);
        }
    }

    fn replays_before(&self, processor: ProcessorId, channel: ChannelId) -> u32 {
        let same = |s: &&Subscription| (s.processor, s.channel) == (processor, channel);
        self.subscriptions.iter().filter(same).map(|s| s.replays + 1).max().unwrap_or(0)
    }

    fn reset(&mut self, id: SubscriptionId, to: u64, clear_state: bool) {
        let Some(subscription) = self.subscriptions.get_mut(id as usize) else { return };
        let first = self.channels.get(subscription.channel as usize).map_or(0, |channel| channel.first);
        subscription.start = to;
        subscription.decided = Decided::from(to);
        subscription.expired = subscription.decided.advance_to(first);
        (subscription.filtered, subscription.acked, subscription.discarded) = (0, 0, 0);
        subscription.replays += 1;
        self.dead.remove_before(id, u64::MAX);
        self.dirty.subscriptions.insert(id);
        let processor = subscription.processor;
        self.with_processor(processor, |processor| {
            processor.held.retain(|(of, _), _| *of != id);
            if clear_state {
                processor.state.clear();
            }
        });
    }

    /// The attempts at an event so far, which is then no failed event any more.
    fn attempts_before(&mut self, event: EventRef, processor: ProcessorId) -> Option<Attempts> {
        let held = self.processors.get_mut(processor as usize).and_then(|p| p.held.remove(&event));
        let dead = self.dead.remove(event);
        held.map(Attempts::from).or_else(|| dead.map(|dead| Attempts::from(&*dead)))
    }

    fn with_attempts(&mut self, event: EventRef, last: Held) -> Option<(ProcessorId, Held)> {
        let processor = self.subscriptions.get(event.0 as usize).map(|s| s.processor)?;
        self.dirty.processors.insert(processor);
        Some(match self.attempts_before(event, processor) {
            Some(earlier) => (processor, last.after(earlier)),
            None => (processor, last),
        })
    }

    fn held(&mut self, event: EventRef, last: Held) {
        let Some((processor, held)) = self.with_attempts(event, last) else { return };
        self.with_processor(processor, |processor| drop(processor.held.insert(event, held)));
    }

    fn died(&mut self, event: EventRef, last: Held) {
        let Some((_, last)) = self.with_attempts(event, last) else { return };
        self.dead.insert(event, Dead::new(last));
        if let Some(subscription) = self.subscriptions.get_mut(event.0 as usize) {
            subscription.decided.insert(event.1);
        }
        self.dirty.subscriptions.insert(event.0);
    }

    fn redriven(&mut self, event: EventRef, at: u64) {
        if let Some(dead) = self.dead.get(event).filter(|dead| dead.redriven.is_none()) {
            let redriven = Dead { redriven: Some(at), ..Dead::clone(dead) };
            self.dead.insert(event, redriven);
        }
    }

    fn discarded(&mut self, event: EventRef) {
        let Some(processor) = self.subscriptions.get(event.0 as usize).map(|s| s.processor) else { return };
        if self.attempts_before(event, processor).is_some() {
            self.dirty.processors.insert(processor);
            self.dirty.subscriptions.insert(event.0);
            self.subscriptions.get_mut(event.0 as usize).into_iter().for_each(|subscription| {
                subscription.decided.insert(event.1);
                subscription.discarded += 1;
            });
        }
    }

    /// Whoever reads the channel passes over what is gone.
    fn expired(&mut self, id: ChannelId, to: u64, until_ms: u64) {
        let Some(channel) = self.channels.get_mut(id as usize) else { return };
        channel.first = channel.first.max(to);
        channel.expired_until_ms = channel.expired_until_ms.max(until_ms);
        self.dirty.channels.insert(id);
        for id in channel.subscriptions.clone() {
            let Some(subscription) = self.subscriptions.get_mut(id as usize) else { continue };
            let processor = self.processors.get(subscription.processor as usize);
            let passed = |offset: u64| subscription.decided.contains(offset);
            let failed = processor.map(|processor| processor.held.range((id, 0)..(id, to)));
            let again =
                failed.into_iter().flatten().filter(|((_, offset), _)| passed(*offset)).count() as u64;
            subscription.expired +=
                again + subscription.decided.advance_to(to) + self.dead.remove_before(id, to);
            self.dirty.subscriptions.insert(id);
            let processor = subscription.processor;
            self.with_processor(processor, |processor| processor.pass_over(id, to));
        }
    }

    /// Takes a channel over from the store; numbers come in order.
    pub fn load_channel(&mut self, id: ChannelId, channel: Channel) {
        self.channel_ids.insert(channel.name.as_str().to_owned(), id);
        self.channels.push(channel);
    }

    /// Takes a processor over from the store; numbers come in order.
    pub fn load_processor(&mut self, id: ProcessorId, processor: Processor) {
        self.processor_ids.insert(processor.name.as_str().to_owned(), id);
        self.processors.push(processor);
    }

    /// Takes a subscription over, and unless it is forgotten enters it with its processor and its channel; numbers come in
    /// order.
    pub fn load_subscription(&mut self, id: SubscriptionId, subscription: Subscription) {
        if subscription.forgotten {
            self.subscriptions.push(subscription);
            return;
        }
        if let Some(processor) = self.processors.get_mut(subscription.processor as usize) {
            processor.subscriptions.push(id);
        }
        if let Some(channel) = self.channels.get_mut(subscription.channel as usize) {
            channel.subscriptions.push(id);
        }
        self.subscriptions.push(subscription);
    }

    /// Takes a deployment over from the store; they come in order. `current` ones are those of their processors.
    pub fn load_deployment(&mut self, deployment: Deployment) {
        let shared = Arc::new(deployment);
        self.deployments.push(shared.clone());
        if let Some(processor) = self.processors.get_mut(shared.processor as usize) {
            processor.deployment = Some(shared);
        }
    }

    /// All channels; a channel's number is its place.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// All processors; a processor's number is its place.
    pub fn processors(&self) -> &[Processor] {
        &self.processors
    }

    /// The dead letters.
    pub fn dead(&self) -> &DeadLetters {
        &self.dead
    }

    /// Takes dead letters over from the store.
    pub fn dead_mut(&mut self) -> &mut DeadLetters {
        &mut self.dead
    }

    /// Whether a subscription is done with an event: it handled it, or it is filtered, expired, discarded or a dead letter.
    pub fn is_decided(&self, (id, offset): EventRef) -> bool {
        let Some(subscription) = self.subscriptions.get(id as usize) else { return false };
        subscription.decided.contains(offset) && !self.is_revived((id, offset))
    }

    /// Whether an event is to be handled although its offset is passed: a dead letter that was redriven.
    pub fn is_revived(&self, event: EventRef) -> bool {
        let processor = self.subscriptions.get(event.0 as usize).map(|s| s.processor as usize);
        let processor = processor.and_then(|processor| self.processors.get(processor));
        processor.is_some_and(|processor| processor.held.contains_key(&event))
            || self.dead.get(event).is_some_and(|dead| dead.redriven.is_some())
    }

    /// The lowest offset that a subscription may still have to read: of what it has not decided, and of what failed.
    pub fn needed_from(&self, id: SubscriptionId) -> Option<u64> {
        let subscription = self.subscriptions.get(id as usize)?;
        let processor = self.processors.get(subscription.processor as usize)?;
        let held = processor.held.range((id, 0)..=(id, u64::MAX)).next().map(|((_, offset), _)| *offset);
        let dead = self.dead.of(id, 0).next().map(|(offset, _)| offset);
        [held, dead].into_iter().flatten().chain([subscription.decided.cursor()]).min()
    }

    /// All subscriptions; a subscription's number is its place.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// All deployments, oldest first.
    pub fn deployments(&self) -> &[Arc<Deployment>] {
        &self.deployments
    }

    /// The number of a channel.
    pub fn channel_id(&self, name: &str) -> Option<ChannelId> {
        self.channel_ids.get(name).copied()
    }

    /// The number of a processor.
    pub fn processor_id(&self, name: &str) -> Option<ProcessorId> {
        self.processor_ids.get(name).copied()
    }

    /// The live subscription of a processor on a channel.
    pub fn subscription_of(&self, processor: ProcessorId, channel: ChannelId) -> Option<SubscriptionId> {
        let ids = &self.processors.get(processor as usize)?.subscriptions;
        let on =
            |id: &SubscriptionId| self.subscriptions.get(*id as usize).is_some_and(|s| s.channel == channel);
        ids.iter().copied().find(on)
    }

    /// Breaks the book of a subscription, for a test of those who look.
    #[cfg(test)]
    pub fn miscount_for_test(&mut self, id: SubscriptionId) {
        if let Some(subscription) = self.subscriptions.get_mut(id as usize) {
            subscription.acked += 1;
        }
    }

    /// Everything that changed since this was last asked, but for state: that has a lock of its own, so that taking
    /// it holds up nobody else.
    pub fn take_dirty(&mut self) -> Rows {
        fn pick<T: Clone>(all: &[T], dirty: BTreeSet<u32>) -> Vec<(u32, T)> {
            dirty.into_iter().filter_map(|id| Some((id, all.get(id as usize)?.clone()))).collect()
        }
        let dirty = std::mem::take(&mut self.dirty);
        let deployments = dirty.deployments.into_iter();
        Rows {
            channels: pick(&self.channels, dirty.channels),
            processors: pick(&self.processors, dirty.processors),
            subscriptions: pick(&self.subscriptions, dirty.subscriptions),
            deployments: deployments.filter_map(|i| Some((i, self.deployments.get(i)?.clone()))).collect(),
            dead: self.dead.take_dirty(),
            state: Vec::new(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::model::change::{Changes, Draft};
    use crate::model::event::Event;
    use crate::model::record::{Stamp, encode_event};

    #[test]
    fn a_plain_frame_folds_as_its_changes_do() {
        let mut worlds = [World::default(), World::default()];
        let controls = [
            json!({"control": "channel-created", "channel": 0, "name": "orders"}),
            json!({"control": "processor-named", "processor": 0, "name": "mail"}),
            json!({"control": "subscription-created", "subscription": 0, "processor": 0, "channel": 0, "start": 0}),
        ];
        for control in controls {
            let change = Change::Control(serde_json::from_value(control).unwrap());
            worlds.iter_mut().for_each(|world| world.fold(&change));
        }
        let stamp = Stamp { flow: Uuid::nil(), cause: None, causationid: None, hops: 0 };
        let mut draft = Draft::default();
        for offset in [0, 2, 1] {
            draft.event(0, |out| encode_event(out, &Event::default(), &stamp));
            draft.decided(0, offset, Uuid::nil());
        }
        let (decisions, mut runs) = (draft.plain_decisions().unwrap(), Runs::default());
        let body = draft.finish(|channel| runs.next(channel, || 7));
        Changes::new(&body).for_each(|change| worlds[0].fold(&change.unwrap()));
        worlds[1].fold_plain(&runs, &decisions);
        for world in worlds {
            assert_eq!((world.channels()[0].next, world.subscriptions()[0].decided.cursor()), (10, 3));
        }
    }
}
