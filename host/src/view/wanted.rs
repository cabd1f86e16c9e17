//! Which events a subscription wants, by the filters of its processor's versions. What a filter did not pass is told by runs of
//! offsets alone, so whoever asks about one event asks the filters again.

use crate::model::change::SubscriptionId;
use crate::model::deployment::Deployment;
use crate::model::filter::Filter;
use crate::model::record::Record;

use super::world::World;

/// The filter that a subscription has in the version that runs, or ran last.
pub fn filter_of(world: &World, id: SubscriptionId) -> Option<&Filter> {
    let subscription = world.subscriptions().get(id as usize)?;
    let processor = world.processors().get(subscription.processor as usize)?;
    filter_in(world, id, processor.deployment.as_deref()?)
}

fn filter_in<'a>(world: &World, id: SubscriptionId, deployment: &'a Deployment) -> Option<&'a Filter> {
    let channel = world.channels().get(world.subscriptions().get(id as usize)?.channel as usize)?;
    let asks = &deployment.descriptor.subscriptions;
    asks.iter().find(|ask| ask.channel == channel.name)?.filter.as_ref()
}

/// Whether an event that no frame says was handled never will be, because a filter does not pass it: the one that runs, or where
/// the event is decided already, any that ran. An event that failed is tried again whatever the filter says.
pub fn is_filtered(world: &World, id: SubscriptionId, offset: u64, record: &Record<'_>) -> bool {
    refusing(world, id, offset, record).is_some()
}

/// The filter by which [`is_filtered`] says so.
pub fn refusing<'a>(
    world: &'a World,
    id: SubscriptionId,
    offset: u64,
    record: &Record<'_>,
) -> Option<&'a Filter> {
    let refuses = |filter: &&Filter| !filter.passes(record);
    let subscription = world.subscriptions().get(id as usize)?;
    if subscription.decided.contains(offset) {
        let ran = world.deployments().iter().rev().filter(|d| d.processor == subscription.processor);
        let mut filters = ran.filter_map(|deployment| filter_in(world, id, deployment));
        return filters.find(refuses).filter(|_| subscription.filtered > 0);
    }
    let processor = world.processors().get(subscription.processor as usize)?;
    let failed = processor.held.contains_key(&(id, offset));
    filter_of(world, id).filter(refuses).filter(|_| !failed)
}
