//! What the frames so far add up to: channels, processors, subscriptions, deployments, state. A fold: it inserts,
//! replaces and deletes, reads no clock, and does the same whether a frame is new or read again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;
use uuid::Uuid;

use crate::model::change::{Change, ChannelId, Control, ProcessorId, Skip, SubscriptionId};
use crate::model::deployment::Deployment;
use crate::model::fault::Fault;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::operation::Operation;
use crate::model::runs::Runs;

use super::decided::Decided;
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
    /// The events that failed and hold their keys.
    pub held: BTreeMap<(SubscriptionId, u64), Held>,
    /// The events that failed, are tried again and are not decided yet, with the number of attempts so far.
    pub released: BTreeMap<(SubscriptionId, u64), u32>,
    /// What an operator said of it: paused and why, a rate, bounds for its lanes.
    pub operation: Operation,
    /// Its keyed state.
    pub state: Arc<ProcessorState>,
}

/// An event that failed and holds its key.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Its journal position.
    pub position: u64,
    /// Its flow.
    pub flow: Uuid,
    /// The key that waits.
    pub key: String,
    /// What went wrong.
    pub fault: Fault,
    /// How many attempts there were.
    pub attempts: u32,
}

impl Processor {
    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.released.extend(held.into_iter().map(|(event, held)| (event, held.attempts)));
    }

    fn pass_over(&mut self, subscription: SubscriptionId, to: u64) {
        let stays = |event: &(SubscriptionId, u64)| event.0 != subscription || event.1 >= to;
        self.held.retain(|event, _| stays(event));
        self.released.retain(|event, _| stays(event));
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
        Self { processor, channel, start, decided, expired, filtered: 0, replays: 0, forgotten: false }
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
        subscription.decided.insert(offset);
        self.dirty.subscriptions.insert(id);
        let processor = subscription.processor;
        if let Some(state) = self.processors.get_mut(processor as usize)
            && !(state.held.is_empty() && state.released.is_empty())
        {
            state.held.remove(&(id, offset));
            state.released.remove(&(id, offset));
            self.dirty.processors.insert(processor);
        }
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
                    released: BTreeMap::new(),
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
            Control::Held { subscription, offset, position, flow, key, fault } => {
                let (key, fault) = (key.clone(), fault.clone());
                let held = Held { position: *position, flow: *flow, key, fault, attempts: 1 };
                self.held(*subscription, *offset, held);
            }
            Control::SubscriptionReset { subscription, to, clear_state } => {
                self.reset(*subscription, *to, *clear_state);
            }
            Control::Released { processor } => self.with_processor(*processor, Processor::release),
            Control::Expired { channel, to, until_ms } => self.expired(*channel, *to, *until_ms),
            Control::Paused { processor, paused } => {
                self.operate(*processor, |operation| operation.paused = Some(paused.clone()));
            }
            Control::Resumed { processor, rate, .. } => self.operate(*processor, |operation| {
                (operation.paused, operation.rate) = (None, *rate);
            }),
            Control::Scaled { processor, lanes, .. } => {
                self.operate(*processor, |operation| operation.lanes = *lanes);
            }
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
                processor.released.clear();
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
        subscription.filtered = 0;
        subscription.replays += 1;
        self.dirty.subscriptions.insert(id);
        let processor = subscription.processor;
        self.with_processor(processor, |processor| {
            processor.held.retain(|(of, _), _| *of != id);
            processor.released.retain(|(of, _), _| *of != id);
            if clear_state {
                processor.state.clear();
            }
        });
    }

    fn held(&mut self, subscription: SubscriptionId, offset: u64, held: Held) {
        let Some(processor) = self.subscriptions.get(subscription as usize).map(|s| s.processor) else {
            return;
        };
        self.with_processor(processor, |processor| {
            let before = processor.released.remove(&(subscription, offset)).unwrap_or(0);
            let held = Held { attempts: before + held.attempts, ..held };
            processor.held.insert((subscription, offset), held);
        });
    }

    /// Whoever reads the channel passes over what is gone.
    fn expired(&mut self, id: ChannelId, to: u64, until_ms: u64) {
        let Some(channel) = self.channels.get_mut(id as usize) else { return };
        channel.first = channel.first.max(to);
        channel.expired_until_ms = channel.expired_until_ms.max(until_ms);
        self.dirty.channels.insert(id);
        for id in channel.subscriptions.clone() {
            let Some(subscription) = self.subscriptions.get_mut(id as usize) else { continue };
            subscription.expired += subscription.decided.advance_to(to);
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
            state: Vec::new(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

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
