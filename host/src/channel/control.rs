//! The rare frames: deployments, removals, and what happens to held events. They are taken even when publishers are
//! sent away.

use std::collections::BTreeMap;

use crate::model::change::{ChannelId, Control, Draft, ProcessorId, SubscriptionId};
use crate::model::deployment::{Deployment, config_differences, differences};
use crate::model::descriptor::{Descriptor, Start, SubscriptionAsk};
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::operation::{Approved, Lanes, Operation, Operator, Paused, Rate};
use crate::view::world::World;

use super::Domain;
use super::owner::{Owner, Refused, Sequenced};
use super::starts::Starts;

/// What is needed to deploy a version of a processor.
#[derive(Clone, Debug)]
pub struct Deployable {
    /// BLAKE3 of the component, in hexadecimal.
    pub digest: String,
    /// What the component says of itself.
    pub descriptor: Descriptor,
    /// The file that it came from.
    pub file: String,
    /// How long reading, checking and compiling took, in microseconds.
    pub load_us: u64,
    /// Whether the compiled code came from the cache.
    pub cached: bool,
    /// Prints of what the operator set for it, by name.
    pub config: BTreeMap<String, String>,
}

/// A subscription of a part of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostSubscription {
    /// The subscriber, which has a number like a processor.
    pub processor: ProcessorId,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The channel.
    pub channel: ChannelId,
}

/// Where a subscription is to begin anew.
#[derive(Clone, Copy, Debug)]
pub struct Reset {
    /// Which subscription.
    pub subscription: SubscriptionId,
    /// The first offset that it gets; without one, that of the next event.
    pub to: Option<u64>,
    /// Whether the state of its processor is deleted.
    pub clear_state: bool,
}

/// Numbers that a draft gives out before the world knows them, and what was found out before.
#[derive(Default)]
struct Created {
    channels: Vec<ChannelName>,
    subscriptions: u32,
    /// Times as offsets, found before the owner was asked.
    starts: Starts,
}

impl Domain {
    /// Records that a version of a processor runs from now on, with everything that it needs: its number, its
    /// channels, its subscriptions with resolved starts. From here on what an older version commits is refused.
    pub fn deploy(&self, deployable: &Deployable) -> Result<Deployment, Refused> {
        let mut created = Created { starts: self.starts(&deployable.descriptor)?, ..Created::default() };
        let mut owner = self.owner();
        let mut draft = Draft::default();
        let descriptor = &deployable.descriptor;
        let processor = owner.name_processor(&descriptor.name, &mut draft);
        owner.subscribe(processor, &descriptor.subscriptions, &mut draft, &mut created);
        if let Some(queue) = owner.queue(descriptor) {
            owner.subscribe(processor, &[queue], &mut draft, &mut created);
        }
        for name in &descriptor.publishes {
            owner.channel(name, &mut draft, &mut created.channels);
        }
        let deployment = owner.deployment(processor, deployable, self.now_ms());
        draft.control(&Control::Deployed { deployment: Box::new(deployment.clone()) });
        self.0.sequence(&mut owner, draft)?;
        Ok(deployment)
    }

    /// Records that history goes through a version under a name of its own, which runs on no lane: its number, and where its one subscription begins.
    pub fn begin_replay(&self, deployable: &Deployable) -> Result<(ProcessorId, SubscriptionId), Refused> {
        let mut owner = self.owner();
        let (mut draft, mut created) = (Draft::default(), Created::default());
        let descriptor = &deployable.descriptor;
        let processor = owner.name_processor(&descriptor.name, &mut draft);
        let subscription = owner.world.subscriptions().len() as SubscriptionId;
        owner.subscribe(processor, &descriptor.subscriptions, &mut draft, &mut created);
        let deployment = owner.deployment(processor, deployable, self.now_ms());
        draft.control(&Control::Deployed { deployment: Box::new(deployment) });
        draft.control(&Control::Undeployed { processor, forget: false });
        self.0.sequence(&mut owner, draft)?;
        Ok((processor, subscription))
    }

    /// Records how long the lanes stood still, which completes the receipt.
    pub fn switched(
        &self,
        processor: ProcessorId,
        generation: u64,
        pauses_us: Vec<u64>,
    ) -> Result<Sequenced, Refused> {
        self.control(&Control::Switched { processor, generation, pauses_us })
    }

    /// Records that a processor runs no more.
    pub fn undeploy(&self, processor: ProcessorId, forget: bool) -> Result<Sequenced, Refused> {
        self.control(&Control::Undeployed { processor, forget })
    }

    /// Records in one frame that a subscription begins anew, and for a deployed processor a new generation, so that nothing in
    /// flight can commit, with everything released that other subscriptions hold. Gives the new deployment if there is one.
    pub fn reset(&self, reset: Reset) -> Result<Option<Deployment>, Refused> {
        let Reset { subscription, to, clear_state } = reset;
        let now_ms = self.now_ms();
        let mut owner = self.owner();
        let to = to.unwrap_or_else(|| owner.end_read_by(subscription));
        let mut draft = Draft::of(&Control::SubscriptionReset { subscription, to, clear_state });
        let deployment = owner.anew(reset, to, now_ms);
        if let Some(deployment) = &deployment {
            draft.control(&Control::Released { processor: deployment.processor, events: None });
            draft.control(&Control::Deployed { deployment: Box::new(deployment.clone()) });
        }
        self.0.sequence(&mut owner, draft)?;
        Ok(deployment)
    }

    /// Records that everything that a processor held is tried again.
    pub fn release(&self, processor: ProcessorId) -> Result<Sequenced, Refused> {
        self.control(&Control::Released { processor, events: None })
    }

    /// Records that no batch of a processor begins, and why.
    pub fn pause(&self, processor: ProcessorId, reason: String, by: Operator) -> Result<Sequenced, Refused> {
        let paused = Paused { reason, by, time_ms: self.now_ms() };
        self.control(&Control::Paused { processor, paused })
    }

    /// Records that a version may run although it is wider than the one before it.
    pub fn approve(
        &self,
        processor: ProcessorId,
        digest: String,
        by: Operator,
    ) -> Result<Sequenced, Refused> {
        let approved = Approved { digest, by, time_ms: self.now_ms() };
        self.control(&Control::Approved { processor, approved })
    }

    /// Records that batches of a processor begin again, and at which rate at most.
    pub fn resume(
        &self,
        processor: ProcessorId,
        rate: Option<Rate>,
        by: Operator,
    ) -> Result<Sequenced, Refused> {
        self.control(&Control::Resumed { processor, rate, by })
    }

    /// Records bounds for a processor's lanes, or that there are none beside those of `baton.toml` and its descriptor.
    pub fn scale(
        &self,
        processor: ProcessorId,
        lanes: Option<Lanes>,
        by: Operator,
    ) -> Result<Sequenced, Refused> {
        self.control(&Control::Scaled { processor, lanes, by })
    }

    /// What an operator said last of a processor.
    pub fn operation(&self, processor: ProcessorId) -> Operation {
        let of = |world: &World| Some(world.processors().get(processor as usize)?.operation.clone());
        self.look(of).unwrap_or_default()
    }

    /// Makes sure that a processor's name has a number, and so a place for its state.
    pub fn name_processor(&self, name: &ProcessorName) -> Result<ProcessorId, Refused> {
        let mut owner = self.owner();
        let mut draft = Draft::default();
        let processor = owner.name_processor(name, &mut draft);
        if !draft.is_empty() {
            self.0.sequence(&mut owner, draft)?;
        }
        Ok(processor)
    }

    /// Makes sure that a channel exists, for those who publish on it as the host.
    pub fn host_channel(&self, name: &ChannelName) -> Result<ChannelId, Refused> {
        let mut owner = self.owner();
        let mut draft = Draft::default();
        let channel = owner.channel(name, &mut draft, &mut Vec::new());
        if !draft.is_empty() {
            self.0.sequence(&mut owner, draft)?;
        }
        Ok(channel)
    }

    /// Makes sure that a subscriber that is a part of the host has a subscription on a channel; a new one begins with the next event.
    /// It counts as no processor that is deployed.
    pub fn host_subscription(
        &self,
        subscriber: &ProcessorName,
        channel: &ChannelName,
    ) -> Result<HostSubscription, Refused> {
        let mut owner = self.owner();
        let mut draft = Draft::default();
        let processor = owner.name_processor(subscriber, &mut draft);
        let channel = owner.channel(channel, &mut draft, &mut Vec::new());
        let known = owner.world.subscription_of(processor, channel);
        let subscription = known.unwrap_or(owner.world.subscriptions().len() as SubscriptionId);
        if known.is_none() {
            let start = owner.world.channels().get(channel as usize).map_or(0, |channel| channel.next);
            draft.control(&Control::SubscriptionCreated { subscription, processor, channel, start });
        }
        if !draft.is_empty() {
            self.0.sequence(&mut owner, draft)?;
        }
        Ok(HostSubscription { processor, subscription, channel })
    }

    fn control(&self, control: &Control) -> Result<Sequenced, Refused> {
        let mut owner = self.owner();
        Ok(self.0.sequence(&mut owner, Draft::of(control))?.0)
    }
}

impl Owner {
    fn name_processor(&self, name: &ProcessorName, draft: &mut Draft) -> ProcessorId {
        self.world.processor_id(name.as_str()).unwrap_or_else(|| {
            let processor = self.world.processors().len() as ProcessorId;
            draft.control(&Control::ProcessorNamed { processor, name: name.clone() });
            processor
        })
    }

    /// A subscription that is there already goes on where it is; a new one begins where its ask says.
    fn subscribe(
        &self,
        processor: ProcessorId,
        asks: &[SubscriptionAsk],
        draft: &mut Draft,
        created: &mut Created,
    ) {
        for ask in asks {
            let channel = self.channel(&ask.channel, draft, &mut created.channels);
            if self.world.subscription_of(processor, channel).is_some() {
                continue;
            }
            let end = self.world.channels().get(channel as usize).map_or(0, |channel| channel.next);
            let start = match ask.start {
                Start::Earliest => 0,
                Start::Latest => end,
                Start::Offset(offset) => offset.min(end),
                // A channel that did not exist yet has nothing from before.
                Start::Time(_) => created.starts.get(&ask.channel).copied().unwrap_or(0),
            };
            let subscription = self.world.subscriptions().len() as SubscriptionId + created.subscriptions;
            created.subscriptions += 1;
            draft.control(&Control::SubscriptionCreated { subscription, processor, channel, start });
        }
    }

    /// What a processor asks for its queue, once a mediator sends commands there.
    fn queue(&self, descriptor: &Descriptor) -> Option<SubscriptionAsk> {
        descriptor.queue().filter(|queue| self.world.channel_id(queue.channel.as_str()).is_some())
    }

    fn end_read_by(&self, subscription: SubscriptionId) -> u64 {
        let channel = self.world.subscriptions().get(subscription as usize).map(|s| s.channel);
        channel.and_then(|id| self.world.channels().get(id as usize)).map_or(0, |channel| channel.next)
    }

    /// The deployment of a deployed processor once more, with the next generation.
    fn anew(&self, reset: Reset, to: u64, time_ms: u64) -> Option<Deployment> {
        let subscription = self.world.subscriptions().get(reset.subscription as usize)?;
        let processor = self.world.processors().get(subscription.processor as usize)?;
        let channel = self.world.channels().get(subscription.channel as usize)?;
        let current = processor.deployment.as_deref().filter(|_| processor.deployed)?;
        let state = if reset.clear_state { "cleared" } else { "kept" };
        Some(Deployment {
            generation: current.generation + 1,
            time_ms,
            load_us: 0,
            changes: vec![format!("subscription reset: {} to offset {to}, state {state}", channel.name)],
            pauses_us: Vec::new(),
            ..current.clone()
        })
    }

    fn deployment(&self, processor: ProcessorId, deployable: &Deployable, time_ms: u64) -> Deployment {
        let before = self.world.processors().get(processor as usize).and_then(|p| p.deployment.as_deref());
        // The same bytes with other settings: what can be rolled back to stays what it was.
        let previous = before.and_then(|before| match before.digest == deployable.digest {
            true => before.previous_digest.clone(),
            false => Some(before.digest.clone()),
        });
        let mut changes = differences(before.map(|before| &before.descriptor), &deployable.descriptor);
        changes.extend(
            before.map_or_else(Vec::new, |before| config_differences(&before.config, &deployable.config)),
        );
        Deployment {
            processor,
            generation: before.map_or(0, |before| before.generation) + 1,
            digest: deployable.digest.clone(),
            previous_digest: previous,
            descriptor: deployable.descriptor.clone(),
            file: deployable.file.clone(),
            time_ms,
            load_us: deployable.load_us,
            cached: deployable.cached,
            changes,
            config: deployable.config.clone(),
            pauses_us: Vec::new(),
        }
    }
}
