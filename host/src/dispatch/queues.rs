//! Queues: each has one subscriber, and those of processors are there once a mediator sends commands.

use std::sync::Arc;

use crate::model::descriptor::Descriptor;
use crate::model::name::ChannelName;
use crate::model::workflow::post::{mediator_of, processor_of, queue_of};
use crate::view::world::{Processor, World};

use super::{DispatchError, Shared};

impl Shared {
    /// Refuses a second subscriber of a queue.
    pub(super) fn check_queues(&self, descriptor: &Descriptor) -> Result<(), DispatchError> {
        let taken = self.domain.look(|world| {
            descriptor.subscriptions.iter().find_map(|ask| {
                let holder = holder(world, descriptor, &ask.channel)?;
                Some((ask.channel.to_string(), holder))
            })
        });
        match taken {
            Some((channel, holder)) => Err(DispatchError::QueueTaken { channel, holder }),
            None => Ok(()),
        }
    }

    /// Has the processors read their queues that a mediator sends commands to: each that does not yet is a deployment of the same bytes.
    pub(super) fn open_queues(self: &Arc<Self>, mediator: &Descriptor) {
        let queues = mediator.publishes.iter().filter(|_| mediator.is_mediator());
        for name in queues.filter_map(|queue| processor_of(queue.as_str())) {
            let Some(running) = self.running(name) else { continue };
            if self.reads_its_queue(name) {
                continue;
            }
            if let Err(error) = self.switch(&running.version().again()) {
                tracing::error!(processor = name, %error, "it does not read its queue: commands wait there");
            }
        }
    }

    fn reads_its_queue(&self, name: &str) -> bool {
        self.domain.look(|world| {
            let processor = world.processor_id(name);
            let queue = world.channel_id(&queue_of(name));
            processor
                .zip(queue)
                .is_some_and(|(processor, queue)| world.subscription_of(processor, queue).is_some())
        })
    }
}

/// Who alone may read a channel, or reads it already, if it is a queue for somebody.
fn holder(world: &World, descriptor: &Descriptor, channel: &ChannelName) -> Option<String> {
    let name = descriptor.name.as_str();
    let own = processor_of(channel.as_str()).or(mediator_of(channel.as_str()));
    if let Some(own) = own {
        return (own != name).then(|| own.to_owned());
    }
    let is_queue_of_new = descriptor.event_queue() == Some(channel);
    let others = world.processors().iter().filter(|other| other.deployed && other.name.as_str() != name);
    let reads = |other: &&Processor| {
        let Some(deployment) = &other.deployment else { return false };
        let other = &deployment.descriptor;
        let is_queue = is_queue_of_new || other.event_queue() == Some(channel);
        is_queue && other.subscriptions.iter().any(|ask| ask.channel == *channel)
    };
    let mut readers = others.filter(reads);
    readers.next().map(|other| other.name.to_string())
}
